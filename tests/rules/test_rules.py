"""Every rule: one household that hits, one that does not, one that can't be judged, and the limit itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from relapse_risk.errors import ContractError
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.expression import FeatureRef, parameters_in
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.apply import apply_rules, describe_gaps, missing_fields, summarise
from relapse_risk.rules.catalog import RULES, list_rules
from relapse_risk.rules.measures import measures_table
from relapse_risk.rules.phrases import hit_phrases
from relapse_risk.rules.spec import Rule
from relapse_risk.scores import CANNOT_JUDGE, HIT, NO_HIT, RuleHits
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.vocabulary import Language

Values = dict[str, float]
MakeMatrix = Callable[..., FeatureMatrix]
RULE = {rule.code: rule for rule in RULES}

LIFTED: Values = {"is_lifted": 1}
ORDINARY: Values = {"is_lifted": 0, "is_registered": 0}
INCLUDED: Values = {
    "is_registered": 1,
    "active_measure_n": 0,
    "measure_started_n": 0,
    "days_since_inclusion": 40,
}
NO_LOSS: Values = {"loss_12m_yuan": 0}
ACCIDENT: Values = {
    "accident_12m": 1,
    "accident_unvalued_n": 0,
    "accident_earner_n": 0,
    "accident_loss_12m_yuan": 8000,
    "net_income_12m_yuan": 40000,
}
# Everything about a registered household that may be looked at for clearance.
CLEARABLE: Values = {
    "is_registered": 1,
    "months_since_identified": 8,
    "ref_income_pc_12m": 9000,
    "ref_income_pc_12m_3m_ago": 8500,
    "rigid_12m_yuan": 2000,
    "loss_12m_yuan": 0,
    "net_income_12m_yuan": 40000,
    "oop_rise_6m_yuan": 0,
    "uninsured_n": 0,
    "school_age_absent_n": 0,
    "house_grade": 1,
    "water_safe": 1,
    "outage_days": 0,
    "food_clothing_ok": 1,
    "all_no_labour": 0,
}
# A cleared household of which no rule R01 to R18 says anything.
CLEARED: Values = {
    "is_cleared": 1,
    "months_since_cleared": 4,
    "is_lifted": 1,
    "is_registered": 0,
    "ref_income_pc_12m": 20000,
    "net_income_pc_12m": 20000,
    "income_yoy_change_share": 0,
    "rigid_12m_yuan": 0,
    "loss_12m_yuan": 0,
    "net_income_12m_yuan": 60000,
    "net_income_prior_12m_yuan": 60000,
    "member_oop_ytd_max_yuan": 0,
    "max_stay_oop_yuan": 0,
    "major_diagnosis_n": 0,
    "uninsured_n": 0,
    "school_age_absent_n": 0,
    "house_grade": 1,
    "water_safe": 1,
    "outage_days": 0,
    "disaster_n": 0,
    "accident_12m": 0,
    "epidemic_n": 0,
    "main_earner_is_idle": 0,
    "fewer_work_months": 0,
}
ENTITLED: Values = {
    "is_registered": 1,
    "is_allowance_household": 0,
    "premium_unsubsidised_n": 0,
    "premium_unsubsidised_allowance_n": 0,
    "pension_unpaid_n": 0,
    "pension_unpaid_allowance_n": 0,
}
# A registered household whose record agrees with itself.
RECORD: Values = {
    "is_registered": 1,
    "is_cleared": 0,
    "months_since_identified": 5,
    "measure_started_n": 2,
    "able_labour_n": 1,
    "active_safety_net_measure_n": 1,
    "active_other_measure_n": 1,
    "is_risk_ill": 1,
    "is_risk_disabled": 0,
    "is_risk_school": 0,
    "is_risk_house": 0,
    "is_risk_water": 0,
    "is_risk_labour": 0,
    "oop_12m_yuan": 4000,
    "major_ill_n": 1,
    "chronic_n": 0,
    "labour_share": 0.5,
    "health_measure_n": 1,
    "care_measure_n": 0,
    "school_measure_n": 0,
    "house_measure_n": 0,
    "water_measure_n": 0,
}
CLEARED_RECORD: Values = RECORD | {
    "is_registered": 0,
    "is_cleared": 1,
    "months_since_identified": 12,
    "months_since_cleared": 4,
    "income_to_line_at_clearance": 1.4,
}
DISASTER: Values = {
    "disaster_n": 1,
    "disaster_unvalued_n": 0,
    "disaster_house_damage_n": 0,
    "disaster_loss_12m_yuan": 8000,
    "net_income_12m_yuan": 40000,
}

# code: (hit, no hit, cannot judge)
CASES: dict[str, tuple[Values, Values, Values]] = {
    "R01": (LIFTED | {"ref_income_pc_12m": 7000}, LIFTED | {"ref_income_pc_12m": 9000}, LIFTED),
    "R02": (ORDINARY | {"ref_income_pc_12m": 7000}, LIFTED | {"ref_income_pc_12m": 7000}, ORDINARY),
    "R03": (
        {"ref_income_pc_12m": 9000, "income_yoy_change_share": -0.4},
        {"ref_income_pc_12m": 7000, "income_yoy_change_share": -0.4},
        {"ref_income_pc_12m": 9000},
    ),
    "R04": (
        {"rigid_12m_yuan": 50000, "net_income_prior_12m_yuan": 40000},
        NO_LOSS | {"rigid_12m_yuan": 10000, "net_income_prior_12m_yuan": 40000},
        NO_LOSS | {"rigid_12m_yuan": 10000, "net_income_prior_12m_yuan": -1},
    ),
    "R05": (
        {"rigid_12m_yuan": 30000, "net_income_12m_yuan": 40000},
        NO_LOSS | {"rigid_12m_yuan": 10000, "net_income_12m_yuan": 40000},
        NO_LOSS | {"rigid_12m_yuan": 10000, "net_income_12m_yuan": 0},
    ),
    "R06": (
        {"net_income_pc_12m": 8000, "ref_income_pc_12m": 7000},
        {"net_income_pc_12m": 7000, "ref_income_pc_12m": 6000},
        {"net_income_pc_12m": 8000},
    ),
    "R07": (LIFTED | {"member_oop_ytd_max_yuan": 10000}, LIFTED | {"member_oop_ytd_max_yuan": 5000}, LIFTED),
    "R08": (
        ORDINARY | {"member_oop_ytd_max_yuan": 20000},
        ORDINARY | {"member_oop_ytd_max_yuan": 10000},
        ORDINARY,
    ),
    "R09": (
        ORDINARY | {"max_stay_oop_yuan": 12000},
        ORDINARY | {"max_stay_oop_yuan": 8000},
        {"is_registered": 1},
    ),
    "R10": ({"major_diagnosis_n": 1, "days_since_major_diagnosis": 10}, {"major_diagnosis_n": 0}, {}),
    "R11": ({"uninsured_n": 0, "uninsured_member_n": 2}, {"uninsured_n": 0}, {}),
    "R12": ({"school_age_absent_n": 1}, {"dropout_n": 1, "school_age_excused_n": 1}, {}),
    "R13": ({"house_grade": 4}, {"house_grade": 2}, {}),
    "R14": ({"water_safe": 0}, {"water_safe": 1, "outage_days": 2}, {"water_safe": 1}),
    "R15": (
        DISASTER | {"disaster_loss_12m_yuan": 20000},
        DISASTER | {"disaster_loss_12m_yuan": 100},
        DISASTER | {"disaster_loss_12m_yuan": 100, "disaster_unvalued_n": 1},
    ),
    "R16": (
        ACCIDENT | {"accident_earner_n": 1},
        ACCIDENT | {"accident_loss_12m_yuan": 100},
        ACCIDENT | {"accident_loss_12m_yuan": 100, "accident_unvalued_n": 1},
    ),
    "R17": ({"epidemic_n": 1, "income_yoy_change_share": -0.3}, {"epidemic_n": 0}, {"epidemic_n": 1}),
    "R18": (
        {"main_earner_is_idle": 1, "idle_days": 90, "fewer_work_months": 0},
        {"main_earner_is_idle": 0, "fewer_work_months": 1},
        {"main_earner_is_idle": 0},
    ),
    "R19": (
        {
            "post_end_n": 1,
            "days_until_post_end": 30,
            "public_post_income_12m_yuan": 12000,
            "net_income_12m_yuan": 30000,
        },
        {"post_end_n": 0},
        {"post_end_n": 1, "days_until_post_end": 30, "net_income_12m_yuan": 30000},
    ),
    "R20": (
        {"severe_disabled_uncovered_n": 1, "major_ill_uncovered_n": 0, "net_income_pc_12m": 8000},
        {"severe_disabled_uncovered_n": 0, "major_ill_uncovered_n": 0},
        {"severe_disabled_uncovered_n": 1, "major_ill_uncovered_n": 0},
    ),
    "R21": ({"all_no_labour": 1, "has_dibao_or_tekun": 0}, {"all_no_labour": 0}, {"all_no_labour": 1}),
    "R22": (
        {"adl_dependent_n": 1},
        {"adl_dependent_n": 0, "orphan_n": 0, "elder_alone_n": 1, "elder_alone_max_age": 66},
        {"adl_dependent_n": 0, "orphan_n": 0},
    ),
    "R23": (
        {"credit_overdue_days": 90},
        {"credit_overdue_days": 0, "loan_owed_yuan": 0},
        {"credit_overdue_days": 0, "loan_owed_yuan": 20000},
    ),
    "R24": ({"noncompulsory_education_12m_yuan": 15000}, {"noncompulsory_education_12m_yuan": 0}, {}),
    "R25": (
        {"allowance_end_n": 1, "days_until_allowance_end": 30, "ref_income_pc_12m": 7500},
        {"allowance_end_n": 1, "days_until_allowance_end": 30, "ref_income_pc_12m": 12000},
        {"allowance_end_n": 1, "days_until_allowance_end": 30},
    ),
    "R26": (
        {"business_net_12m_yuan": -500},
        {"business_net_12m_yuan": 900, "business_net_prior_12m_yuan": 1000},
        {"business_net_12m_yuan": 900},
    ),
    "R27": ({"ref_income_pc_12m": 8000}, {"ref_income_pc_12m": 12000}, {}),
    "R28": (
        {"open_case_n": 1, "open_case_days": 20},
        {"open_case_n": 1, "open_case_days": 5},
        {"open_case_n": 1},
    ),
    "R29": (
        INCLUDED,
        INCLUDED | {"measure_started_n": 2, "days_since_measure_start": 10},
        {"is_registered": 1, "active_measure_n": 0, "measure_started_n": 0},
    ),
    "R30": (
        {
            "is_registered": 1,
            "able_labour_n": 2,
            "active_safety_net_measure_n": 1,
            "active_other_measure_n": 0,
        },
        {"is_registered": 0},
        {"is_registered": 1, "active_safety_net_measure_n": 1, "active_other_measure_n": 0},
    ),
    "R31": (
        LIFTED | {"is_registered": 0, "visit_n": 3, "days_since_visit": 60},
        LIFTED | {"is_registered": 0, "visit_n": 3, "days_since_visit": 3},
        LIFTED | {"is_registered": 0},
    ),
    "R32": (CLEARABLE, CLEARABLE | {"months_since_identified": 5}, CLEARABLE | {"oop_rise_6m_yuan": np.nan}),
    "R33": (CLEARED | {"house_grade": 4}, CLEARED, CLEARED | {"house_grade": np.nan}),
    "R34": (ENTITLED | {"premium_unsubsidised_n": 2}, ENTITLED, ENTITLED | {"pension_unpaid_n": np.nan}),
    "R35": (RECORD | {"health_measure_n": 0}, RECORD, RECORD | {"oop_12m_yuan": np.nan}),
    "R36": ({"food_clothing_ok": 0}, {"food_clothing_ok": 1}, {}),
}

# The limit itself, and what lies a step to either side.
LIMITS: list[tuple[str, Values, int]] = [
    ("R01", LIFTED | {"ref_income_pc_12m": 7300}, NO_HIT),
    ("R01", LIFTED | {"ref_income_pc_12m": 7299.99}, HIT),
    ("R01", ORDINARY | {"ref_income_pc_12m": 7000}, NO_HIT),
    ("R02", ORDINARY | {"ref_income_pc_12m": 7300}, NO_HIT),
    ("R02", ORDINARY | {"ref_income_pc_12m": 7299.99}, HIT),
    ("R03", {"ref_income_pc_12m": 7300, "income_yoy_change_share": (7300 - 10000) / 10000}, NO_HIT),
    ("R03", {"ref_income_pc_12m": 7700, "income_yoy_change_share": (7700 - 11000) / 11000}, HIT),
    ("R03", {"ref_income_pc_12m": 7300, "income_yoy_change_share": -0.3}, HIT),
    ("R03", {"ref_income_pc_12m": 7299, "income_yoy_change_share": -0.3}, NO_HIT),
    ("R04", {"rigid_12m_yuan": 40000, "net_income_prior_12m_yuan": 40000}, HIT),
    ("R04", NO_LOSS | {"rigid_12m_yuan": 39999, "net_income_prior_12m_yuan": 40000}, NO_HIT),
    ("R04", {"rigid_12m_yuan": 39999, "net_income_prior_12m_yuan": 40000}, CANNOT_JUDGE),
    ("R05", {"rigid_12m_yuan": 21000, "net_income_12m_yuan": 35000}, HIT),
    ("R05", NO_LOSS | {"rigid_12m_yuan": 20999, "net_income_12m_yuan": 35000}, NO_HIT),
    ("R05", {"rigid_12m_yuan": 20999, "net_income_12m_yuan": 35000}, CANNOT_JUDGE),
    ("R04", NO_LOSS | {"rigid_12m_yuan": 1, "net_income_prior_12m_yuan": 1}, HIT),
    ("R04", NO_LOSS | {"rigid_12m_yuan": 1, "net_income_prior_12m_yuan": -0.5}, CANNOT_JUDGE),
    ("R05", NO_LOSS | {"rigid_12m_yuan": 1, "net_income_12m_yuan": 1}, HIT),
    ("R05", NO_LOSS | {"rigid_12m_yuan": 1, "net_income_12m_yuan": -0.5}, CANNOT_JUDGE),
    ("R06", {"net_income_pc_12m": 7300, "ref_income_pc_12m": 7299}, HIT),
    ("R06", {"net_income_pc_12m": 7400, "ref_income_pc_12m": 7300}, NO_HIT),
    ("R07", LIFTED | {"member_oop_ytd_max_yuan": 9000}, NO_HIT),
    ("R07", {"is_lifted": 0, "is_registered": 1, "member_oop_ytd_max_yuan": 9001}, HIT),
    ("R07", ORDINARY | {"member_oop_ytd_max_yuan": 9001}, NO_HIT),
    ("R08", ORDINARY | {"member_oop_ytd_max_yuan": 18000}, NO_HIT),
    ("R08", ORDINARY | {"member_oop_ytd_max_yuan": 18001}, HIT),
    ("R08", LIFTED | {"member_oop_ytd_max_yuan": 18001}, NO_HIT),
    ("R09", ORDINARY | {"max_stay_oop_yuan": 10000}, NO_HIT),
    ("R09", ORDINARY | {"max_stay_oop_yuan": 10001}, HIT),
    ("R09", {"is_registered": 1, "max_stay_oop_yuan": 6000}, NO_HIT),
    ("R09", {"is_registered": 1, "max_stay_oop_yuan": 6001}, HIT),
    ("R10", {"major_diagnosis_n": 1, "days_since_major_diagnosis": 90}, HIT),
    ("R10", {"major_diagnosis_n": 1, "days_since_major_diagnosis": 91}, NO_HIT),
    ("R11", {"uninsured_n": 1, "uninsured_member_n": 0}, HIT),
    ("R11", {"uninsured_n": 1}, HIT),
    ("R11", {"uninsured_member_n": 0}, NO_HIT),
    ("R12", {"dropout_n": 2, "school_age_excused_n": 1, "school_age_absent_n": 0}, HIT),
    ("R12", {"dropout_n": 1}, HIT),
    ("R12", {"school_age_absent_n": 0}, NO_HIT),
    ("R13", {"house_grade": 3}, HIT),
    ("R14", {"water_safe": 1, "outage_days": 7}, HIT),
    ("R14", {"water_safe": 1, "outage_days": 6}, NO_HIT),
    ("R14", {"outage_days": 7}, HIT),
    ("R14", {"outage_days": 6}, CANNOT_JUDGE),
    ("R15", DISASTER, HIT),
    ("R15", DISASTER | {"disaster_loss_12m_yuan": 7999}, NO_HIT),
    ("R15", DISASTER | {"disaster_unvalued_n": 1}, HIT),
    ("R15", DISASTER | {"disaster_loss_12m_yuan": 0, "net_income_12m_yuan": -5}, NO_HIT),
    ("R15", DISASTER | {"net_income_12m_yuan": -5}, CANNOT_JUDGE),
    ("R15", DISASTER | {"disaster_loss_12m_yuan": 1, "net_income_12m_yuan": 1}, HIT),
    (
        "R15",
        DISASTER | {"disaster_loss_12m_yuan": 1, "net_income_12m_yuan": 1, "disaster_unvalued_n": 1},
        HIT,
    ),
    ("R15", DISASTER | {"disaster_loss_12m_yuan": 0, "disaster_unvalued_n": 1}, CANNOT_JUDGE),
    ("R15", DISASTER | {"disaster_loss_12m_yuan": 0.5, "net_income_12m_yuan": -0.5}, CANNOT_JUDGE),
    ("R15", {"disaster_n": 1, "disaster_house_damage_n": 1}, HIT),
    ("R15", {"disaster_n": 0}, NO_HIT),
    ("R16", ACCIDENT, HIT),
    ("R16", ACCIDENT | {"accident_loss_12m_yuan": 7999}, NO_HIT),
    ("R16", ACCIDENT | {"accident_unvalued_n": 1}, HIT),
    ("R16", ACCIDENT | {"net_income_12m_yuan": -5}, CANNOT_JUDGE),
    ("R16", ACCIDENT | {"net_income_12m_yuan": -5, "accident_earner_n": 1}, HIT),
    ("R16", {"accident_12m": 0}, NO_HIT),
    ("R17", {"epidemic_n": 1, "income_yoy_change_share": -0.2}, HIT),
    ("R17", {"epidemic_n": 1, "income_yoy_change_share": -0.19}, NO_HIT),
    ("R18", {"main_earner_is_idle": 1, "idle_days": 60}, HIT),
    ("R18", {"main_earner_is_idle": 1, "idle_days": 59, "fewer_work_months": 0}, NO_HIT),
    ("R18", {"fewer_work_months": 3}, HIT),
    ("R18", {"main_earner_is_idle": 0, "fewer_work_months": 2.9}, NO_HIT),
    ("R19", CASES["R19"][0] | {"days_until_post_end": 60, "public_post_income_12m_yuan": 7500}, HIT),
    ("R19", CASES["R19"][0] | {"days_until_post_end": 61}, NO_HIT),
    ("R19", CASES["R19"][0] | {"public_post_income_12m_yuan": 7499}, NO_HIT),
    ("R19", CASES["R19"][0] | {"net_income_12m_yuan": -0.5}, CANNOT_JUDGE),
    ("R19", CASES["R19"][0] | {"net_income_12m_yuan": 1}, HIT),
    ("R20", CASES["R20"][0] | {"net_income_pc_12m": 9000}, NO_HIT),
    ("R20", {"major_ill_uncovered_n": 1, "net_income_pc_12m": 8999}, HIT),
    ("R21", {"all_no_labour": 1, "has_dibao_or_tekun": 1}, NO_HIT),
    ("R22", {"elder_alone_n": 1, "elder_alone_max_age": 70}, HIT),
    ("R22", {"orphan_n": 1}, HIT),
    ("R22", {"adl_dependent_n": 0, "orphan_n": 0, "elder_alone_n": 1, "elder_alone_max_age": 69}, NO_HIT),
    ("R22", {"adl_dependent_n": 0, "orphan_n": 0, "elder_alone_n": 0}, NO_HIT),
    ("R23", {"credit_overdue_days": 30, "loan_owed_yuan": 100, "net_income_12m_yuan": 9000}, NO_HIT),
    ("R23", {"credit_overdue_days": 31}, HIT),
    ("R23", {"loan_owed_yuan": 4001, "net_income_12m_yuan": 10000}, HIT),
    ("R23", {"credit_overdue_days": 0, "loan_owed_yuan": 4000, "net_income_12m_yuan": 10000}, NO_HIT),
    ("R24", {"noncompulsory_education_12m_yuan": 10000}, HIT),
    ("R24", {"noncompulsory_education_12m_yuan": 9999}, NO_HIT),
    ("R25", CASES["R25"][0] | {"days_until_allowance_end": 90}, HIT),
    ("R25", CASES["R25"][0] | {"days_until_allowance_end": 91}, NO_HIT),
    ("R25", CASES["R25"][0] | {"ref_income_pc_12m": 8760}, NO_HIT),
    ("R25", {"allowance_end_n": 0}, NO_HIT),
    ("R26", {"business_net_12m_yuan": 0, "business_net_prior_12m_yuan": 0}, NO_HIT),
    ("R26", {"business_net_12m_yuan": 0, "business_net_prior_12m_yuan": 1}, HIT),
    ("R26", {"business_net_12m_yuan": -0.5, "business_net_prior_12m_yuan": 0}, HIT),
    ("R26", {"business_net_12m_yuan": 500, "business_net_prior_12m_yuan": 1000}, HIT),
    ("R26", {"business_net_12m_yuan": 501, "business_net_prior_12m_yuan": 1000}, NO_HIT),
    ("R27", {"ref_income_pc_12m": 7300}, HIT),
    ("R27", {"ref_income_pc_12m": 7299}, NO_HIT),
    ("R27", {"ref_income_pc_12m": 8760}, NO_HIT),
    ("R27", {"ref_income_pc_12m": 8759}, HIT),
    ("R28", {"open_case_n": 1, "open_case_days": 12}, HIT),
    ("R28", {"open_case_n": 1, "open_case_days": 11}, NO_HIT),
    ("R28", {"open_case_n": 0}, NO_HIT),
    ("R29", INCLUDED | {"days_since_inclusion": 30}, NO_HIT),
    ("R29", INCLUDED | {"days_since_inclusion": 31}, HIT),
    ("R29", INCLUDED | {"active_measure_n": 1}, NO_HIT),
    ("R29", INCLUDED | {"measure_started_n": 1, "days_since_measure_start": 400}, HIT),
    ("R29", INCLUDED | {"is_registered": 0}, NO_HIT),
    ("R29", INCLUDED | {"measure_started_n": 1, "days_since_measure_start": 40}, NO_HIT),
    ("R29", INCLUDED | {"measure_started_n": 1, "days_since_measure_start": 41}, HIT),
    ("R30", CASES["R30"][0] | {"active_other_measure_n": 1}, NO_HIT),
    ("R30", CASES["R30"][0] | {"able_labour_n": 0}, NO_HIT),
    ("R30", CASES["R30"][0] | {"active_safety_net_measure_n": 0}, NO_HIT),
    ("R32", CLEARABLE | {"months_since_identified": 6}, HIT),
    ("R32", CLEARABLE | {"ref_income_pc_12m": 7300, "ref_income_pc_12m_3m_ago": 7300}, HIT),
    ("R32", CLEARABLE | {"ref_income_pc_12m": 7299}, NO_HIT),
    ("R32", CLEARABLE | {"ref_income_pc_12m_3m_ago": 7299}, NO_HIT),
    ("R32", CLEARABLE | {"rigid_12m_yuan": 23999}, HIT),
    ("R32", CLEARABLE | {"rigid_12m_yuan": 24000}, NO_HIT),
    ("R32", CLEARABLE | {"rigid_12m_yuan": 0, "net_income_12m_yuan": 1}, HIT),
    ("R32", CLEARABLE | {"rigid_12m_yuan": 0, "net_income_12m_yuan": -0.5}, CANNOT_JUDGE),
    ("R32", CLEARABLE | {"loss_12m_yuan": np.nan}, CANNOT_JUDGE),
    ("R32", CLEARABLE | {"oop_rise_6m_yuan": 4000}, HIT),
    ("R32", CLEARABLE | {"oop_rise_6m_yuan": 4001}, NO_HIT),
    ("R32", CLEARABLE | {"net_income_12m_yuan": 0}, CANNOT_JUDGE),
    ("R32", CLEARABLE | {"uninsured_n": 1}, NO_HIT),
    ("R32", CLEARABLE | {"school_age_absent_n": 1}, NO_HIT),
    ("R32", CLEARABLE | {"house_grade": 3}, NO_HIT),
    ("R32", CLEARABLE | {"water_safe": 0}, NO_HIT),
    ("R32", CLEARABLE | {"food_clothing_ok": 0}, NO_HIT),
    ("R32", CLEARABLE | {"all_no_labour": 1}, NO_HIT),
    ("R32", CLEARABLE | {"is_registered": 0}, NO_HIT),
    ("R33", CLEARED | {"ref_income_pc_12m": 7299}, HIT),
    ("R33", CLEARED | {"max_stay_oop_yuan": 10001}, HIT),
    ("R33", CLEARED | {"fewer_work_months": 3}, HIT),
    ("R33", CLEARED | {"adl_dependent_n": 1, "food_clothing_ok": 0}, NO_HIT),
    ("R33", CLEARED | {"is_cleared": 0, "house_grade": 4}, NO_HIT),
    ("R34", ENTITLED | {"pension_unpaid_n": 1}, HIT),
    ("R34", ENTITLED | {"is_registered": 0, "premium_unsubsidised_n": 3, "pension_unpaid_n": 2}, NO_HIT),
    ("R34", ENTITLED | {"is_registered": 0, "is_allowance_household": 1, "pension_unpaid_n": 1}, HIT),
    ("R34", ENTITLED | {"is_registered": 0, "premium_unsubsidised_allowance_n": 1}, HIT),
    ("R34", ENTITLED | {"is_registered": 0, "pension_unpaid_allowance_n": 1}, HIT),
    ("R35", {"is_registered": 0, "is_cleared": 0}, NO_HIT),
    ("R35", CLEARED_RECORD, NO_HIT),
    ("R35", CLEARED_RECORD | {"months_since_identified": 9}, HIT),
    ("R35", CLEARED_RECORD | {"months_since_identified": 10}, NO_HIT),
    ("R35", CLEARED_RECORD | {"income_to_line_at_clearance": 0.99}, HIT),
    ("R35", CLEARED_RECORD | {"income_to_line_at_clearance": 1}, NO_HIT),
    ("R35", CLEARED_RECORD | {"income_to_line_at_clearance": np.nan}, CANNOT_JUDGE),
    (
        "R35",
        CLEARED_RECORD
        | {"months_since_identified": 20, "months_since_cleared": 7, "income_to_line_at_clearance": 0.5},
        NO_HIT,
    ),
    (
        "R35",
        CLEARED_RECORD
        | {"months_since_identified": 20, "months_since_cleared": 6, "income_to_line_at_clearance": 0.5},
        HIT,
    ),
    ("R35", RECORD | {"measure_started_n": 0, "months_since_identified": 1}, NO_HIT),
    ("R35", RECORD | {"measure_started_n": 0, "months_since_identified": 2}, HIT),
    ("R35", RECORD | {"active_other_measure_n": 0}, HIT),
    ("R35", RECORD | {"active_other_measure_n": 0, "able_labour_n": 0}, NO_HIT),
    ("R35", RECORD | {"active_other_measure_n": 0, "active_safety_net_measure_n": 0}, NO_HIT),
    ("R35", RECORD | {"oop_12m_yuan": 0}, HIT),
    ("R35", RECORD | {"oop_12m_yuan": 1}, NO_HIT),
    ("R35", RECORD | {"oop_12m_yuan": 0, "is_risk_ill": 0}, NO_HIT),
    ("R35", RECORD | {"major_ill_n": 0}, HIT),
    ("R35", RECORD | {"major_ill_n": 0, "chronic_n": 1}, NO_HIT),
    ("R35", RECORD | {"is_risk_labour": 1, "labour_share": 0.25}, HIT),
    ("R35", RECORD | {"is_risk_labour": 1, "labour_share": 0.24}, NO_HIT),
    ("R35", RECORD | {"is_risk_disabled": 1}, HIT),
    ("R35", RECORD | {"is_risk_disabled": 1, "care_measure_n": 1}, NO_HIT),
    ("R35", RECORD | {"is_risk_school": 1}, HIT),
    ("R35", RECORD | {"is_risk_school": 1, "school_measure_n": 1}, NO_HIT),
    ("R35", RECORD | {"is_risk_house": 1}, HIT),
    ("R35", RECORD | {"is_risk_house": 1, "house_measure_n": 1}, NO_HIT),
    ("R35", RECORD | {"is_risk_water": 1}, HIT),
    ("R35", RECORD | {"is_risk_water": 1, "water_measure_n": 1}, NO_HIT),
    ("R31", LIFTED | {"is_registered": 0, "visit_n": 1, "days_since_visit": 31}, NO_HIT),
    ("R31", LIFTED | {"is_registered": 0, "visit_n": 1, "days_since_visit": 32}, HIT),
    ("R31", LIFTED | {"is_registered": 0, "visit_n": 0}, HIT),
    ("R31", ORDINARY | {"visit_n": 0}, NO_HIT),
    ("R31", ORDINARY | {"is_registered": 1, "visit_n": 0}, HIT),
]


def state_of(make_matrix: MakeMatrix, code: str, values: Values, **options: object) -> int:
    return int(apply_rules(make_matrix([values], **options)).state(code)[0])


def test_every_rule_has_its_cases() -> None:
    """A new rule can't come without a hit, a non-hit and a case that can't be judged."""
    assert list(CASES) == [rule.code for rule in RULES]
    assert {code for code, *_ in LIMITS} | {"R36"} == set(CASES)


@pytest.fixture(scope="module")
def case_hits(make_matrix: MakeMatrix) -> RuleHits:
    """All rows of all cases, three a rule, judged in one call."""
    return apply_rules(make_matrix([case for cases in CASES.values() for case in cases]))


@pytest.fixture(scope="module")
def limit_hits(make_matrix: MakeMatrix) -> RuleHits:
    """The rows of all limits, judged in one call."""
    return apply_rules(make_matrix([values for _, values, _ in LIMITS]))


@pytest.mark.parametrize("code", CASES)
def test_hit_no_hit_and_cannot_judge(case_hits: RuleHits, code: str) -> None:
    first = 3 * list(CASES).index(code)
    assert case_hits.state(code)[first : first + 3].tolist() == [HIT, NO_HIT, CANNOT_JUDGE]


@pytest.mark.parametrize("row", range(len(LIMITS)), ids=[f"{code}-{values}" for code, values, _ in LIMITS])
def test_limit(limit_hits: RuleHits, row: int) -> None:
    code, _, expected = LIMITS[row]
    assert limit_hits.state(code)[row] == expected


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_parameter_that_is_not_known_is_never_no_hit(make_matrix: MakeMatrix, rule: Rule) -> None:
    """A gap in the table of thresholds can't clear anybody; what another limit makes sure stays a hit."""
    has_another_way = rule.code in ("R14", "R16", "R18", "R22", "R23", "R26", "R35")
    allowed = {CANNOT_JUDGE, HIT} if has_another_way else {CANNOT_JUDGE}
    for param in () if rule.is_optional else parameters_in(rule.predicate):
        assert state_of(make_matrix, rule.code, CASES[rule.code][0], params={param: None}) in allowed


