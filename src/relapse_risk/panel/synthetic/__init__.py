"""A synthetic county whose truth is known: a latent micro-simulation, and what a county's systems see of it.

The order of things: ``scenario`` holds the numbers; ``population`` and
``members`` draw who lives there; ``state`` and ``step`` are the latent
simulation; ``history`` runs it once for the county and, from chosen months on, many times for the
oracle in ``truth``; the other modules write down what is seen, table by table;
``exports`` hands it in as a county would.
"""

from relapse_risk.panel.synthetic.exports import write_exports
from relapse_risk.panel.synthetic.scenario import Scenario
from relapse_risk.panel.synthetic.simulation import SyntheticCounty, default_oracle_dates, simulate
from relapse_risk.panel.synthetic.truth import Truth, read_truth, write_truth

__all__ = [
    "Scenario",
    "SyntheticCounty",
    "Truth",
    "default_oracle_dates",
    "read_truth",
    "simulate",
    "write_exports",
    "write_truth",
]
