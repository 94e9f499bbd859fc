"""The facts about the network device of an address that bear on a result between hosts: driver, speed, queues, offloads, interrupts."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import psutil

from zcload.errors import StudyError
from zcload.host.topology import HERE, Host
from zcload.linux import ethtool


def own_addresses() -> list[tuple[str, str]]:
    """Return device and address of each IPv4 and IPv6 address of this host; link-local ones last."""
    found = [
        (device, each.address.partition("%")[0])
        for device, addresses in psutil.net_if_addrs().items()
        for each in addresses
        if each.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return sorted(found, key=lambda pair: ipaddress.ip_address(pair[1]).is_link_local)


def data_address(wanted: str) -> tuple[str, str]:
    """Return device and address that *wanted* picks: an address of this host, a subnet such as 10.7.0.0/16, or a device such as eth1.

    Raises StudyError with what there is.
    """
    addresses = own_addresses()
    try:
        network = ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        matching = [pair for pair in addresses if pair[0] == wanted]
    else:
        inside = [pair for pair in addresses if ipaddress.ip_address(pair[1]) in network]
        matching = [pair for pair in inside if pair[1] == wanted] or inside
    if not matching:
        there = ", ".join(f"{device} {address}" for device, address in addresses)
        raise StudyError(f"{wanted!r} picks none of the addresses {there}")
    return matching[0]


def nic_facts(device: str, host: Host = HERE) -> dict[str, Any]:
    """Return the facts about *device*, None where the kernel does not say; raises nothing."""
    base = f"/sys/class/net/{device}"
    speed = host.number(f"{base}/speed")
    facts: dict[str, Any] = {
        "device": device,
        "driver": _driver(host, base),
        "speed_mbit_s": speed if speed and speed > 0 else None,
        "mtu_bytes": host.number(f"{base}/mtu"),
        "numa_node": host.number(f"{base}/device/numa_node"),
        "receive_queues": _queues(host, base, "rx-"),
        "transmit_queues": _queues(host, base, "tx-"),
        "interrupt_cpus": _interrupts(host, base),
        "offloads": None,
    }
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            facts["mtu_bytes"] = ethtool.mtu(sock, device)
            facts["offloads"] = ethtool.offloads(sock, device)
        except OSError:
            pass
    return facts


def _driver(host: Host, base: str) -> str | None:
    """Return the name of the driver; of a virtual device there is none."""
    try:
        return host.path(f"{base}/device/driver").resolve(strict=True).name
    except OSError:
        return None


def _queues(host: Host, base: str, prefix: str) -> int | None:
    try:
        return sum(path.name.startswith(prefix) for path in host.path(f"{base}/queues").iterdir()) or None
    except OSError:
        return None


def _interrupts(host: Host, base: str) -> dict[str, str] | None:
    """Return the CPUs that may take each of the device's interrupts, by number."""
    try:
        numbers = sorted(int(path.name) for path in host.path(f"{base}/device/msi_irqs").iterdir())
    except (OSError, ValueError):
        return None
    cpus = {str(number): host.text(f"/proc/irq/{number}/smp_affinity_list") for number in numbers}
    return {number: text for number, text in cpus.items() if text} or None
