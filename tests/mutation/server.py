"""Runs the tests of the rules for one mutant after another, each in a fork of a process that is warm.

``cosmic-ray`` starts its test command anew for every mutant, and most of that time goes into imports. This
server imports what is not mutated once; ``client.py``, the test command, asks it for a run.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
from pathlib import Path

SOCKET = Path(__file__).parent / ".socket"
WARM = ("numpy", "polars", "pytest", "relapse_risk.features.catalog", "relapse_risk.features.build")
FIRST = ("test_households", "test_rules", "test_tiers", "test_sheet", "test_phrases", "test_measures")
# What the mutated module decides is tested first, and what has nothing to do with it not at all.
OF_MODULE = {
    "priority": ("test_priority",),
    "audit": ("test_priority",),
    "tiers": ("test_tiers", "test_priority"),
    "measures": ("test_measures",),
    "phrases": ("test_phrases",),
    "sheet": ("test_sheet",),
    "sheet_text": ("test_sheet",),
    "items": ("test_sheet",),
    "timers": ("test_sheet",),
}
_LONGEST_SECONDS = 110
LAST = ("test_entitlements",)
ARGUMENTS = ("-x", "-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "--assert=plain")


def tests_for(root: Path) -> list[str]:
    """Return the test files for the mutant: the module of the rules that was written last."""
    mutant = max(root.glob("src/relapse_risk/rules/**/*.py"), key=lambda path: path.stat().st_mtime_ns)
    names = dict.fromkeys((*OF_MODULE.get(mutant.stem, ()), *FIRST, *LAST))
    paths = (root / "tests" / "rules" / f"{name}.py" for name in names)
    return [str(path) for path in paths if path.exists()]


def run_tests(root: Path) -> int:
    """Return the exit code of the first file that fails, or 0; later files are not even collected."""
    import pytest

    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    return next((code for path in tests_for(root) if (code := int(pytest.main([*ARGUMENTS, path])))), 0)


def main() -> None:
    """Serve until killed."""
    root = Path.cwd()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # a second or so for each mutant
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    for name in WARM:
        importlib.import_module(name)
    SOCKET.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(SOCKET))
        listener.listen()
        gc.freeze()  # what is shared with the forks stays untouched
        while True:
            caller, _ = listener.accept()
            if os.fork() == 0:
                signal.alarm(_LONGEST_SECONDS)  # a mutant may never end
                listener.close()
                caller.sendall(bytes([run_tests(root)]))
                os._exit(0)
            caller.close()


if __name__ == "__main__":
    main()
