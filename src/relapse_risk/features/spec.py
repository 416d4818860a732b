"""What a feature is, and sets of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from relapse_risk.errors import ContractError
from relapse_risk.features.expression import Expression
from relapse_risk.vocabulary import Bilingual, Direction, Role, Unit


class Missing(StrEnum):
    """Why a value is missing.

    A feature declares one of the first two for what its tables leave open; the others are worked out for each
    row (:mod:`relapse_risk.features.coverage`).
    """

    NOT_REPORTED = "not_reported"
    NOT_APPLICABLE = "not_applicable"
    NOT_DUE = "not_due"
    TABLE_ABSENT = "table_absent"


FAMILIES = {
    "income": Bilingual("收入水平", "income"),
    "dynamics": Bilingual("收入变动", "income dynamics"),
    "status": Bilingual("收入状态", "income status"),
    "composition": Bilingual("收入结构", "income composition"),
    "spending": Bilingual("刚性支出", "rigid spending"),
    "health": Bilingual("健康残疾", "health and disability"),
    "work": Bilingual("劳动就业", "labour and work"),
    "demography": Bilingual("人口", "demography"),
    "guarantees": Bilingual("三保障和饮水", "guarantees"),
    "livelihood": Bilingual("生计负债", "livelihood and debt"),
    "shocks": Bilingual("事件", "events"),
    "context": Bilingual("村县环境", "village and county"),
    "procedure": Bilingual("帮扶过程", "assistance and procedure"),
    "entitlements": Bilingual("保障享受", "entitlements"),
}


@dataclass(frozen=True, slots=True)
class Feature:
    """One household-level indicator, as of a date.

    Attributes
    ----------
    name : str
        Stable name: the column of the matrix, of the dictionary and of the model.
    zh, en : str
        What people call it.
    unit : Unit
    family : str
        Group of the catalogue; reasons do not repeat a family.
    formula : Expression
        How it is computed from the tables.
    direction : Direction
        Which way the risk moves when the value grows, as every reader would expect; a monotone
        constraint of the model. ``EITHER`` where one may argue.
    role : Role
        ``MODEL`` reaches models and rules; ``RULE`` rules and lists only; ``AUDIT`` audits only.
    reason : Bilingual or None
        Sentence that states the fact. ``{value}`` is the value, ``{other_feature}`` and ``{param}`` stand
        for other features and parameters; each is formatted by its unit.
    reason_when : Expression or None
        The fact is a reason only where this holds, such as a count above zero.
    to_verify : Bilingual or None
        What a visitor should check where this is a reason.
    missing : Missing
        What NaN means where the tables are there and reports reach back far enough: ``NOT_REPORTED``, a
        data gap on the list, or ``NOT_APPLICABLE``.
    module : str
        The project's own module that declares it; empty for the package's own.
    """

    name: str
    zh: str
    en: str
    unit: Unit
    family: str
    formula: Expression
    direction: Direction = Direction.EITHER
    role: Role = Role.MODEL
    reason: Bilingual | None = None
    reason_when: Expression | None = None
    to_verify: Bilingual | None = None
    missing: Missing = Missing.NOT_REPORTED
    is_categorical: bool = False
    module: str = ""

    @property
    def label(self) -> Bilingual:
        """What people call it, with its unit where that says more: the label of an axis."""
        if self.unit in (Unit.FLAG, Unit.LEVEL, Unit.COUNT):
            return Bilingual(self.zh, self.en)
        return Bilingual(f"{self.zh}（{self.unit.value.zh}）", f"{self.en} ({self.unit.value.en})")


class FeatureSet:
    """An ordered set of features with unique names: the columns of a matrix."""

    def __init__(self, features: Iterable[Feature]) -> None:
        self.features = tuple(features)
        self._position = {feature.name: i for i, feature in enumerate(self.features)}
        if len(self._position) < len(self.features):
            names = [feature.name for feature in self.features]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ContractError(
                "RR311",
                f"features {', '.join(twice)}",
                "declared twice",
                "one declaration a name",
                "Rename one",
            )

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __len__(self) -> int:
        return len(self.features)

    def __contains__(self, name: object) -> bool:
        return name in self._position

    def __getitem__(self, name: str) -> Feature:
        return self.features[self.position(name)]

    def __repr__(self) -> str:
        return f"FeatureSet({len(self)} features in {len({f.family for f in self})} families)"

    @property
    def names(self) -> tuple[str, ...]:
        """Names in column order."""
        return tuple(self._position)

    def position(self, name: str) -> int:
        """Return the column of a feature.

        Raises
        ------
        ContractError
            RR312 where there is no feature of that name.
        """
        try:
            return self._position[name]
        except KeyError:
            close = [known for known in self.names if name[:5] in known][:5]
            raise ContractError(
                "RR312",
                f"feature {name}",
                "not in this feature set",
                f"one of its {len(self)} names" + (f", such as {', '.join(close)}" if close else ""),
                "Correct the name, or build the matrix with the set that has it",
            ) from None

    def select(self, names: Iterable[str]) -> FeatureSet:
        """Return the set of these features, in the order of ``names``."""
        return FeatureSet(self[name] for name in names)

    def with_role(self, role: Role) -> FeatureSet:
        """Return the features with this role."""
        return FeatureSet(feature for feature in self if feature.role is role)

    def __add__(self, other: Iterable[Feature]) -> FeatureSet:
        return FeatureSet((*self, *other))

    @property
    def fingerprint(self) -> str:
        """Hash over names, formulas, units, directions and kinds: equal sets give equal columns."""
        text = "\n".join(
            f"{f.name}|{f.formula!r}|{f.unit.name}|{int(f.direction)}|{f.is_categorical}" for f in self
        )
        return hashlib.sha256(text.encode()).hexdigest()