def test_nothing_known_is_never_no_hit(make_matrix: MakeMatrix) -> None:
    """A household without any data is a gap in every rule."""
    assert (apply_rules(make_matrix([{}])).states == CANNOT_JUDGE).all()


def test_every_feature_a_rule_reads_is_in_the_catalogue() -> None:
    missing = {name for rule in RULES for name in rule.all_features if name not in CATALOG}
    assert not missing


def test_every_parameter_a_rule_reads_is_shipped_and_every_shipped_one_is_read() -> None:
    """No rule waits for a number nobody can give, and no number stands that nothing reads."""
    read = {name for rule in RULES for name in rule.all_parameters}
    assert read == set(ThresholdTable.shipped().params)


def test_rule_parameters_have_a_value_everywhere() -> None:
    """Only what the county gives, and what turns an optional rule on, may be without a value."""
    shipped = ThresholdTable.shipped()
    optional = {name for rule in RULES if rule.is_optional for name in rule.own_params}
    for name in shipped.params:
        if "." in name and name not in optional:
            row = shipped.in_force(name, "520101", date(2024, 1, 1))
            assert row is not None
            assert row.value is not None


def test_codes_are_unique_and_texts_complete() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.zh
        assert rule.en
        assert rule.articles
        assert rule.to_verify.zh
        assert rule.to_verify.en
        assert rule.categories
        assert rule.risk_type is None or (rule.risk_type, "有") in measures_table()


