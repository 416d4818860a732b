"""The catalogue of features, one module per family: the one place to add a feature."""
