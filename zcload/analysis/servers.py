"""What the generations' reports say of a server under test: how it was read, how it was asked, how still it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zcload.model import Caution

LOOSE_SHARE = 0.05  # of the rests: where more are not strict, the timers of the server are a part of its figures


def server_facts(said: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what was *said* of one variant's server at the end of each generation; None if it has none.

    Counts are sums over the generations, *processes* is the most that there were at once when one ended.
    """
    if not said:
        return None
    sums = {name: sum(each[name] for each in said) for name in ("processes_ended", "rests", "rests_loose")}
    same = {name: said[-1][name] for name in ("cpu_from", "version", "keep_alive", "ranges", "request_bytes", "not_seen")}
    # Results of versions without TLS do not say.
    return {**same, "tls": said[-1].get("tls"), "processes": max(each["processes"] for each in said), **sums}


def server_cautions(where: str, variants: Sequence[Mapping[str, Any]]) -> list[Caution]:
    """Return the cautions about servers that were never still."""
    found = []
    for variant in variants:
        facts = variant.get("server")
        if facts and facts["rests_loose"] > LOOSE_SHARE * facts["rests"]:
            text = (
                f"{where}{variant['name']} was still at work {facts['rests_loose']} of {facts['rests']} times when nothing moved any more"
            )
            found.append(Caution("server_restless", text, "its timers are in its figures: switch off what it does beside serving"))
    return found
