"""Results on disk: a folder's files are written beside their places first, then moved in together."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from relapse_risk.errors import MachineError


def write_together(files: Mapping[str, bytes], out: Path) -> tuple[Path, ...]:
    """Write files into a folder, in order, over those of the same names; none of them is ever half there.

    Parameters
    ----------
    files : mapping of str to bytes
        Contents by name; put the one that says "complete" (a manifest) last.
    out : Path
        Made where it is missing.

    Returns
    -------
    tuple of Path

    Raises
    ------
    MachineError
        RR604 where the folder can't be written.
    """
    staged: list[Path] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            staged.append(out / f".{name}.{os.getpid()}.writing")
            staged[-1].write_bytes(data)
        for path, name in zip(staged, files, strict=True):
            path.replace(out / name)
    except OSError as error:
        raise _unwritable(out, error) from error
    finally:
        for path in staged:
            path.unlink(missing_ok=True)
    return tuple(out / name for name in files)


class ParquetStream:
    """A Parquet file that is written part by part beside its place, and moved in once it is whole.

    Its bytes depend on the rows alone, not on the parts they came in: row groups have a fixed size.

    Parameters
    ----------
    path : Path
        Where the file goes; its folder is made where it is missing.
    rows_per_group : int
    """

    def __init__(self, path: Path, rows_per_group: int = 32_768) -> None:
        self.path, self._size = path, rows_per_group
        self._staged = path.parent / f".{path.name}.{os.getpid()}.writing"
        self._waiting: list[pl.DataFrame] = []
        self._writer: Any = None
        self.rows = 0

    def __enter__(self) -> ParquetStream:
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Add rows; all parts have the same columns."""
        self.rows += frame.height
        self._waiting.append(frame)
        while sum(part.height for part in self._waiting) >= self._size:
            rows = pl.concat(self._waiting)
            self._put(rows[: self._size])
            self._waiting = [rows[self._size :]]

    def _put(self, rows: pl.DataFrame) -> None:
        import pyarrow.parquet as pq

        table = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        with _refusals_told(self.path):
            if self._writer is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._writer = pq.ParquetWriter(self._staged, table.schema, compression="zstd")
            self._writer.write_table(table, row_group_size=self._size)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None and self._waiting:
                self._put(pl.concat(self._waiting))
        finally:
            if self._writer is not None:
                self._writer.close()
        if error is None:
            with _refusals_told(self.path):
                self._staged.replace(self.path)
        else:
            self._staged.unlink(missing_ok=True)

    def facts(self) -> dict[str, object]:
        """Return the hash and the size of the file, as a manifest lists them."""
        with self.path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"sha256": digest, "bytes": self.path.stat().st_size}


@contextmanager
def _refusals_told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unwritable(path.parent, error) from error


def _unwritable(out: Path, error: OSError) -> MachineError:
    return MachineError(
        "RR604",
        str(out),
        f"could not write ({error.strerror or error})",
        "a folder with space that may be written to",
        "Free space or correct the permission, then run again",
        zh=f"无法写入“{out}”，请检查磁盘空间和权限后重试。",
    )


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """Return a frame as a Parquet file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
