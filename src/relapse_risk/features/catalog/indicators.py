"""The 96 indicators of the field, in 12 families, and the feature that is each of them.

An indicator that the canonical tables can't give would stand here with the column it lacks; none does. What
an indicator is called in reports and papers need not be the name of its column.
"""

from __future__ import annotations

from dataclasses import dataclass

from relapse_risk.vocabulary import Bilingual


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator of the field.

    Attributes
    ----------
    name : str
        What the field calls it.
    feature : str or None
        The feature of the catalogue; None where the tables can't give it.
    note : str
        How the feature differs from what the name says, or which column of which table is missing.
    """

    name: str
    feature: str | None
    note: str = ""


INDICATORS: dict[Bilingual, tuple[Indicator, ...]] = {
    Bilingual("收入水平", "Income level"): (
        Indicator("ref_pc_12m", "ref_income_pc_12m"),
        Indicator("ref_to_line", "ref_income_to_line"),
        Indicator("gap_to_line", "ref_income_gap_yuan"),
        Indicator("net_pc_12m", "net_income_pc_12m"),
        Indicator("ref_to_dpi", "ref_income_to_dpi"),
        Indicator("village_rank", "ref_income_village_rank"),
        Indicator("quarter_pc", "period_income_pc", "the latest period, of whatever length"),
        Indicator("dibao_std_ratio", "ref_income_to_dibao"),
    ),
    Bilingual("收入变动", "Dynamics"): (
        Indicator("yoy_change", "income_yoy_change_share"),
        Indicator("qoq_change", "period_income_change_share", "between the last two known periods"),
        Indicator("wage_yoy", "wage_yoy_change_share"),
        Indicator("business_yoy", "business_yoy_change_share"),
        Indicator("cv_8q", "income_cv_24m"),
        Indicator("min_8q_to_line", "income_min_24m_to_line"),
        Indicator("quarters_below_band", "periods_in_band_24m"),
        Indicator("trend_slope", "income_slope_24m"),
        Indicator("downside_semivar", "income_shortfall_24m", "about the line"),
        Indicator("seasonal_residual", "same_season_change", "against the same season of the year before"),
    ),
    Bilingual("收入结构", "Composition"): (
        Indicator("wage_share", "wage_share"),
        Indicator("business_share", "business_share"),
        Indicator("property_share", "property_share"),
        Indicator("transfer_share", "transfer_share"),
        Indicator("policy_transfer_share", "policy_transfer_share"),
        Indicator(
            "source_entropy", "source_diversity", "Gini-Simpson index: one less the sum of squared shares"
        ),
        Indicator("single_source_dep", "largest_source_share"),
        Indicator("dividend_share", "dividend_share"),
    ),
    Bilingual("刚性支出", "Rigid spending"): (
        Indicator("oop_12m", "oop_12m_yuan"),
        Indicator("oop_to_income", "oop_to_income_share"),
        Indicator("oop_to_dpi", "oop_to_dpi_share"),
        Indicator("oop_accel", "oop_rise_6m_yuan"),
        Indicator("max_stay_oop", "max_stay_oop_yuan"),
        Indicator("reimbursement_rate", "reimbursement_share"),
        Indicator("critical_paid_flag", "has_critical_payment"),
        Indicator("aid_paid_flag", "has_medical_aid"),
        Indicator("edu_burden", "education_burden_share"),
        Indicator("rehab_cost", "rehab_cost_12m_yuan"),
        Indicator("rigid_ratio", "rigid_to_income_share"),
        Indicator("claim_offset", "claim_offset_share"),
    ),
    Bilingual("健康残疾", "Health and disability"): (
        Indicator("major_n", "major_ill_n"),
        Indicator("chronic_n", "chronic_n"),
        Indicator("chronic4_unmanaged", "chronic_unmanaged_n"),
        Indicator("severe_dis_n", "severe_disabled_n"),
        Indicator("new_diag_180d", "new_diagnosis_180d"),
        Indicator("inpatient_days", "inpatient_days_12m"),
        Indicator("family_doctor_cov", "family_doctor_share"),
        Indicator("adl_n", "adl_n"),
    ),
    Bilingual("劳动就业", "Labour and employment"): (
        Indicator("labour_n", "labour_n"),
        Indicator("labour_ratio", "labour_share"),
        Indicator("skilled_n", "skilled_n"),
        Indicator("weak_n", "weak_n"),
        Indicator("all_no_labour", "all_no_labour"),
        Indicator("worker_n", "worker_n"),
        Indicator("work_months", "work_months_12m"),
        Indicator("months_drop", "work_months_drop"),
        Indicator("job_loss_180d", "job_loss_180d"),
        Indicator("outside_share", "away_work_share"),
        Indicator("public_post_share", "public_post_share", "of wage income"),
        Indicator("post_end_days", "post_end_days"),
    ),
    Bilingual("人口", "Demography"): (
        Indicator("hh_size", "household_size"),
        Indicator(
            "dependency",
            "dependent_share",
            "of all members, so that it is finite without anybody of working age",
        ),
        Indicator("elder_n", "elder_n"),
        Indicator("elder_alone", "has_elder_alone"),
        Indicator("child_n", "child_n"),
        Indicator("special_child_n", "special_child_n"),
        Indicator("max_edu", "max_education"),
        Indicator("head_age", "head_age"),
        Indicator("size_change", "size_change_12m"),
    ),
    Bilingual("三保障和饮水", "Guarantees"): (
        Indicator("house_grade", "house_grade"),
        Indicator("house_age_flag", "house_age_years", "in years; the reason speaks from 40 on"),
        Indicator("water_flag", "water_safe"),
        Indicator("outage_days", "outage_days_12m"),
        Indicator("dropout_hist", "dropout_max_24m"),
        Indicator("uninsured_n", "uninsured_n"),
        Indicator("guarantee_fail_4q", "guarantee_failures_12m"),
    ),
    Bilingual("生计负债", "Livelihood and debt"): (
        Indicator("arable_pc", "arable_mu_pc"),
        Indicator("orchard_mu", "orchard_mu"),
        Indicator("coop_linked", "is_coop_linked"),
        Indicator("agri_insured", "is_agri_insured"),
        Indicator("loan_to_income", "loan_to_income_share"),
        Indicator("overdue_days", "loan_overdue_days"),
        Indicator("relocated", "is_relocated"),
        Indicator("site_size", "site_size"),
        Indicator("title_flag", "is_title_registered"),
    ),
    Bilingual("事件", "Events"): (
        Indicator("alerts_90d", "alerts_90d"),
        Indicator("alert_dept_n", "alert_dept_n_90d"),
        Indicator("disaster_loss_ratio", "disaster_loss_share"),
        Indicator("accident_flag", "accident_12m", "a count"),
        Indicator("hotline_n", "hotline_180d"),
    ),
    Bilingual("帮扶过程", "Assistance and process"): (
        Indicator("measure_n", "measure_n"),
        Indicator("dev_measure_flag", "development_measure_n", "a count"),
        Indicator("days_since_measure", "days_since_measure_start"),
        Indicator("days_since_visit", "days_since_visit"),
        Indicator("prior_monitor_spells", "prior_monitor_spells"),
    ),
    Bilingual("环境", "Context"): (
        Indicator("village_monitor_rate", "village_monitor_rate", "for audits: it follows the register"),
        Indicator("county_dpi_growth", "county_dpi_growth_share"),
        Indicator("disaster_index", "county_disaster_index"),
    ),
}
