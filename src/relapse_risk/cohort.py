"""Who is at risk on an as-of date: households of the cohort that are known to be fine."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.config import CohortConfig, LabelConfig
from relapse_risk.panel.panel import KnownPanel
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.welfare import FINE, last_complete_month, welfare_states
from relapse_risk.windows import month_end


def find_at_risk(
    known: KnownPanel,
    label: LabelConfig,
    cohort: CohortConfig,
    thresholds: ThresholdTable | None = None,
    household_ids: pl.Series | None = None,
) -> NDArray[np.bool_]:
    """Return whether each household is at risk on ``known.as_of_date``, by what was known on that day.

    Parameters
    ----------
    known : KnownPanel
    label : LabelConfig
        Its outcomes say what "fine" means.
    cohort : CohortConfig
    thresholds : ThresholdTable, optional
        The layers under the panel's own rows; those of the panel where not given.
    household_ids : polars.Series, optional
        Sorted identifiers of the households wanted; all known ones where not given.

    Returns
    -------
    ndarray of bool, shape (n_households,)
        True where the latest known state is fine, its period ended at most ``max_report_age_months`` ago,
        and the household is of one of the cohort's types. Order of ``known.households``.
    """
    households = known.households
    if household_ids is not None:
        households = households.filter(pl.col("household_id").is_in(household_ids.implode()))
    now = last_complete_month(known.as_of_date)
    months = cohort.max_report_age_months + 1
    grid = welfare_states(
        known,
        label,
        known.thresholds(thresholds),
        household_ids=households["household_id"],
        ending_after=month_end(now - months),
    )
    state, _ = grid.after(np.arange(households.height), now - months, months)
    is_known = state >= 0
    latest = months - 1 - np.argmax(is_known[:, ::-1], axis=1)
    is_fine = is_known.any(axis=1) & (state[np.arange(households.height), latest] == FINE)
    types = [str(kind) for kind in cohort.household_types]
    of_type = households["household_type"].is_in(types).fill_null(value=False).to_numpy()
    at_risk: NDArray[np.bool_] = is_fine & of_type
    return at_risk
