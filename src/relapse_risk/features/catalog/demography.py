"""Size and age of the household, its children and elders, schooling."""

from __future__ import annotations

from relapse_risk.features.expression import feature
from relapse_risk.features.operators import (
    at_least,
    below,
    household,
    household_is,
    household_months_since,
    is_in,
    is_true,
    last,
    mean_over,
    member_max,
    members,
)
from relapse_risk.features.spec import Feature, Missing
from relapse_risk.vocabulary import Bilingual, Direction, HouseholdType, Unit

_CHILD_AGE, _ELDER_AGE = 16, 60

HOUSEHOLD_SIZE = Feature(
    "household_size",
    "家庭人口",
    "persons in the household",
    Unit.PERSONS,
    "demography",
    last("n_person").or_else(members()),
)
SIZE_CHANGE_12M = Feature(
    "size_change_12m",
    "家庭人口较上年变化",
    "change of persons on the mean of the 12 months a year before",
    Unit.PERSONS,
    "demography",
    last("n_person") - mean_over("n_person", 12, ago=12),
)
CHILD_N = Feature(
    "child_n",
    "16岁以下人数",
    "members below 16",
    Unit.PERSONS,
    "demography",
    members(below("age", _CHILD_AGE)),
)
ELDER_N = Feature(
    "elder_n",
    "60岁及以上人数",
    "members of 60 and more",
    Unit.PERSONS,
    "demography",
    members(at_least("age", _ELDER_AGE)),
)
DEPENDENT_SHARE = Feature(
    "dependent_share",
    "被抚养人口占比",
    "share of members below 16 or of 60 and more",
    Unit.SHARE,
    "demography",
    (feature("child_n") + feature("elder_n")) / members(),
    reason=Bilingual(
        "家庭人口中16岁以下和60岁及以上占{value}%，抚养负担重",
        "{value}% of the household are below 16 or 60 and older",
    ),
    reason_when=feature("dependent_share") >= 0.6,
    to_verify=Bilingual("核实赡养、抚养情况", "Check who supports children and elders"),
)
HAS_ELDER_ALONE = Feature(
    "has_elder_alone",
    "有独居老人",
    "an elder living alone",
    Unit.FLAG,
    "demography",
    feature("elder_alone_n") >= 1,
    reason=Bilingual("有独居老人", "an elder lives alone"),
    reason_when=feature("has_elder_alone") >= 1,
    to_verify=Bilingual("核实生活照料和子女赡养", "Check daily care and support by children"),
)
SPECIAL_CHILD_N = Feature(
    "special_child_n",
    "留守、困境、孤儿或事实无人抚养儿童数",
    "left-behind children, children in difficulty, orphans",
    Unit.PERSONS,
    "demography",
    members(is_true("left_behind_child") | is_true("child_difficulty") | is_true("orphan_defacto")),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "{value}名留守、困境儿童或孤儿", "{value} children left behind, in difficulty or orphaned"
    ),
    reason_when=feature("special_child_n") >= 1,
    to_verify=Bilingual("核实监护人和儿童保障", "Check the guardian and child welfare"),
)
STUDENT_N = Feature(
    "student_n",
    "高中及以上在校生数",
    "students beyond compulsory schooling",
    Unit.PERSONS,
    "demography",
    members(is_in("school_status", "高中或中职", "大专及以上")),
    reason=Bilingual("{value}名非义务教育阶段在校生", "{value} students beyond compulsory schooling"),
    reason_when=feature("student_n") >= 1,
    to_verify=Bilingual("核实学费和资助", "Check fees and student aid"),
)
MAX_EDUCATION = Feature(
    "max_education",
    "家庭最高文化程度（1文盲或半文盲—5大专及以上）",
    "highest education in the household (1 none to 5 college)",
    Unit.LEVEL,
    "demography",
    member_max("education"),
    Direction.LOWERS_RISK,
)
HEAD_AGE = Feature(
    "head_age",
    "户主年龄",
    "age of the head of household",
    Unit.YEARS,
    "demography",
    member_max("age", is_in("relation", "户主")),
)
IS_LIFTED = Feature(
    "is_lifted",
    "脱贫户",
    "lifted out of poverty",
    Unit.FLAG,
    "demography",
    household_is("household_type", HouseholdType.LIFTED),
)
YEARS_SINCE_LIFTED = Feature(
    "years_since_lifted",
    "脱贫年数",
    "years since lifted out of poverty",
    Unit.YEARS,
    "demography",
    household_months_since("lifted_year") / 12,
    missing=Missing.NOT_APPLICABLE,
)
VILLAGE_IS_LIFTED = Feature(
    "village_is_lifted",
    "所在村为脱贫村",
    "the village was lifted out of poverty",
    Unit.FLAG,
    "demography",
    household("village_is_lifted"),
)

DEMOGRAPHY: tuple[Feature, ...] = (
    HOUSEHOLD_SIZE,
    SIZE_CHANGE_12M,
    CHILD_N,
    ELDER_N,
    DEPENDENT_SHARE,
    HAS_ELDER_ALONE,
    SPECIAL_CHILD_N,
    STUDENT_N,
    MAX_EDUCATION,
    HEAD_AGE,
    IS_LIFTED,
    YEARS_SINCE_LIFTED,
    VILLAGE_IS_LIFTED,
)
