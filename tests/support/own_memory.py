"""What the kernel says of the memory of the tests' own process."""

from __future__ import annotations


def status_bytes(field):
    """Return a field of /proc/self/status that is given in kB, such as VmPin or VmLck, in bytes; 0 where the kernel has none."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) << 10
    return 0
