"""A what-if as tables to read and to file: in the terminal, as CSV and as a workbook."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from relapse_risk.outputs.tables import ResultTable, table_files
from relapse_risk.rules.caseload import NEITHER, UNKNOWN, CaseloadCurve, WhatIf
from relapse_risk.rules.measures import measures_table
from relapse_risk.vocabulary import Bilingual, Language

TITLE = Bilingual("阈值测算", "what_if")
CURVE_TITLE = Bilingual("阈值曲线", "caseload_curve")

_CATEGORIES = {
    "脱贫不稳定户": "unstable lifted household",
    "边缘易致贫户": "marginal household",
    "突发严重困难户": "severe sudden hardship",
    UNKNOWN: "cannot judge",
    NEITHER: "none",
}
_LABOUR = {"有": "able", "弱": "weak", "无": "none", "不明": "not known"}
_TIERS = {"红": "red", "橙": "orange", "黄": "yellow", "蓝": "blue", "常": "routine"}
_PER = {"household": "户", "person": "人"}
_TOTAL = Bilingual("合计", "total")
_NOT_ADDED = ("yuan_per_year", "registered", "now", "then")  # of different units

HEADERS: dict[str, Bilingual] = {
    "category": Bilingual("类别", "category"),
    "county_code": Bilingual("县代码", "county_code"),
    "county_name": Bilingual("县", "county"),
    "township_code": Bilingual("乡镇代码", "township_code"),
    "township_name": Bilingual("乡镇", "township"),
    "village_code": Bilingual("村代码", "village_code"),
    "village_name": Bilingual("村", "village"),
    "household_id": Bilingual("户编号", "household_id"),
    "household_type": Bilingual("户类型", "household_type"),
    "labour_class": Bilingual("劳动能力", "labour"),
    "tier": Bilingual("优先级", "tier"),
    "registered": Bilingual("在册", "on_register"),
    "now": Bilingual("现行", "now"),
    "then": Bilingual("测算", "then"),
    "change": Bilingual("增减", "change"),
    "entering": Bilingual("进入", "enter"),
    "leaving": Bilingual("退出", "leave"),
    "people": Bilingual("人数", "people"),
    "people_now": Bilingual("现行人数", "people_now"),
    "people_then": Bilingual("测算人数", "people_then"),
    "people_change": Bilingual("人数增减", "people_change"),
    "unknown_now": Bilingual("现行无法判断", "cannot_judge_now"),
    "unknown_then": Bilingual("测算无法判断", "cannot_judge_then"),
    "param": Bilingual("参数", "parameter"),
    "unit": Bilingual("单位", "unit"),
    "source": Bilingual("依据", "source"),
    "verified": Bilingual("已核实", "verified"),
    "category_now": Bilingual("现行类别", "category_now"),
    "category_then": Bilingual("测算类别", "category_then"),
    "rules": Bilingual("规则", "rules"),
    "why": Bilingual("原因", "why"),
    "measure": Bilingual("措施", "measure"),
    "households": Bilingual("户数", "households"),
    "households_now": Bilingual("现行户数", "households_now"),
    "households_then": Bilingual("测算户数", "households_then"),
    "per": Bilingual("计发单位", "per"),
    "yuan_per_year": Bilingual("年标准(元)", "yuan_per_year"),
    "yuan_now": Bilingual("现行年费用(元)", "yuan_now"),
    "yuan_then": Bilingual("测算年费用(元)", "yuan_then"),
    "yuan_change": Bilingual("费用增减(元)", "yuan_change"),
    "value": Bilingual("取值", "value"),
}
_VALUES = {
    "category": _CATEGORIES,
    "category_now": _CATEGORIES,
    "category_then": _CATEGORIES,
    "labour_class": _LABOUR,
    "tier": _TIERS,
}


def what_if_tables(what_if: WhatIf, cost: pl.DataFrame | None, language: Language) -> list[ResultTable]:
    """Return the tables of a what-if in the order to read them; the cost only where rates were given.

    Parameters
    ----------
    what_if : WhatIf
    cost : polars.DataFrame or None
        Of :func:`~relapse_risk.rules.rates.cost_of`.
    language : {"zh", "en"}
    """
    by_category = with_total(what_if.table("category"), "category", language, blank=("entering", "leaving"))
    by_township, by_labour = what_if.table("township"), what_if.table("labour_class")
    frames = [
        (Bilingual("按类别", "by_category"), by_category),
        (Bilingual("按乡镇", "by_township"), with_total(by_township, "township_name", language)),
        (Bilingual("按劳动能力", "by_labour"), with_total(by_labour, "labour_class", language)),
        (Bilingual("按优先级", "by_tier"), what_if.table("tier")),
        (Bilingual("变动户", "households"), what_if.movers),
        (Bilingual("建议措施", "measures"), what_if.measures),
        (Bilingual("参数", "parameters"), what_if.settings),
    ]
    if cost is not None:
        units = cost.with_columns(pl.col("per").replace(_PER) if language == "zh" else pl.col("per"))
        frames.insert(
            4, (Bilingual("年费用", "cost"), with_total(units, "category", language, blank=_NOT_ADDED))
        )
    measures = {m.name.zh: m.name.en for listed in measures_table().values() for m in listed}
    values = {**_VALUES, "measure": measures}
    return [ResultTable(name, frame, HEADERS, values) for name, frame in frames]


def curve_tables(curve: CaseloadCurve, language: Language) -> list[ResultTable]:
    """Return the curve as one table, a column a category, with their totals in households and people."""
    wide = curve.frame.pivot("category", index="value", values="households", maintain_order=True)
    total = curve.frame.group_by("value", maintain_order=True).agg(pl.col("households", "people").sum())
    frame = wide.join(total, on="value", maintain_order="left")
    if language == "en":
        frame = frame.rename({name: _CATEGORIES[name] for name in frame.columns if name in _CATEGORIES})
    return [ResultTable(CURVE_TITLE, frame, HEADERS)]


def with_total(frame: pl.DataFrame, key: str, language: Language, blank: Sequence[str] = ()) -> pl.DataFrame:
    """Return a table with a last row of totals; columns in ``blank`` have none, because parts overlap."""
    summed = [
        pl.col(name).sum()
        if dtype.is_numeric() and name not in blank
        else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in frame.schema.items()
    ]
    total = frame.select(summed).with_columns(pl.lit(_TOTAL.text(language)).alias(key))
    return pl.concat([frame, total])


def note_of(what_if: WhatIf, has_cost: bool, language: Language) -> list[str]:
    """Return what to know before reading: what was changed, what is not verified, and what it is not."""
    n = what_if.totals
    lines = [
        Bilingual(
            f"数据截至{what_if.as_of_date}。以下为测算，不改变任何阈值，不作为纳入、退出或停发待遇依据。",
            f"Data as of {what_if.as_of_date}. A calculation: it changes no threshold, and is no ground for "
            "inclusion, exit or stopping a benefit.",
        ).text(language)
    ]
    lines += changes_said(what_if, language)
    lines += [
        Bilingual(
            f"候选户（未在册、触发识别类规则，待人工认定）：现行{n['now']}户{n['people_now']}人，"
            f"测算{n['then']}户{n['people_then']}人；进入{n['entering']}户，退出{n['leaving']}户。"
            f"在册{n['registered']}户不受影响。",
            f"Candidates (off the register, hit by a rule of its categories, for people to decide): now "
            f"{n['now']} households with {n['people_now']} people, then {n['then']} with {n['people_then']}; "
            f"{n['entering']} enter and {n['leaving']} leave. The {n['registered']} on the register stay.",
        ).text(language),
        Bilingual(
            "按类别的表中，改类的户在原类别计为退出、在新类别计为进入。",
            "By category, a household that changes category leaves the one and enters the other.",
        ).text(language),
        Bilingual(
            f"另有{n['unknown_now']}户因数据缺失无法判断（测算后{n['unknown_then']}户），不等于未触发。",
            f"{n['unknown_now']} further households can't be judged for want of data "
            f"({n['unknown_then']} then); that is not the same as no hit.",
        ).text(language),
    ]
    if unverified := unverified_said(what_if.parameters):
        told = Bilingual("以下现行参数尚未核实：", "These parameters in force are not verified: ")
        lines.append(told.text(language) + ("、" if language == "zh" else ", ").join(unverified))
    if not has_cost:
        lines.append(
            Bilingual(
                "未提供补助标准，不测算费用（--rates 文件由县提供）。",
                "No subsidy rates were given, so no cost is shown (--rates, a file of the county's).",
            ).text(language)
        )
    lines.append(
        Bilingual(
            "表中含少于5户的数，仅供县内使用，不得对外提供。",
            "Tables hold counts under 5: for use inside the county only.",
        ).text(language)
    )
    return lines


def curve_note(curve: CaseloadCurve, language: Language) -> list[str]:
    """Return what to know before reading a curve."""
    in_force = " / ".join(f"{value:g}" for value in curve.in_force) or Bilingual("未知", "not known").text(
        language
    )
    return [
        Bilingual(
            f"数据截至{curve.as_of_date}。参数{curve.param}现行值{in_force}；下表为各取值下的候选户数。",
            f"Data as of {curve.as_of_date}. {curve.param} is {in_force} in force; the table has the "
            "candidates at each value.",
        ).text(language),
        Bilingual(
            "测算不改变任何阈值，不作为纳入、退出或停发待遇依据；仅供县内使用。",
            "A calculation: it changes no threshold, and is no ground for inclusion, exit or stopping a "
            "benefit. For use inside the county.",
        ).text(language),
    ]


def changes_said(what_if: WhatIf, language: Language) -> list[str]:
    """Return one line for each parameter changed: its value now and then."""
    units = dict(what_if.settings.select("param", "unit").iter_rows())
    unknown = Bilingual("未知", "not known").text(language)
    return [
        f"{param}: {' / '.join(f'{value:g}' for value in now) or unknown} → {then:g} {units[param]}"
        for param, now, then in what_if.changes
    ]


def unverified_said(parameters: pl.DataFrame) -> list[str]:
    """Return each parameter in force that nobody verified, with its value."""
    rows = parameters.filter(pl.col("value").is_not_null() & ~pl.col("verified").fill_null(value=False))
    return [
        f"{param}={value:g}" for param, value in rows.select("param", "value").unique().sort("param").rows()
    ]


def what_if_files(
    what_if: WhatIf, cost: pl.DataFrame | None, note: Sequence[str], language: Language
) -> list[tuple[str, bytes]]:
    """Return the files of a what-if: note, CSVs and workbook."""
    return table_files(TITLE, what_if_tables(what_if, cost, language), note, language)


def curve_files(curve: CaseloadCurve, note: Sequence[str], language: Language) -> list[tuple[str, bytes]]:
    """Return the files of a caseload curve: note, CSV and workbook."""
    return table_files(CURVE_TITLE, curve_tables(curve, language), note, language)
