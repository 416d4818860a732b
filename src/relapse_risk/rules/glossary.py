"""What the rules mean by their words, said once: ``docs/glossary.md`` is made from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relapse_risk.features.catalog import CATALOG
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.catalog.clearance import CLEARANCE_CHECKS
from relapse_risk.rules.catalog.records import RECORD_CHECKS
from relapse_risk.rules.spec import Check, Rule
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.vocabulary import Bilingual


@dataclass(frozen=True, slots=True)
class Term:
    """One word of the rules.

    Attributes
    ----------
    name : Bilingual
    meaning : Bilingual
    stands_for : tuple of str
        Features, parameters and rules that are computed by it.
    """

    name: Bilingual
    meaning: Bilingual
    stands_for: tuple[str, ...]


GLOSSARY: tuple[Term, ...] = (
    Term(
        Bilingual("三值", "three values"),
        Bilingual(
            "每条规则对每户只有命中、未触发、无法判断三种结果。缺数据是无法判断，绝不是未触发；"
            "已知部分足以命中的，仍是命中。",
            "A rule is a hit, no hit, or cannot be judged. Missing data cannot be judged and is never "
            "no hit; a "
            "hit that what is known already makes sure stays a hit.",
        ),
        (),
    ),
    Term(
        Bilingual("监测线", "monitoring line"),
        Bilingual(
            "所在县在数据截止日有效的数值，元/人·年。无有效数值时，相关规则无法判断，训练拒绝进行。"
            "等于监测线不算低于。",
            "The value in force for the household's county on the as-of date, yuan per person and "
            "year. Without "
            "one the rules that need it cannot be judged and training refuses. At the line is not below it.",
        ),
        ("line",),
    ),
    Term(
        Bilingual("参数的层次", "layers of parameters"),
        Bilingual(
            "随软件的阈值表在最下，县里自己的文件（relapse.toml 的 thresholds）在上，数据仓的阈值表再上；"
            "上年农村居民人均可支配收入和低保标准以县月度表为准。同层以最长的地区代码为准；同层重叠是错误。",
            "The shipped table lies lowest, the county's own file (`thresholds` in relapse.toml) over "
            "it, then the "
            "store's table; county_month beats all for provincial income and allowance standard. "
            "Within a layer "
            "the longest area code wins; an overlap within a layer is an error.",
        ),
        ("line", "rural_dpi_prev", "dibao_standard"),
    ),
    Term(
        Bilingual("监测参考收入", "reference income"),
        Bilingual(
            "近12个月（家庭纯收入 + 理赔收入 − 合规自付支出）÷ 家庭人口。与监测线比较的就是它。",
            "(Net income + claims − compliant own-pay) of 12 months, per person. It is what is held "
            "against the line.",
        ),
        ("ref_income_pc_12m", "ref_income_to_line", "R01", "R02"),
    ),
    Term(
        Bilingual("比例所用收入", "income for ratios"),
        Bilingual(
            "近12个月家庭纯收入（R04 用上年同期）。不为正数时，比例没有意义，无法判断。",
            "Household net income of 12 months (R04: of the 12 before). Where it is not positive a "
            "ratio says "
            "nothing, and the rule cannot be judged.",
        ),
        ("net_income_12m_yuan", "net_income_prior_12m_yuan", "R04", "R05", "R15", "R16", "R19", "R23", "R32"),
    ),
    Term(
        Bilingual("刚性支出（rigid_12m）", "rigid spending (rigid_12m)"),
        Bilingual(
            "近12个月合规自付医疗费 + 教育自付 + 康复自付 + 住房支出 + 灾害和意外损失。有一部分上报时，"
            "其余空白部分按零计；"
            "损失不明时，已知部分达到比例仍为命中，未达到则无法判断。",
            "Own-pay medical + education + rehabilitation + housing + losses by disaster and accident, of 12 "
            "months. Where some part was reported, empty parts count as none; where losses are not "
            "known, what is "
            "known may make a hit but never a no hit.",
        ),
        ("rigid_12m_yuan", "loss_12m_yuan", "R04", "R05"),
    ),
    Term(
        Bilingual("扣自付后低于监测线", "below the line after own-pay"),
        Bilingual(
            "人均纯收入不低于监测线而监测参考收入低于监测线。此时 R01 或 R02 必然同时命中。",
            "Net income a person reaches the line and reference income does not. R01 or R02 is then a "
            "hit too.",
        ),
        ("R06", "R01", "R02"),
    ),
    Term(
        Bilingual("拟核实类别", "candidate category"),
        Bilingual(
            "只对未在册户。先看脱贫不稳定户（脱贫户）、边缘易致贫户（一般户）；"
            "监测参考收入本身不低于监测线的，才是突发严重困难户。"
            "收入不明时按户类型。只是线索，是否纳入由民主评议、公开公示、乡级审核、县级确定决定。",
            "For households outside the register only. Unstable (lifted) or marginal (ordinary) come "
            "first; sudden "
            "severe hardship is for those whose reference income itself reaches the line. Where income "
            "is not "
            "known the household type decides. It is a lead: review, publicity, township and county decide.",
        ),
        ("R01", "R02", "R03", "R04", "R05", "R06", "R07", "R08", "R15", "R16", "R17", "R21", "R33"),
    ),
    Term(
        Bilingual("在册、已消除", "on the register, cleared"),
        Bilingual(
            "在册：监测对象类别为三类之一且风险未消除。已消除：风险是否已消除为是；此后视同未在册，"
            "可再次成为拟核实对象。",
            "On the register: one of the three categories, risk not cleared. Cleared: the risk is "
            "marked as cleared; "
            "the household is outside the register again and can be a candidate again.",
        ),
        ("is_registered", "is_cleared"),
    ),
    Term(
        Bilingual("稳定（消除用）", "stable (for clearance)"),
        Bilingual(
            "最近两个季度末（本期末和3个月前）分别计算的近12个月人均监测参考收入，都不低于现行监测线。",
            "Reference income of 12 months, counted at the ends of the last two quarters (now and "
            "three months "
            "before), is not below today's line either time.",
        ),
        ("ref_income_pc_12m", "ref_income_pc_12m_3m_ago", "R32"),
    ),
    Term(
        Bilingual("整户无劳动能力与消除", "no labour capacity and clearance"),
        Bilingual(
            "整户无劳动能力的，落实兜底保障后暂不标注消除。",
            "Where nobody can work, safeguards are put in place and the risk is not marked as cleared.",
        ),
        ("all_no_labour", "R32"),
    ),
    Term(
        Bilingual("消除后回头看", "looking again after clearance"),
        Bilingual(
            "已消除户再次命中 R01 至 R18 中任何一条。它读取其他规则的结果，最后运行。R27、R36 等不在其列。",
            "A cleared household that is a hit of any of R01 to R18. It reads what the other rules "
            "said and runs "
            "after them. R27, R36 and others are not among them.",
        ),
        ("R33", "days_since_clearance", "months_since_cleared"),
    ),
    Term(
        Bilingual("失学辍学的例外", "who is not out of school"),
        Bilingual(
            "6至15周岁不在校者，因身体原因或已毕业的除外；满6周岁仍在学前的除外，满7周岁仍在学前算不在校。",
            "Of children aged 6 to 15 out of school, those unfit to study and those who have graduated "
            "are exempt; a "
            "child of six may still be in preschool, a child of seven in preschool counts as out of school.",
        ),
        ("school_age_absent_n", "school_age_excused_n", "R12"),
    ),
    Term(
        Bilingual("措施落实时限的起点", "when the limit for measures starts"),
        Bilingual(
            "从认定流程的县级确定日期起算，不从识别年月起算。",
            "It counts from the county's decision (workflow.county_on), not from the month of "
            "identification.",
        ),
        ("days_since_inclusion", "R29"),
    ),
    Term(
        Bilingual("认定时限", "limit for a case"),
        Bilingual(
            "从发现日期到县级确定。到期前若干天就命中，以便按时办结；到期和超期天数见时限表。",
            "From discovery to the county's decision. It is a hit some days before the limit, so that "
            "it can be kept; "
            "the timer says how many days are left.",
        ),
        ("open_case_days", "R28"),
    ),
    Term(
        Bilingual("因病预警的自付", "own-pay of the medical alert"),
        Bilingual(
            "一名成员在数据截止日所在自然年的自付医疗费合计，与上年全省农村居民人均可支配收入相比。",
            "What one member paid in the calendar year of the as-of date, against last year's "
            "provincial rural "
            "income per head.",
        ),
        ("member_oop_ytd_max_yuan", "rural_dpi_prev", "R07", "R08"),
    ),
    Term(
        Bilingual("劳动力伤亡", "an earner hurt"),
        Bilingual(
            "意外事件的成员在岗、离岗，或属技能、普通劳动力且不在校，伤情为中、重或死亡；轻伤不算。"
            "不知是谁或伤情不明时无法判断。",
            "The accident's member works, has left a job, or has full labour capacity and is no "
            "student, and the "
            "injury is moderate, grave or death; a light one does not count. Where nobody knows who "
            "was hurt, or "
            "how badly, it cannot be judged.",
        ),
        ("accident_earner_n", "R16"),
    ),
    Term(
        Bilingual("两不愁", "food and clothing"),
        Bilingual(
            "监测记录“不愁吃穿”为否即命中，按“三保障”类处理。",
            "A hit where the monitoring record says that food or clothing is short; treated as a guarantee.",
        ),
        ("food_clothing_ok", "R36"),
    ),
    Term(
        Bilingual("应享未享", "benefit not received"),
        Bilingual(
            "参保资助、养老保险代缴：在册户、低保户、特困户的全体成员，以及其他户中本人享受低保、特困的成员。"
            "养老保险代缴只看16至59周岁、不在校的成员。命中时写明是哪一项。",
            "Premium subsidy and pension premium: all members of households on the register or with an "
            "allowance, and "
            "members of others who have an allowance of their own. The pension counts members of 16 to "
            "59 who are "
            "no students. A hit names the benefit.",
        ),
        ("R34", "premium_unsubsidised_n", "pension_unpaid_n"),
    ),
    Term(
        Bilingual("关注类规则的升级", "watch rules that may lead further"),
        Bilingual(
            "务工不稳（R18）、产业失败（R26）是关注类；入户核实后收入确低于监测线的，由 R01、R02 "
            "转为拟核实对象。",
            "Unstable work (R18) and a failing business (R26) are watch rules; where the visit finds "
            "income below the "
            "line, R01 and R02 make the household a candidate.",
        ),
        ("R18", "R26"),
    ),
    Term(
        Bilingual("未启用的规则", "rules that are off"),
        Bilingual(
            "R09 随软件不启用：其参数没有数值。县里给出两个数值后，从生效日起启用。未启用不算命中，"
            "也不算数据缺口，统计中单列。",
            "R09 is shipped off: its parameters have no value. A county that gives both turns it on "
            "from the day they "
            "are in force. Off is neither a hit nor a data gap, and is counted apart.",
        ),
        ("R09", "R09.registered_yuan", "R09.other_yuan"),
    ),
    Term(
        Bilingual("劳动能力分类", "labour class"),
        Bilingual(
            "有：至少一名技能或普通劳动力，满16周岁且不在校；弱：没有前者而有弱劳动力或半劳动力；无："
            "都没有。",
            "Able: at least one member of full capacity, of 16 years or more and no student; weak: "
            "none of these but "
            "one of weak or half capacity; none: neither.",
        ),
        ("able_labour_n", "weak_labour_n", "all_no_labour"),
    ),
)


def glossary_page() -> str:
    """Return the glossary as a page in Chinese and English."""
    lines = [
        "# 规则用语 · Glossary of the rules",
        "",
        "由 `docs/make_rule_pages.py` 从代码生成，请勿手改。Made from the code; do not edit.",
        "",
    ]
    for term in GLOSSARY:
        lines += [f"## {term.name.zh} · {term.name.en}", "", term.meaning.zh, "", term.meaning.en, ""]
        if term.stands_for:
            lines += ["`" + "` `".join(term.stands_for) + "`", ""]
    lines += _checks("消除核查清单（R32）", "check list for clearance (R32)", CLEARANCE_CHECKS)
    lines += _checks("数据矛盾核查（R35）", "checks of the record (R35)", RECORD_CHECKS)
    return "\n".join(lines)


def rules_page(rules: Sequence[Rule] = RULES) -> str:
    """Return the rules as a page: category, parameters with their shipped values, timer, basis."""
    lines = [
        "# 监测规则 · Monitoring rules",
        "",
        "由 `docs/make_rule_pages.py` 从代码生成，请勿手改。Made from the code; do not edit.",
        "U 脱贫不稳定 · E 边缘易致贫 · S 突发严重困难 · G 保障 · W 关注 · P 程序 · Q 数据；* 未核实 "
        "not verified。",
        "",
        "| 规则 | name | 类 | 参数 parameters | 时限 timer | 依据 basis |",
        "|---|---|---|---|---|---|",
    ]
    shipped = {row.param: row for row in ThresholdTable.shipped().layers[0] if row.area == "*"}
    for rule in rules:
        told = []
        for name in rule.params:
            row = shipped.get(name)
            value = "–" if row is None or row.value is None else f"{row.value:g}"
            told.append(f"{name} = {value}{'' if row is not None and row.verified else '*'}")
        timer = "✓" if rule.days_left is not None else ""
        cells = (rule.name(), rule.en, rule.category, "<br>".join(told), timer, rule.basis.zh)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def unknown_names() -> tuple[str, ...]:
    """Return what the glossary names and the catalogues do not have; empty where all is well."""
    known = {*CATALOG.names, *ThresholdTable.shipped().params, *(rule.code for rule in RULES)}
    return tuple(name for term in GLOSSARY for name in term.stands_for if name not in known)


def _checks(zh: str, en: str, checks: Sequence[Check]) -> list[str]:
    rows = [f"| `{check.key}` | {check.zh} | {check.en} |" for check in checks]
    return [f"## {zh} · {en}", "", "| 项目 item | 名称 | name |", "|---|---|---|", *rows, ""]
