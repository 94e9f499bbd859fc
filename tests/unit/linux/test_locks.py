"""Locks on open files: who holds one is known, and it ends with the last process that has the file open."""

from __future__ import annotations

import os

from zcload.linux.locks import holder, lock


def test_a_lock_keeps_others_out_and_names_its_holder(tmp_path):
    """A second open file description does not get the lock, and sees the pid that has it; after the first is closed it gets it."""
    path = tmp_path / "file"
    path.touch()
    first, second = (os.open(path, os.O_RDONLY) for _ in range(2))
    assert holder(second) is None
    assert lock(first)
    assert not lock(second)
    assert holder(second) == os.getpid()
    os.close(first)
    assert lock(second)
    os.close(second)
