"""Households that asked to be forgotten: known again by a salted hash, and by nothing else."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from relapse_risk.panel.disk import write_atomically

_FILE = "purged.json"


@dataclass(frozen=True)
class Tombstones:
    """The purged households of a store.

    Attributes
    ----------
    salt : str
        Of this store alone; so the same household has another hash elsewhere.
    hashes : frozenset of str
    """

    salt: str
    hashes: frozenset[str] = frozenset()

    @classmethod
    def read(cls, store: Path) -> Tombstones:
        """Return those of a store; none, under a fresh salt, where it has no such file."""
        path = store / _FILE
        if not path.exists():
            return cls(secrets.token_hex(16))
        record = json.loads(path.read_text(encoding="utf-8"))
        return cls(record["salt"], frozenset(record["hashes"]))

    def write(self, store: Path) -> None:
        """Write them to a store."""
        record = {"salt": self.salt, "hashes": sorted(self.hashes)}
        write_atomically(store / _FILE, json.dumps(record, indent=1) + "\n")

    def with_households(self, household_ids: Iterable[str]) -> Tombstones:
        """Return these and those of further households."""
        return replace(self, hashes=self.hashes | {self._hash(each) for each in household_ids})

    def _hash(self, household_id: str) -> str:
        key = bytes.fromhex(self.salt)
        return hashlib.blake2b(household_id.strip().encode(), key=key, digest_size=20).hexdigest()

    def among(self, household_ids: Iterable[str | None]) -> Collection[str]:
        """Return those of the identifiers that were purged."""
        if not self.hashes:
            return []
        return [each for each in household_ids if each is not None and self._hash(each) in self.hashes]

    def hold(self, household_ids: pl.Series) -> pl.Series:
        """Return for each identifier whether it was purged."""
        found = self.among(household_ids.unique().to_list())
        return household_ids.is_in(pl.Series(list(found), dtype=pl.String).implode())
