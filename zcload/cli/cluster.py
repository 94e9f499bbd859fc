"""`zcload cluster keys` and `down`: keys for the hosts of a study that runs on several, and the end of their scheduler and workers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zcload.errors import ConfigError, Problem

if TYPE_CHECKING:
    from zcload.model.cluster import Cluster


def write_keys(directory: Path, days: int) -> None:
    """Write the keys of a cluster into *directory*; raises ConfigError."""
    from zcload.cluster.keys import make_keys

    until = make_keys(directory, days)
    print(f"wrote ca.pem, cert.pem and key.pem into {directory}; they expire on {until:%Y-%m-%d %H:%M} UTC")
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
    from zcload.cluster.dask_client import connect

    cluster = cluster_of(name, overrides, insecure=insecure)
    client = connect(cluster)
    workers = len(client.scheduler_info(n_workers=-1)["workers"])
    client.shutdown()
    print(f"{cluster.scheduler}: ended the scheduler and {workers} {'worker' if workers == 1 else 'workers'}")
