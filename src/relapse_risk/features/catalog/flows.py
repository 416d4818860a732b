"""Flows and levels of one reported period that several families build on.

Net income is what was handed in; where that cell is empty, wage + business − cost + property + transfer, if
all of these were handed in. In the reference income an empty claim or own-pay cell counts as none, because a
period without medical bills is commonly left blank; an empty income cell never does.
"""

from __future__ import annotations

from relapse_risk.features.expression import param
from relapse_risk.features.operators import annual, in_period, months_since_report

NET_INCOME = in_period("net_income_yuan").or_else(
    in_period("wage_income_yuan")
    + in_period("business_income_yuan")
    - in_period("business_cost_yuan")
    + in_period("property_income_yuan")
    + in_period("transfer_income_yuan")
)
REFERENCE_INCOME = (
    NET_INCOME + in_period("claim_income_yuan").or_else(0) - in_period("oop_compliant_yuan").or_else(0)
)

ANNUAL_NET_INCOME = annual("net_income_yuan").or_else(
    annual("wage_income_yuan")
    + annual("business_income_yuan")
    - annual("business_cost_yuan")
    + annual("property_income_yuan")
    + annual("transfer_income_yuan")
)
# Of one period, per person and scaled to a year; the line is the one in force at the period's end.
REFERENCE_INCOME_PER_PERSON = (
    ANNUAL_NET_INCOME + annual("claim_income_yuan").or_else(0) - annual("oop_compliant_yuan").or_else(0)
) / in_period("n_person")
REFERENCE_INCOME_TO_LINE = REFERENCE_INCOME_PER_PERSON / param("line")
IS_BELOW_LINE = in_period("below_line").or_else(REFERENCE_INCOME_TO_LINE < 1)

# Of one period: persons stay and flows grow twelvefold over the months, so their quotient tells the months.
PERIOD_MONTHS = 12 * in_period("n_person") / annual("n_person")

# Neighbours are compared on recent reports only; what was said years ago is no state of today.
IS_RECENT = months_since_report() <= 12

# Spending a household can't put off; an empty part counts as none where any part was handed in.
RIGID_SPENDING = (
    in_period("oop_compliant_yuan").or_else(0)
    + in_period("education_cost_yuan").or_else(0)
    + in_period("rehab_cost_yuan").or_else(0)
    + in_period("housing_cost_yuan").or_else(0)
).when(
    in_period("oop_compliant_yuan")
    .or_else(in_period("education_cost_yuan"))
    .or_else(in_period("rehab_cost_yuan"))
    .or_else(in_period("housing_cost_yuan"))
    >= 0
)
