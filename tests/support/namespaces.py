"""Network namespaces that processes hold. Only those of the tests' own processes are looked at: others make some at any time."""

from __future__ import annotations

import os
from pathlib import Path

import psutil


def held_by(*pids: int) -> set[int]:
    """Return the network namespaces that processes are in, or hold by a descriptor; none of one that is gone or that we may not see."""
    found = set()
    for pid in pids:
        process = Path(f"/proc/{pid}")
        for link in (process / "ns" / "net", *(process / "fd").glob("*")):
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith("net:["):
                found.add(int(target[5:-1]))
    return found


def held_by_us() -> set[int]:
    """Return the network namespaces that this process and all below it hold."""
    return held_by(os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True)))
