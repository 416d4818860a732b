"""What the command line shows: progress on long work, tables, and errors with their exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from relapse_risk.errors import RelapseRiskError

if TYPE_CHECKING:
    from rich.console import Console

    from relapse_risk.outputs.tables import ResultTable
    from relapse_risk.vocabulary import Language

Progress = Callable[[str, int, int], None]


def console(*, is_error: bool = False) -> Console:
    """Return the console of standard output, or of standard error."""
    from rich.console import Console

    return Console(stderr=is_error, highlight=False, soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show a bar on standard error while work is going on; nothing where that is no terminal.

    The callable it gives takes a stage, the number done and the number to do.
    """
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[stage]}"))
    with Bar(
        *columns,
        TimeElapsedColumn(),
        console=console(is_error=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task(title, total=None, stage="")

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None, stage=stage)

        yield show


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers stand to the right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    printer = console()
    for i, name in enumerate(header):
        is_number = bool(rows) and all(isinstance(row[i], int | float) or row[i] in ("", "–") for row in rows)
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row))
    if not printer.is_terminal:  # a file or a pipe has no width of its own
        printer.width = 160
    printer.print(table)


def print_result(tables: Sequence[ResultTable], note: Sequence[str], language: Language) -> None:
    """Print the note of a result and its tables, without their columns of codes."""
    for line in note:
        console().print(line, markup=False)
    for table in tables:
        if table.frame.height:
            codes = [name for name in table.frame.columns if name.endswith("_code")]
            frame = replace(table, frame=table.frame.drop(codes)).labelled(language)
            rows = [["" if cell is None else _rounded(cell) for cell in row] for row in frame.rows()]
            print_table(table.name.text(language), frame.columns, rows)


def _rounded(cell: object) -> object:
    """Return a whole number as such: counts and yuan have no decimals."""
    return int(cell) if isinstance(cell, float) and cell == int(cell) else cell


def print_backtest(pooled: Sequence[Mapping[str, Any]]) -> None:
    """Print a backtest's records over all origins, one line per policy and capacity."""
    names = ("visits", "found", "precision_at_capacity", "recall_at_capacity", "roc_auc", "pr_auc", "brier")
    header = ("policy", "capacity", "visits", "found", "precision", "recall", "AUC", "PR-AUC", "Brier")
    rows = []
    for record in pooled:
        low, high = record.get("precision_at_capacity_low"), record.get("precision_at_capacity_high")
        interval = "–" if low is None else f"{low:.3f}–{high:.3f}"
        values = ["–" if record[name] is None else record[name] for name in names]
        values[1] = f"{record['found']:.1f}"
        rows.append((record["policy"], f"{record['capacity']:g}", *values, interval))
    print_table("Backtest, all origins together", (*header, "precision 95%"), rows)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Print an error of the family without a traceback and leave with its exit code."""
    try:
        yield
    except RelapseRiskError as error:
        from rich.markup import escape

        console(is_error=True).print(f"[bold red]✗[/] {escape(str(error))}")
        raise SystemExit(error.exit_code) from None
