"""The catalogue of features, one module per family: the one place to add a feature.

Declare a :class:`~relapse_risk.features.spec.Feature` in the module of its family and add it to that module's
tuple; column, dictionary entry, monotone constraint and phrase all follow from the declaration.
"""

from __future__ import annotations

from relapse_risk.features.catalog.composition import COMPOSITION
from relapse_risk.features.catalog.context import CONTEXT
from relapse_risk.features.catalog.demography import DEMOGRAPHY
from relapse_risk.features.catalog.dynamics import DYNAMICS
from relapse_risk.features.catalog.entitlements import ENTITLEMENTS
from relapse_risk.features.catalog.events import EVENTS
from relapse_risk.features.catalog.guarantees import GUARANTEES
from relapse_risk.features.catalog.health import HEALTH
from relapse_risk.features.catalog.income import INCOME
from relapse_risk.features.catalog.labour import LABOUR
from relapse_risk.features.catalog.livelihood import LIVELIHOOD
from relapse_risk.features.catalog.oversight import OVERSIGHT
from relapse_risk.features.catalog.process import PROCESS
from relapse_risk.features.catalog.spending import SPENDING
from relapse_risk.features.spec import FeatureSet

CATALOG = FeatureSet(
    (
        *INCOME,
        *DYNAMICS,
        *COMPOSITION,
        *SPENDING,
        *HEALTH,
        *LABOUR,
        *DEMOGRAPHY,
        *GUARANTEES,
        *LIVELIHOOD,
        *EVENTS,
        *CONTEXT,
        *PROCESS,
        *ENTITLEMENTS,
        *OVERSIGHT,
    )
)
