"""What a traced server did: strace's lines judged from a table, and real transfers traced and let go."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time

import pytest

from zcload.server import trace
from zcload.server.trace import judge, trace_transfer, tracers

TCP = "7<TCP:[127.0.0.1:80->127.0.0.1:5000]>"
FILE = "9</srv/www/file.bin>"
PIPE_IN, PIPE_OUT = "11<pipe:[77]>", "12<pipe:[77]>"
SIZE = 1_000_000
HEAD = f'writev({TCP}, [{{iov_base=""..., iov_len=240}}], 1) = 240'


@pytest.mark.parametrize(
    ("lines", "moved"),
    [
        ([HEAD, f"sendfile({TCP}, {FILE}, [0] => [1000000], 1000000) = {SIZE}"], "sendfile"),
        ([HEAD, f'pread64({FILE}, ""..., 32768, 0) = {SIZE}', f"writev({TCP}, [{{iov_len=9}}], 1) = {SIZE}"], "pread64 + writev"),
        ([f'read({FILE}, ""..., 65536) = {SIZE}', f'sendto({TCP}, ""..., 9, 0, NULL, 0) = {SIZE}'], "read + sendto"),
        ([f"splice({FILE}, [0], {PIPE_OUT}, NULL, 9, 0) = {SIZE}", f"splice({PIPE_IN}, NULL, {TCP}, NULL, 9, 0) = {SIZE}"], "splice"),
        ([f"mmap(NULL, 9, PROT_READ, MAP_SHARED, {FILE}, 0) = 0x7f0000000000", f'write({TCP}, ""..., 9) = {SIZE}'], "mmap + write"),
        ([f"sendmsg({TCP}, {{msg_name=NULL}}, MSG_ZEROCOPY) = {SIZE}"], "sendmsg with MSG_ZEROCOPY"),
        (["io_uring_enter(5<anon_inode:[io_uring]>, 1, 0, 0, NULL, 8) = 1"], "io_uring_enter"),
        ([f'write({TCP}, ""..., 1000000) = {SIZE}'], "write"),  # a file that was mapped or read before
        ([f"sendfile(7<socket:[4711]>, {FILE}, [0] => [9], 9) = {SIZE}"], "sendfile"),  # a socket strace cannot ask about
        ([f"sendfile({TCP}, 9</dev/shm/zcload-x/file>, NULL, 9) = {SIZE}"], "sendfile"),
        ([f"sendfile({TCP}, 9</a <b> c>(deleted), NULL, 9) = {SIZE}"], "sendfile"),
        ([f'write(2</var/log/error.log>, ""..., 5) = {SIZE}', f"sendfile({TCP}, {FILE}, NULL, 9) = -1 EAGAIN (Try again)"], None),
        (["", "strace: Process 5 attached", "+++ exited with 0 +++"], None),
    ],
)
def test_the_calls_are_told_by_the_bytes_they_returned(lines, moved):
    """What moved the payload is judged by bytes into TCP sockets and out of files; headers and logs do not count."""
    traced = judge(lines, SIZE)
    assert traced.moved == moved
    assert (traced.reason is None) == (moved is not None)
    assert traced.record()["calls"] == [{"name": call.name, "bytes": call.bytes, "count": call.count} for call in traced.calls]


def test_calls_that_do_not_account_for_the_payload_are_no_answer():
    """Where less than half of the payload was seen to move, nothing is claimed."""
    traced = judge([f"sendfile({TCP}, {FILE}, NULL, 9) = 1000"], SIZE)
    assert traced.moved is None
    assert traced.reason == "the calls that strace saw do not account for the payload"


def with_sendfile(sock, fd):
    for at in range(0, SIZE, 100_000):
        os.sendfile(sock.fileno(), fd, at, 100_000)


def with_read(sock, fd):
    for at in range(0, SIZE, 100_000):
        sock.sendall(os.pread(fd, 100_000, at))


@pytest.fixture
def sender(tmp_path):
    """Return a function that forks a sender, with a thread beside, and returns its pid and the end it sends to when told."""
    children = []

    def fork(move):
        path = tmp_path / "file"
        path.write_bytes(bytes(SIZE))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
        pid = os.fork()
        if not pid:
            try:
                ours.close()
                fd = os.open(path, os.O_RDONLY)
                while theirs.recv(1):
                    move(theirs, fd)
            finally:
                os._exit(0)
        theirs.close()
        children.append((pid, ours))
        return pid, ours

    yield fork
    for pid, ours in children:
        ours.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def fetch(sock):
    """Have the sender send the file once; return the bytes."""
    sock.sendall(b"x")
    taken = 0
    while taken < SIZE:
        taken += len(sock.recv(1 << 20))
    return taken


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace: apt-get install strace")
@pytest.mark.parametrize(("move", "moved"), [(with_sendfile, "sendfile"), (with_read, "pread64 + sendto")])
def test_a_real_transfer_is_told_and_let_go(move, moved, sender):
    """strace, attached for one transfer, tells what moved the payload; afterwards nobody traces the sender, which goes on."""
    pid, sock = sender(move)
    traced = trace_transfer([pid], lambda: fetch(sock))
    assert (traced.moved, traced.reason, traced.payload_bytes) == (moved, None, SIZE)
    assert sum(call.bytes for call in traced.calls) == SIZE * len(traced.calls)
    assert tracers([pid]) == {0}
    assert fetch(sock) == SIZE


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace: apt-get install strace")
def test_a_transfer_that_fails_leaves_nothing_traced(sender):
    """What the transfer raises comes through, with strace gone and the sender free."""
    pid, _ = sender(with_sendfile)

    def fail():
        assert tracers([pid]) != {0}
        raise RuntimeError("no transfer")

    with pytest.raises(RuntimeError, match="no transfer"):
        trace_transfer([pid], fail)
    assert tracers([pid]) == {0}


def never():
    raise AssertionError("nothing is to be transferred")


def test_without_strace_the_reason_is_told(monkeypatch):
    """Where there is no strace there is a remedy, and no transfer."""
    monkeypatch.setattr(trace.shutil, "which", lambda name: None)
    traced = trace_transfer([os.getpid()], never)
    assert traced.moved is None
    assert traced.reason == "there is no strace: apt-get install strace"


@pytest.mark.parametrize("last_words", ["strace: attach: ptrace(PTRACE_SEIZE, 5): Operation not permitted", "strace: odd"])
def test_a_refused_strace_is_told(tmp_path, monkeypatch, last_words, sender):
    """Where strace may not trace, its own words and what would help are the reason."""
    pid, _ = sender(with_sendfile)
    fake = tmp_path / "strace"
    fake.write_text(f"#!/bin/sh\necho '{last_words}' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(trace.shutil, "which", lambda name: str(fake))
    traced = trace_transfer([pid], never)
    assert traced.moved is None
    assert traced.reason.startswith(f"strace may not trace the server: {last_words.partition(': ')[2]} (")


@pytest.mark.parametrize(
    ("scope", "remedy"),
    [
        ("0", "run as the server's user or as root"),
        ("1", "only a parent may trace: run as root, or sysctl kernel.yama.ptrace_scope=0"),
        ("2", "kernel.yama.ptrace_scope is 2: run as root"),
        ("3", "nobody may trace until the next boot"),
        (None, "run as the server's user or as root"),
    ],
)
def test_a_refusal_names_the_remedy_of_the_kernels_setting(tmp_path, monkeypatch, scope, remedy, sender):
    """What would help against a refused strace is what Yama's setting leaves, if the kernel has Yama."""
    setting = tmp_path / "ptrace_scope"
    if scope is not None:
        setting.write_text(f"{scope}\n")
    monkeypatch.setattr(trace, "_YAMA", str(setting))
    fake = tmp_path / "strace"
    fake.write_text("#!/bin/sh\necho 'strace: attach: ptrace(PTRACE_SEIZE, 5): Operation not permitted' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(trace.shutil, "which", lambda name: str(fake))
    traced = trace_transfer([sender(with_sendfile)[0]], never)
    assert remedy in traced.reason


def test_a_call_that_returns_after_its_bytes_came_is_waited_for(tmp_path, monkeypatch):
    """The bytes of a call arrive before it returns, so strace may write it down later than the transfer ends: it is not lost."""
    fake, sent = tmp_path / "strace", tmp_path / "sent"
    call = f"sendfile({TCP}, {FILE}, NULL, {SIZE}) = {SIZE}"
    fake.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != -o ]; do shift; done\n'
        f"until [ -e '{sent}' ]; do sleep 0.01; done\n"
        f"sleep 0.3\necho '{call}' > \"$2.1\"\n"
        "exec sleep 60\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(trace.shutil, "which", lambda name: str(fake))
    monkeypatch.setattr(trace, "_wait_until_attached", lambda *_: None)

    def transfer():
        sent.touch()
        return SIZE

    traced = trace_transfer([os.getpid()], transfer)
    assert (traced.moved, traced.reason) == ("sendfile", None)


def test_a_strace_that_never_attaches_is_given_up(tmp_path, monkeypatch, sender):
    """A strace that neither attaches nor ends, not even when told to, is killed and told."""
    monkeypatch.setattr(trace, "_ATTACH_S", 0.2)
    pid, _ = sender(with_sendfile)
    fake = tmp_path / "strace"
    fake.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do :; done\n")
    fake.chmod(0o755)
    monkeypatch.setattr(trace.shutil, "which", lambda name: str(fake))
    begun = time.monotonic()
    traced = trace_transfer([pid], never)
    assert traced.reason.startswith("strace did not attach within 0 s")
    assert time.monotonic() - begun < 10
