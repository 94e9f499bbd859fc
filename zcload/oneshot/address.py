"""Parse and resolve HOST:PORT."""

from __future__ import annotations

import re
import socket

from zcload.errors import ConfigError, Problem, reason_of
from zcload.model.units import shown

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 10000  # the port of the 2015 note's programs
DEFAULT_ADDRESS = f"{DEFAULT_HOST}:{DEFAULT_PORT}"
EVERY_ADDRESS = "0.0.0.0"
_PORT_LIMIT = 65536

ResolvedAddress = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


def parse_address(text: str, without_host: str = DEFAULT_HOST) -> tuple[str, int]:
    """Return (host, port) of "HOST:PORT", "[IPV6]:PORT", "HOST", "PORT" or ":PORT"; raises ConfigError.

    The port is 10000 and the host 127.0.0.1 where none is given; *without_host* is the host of ":PORT".
    """
    if re.fullmatch(r"[0-9]{1,5}", text, re.ASCII):
        return DEFAULT_HOST, _port(text, text)
    match = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\[\]:]*)):([0-9]{1,5})", text, re.ASCII)
    if match is not None:
        return match[1] or match[2] or without_host, _port(match[3], text)
    host = re.fullmatch(r"\[([^\[\]]+)\]|([^\[\]:]+)", text)
    if host is None:
        raise ConfigError(Problem(f"{shown(text)} is not HOST:PORT", remedy=_remedy(text)))
    return host[1] or host[2], DEFAULT_PORT


def _port(digits: str, text: str) -> int:
    port = int(digits)
    if port >= _PORT_LIMIT:
        raise ConfigError(Problem(f"{shown(text)}: there is no port {port}", remedy=f"ports go up to {_PORT_LIMIT - 1}"))
    return port


def _remedy(text: str) -> str:
    if text.count(":") > 1 and "[" not in text:
        return "write an IPv6 address in brackets, such as '[::1]:10000'"
    return f"such as '{DEFAULT_ADDRESS}', '[::1]:10000', a host or a port alone, or, to listen on every address, '{EVERY_ADDRESS}'"


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach *host*, an address or a name."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def format_address(host: str, port: int) -> str:
    """Write an address so that parse_address returns it again."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def resolve(host: str, port: int) -> list[ResolvedAddress]:
    """Return every address of *host*, in the system's order; raises ConfigError for an unknown one."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ConfigError(Problem(f"unknown host {shown(host)}: {reason_of(error)}")) from None
    except (OSError, ValueError) as error:  # ValueError: a name that no encoding of host names takes
        raise ConfigError(Problem(f"{shown(host)} is not a host name: {error}")) from None
    return [(family, address) for family, _, _, _, address in found if family in (socket.AF_INET, socket.AF_INET6)]  # type: ignore[misc]
