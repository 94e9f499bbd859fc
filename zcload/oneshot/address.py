"""Parse and resolve HOST:PORT."""

from __future__ import annotations

import re
import socket

from zcload.errors import ConfigError, Problem, reason_of
from zcload.model.units import shown

DEFAULT_ADDRESS = "127.0.0.1:10000"  # the port of the 2015 note's programs
_PORT_LIMIT = 65536

Resolved = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


def parse_address(text: str) -> tuple[str, int]:
    """Return (host, port) of "HOST:PORT" or "[IPV6]:PORT"; raises ConfigError."""
    match = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\[\]:]+)):([0-9]{1,5})", text, re.ASCII)
    if match is None:
        raise ConfigError(Problem(f"{shown(text)} is not HOST:PORT", remedy=_remedy(text)))
    port = int(match[3])
    if port >= _PORT_LIMIT:
        raise ConfigError(Problem(f"{shown(text)}: there is no port {port}", remedy=f"ports go up to {_PORT_LIMIT - 1}"))
    return match[1] or match[2], port


def _remedy(text: str) -> str:
    if text.count(":") > 1 and "[" not in text:
        return "an IPv6 address goes into brackets, such as '[::1]:10000'"
    return f"such as '{DEFAULT_ADDRESS}', '[::1]:10000' or, for every address of this machine, '0.0.0.0:10000'"


def format_address(host: str, port: int) -> str:
    """Write an address so that parse_address returns it again."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def resolve(host: str, port: int) -> list[Resolved]:
    """Return every address of *host*, in the system's order; raises ConfigError for an unknown one."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ConfigError(Problem(f"unknown host {shown(host)}: {reason_of(error)}")) from None
    except (OSError, ValueError) as error:  # ValueError: a name that no encoding of host names takes
        raise ConfigError(Problem(f"{shown(host)} is not a host name: {error}")) from None
    return [(family, address) for family, _, _, _, address in found if family in (socket.AF_INET, socket.AF_INET6)]  # type: ignore[misc]
