"""Results on disk: a folder's files are written beside their places first, then moved in together."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

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
        raise MachineError(
            "RR604",
            str(out),
            f"could not write ({error.strerror or error})",
            "a folder with space that may be written to",
            "Free space or correct the permission, then run again",
            zh=f"无法写入“{out}”，请检查磁盘空间和权限后重试。",
        ) from error
    finally:
        for path in staged:
            path.unlink(missing_ok=True)
    return tuple(out / name for name in files)


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """Return a frame as a Parquet file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
