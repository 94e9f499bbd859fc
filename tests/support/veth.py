"""A network over veth for a test, or a skip where this host allows none: asked of the kernel, not of zcload, whose own refusal fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache

import pytest

from zcload.errors import ConfigError
from zcload.lane.network import Network, open_network
from zcload.model.study import Point

# A network namespace, else one within a user namespace (unshare(2)); a pair of devices in it, if there is a command to make one.
_PROBE = """
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
NEWNET, NEWUSER = 0x40000000, 0x10000000
if libc.unshare(NEWNET) and libc.unshare(NEWNET | NEWUSER):
    sys.exit(f"no network namespace may be made here: {os.strerror(ctypes.get_errno())}; remedy: run as root, or allow user namespaces")
if sys.argv[1:]:
    made = subprocess.run([sys.argv[1], *"link add zcprobe0 type veth peer name zcprobe1".split()], capture_output=True, text=True)
    if made.returncode:
        sys.exit(f"this kernel makes no veth devices: {made.stderr.strip()}; remedy: modprobe veth")
"""


@cache
def refused() -> str | None:
    """Return why this host allows no veth pair, and the remedy; None if it does."""
    ip = shutil.which("ip")
    done = subprocess.run([sys.executable, "-c", _PROBE, *([ip] if ip else [])], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else None


def open_veth(**values: object) -> Network:
    """Return the network of a point over veth with these *values*; skips where the host allows none, raises ConfigError otherwise."""
    try:
        return open_network(Point(network="veth", **values))  # type: ignore[arg-type]
    except ConfigError:
        if (why := refused()) is not None:
            pytest.skip(why)
        raise
