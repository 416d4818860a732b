"""Reading delimited text: encoding, delimiter, header row, and rows that do not fit the header."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.panel.raw import EXCESS_CELLS, ROW_NUMBER, Rows, normalise_header

_DELIMITERS = (",", ";", "\t")
_CHUNK_BYTES = 4 << 20
_BLOCK_BYTES = 64 << 20
_SAMPLE_BYTES = 1 << 18
_HEADER_WITHIN_ROWS = 30
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class _Layout:
    delimiter: str
    headers: tuple[str, ...]
    header_row: int
    lines_before_data: int
    above: tuple[tuple[str, ...], ...]


def read_csv(path: Path, wanted: Collection[str]) -> Rows:
    """Return the headers of a delimited text file, and what reads its rows, block by block and as text.

    Parameters
    ----------
    path : Path
    wanted : collection of str
        Normalised headers one expects; the row that has most of them is the header row.

    Raises
    ------
    DataError
        RR103 where the text is no table, RR104 where its bytes fit no known encoding.
    """
    encoding = detect_encoding(path)
    with path.open(encoding=encoding, newline="", errors="ignore") as stream:
        sample = stream.read(_SAMPLE_BYTES)
    layout = _find_layout(path.name, sample, wanted)
    is_old_mac = "\r" in sample and "\n" not in sample
    blocks = partial(_blocks_of_rows, path, encoding, layout, is_old_mac=is_old_mac)
    return Rows(layout.headers, blocks, layout.above)


def _blocks_of_rows(
    path: Path, encoding: str, layout: _Layout, *, is_old_mac: bool
) -> Iterator[pl.DataFrame]:
    """Yield the rows of each block, at least one block, numbered as a spreadsheet does."""
    row, line = layout.header_row + 1, 0
    for number, block in enumerate(_blocks(_as_utf8(path, encoding, is_old_mac=is_old_mac))):
        skipped = (layout.lines_before_data, layout.header_row) if number == 0 else (0, 0)
        frame = _read_fast(block, layout, skipped[0])
        if frame is None:
            frame = _read_carefully(path.name, block.decode(), layout, skipped[1], line)
        yield number_rows(frame, first=row)
        row, line = row + frame.height, line + block.count(b"\n")


def _as_utf8(path: Path, encoding: str, *, is_old_mac: bool) -> Iterator[bytes]:
    """Yield the text in chunks of UTF-8, without a byte-order mark."""
    if encoding in ("utf-8", "utf-8-sig") and not is_old_mac:
        with path.open("rb") as stream:
            if encoding == "utf-8-sig":
                stream.seek(len(codecs.BOM_UTF8))
            while chunk := stream.read(_BLOCK_BYTES):
                yield chunk
        return
    for text in _decoded(path, encoding):
        yield (text.replace("\r", "\n") if is_old_mac else text).encode()


def _blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield whole records, some 64 MB at a time, at least one block: a break within quotes ends none."""
    pieces: list[bytes] = []
    number = 0
    for chunk in chunks:
        pieces.append(chunk)
        if sum(map(len, pieces)) < _BLOCK_BYTES:
            continue
        held = b"".join(pieces)
        end = _last_end(held)
        pieces = [held[end:]]
        if end:
            number += 1
            yield held[:end]
    last = b"".join(pieces)
    if last or not number:
        yield last


def _last_end(held: bytes) -> int:
    """Return where the last whole record ends: behind a line break with an even number of quotes before."""
    end = held.rfind(b"\n") + 1
    odd = held.count(b'"', 0, end) % 2
    while odd and end:
        before = held.rfind(b"\n", 0, end - 1) + 1
        odd ^= held.count(b'"', before, end) % 2
        end = before
    return end


def detect_encoding(path: Path) -> str:
    """Return the encoding of a text file: UTF-8, UTF-16 or GB18030.

    Raises
    ------
    DataError
        RR103 for an empty or binary file, RR104 for bytes that fit none of them.
    """
    with path.open("rb") as stream:
        head = stream.read(_SAMPLE_BYTES)
    if not head.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise no_table(path.name, "the file is empty", "文件为空")
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            candidates = [encoding]
            break
    else:
        candidates = _without_bom(path.name, head)
    for encoding in candidates:
        if _decodes(path, encoding):
            return encoding
    raise DataError(
        "RR104",
        path.name,
        f"its bytes are not {' or '.join(candidates)}",
        "UTF-8, UTF-16 or GB18030",
        "Save it again as CSV UTF-8",
        zh=f"{path.name}：编码无法识别，请在表格软件中另存为“CSV UTF-8”。",
    )


