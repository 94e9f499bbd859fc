"""Where a lane's sockets are made: in the coordinator's network namespace, or in two that a veth pair connects."""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import select
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from zcload.errors import ConfigError, Problem, StudyError
from zcload.lane.veth_keeper import NAMESPACE_FDS, ROLES, Recipe, keep
from zcload.lane.worker import spawn
from zcload.linux.namespaces import enter_network, enter_user
from zcload.model.study import Point

Role = Literal["receiver", "sender"]
# TEST-NET-1 of RFC 5737 and a unique local prefix of RFC 4193 for where a loopback address is asked for: nobody's own.
VETH_IPV4, VETH_IPV6 = "192.0.2.2", "fd7a:636c:6f61:64::2"
IPV6_LEAST_MTU = 1280  # below it Linux takes IPv6 off a device: RFC 8200, 5
_TIMEOUT_S = 10.0


class Network:
    """The coordinator's own network namespace; a lane's sockets are made by the coordinator itself."""

    def __init__(self, address: str) -> None:
        """Take the *address* at which receivers listen."""
        self.address = address
        self.server_address = address  # at which a server listens, which is on the senders' side
        self.facts: Mapping[str, Any] = {}  # what a made network is like, read back from the kernel

    def sockets(self, role: Role, family: int, count: int) -> list[socket.socket]:
        """Return *count* new TCP sockets for *role*; raises OSError, StudyError."""
        return [socket.socket(family, socket.SOCK_STREAM) for _ in range(count)]

    def namespace_fds(self) -> tuple[int, ...]:
        """Return the descriptors that a worker must keep open to `enter`; raises StudyError."""
        return ()

    def enter(self, role: Role) -> None:
        """Move this process, a worker with one thread, to where the sockets of *role* are made; raises OSError."""

    def failure(self) -> StudyError | None:
        """Return what is wrong with its keeper, None while all is well."""
        return None

    def close(self) -> None:
        """Release what it holds; sockets made before stay open. Harmless when called twice."""


