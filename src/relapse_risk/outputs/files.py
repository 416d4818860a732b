"""Files that people open: CSV that no spreadsheet runs or garbles, JSON, and folders that appear whole.

The CSV is RFC 4180 with CRLF, in UTF-8 with a byte order mark, so that Excel and WPS read the Chinese as it
is. The functions return bytes; :func:`publish` alone touches the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import polars as pl

from relapse_risk.errors import ConfigurationError, MachineError

# A spreadsheet runs a cell that starts with one of these; some take the full-width forms for the same.
_FORMULA = "^([ \u3000]*[=+\\-@\t＝＋－＠])"
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write other line ends
_CUT_OFF_SECONDS = 3600  # no list takes that long to write
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
    private: Collection[str] = (),
) -> tuple[Path, ...]:
    """Make a folder with these files, so that all of them appear or none does.

    Everything is first written and flushed beside the folder, which then gets its name at once. An earlier
    edition is renamed whole, with all that was put beside it. Whoever is stopped between the two renamings
    leaves the earlier edition under its new name and no folder under the old one: call again.

    Parameters
    ----------
    files : sequence of (name, contents)
        Put the one that every edition has, such as a manifest, last: by it an earlier edition is known.
    folder : Path
        Created where it is missing; holds nothing else.
    is_forced : bool
        Keep an earlier edition aside as ``<folder>.old1``, ``.old2``, … instead of refusing.
    private : collection of str
        Files that only their owner may read (mode 0600, where the system knows modes).

    Returns
    -------
    tuple of Path
        Where the files are, in the order given. Files that are there with the same bytes stay untouched.

    Raises
    ------
    ConfigurationError
        RR481 where other contents are in the way and ``is_forced`` is false; RR491 where they are no earlier
        edition alone, so that they can't be put aside.
    MachineError
        RR601 where the disk or a permission does not allow it, RR605 where the earlier edition can't be
        renamed, since a program has a file of it open; the earlier edition stays what it was.
    """
    targets = tuple(folder / name for name, _ in files)
    if all(_holds(path, data) for path, (_, data) in zip(targets, files, strict=True)):
        return targets
    folder = folder.absolute()  # "." has no name to put an edition aside under
    is_in_the_way = _is_in_the_way(folder, files[-1][0], is_forced=is_forced)
    try:
        staging, made = _written_beside(files, folder, private)
    except OSError as error:
        raise _not_written(folder, error) from error
    try:
        _swap(staging, folder, keeps_earlier=is_in_the_way)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in made:
            parent.rmdir()
        raise
    return targets


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _is_in_the_way(folder: Path, mark: str, *, is_forced: bool) -> bool:
    """Return whether an earlier edition is there that may be put aside; raise where it may not."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    if not inside:
        return False
    if not is_forced:
        raise ConfigurationError(
            "RR481",
            str(folder),
            f"{len(inside)} files are there already ({inside[0].name}, …)",
            "an empty place: nothing is overwritten",
            "Choose another folder, or use --force to keep an earlier edition aside",
            zh=f"“{folder}”中已有文件，未作覆盖；请另选文件夹，或用 --force 将旧清单整体改名保留。",
        )
    others = [path for path in inside if path.is_dir()]
    if others or not (folder / mark).exists():
        raise ConfigurationError(
            "RR491",
            str(folder),
            f"it holds a folder ({others[0].name})" if others else f"it holds files, and no {mark}",
            "a folder that an earlier edition has for itself",
            "Choose a folder of its own for each edition",
            zh=f"“{folder}”中还有清单以外的内容，不能整体改名保留，未作任何改动；请为每期清单另设一个文件夹。",
        )
    return True


def _written_beside(
    files: Sequence[tuple[str, bytes]], folder: Path, private: Collection[str]
) -> tuple[Path, list[Path]]:
    """Return a folder with the files beside their place, and the parents that were made for it."""
    missing = [parent for parent in folder.parents if not parent.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.writing-"
    for left in folder.parent.glob(f"{prefix}*"):
        if time.time() - left.stat().st_mtime > _CUT_OFF_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        for name, data in files:
            _write_through(staging / name, data, is_private=name in private)
        staging.chmod(_usual_mode(staging))
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in missing:
            parent.rmdir()
        raise
    return staging, missing


def _usual_mode(folder: Path) -> int:
    """Return the mode that a folder made here would have: a temporary one is closed to others."""
    beside = folder / "mode"
    beside.mkdir()
    mode = beside.stat().st_mode & 0o777
    beside.rmdir()
    return mode


def _swap(staging: Path, folder: Path, *, keeps_earlier: bool) -> None:
    """Put the earlier edition aside and the new one in its place; on failure put the earlier one back."""
    aside = _aside(folder)
    if keeps_earlier:
        try:
            folder.rename(aside)
        except OSError as error:
            raise _in_use(folder, folder, error) from error
    try:
        if folder.is_dir():  # an empty one, which not every system lets be replaced
            folder.rmdir()
        staging.replace(folder)
    except BaseException as error:
        if keeps_earlier:
            try:
                aside.rename(folder)
            except OSError as second:
                raise _in_use(folder, aside, second) from error
        if isinstance(error, OSError):
            raise _not_written(folder, error) from error
        raise


def _aside(folder: Path) -> Path:
    """Return the first free name with ``.old1``, ``.old2`` and so on."""
    n = 1
    while (aside := folder.with_name(f"{folder.name}.old{n}")).exists():
        n += 1
    return aside


def _not_written(folder: Path, error: OSError) -> MachineError:
    return MachineError(
        "RR601",
        str(folder),
        f"could not write ({error.strerror or error})",
        "a folder with space that may be written to",
        "Free space or correct the permission, then run again; nothing was left behind",
        zh=f"无法写入“{folder}”，请检查磁盘空间和权限后重试；没有留下不完整的文件。",
    )


def _in_use(folder: Path, kept: Path, error: OSError) -> MachineError:
    return MachineError(
        "RR605",
        str(folder),
        f"the earlier edition could not be renamed ({error.strerror or error})",
        "a folder of which no program has a file open",
        f"Close its files in Excel or WPS, then run again; the earlier edition is whole, in {kept}",
        zh=f"“{folder}”无法改名，其中的文件可能正在 Excel 或 WPS 中打开，请关闭后重试；"
        f"旧清单完整保留在“{kept}”。",
    )


def _write_through(path: Path, data: bytes, *, is_private: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600 if is_private else 0o666)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
