"""Caseload forecasts: how many households, where and when, and how sure."""
