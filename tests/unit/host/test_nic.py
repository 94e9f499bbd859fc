"""Which address of a host an interface or a subnet picks, and what is said of a device."""

from __future__ import annotations

import pytest

from zcload.errors import StudyError
from zcload.host.nic import data_address, nic_facts
from zcload.host.topology import Host


@pytest.mark.parametrize("wanted", ["127.0.0.1", "127.0.0.0/8", "lo"])
def test_an_address_is_picked(wanted):
    """An address, a subnet and a device pick the device and an address of it."""
    device, address = data_address(wanted)
    assert device == "lo"
    assert address in ("127.0.0.1", "::1")


def test_nothing_is_picked():
    """What picks no address is refused with those that there are."""
    with pytest.raises(StudyError, match=r"'203\.0\.113\.0/24' picks none of the addresses .*127\.0\.0\.1"):
        data_address("203.0.113.0/24")


def test_facts_of_a_device(tmp_path):
    """Queues, speed, node, driver and interrupts are read from sysfs; what is not there is null."""
    base = tmp_path / "sys/class/net/zc0"
    for name in ("queues/rx-0", "queues/rx-1", "queues/tx-0", "device/msi_irqs/31"):
        (base / name).mkdir(parents=True)
    for name, text in {"speed": "25000", "mtu": "9000", "device/numa_node": "1"}.items():
        (base / name).write_text(text)
    (tmp_path / "proc/irq/31").mkdir(parents=True)
    (tmp_path / "proc/irq/31/smp_affinity_list").write_text("2-3\n")
    (tmp_path / "drivers/ice").mkdir(parents=True)
    (base / "device/driver").symlink_to(tmp_path / "drivers/ice")
    assert nic_facts("zc0", Host(tmp_path)) == {
        "device": "zc0",
        "driver": "ice",
        "speed_mbit_s": 25000,
        "mtu_bytes": 9000,
        "numa_node": 1,
        "receive_queues": 2,
        "transmit_queues": 1,
        "interrupt_cpus": {"31": "2-3"},
        "offloads": None,
    }
    assert nic_facts("zc1", Host(tmp_path))["driver"] is None
