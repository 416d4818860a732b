from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from relapse_risk.evaluation.gain import ScoreOrder
from relapse_risk.evaluation.intervals import TOO_FEW_CLUSTERS, ClusterBootstrap


def test_rows_of_a_cluster_are_drawn_together_whatever_their_origin():
    others = [f"x{i}" for i in range(30)]
    clusters = pl.Series(["b", "a", "b", "c", "a", *others])
    rows = np.concatenate(list(ClusterBootstrap.of(clusters, 50, seed=3).row_weights()))
    assert rows.shape == (50, 35)
    assert (rows[:, 0] == rows[:, 2]).all()
    assert (rows[:, 1] == rows[:, 4]).all()
    assert (np.delete(rows, [2, 4], axis=1).sum(axis=1) == 33).all()


def test_few_clusters_get_a_t_interval_of_one_left_out_each():
    """For the mean of cluster means it is the interval every textbook gives."""
    values = np.array([3.0, 5.0, 4.0, 8.0, 6.0])
    bootstrap = ClusterBootstrap.of(pl.Series(["a", "b", "c", "d", "e"]), 200, seed=0)
    means = np.concatenate([w @ values / w.sum(axis=1) for w in bootstrap.row_weights()])
    interval = bootstrap.interval(means, float(values.mean()))
    half = 2.776445 * values.std(ddof=1) / np.sqrt(5)
    assert interval.low == pytest.approx(5.2 - half, rel=1e-6)
    assert interval.high == pytest.approx(5.2 + half, rel=1e-6)
    assert interval.is_too_few
    alone = ClusterBootstrap.of(pl.Series(["a", "a"]), 200, seed=0)
    assert np.isnan(alone.interval(np.array([1.0])).low)


def test_draws_are_the_same_for_a_seed_and_do_not_depend_on_row_order():
    names = [f"v{i % 40}" for i in range(200)]
    first = ClusterBootstrap.of(pl.Series(names), 10, seed=1)
    again = ClusterBootstrap.of(pl.Series(names[::-1]), 10, seed=1)
    other = ClusterBootstrap.of(pl.Series(names), 10, seed=2)
    weights = np.concatenate(list(first.row_weights()))
    assert np.array_equal(weights, np.concatenate(list(again.row_weights()))[:, ::-1])
    assert not np.array_equal(first.draws, other.draws)


def test_interval_of_a_mean_has_the_width_theory_gives():
    """Cluster effects make the interval wider than rows alone would; the width is that of the clusters."""
    rng = np.random.default_rng(0)
    effect = rng.normal(0, 1, 400)
    clusters = np.repeat(np.arange(400), 25)
    values = effect[clusters] + rng.normal(0, 1, clusters.size)
    bootstrap = ClusterBootstrap.of(pl.Series(clusters), 2000, seed=0)
    means = np.concatenate([w @ values / w.sum(axis=1) for w in bootstrap.row_weights()])
    interval = bootstrap.interval(means)
    of_clusters = values.reshape(400, 25).mean(axis=1)
    half = 1.96 * of_clusters.std(ddof=1) / np.sqrt(400)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    assert interval.low < values.mean() < interval.high
    assert 2 * half > 3 * 1.96 * values.std() / np.sqrt(values.size)


def test_a_difference_in_the_same_replicate_is_paired():
    """Two nearly equal policies: the difference is known far better than either of them."""
    rng = np.random.default_rng(4)
    clusters = pl.Series(np.repeat(np.arange(50), 40))
    outcome = (rng.random(2000) < np.repeat(rng.beta(1, 9, 50), 40)).astype(float)
    score = outcome * 0.5 + rng.random(2000)
    nearly = score + 0.02 * rng.random(2000)
    bootstrap = ClusterBootstrap.of(clusters, 400, seed=0)
    found = []
    for order in (ScoreOrder.of(score), ScoreOrder.of(nearly)):
        gains = [order.gain(outcome, weights) for weights in bootstrap.row_weights()]
        found.append(np.concatenate([gain.found_at(0.1 * gain.n) for gain in gains]))
    alone, difference = bootstrap.interval(found[0]), bootstrap.interval(found[1] - found[0])
    assert difference.high - difference.low < 0.2 * (alone.high - alone.low)


def test_few_clusters_are_said_to_be_too_few():
    few = ClusterBootstrap.of(pl.Series([str(i) for i in range(TOO_FEW_CLUSTERS - 1)]), 20, seed=0)
    enough = ClusterBootstrap.of(pl.Series([str(i) for i in range(TOO_FEW_CLUSTERS)]), 20, seed=0)
    assert few.interval(np.arange(20.0)).is_too_few
    assert few.n_clusters == TOO_FEW_CLUSTERS - 1
    assert not enough.interval(np.arange(20.0)).is_too_few


def test_an_interval_needs_a_value_in_most_replicates():
    bootstrap = ClusterBootstrap.of(pl.Series([*map(str, range(39)), None]), 4, seed=0)
    assert bootstrap.n_clusters == 40
    assert np.isnan(bootstrap.interval(np.array([1.0, np.nan, np.nan, np.nan])).low)
    assert bootstrap.interval(np.array([1.0, 3.0, np.nan, 2.0])).low >= 1.0
    empty = ClusterBootstrap.of(pl.Series([], dtype=pl.String), 4, seed=0)
    assert np.isnan(empty.interval(np.full(4, np.nan)).high)


def test_blocks_of_replicates_change_nothing(monkeypatch):
    clusters = pl.Series([str(i % 35) for i in range(100)])
    bootstrap = ClusterBootstrap.of(clusters, 25, seed=0)
    whole = np.concatenate(list(bootstrap.row_weights()))
    monkeypatch.setattr("relapse_risk.evaluation.intervals._BLOCK_VALUES", 300)
    blocks = list(bootstrap.row_weights())
    assert len(blocks) == 9
    assert np.array_equal(np.concatenate(blocks), whole)
