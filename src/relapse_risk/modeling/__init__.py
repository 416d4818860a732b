"""Models: hazards, baselines, calibration, the model directory, tracking."""
