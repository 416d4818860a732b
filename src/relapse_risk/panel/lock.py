"""One writer at a time: a lock on a file that the system lets go of when its holder ends, however it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from relapse_risk.errors import MachineError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(stream: IO[bytes]) -> None:
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(stream: IO[bytes]) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` for the length of a block.

    Raises
    ------
    MachineError
        RR651 at once where somebody else holds it.
    """
    with path.open("ab") as stream:
        try:
            _try_lock(stream)
        except OSError as error:
            raise MachineError(
                "RR651",
                str(path),
                "another ingest is writing to this store",
                "one writer at a time",
                "Wait until it has ended, and call again; nothing was changed",
                zh="另有导入正在写入该数据库，请等待其结束后重试，本次未作任何改动。",
            ) from error
        yield
