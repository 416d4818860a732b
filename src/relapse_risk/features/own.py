"""A project's own features: modules beside ``relapse.toml`` that declare features outside the package.

A module named there, such as ``features = ["county_extra"]``, is a Python file of the project's folder with a
tuple ``FEATURES``. It runs as part of the program, so it is trusted like the program itself.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from relapse_risk.errors import ConfigurationError
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.expression import Expression
from relapse_risk.features.reads import forbidden_in, reads_of
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.vocabulary import Role

TUPLE = "FEATURES"


@dataclass(frozen=True)
class OwnModule:
    """One module of the project.

    Attributes
    ----------
    name : str
        As in ``relapse.toml``.
    features : tuple of Feature
        Each with ``module`` set to the name.
    sha256 : str
        Of the file's bytes.
    """

    name: str
    features: tuple[Feature, ...]
    sha256: str


_in_use: tuple[OwnModule, ...] = ()


def use_feature_modules(names: Sequence[str], folder: Path = Path()) -> tuple[OwnModule, ...]:
    """Make the features of these modules part of every feature set this process builds, and return them.

    Parameters
    ----------
    names : sequence of str
        Modules in ``folder``, ``a.b`` for a file in a subfolder; those of an earlier call are dropped.
    folder : Path
        The project's folder.

    Raises
    ------
    ConfigurationError
        RR251 where a module can't be imported, RR252 where it has no tuple ``FEATURES`` of features, RR253
        where a name is taken, RR254 where a model would read what it must not.
    """
    global _in_use
    found = tuple(_read(name, folder.resolve()) for name in dict.fromkeys(names))
    _check(found)
    _in_use = found
    return found


def feature_modules() -> tuple[OwnModule, ...]:
    """Return the modules in use."""
    return _in_use


def own_features() -> tuple[Feature, ...]:
    """Return the features of the modules in use, in the order named."""
    return tuple(feature for module in _in_use for feature in module.features)


def _read(name: str, folder: Path) -> OwnModule:
    where = f"features module {name}"
    with _importable(folder):
        try:
            module = _import(name, folder)
        except Exception as error:
            raise ConfigurationError(
                "RR251",
                where,
                f"can't be imported from {folder.name or folder} ({type(error).__name__}: {error})",
                f"{name.replace('.', '/')}.py beside relapse.toml",
                "Correct the module, or its name under `features` in relapse.toml",
                zh=f"自定义指标模块 {name} 无法导入，请检查 relapse.toml 的 features 及该文件。",
            ) from error
    declared = getattr(module, TUPLE, None)
    if not isinstance(declared, tuple) or not all(isinstance(each, Feature) for each in declared):
        raise ConfigurationError(
            "RR252",
            where,
            f"{TUPLE} is {type(declared).__name__}" if declared is not None else f"it has no {TUPLE}",
            f"a tuple of Feature named {TUPLE}",
            f"Add `{TUPLE} = (MY_FEATURE,)` at the end of the module",
            zh=f"自定义指标模块 {name} 缺少 {TUPLE} 元组。",
        )
    source = Path(module.__file__).read_bytes() if module.__file__ else b""
    return OwnModule(
        name, tuple(replace(each, module=name) for each in declared), hashlib.sha256(source).hexdigest()
    )


def _import(name: str, folder: Path) -> ModuleType:
    """Return the module of a file in the folder, run anew; else an installed one of that name."""
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    if not path.is_file():
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules of the folder import each other while they are read."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _check(modules: tuple[OwnModule, ...]) -> None:
    owner = dict.fromkeys(CATALOG.names, "the catalogue")
    for module in modules:
        for feature in module.features:
            if feature.name in owner:
                raise ConfigurationError(
                    "RR253",
                    f"features module {module.name}, {feature.name}",
                    f"the name is taken by {owner[feature.name]}",
                    "a name of its own",
                    "Rename the feature",
                    zh=f"自定义指标 {feature.name} 与已有指标重名，请改名。",
                )
            owner[feature.name] = module.name
    every = FeatureSet([*CATALOG, *(feature for module in modules for feature in module.features)])
    for feature in every:
        if feature.module and feature.role is Role.MODEL:
            _check_inputs(feature, every)


def _check_inputs(feature: Feature, every: FeatureSet) -> None:
    def formula_of(name: str) -> Expression:
        return every[name].formula

    forbidden = forbidden_in(reads_of(feature.formula, formula_of))
    if forbidden:
        raise ConfigurationError(
            "RR254",
            f"features module {feature.module}, {feature.name}",
            f"a model would read {', '.join('.'.join(column).strip('.') for column in forbidden)}",
            "inputs that neither follow the register nor say who somebody is",
            "Read something else, or declare it with role=Role.RULE or Role.AUDIT",
            zh=f"自定义指标 {feature.name} 读取了模型禁用字段，请改用其他字段或设为非模型用途。",
        )
