"""The verbs under ``store``: look at a store, check it, take back, forget, bring up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relapse_risk.cli.options import Store, needed, store_of
from relapse_risk.terminal import console, errors_shown, print_table

app = typer.Typer(help="Look after the store: log, verify, rollback, purge, migrate.", no_args_is_help=True)


@app.command()
def log(store: Store = None) -> None:
    """List the commits, oldest first: id, time, rows, files, sources.

    Example: relapse-risk store log --store data/store
    """
    from relapse_risk.panel.store import Store as Stored

    with errors_shown():
        rows = [
            (
                commit.id,
                commit.committed_at,
                sum(counts.accepted for counts in commit.counts.values()),
                sum(commit.purged.values()),
                len(commit.files),
                "、".join(source.name for source in commit.sources[:3])
                + (" …" if len(commit.sources) > 3 else ""),
            )
            for commit in Stored(store_of(store)).log()
        ]
        print_table(f"{store_of(store)}", ("批次 id", "时间", "入库行", "已删除行", "文件", "来源"), rows)


@app.command()
def verify(store: Store = None) -> None:
    """Check every file's checksum and rows against the commits; exit code 1 where anything is wrong.

    Example: relapse-risk store verify --store data/store
    """
    from relapse_risk.panel.store import Store as Stored
    from relapse_risk.panel.upkeep import verify as check

    with errors_shown():
        found = check(Stored(store_of(store)))
        console().print(f"{found.commits} commits, {found.files} files, {found.rows} rows")
        for problem in found.problems:
            console().print(f"! {problem}", markup=False)
        console().print("all as recorded" if not found.problems else f"{len(found.problems)} problems")
        if found.problems:
            raise typer.Exit(1)


@app.command()
def rollback(commit_id: Annotated[str, typer.Argument(metavar="ID")], store: Store = None) -> None:
    """Take the commit ID and all later ones back: the store is as it was before it.

    Example: relapse-risk store rollback 000003-5a9b1f2ebd --store data/store
    """
    from relapse_risk.panel.store import Store as Stored
    from relapse_risk.panel.upkeep import roll_back

    with errors_shown():
        for commit in roll_back(Stored(store_of(store)), commit_id):
            rows = sum(counts.accepted for counts in commit.counts.values())
            console().print(f"taken back: {commit.id} of {commit.committed_at}, {rows} rows")


@app.command()
def purge(
    households: Annotated[list[str] | None, typer.Argument(metavar="HOUSEHOLD...")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="One household identifier a line.")] = None,
    store: Store = None,
) -> None:
    """Forget households for good: their rows, copies and returned rows; they can't be ingested again.

    Example: relapse-risk store purge 130101001001000017 --store data/store
    """
    from relapse_risk.panel.store import Store as Stored
    from relapse_risk.panel.upkeep import purge as forget

    with errors_shown():
        named = [*(households or ()), *(file.read_text(encoding="utf-8-sig").split() if file else ())]
        removed = forget(Stored(store_of(store)), needed(named, "HOUSEHOLD or --file"))
        for name, rows in removed.items():
            console().print(f"{name}: {rows} rows removed")
        console().print(f"{len(set(named))} households forgotten, {sum(removed.values())} rows removed")


@app.command()
def migrate(store: Store = None) -> None:
    """Bring a store of an older version up to date; the old one stays beside it as NAME.format1.

    Example: relapse-risk store migrate --store data/store
    """
    from relapse_risk.panel.upkeep import migrate as bring_up

    with errors_shown():
        path = store_of(store)
        commits = bring_up(path)
        console().print(f"{len(commits)} commits brought up to date; the old store is {path}.format1")
