"""The words of reports that a new reader does not know, each with what it means in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable

WORDS = {
    "variant": "One contender: a mechanism with its options, or a real server.",
    "baseline": "The variant that the others are compared with.",
    "sender": "The process that sends the file; of a server study, the server with all its processes.",
    "receiver": "The process that takes the bytes off the socket; zcload's own, in server studies too.",
    "relay": "The process between sender and receiver that passes the bytes on, as a proxy does.",
    "lane": "One variant set up and running: its senders, its receivers and their connections.",
    "generation": "One setting-up of all lanes, from start to end. What is luck of memory or sockets differs from one to the next.",
    "replicate": "The generations of one fresh process with a fresh file. Intervals over replicates hold for another run on this machine.",
    "block": "One pass over the lanes, in random order.",
    "window": "One measured interval of one lane, which begins and ends with every process at rest.",
    "gate": "What holds the senders back between windows.",
    "ledger": "Whose CPU seconds are counted: the sender's, the receiver's, both ends', or the whole machine's.",
    "interval": "Where the true value lies with 95 % confidence.",
    "margin": "Differences smaller than this are treated as none.",
    "headline": "The figure that the verdicts are about.",
    "goodput": "Payload bits per second that the receivers took.",
    "coordinator": "The process that opens the gates and reads the clocks; it sleeps while a window is open.",
    "A/A": "The baseline measured against itself, as a check of the method.",
}


def used(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Return the words that occur in *texts*, with their meanings, in the order of the table."""
    text = " ".join(texts)
    return [(word, meaning) for word, meaning in WORDS.items() if re.search(rf"\b{re.escape(word)}s?\b", text)]
