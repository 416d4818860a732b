"""relapse_risk: risk scoring and forecasting for the prevention of relapse into poverty (防止返贫动态监测).

The library face is the dataflow, one name an arrow::

    read_exports → validate → Panel.known_at → build_features → apply_rules → predict_risk → explain
                 → make_visit_list; returned lists → record_visits → Panel

Names are imported when they are first used, so that ``import relapse_risk`` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "Bilingual": "relapse_risk.vocabulary",
    "Experiment": "relapse_risk.config",
    "FeatureMatrix": "relapse_risk.features.matrix",
    "Labels": "relapse_risk.labels",
    "Panel": "relapse_risk.panel.panel",
    "RiskScores": "relapse_risk.scores",
    "RuleHits": "relapse_risk.scores",
    "Store": "relapse_risk.panel.store",
    "TrainedModel": "relapse_risk.modeling.training",
    "apply_rules": "relapse_risk.rules.apply",
    "candidates": "relapse_risk.rules.candidates",
    "clearance_list": "relapse_risk.rules.items",
    "explain_rules": "relapse_risk.rules.sheet",
    "timers": "relapse_risk.rules.timers",
    "all_features": "relapse_risk.rules.hit_counts",
    "attribute": "relapse_risk.explain.attribute",
    "build_features": "relapse_risk.features.build",
    "caseload_curve": "relapse_risk.rules.what_if",
    "describe_features": "relapse_risk.evaluation.feature_report",
    "household_contributions": "relapse_risk.explain.attribute",
    "compare_lists": "relapse_risk.outputs.list_changes",
    "explain_household": "relapse_risk.explaining",
    "find_issued": "relapse_risk.outputs.issued",
    "features_for": "relapse_risk.features.extra",
    "features_table": "relapse_risk.features.describe",
    "ingest": "relapse_risk.panel.ingest",
    "load_experiment": "relapse_risk.pipeline",
    "load_model": "relapse_risk.modeling.store",
    "make_labels": "relapse_risk.labels",
    "make_reasons": "relapse_risk.explain.reasons",
    "make_visit_list": "relapse_risk.outputs.visit_list",
    "estimate_missed": "relapse_risk.outputs.list_quality",
    "plot_caseload_curve": "relapse_risk.outputs.rule_plots",
    "plot_coverage": "relapse_risk.outputs.rule_plots",
    "plot_distribution": "relapse_risk.outputs.plots",
    "plot_gain": "relapse_risk.outputs.plots",
    "plot_reasons": "relapse_risk.outputs.plots",
    "plot_reliability": "relapse_risk.outputs.plots",
    "plot_rule_hits": "relapse_risk.outputs.rule_plots",
    "plot_tiers": "relapse_risk.outputs.plots",
    "precision_of_lists": "relapse_risk.outputs.list_quality",
    "plot_what_if": "relapse_risk.outputs.rule_plots",
    "read_exports": "relapse_risk.panel.read",
    "rank_counties": "relapse_risk.rules.key_counties",
    "roll_up": "relapse_risk.rules.roll_up",
    "record_visits": "relapse_risk.outputs.feedback",
    "run_backtest": "relapse_risk.evaluation.backtest",
    "score": "relapse_risk.pipeline",
    "simulate": "relapse_risk.panel.synthetic",
    "train": "relapse_risk.pipeline",
    "train_income": "relapse_risk.pipeline",
    "use_feature_modules": "relapse_risk.features.own",
    "validate": "relapse_risk.panel.validate",
    "what_if": "relapse_risk.rules.what_if",
    "write_visit_list": "relapse_risk.outputs.write_list",
}

__all__ = [*_HOME, "__version__"]

if TYPE_CHECKING:
    from relapse_risk.config import Experiment as Experiment
    from relapse_risk.evaluation.backtest import run_backtest as run_backtest
    from relapse_risk.evaluation.feature_report import describe_features as describe_features
    from relapse_risk.explain.attribute import attribute as attribute
    from relapse_risk.explain.attribute import household_contributions as household_contributions
    from relapse_risk.explain.reasons import make_reasons as make_reasons
    from relapse_risk.explaining import explain_household as explain_household
    from relapse_risk.features.build import build_features as build_features
    from relapse_risk.features.describe import features_table as features_table
    from relapse_risk.features.extra import features_for as features_for
    from relapse_risk.features.matrix import FeatureMatrix as FeatureMatrix
    from relapse_risk.features.own import use_feature_modules as use_feature_modules
    from relapse_risk.labels import Labels as Labels
    from relapse_risk.labels import make_labels as make_labels
    from relapse_risk.modeling.store import load_model as load_model
    from relapse_risk.modeling.training import TrainedModel as TrainedModel
    from relapse_risk.outputs.feedback import record_visits as record_visits
    from relapse_risk.outputs.issued import find_issued as find_issued
    from relapse_risk.outputs.list_changes import compare_lists as compare_lists
    from relapse_risk.outputs.list_quality import estimate_missed as estimate_missed
    from relapse_risk.outputs.list_quality import precision_of_lists as precision_of_lists
    from relapse_risk.outputs.plots import plot_distribution as plot_distribution
    from relapse_risk.outputs.plots import plot_gain as plot_gain
    from relapse_risk.outputs.plots import plot_reasons as plot_reasons
    from relapse_risk.outputs.plots import plot_reliability as plot_reliability
    from relapse_risk.outputs.plots import plot_tiers as plot_tiers
    from relapse_risk.outputs.rule_plots import plot_caseload_curve as plot_caseload_curve
    from relapse_risk.outputs.rule_plots import plot_coverage as plot_coverage
    from relapse_risk.outputs.rule_plots import plot_rule_hits as plot_rule_hits
    from relapse_risk.outputs.rule_plots import plot_what_if as plot_what_if
    from relapse_risk.outputs.visit_list import make_visit_list as make_visit_list
    from relapse_risk.outputs.write_list import write_visit_list as write_visit_list
    from relapse_risk.panel.ingest import ingest as ingest
    from relapse_risk.panel.panel import Panel as Panel
    from relapse_risk.panel.read import read_exports as read_exports
    from relapse_risk.panel.store import Store as Store
    from relapse_risk.panel.synthetic import simulate as simulate
    from relapse_risk.panel.validate import validate as validate
    from relapse_risk.pipeline import load_experiment as load_experiment
    from relapse_risk.pipeline import score as score
    from relapse_risk.pipeline import train as train
    from relapse_risk.pipeline import train_income as train_income
    from relapse_risk.rules.apply import apply_rules as apply_rules
    from relapse_risk.rules.candidates import candidates as candidates
    from relapse_risk.rules.hit_counts import all_features as all_features
    from relapse_risk.rules.items import clearance_list as clearance_list
    from relapse_risk.rules.key_counties import rank_counties as rank_counties
    from relapse_risk.rules.roll_up import roll_up as roll_up
    from relapse_risk.rules.sheet import explain_rules as explain_rules
    from relapse_risk.rules.timers import timers as timers
    from relapse_risk.rules.what_if import caseload_curve as caseload_curve
    from relapse_risk.rules.what_if import what_if as what_if
    from relapse_risk.scores import RiskScores as RiskScores
    from relapse_risk.scores import RuleHits as RuleHits
    from relapse_risk.vocabulary import Bilingual as Bilingual


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'relapse_risk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
