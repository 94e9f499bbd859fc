"""Altered inputs for everything that reads what others write: seeds, mutations of bytes and of JSON trees, and what is done with them.

The seeds are real inputs and tests/data/corpus, which keeps each input that once gave a traceback. Mutations are drawn from a seeded
generator: input number N of a target is always the same.
"""

from __future__ import annotations

import json
import random
import socket
from contextlib import suppress
from functools import cache

from support.paths import CONFIGS, DATA, FIRST_RELEASE

from zcload import config
from zcload.compare.comparison import compare
from zcload.compare.gates import parse as parse_gate
from zcload.config.overrides import overlay
from zcload.errors import StudyError, ZcloadError
from zcload.lane.connections import _GREETING, _listen_to
from zcload.model import units
from zcload.model.sizes import parse_sizes, read_sizes
from zcload.oneshot.address import parse_address
from zcload.report import renderer
from zcload.report.imported import read_imported
from zcload.runner.resume import read_previous
from zcload.server.http.framing import Chunks, framing
from zcload.server.http.head import HeadReader, MalformedError
from zcload.store.reader import Result

CORPUS = DATA / "corpus"
_WORDS = (
    b"null",
    b"NaN",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"[]",
    b"{}",
    b'""',
    b"true",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\x1b[2J",
)
_VALUES = (None, True, -1, 0, 1e308, -1e-320, 2**70, "", "x" * 5000, "\x1b[31m", "\ud800", [], {}, [[[[[]]]]], {"kind": "window"})
_FORMATS = ("table", "markdown", "json", "csv", "csv-windows", "openmetrics", "benchstat", "bencher", "github-action-benchmark")


def altered_bytes(seed, rng):
    """Return *seed* with a few bytes changed, removed, repeated, or replaced by words that parsers stumble over."""
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 4, 30))
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length] * rng.choice((1, 2, 50))
            case 3:
                data[at : at + length] = rng.choice(_WORDS)
            case 4:
                del data[at:]
            case 5:
                data[at:at] = rng.choice((b"[" * 3000, b"{" * 300, b'"', b"\n", b"\r\n", b" "))
    return bytes(data)


def altered_tree(tree, rng):
    """Return *tree*, parsed JSON, with one value somewhere replaced, removed, repeated or put elsewhere."""
    path, at = [], tree
    while isinstance(at, dict | list) and at and (not path or rng.random() < 0.85):
        key = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
        path.append((at, key))
        at = at[key]
    if not path:
        return rng.choice(_VALUES)
    holder, key = path[-1]
    match rng.randrange(4):
        case 0:
            holder[key] = rng.choice(_VALUES)
        case 1:
            del holder[key]
        case 2:
            holder[key] = rng.choice(path)[0] if rng.random() < 0.1 else [at, at]
            with suppress(ValueError):  # a tree inside itself cannot be written
                return json.loads(json.dumps(tree))
            holder[key] = [at]
        case 3:
            other, place = rng.choice(path)
            holder[key] = json.loads(json.dumps(other[place]))
    return tree


def altered_json(seed, rng):
    """Return *seed*, lines of JSON or one object, with one of its values altered."""
    lines = seed.splitlines(keepends=True) if seed.count(b'{"kind"') > 1 else [seed]
    at = rng.randrange(len(lines))
    with suppress(ValueError):
        lines[at] = json.dumps(altered_tree(json.loads(lines[at]), rng), separators=(",", ":")).encode() + b"\n"
    return b"".join(lines)


# What is done with an input. Everything but an error of zcload's own, or what its contract names, is a fault.


def _config(data, folder):
    for form in ("toml", "yaml"):
        with suppress(ZcloadError, UnicodeDecodeError):
            config.loads(data.decode(), form)


def _show(result):
    for form in _FORMATS:
        with suppress(ZcloadError):
            renderer(form)([result])
    with suppress(ZcloadError):
        compare([result], [result])
    with suppress(ZcloadError):
        for of in ("metrics", "generations", "windows"):
            result.to_rows(of)


def _results(data, folder):
    (folder / "windows.jsonl").write_bytes(data)
    with suppress(ZcloadError):
        _show(Result.load(folder / "windows.jsonl"))
    with suppress(ZcloadError):
        read_previous(folder)


def _summary(data, folder):
    (folder / "summary.json").write_bytes(data)
    with suppress(ZcloadError):
        _show(Result.load(folder / "summary.json"))


