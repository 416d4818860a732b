"""Two small counties made by hand, and their list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from relapse_risk.explain.attribute import Attributions
from relapse_risk.features.build import build_features
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.outputs.standing import hits_since
from relapse_risk.outputs.visit_list import ListSettings, VisitList, make_visit_list
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.rules.apply import apply_rules
from relapse_risk.scores import RiskScores, RuleHits
from relapse_risk.vocabulary import Role
from relapse_risk.windows import month_end, month_index

AS_OF = date(2024, 6, 30)
LINE = 8000.0
HOUSEHOLDS = 120
COUNTIES = ("130127", "130224")


def _table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    dtypes = TABLE_BY_NAME[name].dtypes
    return pl.DataFrame([{c: row.get(c) for c in dtypes} for row in rows], schema=dtypes)


def _households() -> list[dict[str, Any]]:
    rows = []
    for i in range(HOUSEHOLDS):
        county = COUNTIES[i % 2]
        township = f"{county}{100 + i % 3}"
        rows.append(
            {
                "household_id": f"{township}{i:09d}",
                "recorded_on": date(2022, 1, 5),
                "county_code": county,
                "county_name": "示范县" if i % 2 == 0 else None,
                "township_code": township,
                "township_name": f"第{i % 3 + 1}乡",
                "village_code": f"{township}{200 + i % 5}",
                "village_name": f"村{i % 5 + 1}",
                "household_type": "脱贫户" if i % 3 == 0 else "一般农户",
                "monitor_category": "非监测",
                "all_no_labour": i % 20 == 7,
                "lowincome_class": "无",
                "helper_id": f"B{i:03d}",
            }
        )
    return rows


def _observations(households: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    rows = []
    for i, home in enumerate(households):
        wage = rng.uniform(2200, 6000)
        for months in range(29, -1, -1):
            end = month_end(month_index(AS_OF) - 1 - months)
            # From early 2024 on, every tenth household earns half as much.
            share = 0.45 if i % 10 == 4 and end > date(2023, 12, 31) else 1.0
            earned = wage * share * rng.uniform(0.8, 1.2)
            rows.append(
                {
                    "household_id": home["household_id"],
                    "period_end": end,
                    "period_months": 1,
                    "recorded_on": end + timedelta(days=10),
                    "n_person": 3.0,
                    "wage_income_yuan": earned,
                    "business_income_yuan": 300.0,
                    "business_cost_yuan": 100.0,
                    "property_income_yuan": 0.0,
                    "transfer_income_yuan": 100.0,
                    "claim_income_yuan": 0.0,
                    "oop_compliant_yuan": 30.0 if i % 9 else 500.0,
                    "education_cost_yuan": 50.0,
                    "rehab_cost_yuan": 0.0,
                    "housing_cost_yuan": 0.0,
                    "net_income_yuan": earned + 300.0,
                    "work_months": 1.0,
                    "house_grade": "C" if i % 40 == 3 else "A",
                    "water_safe": True,
                    "dropout_n": 0,
                    "uninsured_n": 1 if i % 30 == 5 and end > date(2024, 5, 1) else 0,
                    "food_clothing_ok": True,
                    "self_reported": i % 25 == 2,
                }
            )
    return rows


def _members(households: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for i, home in enumerate(households):
        for number, (relation, born) in enumerate([("户主", 1975), ("配偶", 1978), ("子女", 2012)]):
            is_child = relation == "子女"
            rows.append(
                {
                    "member_id": f"{home['household_id']}-{number}",
                    "household_id": home["household_id"],
                    "recorded_on": date(2022, 1, 5),
                    "birth_month": date(born, 3, 1),
                    "sex": "男" if number % 2 == 0 else "女",
                    "relation": relation,
                    "is_present": True,
                    "education": "小学",
                    "school_status": "小学" if is_child else "非在校",
                    "not_school_reason": None if is_child else "已毕业",
                    "health_status": "患有大病" if i % 11 == 1 and number == 0 else "健康",
                    "labour_skill": "无劳动力" if is_child or i % 20 == 7 else "普通劳动力",
                    "adl_dependent": False,
                    "left_behind_child": is_child and i % 13 == 0,
                    "child_difficulty": False,
                    "orphan_defacto": False,
                    "elder_alone": False,
                    "med_insured": True,
                    "on_dibao": False,
                    "on_tekun": False,
                }
            )
    return rows


def _visits(households: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "visit_id": f"V{i}-{n}",
            "household_id": home["household_id"],
            "visited_on": visited,
            "recorded_on": visited + timedelta(days=2),
            "outcome": "不属实",
        }
        for i, home in enumerate(households)
        if i % 2
        for n, visited in enumerate([date(2024, 3, 4), date(2024, 6, 29 if i % 4 == 1 else 5)])
    ]


def make_panel() -> Panel:
    households = _households()
    threshold = {
        "param": "line",
        "area_code": "*",
        "effective_from": date(2020, 1, 1),
        "value": LINE,
        "unit": "元/人·年",
        "source": "示范",
        "verified": True,
        "recorded_on": date(2020, 1, 1),
    }
    return Panel(
        {
            "household": _table("household", households),
            "observation": _table("observation", _observations(households)),
            "member": _table("member", _members(households)),
            "visit": _table("visit", _visits(households)),
            "measure": _table("measure", []),
            "event": _table("event", []),
            "workflow": _table("workflow", []),
            "threshold": _table("threshold", [threshold]),
        }
    )


def explain_by_income(matrix: FeatureMatrix) -> Attributions:
    """Let every feature with a known value raise the risk, the first of the catalogue most."""
    features = matrix.features.with_role(Role.MODEL)
    values = np.where(np.isnan(matrix.select(features.names).values), 0.0, 1.0)
    weights = np.linspace(1.0, 0.1, len(features))
    return Attributions(matrix.index, features, values * weights, np.zeros(len(matrix)))


MakeList = Callable[..., VisitList]


@pytest.fixture(scope="session")
def panel() -> Panel:
    return make_panel()


@pytest.fixture(scope="session")
def matrix(panel: Panel) -> FeatureMatrix:
    return build_features(panel, [AS_OF])


@pytest.fixture(scope="session")
def hits(matrix: FeatureMatrix) -> RuleHits:
    return apply_rules(matrix)


@pytest.fixture(scope="session")
def scores(matrix: FeatureMatrix) -> RiskScores:
    ranking = 1.0 / (1.0 + matrix.column("ref_income_to_line"))
    return RiskScores(matrix.index, (12,), ranking[:, None], ranking)


@pytest.fixture(scope="session")
def make_list(panel: Panel, matrix: FeatureMatrix, hits: RuleHits, scores: RiskScores) -> MakeList:
    since = hits_since(panel, hits, months_back=3)

    def make(
        capacity: int = 30,
        language: str = "zh",
        has_model: bool = True,
        seed: int = 0,
        is_per_township: bool = False,
        lottery_share: float = 0.0,
        **given: Any,
    ) -> VisitList:
        return make_visit_list(
            matrix,
            hits,
            scores if has_model else None,
            capacity,
            panel=panel,
            explain=explain_by_income if has_model else None,
            hit_since=since,
            settings=ListSettings(
                language=language,
                seed=seed,
                audit_share=0.1,
                is_per_township=is_per_township,
                lottery_share=lottery_share,
            ),
            **given,
        )

    return make
