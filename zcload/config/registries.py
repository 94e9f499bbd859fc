"""What a config needs to know of the registries of mechanisms and sinks, which are imported only when a config is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zcload.model.units import ValueRefused

if TYPE_CHECKING:
    from zcload.mechanisms import Mechanism
    from zcload.mechanisms.base import OptionKind


def mechanism_names() -> tuple[str, ...]:
    """Return the names that `mechanism` and `study.variants` take: mechanisms, then relays."""
    from zcload.mechanisms import MECHANISMS, RELAYS

    return (*MECHANISMS, *RELAYS)


def relay_names() -> tuple[str, ...]:
    """Return the mechanisms that pass on what another sends."""
    from zcload.mechanisms import RELAYS

    return tuple(RELAYS)


def origin_names() -> tuple[str, ...]:
    """Return the names that `origin` takes: the mechanisms that may send to a relay."""
    from zcload.mechanisms import origin_names

    return origin_names()


def file_form() -> str:
    """Return the pattern of a mechanism that is a class in a file: "my_send.py:MySend"."""
    from zcload.mechanisms.own_file import FILE_FORM

    return FILE_FORM


def with_absolute_path(name: str) -> str:
    """Return "FILE.py:Class" with the file's absolute path, once it is loaded; raises ValueRefused if it breaks the contract."""
    from zcload.mechanisms.own_file import load_file

    return load_file(name, mechanism_names())[0]


def refusal(name: str) -> ValueRefused | None:
    """Return why the mechanism *name* of an installed package is refused; None where no package has one of that name."""
    from zcload.mechanisms import MECHANISMS

    return MECHANISMS.refused().get(name)


def sink_names() -> tuple[str, ...]:
    """Return the names that `sink` takes."""
    from zcload.sinks import SINKS

    return tuple(SINKS)


def tls_sinks() -> tuple[str, ...]:
    """Return the names of the sinks that work over TLS in user space."""
    from zcload.sinks import SINKS

    return tuple(name for name, sink in SINKS.items() if sink.takes_tls)


def sinks_that_take_ahead() -> tuple[str, ...]:
    """Return the names of the sinks that take a connection's bytes before they are asked for them."""
    from zcload.sinks import SINKS

    return tuple(name for name, sink in SINKS.items() if sink.takes_ahead)


def _class(name: str) -> type[Mechanism] | None:
    from zcload.mechanisms import mechanism_called

    try:
        return mechanism_called(name)
    except (KeyError, ValueRefused):
        return None


def mechanism_options(name: str) -> Mapping[str, OptionKind]:
    """Return the own config keys of the mechanism called *name*, and what they take; none for a name that is not registered."""
    found = _class(name)
    return found.options if found else {}


def moves_payload(name: str) -> bool:
    """Return whether the mechanism called *name* moves bytes, so that costs per GB exist."""
    found = _class(name)
    return found is None or found.moves_payload


def header_ways(name: str) -> tuple[str, ...]:
    """Return how the mechanism called *name* can send a header before a file; all ways for a name that is not registered."""
    found = _class(name)
    return found.headers if found else ("writev", "more", "cork", "plain")


def encrypts(name: str) -> bool:
    """Return whether the receivers of the mechanism called *name* must decrypt."""
    found = _class(name)
    return found is not None and found.encrypts


def takes_whole_passes(name: str) -> bool:
    """Return whether the windows of the mechanism called *name* end only where a pass over the file does."""
    found = _class(name)
    return found is not None and found.whole_pass


def sinks_with(option: str) -> tuple[str, ...]:
    """Return the names of the sinks that have the *option*."""
    from zcload.sinks import SINKS

    return tuple(name for name, sink in SINKS.items() if option in sink.options)