def _imports(data, folder):
    (folder / "other.json").write_bytes(data)
    with suppress(ZcloadError):
        json.dumps(read_imported(folder / "other.json"), allow_nan=False)


def _http(data, folder):
    reader, at, step = HeadReader(), 0, 1 + len(data) % 97
    with suppress(MalformedError, StudyError):
        found = None
        while found is None and at < len(data):
            part = data[at : at + min(step, max(reader.need(), 1))]
            found, at = reader.feed(part), at + len(part)
        if found is None:
            return
        way, _ = framing(found[0])
        if way == "chunked":
            chunks = Chunks()
            for start in range(at, len(data), step):
                if chunks.done:
                    return
                chunks.feed(data[start : start + step])


def _words(data, folder):
    text = data.decode(errors="replace")
    for parse in (units.parse_size, units.parse_rate, units.parse_duration, units.parse_percent, units.parse_frequency, parse_sizes):
        with suppress(units.ValueRefused):
            parse(text)
    with suppress(ZcloadError):
        parse_gate(text)
    with suppress(ZcloadError):
        parse_address(text)
    overlay({"workload": {"chunk": "64KiB"}, "variant": [{"name": "a"}]}, [text])
    with suppress(ZcloadError):
        config.from_tree({"study": {"name": "s", "baseline": "read_send", "variants": ["read_send"]}}, None, [text])
    (folder / "sizes.txt").write_bytes(data)
    with suppress(units.ValueRefused, ZcloadError):
        read_sizes(parse_sizes(f"file: {folder / 'sizes.txt'}"))


def _handshake(data, folder):
    secret = bytes(range(32))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data[:4096])
        theirs.shutdown(socket.SHUT_WR)
        greetings, verdict = {ours: b""}, None
        while verdict is None:
            verdict = _listen_to(ours, greetings, secret)
        right = data[: _GREETING.size] == _GREETING.pack(secret, verdict) if verdict >= 0 else True
        assert right, "a greeting without the secret was let in"


@cache
def seeds(target):
    """Return the inputs that those of *target* are made of: real ones, and those of the corpus."""
    real = {
        "config": [path.read_bytes() for path in sorted(CONFIGS.rglob("*.toml"))]
        + [path.read_bytes() for path in sorted(CONFIGS.rglob("*.yaml"))],
        "results": [b"".join((FIRST_RELEASE / "windows.jsonl").read_bytes().splitlines(keepends=True)[:60])],
        "summary": [(FIRST_RELEASE / "summary.json").read_bytes()],
        "imports": [path.read_bytes() for path in sorted((DATA / "peers").iterdir())],
        "http": [
            b'HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nContent-Range: bytes 0-9/100\r\nETag: "a"\r\n\r\n0123456789',
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.0 200 OK\r\n\r\nabc",
        ],
        "words": [
            b"64KiB",
            b"2.4GB",
            b"1m30s",
            b"10Gbit/s",
            b"3%",
            b"500/s",
            b"mix: 4KiB 4KiB 1MiB",
            b"file: sizes.txt",
            b"workload.chunk=[64KiB,1MiB]",
            b"variant.a.chunk=64KiB",
            b"sendfile: total_cpu_s_per_gb > +5%",
            b"[::1]:10000",
            b"4096\n8192\n",
        ],
        "handshake": [_GREETING.pack(bytes(range(32)), 3), _GREETING.pack(bytes(32), 3)],
    }[target]
    return tuple(real + [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))])


TARGETS = {
    "config": _config,
    "results": _results,
    "summary": _summary,
    "imports": _imports,
    "http": _http,
    "words": _words,
    "handshake": _handshake,
}
_OF_JSON = ("results", "summary", "imports")


def inputs(target, first, count):
    """Yield inputs number *first* and the *count* - 1 after it, the corpus and the seeds as they are before the altered ones."""
    known = seeds(target)
    for number in range(first, first + count):
        rng = random.Random(f"{target} {number}")
        seed = rng.choice(known)
        if number < len(known):
            yield known[number]
        elif target in _OF_JSON and rng.random() < 0.7:
            yield altered_json(seed, rng)
        else:
            yield altered_bytes(seed, rng)


def take(target, data, folder):
    """Have *target* take *data*; raises whatever the code raises that it should not."""
    TARGETS[target](data, folder)