def test_a_rule_is_no_hit_on_days_it_is_not_in_force(make_matrix: MakeMatrix) -> None:
    rule = replace(RULE["R13"], valid_until=date(2022, 10, 30))
    assert apply_rules(make_matrix([{"house_grade": 4}, {}]), (rule,)).states.ravel().tolist() == [0, 0]
    rule = replace(RULE["R13"], valid_from=date(2022, 10, 31), valid_until=date(2022, 10, 31))
    assert apply_rules(make_matrix([{"house_grade": 4}]), (rule,)).states.ravel().tolist() == [1]


def test_an_optional_rule_is_off_until_the_county_gives_its_values(make_matrix: MakeMatrix) -> None:
    """Off is no gap: nothing is asked of the household, and it is counted apart."""
    rule, stay = RULE["R09"], ORDINARY | {"max_stay_oop_yuan": 99999}
    assert [rule.code for rule in RULES if rule.is_optional] == ["R09"]
    for params, is_on in (
        ({"R09.registered_yuan": None, "R09.other_yuan": None}, False),
        ({"R09.registered_yuan": 6000, "R09.other_yuan": None}, False),
        ({}, True),
    ):
        matrix = make_matrix([stay, ORDINARY], params=params)
        assert apply_rules(matrix).state("R09").tolist() == (
            [HIT, CANNOT_JUDGE] if is_on else [NO_HIT, NO_HIT]
        )
        counts = summarise(apply_rules(matrix), matrix=matrix)
        off = dict(counts.select("code", "not_in_force").rows())
        assert (off["R09"], off["R13"]) == (0 if is_on else 2, 0)
    shipped = ThresholdTable.shipped()
    for name in rule.own_params:
        row = shipped.in_force(name, "130727", date(2024, 1, 1))
        assert row is not None
        assert row.value is None


