"""Start a scheduler and workers over SSH through Dask's own SSHCluster: quiet, over TLS, each worker with its name and role.

What SSHCluster has no options for travels in Dask's configuration, which it hands to the processes it starts: the quiet settings and the
paths of the TLS files. A key never is on a command line.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zcload.cluster import keys
from zcload.cluster.quiet_settings import PRELOAD, quiet_settings
from zcload.cluster.ssh_host import SshHost, check_host, copy_keys, on_all
from zcload.errors import ConfigError, Interrupted, Problem, StudyError
from zcload.lane.network import Role
from zcload.linux import interrupt
from zcload.model.cluster import DEFAULT_PORT, is_loopback

if TYPE_CHECKING:
    from asyncssh import SSHReader
    from distributed import SpecCluster

DEATH_S = 60  # a worker without a scheduler ends after this
REGISTER_S = 60.0  # for all workers to reach the scheduler
_LOOK_S = 0.1
_REST_S = 10.0  # for a process that has failed to say why and to end
_LOG = logging.getLogger("distributed.deploy.ssh")  # where SSHCluster repeats what the processes say until they run
_lines = ContextVar[list[str]]("_lines")  # what the process that this task starts has said


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start: workers on *hosts*, a scheduler on *scheduler*, with the interpreter *python* and the TLS files in *keys*.

    The files are copied to the hosts, unless *keys_there* names the directory that has them on each.
    """

    hosts: tuple[SshHost, ...]
    scheduler: SshHost
    python: str
    keys: Path
    keys_there: str | None = None
    port: int = DEFAULT_PORT
    roles: Mapping[str, Role] = field(default_factory=dict)


