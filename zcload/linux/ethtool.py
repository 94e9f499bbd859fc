"""Read and set a network device's offloads and MTU by ioctl (netdevice(7), linux/ethtool.h).

A socket stands for its own network namespace: whoever holds it need not be there.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct

SIOCETHTOOL, SIOCGIFMTU = 0x8946, 0x8921  # linux/sockios.h
# linux/ethtool.h: the commands that read and set each offload. TSO stands for IPv4 and IPv6 alike (NETIF_F_ALL_TSO).
_OFFLOADS = {"tso": (0x1E, 0x1F), "gso": (0x23, 0x24), "gro": (0x2B, 0x2C)}


def offloads(sock: socket.socket, device: str) -> dict[str, bool]:
    """Return which offloads of *device* are on: segmentation by device (tso), by software below TCP (gso), merging (gro).

    Raises OSError.
    """
    return {name: bool(_ethtool(sock, device, read, 0)) for name, (read, _) in _OFFLOADS.items()}


def switch_off(sock: socket.socket, device: str) -> None:
    """Switch every offload of *device* off; raises OSError. Needs CAP_NET_ADMIN over the socket's namespace."""
    for _, write in _OFFLOADS.values():
        _ethtool(sock, device, write, 0)


def mtu(sock: socket.socket, device: str) -> int:
    """Return the MTU of *device* in bytes; raises OSError."""
    answer = fcntl.ioctl(sock, SIOCGIFMTU, struct.pack("=16s16x", device.encode()))
    return int(struct.unpack_from("=16si", answer)[1])


def _ethtool(sock: socket.socket, device: str, command: int, value: int) -> int:
    data = array.array("I", [command, value])  # struct ethtool_value
    fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("@16sP16x", device.encode(), data.buffer_info()[0]))
    return data[1]
