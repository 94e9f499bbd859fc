"""Who listens on a port: the processes that are measured, or others? Read from /proc/PID/net/tcp and /proc/PID/fd (proc_pid_net(5))."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterable, Sequence

from zcload.errors import StudyError

_LISTEN = "0A"  # TCP_LISTEN, include/net/tcp_states.h


def check_owner(server: str, pids: Sequence[int], address: str, port: int) -> None:
    """Raise StudyError if what listens at *address* and *port* does not belong to the processes *pids*, the tree of *server*.

    The sockets are those of the network namespace of the tree's first process. Where that is another one than ours and nobody listens at
    the port there, the port leads elsewhere (a published port of a container), and only the CPU time can tell. A process whose descriptors
    may not be read is taken for the server's.
    """
    if not pids:
        return
    sockets = listening(pids[0], address, port)
    if not sockets and (sockets is None or not _same_network(pids[0])):
        return
    owned: set[int] = set()
    for pid in pids:
        found = sockets_of(pid)
        if found is None:
            return
        owned |= found
        if sockets and sockets <= owned:
            return
    strange = sockets - owned
    others = [f"{name} (pid {pid})" for pid, name in _owners(strange)]
    what = f"its processes ({_list(map(str, pids))}) do not listen at {address} port {port}"
    who = f"; {_list(others)} does" if others else ""
    raise StudyError(f"server {server}: {what}{who}: the CPU time of another program would be measured")


def check_work(server: str, moved: int, cpu_ns: int) -> None:
    """Raise StudyError if the tree of *server* used less than a millisecond of CPU per GB of the *moved* bytes: others did the work.

    Sending costs a hundred times as much even by reference: a system call, an skb and a copy of page references for each 64 KiB.
    """
    if moved > 0 and cpu_ns * 1000 < moved:
        seen = f"{moved} bytes came while its processes used {cpu_ns / 1e6:.3f} ms of CPU"
        raise StudyError(f"server {server}: {seen}: another process does its work (attach to that, or start it without a go-between)")


def listening(pid: int, address: str, port: int) -> set[int] | None:
    """Return the inodes of the sockets that take connections to *address* and *port* in the network of process *pid*; None if unknown."""
    wanted = ipaddress.ip_address(address)
    exact, anywhere = set[int](), set[int]()
    readable = False
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{name}", encoding="ascii") as table:
                rows = [line.split() for line in table][1:]
        except OSError:
            continue
        readable = True
        for row in rows:
            host, _, number = row[1].partition(":")
            if row[3] != _LISTEN or int(number, 16) != port:
                continue
            bound = _address(host)
            if bound == wanted:
                exact.add(int(row[9]))
            elif bound.is_unspecified and bound.version >= wanted.version:
                anywhere.add(int(row[9]))  # :: takes connections of both versions, unless IPV6_V6ONLY
    return (exact or anywhere) if readable else None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address that /proc/net/tcp writes as words of 32 bits in the host's byte order; IPv4 in IPv6 as IPv4."""
    words = bytes.fromhex(text)
    if sys.byteorder == "little":
        words = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
    found = ipaddress.ip_address(words)
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def sockets_of(pid: int) -> set[int] | None:
    """Return the inodes of the sockets that process *pid* has open, empty if it has ended; None if they may not be read."""
    found = set[int]()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{name}")
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except PermissionError:
        return None
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _owners(sockets: set[int]) -> Iterable[tuple[int, str]]:
    """Yield pid and name of the processes, as far as they can be seen, that have one of the *sockets* open."""
    for name in os.listdir("/proc") if sockets else ():
        if name.isdecimal() and (sockets_of(int(name)) or set()) & sockets:
            try:
                with open(f"/proc/{name}/comm", encoding="utf-8", errors="replace") as comm:
                    yield int(name), "".join(c if c.isprintable() else "?" for c in comm.read().strip())
            except OSError:
                continue


def _same_network(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
    except OSError:
        return False


def _list(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")
