"""`zcload demo`, `zcload receive` and `zcload send`: move one file and print what it cost."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import asdict
from typing import Any

from zcload.cli.live import viewer
from zcload.errors import ConfigError, Interrupted, Problem, StudyError
from zcload.linux import interrupt
from zcload.model.metrics import GOODPUT_BPS
from zcload.model.units import ValueRefused, human_bytes, human_rate, parse_size
from zcload.oneshot import Received, Sent, receive, send
from zcload.oneshot.address import EVERY_ADDRESS, is_loopback, parse_address


def size_of(text: str, option: str) -> int:
    """Return *text* as bytes; raises ConfigError that names the *option*."""
    try:
        size = parse_size(text)
    except ValueRefused as error:
        raise ConfigError(Problem(error.what, key=option, remedy=error.remedy)) from None
    if not size:
        raise ConfigError(Problem("expected at least 1 byte", key=option, remedy=f"{option} 256KiB"))
    return size


def run_demo(file: str | None, *, rounds: int, size: str | None, seed: int | None, show_progress: bool) -> None:
    """Run the demo and print its report; raises the error that ended it early, after printing what was measured."""
    from zcload.oneshot.demo import demo, render

    with interrupt.graceful(), viewer(show_progress) as view:
        result = demo(file, size=None if size is None else size_of(size, "--size"), rounds=rounds, seed=seed, view=view)
    print(render(result), flush=True)
    if result.error is not None:
        raise result.error


def run_receive(address: str, *, once: bool, digest: bool, digest_inside: bool, as_json: bool) -> int:
    """Receive until interrupted, or once, and return the exit code; a broken transfer is reported and the next awaited.

    A signal is how it is ended: that of a receiver which has served nobody is no error either, but has the shells' exit code.
    """
    if digest_inside and not digest:
        raise ConfigError(Problem("cannot be combined with --no-digest", key="--digest-inside"))
    try:
        with interrupt.graceful(), viewer(True) as view:
            receive(
                address,
                listening=_listening,
                received=_received_json if as_json else _received,
                failed=_failed,
                once=once,
                digest=digest,
                digest_inside=digest_inside,
                view=view,
            )
    except Interrupted as ended:
        print("zcload: nothing was received", file=sys.stderr, flush=True)
        return ended.exit_code
    return 0


def _listening(where: str) -> None:
    host, port = parse_address(where)
    if is_loopback(host):
        scope = f" (this host only; for others: zcload receive {EVERY_ADDRESS}:{port})"
    else:
        scope = f" (from another host: zcload send FILE {'HOST' if host in (EVERY_ADDRESS, '::') else host}:{port})"
    print(f"zcload: listening on {where}{scope}", file=sys.stderr, flush=True)


def _received_json(transfer: Received) -> None:
    print(json.dumps({**asdict(transfer), GOODPUT_BPS: transfer.goodput_bps}), flush=True)


def _received(transfer: Received) -> None:
    if transfer.digest_cpu_s:
        how = f"of the timed stream; it took {transfer.digest_cpu_s:.3f} s of the time, and as much CPU besides"
    elif transfer.sha256:
        how = "verified in a second pass, which is not timed"
    else:
        how = "the bytes are counted, not verified: the sender made no second pass"
    text = _figures("received", transfer.bytes, f"from {transfer.peer}", transfer.seconds, transfer.goodput_bps, transfer.cpu_s)
    print(text + (f"\n  SHA-256 {transfer.sha256}" if transfer.sha256 else "") + f"\n  ({how})", flush=True)


def _failed(error: StudyError) -> None:
    print(f"zcload: error: {error}", file=sys.stderr, flush=True)


def run_send(
    file: str, address: str, *, via: str, chunk: str, digest: bool, repeat: int, seed: int | None, as_json: bool, show_progress: bool
) -> None:
    """Send a file, once or several times through one mechanism or more, and print what it took."""
    from zcload.oneshot.repeat import render
    from zcload.oneshot.repeat import repeat as repeat_transfers

    mechanisms = list(dict.fromkeys(name.strip() for name in via.split(",")))
    if repeat < 1:
        raise ConfigError(Problem(f"{repeat} is out of range: expected 1 or more", key="--repeat"))
    size = size_of(chunk, "--chunk")

    def send_once(mechanism: str, number: int) -> Sent:
        # The bytes are verified once for each mechanism: what the later rounds send is counted.
        return send(file, address, via=mechanism, chunk=size, digest=digest and not number, view=view)

    with interrupt.graceful(), viewer(show_progress) as view:
        drawn = secrets.randbits(32) if seed is None else seed
        found = repeat_transfers(mechanisms, repeat, drawn, send_once)
    alone = len(mechanisms) == repeat == 1
    first = [sents[0] for sents in found.transfers.values()]
    if as_json:
        print(json.dumps(_sent_dict(first[0]) if alone else found.as_dict(_sent_dict), allow_nan=False), flush=True)
    elif alone:
        sent = first[0]
        text = _figures(f"sent ({sent.mechanism})", sent.bytes, f"to {sent.peer}", sent.seconds, sent.goodput_bps, sent.cpu_s)
        print(text + (f"\n  SHA-256 {sent.sha256}\n  ({_verified(sent)})" if sent.sha256 else ""), flush=True)
    else:
        print(f"{file}: {human_bytes(first[0].bytes)} to {first[0].peer}\n\n{render(found)}", end="", flush=True)
        if digest:
            by_how: dict[str, list[str]] = {}
            for sent in first:
                by_how.setdefault(_verified(sent), []).append(sent.mechanism)
            for how, mechanisms_verified in by_how.items():
                print(f"SHA-256 for {', '.join(mechanisms_verified)}: {how}", file=sys.stderr)
    if any(sent.ended == "acknowledged" for sents in found.transfers.values() for sent in sents):
        print("the receiver's system has acknowledged every byte; its program has not closed the connection yet", file=sys.stderr)


def _verified(sent: Sent) -> str:
    if sent.verified:
        return "of the file; the receiver verified it in a second pass, which is not timed"
    return "of the file; not compared: the receiver offers no second pass"


def _sent_dict(sent: Sent) -> dict[str, Any]:
    return {**asdict(sent), GOODPUT_BPS: sent.goodput_bps}


def _figures(what: str, count: int, peer: str, seconds: float, goodput_bps: float | None, cpu_s: float) -> str:
    return "\n".join(
        [
            f"{what} {count} bytes ({human_bytes(count)}) {peer}",
            f"  {seconds:.3f} s, {human_rate(goodput_bps) if goodput_bps else 'too short for a goodput'}",
            f"  CPU {cpu_s:.3f} s" + (f", {cpu_s * 1e9 / count:.3f} s/GB" if count else ""),
        ]
    )
