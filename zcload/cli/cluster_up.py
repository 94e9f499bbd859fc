"""`zcload cluster up`: start a cluster over SSH, and leave it running."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zcload.errors import ConfigError, Problem
from zcload.linux import interrupt

if TYPE_CHECKING:
    from zcload.cluster.ssh_launch import Launch

TRIAL_DAYS = 30


def bring_up(hosts: Sequence[str], *, scheduler: str | None, port: int, python: str | None, keys: Path, keys_there: str | None) -> None:
    """Start a scheduler and workers on *hosts*, print how to use and end them, and end this process.

    Raises ConfigError, StudyError that names the host, Interrupted; then nothing is left running.
    """
    from zcload.cluster.dask_client import check_installed
    from zcload.cluster.ssh_launch import launch_of

    launch = launch_of(hosts, scheduler, port=port, python=python or sys.executable, keys=keys, keys_there=keys_there)
    check_installed()
    if keys.exists() or keys_there:
        _check_keys(keys)
    else:
        from zcload.cli.cluster import write_keys

        write_keys(keys, TRIAL_DAYS, copied=True)
    with interrupt.graceful():
        asyncio.run(_start_and_leave(launch))


def _check_keys(directory: Path) -> None:
    """Raise ConfigError unless the TLS files by which this host joins the cluster are in *directory*."""
    from zcload.cluster.keys import CA, CERTIFICATE, KEY

    for name in (CA, CERTIFICATE, KEY):
        if not (directory / name).is_file():
            remedy = f"name a directory with {CA}, {CERTIFICATE} and {KEY}; `zcload cluster keys DIR` makes them"
            raise ConfigError(Problem(f"{directory} has no file {name}", key="--keys", remedy=remedy))


async def _start_and_leave(launch: Launch) -> None:
    from zcload.cluster.ssh_launch import start

    cluster, address = await start(launch)  # noqa: RUF059 - kept, see below
    print(_page(launch, address), flush=True)
    sys.stderr.flush()
    # When *cluster* is collected, or this process ends in the ordinary way, SSHCluster kills what it has started.
    os._exit(0)


def _page(launch: Launch, address: str) -> str:
    from zcload.model.cluster import KEYS_DIRECTORY

    lines = [f"{address}: scheduler on {launch.scheduler.name}"]
    for role in ("sender", "receiver"):
        names = [name for name, its in launch.roles.items() if its == role]
        lines += [f"{role}s: {', '.join(names)}"] if names else []
    files = {"tls_ca": "ca.pem", "tls_cert": "cert.pem", "tls_key": "key.pem"}
    default = launch.keys == Path(KEYS_DIRECTORY)
    options = "" if default else "".join(f" --set {shlex.quote(f'cluster.{key}={launch.keys / name}')}" for key, name in files.items())
    return "\n".join(
        [
            *lines,
            "",
            f"check it:      zcload cluster check {address}{options}",
            f"run a study:   zcload run heavy --cluster {address}{options}",
            f"end it:        zcload cluster down {address}{options}",
        ]
    )
