"""Explanations: attributions, and reasons as facts from the record."""