def test_a_rule_that_reads_others_runs_after_them_and_not_without_them(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([CLEARED | {"house_grade": 4}])
    backwards = tuple(reversed(RULES))
    assert apply_rules(matrix, backwards).state("R33")[0] == HIT
    with pytest.raises(ContractError, match=r"RR334.*rule R33.*R01"):
        apply_rules(matrix, (RULE["R33"], RULE["R13"]))


def test_gaps_of_the_rules_looked_for_again_are_gaps_of_looking(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([CLEARED | {"house_grade": np.nan}])
    (gaps,) = missing_fields(matrix, apply_rules(matrix))
    assert gaps["R33"] == ("house_grade",)


def test_what_is_found_again_is_named(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([CLEARED | {"house_grade": 4, "fewer_work_months": 3}])
    hits = apply_rules(matrix)
    said = hit_phrases(matrix, hits, np.array([0]), "zh")[0]["R33"]
    assert said == "风险已消除4个月；再次出现“住房安全”；再次出现“务工不稳”"


def test_a_matrix_without_a_feature_is_refused(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([{}]).select(["house_grade"])
    with pytest.raises(ContractError, match=r"RR331.*R01 reads is_lifted"):
        apply_rules(matrix)


def test_blocks_give_what_the_whole_gives(make_matrix: MakeMatrix, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = make_matrix([case for cases in CASES.values() for case in cases])
    whole = apply_rules(matrix).states
    monkeypatch.setattr("relapse_risk.rules.apply._BLOCK_ROWS", 7)
    assert np.array_equal(apply_rules(matrix).states, whole)


def test_missing_fields_name_features_and_parameters(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([LIFTED | {"water_safe": 1}, {"house_grade": 1}], params={"line": None})
    hits = apply_rules(matrix)
    first, second = missing_fields(matrix, hits)
    assert first["R01"] == ("ref_income_pc_12m", "line")
    assert first["R14"] == ("outage_days",)
    assert "R13" in first
    assert "R13" not in second
    assert missing_fields(matrix, hits, np.array([1])) == [second]


def test_a_value_that_need_not_be_there_is_named_only_alone(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([{}, {"open_case_n": 1}])
    gaps = missing_fields(matrix, apply_rules(matrix))
    assert gaps[0]["R28"] == ("open_case_n",)
    assert gaps[1]["R28"] == ("open_case_days",)


def test_gaps_are_described_once_each(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([LIFTED], params={"line": None})
    gaps = {"R01": ("ref_income_pc_12m", "line"), "R27": ("ref_income_pc_12m", "line"), "R99": ("R05.ratio",)}
    assert describe_gaps(matrix, gaps, "zh") == "近12个月人均监测参考收入、监测线、R05.ratio"
    assert describe_gaps(matrix, gaps, "en").startswith("reference income per person, 12 months, monitoring")
    assert describe_gaps(matrix, {}, "zh") == ""


def test_summary_counts_all_three_states(make_matrix: MakeMatrix) -> None:
    """'Cannot judge' is counted, and never as 'no hit'."""
    matrix = make_matrix(CASES["R13"])
    hits = apply_rules(matrix)
    row = next(row for row in summarise(hits).iter_rows(named=True) if row["code"] == "R13")
    assert (row["hit"], row["no_hit"], row["cannot_judge"]) == (1, 1, 1)
    totals = summarise(hits).select("hit", "no_hit", "cannot_judge").sum_horizontal()
    assert totals.to_list() == [3] * len(RULES)


def test_one_quantity_is_one_feature() -> None:
    """Rules and models read the same column where the quantity is the same, so that no two pages differ."""
    own = [entry for entry in CATALOG if not isinstance(entry.formula, FeatureRef)]
    assert len({entry.formula for entry in own}) == len(own)


def test_list_of_rules_has_the_fields_of_the_command() -> None:
    rows = list_rules()
    assert [row["code"] for row in rows] == [rule.code for rule in RULES]
    assert all(set(row) == {"code", "zh", "en", "category", "basis", "params"} for row in rows)
    by_code = {row["code"]: row for row in rows}
    assert by_code["R05"]["params"] == ["R05.ratio"]
    assert by_code["R07"]["category"] == "U/S"
    assert "（二）" in str(by_code["R01"]["basis"])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_hit_says_something(make_matrix: MakeMatrix, language: Language) -> None:
    """Of every rule, each hit of the tables of cases has a sentence without braces left in it."""
    hitting = [(code, cases[0]) for code, cases in CASES.items()]
    hitting += [(code, values) for code, values, state in LIMITS if state == HIT]
    matrix = make_matrix([values for _, values in hitting])
    hits = apply_rules(matrix)
    said = hit_phrases(matrix, hits, np.arange(len(matrix)), language)
    for (code, _), phrases in zip(hitting, said, strict=True):
        assert phrases[code]
        assert "{" not in phrases[code]
        assert "nan" not in phrases[code]
    names = {rule.code: rule.zh if language == "zh" else rule.en for rule in RULES}
    assert all(said[i][code] != names[code] for i, (code, _) in enumerate(hitting))
