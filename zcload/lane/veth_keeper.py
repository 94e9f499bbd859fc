"""The keeper: a process that makes sockets for the coordinator in two network namespaces that a veth pair connects.

A socket stays in the namespace it was made in, whoever holds it (struct sock's sk_net), so neither coordinator nor senders ever leave
theirs. A server and its receivers make their own sockets: they enter the namespaces through descriptors. The namespaces have no name. The
keeper, the sockets and the processes that have entered hold them; when the last of these ends, the kernel removes the namespaces and the
veth pair, however the run ends. Without privileges the keeper makes a user namespace for them, which only its maker may enter.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zcload.errors import reason_of
from zcload.lane.worker import send_message
from zcload.linux import ethtool, netlink
from zcload.linux.namespaces import CLONE_NEWNET, CLONE_NEWUSER, enter_network, keep_own_ids, own_network, own_user, unshare
from zcload.linux.process import die_with_parent

ROLES = ("receiver", "sender")
NAMESPACE_FDS = b"namespace_fds"  # a request for the namespaces of ROLES, then the user namespace if there is one
DEVICES = {"receiver": "zcload0", "sender": "zcload1"}
_SYS_NET = Path("/proc/sys/net")
# What TCP and sockets go by. Files that a new namespace lacks are the machine's, the same for all of them.
_SETTINGS = ("ipv4/tcp_*", "core/*")

Settings = dict[str, str]  # a path below /proc/sys/net, and what is in it


@dataclass(frozen=True, slots=True)
class Recipe:
    """A veth pair to be made: the address of either end (by role), their common *prefix* length, *mtu* and *gso_max* in bytes.

    None stands for the kernel's default.
    """

    addresses: dict[str, str]
    prefix: int
    mtu: int | None
    offloads: bool
    gso_max: int | None = None


def keep(control: socket.socket, recipe: Recipe, coordinator: int) -> None:
    """Make the namespaces, report their settings to the coordinator, then make sockets on request until it closes *control*."""
    home = read_settings()
    refused: list[str] = []
    for kind, flags in (("network namespace", CLONE_NEWNET), ("user namespace", CLONE_NEWUSER | CLONE_NEWNET)):
        try:
            doing = f"a new {kind}"
            namespaces = _unshare(flags)
            die_with_parent(coordinator)  # a change of credentials may have undone it: prctl(2)
            doing = f"a veth pair in a new {kind}"
            facts = _furnish(namespaces, recipe, home)
        except OSError as error:
            refused.append(f"{reason_of(error)} for {doing}")
            if error.errno in (errno.EPERM, errno.EACCES):
                continue
            send_message(control, refused=refused, errno=error.errno)
            return
        send_message(control, made={"user_namespace": bool(flags & CLONE_NEWUSER), **facts})
        break
    else:
        send_message(control, refused=refused, errno=errno.EPERM)
        return
    while request := control.recv(4096):
        if request == NAMESPACE_FDS:
            user = own_user()
            namespace_fds = [namespaces[role] for role in ROLES] + ([user] if flags & CLONE_NEWUSER else [])
            socket.send_fds(control, [b"namespace_fds"], namespace_fds)
            os.close(user)
            continue
        role, family, count = json.loads(request)
        enter_network(namespaces[role])
        socks = [socket.socket(family, socket.SOCK_STREAM) for _ in range(count)]
        socket.send_fds(control, [b"sockets"], [sock.fileno() for sock in socks])
        for sock in socks:
            sock.close()


def _unshare(flags: int) -> dict[str, int]:
    """Make a namespace for each role; return descriptors of them. Raises OSError."""
    namespaces = {}
    uid, gid = os.geteuid(), os.getegid()
    for role in ROLES:
        unshare(flags)
        if flags & CLONE_NEWUSER:
            try:
                keep_own_ids(uid, gid)  # a server in there is the user that it is elsewhere
            except PermissionError:
                pass  # root without CAP_SETFCAP, since Linux 5.12: a server then sees itself as nobody, and may do the same
        flags = CLONE_NEWNET  # one user namespace holds both
        namespaces[role] = own_network()
    return namespaces


def _furnish(namespaces: dict[str, int], recipe: Recipe, home: Settings) -> dict[str, Any]:
    """Join the namespaces, make their TCP settings those of *home*, take all up; return what came of it, read back. Raises OSError."""
    enter_network(namespaces["sender"])
    netlink.make_veth(DEVICES["sender"], DEVICES["receiver"], namespaces["receiver"], recipe.mtu)
    copied: set[str] = set()
    differ: set[str] = set()
    found: dict[str, Any] = {}
    for role, namespace in namespaces.items():
        enter_network(namespace)
        device = DEVICES[role]
        done, left = _adopt(home)
        copied, differ = copied | done, differ | left
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            if not recipe.offloads:
                ethtool.switch_off(sock, device)
            if recipe.gso_max is not None:
                netlink.set_largest_segment(device, recipe.gso_max)
            netlink.add_address(device, recipe.addresses[role], recipe.prefix)
            for name in ("lo", device):
                netlink.take_up(name)
            sizes = netlink.largest_segments(device)
            found[role] = {"mtu_bytes": ethtool.mtu(sock, device), "offloads": ethtool.offloads(sock, device), **sizes}
    return {**found, "settings_copied": sorted(copied), "settings_differ": sorted(differ)}


def read_settings(root: Path = _SYS_NET) -> Settings:
    """Return the settings of TCP and sockets that can be set in this network namespace; those that zcload may not read are left out."""
    found = {}
    for pattern in _SETTINGS:
        for path in root.glob(pattern):
            try:
                if os.stat(path).st_mode & 0o222:
                    found[str(path.relative_to(root))] = path.read_text()
            except OSError:
                pass
    return found


def _adopt(home: Settings) -> tuple[set[str], set[str]]:
    """Make this namespace's settings those of *home*; return which had to be copied and which could not be."""
    copied, differ = set(), set()
    for name, here in read_settings().items():
        if home.get(name, here) == here:
            continue
        try:
            (_SYS_NET / name).write_text(home[name])
            copied.add(name)
        except OSError:
            differ.add(name)
    return copied, differ
