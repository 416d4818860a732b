"""Writes docs/guards.md from the code: python docs/make_guards_page.py."""

from __future__ import annotations

from pathlib import Path

from relapse_risk.evaluation.guard_catalog import guards_page

if __name__ == "__main__":
    (Path(__file__).parent / "guards.md").write_text(guards_page(), encoding="utf-8")
