"""`zcload cluster keys`, `check` and `down`: prepare the hosts of a study that runs on several, and say what is wrong with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from zcload.errors import ConfigError, GateTripped, Problem

if TYPE_CHECKING:
    from zcload.cluster.check import ClusterCheck
    from zcload.model.cluster import Cluster


def write_keys(directory: Path, days: int, *, copied: bool = False) -> None:
    """Write the keys of a cluster into *directory* and say what to do with them, unless they are *copied* next; raises ConfigError."""
    from zcload.cluster.keys import make_keys

    until = make_keys(directory, days)
    print(f"wrote ca.pem, cert.pem and key.pem into {directory}; they expire on {until:%Y-%m-%d %H:%M} UTC")
    if not copied:
        print(f"copy them to every host: scp -r {directory} HOST:")
    print("key.pem can run programs on every host of the cluster: keep it as you keep an SSH key", file=sys.stderr)


def cluster_of(name: str, overrides: Sequence[str], *, insecure: bool) -> Cluster:
    """Return the cluster of the config *name*, or of the scheduler at the address *name*; raises ConfigError."""
    from zcload import api, config
    from zcload.cli.study_names import locate
    from zcload.config.overrides import Override

    given = [*overrides, *([Override.of("--insecure", "cluster.insecure", "true")] if insecure else [])]
    if "://" in name:
        tree = {"study": {"name": "check", "baseline": "read_send", "variants": ["read_send"]}}
        study = config.from_tree(tree, None, [Override.of("ADDRESS", "cluster.scheduler", name), *given])
    else:
        path = locate(name)
        if path is None:
            raise ConfigError(Problem("is a mechanism: expected a config, or the address of a scheduler", file=name))
        study = api.study_of(path, given)
    if study.cluster is None:
        what, remedy = "has no section [cluster]", "give the address of the scheduler instead, tls://HOST:8786"
        raise ConfigError(Problem(what, file=name, remedy=remedy))
    return study.cluster


def take_down(name: str, overrides: Sequence[str], *, insecure: bool) -> None:
    """End the scheduler and the workers of a cluster; raises ConfigError or StudyError."""
    from zcload.cluster.dask_client import connect, quiet_log

    cluster = cluster_of(name, overrides, insecure=insecure)
    with quiet_log():
        client = connect(cluster)
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        client.shutdown()
    print(f"{cluster.scheduler}: ended the scheduler and {workers} {'worker' if workers == 1 else 'workers'}")


def show_check(name: str, overrides: Sequence[str], *, insecure: bool, as_json: bool, strict: bool) -> int:
    """Print what a cluster is like; return 1 if a study cannot run there. Raises GateTripped if *strict* and it may be disturbed."""
    from zcload.cluster.check import check_cluster

    found = check_cluster(cluster_of(name, overrides, insecure=insecure))
    print(json.dumps(asdict(found), indent=1) if as_json else _page(found))
    if found.problems:
        return 1
    if strict and found.cautions:
        raise GateTripped("\n".join(found.cautions))
    return 0


def _page(found: ClusterCheck) -> str:
    from tabulate import tabulate

    from zcload.model.units import human_rate

    engine = found.engine
    how = "over TLS" if engine.encrypted else "not encrypted"
    parts = [f"{engine.scheduler}: {engine.name} {engine.version}, {how}, {'quiet' if engine.quiet else 'not quiet'}"]
    hosts = []
    for host in found.hosts:
        facts = host.facts or {}
        nic = facts.get("nic") or {}
        speed = f"{nic['speed_mbit_s'] / 1000:g} Gbit/s" if nic.get("speed_mbit_s") else ""
        offset = "" if host.offset_s is None else f"{host.offset_s * 1000:+.1f} ms"
        role = " ".join(host.roles) or f"({' '.join(host.resources)})"
        device = " ".join(str(part) for part in (nic.get("device"), nic.get("driver"), speed) if part)
        versions = [facts.get(key, "") for key in ("zcload", "python", "kernel")]
        hosts.append([host.name, role, *versions, offset, facts.get("address") or "", device, nic.get("mtu_bytes") or ""])
    titles = ["host", "role", "zcload", "Python", "kernel", "clock", "address", "device", "MTU"]
    parts.append(tabulate(hosts, titles, tablefmt="simple", disable_numparse=True))
    if found.paths:
        rows = [
            [
                str(path.link),
                f"{path.measured['round_trip_s'] * 1e6:.0f} us",
                human_rate(path.measured["goodput_bps"]),
                f"{path.measured['path_mtu_bytes']:.0f}",
            ]
            for path in found.paths
            if path.measured
        ]
        parts.append(tabulate(rows, ["path", "round trip", "one stream", "path MTU"], tablefmt="simple", disable_numparse=True))
    parts += [f"problem: {text}" for text in found.problems] + [f"caution: {text}" for text in found.cautions]
    if not found.problems:
        parts.append("A study can run here." if not found.cautions else "A study can run here; its result may be disturbed.")
    return "\n\n".join(parts)
