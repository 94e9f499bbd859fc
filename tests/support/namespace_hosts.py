"""Three "hosts" on one machine: network namespaces whose veth devices meet at a bridge, where the coordinator has an address too."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace

from zcload import config
from zcload.cluster.local import LocalEngine, LocalHost
from zcload.model.cluster import Cluster, HostChoice
from zcload.model.study import Study

NAMES = ("a", "b", "c")
ROLES = {
    "pairs": (("a",), ("b",)),
    "fan-in": (("a", "b"), ("c",)),
    "fan-out": (("a",), ("b", "c")),
    "mesh": (("a", "b", "c"), ("a", "b", "c")),
}


def missing() -> str | None:
    """Return why such hosts cannot be made here; None if they can."""
    if os.geteuid():
        return "network namespaces take root: run the tests as root"
    if not shutil.which("ip"):
        return "there is no ip command: apt-get install iproute2"
    made = subprocess.run(["ip", "netns", "add", f"zcprobe{os.getpid()}"], capture_output=True, text=True)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}; remedy: run the tests where CAP_SYS_ADMIN is allowed"
    subprocess.run(["ip", "netns", "del", f"zcprobe{os.getpid()}"], check=True)
    return None


class NamespaceHosts:
    """The hosts a, b and c. Names and subnet are those of this process, so that several test runs do not meet."""

    def __init__(self) -> None:
        number = os.getpid()
        self.prefix, self.subnet = f"zc{number}", f"10.{64 + number % 64}.{number // 64 % 256}"
        self.bridge = f"{self.prefix}br"
        self.control = f"{self.subnet}.1"
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{self.control}/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        for name in NAMES:
            space = self.namespace(name)
            _ip("netns", "add", space)
            _ip("link", "add", space, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", space, "master", self.bridge, "up")
            _ip("-n", space, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", space, "link", "set", device, "up")

    def namespace(self, name: str) -> str:
        """Return the network namespace of host *name*."""
        return f"{self.prefix}{name}"

    def inside(self, name: str) -> tuple[str, ...]:
        """Return the command that runs another one on host *name*."""
        return ("ip", "netns", "exec", self.namespace(name))

    def pids(self, name: str) -> set[int]:
        """Return the processes on host *name*."""
        listed = subprocess.run(["ip", "netns", "pids", self.namespace(name)], capture_output=True, text=True, check=True)
        return set(map(int, listed.stdout.split()))

    def address(self, name: str) -> str:
        """Return the address of host *name*."""
        return f"{self.subnet}.{2 + NAMES.index(name)}"

    def cut_off(self, name: str) -> None:
        """Take the link of host *name* down."""
        _ip("link", "set", self.namespace(name), "down")

    def join_again(self, name: str) -> None:
        """Take the link of host *name* up again."""
        _ip("link", "set", self.namespace(name), "up")

    def engine(self) -> LocalEngine:
        """Return an engine that starts agents in the namespaces."""
        return LocalEngine([LocalHost(name, self.address(name), self.namespace(name)) for name in NAMES])

    def study(self, pattern: str, *variants: str, workload: dict[str, object] | None = None, **stop: object) -> Study:
        """Return a short study on the hosts that *pattern* takes."""
        senders, receivers = ROLES[pattern]
        tree = {
            "study": {"name": "hosts", "baseline": "read_send", "variants": ["read_send", *variants], "best_chunk": False},
            "workload": {"file_size": "4MiB", "senders": 1, **(workload or {})},
            "stop": {"max_time": "2s", "replicates": 1, "min_generations": 2, **stop},
        }
        cluster = Cluster("tcp://127.0.0.1:1", HostChoice(senders), HostChoice(receivers), pattern, control=self.control)
        return replace(config.from_tree(tree), cluster=cluster)

    def close(self) -> None:
        """Remove namespaces and bridge, and with them the veth devices."""
        for name in NAMES:
            subprocess.run(["ip", "link", "del", self.namespace(name)], capture_output=True)  # at once; the kernel frees a namespace later
            subprocess.run(["ip", "netns", "del", self.namespace(name)], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
