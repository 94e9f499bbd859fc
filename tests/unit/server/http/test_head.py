"""Heads, framing and the checks of answers: tables, and fuzzing for tracebacks and hangs. No sockets."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcload.errors import StudyError
from zcload.server.http.framing import LONGEST_LINE, Chunks, framing
from zcload.server.http.head import MOST_HEAD_BYTES, HeadReader, MalformedError, parse_head
from zcload.server.http.target import Target

PLAIN = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\n"


def read_all(reader, data, step=None):
    """Feed *data* as a socket would give it, never more than the reader asks for; return the head and the bytes left over."""
    at = 0
    while at < len(data):
        asked = min(reader.need(), step or len(data))
        assert asked >= 1
        found = reader.feed(data[at : at + asked])
        at += asked
        if found is not None:
            return found[0], found[1] + data[at:]
    return None


@pytest.mark.parametrize(
    ("line", "status", "reason", "version"),
    [
        (b"HTTP/1.1 200 OK", 200, "OK", "HTTP/1.1"),
        (b"HTTP/1.0 404 Not Found", 404, "Not Found", "HTTP/1.0"),
        (b"HTTP/1.1 206 ", 206, "", "HTTP/1.1"),
        (b"HTTP/1.1 200", 200, "", "HTTP/1.1"),  # the space before an empty reason is often left out
        (b"HTTP/1.1 200 Tr\xe8s bien", 200, "Tr\xe8s bien", "HTTP/1.1"),  # obs-text
        (b"HTTP/1.7 599 x", 599, "x", "HTTP/1.7"),
    ],
)
def test_reads_status_lines(line, status, reason, version):
    """Status, reason and version are those of the status line."""
    head = parse_head(line + b"\r\n\r\n")
    assert (head.status, head.reason, head.version) == (status, reason, version)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\tfolded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName : space before the colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nN\xe4me: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
        b"HTTP/1.1 200 OK\n\n",
        b"220 smtp.example ESMTP\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",  # a TLS alert
    ],
)
@pytest.mark.parametrize("step", [None, 1])
def test_refuses_what_is_no_http_head(raw, step):
    """What RFC 9112 does not allow is refused, arriving whole or byte by byte."""
    with pytest.raises(MalformedError):
        read_all(HeadReader(), raw, step)


def test_fields_are_joined_and_stripped():
    """Names are lower-case, white space around values goes, and a field that comes twice is a list."""
    head = parse_head(b"HTTP/1.1 200 OK\r\nA: \t b c \t\r\na:d\r\nEmpty:\r\n\r\n")
    assert head.fields == {"a": "b c, d", "empty": ""}


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        ("HTTP/1.1", None, True),
        ("HTTP/1.1", "keep-alive", True),
        ("HTTP/1.1", "close", False),
        ("HTTP/1.1", "Keep-Alive, Close", False),
        ("HTTP/1.0", None, False),
        ("HTTP/1.0", "keep-alive", True),
        ("HTTP/1.0", "close", False),
    ],
)
def test_knows_whether_the_connection_stays_open(version, connection, stays):
    """HTTP/1.1 stays open unless told to close, HTTP/1.0 closes unless told to stay (RFC 9112, 9.3)."""
    field = f"Connection: {connection}\r\n" if connection else ""
    assert parse_head(f"{version} 200 OK\r\n{field}\r\n".encode()).stays_open is stays


@pytest.mark.parametrize("step", [None, 1, 2, 3, 7])
def test_a_reader_takes_nothing_of_the_body(step):
    """However the bytes arrive, a first head is read to its last byte and not beyond."""
    reader = HeadReader()
    assert read_all(reader, PLAIN + b"hello", step)[1] == b"hello"
    taken = read_all(reader, PLAIN + b"hello", step)
    assert taken[1] == b"hello"
    assert taken[0].fields["content-length"] == "5"


def test_a_shorter_head_gives_the_body_back():
    """A head that is shorter than the one before hands over what was read beyond it."""
    reader = HeadReader()
    read_all(reader, b"HTTP/1.1 200 OK\r\nLong: " + b"x" * 20 + b"\r\n\r\n")
    head, rest = read_all(reader, PLAIN + b"hello")
    assert head.status == 200
    assert rest == b"hello"


@pytest.mark.parametrize("filler", [b"A: b\r\n", b"x"])
def test_headers_that_never_end_are_refused(filler):
    """A head beyond 64 KiB is refused, in many lines or in one."""
    reader = HeadReader()
    data = b"HTTP/1.1 200 OK\r\nEndless: " + filler * MOST_HEAD_BYTES
    with pytest.raises(MalformedError, match=f"headers of more than {MOST_HEAD_BYTES} bytes"):
        read_all(reader, data)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["Content-Length: 5"], ("length", 5)),
        (["Content-Length: 0"], ("length", 0)),
        (["Transfer-Encoding: Chunked"], ("chunked", None)),
        ([], ("close", None)),
        (["Content-Length: 5", "Content-Length: 5"], None),
        (["Content-Length: 5", "Content-Length: 6"], None),
        (["Content-Length: 5, 5"], None),
        (["Content-Length: -5"], None),
        (["Content-Length: +5"], None),
        (["Content-Length: 0x5"], None),
        (["Content-Length: 5.0"], None),
        (["Content-Length: \u0665".encode().decode("latin-1")], None),  # an Arabic digit
        (["Content-Length: " + "9" * 30], None),
        (["Content-Length:"], None),
        (["Content-Length: 5", "Transfer-Encoding: chunked"], None),
        (["Transfer-Encoding: gzip, chunked"], None),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], None),
        (["Transfer-Encoding: identity"], None),
    ],
)
def test_body_length_is_certain_or_refused(fields, expected):
    """A body has one length, or chunks, or ends with the connection; anything contradictory is refused (RFC 9112, 6.3)."""
    head = parse_head("\r\n".join(["HTTP/1.1 200 OK", *fields, "", ""]).encode("latin-1"))
    if expected is None:
        with pytest.raises(MalformedError):
            framing(head)
    else:
        assert framing(head) == expected


def drain(chunks, data, step):
    """Feed framing as asked for and take payload *step* bytes at a time, as a receiver does; return payload and what is left over."""
    payload, at = b"", 0
    while not chunks.done:
        if chunks.left:
            portion = data[at : at + min(step, chunks.left)]
            payload += portion
            chunks.took(len(portion))
        else:
            asked = chunks.need()
            assert asked >= 1
            portion = data[at : at + min(asked, step)]
            stray, after = chunks.feed(portion)
            payload += stray
            if chunks.done:
                return payload, after + data[at + len(portion) :]
        assert portion, "it asks for more than there is"
        at += len(portion)
    raise AssertionError


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.integers(1, 60), st.sampled_from(["", ";a=b", " ;x"]), st.integers(0, 40)
)
def test_chunked_bodies_come_out_whole(pieces, step, extension, likely):
    """Whatever the chunks and the pieces in which they arrive, the payload is all of the body and nothing after it is touched."""
    raw = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension.encode(), piece) for piece in pieces) + b"0\r\nTrailer: x\r\n\r\n"
    assert drain(Chunks(likely), raw + b"HTTP/1.1 ", step) == (b"".join(pieces), b"HTTP/1.1 ")


@pytest.mark.parametrize(
    "raw",
    [
        b"x\r\n",
        b"-1\r\n",
        b"0x5\r\n",
        b"5\n",
        b"\r\n",
        b"1" * 16 + b"\r\n",
        b"5 5\r\n",
        b"5;\x00\r\n",
        b"2\r\nabXY",
        b"1" + b";" * (LONGEST_LINE + 2),
        b"0\r\n" + b"a: b\r\n" * (MOST_HEAD_BYTES // 6 + 1),
    ],
)
def test_refuses_broken_chunks(raw):
    """What is no chunk size, no end of a chunk, or has no end is refused."""
    with pytest.raises(MalformedError):
        Chunks().feed(raw)


@given(st.binary(max_size=300), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", PLAIN[:-2]]), st.integers(1, 50))
def test_no_bytes_are_a_traceback(data, prefix, step):
    """Any bytes give a head, the want of more, or a MalformedError; each step asks for at least one byte."""
    with suppress(MalformedError):
        found = read_all(HeadReader(), prefix + data, step)
        if found is not None:
            framing(found[0])
            Chunks().feed(found[1])


TARGET = Target(("127.0.0.1", 80), "h", "/f", 10_000, 1000, 3, etag='"a"', modified="Mon")
RANGED = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-999/10000\r\nContent-Length: 1000\r\n"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\n", "status 404 Not Found, expected 206 Partial Content"),
        (b"HTTP/1.1 500 Oops\r\n", "status 500 Oops, expected 206 Partial Content"),
        (b"HTTP/1.1 302 Found\r\nLocation: /g\r\n", "status 302 Found to '/g'; redirects are not followed: name the final path"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n", "status 200 OK, expected 206"),
        (RANGED.replace(b"0-999", b"1-999"), "Content-Range 'bytes 1-999/10000', expected 'bytes 0-999/10000'"),
        (RANGED.replace(b"/10000", b"/20000"), "Content-Range 'bytes 0-999/20000', expected"),
        (RANGED.replace(b"Content-Range", b"X"), "no Content-Range in a 206 answer"),
        (RANGED.replace(b": 1000", b": 999"), "Content-Length 999, expected 1000"),
        (RANGED + b"Content-Encoding: gzip\r\n", "Content-Encoding 'gzip', expected the file as it is"),
        (RANGED + b'ETag: "b"\r\n', "another file than before: the file has changed, its etag was"),
        (RANGED + b"Last-Modified: Tue\r\n", "the file has changed, its last-modified was 'Mon' and is 'Tue'"),
    ],
)
def test_wrong_answers_are_named(raw, said):
    """Status, range, length, encoding and identity of the file are checked, and what was got and expected is said."""
    with pytest.raises(StudyError) as caught:
        TARGET.check(parse_head(raw + b"\r\n"), 0, 1000)
    assert said in str(caught.value)


@pytest.mark.parametrize("more", [b"", b'ETag: "a"\r\nLast-Modified: Mon\r\n', b'ETag: W/"a"\r\n', b"content-encoding: identity\r\n"])
def test_right_answers_pass(more):
    """An answer that says just what was asked for passes."""
    assert TARGET.check(parse_head(RANGED + more + b"\r\n"), 0, 1000) == "length"


@given(st.integers(1, 1 << 40), st.integers(1, 300), st.booleans())
def test_parts_cover_the_file(size, connections, ranges):
    """Verification fetches every byte of the file, and no connection fetches nothing."""
    target = Target(("::1", 80), "h", "/f", size, 4096, connections, ranges=ranges)
    parts = sorted({(part.start, part.end) for part in map(target.part, range(connections))})
    assert all(0 <= start < end <= size for start, end in parts)
    covered = 0
    for start, end in parts:
        assert start <= covered
        covered = max(covered, end)
    assert covered == size
