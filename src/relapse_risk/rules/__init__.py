"""Rules: the monitoring thresholds as declared objects, three-valued."""
