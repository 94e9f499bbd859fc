"""`zcload demo`, `zcload receive` and `zcload send`: move one file and print what it cost."""

from __future__ import annotations

import sys

from zcload.cli.live import viewer
from zcload.errors import ConfigError, Problem, StudyError
from zcload.linux import interrupt
from zcload.model.units import ValueRefused, human_bytes, human_rate, parse_size
from zcload.oneshot import Received, receive, send


def size_of(text: str, option: str) -> int:
    """Return the bytes that *text* says; raises ConfigError that names the *option*."""
    try:
        size = parse_size(text)
    except ValueRefused as error:
        raise ConfigError(Problem(error.what, key=option, remedy=error.remedy)) from None
    if not size:
        raise ConfigError(Problem("0 B is nothing to send", key=option))
    return size


def run_demo(file: str | None, *, rounds: int, size: str | None, seed: int | None, show_progress: bool) -> None:
    """Run the demo and print its report; raises what ended it early, after printing what there is."""
    from zcload.oneshot.demo import demo, render

    with interrupt.graceful(), viewer(show_progress) as view:
        result = demo(file, size=None if size is None else size_of(size, "--size"), rounds=rounds, seed=seed, view=view)
    print(render(result), flush=True)
    if result.error is not None:
        raise result.error


def run_receive(address: str, *, once: bool, digest: bool) -> None:
    """Receive until interrupted, or once; a broken transfer is told and the next awaited."""
    with interrupt.graceful(), viewer(True) as view:
        receive(address, listening=_listening, received=_received, failed=_failed, once=once, digest=digest, view=view)


def _listening(where: str) -> None:
    print(f"zcload: listening on {where}", file=sys.stderr, flush=True)


def _received(transfer: Received) -> None:
    print(
        _figures(
            "received", transfer.bytes, f"from {transfer.peer}", transfer.seconds, transfer.goodput_bps, transfer.cpu_s, transfer.sha256
        ),
        flush=True,
    )
    if transfer.digest_cpu_s:
        print(f"the digest took another {transfer.digest_cpu_s:.3f} s of CPU and time; leave it out with --no-digest", file=sys.stderr)


def _failed(error: StudyError) -> None:
    print(f"zcload: error: {error}", file=sys.stderr, flush=True)


def run_send(file: str, address: str, *, via: str, chunk: str, digest: bool) -> None:
    """Send a file once and print what it took."""
    with interrupt.graceful(), viewer(True) as view:
        sent = send(file, address, via=via, chunk=size_of(chunk, "--chunk"), digest=digest, view=view)
    print(
        _figures(f"sent ({sent.mechanism})", sent.bytes, f"to {sent.peer}", sent.seconds, sent.goodput_bps, sent.cpu_s, sent.sha256),
        flush=True,
    )
    if sent.ended == "acknowledged":
        print("the receiver's system has acknowledged every byte; its program has not closed the connection yet", file=sys.stderr)


def _figures(what: str, count: int, peer: str, seconds: float, goodput_bps: float | None, cpu_s: float, sha256: str | None) -> str:
    lines = [
        f"{what} {count} bytes ({human_bytes(count)}) {peer}",
        f"  {seconds:.3f} s, {human_rate(goodput_bps) if goodput_bps else 'no goodput to speak of'}",
        f"  CPU {cpu_s:.3f} s" + (f", {cpu_s * 1e9 / count:.3f} s/GB" if count else ""),
    ]
    return "\n".join(lines + ([f"  SHA-256 {sha256}"] if sha256 else []))
