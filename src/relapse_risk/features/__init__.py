"""Features: declared once, computed as of a date, and the same numbers for rules, models and lists."""
