"""What a config needs to know of the registries of mechanisms and sinks, which are imported only when a config is checked."""

from __future__ import annotations

from collections.abc import Mapping


def mechanism_names() -> tuple[str, ...]:
    """Return the names that `mechanism` and `study.variants` take."""
    from zcload.mechanisms import MECHANISMS

    return tuple(MECHANISMS)


def sink_names() -> tuple[str, ...]:
    """Return the names that `sink` takes."""
    from zcload.sinks import SINKS

    return tuple(SINKS)


def tls_sinks() -> tuple[str, ...]:
    """Return the names of the sinks that work over TLS in user space."""
    from zcload.sinks import SINKS

    return tuple(name for name, sink in SINKS.items() if sink.takes_tls)


def mechanism_options(name: str) -> Mapping[str, type | range]:
    """Return the own config keys of the mechanism called *name*: their types, or the whole numbers that they take.

    None for a name that is not registered.
    """
    from zcload.mechanisms import MECHANISMS

    return MECHANISMS[name].options if name in MECHANISMS else {}


def moves_payload(name: str) -> bool:
    """Return whether the mechanism called *name* moves bytes, so that costs per GB exist."""
    from zcload.mechanisms import MECHANISMS

    return name not in MECHANISMS or MECHANISMS[name].moves_payload


def takes_whole_passes(name: str) -> bool:
    """Return whether the windows of the mechanism called *name* end only where a pass over the file does."""
    from zcload.mechanisms import MECHANISMS

    return name in MECHANISMS and MECHANISMS[name].whole_pass
