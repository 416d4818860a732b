"""Visit lists as files: a CSV and a workbook per county, what waits, a note to read first, and the manifest.

The CSV holds the list's columns and nothing else, so that it can be sorted, filtered and read back; the
sentence on what the score is not stands in the note beside it, in the workbook and in the manifest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from relapse_risk.files import parquet_bytes
from relapse_risk.outputs.columns import with_headers
from relapse_risk.outputs.contacts import columns_with_contacts, locked, with_contacts
from relapse_risk.outputs.files import csv_bytes, json_bytes, publish
from relapse_risk.outputs.issued import ISSUED_FILE, LOTTERY_FILE, issued_rows, lottery_ledger
from relapse_risk.outputs.manifest import MANIFEST_FILE, disclaimer, manifest_of
from relapse_risk.outputs.outlook import Outlook
from relapse_risk.outputs.page import page_bytes
from relapse_risk.outputs.parameter_words import parameters_said
from relapse_risk.outputs.standing import LISTED, PAUSING, WAITING
from relapse_risk.outputs.visit_list import CountyList, VisitList
from relapse_risk.outputs.workbook import LISTED_SHEET, WAITING_SHEET, ListPages, workbook_bytes
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Bilingual, Language

_NOTE = Bilingual("说明.txt", "READ_ME.txt")
_NOT_MET = Bilingual("未见到户", "not_met")
_NOT_MET_HEADERS = {
    "township": "乡镇",
    "village": "村",
    "household_id": "户编号",
    "not_met_n": "连续未见到次数",
    "last_visit": "上次走访",
    "place": "本期安排",
}
_UNSAFE_IN_NAMES = re.compile(r'[\\/:*?"<>|\s\x00-\x1f]+')

_NOTE_LINES = (
    Bilingual(
        "数据截至{as_of}，名单有效期至{expires}。", "Data as of {as_of}; the list expires on {expires}."
    ),
    SCORE_DISCLAIMER,
    Bilingual(
        "优先级：红 触发三保障、饮水或监测对象识别类规则，或认定临期、超期；橙 触发两条及以上关注类规则；"
        "黄 触发一条关注类规则，或自主申报；蓝 未触发规则，模型提示关注；常 例行走访。"
        "优先级只由规则和自主申报决定，模型风险分不改变红、橙、黄。",
        "Tiers: 红 red, a guarantee fails, or a candidate for the register, or a case at its limit; "
        "橙 orange, two or more watch rules; 黄 yellow, one watch rule or an own application; "
        "蓝 blue, no rule hit, flagged by the model; 常 routine visit. "
        "Rules and applications alone set red, orange and yellow; no score moves them.",
    ),
    Bilingual(
        "主要原因只陈述记录中的事实，不代表原因认定；请按“建议核实事项”入户核实。",
        "Reasons state facts of the record, not causes; please verify them on the visit.",
    ),
    Bilingual(
        "请填写“走访日期”至“备注”各列，不要改动清单编号、序号和户编号；可以排序和筛选。",
        "Please fill in the columns from visited_on to remark, and leave list_id, rank and household_id as "
        "they are; sorting and filtering do no harm.",
    ),
    Bilingual(
        "部分表格软件会把户编号显示为科学计数；交回时以清单编号和序号为准，原户编号见 manifest.json。",
        "Some spreadsheets show household_id in scientific notation; list_id and rank tell a returned row, "
        "and manifest.json has the full identifiers.",
    ),
)


def write_visit_list(
    visit_list: VisitList,
    out: Path,
    *,
    is_forced: bool = False,
    contacts: pl.DataFrame | None = None,
    password: str | None = None,
    outlook: Outlook | None = None,
) -> tuple[Path, ...]:
    """Write the lists of all counties into a folder, whole or not at all.

    Parameters
    ----------
    visit_list : VisitList
    out : Path
        A folder of the list's own; created where it is missing.
    is_forced : bool
        Keep the folder of an earlier list aside, as ``<out>.old1``, instead of refusing.
    contacts : polars.DataFrame, optional
        Of :func:`~relapse_risk.outputs.contacts.read_contacts`: each workbook, and nothing else, gets those
        of its own households, and only its owner may read the file.
    password : str, optional
        Opens the workbooks; only their owner may read the files.
    outlook : Outlook, optional
        Of :func:`~relapse_risk.outputs.outlook.read_outlook`: the county pages show what they may expect.

    Returns
    -------
    tuple of Path
        ``走访清单_<county>_<date>`` of each county as ``.csv``, ``.xlsx`` and ``.html`` (and of each township
        as the first two, where the settings say so), ``候补_<county>_<date>.csv`` where rows wait,
        ``未见到户_<county>_<date>.csv`` where visits met nobody again and again,
        ``说明.txt``, ``issued.parquet`` by which returned lists are recognised, ``lottery.parquet`` where
        visits were drawn at the edge and, last, ``manifest.json``.
        English lists have English names.

    Raises
    ------
    ConfigurationError
        RR481 where another list is there and ``is_forced`` is false, RR491 where something else is.
    MachineError
        RR601 where the disk or a permission does not allow it, RR605 where a program has the earlier list
        open.
    """
    language = visit_list.settings.language
    note = _note_lines(visit_list, visit_list.counties)
    files: list[tuple[str, bytes]] = []
    for edition in _editions(visit_list):
        files.append((edition.listed_file("csv"), csv_bytes(with_headers(edition.listed, language))))
        if edition.waiting.height:
            files.append((edition.waiting_file, csv_bytes(with_headers(edition.waiting, language))))
        own_note = _note_lines(visit_list, [edition.county])
        book = workbook_bytes(_pages(edition, own_note, contacts), language)
        files.append((edition.listed_file("xlsx"), locked(book, password) if password else book))
        if edition.is_of_county and edition.county.details is not None:
            files.append((edition.listed_file("html"), _page(visit_list, edition.county, outlook)))
        if edition.is_of_county and edition.county.not_met.height:
            files.append((edition.file_of(_NOT_MET), csv_bytes(_not_met(edition.county.not_met, language))))
    files.append((_NOTE.text(language), ("\ufeff" + "".join(f"{line}\r\n" for line in note)).encode()))
    files.append((ISSUED_FILE, parquet_bytes(issued_rows(visit_list))))
    if (drawn := lottery_ledger(visit_list)).height:
        files.append((LOTTERY_FILE, parquet_bytes(drawn)))
    is_private = contacts is not None or password is not None
    private = [name for name, _ in files if is_private and name.endswith(".xlsx")]
    told = [(name, data) for name, data in files if name not in private]
    contents = {**_contents(visit_list), "private_files": private}
    if outlook is not None:
        contents["forecast_sha256"] = outlook.sha256
    manifest = json_bytes(manifest_of("visit_list", contents, told))
    return publish([*files, (MANIFEST_FILE, manifest)], out, is_forced=is_forced, private=private)


def _pages(edition: _Edition, note: list[str], contacts: pl.DataFrame | None) -> ListPages:
    """Return what the workbook of an edition shows, with the contacts of its own households if any."""
    county = edition.county
    route = county.route.with_columns(pl.col("unit").replace(county.county_code, county.county_name))
    if contacts is None:
        return ListPages(edition.listed, edition.waiting, note, edition.title, route)
    listed, waiting = (with_contacts(rows, contacts) for rows in (edition.listed, edition.waiting))
    return ListPages(listed, waiting, note, edition.title, route, columns_with_contacts())


def _not_met(rows: pl.DataFrame, language: Language) -> pl.DataFrame:
    if language == "zh":
        return rows.rename(_NOT_MET_HEADERS)
    return rows.with_columns(
        pl.col("place").replace({text.zh: text.en for text in (LISTED, WAITING, PAUSING)})
    )


def _page(visit_list: VisitList, county: CountyList, outlook: Outlook | None) -> bytes:
    return page_bytes(
        county,
        as_of_date=visit_list.as_of_date,
        expires_on=visit_list.expires_on,
        unverified=visit_list.unverified,
        rules=visit_list.rules,
        language=visit_list.settings.language,
        outlook=None if outlook is None else outlook.counties.get(county.county_code),
    )


@dataclass(frozen=True)
class _Edition:
    """The files of one county, or of one of its townships."""

    county: CountyList
    listed: pl.DataFrame
    waiting: pl.DataFrame
    place: str
    day: date
    language: Language

    def listed_file(self, ending: str) -> str:
        return f"{LISTED_SHEET.text(self.language)}_{self.place}_{self.day}.{ending}".replace(" ", "_")

    @property
    def is_of_county(self) -> bool:
        return self.listed is self.county.listed

    @property
    def waiting_file(self) -> str:
        return self.file_of(WAITING_SHEET)

    def file_of(self, kind: Bilingual) -> str:
        return f"{kind.text(self.language)}_{self.place}_{self.day}.csv".replace(" ", "_")

    @property
    def title(self) -> str:
        return f"{self.place} {self.day} {self.county.list_id}"


def _editions(visit_list: VisitList) -> list[_Edition]:
    """Return what is written of each county; areas of one name go by their codes."""
    settings, day = visit_list.settings, visit_list.as_of_date
    names = Counter(_file_name(county.county_name) for county in visit_list.counties)
    found: list[_Edition] = []
    for county in visit_list.counties:
        name = _file_name(county.county_name)
        place = name if names[name] == 1 else county.county_code
        found.append(_Edition(county, county.listed, county.waiting, place, day, settings.language))
        if not settings.is_per_township:
            continue
        of_township = pl.concat([county.listed, county.waiting])["township"].unique().sort().to_list()
        for township in of_township:
            is_within = pl.col("township") == township
            listed, waiting = county.listed.filter(is_within), county.waiting.filter(is_within)
            within = f"{place}_{_file_name(township)}"
            found.append(_Edition(county, listed, waiting, within, day, settings.language))
    return found


def _file_name(place: str) -> str:
    return _UNSAFE_IN_NAMES.sub("_", place)


def _note_lines(visit_list: VisitList, counties: Sequence[CountyList]) -> list[str]:
    """Return the note that stands beside the lists of some counties: what they are, what the score is not."""
    language = visit_list.settings.language
    lines = [line.text(language) for line in _NOTE_LINES]
    lines[0] = lines[0].replace("{as_of}", str(visit_list.as_of_date))
    lines[0] = lines[0].replace("{expires}", str(visit_list.expires_on))
    for county in counties:
        lines += county.summary_lines(language)
    told = Bilingual("以下参数尚未核实：", "These parameters are not verified: ")
    if visit_list.unverified:
        unverified = parameters_said(visit_list.unverified, visit_list.rules, language)
        lines.append(told.text(language) + unverified)
    told = Bilingual("以下参数缺失，相关规则无法判断：", "Rules can't be judged without these parameters: ")
    if visit_list.unknown_parameters:
        unknown = [{"param": name, "value": None} for name in visit_list.unknown_parameters]
        lines.append(told.text(language) + parameters_said(unknown, visit_list.rules, language))
    return lines


def _contents(visit_list: VisitList) -> dict[str, object]:
    settings = visit_list.settings
    return {
        "as_of_date": str(visit_list.as_of_date),
        "expires_on": str(visit_list.expires_on),
        "language": settings.language,
        "settings": {
            "model_share": settings.model_share,
            "audit_share": settings.audit_share,
            "lottery_share": settings.lottery_share,
            "rest_days": settings.rest_days,
            "not_met_limit": settings.not_met_limit,
            "seed": settings.seed,
            "valid_months": settings.valid_months,
        },
        "inputs": dict(visit_list.inputs),
        "unverified_thresholds": [dict(row) for row in visit_list.unverified],
        "unknown_parameters": list(visit_list.unknown_parameters),
        "rules": [dict(row) for row in visit_list.rule_counts],
        "disclaimer": disclaimer(),
        "lists": [
            {
                **_list_contents(edition.county),
                "file": edition.listed_file("csv"),
                "waiting_file": edition.waiting_file if edition.waiting.height else None,
            }
            for edition in _editions(visit_list)
            if edition.is_of_county
        ],
    }


def _list_contents(county: CountyList) -> dict[str, object]:
    """Return what a county's manifest says; its households by rank tell a returned row that was mangled."""
    basis = county.listed["basis"].str.split("、").explode(keep_nulls=False, empty_as_null=False)
    return {
        "list_id": county.list_id,
        "county_code": county.county_code,
        "county_name": county.county_name,
        "counts": dict(county.counts),
        "counts_by_basis": dict(basis.value_counts().sort("basis").iter_rows()),
        "households": county.listed["household_id"].to_list(),
        "waiting_households": county.waiting["household_id"].to_list(),
        "units": county.units.to_dicts(),
        "audit": {
            "seed": county.audit_seed,
            "pool": county.counts["audit_pool"],
            "rows": county.audit.sort("rank").to_dicts(),
        },
        "lottery": county.lottery.to_dicts(),
        "not_met": county.not_met.with_columns(pl.col("last_visit").cast(pl.String)).to_dicts(),
        "messages": [{"zh": message.zh, "en": message.en} for message in county.messages],
    }
