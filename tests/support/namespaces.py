"""Network namespaces that processes hold."""

from __future__ import annotations

import os
from pathlib import Path


def held_by(process: Path) -> set[int]:
    """The network namespaces that a process (its folder in /proc) is in, or holds by a descriptor; none if we may not see."""
    found = set()
    for link in (process / "ns" / "net", *(process / "fd").glob("*")):
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("net:["):
            found.add(int(target[5:-1]))
    return found


def namespaces_held() -> set[int]:
    return set().union(*map(held_by, Path("/proc").glob("[0-9]*")))
