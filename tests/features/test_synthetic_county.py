"""The catalogue on a synthetic county: features take sensible values and never read the future."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from relapse_risk.features.build import build_features
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic import simulate


def test_a_county_gives_incomes_near_the_line_and_shares_that_add_up() -> None:
    panel = simulate(120, 36, seed=3).panel()
    last = panel.last_recorded_on
    assert last is not None
    day = date(last.year - 1, 12, 31)
    matrix = build_features(panel, [day])
    ratio = matrix.column("ref_income_to_line")
    assert np.isnan(ratio).mean() < 0.2
    assert 1.0 < np.nanmedian(ratio) < 6.0
    parts = ("wage_share", "business_share", "property_share", "transfer_share")
    shares = np.stack([matrix.column(name) for name in parts])
    np.testing.assert_allclose(shares.sum(axis=0)[~np.isnan(shares).any(axis=0)], 1.0)
    known = {name: frame.filter(pl.col("recorded_on") <= day) for name, frame in panel.tables.items()}
    future = {
        name: frame.filter(pl.col("recorded_on") > day)
        .head(50)
        .with_columns(pl.col("recorded_on") + timedelta(days=400))
        for name, frame in panel.tables.items()
    }
    altered = Panel({name: pl.concat([future[name], known[name]]) for name in known})
    again = build_features(altered, [day])
    assert matrix.values.tobytes() == again.values.tobytes()
