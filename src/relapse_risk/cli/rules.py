"""The verb ``rules`` and what stands under it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from relapse_risk.cli.options import (
    AsOf,
    Store,
    cells,
    echo_json,
    language_of,
    needed,
    open_project,
    store_of,
    thresholds_of_project,
)
from relapse_risk.terminal import console, errors_shown, print_table, progress

app = typer.Typer(help="Apply the monitoring rules, or list them.", invoke_without_command=True)


@app.callback()
def rules(
    context: typer.Context,
    as_of: Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"])] = None,
    out: Annotated[Path | None, typer.Option("--out")] = None,
    store: Store = None,
) -> None:
    """Apply every rule to every household: hit, no hit, or cannot judge.

    Example: relapse-risk rules --store data/store --as-of 2024-12-31 --out outputs/rules
    """
    if context.invoked_subcommand:
        return
    from relapse_risk.runs import write_rule_hits

    with errors_shown():
        as_of_date, folder = needed(as_of, "--as-of").date(), needed(out, "--out")
        with progress("rules") as show:
            tables = write_rule_hits(
                store_of(store),
                as_of_date,
                folder,
                show,
                language=open_project().language,
                thresholds=thresholds_of_project(),
            )
        columns = ("code", "zh", "category", "hit", "no_hit", "cannot_judge", "not_in_force")
        header = ("代码", "规则", "类别", "命中", "未命中", "无法判断", "其中未启用")
        print_table(f"规则 {as_of_date}", header, tables.summary.select(columns).rows())
        for line in tables.summary_lines(open_project().language):
            console().print(line, markup=False)
        console().print(f"→ {folder}")


@app.command("explain")
def rules_explain(
    household: Annotated[str, typer.Argument(help="household_id (户编号)")],
    as_of: AsOf,
    store: Store = None,
    lang: Annotated[str | None, typer.Option("--lang", help="zh or en; the project's if absent.")] = None,
) -> None:
    """Show every rule for one household: what it read, its limits and sources, its result, its timer.

    Example: relapse-risk rules explain 13072700010001 --as-of 2024-12-31 --store data/store
    """
    from relapse_risk.rules.sheet_text import sheet_lines
    from relapse_risk.runs import explain_rules_of

    with errors_shown():
        sheet = explain_rules_of(
            store_of(store),
            household,
            as_of.date(),
            language=language_of(lang),
            thresholds=thresholds_of_project(),
        )
        for line in sheet_lines(sheet):
            console().print(line, markup=False)


@app.command("list")
def rules_list(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the rules with their category, legal basis and parameters."""
    from relapse_risk.rules.catalog import list_rules

    rows = list_rules()
    if as_json:
        echo_json(rows)
    else:
        print_table(
            "规则 rules", ("code", "zh", "en", "cat."), [cells(r, "code zh en category") for r in rows]
        )