def launch_of(texts: Sequence[str], scheduler: str | None, **others: Any) -> Launch:
    """Return what to start on the hosts that *texts* name; the first half sends where none says its role. Raises ConfigError."""
    hosts = tuple(map(SshHost.of, texts))
    names = [host.name for host in hosts]
    if len(set(names)) < len(names):
        raise ConfigError(Problem(f"host {next(n for n in names if names.count(n) > 1)} is named twice", remedy="name each host once"))
    roles: dict[str, Role] = {host.name: host.role for host in hosts if host.role}
    if not roles and len(hosts) % 2 == 0:
        roles = {name: "sender" if number < len(names) // 2 else "receiver" for number, name in enumerate(names)}
    without = [name for name in names if name not in roles]
    if without:
        remedy = f"write {without[0]}=sender or {without[0]}=receiver; an even number of hosts without roles is split in two halves"
        raise ConfigError(Problem(f"host {without[0]} has no role", remedy=remedy))
    for path, home in (("keys_there", ""), ("python", "./")):  # no shell expands them there, and SSH begins in the home directory
        if (value := others.get(path) or "").startswith("~/"):
            others[path] = home + value.removeprefix("~/")
    return Launch(hosts, SshHost.of(scheduler) if scheduler else hosts[0], roles=roles, **others)


async def start(launch: Launch) -> tuple[SpecCluster, str]:
    """Start scheduler and workers; return the engine's cluster, which must be kept, and the scheduler's address.

    Raises StudyError that names the host, ConfigError, Interrupted; then nothing is left on any host.
    """
    work = asyncio.ensure_future(_start(launch))
    try:
        while not work.done():
            interrupt.check()
            await asyncio.wait({work}, timeout=_LOOK_S)
        return work.result()
    except Interrupted:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        raise


async def _start(launch: Launch) -> tuple[SpecCluster, str]:
    everybody = list(dict.fromkeys((launch.scheduler, *launch.hosts)))
    addresses = dict(zip(everybody, await on_all(everybody, lambda host: check_host(host, launch.python)), strict=True))
    own = addresses[launch.scheduler]
    far = [host.name for host in launch.hosts if not is_loopback(addresses[host])]
    if is_loopback(own) and far:
        what = f"{launch.scheduler.name} is {own} from here, which host {far[0]} cannot reach"
        raise ConfigError(Problem(what, key="--scheduler", remedy="name it by an address of its network"))
    there = launch.keys_there
    if there is None:
        (there, *_) = await on_all(everybody, lambda host: copy_keys(host, launch.keys))
    import dask

    with dask.config.set(_settings(there)):
        cluster = _cluster(launch, addresses)
        try:
            with _collected():
                await cluster
            await _registered(cluster, launch)
        except BaseException as error:
            await _closed(cluster)
            # Dask wraps what happens to its scheduler.
            raise error.__cause__ if isinstance(error.__cause__, StudyError) else error from None
    return cluster, _address(cluster)


async def _closed(cluster: SpecCluster) -> None:
    """End all processes of *cluster*."""
    closing = cluster.close()
    assert closing is not None  # it is asynchronous
    await closing


def _address(cluster: SpecCluster) -> str:
    """Return the address of the scheduler, which runs."""
    assert cluster.scheduler is not None
    return str(cluster.scheduler.address)


def _settings(there: str) -> dict[str, object]:
    """Return the settings of every process that is started: quiet, and with the TLS files in the directory *there*."""
    tls = "distributed.comm.tls"
    files = {f"{tls}.ca-file": f"{there}/{keys.CA}"}
    for who in ("scheduler", "worker", "client"):
        files |= {f"{tls}.{who}.cert": f"{there}/{keys.CERTIFICATE}", f"{tls}.{who}.key": f"{there}/{keys.KEY}"}
    return {**quiet_settings(), **files, "distributed.comm.require-encryption": True}


def _cluster(launch: Launch, addresses: Mapping[SshHost, str]) -> SpecCluster:
    """Return the engine's cluster, which starts nothing before it is awaited."""
    from distributed import Security, SSHCluster

    hosts, common = (launch.scheduler, *launch.hosts), {"preload": [PRELOAD], "dashboard": False}
    local = {"tls_ca_file": keys.CA, "tls_client_cert": keys.CERTIFICATE, "tls_client_key": keys.KEY}
    cluster = SSHCluster(
        [host.name for host in hosts],
        connect_options=[host.options() for host in hosts],
        scheduler_options={**common, "host": addresses[launch.scheduler], "port": launch.port, "protocol": "tls"},
        worker_options={**common, "nthreads": 1, "memory_limit": 0, "death_timeout": DEATH_S},
        worker_class="distributed.Worker",  # no nanny: it would start a worker again that has died
        remote_python=shlex.quote(launch.python),  # SSHCluster puts it into a command line as it is
        security=Security(require_encryption=True, **{key: str(launch.keys / name) for key, name in local.items()}),
        asynchronous=True,
    )
    cluster.scheduler_spec["cls"] = _telling(cluster.scheduler_spec["cls"], launch.scheduler, "the scheduler")
    # SSHCluster gives all workers the same options; these are each worker's own.
    for number, host in enumerate(launch.hosts):
        spec = cluster.worker_spec[number]
        spec["cls"], options = _telling(spec["cls"], host, "its worker"), spec["options"]
        own = {"name": host.name, "host": addresses[host], "resources": {launch.roles[host.name]: 1}}
        options["kwargs"] = {**options["kwargs"], **own}
    return cluster


async def _registered(cluster: SpecCluster, launch: Launch) -> None:
    """Wait until every worker is attached to the scheduler; raises StudyError that names one that is not."""
    deadline, address = time.monotonic() + REGISTER_S, _address(cluster)
    while True:
        there = {str(worker["name"]) for worker in cluster.scheduler_info["workers"].values()}
        missing = [host.name for host in launch.hosts if host.name not in there]
        if not missing:
            return
        if time.monotonic() > deadline:
            raise StudyError(f"host {missing[0]}: its worker has started and cannot reach {address}: open the port in the firewalls")
        await asyncio.sleep(_LOOK_S)


def _telling(base: type[Any], host: SshHost, what: str) -> type[Any]:
    """Return the class *base* of a process of SSHCluster, which only says that it has failed, with *host* and the reason in its errors."""

    class Telling(base):  # type: ignore[misc] # Dask's classes of the scheduler and of workers have no common type
        async def start(self) -> None:
            lines = list[str]()
            _lines.set(lines)
            try:
                await super().start()
            except Exception as error:
                if self.proc is not None:
                    lines += await _rest(self.proc.stderr)
                said = [line.strip() for line in lines if line.strip()] or [str(error)]
                raise StudyError(f"host {host.name}: {what} did not start: {said[-1]}") from None

    return Telling


async def _rest(stderr: SSHReader[str]) -> list[str]:
    """Return the lines that a process which has failed still writes to *stderr*.

    For some seconds at most: SSHCluster takes an empty line for a failure, after which the process need not end.
    """
    lines = list[str]()
    try:
        async with asyncio.timeout(_REST_S):
            while line := await stderr.readline():
                lines.append(line)
    except TimeoutError:
        pass
    return lines


class _Collector(logging.Handler):
    """Gives each line to the task that reads it."""

    def emit(self, record: logging.LogRecord) -> None:
        if (lines := _lines.get(None)) is not None:
            lines.append(record.getMessage())


@contextmanager
def _collected() -> Iterator[None]:
    """Collect what SSHCluster logs, instead of printing it."""
    handler, before = _Collector(), (_LOG.level, _LOG.propagate)
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        _LOG.level, _LOG.propagate = before
