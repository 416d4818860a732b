"""relapse_risk: risk scoring and forecasting for the prevention of relapse into poverty."""
