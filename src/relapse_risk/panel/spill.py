"""Rows on their way: few of them in memory, more than that on disk in numbered parts, read part by part."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import polars as pl

PART = "_part_of_run"
_HELD_ROWS = 1_000_000


class Spill:
    """Rows of one table.

    Parameters
    ----------
    folder : Path or None
        Where parts go; None keeps everything in memory.
    held_rows : int
        Rows that are kept in memory, and most that are read back together where parts are no larger.
    """

    def __init__(self, folder: Path | None = None, held_rows: int = _HELD_ROWS) -> None:
        self._folder, self._held_rows = folder, held_rows
        self._held: list[pl.DataFrame] = []
        self._files: dict[int, list[Path]] = {}
        self._rows: dict[int, int] = {}
        self._numbers = count()

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows; their column ``_part_of_run`` says which of them have to come back together."""
        if rows.is_empty():
            return
        self._held.append(rows)
        if self._folder is not None and sum(frame.height for frame in self._held) > self._held_rows:
            self._write(self._folder)

    def _write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        held = pl.concat(self._held)
        self._held.clear()
        for (number,), rows in held.partition_by(PART, as_dict=True).items():
            path = folder / f"{next(self._numbers)}.arrow"
            rows.write_ipc(path, compression="lz4")
            self._files.setdefault(number, []).append(path)
            self._rows[number] = self._rows.get(number, 0) + rows.height

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield all rows once, in the order of their parts and in each as they were added.

        Parts that are together no more than what may be held come as one; nothing comes where there is
        nothing. What was yielded is gone from the disk.
        """
        if not self._files or self._folder is None:
            if self._held:
                yield pl.concat(self._held)
            return
        if self._held:
            self._write(self._folder)
        together: list[int] = []
        for number in sorted(self._rows):
            if together and sum(self._rows[n] for n in (*together, number)) > self._held_rows:
                yield self._read(together)
                together = []
            together.append(number)
        yield self._read(together)

    def _read(self, numbers: list[int]) -> pl.DataFrame:
        paths = [path for number in numbers for path in self._files[number]]
        rows = pl.concat([pl.read_ipc(path) for path in paths])
        for path in paths:
            path.unlink()
        return rows
