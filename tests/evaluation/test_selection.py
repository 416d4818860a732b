from __future__ import annotations

import pytest

from relapse_risk.evaluation.selection import choose_policies


def records(**precision):
    days = ("2020-06-30", "2021-06-30", "2022-06-30")
    return [
        {"policy": policy, "origin": day, "capacity": 0.05, "precision_at_capacity": value}
        for policy, values in precision.items()
        for day, value in zip(days, values, strict=True)
    ]


def test_each_rule_chooses_by_what_it_says():
    """The average likes the old star, the worst date the steady one, recency the newcomer."""
    table = choose_policies(
        records(random=(1, 1, 1), rules=(0.9, 0.3, 0.05), logistic=(0.3, 0.3, 0.3), model=(0.1, 0.2, 0.8))
    )
    chosen = dict(zip(table["rule"], table["policy"], strict=True))
    assert chosen == {"best_average": "rules", "best_worst_origin": "logistic", "recency_weighted": "model"}


def test_regret_is_what_the_best_of_each_date_had_more():
    table = choose_policies(records(rules=(0.4, 0.4, 0.1), model=(0.3, 0.5, 0.3)))
    row = table.filter(rule="best_average").row(0, named=True)
    assert row["policy"] == "model"
    assert row["mean_regret"] == pytest.approx(0.1 / 3)
    assert row["worst_regret"] == pytest.approx(0.1)
    # Forward: rules is chosen after the first date and loses .1; after two dates the tie goes to the rules.
    assert row["forward_regret"] == pytest.approx((0.1 + 0.2) / 2)


def test_one_date_has_no_forward_regret():
    one = [r for r in records(rules=(0.4, 0, 0), model=(0.3, 0, 0)) if r["origin"] == "2020-06-30"]
    assert choose_policies(one)["forward_regret"].null_count() == 3