class Veth(Network):
    """Two namespaces with a veth pair between them, and the keeper that makes sockets there."""

    def __init__(self, recipe: Recipe) -> None:
        """Make it; raises ConfigError with the reason and the remedy if this host does not allow it, StudyError, Interrupted."""
        super().__init__(recipe.addresses["receiver"])
        self.server_address = recipe.addresses["sender"]
        self._namespace_fds: tuple[int, ...] = ()
        coordinator = os.getpid()
        self._keeper = spawn("veth", "keeper", 0, lambda control: keep(control, recipe, coordinator), (), None)
        try:
            told = self._keeper.receive(_TIMEOUT_S, "making network namespaces")
            if "made" not in told:
                raise ConfigError(_refusal(told["refused"], told["errno"]))
            self.facts = told["made"]
        except BaseException:
            self.close()
            raise

    def sockets(self, role: Role, family: int, count: int) -> list[socket.socket]:
        control = self._keeper.control
        try:
            control.send(json.dumps([role, family, count]).encode())
        except OSError:
            raise self._gone() from None
        if not select.select([control], [], [], _TIMEOUT_S)[0]:
            raise StudyError(f"{self._keeper}: no sockets within {_TIMEOUT_S:.0f} s")
        try:
            said, fds, *_ = socket.recv_fds(control, 1 << 16, count, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            raise self._gone() from None
        socks = [socket.socket(fileno=fd) for fd in fds]
        if len(socks) == count:
            return socks
        for sock in socks:
            sock.close()
        raise StudyError(f"{self._keeper}: {json.loads(said)['error']}") if said else self._gone()

    def namespace_fds(self) -> tuple[int, ...]:
        if not self._namespace_fds:
            control = self._keeper.control
            try:
                control.send(NAMESPACE_FDS)
                if not select.select([control], [], [], _TIMEOUT_S)[0]:
                    raise StudyError(f"{self._keeper}: no namespaces within {_TIMEOUT_S:.0f} s")
                _, fds, *_ = socket.recv_fds(control, 64, len(ROLES) + 1, socket.MSG_CMSG_CLOEXEC)
            except OSError:
                raise self._gone() from None
            if not fds:
                raise self._gone()
            self._namespace_fds = tuple(fds)
        return self._namespace_fds

    def enter(self, role: Role) -> None:
        for user in self._namespace_fds[len(ROLES) :]:
            enter_user(user)
        enter_network(self._namespace_fds[ROLES.index(role)])

    def _gone(self) -> StudyError:
        """Return how the keeper ended. Its connection closes a moment before its wait status is there, so this waits for that."""
        self._keeper.ends_within(1.0)
        return self._keeper.failure() or StudyError(f"{self._keeper}: cannot be reached")

    def failure(self) -> StudyError | None:
        return self._keeper.failure()

    def close(self) -> None:
        for fd in self._namespace_fds:
            os.close(fd)
        self._namespace_fds = ()
        self._keeper.end()


def open_network(point: Point) -> Network:
    """Return the network of *point*, made if need be; raises ConfigError, StudyError, Interrupted."""
    return Veth(veth_recipe(point)) if point.network == "veth" else Network(point.address)


def address_of(point: Point) -> str:
    """Return the address at which the point's receivers listen; raises ConfigError."""
    return veth_recipe(point).addresses["receiver"] if point.network == "veth" else point.address


def family_of(address: str) -> socket.AddressFamily:
    """Return AF_INET or AF_INET6 for a numeric address or a host name; raises ConfigError."""
    return _resolve(address)[0]


def _resolve(address: str) -> tuple[socket.AddressFamily, str]:
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(Problem(f"{address!r} is not an address this host can resolve: {error}", key="workload.address")) from None
    return found[0][0], str(found[0][4][0])


def veth_recipe(point: Point) -> Recipe:
    """Return the veth pair that *point* asks for; raises ConfigError.

    The receiver gets the point's address, or one of zcload's where that is a loopback address; the sender gets its neighbour, the other
    address of a prefix that holds just these two (RFC 3021, RFC 6164).
    """
    receiver = ipaddress.ip_address(_resolve(point.address)[1])
    if receiver.version == 6 and receiver.ipv4_mapped is not None:
        receiver = receiver.ipv4_mapped
    if receiver.is_loopback or receiver.is_unspecified:
        receiver = ipaddress.ip_address(VETH_IPV4 if receiver.version == 4 else VETH_IPV6)
    if receiver.is_multicast or (receiver.version == 6 and receiver.is_link_local):
        what = f"{point.address} cannot be the address of one end of a veth pair"
        raise ConfigError(Problem(what, key="workload.address", remedy="leave it out, and zcload takes one"))
    if receiver.version == 6 and point.mtu is not None and point.mtu < IPV6_LEAST_MTU:
        what = f"an MTU of {point.mtu} B is too small for IPv6"
        raise ConfigError(Problem(what, key="workload.mtu", remedy=f"{IPV6_LEAST_MTU} B or more, or an IPv4 address"))
    sender = ipaddress.ip_address(receiver.packed[:-1] + bytes([receiver.packed[-1] ^ 1]))
    addresses = dict(zip(ROLES, (str(receiver), str(sender)), strict=True))
    return Recipe(addresses, receiver.max_prefixlen - 1, point.mtu, point.offloads, point.gso_max_size)


# A switch that forbids user namespaces, the values that do, and the remedy.
_SWITCHES = (
    ("/proc/sys/user/max_user_namespaces", ("0",), "sysctl user.max_user_namespaces=10000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", ("0",), "sysctl kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", ("1",), "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
)


def _refusal(refused: list[str], code: int) -> Problem:
    """Say why there is no veth pair and what would help."""
    what = f"cannot set up veth: {'; '.join(refused)}"
    remedy = "run as root, or where this user may make user namespaces (a container may need --cap-add SYS_ADMIN,NET_ADMIN)"
    if code in (errno.EPERM, errno.EACCES, errno.ENOSPC):
        for path, values, switch in _SWITCHES:
            if _content(path) in values:
                remedy = f"run as root, or allow user namespaces: {switch}"
                break
        if code == errno.ENOSPC and remedy.startswith("run as root, or where"):
            remedy = "there are too many namespaces already: raise user.max_net_namespaces"
    elif code == errno.EOPNOTSUPP:
        remedy = "the kernel needs veth (CONFIG_VETH; modprobe veth)"
    elif code in (errno.EINVAL, errno.ENOSYS):
        remedy = "the kernel needs network and user namespaces (CONFIG_NET_NS, CONFIG_USER_NS)"
    return Problem(what, key="workload.network", remedy=remedy)


def _content(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
