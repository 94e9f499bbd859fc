"""The cluster section: which hosts send and receive, and the scheduler that reaches them."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from zcload.config.sections import PATH, Section, key
from zcload.config.values import ADDRESS, FLAG, HOST_NAME, Kind, choice, or_word
from zcload.model.cluster import DEFAULT_PORT, KEYS_DIRECTORY, Cluster, HostChoice, Swap
from zcload.model.units import ValueRefused, shown

MOST_WORKERS = 1024  # of one role: the largest cluster that the coordinator was tried with has 1,000 hosts
_WORKER = r"[A-Za-z0-9_.:-]{1,128}"  # the name of a Dask worker, which is its address where it was given no name
_INTERFACE = r"[^\s/:]{1,15}"  # IFNAMSIZ is 16 with the final zero, linux/if.h; dev_valid_name() refuses "/", ":" and spaces
_SCHEMES = ("tls", "tcp")


def _parse_scheduler(found: object) -> str:
    refused = f"{shown(found)} is not the address of a scheduler: expected text such as 'tls://10.0.0.1:{DEFAULT_PORT}'"
    if not isinstance(found, str):
        raise ValueRefused(refused)
    try:
        parts = urlsplit(found)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    except ValueError:
        raise ValueRefused(refused) from None
    if parts.scheme not in _SCHEMES or not _is_host(host) or parts.path or parts.query or parts.fragment or parts.username is not None:
        remedy = f"'tls://{found}'" if re.fullmatch(r"[\w.-]+(:[0-9]{1,5})?", found, re.ASCII) else None
        raise ValueRefused(refused, remedy)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return re.fullmatch(HOST_NAME, host) is not None and not host.rpartition(".")[2].isdigit()
    return True


def _parse_hosts(found: object) -> HostChoice:
    expected = "expected names of workers, as in ['tx-1', 'tx-2'], or a resource and how many workers with it, as in 'sender=2'"
    role = re.fullmatch(r"([A-Za-z][A-Za-z0-9_.-]{0,63})=(all|[0-9]{1,4})", found) if isinstance(found, str) else None
    if role is not None:
        count = 0 if role[2] == "all" else int(role[2])
        if role[2] != "all" and not 1 <= count <= MOST_WORKERS:
            raise ValueRefused(f"{shown(found)} is out of range: expected 1 to {MOST_WORKERS} workers, or 'all'")
        return HostChoice(resource=role[1], count=count)
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, list) or not 1 <= len(names) <= MOST_WORKERS:
        raise ValueRefused(f"{shown(found)} does not say which workers: {expected}")
    for index, name in enumerate(names):
        if not isinstance(name, str) or not re.fullmatch(_WORKER, name):
            raise ValueRefused(f"{shown(name)} is not the name of a worker: {expected}")
        if name in names[:index]:
            raise ValueRefused(f"{shown(name)} is listed twice: list each worker once")
    return HostChoice(names=tuple(names))


def _write_hosts(hosts: HostChoice) -> Any:
    return list(hosts.names) if hosts.resource is None else str(hosts)


def _parse_network(found: object) -> str:
    if isinstance(found, str):
        try:
            return str(ipaddress.ip_network(found, strict=False))
        except ValueError:
            if re.fullmatch(_INTERFACE, found) and found.isprintable():
                return found
    raise ValueRefused(f"{shown(found)} is not a network: expected an interface such as 'eth1', or a subnet such as '10.0.0.0/24'")


def _parse_networks(found: object) -> str | dict[str, str]:
    if not isinstance(found, dict):
        return _parse_network(found)
    for name in found:
        if not isinstance(name, str) or not re.fullmatch(_WORKER, name):
            raise ValueRefused(f"{shown(name)} is not the name of a worker: expected a table such as {{tx-1 = 'eth1', rx-1 = 'eth2'}}")
    return {name: _parse_network(network) for name, network in found.items()}


def _hosts_schema() -> dict[str, Any]:
    name = {"type": "string", "pattern": f"^(?:{_WORKER})$"}
    role = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_.-]{0,63}=(?:all|[0-9]{1,4})$", "examples": ["sender=2"]}
    return {"anyOf": [role, name, {"type": "array", "items": name, "minItems": 1, "maxItems": MOST_WORKERS, "uniqueItems": True}]}


SCHEDULER = Kind(_parse_scheduler, lambda: {"type": "string", "pattern": "^(?:tls|tcp)://", "examples": [f"tls://10.0.0.1:{DEFAULT_PORT}"]})
HOSTS = Kind(_parse_hosts, _hosts_schema, _write_hosts)
_NETWORK_SCHEMA = {"type": "string", "minLength": 1, "examples": ["eth1", "10.0.0.0/24"]}
NETWORKS = Kind(_parse_networks, lambda: {"anyOf": [_NETWORK_SCHEMA, {"type": "object", "additionalProperties": _NETWORK_SCHEMA}]})
TLS_FILES = {"tls_ca": "ca.pem", "tls_cert": "cert.pem", "tls_key": "key.pem"}  # and their names in the directory of `zcload cluster keys`


def _tls_file(name: str, description: str) -> Any:
    return key("auto", f"{description}; 'auto': {KEYS_DIRECTORY}/{TLS_FILES[name]}, where `zcload cluster keys` writes it.")


class ClusterSection(Section):
    """The hosts of a study that runs on several: senders on some, receivers on others. Left out: one machine."""

    scheduler: Annotated[str, SCHEDULER] = Field(
        description="Address of the Dask scheduler, 'tls://HOST:8786'; `zcload run --cluster ADDRESS` sets it."
    )
    senders: Annotated[HostChoice, HOSTS] = key(
        "sender=all",
        "Workers whose hosts send: their names, or a resource and how many workers with it, 'sender=2' or 'sender=all'. "
        "`dask worker --resources sender=1` gives a worker the resource.",
    )
    receivers: Annotated[HostChoice, HOSTS] = key("receiver=all", "Workers whose hosts receive, in the same form.")
    pattern: Annotated[str, choice("pairs", "fan-in", "fan-out", "mesh")] = key(
        "pairs",
        "Which hosts exchange payload. 'pairs': the first sender with the first receiver, and so on; 'fan-in': all senders with one "
        "receiver; 'fan-out': one sender with all receivers; 'mesh': all with all.",
    )
    address: Annotated[str | dict[str, str] | None, or_word("auto", NETWORKS)] = key(
        "auto",
        "The network that carries the payload: an interface, 'eth1', or a subnet, '10.0.0.0/24', on every host, or a table with one for "
        "each worker. 'auto': the address at which the scheduler sees the worker.",
    )
    control: Annotated[str | None, or_word("auto", ADDRESS)] = key(
        "auto", "Address of this host at which the agents on the others connect back; 'auto': the one from which it reaches the scheduler."
    )
    swap: Annotated[bool | str, or_word("auto", FLAG, stands_for="auto")] = key(
        "auto",
        "Whether senders and receivers change places between generations, so that a difference between hosts cancels; 'auto': if the "
        "hosts are alike.",
    )
    tls_ca: Annotated[str | None, or_word("auto", PATH)] = _tls_file("tls_ca", "PEM file of the CA that signed all certificates")
    tls_cert: Annotated[str | None, or_word("auto", PATH)] = _tls_file("tls_cert", "PEM file of this host's certificate")
    tls_key: Annotated[str | None, or_word("auto", PATH)] = _tls_file("tls_key", "PEM file of the certificate's private key")
    insecure: Annotated[bool, FLAG] = key(
        False,
        "true: accept a scheduler that speaks tcp:// without encryption off loopback. Whoever reaches its port can run programs on every "
        "host; `zcload run --insecure` sets it.",
    )


_SWAP: dict[bool | str, Swap] = {"auto": "auto", True: "always", False: "never"}


def as_cluster(section: ClusterSection) -> Cluster:
    """Return the checked *section* as the record that a study holds."""
    encrypted = section.scheduler.startswith("tls:")
    files = (getattr(section, name) or f"{KEYS_DIRECTORY}/{default}" if encrypted else None for name, default in TLS_FILES.items())
    ca, certificate, key = files
    return Cluster(
        scheduler=section.scheduler,
        senders=section.senders,
        receivers=section.receivers,
        pattern=section.pattern,  # type: ignore[arg-type]  # the kind accepts only these words
        address=None if isinstance(section.address, dict) else section.address,
        addresses=section.address if isinstance(section.address, dict) else {},
        control=section.control,
        swap=_SWAP[section.swap],
        ca=ca,
        certificate=certificate,
        key=key,
        insecure=section.insecure,
    )
