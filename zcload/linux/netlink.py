"""The part of rtnetlink(7) that zcload needs: make a veth pair, set addresses, MTU and the largest segment, bring a link up."""

from __future__ import annotations

import ipaddress
import socket
import struct

from zcload.errors import os_error

# linux/rtnetlink.h, linux/netlink.h
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR = 16, 18, 20
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 0x1, 0x4, 0x200, 0x400
NLMSG_ERROR = 2
# linux/if_link.h
IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO, IFLA_NET_NS_FD = 3, 4, 18, 28
# The largest packet that segmentation (gso) and merging (gro) may make, of IPv6 [5.19] and of IPv4 [6.3].
IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE = 41, 58, 63, 64
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFF_UP = 1  # linux/if.h
# linux/if_addr.h
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_NODAD = 0x02  # usable at once: there is nobody to have taken the address, and asking would take a second

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, mask of flags
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, index


def make_veth(name: str, peer: str, peer_namespace: int, mtu: int | None) -> None:
    """Make a veth pair (veth(4)): *name* here, *peer* in the namespace that *peer_namespace* holds. Raises OSError."""
    size = _attribute(IFLA_MTU, struct.pack("=I", mtu)) if mtu else b""
    other = _LINK.pack(0, 0, 0, 0, 0) + _text(IFLA_IFNAME, peer) + _attribute(IFLA_NET_NS_FD, struct.pack("=I", peer_namespace)) + size
    info = _text(IFLA_INFO_KIND, "veth") + _attribute(IFLA_INFO_DATA, _attribute(VETH_INFO_PEER, other))
    body = _LINK.pack(0, 0, 0, 0, 0) + _text(IFLA_IFNAME, name) + _attribute(IFLA_LINKINFO, info) + size
    _request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def add_address(name: str, address: str, prefix: int) -> None:
    """Give link *name* an IPv4 or IPv6 address; raises OSError."""
    ip = ipaddress.ip_address(address)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    body = _ADDRESS.pack(family, prefix, 0, 0, socket.if_nametoindex(name))
    body += _attribute(IFA_LOCAL, ip.packed) + _attribute(IFA_ADDRESS, ip.packed)
    if ip.version == 6:
        body += _attribute(IFA_FLAGS, struct.pack("=I", IFA_F_NODAD))
    _request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body)


def set_largest_segment(name: str, size: int) -> None:
    """Let link *name* make and merge packets of up to *size* bytes, of IPv6 and of IPv4 ("BIG TCP"); raises OSError.

    A kernel that does not know one of the attributes ignores it: see `largest_segments`.
    """
    kinds = (IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE)
    body = _LINK.pack(0, 0, socket.if_nametoindex(name), 0, 0)
    _request(RTM_NEWLINK, 0, body + b"".join(_attribute(kind, struct.pack("=I", size)) for kind in kinds))


def largest_segments(name: str) -> dict[str, int | None]:
    """Return the largest packets of link *name* in bytes, of IPv6 (`gso_max_bytes`) and of IPv4; None where the kernel says nothing.

    Raises OSError.
    """
    answer = _request(RTM_GETLINK, 0, _LINK.pack(0, 0, socket.if_nametoindex(name), 0, 0))
    found: dict[int, int] = {}
    at = _HEADER.size + _LINK.size
    while at + 4 <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if length < 4:
            break
        if length == 8:
            (found[kind],) = struct.unpack_from("=I", answer, at + 4)
        at += -(-length // 4) * 4
    return {"gso_max_bytes": found.get(IFLA_GSO_MAX_SIZE), "gso_ipv4_max_bytes": found.get(IFLA_GSO_IPV4_MAX_SIZE)}


def take_up(name: str) -> None:
    """Set link *name* up; raises OSError."""
    _request(RTM_NEWLINK, 0, _LINK.pack(0, 0, socket.if_nametoindex(name), IFF_UP, IFF_UP))


def _attribute(kind: int, data: bytes) -> bytes:
    """Return one struct rtattr with its data, padded to a multiple of 4 bytes."""
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _request(kind: int, flags: int, body: bytes) -> bytes:
    """Send one request and return its first answer: what was asked for, or the acknowledgement; raises OSError with the kernel's error."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
        sock.sendto(_HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0) + body, (0, 0))
        answer = sock.recv(65536)
    length, kind, *_ = _HEADER.unpack_from(answer)
    if kind == NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", answer, _HEADER.size)  # struct nlmsgerr: 0, or a negated errno
        if code:
            raise os_error(-code)
    return answer[:length]
