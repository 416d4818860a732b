"""Experiments in MLflow: a parent run for each, a child for every trial of its search and for its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relapse_risk.modeling.tracking import experiment_of, tracking_store

KEY_TAG, TRIAL_TAG, PARENT_TAG = "experiment_key", "trial", "mlflow.parentRunId"
_FINISHED, _RUNNING, _FAILED = "FINISHED", "RUNNING", "FAILED"


def parent_run(tracking_uri: str, name: str, key: str, description: str) -> tuple[str, bool]:
    """Return the parent run of an experiment and whether it is finished; made where there is none.

    Parameters
    ----------
    tracking_uri : str
    name : str
        Of the experiment, in MLflow too.
    key : str
        Stands for experiment and data: equal keys are the same piece of work.
    description : str
    """
    with tracking_store(tracking_uri) as client:
        experiment_id = experiment_of(client, tracking_uri, name)
        found = client.search_runs([experiment_id], f"tags.{KEY_TAG} = '{key}'", max_results=1)
        if found:
            run_id = str(found[0].info.run_id)
            is_finished = found[0].info.status == _FINISHED
            if not is_finished:
                client.update_run(run_id, status=_RUNNING)
            return run_id, is_finished
        tags = {KEY_TAG: key, "mlflow.note.content": description}
        run = client.create_run(experiment_id, run_name=name, tags=tags)
        return str(run.info.run_id), False


def log_trials(
    tracking_uri: str, parent: str, trials: Sequence[tuple[int, Mapping[str, Any], float]]
) -> None:
    """Log every trial that is not yet there as a child run: its settings, and its precision inside.

    A trial that a killed process left half logged is taken away and logged anew.

    Parameters
    ----------
    tracking_uri, parent : str
    trials : sequence of tuple
        Number, settings and precision at capacity on the inner dates.
    """
    with tracking_store(tracking_uri) as client:
        experiment_id = client.get_run(parent).info.experiment_id
        children = client.search_runs([experiment_id], f"tags.`{PARENT_TAG}` = '{parent}'", max_results=5_000)
        logged = [run for run in children if TRIAL_TAG in run.data.tags]
        known = {run.data.tags[TRIAL_TAG] for run in logged if run.info.status == _FINISHED}
        for run in logged:
            if run.info.status != _FINISHED:
                client.delete_run(run.info.run_id)
        for number, settings, precision in trials:
            if str(number) in known:
                continue
            run = client.create_run(
                experiment_id, run_name=f"trial {number}", tags={PARENT_TAG: parent, TRIAL_TAG: str(number)}
            )
            for name, value in settings.items():
                client.log_param(run.info.run_id, f"model.{name}", value)
            client.log_metric(run.info.run_id, "inner_precision_at_capacity", precision)
            client.set_terminated(run.info.run_id, _FINISHED)


def finish_parent(
    tracking_uri: str, parent: str, figures: Mapping[str, float], tags: Mapping[str, str], *, is_done: bool
) -> None:
    """Leave the result on the parent run, and end it: finished, or failed and to be tried again."""
    with tracking_store(tracking_uri) as client:
        for name, value in figures.items():
            client.log_metric(parent, name, value)
        for name, tag in tags.items():
            client.set_tag(parent, name, tag)
        client.set_terminated(parent, _FINISHED if is_done else _FAILED)
