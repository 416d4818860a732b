"""Names and telephone numbers for one list: read when it is written, joined in memory, stored nowhere.

They stand in the county's workbook alone, which only its owner may open on disk, and which a password can
lock. No log, manifest, ledger, page or CSV has them.
"""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from relapse_risk.errors import ConfigurationError
from relapse_risk.outputs.columns import LIST_COLUMNS, ListColumn
from relapse_risk.outputs.visit_list import VisitList
from relapse_risk.panel.csv_source import read_csv
from relapse_risk.panel.parse import parse_columns
from relapse_risk.panel.raw import normalise_header
from relapse_risk.panel.tables import CONTACT
from relapse_risk.panel.workbook import is_workbook, read_sheet, sheet_names
from relapse_risk.vocabulary import Bilingual

_NAMES = tuple(c.name for c in CONTACT.columns if c.name not in ("household_id", "recorded_on"))
CONTACT_COLUMNS = tuple(ListColumn(name, CONTACT.by_name[name].zh) for name in _NAMES)
_AFTER = "household_id"  # here the contacts stand on the list
_LEAST_CHARACTERS = 8


def read_contacts(path: Path) -> pl.DataFrame:
    """Return the contacts of a file, the latest of each household.

    Parameters
    ----------
    path : Path
        Table contact 联系方式 (T10) as CSV or workbook, headers in Chinese or English.

    Returns
    -------
    polars.DataFrame
        ``household_id``, ``head_name, phone, address, helper_name, helper_phone`` as text; columns that the
        file lacks are empty.

    Raises
    ------
    DataError
        RR103 where the file is no table.
    ConfigurationError
        RR489 where it has no households or nothing to join.
    """
    columns = {normalise_header(text): c for c in CONTACT.columns for text in (c.zh, c.name)}
    wanted = {key: column.name for key, column in columns.items()}
    try:
        sheet = _contact_sheet(path) if is_workbook(path) else None
    except OSError as error:
        raise _no_contacts(path, f"it can't be opened ({error.strerror})", "无法打开") from error
    read = read_csv(path, wanted) if sheet is None else read_sheet(path, sheet, wanted)
    places = {
        wanted[key]: i for i, header in enumerate(read.headers) if (key := normalise_header(header)) in wanted
    }
    if "household_id" not in places or not set(places) & set(_NAMES):
        raise _no_contacts(
            path, "it has no households, or neither names nor numbers", "缺少户编号或姓名、电话列"
        )
    frame = pl.concat(list(read.blocks()), how="diagonal")
    texts = frame.select(
        pl.col(str(places[c.name])).cast(pl.String).alias(c.name)
        if c.name in places
        else pl.lit(None, dtype=pl.String).alias(c.name)
        for c in CONTACT.columns
    )
    # Only keys are parsed: reading free text for the store would hide the very numbers that are wanted here.
    keys = [column for column in CONTACT.columns if column.name not in _NAMES]
    typed = parse_columns(texts.select(column.name for column in keys), keys).frame
    told = texts.select(pl.col(_NAMES).str.strip_chars().replace("", None))
    return (
        typed.hstack(told)
        .filter(pl.col("household_id").is_not_null())
        .sort("recorded_on", nulls_last=False, maintain_order=True)
        .unique("household_id", keep="last", maintain_order=True)
        .select("household_id", *_NAMES)
    )


def with_contacts(rows: pl.DataFrame, contacts: pl.DataFrame) -> pl.DataFrame:
    """Return rows of a list with the contacts of their households."""
    return rows.join(contacts, on="household_id", how="left", maintain_order="left")


def columns_with_contacts() -> tuple[ListColumn, ...]:
    """Return the columns of a list that has contacts, in order."""
    place = [column.name for column in LIST_COLUMNS].index(_AFTER) + 1
    return (*LIST_COLUMNS[:place], *CONTACT_COLUMNS, *LIST_COLUMNS[place:])


def joined_message(visit_list: VisitList, contacts: pl.DataFrame) -> Bilingual:
    """Return for how many households of a list the contacts are known."""
    rows = pl.concat([part["household_id"] for c in visit_list.counties for part in (c.listed, c.waiting)])
    known = int(rows.is_in(contacts["household_id"].implode()).sum())
    return Bilingual(
        f"联系方式：清单和候补{len(rows)}户中，{known}户有联系方式；只写入工作簿，请妥善保管。",
        f"Contacts: known for {known} of {len(rows)} listed and waiting households; they stand in the "
        "workbook alone. Keep it safe.",
    )


def read_password(path: Path) -> str:
    """Return the first line of a file with a password.

    Raises
    ------
    ConfigurationError
        RR487 where there is none, or too short a one; it is never named.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _no_password(path, "it can't be read as UTF-8") from error
    password = lines[0].strip() if lines else ""
    if len(password) < _LEAST_CHARACTERS:
        raise _no_password(path, f"its first line has {len(password)} characters")
    return password


def locked(workbook: bytes, password: str) -> bytes:
    """Return a workbook that opens with a password only (ECMA-376 agile encryption, AES-256)."""
    from msoffcrypto.format.ooxml import OOXMLFile

    out = io.BytesIO()
    OOXMLFile(io.BytesIO(workbook)).encrypt(password, out)
    return out.getvalue()


def is_locked(path: Path) -> bool:
    """Return whether a file is a workbook with a password."""
    import olefile

    if not olefile.isOleFile(path):
        return False
    with olefile.OleFileIO(path) as container:
        return bool(container.exists("EncryptionInfo"))


def unlocked(path: Path, password: str | None, folder: Path) -> Path:
    """Return a copy of a locked workbook without its password, in a folder that nobody else may enter.

    Raises
    ------
    ConfigurationError
        RR488 where no password is given, or another one.
    """
    from msoffcrypto.exceptions import InvalidKeyError
    from msoffcrypto.format.ooxml import OOXMLFile

    if password is None:
        raise _stays_locked(path, "it has a password")
    copy = folder / path.name
    try:
        with path.open("rb") as stream, copy.open("wb") as out:
            book = OOXMLFile(stream)
            book.load_key(password=password, verify_password=True)
            book.decrypt(out)
    except InvalidKeyError as error:
        raise _stays_locked(path, "it has another password") from error
    return copy


def _contact_sheet(path: Path) -> str:
    """Return the sheet of contacts: by its name, else the first."""
    names = sheet_names(path)
    return next((name for name in (CONTACT.zh, CONTACT.name) if name in names), names[0])


def _no_contacts(path: Path, found: str, zh: str) -> ConfigurationError:
    return ConfigurationError(
        "RR489",
        path.name,
        found,
        "household_id and any of head_name, phone, address, helper_name, helper_phone",
        "Correct the file of contacts",
        zh=f"联系方式表“{path.name}”有误：{zh}。",
    )


def _no_password(path: Path, found: str) -> ConfigurationError:
    return ConfigurationError(
        "RR487",
        path.name,
        found,
        f"a password of {_LEAST_CHARACTERS} characters or more in the first line",
        "Write one, and keep the file to yourself",
        zh=f"密码文件“{path.name}”第一行应为{_LEAST_CHARACTERS}个以上字符的密码。",
    )


def _stays_locked(path: Path, found: str) -> ConfigurationError:
    return ConfigurationError(
        "RR488",
        path.name,
        found,
        "the password it was written with",
        "Name the file of the password with --password",
        zh=f"“{path.name}”已加密，请用 --password 指明密码文件，密码须与生成清单时相同。",
    )
