"""The pages on the rules are those the code makes, and what they show works as written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.expression import feature, param
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.glossary import GLOSSARY, glossary_page, rules_page, unknown_names
from relapse_risk.rules.phrases import hit_phrases
from relapse_risk.rules.spec import Rule, Wording
from relapse_risk.scores import CANNOT_JUDGE, HIT, NO_HIT
from relapse_risk.thresholds import rows_of
from relapse_risk.vocabulary import Bilingual, RuleCategory

DOCS = Path(__file__).parents[2] / "docs"
WORDS = {"Rule": Rule, "Wording": Wording, "Bilingual": Bilingual, "RuleCategory": RuleCategory}


@pytest.mark.parametrize(("name", "page"), [("glossary.md", glossary_page), ("rules.md", rules_page)])
def test_a_page_is_the_one_the_code_makes(name: str, page: Callable[[], str]) -> None:
    """Renew it with: python docs/make_rule_pages.py."""
    assert (DOCS / name).read_text(encoding="utf-8") == page()


def test_the_glossary_names_what_there_is_and_each_term_once() -> None:
    assert unknown_names() == ()
    assert len({term.name.zh for term in GLOSSARY}) == len(GLOSSARY)
    for term in GLOSSARY:
        assert term.meaning.zh
        assert term.meaning.en


def _blocks(language: str) -> list[str]:
    page = (DOCS / "add-a-rule.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def test_the_rule_of_the_page_works_as_written(make_matrix: Callable[..., FeatureMatrix]) -> None:
    """In ten lines or fewer: what the page shows is run, applied, worded and listed."""
    (code,) = _blocks("python")
    assert len(code.strip().splitlines()) <= 10
    names: dict[str, object] = {**WORDS, "feature": feature, "param": param}
    exec(code, names)
    rule = names["R40"]
    assert isinstance(rule, Rule)
    assert rule.code not in {known.code for known in RULES}
    (threshold,) = rows_of(_blocks("toml")[0], "page")
    assert rule.params == (threshold.param,)
    rows = [{}, {}, {}, {}]
    matrix = make_matrix(rows)
    features = matrix.features + [CATALOG[name] for name in rule.all_features if name not in matrix.features]
    ages = np.array([[40.0], [39.9], [np.nan], [80.0]])
    own = matrix.parameters.head(1).with_columns(param=pl.lit(threshold.param), value=pl.lit(threshold.value))
    aged = FeatureMatrix(
        matrix.index, features, np.hstack([matrix.values, ages]), pl.concat([matrix.parameters, own])
    )
    hits = apply_rules(aged, (*RULES, rule))
    assert hits.state("R40").tolist() == [HIT, NO_HIT, CANNOT_JUDGE, HIT]
    said = hit_phrases(aged, hits, np.array([3]), "zh", (*RULES, rule))[0]["R40"]
    assert said == "房龄80年"
