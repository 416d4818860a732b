// The fan chart of a county's new relapses; both pages that show it have `make`, and a `lang` to pass on.
const FAN = {
  zh: { seen:"已发生", median:"中位数", interval:s=>`${s}% 区间`, waiting:"尚未上报", period:"时间", numbers:"图中数据" },
  en: { seen:"observed", median:"median", interval:s=>`${s}% interval`, waiting:"not reported yet", period:"period", numbers:"Numbers of the chart" } };
const draw = (tag, attributes, text) => { const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v); if (text != null) e.textContent = text; return e; };

function fanPicture(F, lang, room) {
  const W = Math.max(280, Math.min(room, 1200)), H = W < 600 ? 230 : 290, left = 40, right = 8, bottom = 28, top = 14;
  const most = Math.max(1, ...F.seen.map(s => s[1]), ...F.ahead.map(a => a.bounds[5])) * 1.05, unit = (W - left - right) / F.months;
  const x = i => left + (i + 0.5) * unit, y = v => top + (H - top - bottom) * (1 - v / most), wide = unit * F.every * 0.7;
  const svg = draw("svg", { viewBox:`0 0 ${W} ${H}`, role:"img", "aria-label":F.title[lang] });
  const step = [1,2,5,10,20,50,100,200,500,1000,2000,5000,10000].find(s => most / s <= 6) || most;
  for (let v = 0; v <= most; v += step) svg.append(draw("line", { x1:left, x2:W - right, y1:y(v), y2:y(v), stroke:"#d9d9d9" }), draw("text", { x:left - 6, y:y(v) + 4, "text-anchor":"end" }, v));
  const every = Math.ceil(60 / (6 * unit));
  F.ticks.filter((_, k) => k % every === 0).forEach(([i, label]) => { const at = x(i - 0.5);
    svg.append(draw("line", { x1:at, x2:at, y1:H - bottom, y2:H - bottom + 5, stroke:"#52606d" }), draw("text", { x:Math.min(Math.max(at, 24), W - 24), y:H - 8, "text-anchor":"middle" }, label)); });
  if (F.seen.length && F.ahead.length) {
    const a = x(F.seen[F.seen.length - 1][0]) + wide * 0.6, b = x(F.ahead[0].at) - wide * 0.6, middle = (a + b) / 2;
    if (b - a > wide * 0.7) { svg.append(draw("rect", { x:a, width:b - a, y:top, height:H - top - bottom, fill:"#eef1f4" }));
      if (b - a > 12) svg.append(b - a > 110 || lang === "zh" && b - a > 56 ? draw("text", { x:middle, y:top + 14, "text-anchor":"middle" }, FAN[lang].waiting)
        : draw("text", { transform:`translate(${middle + 4} ${top + 6}) rotate(-90)`, "text-anchor":"end" }, FAN[lang].waiting)); }
  }
  F.ahead.forEach(({ at, median, bounds }) => { [[4,5,0.15],[2,3,0.25],[0,1,0.4]].forEach(([lo, hi, alpha]) =>
      svg.append(draw("rect", { x:x(at) - wide / 2, width:wide, y:y(bounds[hi]), height:y(bounds[lo]) - y(bounds[hi]), fill:"#0072b2", "fill-opacity":alpha })));
    svg.append(draw("line", { x1:x(at) - wide / 2, x2:x(at) + wide / 2, y1:y(median), y2:y(median), stroke:"#003a63", "stroke-width":2 })); });
  svg.append(draw("polyline", { points:F.seen.map(([i, v]) => `${x(i)},${y(v)}`).join(" "), fill:"none", stroke:"#1f2933" }));
  F.seen.forEach(([i, v]) => svg.append(draw("circle", { cx:x(i), cy:y(v), r:W < 600 ? 2.5 : 3.5, fill:"#1f2933" })));
  return svg;
}
function fanKeys(lang) {
  const p = make("p", null, { class:"keys quiet" }), t = FAN[lang];
  p.append(...[["#1f2933", 1, t.seen], ["#003a63", 1, t.median], ["#0072b2", 0.7, t.interval(50)], ["#0072b2", 0.4, t.interval(80)], ["#0072b2", 0.15, t.interval(95)]]
    .map(([color, alpha, text]) => { const s = make("span"); s.append(make("i", null, { style:`background:${color};opacity:${alpha}` }), document.createTextNode(text)); return s; }));
  return p;
}
function fanNumbers(F, lang, isOpen) {
  const t = FAN[lang], box = make("details"), table = make("table"), head = make("tr"), body = make("tbody"), thead = make("thead");
  [t.period, t.seen, t.median, t.interval(50), t.interval(80), t.interval(95)].forEach((name, i) => head.append(make("th", name, { scope:"col", class:i ? "num" : "" })));
  const line = (label, cells) => { const tr = make("tr"); tr.append(make("th", label, { scope:"row" }), ...cells.map(c => make("td", c, { class:"num" }))); body.append(tr); };
  F.seen.forEach(([, n, label]) => line(label, [n, "", "", "", ""]));
  F.ahead.forEach(({ label, median, bounds:b }) => line(label, ["", median, `${b[0]}–${b[1]}`, `${b[2]}–${b[3]}`, `${b[4]}–${b[5]}`]));
  thead.append(head); table.append(thead, body); box.append(make("summary", t.numbers), table); box.open = isOpen;
  return box;
}
function fanInto(box, F, lang) {
  const before = box.querySelector("details"), isOpen = Boolean(before && before.open);
  box.replaceChildren(fanPicture(F, lang, box.clientWidth - 28), fanKeys(lang), fanNumbers(F, lang, isOpen));
}
