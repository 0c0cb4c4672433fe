"""Locks that a child process inherits: of an open file, held until the last process that has it open ends.

For locks of one process there is filelock. It can hand none over: the descriptor is its own, and when the parent lets
go, it unlocks the file for the child, too. Runs that wait import this, so it needs the standard library alone.
"""

from __future__ import annotations

import fcntl


def take(descriptor: int, shared: bool = False) -> bool:
    """Whether an open file could be locked now: for its holders alone, or beside others that share it."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
