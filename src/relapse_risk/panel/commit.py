"""What one ingest added to a store: the record that makes its files visible."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relapse_risk.mapping_config import ExtraColumn
from relapse_risk.panel.raw import SourceFile
from relapse_risk.panel.rejects import TableCounts

FORMAT = 2


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One Parquet file.

    Attributes
    ----------
    partition : str
        County code, or empty for tables without households.
    is_copy : bool
        Its rows lie in another place too, and count there.
    """

    path: str
    table: str
    partition: str
    rows: int
    size_bytes: int
    sha256: str
    is_copy: bool = False


@dataclass(frozen=True)
class Commit:
    """One ingest's addition to a store.

    Attributes
    ----------
    id : str
        Number in the store's order and a hash of content: the same ingests give the same ids.
    committed_at : str
        ISO time.
    counts : mapping of str to TableCounts
        By table handed in, also where nothing new was accepted.
    assumed : mapping of str to str
        By table, how ``recorded_on`` was derived where the source does not say it.
    purged : mapping of str to int
        By table, rows accepted then and purged since.
    """

    id: str
    sequence: int
    committed_at: str
    sources: tuple[SourceFile, ...]
    counts: Mapping[str, TableCounts]
    files: tuple[StoredFile, ...]
    assumed: Mapping[str, str] = field(default_factory=dict)
    extra_columns: tuple[ExtraColumn, ...] = ()
    mapping_name: str = ""
    purged: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the record as it stands on disk."""
        record = {
            "format": FORMAT,
            "id": self.id,
            "sequence": self.sequence,
            "committed_at": self.committed_at,
            "mapping": self.mapping_name,
            "sources": [_fields(source) for source in self.sources],
            "tables": {name: counts.as_dict() for name, counts in self.counts.items()},
            "assumed": dict(self.assumed),
            "extra_columns": [_extra_fields(extra) for extra in self.extra_columns],
            "purged": dict(self.purged),
            "files": [_fields(file) for file in self.files],
        }
        return json.dumps(record, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, of_format: int = FORMAT) -> Commit:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        ValueError, KeyError, TypeError
            Where the text is not such a record.
        """
        record = json.loads(text)
        if record["format"] != of_format:
            raise ValueError(f"format {record['format']} is not {of_format}")
        return cls(
            id=record["id"],
            sequence=record["sequence"],
            committed_at=record["committed_at"],
            sources=tuple(SourceFile(**source) for source in record["sources"]),
            counts={name: TableCounts(**counts) for name, counts in record["tables"].items()},
            files=tuple(StoredFile(**file) for file in record["files"]),
            assumed=record["assumed"],
            extra_columns=tuple(ExtraColumn(**extra) for extra in record["extra_columns"]),
            mapping_name=record["mapping"],
            purged=record.get("purged", {}),
        )


def _fields(record: SourceFile | StoredFile) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _extra_fields(extra: ExtraColumn) -> dict[str, Any]:
    by_name = {"unit": extra.unit.name, "direction": extra.direction.name}
    return {**extra.model_dump(exclude={"unit", "direction"}), **by_name}
