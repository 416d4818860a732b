"""Files that people open: CSV that no spreadsheet runs or garbles, JSON, and folders that appear whole.

The CSV is RFC 4180 with CRLF, in UTF-8 with a byte order mark, so that Excel and WPS read the Chinese as it
is. The functions return bytes; :func:`publish` alone touches the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from relapse_risk.errors import ConfigurationError, MachineError

# A spreadsheet runs a cell that starts with one of these; some take the full-width forms for the same.
_FORMULA = "^([ \u3000]*[=+\\-@\t＝＋－＠])"
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write other line ends
_LINE_BREAKS = "[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+"


def csv_bytes(frame: pl.DataFrame) -> bytes:
    r"""Return a frame as CSV that Excel, WPS and LibreOffice open as it is meant.

    Parameters
    ----------
    frame : polars.DataFrame
        Columns in order. Text cells lose their line breaks, and get an apostrophe before anything a
        spreadsheet would run as a formula; numbers and dates stay what they are.

    Returns
    -------
    bytes
        UTF-8 with a byte order mark, fields parted by commas, lines ended by CRLF, empty where null.

    Examples
    --------
    >>> csv_bytes(pl.DataFrame({"note": ["=1+1", "a\r\nb"], "days_left": [-3, None]})).decode()
    "\ufeffnote,days_left\r\n'=1+1,-3\r\na b,\r\n"
    """
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    cleaned = frame.with_columns(_safe(pl.col(texts)).replace("", None))
    headers = pl.select(_safe(pl.lit(pl.Series(frame.columns)))).to_series().to_list()
    cleaned.columns = headers
    return cleaned.write_csv(include_bom=True, line_terminator="\r\n", quote_style="necessary").encode()


def _safe(text: pl.Expr) -> pl.Expr:
    """Return text on one line that no spreadsheet runs."""
    return text.str.replace_all(_LINE_BREAKS, " ").str.replace(_FORMULA, "'${1}")


def json_bytes(payload: Mapping[str, object]) -> bytes:
    """Return a mapping as readable JSON with sorted keys, so that equal contents are equal bytes."""
    text = json.dumps(payload, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    return f"{text}\n".encode()


def publish(
    files: Sequence[tuple[str, bytes]],
    folder: Path,
    *,
    is_forced: bool = False,
    replaces: Iterable[str] = (),
    private: Collection[str] = (),
) -> tuple[Path, ...]:
    """Write files into a folder so that all of them appear or none does.

    Everything is first written and flushed beside its place. A folder that is new appears at once with all
    that is in it. Into one that is there, files are moved in order: put the file that says "complete" (a
    manifest) last. If a move fails, what was moved is taken back.

    Parameters
    ----------
    files : sequence of (name, contents)
    folder : Path
        Created where it is missing.
    is_forced : bool
        Keep what is in the way aside under a name with ``.old1``, ``.old2``, … instead of refusing.
    replaces : iterable of str
        Further files of an earlier edition, to be kept aside with it.
    private : collection of str
        Files that only their owner may read (mode 0600, where the system knows modes).

    Returns
    -------
    tuple of Path
        Where the files are, in the order given. Files that are there with the same bytes stay untouched.

    Raises
    ------
    ConfigurationError
        RR481 where other contents are in the way and ``is_forced`` is false.
    MachineError
        RR601 where the disk or a permission does not allow it; nothing new is left behind.
    """
    targets = tuple(folder / name for name, _ in files)
    if all(_holds(path, data) for path, (_, data) in zip(targets, files, strict=True)):
        return targets
    names = dict.fromkeys((*(name for name, _ in files), *replaces))
    in_the_way = [folder / name for name in names if (folder / name).exists()]
    if in_the_way and not is_forced:
        raise ConfigurationError(
            "RR481",
            str(folder),
            f"{len(in_the_way)} files of another edition are there ({in_the_way[0].name}, …)",
            "an empty place: nothing is overwritten",
            "Choose another folder, or use --force to keep the earlier edition aside",
            zh=f"“{folder}”中已有另一份结果，未作覆盖；请另选文件夹，或用 --force 将旧文件改名保留。",
        )
    try:
        if folder.exists():
            _move_in(files, folder, in_the_way, private)
        else:
            _make_whole(files, folder, private)
    except OSError as error:
        raise MachineError(
            "RR601",
            str(folder),
            f"could not write ({error.strerror or error})",
            "a folder with space that may be written to",
            "Free space or correct the permission, then run again; nothing was left behind",
            zh=f"无法写入“{folder}”，请检查磁盘空间和权限后重试；没有留下不完整的文件。",
        ) from error
    return targets


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _make_whole(files: Sequence[tuple[str, bytes]], folder: Path, private: Collection[str]) -> None:
    """Make a folder with its files beside its place, then give it its name."""
    missing = [parent for parent in folder.parents if not parent.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
    try:
        for name, data in files:
            _write_through(staging / name, data, is_private=name in private)
        staging.chmod(_usual_mode(staging))
        staging.replace(folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in missing:
            parent.rmdir()
        raise


def _usual_mode(folder: Path) -> int:
    """Return the mode that a folder made here would have: a temporary one is closed to others."""
    beside = folder / "mode"
    beside.mkdir()
    mode = beside.stat().st_mode & 0o777
    beside.rmdir()
    return mode


def _move_in(
    files: Sequence[tuple[str, bytes]], folder: Path, in_the_way: Sequence[Path], private: Collection[str]
) -> None:
    """Stage, keep aside, move in; on failure put everything back as it was and raise."""
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    moved: list[tuple[Path, Path]] = []
    try:
        for name, data in files:
            _write_through(staging / name, data, is_private=name in private)
        for path in in_the_way:
            moved.append((path, _aside(path)))
            path.rename(moved[-1][1])
        for name, _ in files:
            moved.append((staging / name, folder / name))
            moved[-1][0].replace(moved[-1][1])
    except BaseException:
        for source, target in reversed(moved):
            if target.exists() and not source.exists():
                target.rename(source)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_through(path: Path, data: bytes, *, is_private: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600 if is_private else 0o666)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _aside(path: Path) -> Path:
    """Return the first free name with ``.old1``, ``.old2``, … before the ending."""
    n = 1
    while (aside := path.with_name(f"{path.stem}.old{n}{path.suffix}")).exists():
        n += 1
    return aside
