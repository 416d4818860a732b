"""A county roll-up as tables to read and to file; small counts withheld where it is to leave the county."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import polars as pl

from relapse_risk.outputs.protect import withheld_counts
from relapse_risk.outputs.suppress import THRESHOLD, WIDTH, Cell
from relapse_risk.outputs.tables import WITHHELD_MARK, ResultTable, table_files
from relapse_risk.outputs.write_what_if import HEADERS as PLACE_HEADERS
from relapse_risk.rules.key_counties import FACTORS, rank_counties
from relapse_risk.rules.roll_up import GROUPS, INDICATORS, POPULATION, RollUp, with_shares
from relapse_risk.vocabulary import Bilingual, Language, Unit

TITLE = Bilingual("县级汇总", "roll_up")

HEADERS = {
    **PLACE_HEADERS,
    **FACTORS,
    **{f"{name}_rank": Bilingual(f"{text.zh}位次", f"rank by {text.en}") for name, text in FACTORS.items()},
    "rank_sum": Bilingual("位次和", "rank_sum"),
    "rank": Bilingual("综合位次", "rank"),
    "indicator": Bilingual("指标", "indicator"),
    "group": Bilingual("人群", "group"),
    "target": Bilingual("目标", "target"),
    "met": Bilingual("已落实", "covered"),
    "known": Bilingual("已知", "known"),
    "unmet": Bilingual("未落实", "not covered"),
    "unknown": Bilingual("未知", "not known"),
    "percent": Bilingual("覆盖率（%）", "coverage (%)"),
    "state": Bilingual("对照目标", "target is"),
    "households_without_members": Bilingual("无成员信息户数", "households without members"),
    "households_without_people": Bilingual("人口未知户数", "households without people"),
}
_REACHED = Bilingual("达标", "reached")
_NOT_REACHED = Bilingual("未达标", "not reached")
_TO_CHECK = Bilingual("待核实", "to be checked")
_NOBODY = Bilingual("无对象", "nobody")
_COUNTY = ("county_code", "county_name")
_TOWNSHIP = (*_COUNTY, "township_code", "township_name")
_COVERAGE = ("met", "known", "unmet", "unknown")


def roll_up_tables(
    result: RollUp,
    language: Language,
    weights: Mapping[str, float] | None = None,
    *,
    leaves_county: bool = False,
) -> list[ResultTable]:
    """Return the tables of a roll-up in the order to read them.

    Parameters
    ----------
    result : RollUp
    language : {"zh", "en"}
    weights : mapping of str to float, optional
        Of the factors, as in :func:`~relapse_risk.rules.key_counties.rank_counties`.
    leaves_county : bool
        Withhold counts from 1 to 4, what would give them away, and all that is computed from either.
    """
    withheld = withheld_counts(result) if leaves_county else frozenset()
    by_county = result.coverage.group_by([*_COUNTY, "indicator", "group"], maintain_order=True).agg(
        pl.col("met", "unmet", "unknown").sum()
    )
    frames = [
        (
            Bilingual("各县覆盖情况", "coverage_by_county"),
            _coverage(by_county, "county_code", withheld, language),
        ),
        (
            Bilingual("各乡镇覆盖情况", "coverage_by_township"),
            _coverage(result.coverage, "township_code", withheld, language),
        ),
        (Bilingual("各乡镇人口", "population_by_township"), _population(result, withheld, language)),
        (Bilingual("重点帮扶县排序", "key_counties"), _ranking(result, weights, withheld)),
    ]
    if not leaves_county:
        frames.append((Bilingual("数据缺口", "data_gaps"), result.gaps))
    return [ResultTable(name, frame, HEADERS) for name, frame in frames]


def shown_in_terminal(tables: Sequence[ResultTable]) -> list[ResultTable]:
    """Return coverage by county and the ranking without what takes room: targets, and ranks by factor."""
    wide = ("target", *(f"{name}_rank" for name in FACTORS))
    return [replace(one, frame=one.frame.drop(wide, strict=False)) for one in (tables[0], tables[3])]


def _coverage(
    frame: pl.DataFrame, place: str, withheld: Collection[Cell], language: Language
) -> pl.DataFrame:
    """Return coverage as it is printed: shares in per cent, rounded down so that 100 is said of all only."""
    targets = {one.key: _target(one.target, one.unit, language) for one in INDICATORS}
    state = (
        pl.when(pl.col("unmet") > 0)
        .then(pl.lit(_NOT_REACHED.text(language)))
        .when(pl.col("unknown") > 0)
        .then(pl.lit(_TO_CHECK.text(language)))
        .when(pl.col("known") == 0)
        .then(pl.lit(_NOBODY.text(language)))
        .otherwise(pl.lit(_REACHED.text(language)))
    )
    shown = with_shares(frame).with_columns(
        target=pl.col("indicator").replace_strict(targets),
        percent=(pl.col("share") * 10_000 + 1e-9).floor() / 100,
        state=state,
    )
    shown = _marked(
        shown, withheld, _COVERAGE, lambda row, name: (row["indicator"], row[place], row["group"], name)
    )
    if shown.schema["met"] == pl.String or shown.schema["known"] == pl.String:
        is_hidden = pl.any_horizontal(
            pl.col(name).cast(pl.String) == WITHHELD_MARK for name in ("met", "known")
        )
        text = pl.col("percent").cast(pl.String)
        shown = shown.with_columns(
            pl.when(is_hidden).then(pl.lit(WITHHELD_MARK)).otherwise(text).alias("percent")
        )
    places = [name for name in _TOWNSHIP if name in shown.columns]
    return shown.select(*places, "indicator", "group", "target", *_COVERAGE, "percent", "state").with_columns(
        pl.col("indicator").replace_strict({one.key: one.name.text(language) for one in INDICATORS}),
        pl.col("group").replace_strict({name: text.text(language) for name, text in GROUPS.items()}),
    )


def _target(target: Bilingual, unit: Unit, language: Language) -> str:
    counted = Bilingual("人", "people") if unit is Unit.PERSONS else Bilingual("户", "households")
    return f"{target.zh}，按{counted.zh}计" if language == "zh" else f"{target.en}, in {counted.en}"


def _population(result: RollUp, withheld: Collection[Cell], language: Language) -> pl.DataFrame:
    """Return households and people by county and township and group."""
    keys = [*_COUNTY, "group"]
    total = result.population.group_by(keys, maintain_order=True).agg(pl.col("households", "people").sum())
    whole = Bilingual("全县", "whole county").text(language)
    total = total.with_columns(township_code=pl.lit(""), township_name=pl.lit(whole))
    frame = pl.concat([total.select(result.population.columns), result.population])
    shown = _marked(
        frame,
        withheld,
        ("households", "people"),
        lambda row, name: (name, row["township_code"] or row["county_code"], row["group"]),
    )
    return shown.with_columns(
        pl.col("group").replace_strict({name: text.text(language) for name, text in POPULATION.items()})
    )


def _ranking(result: RollUp, weights: Mapping[str, float] | None, withheld: Collection[Cell]) -> pl.DataFrame:
    """Return the ranking; where a count is withheld its rank, and what is added up from it, is too."""
    ranked = rank_counties(result.counties, weights)

    def cell_of(row: Mapping[str, object], name: str) -> Cell:
        if name in ("rank_sum", "rank"):
            return next(
                (cell for factor in FACTORS if (cell := cell_of(row, factor)) in withheld),
                (name, row["county_code"]),
            )
        group = name.removesuffix("_rank").removesuffix("_people")
        return "people", row["county_code"], group

    names = [name for name in ranked.columns if name not in _COUNTY]
    return _marked(ranked, withheld, names, cell_of)


def _marked(
    frame: pl.DataFrame,
    withheld: Collection[Cell],
    columns: Sequence[str],
    cell_of: Callable[[Mapping[str, object], str], Cell],
) -> pl.DataFrame:
    """Return a frame with the mark in place of what is withheld; columns without any stay numbers."""
    rows = frame.to_dicts()
    for name in columns:
        hidden = [cell_of(row, name) in withheld for row in rows]
        if any(hidden):
            text = frame[name].cast(pl.String)
            frame = frame.with_columns(
                pl.Series(
                    name, [WITHHELD_MARK if hide else cell for hide, cell in zip(hidden, text, strict=True)]
                )
            )
    return frame


def roll_up_note(
    result: RollUp,
    language: Language,
    weights: Mapping[str, float] | None = None,
    *,
    leaves_county: bool = False,
) -> list[str]:
    """Return what to know before reading a roll-up."""
    members, people = (
        int(result.gaps[name].sum()) for name in ("households_without_members", "households_without_people")
    )
    named = [f"{FACTORS[name].text(language)} ×{weight:g}" for name, weight in (weights or {}).items()]
    weighed = ", ".join(named) or Bilingual("各因素权重相同", "all weigh the same").text(language)
    lines = [
        Bilingual(
            f"数据截至{result.as_of_date}。人数取在户成员数，无成员信息的户取最近上报家庭人口。",
            f"Data as of {result.as_of_date}. People are present members, or the persons last reported where "
            "a household has no members on record.",
        ),
        Bilingual(
            "覆盖率=已落实÷已知；未知不计入分子和分母，既不算已落实，"
            "也不算未落实。口径与规则R11—R14一致；身体原因或已毕业的学龄儿童不计入。",
            "Coverage is covered over known; what is not known is in neither. It says the same as rules R11 "
            "to R14; children unfit to study or graduated are left out.",
        ),
        Bilingual(
            "低收入户：低保、特困、低保边缘、刚性支出困难，以及在册监测户。",
            "Low-income: 低保, 特困, 低保边缘, 刚性支出困难, and households on the register.",
        ),
        Bilingual(
            f"重点帮扶县按各因素规模位次之和排序（{weighed}，为建议做法，"
            "实施意见未规定合成方法）；仅反映帮扶需要，不评价任何单位和个人。",
            f"Key counties are ordered by the sum of ranks by size ({weighed}; a proposed default, the "
            "opinion names no way to combine). It ranks need, nobody's work.",
        ),
    ]
    if leaves_county:
        lines.append(
            Bilingual(
                f"“*”为不公布：1至{THRESHOLD - 1}的数、不足{THRESHOLD}户的人数，"
                f"以及可据以推算的数。任何不公布的数至少有{WIDTH + 1}种可能。0照常公布。",
                f"* is withheld: counts from 1 to {THRESHOLD - 1}, people of fewer than {THRESHOLD} "
                f"households, and what would give them away. Each leaves {WIDTH + 1} possible values or "
                "more. 0 is printed.",
            )
        )
        return [line.text(language) for line in lines]
    if members or people:
        lines.append(
            Bilingual(
                f"{members}户无成员信息，其学龄儿童只计上报的辍学人数；{people}户人口未知，不计人数。",
                f"{members} households have no members on record: of their children only reported dropouts "
                f"are counted; {people} have no known size and count no people.",
            )
        )
    lines.append(
        Bilingual(
            "表中含少于5的数，仅供县内使用；对外提供请用 --leaves-county 重新生成。",
            "Tables hold counts under 5: for use inside the county; --leaves-county makes those to hand out.",
        )
    )
    return [line.text(language) for line in lines]


def roll_up_files(
    tables: Sequence[ResultTable], note: Sequence[str], language: Language
) -> list[tuple[str, bytes]]:
    """Return the files of a roll-up: note, CSVs and workbook."""
    return table_files(TITLE, tables, note, language)
