"""What `zcload cluster check` asks a host through its worker: versions, clock, and the path to another host.

Run inside a Dask worker outside of runs, so each function ends by itself after a few seconds.
"""

from __future__ import annotations

import os
import platform
import socket
import time
from typing import Any

from zcload import __version__
from zcload.cluster.station import boot_id
from zcload.host.doctor import cautions, findings
from zcload.host.nic import data_address, nic_facts

_BLOCK = 1 << 18
_CONNECT_S, _WAIT_S = 5.0, 10.0
_PINGS = 20


def host_facts(network: str | None) -> dict[str, Any]:
    """Return versions, the time of the clock (CLOCK_REALTIME, ns), what spoils measurements and the device that *network* picks.

    Looks at the machine for half a second. Hosts that share a machine have the same *machine*. Raises StudyError.
    """
    facts: dict[str, Any] = {
        "zcload": __version__,
        "python": platform.python_version(),
        "kernel": os.uname().release,
        "clock_ns": time.time_ns(),
        "machine": boot_id(),
        "cautions": [f"{found.message} ({found.remedy})" for found in cautions(findings())],
        "nic": None,
        "address": None,
    }
    if network is not None:
        device, facts["address"] = data_address(network)
        facts["nic"] = nic_facts(device)
    return facts


def clock_ns() -> int:
    """Return CLOCK_REALTIME of this host in ns."""
    return time.time_ns()


def listen(address: str) -> int:
    """Listen at *address*, take one connection in a thread of its own and answer it; return the port."""
    import threading

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 0), family=family)
    listener.settimeout(_WAIT_S)
    threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    return int(listener.getsockname()[1])


def _serve(listener: socket.socket) -> None:
    """Send each of the first _PINGS bytes back, then take all that comes and answer with a byte."""
    with listener:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
    with connection:
        connection.settimeout(_WAIT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for _ in range(_PINGS):
                connection.sendall(connection.recv(1))
            while connection.recv(_BLOCK):
                pass
            connection.sendall(b".")
        except OSError:
            return


def measure_path(source: str, address: str, port: int, seconds: float) -> dict[str, float]:
    """Connect from *source* to `listen` at *address*: the median round trip in s, goodput in bit/s over *seconds*, and the path's MTU.

    Raises OSError.
    """
    with socket.create_connection((address, port), timeout=_CONNECT_S, source_address=(source, 0)) as sock:
        sock.settimeout(_WAIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trips = []
        for _ in range(_PINGS):
            begun = time.monotonic()
            sock.sendall(b".")
            if not sock.recv(1):
                raise ConnectionResetError("the other end closed the connection")
            trips.append(time.monotonic() - begun)
        block, sent, begun = bytes(_BLOCK), 0, time.monotonic()
        while time.monotonic() - begun < seconds:
            sock.sendall(block)
            sent += len(block)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)
        took = time.monotonic() - begun
        level, option = (socket.IPPROTO_IPV6, 24) if sock.family == socket.AF_INET6 else (socket.IPPROTO_IP, 14)  # IPV6_MTU, IP_MTU: ip(7)
        mtu = sock.getsockopt(level, option)
    return {"round_trip_s": sorted(trips)[len(trips) // 2], "goodput_bps": 8 * sent / took, "path_mtu_bytes": mtu}