def _without_bom(name: str, head: bytes) -> list[str]:
    if b"\0" not in head:
        return ["utf-8", "gb18030"]
    # Some Chinese characters have a zero byte as well (一 is 4E 00): the greater count is that of ASCII.
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) > max(len(head) // 20, 8 * min(even, odd)):
        return ["utf-16-le" if odd > even else "utf-16-be"]
    raise no_table(name, "it is a binary file, not text", "不是文本文件")


def _decodes(path: Path, encoding: str) -> bool:
    try:
        for _ in _decoded(path, encoding):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _find_layout(name: str, sample: str, wanted: Collection[str]) -> _Layout:
    best: _Layout | None = None
    most = (0, 0)
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        try:
            rows = [
                (row, reader.line_num) for row, _ in zip(reader, range(_HEADER_WITHIN_ROWS), strict=False)
            ]
        except csv.Error:
            continue
        found = find_header([row for row, _ in rows], wanted)
        if found is None:
            continue
        index, headers, above = found
        rank = (sum(normalise_header(header) in wanted for header in headers), len(headers))
        if rank > most:
            most = rank
            best = _Layout(delimiter, headers, index + 1, rows[index][1], above)
    if best is None:
        raise no_header(name)
    return best


_Cells = Sequence[str | None]


def find_header(
    rows: Sequence[_Cells], wanted: Collection[str]
) -> tuple[int, tuple[str, ...], tuple[tuple[str, ...], ...]] | None:
    """Return the index of the last header row, the headers, and the rows above; None where none is known.

    The row with most of the wanted headers is the header. Where cells were merged, its groups stand in the
    row above or its parts in the row below: a cell counts from there if it is a wanted header and the
    header row itself has none in its column.
    """
    hits = [[normalise_header(cell or "") in wanted for cell in row] for row in rows]
    counts = [sum(known) for known in hits]
    if not any(counts):
        return None
    index = counts.index(max(counts))
    headers = [(cell or "").strip() for cell in rows[index]]
    first = last = index
    for near in (index - 1, index + 1):
        if near > index and any(
            (cell or "").strip()
            for cell, known in zip(rows[near] if near < len(rows) else (), hits[index], strict=False)
            if known
        ):
            continue  # merged headers leave nothing below them: this is a row of data
        if 0 <= near < len(rows) and _fill_in(headers, hits[index], rows[near], hits[near]):
            first, last = min(first, near), max(last, near)
    above = tuple(tuple(cell or "" for cell in row) for row in rows[:first])
    return last, tuple(headers), above


def _fill_in(headers: list[str], known: list[bool], row: _Cells, row_known: list[bool]) -> bool:
    """Take over the headers that only the other of two header rows has; return whether it has any."""
    is_used = False
    for i, (cell, is_wanted) in enumerate(zip(row, row_known, strict=True)):
        if is_wanted and i >= len(headers):
            headers += [""] * (i + 1 - len(headers))
        if is_wanted and not (i < len(known) and known[i]):
            headers[i], is_used = (cell or "").strip(), True
    return is_used


def number_rows(frame: pl.DataFrame, first: int) -> pl.DataFrame:
    """Return the rows that are not blank, each with its number in the spreadsheet."""
    numbered = frame.with_row_index(ROW_NUMBER, offset=first)
    if not frame.width or frame.is_empty():
        return numbered
    # Few rows begin with an empty cell: only these are looked at whole.
    is_suspect = ~_is_filled(frame.columns[0], frame)
    suspects = numbered.filter(is_suspect)
    blank = suspects.filter(~pl.any_horizontal(_is_filled(name, frame) for name in frame.columns))
    if blank.is_empty():
        return numbered
    return numbered.join(blank.select(ROW_NUMBER), on=ROW_NUMBER, how="anti", maintain_order="left")


def _is_filled(name: str, frame: pl.DataFrame) -> pl.Expr:
    column = pl.col(name)
    if frame.schema[name] != pl.String:
        return column.is_not_null()
    return (column.str.strip_chars() != "").fill_null(value=False)


def _read_fast(block: bytes, layout: _Layout, lines_before_data: int) -> pl.DataFrame | None:
    """Return the rows, or None where quotes or ragged rows need the careful reader."""
    names = [str(i) for i in range(len(layout.headers))]
    try:
        frame = pl.read_csv(
            block,
            has_header=False,
            skip_lines=lines_before_data,
            schema=dict.fromkeys(names, pl.String),
            separator=layout.delimiter,
            infer_schema=False,
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError:
        return None
    # A stray quotation mark can swallow rows without an error; its traces are marks or breaks in a cell.
    traces = frame.select(pl.any_horizontal(pl.all().str.contains('["\n]').any())).item() if names else False
    return None if traces else frame


def _read_carefully(
    name: str, text: str, layout: _Layout, rows_before_data: int, lines_before: int
) -> pl.DataFrame:
    width = len(layout.headers)
    rows: list[list[str]] = []
    excess: list[str | None] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter, strict=True)
    try:
        for number, row in enumerate(reader):
            if number < rows_before_data:
                continue
            rows.append([*row[:width], *[""] * (width - len(row))])
            left_over = [cell for cell in row[width:] if cell.strip()]
            excess.append("|".join(left_over) or None)
    except csv.Error as error:
        line = lines_before + reader.line_num
        raise no_table(
            name, f"near line {line} a quotation mark is not closed ({error})", f"第{line}行附近引号不成对"
        ) from error
    columns = list(zip(*rows, strict=True)) if rows else [()] * width
    frame = pl.DataFrame({str(i): pl.Series(values, dtype=pl.String) for i, values in enumerate(columns)})
    if any(excess):
        frame = frame.with_columns(pl.Series(EXCESS_CELLS, excess, dtype=pl.String))
    return frame


def no_table(name: str, found: str, found_zh: str) -> DataError:
    """Return the refusal of a file that is no table."""
    return DataError(
        "RR103",
        name,
        found,
        "a table: .csv, .xlsx or .parquet with a header row",
        "Export it again, or take it out of the folder",
        zh=f"{name}：{found_zh}，请重新导出，或将其移出文件夹。",
    )


def no_header(name: str) -> DataError:
    """Return the refusal of a table without a header row that one knows."""
    return no_table(
        name,
        f"none of its first {_HEADER_WITHIN_ROWS} rows holds a header that is known",
        f"前{_HEADER_WITHIN_ROWS}行中找不到可识别的表头",
    )
