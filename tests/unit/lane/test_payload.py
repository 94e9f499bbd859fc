"""The file that is sent: made alike everywhere, kept only where it was asked for, never half made; the user's own, watched."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import signal
import struct
import tempfile
import zlib
from pathlib import Path

import pytest

from zcload.errors import ConfigError, StudyError
from zcload.lane import payload
from zcload.lane.payload import BLOCK, PAGE, available_memory, block_bytes, check_own, open_source, required_memory
from zcload.linux import interrupt
from zcload.model.study import Point

pytestmark = pytest.mark.usefixtures("leaks")

F_GET_SEALS = 1034  # linux/fcntl.h
SIZES = [1, PAGE - 1, PAGE + 1, BLOCK, 3 * BLOCK + 12_345]


def silent(what, fraction):
    """Be told how far the making is, and say nothing."""


@pytest.fixture
def opened():
    """Return a function that opens a point's source and closes it with the test."""
    sources = []

    def open_it(progress=silent, **point):
        sources.append(open_source(Point(**point), progress))
        return sources[-1]

    yield open_it
    for each in sources:
        each.close()


def content(made):
    """Return all bytes of a source."""
    return os.pread(made.fd, made.size + 1, 0)


def problem_of(error):
    """Return the one problem of a ConfigError as (key, what)."""
    (problem,) = error.problems
    return problem.key, problem.what


def test_memory_must_hold_a_file_of_each_kind_of_pages(monkeypatch):
    """Points that differ in the pages of their file have files of their own, and all of them must fit."""
    points = [Point(file_size=1 << 20, file_pages=pages) for pages in ("auto", "huge")]
    monkeypatch.setattr(payload, "available_memory", lambda: payload.MEMORY_RESERVE + (3 << 19))
    payload.check_room(points[:1] * 2)
    with pytest.raises(ConfigError, match="2 MiB of files do not fit"):
        payload.check_room(points)


# Made files.


@pytest.mark.parametrize("size", SIZES)
def test_a_made_file_has_its_size_and_digest(size, opened):
    """A made file is exactly as long as it was asked to be, and its digest is that of its bytes."""
    made = opened(file_size=size)
    data = content(made)
    assert len(data) == made.size == size
    assert made.digest == hashlib.sha256(data).hexdigest()
    assert made.path is None


def test_made_files_of_a_size_are_the_same(opened, tmp_path):
    """Two files of one size are the same file, in memory or in a directory, and a shorter one is its beginning."""
    size = 2 * BLOCK + 777
    first, second, named = opened(file_size=size), opened(file_size=size), opened(file_size=size, dir=str(tmp_path))
    assert first.digest == second.digest == named.digest
    assert content(opened(file_size=BLOCK + 5)) == content(first)[: BLOCK + 5]


def test_made_files_are_the_same_for_ever():
    """The file's recipe is fixed: block 0 and block 7 have the digests they had in the first version, on whatever machine."""
    by_recipe = bytearray(hashlib.shake_128(b"zcload file 1, block 7").digest(1 << 20))
    for page in range(256):
        by_recipe[4096 * page : 4096 * page + 8] = (7 * 256 + page).to_bytes(8, "little")
    assert block_bytes(7) == by_recipe
    assert hashlib.sha256(block_bytes(0)).hexdigest() == "7b1fe1c0912a943ecc4a941e539f52de906bb8804db846c36d91dc95a0365c48"


def test_every_page_carries_its_index(opened):
    """Each page of 4 KiB of a made file begins with its own number."""
    size = 2 * BLOCK + 3 * PAGE + 100
    data = content(opened(file_size=size))
    pages = [struct.unpack_from("<Q", data, at)[0] for at in range(0, size - 8, PAGE)]
    assert pages == list(range(len(pages)))
    assert len(pages) == 2 * 256 + 4


def test_a_made_file_cannot_be_compressed(opened):
    """zlib at its best takes off less than one percent, and no two pages are alike."""
    data = content(opened(file_size=2 * BLOCK))
    assert len(zlib.compress(data, 9)) > 0.99 * len(data)
    assert len({data[at + 8 : at + PAGE] for at in range(0, len(data), PAGE)}) == 2 * 256


def test_a_file_in_memory_is_sealed(opened):
    """A file in memory has no name, and can be neither written, grown nor shrunk, nor its seals be broken."""
    made = opened(file_size=BLOCK)
    assert os.readlink(f"/proc/self/fd/{made.fd}").endswith("(deleted)")
    assert fcntl.fcntl(made.fd, F_GET_SEALS) == 0b1111  # seal, shrink, grow, write
    for attempt in (lambda: os.pwrite(made.fd, b"x", 0), lambda: os.ftruncate(made.fd, 1), lambda: os.ftruncate(made.fd, 2 * BLOCK)):
        with pytest.raises(PermissionError):
            attempt()
    assert not os.get_inheritable(made.fd)


def test_a_file_that_does_not_fit_into_memory():
    """A file larger than memory is a ConfigError that tells both sizes, before a byte of it is made."""
    says = r"1 PiB of files do not fit: .* of memory can be used \(.* are free, less 256 MiB for processes\) \(choose a smaller"
    with pytest.raises(ConfigError, match=f"workload.file_size: {says}"):
        open_source(Point(file_size=1 << 50), silent)


def test_a_file_that_does_not_fit_into_its_directory(tmp_path):
    """A file larger than the room in its directory is a ConfigError, and nothing is left of it."""
    with pytest.raises(ConfigError) as caught:
        open_source(Point(file_size=1 << 60, dir=str(tmp_path)), silent)
    assert problem_of(caught.value)[0] == "workload.dir"
    assert os.listdir(tmp_path) == []


def test_memory_is_needed_for_files_in_memory_only(tmp_path):
    """Only a made file without a directory needs memory; and what is available is less than the machine has."""
    assert required_memory(Point(file_size=5000)) == 5000
    assert required_memory(Point(file_size=5000, dir=str(tmp_path))) == 0
    assert required_memory(Point(file_size=5000, file="mine")) == 0
    assert 0 < available_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_progress_is_told(opened):
    """The making tells how far it is, up to the whole."""
    told = []
    opened(lambda what, fraction: told.append((what, fraction)), file_size=3 * BLOCK)
    assert {what for what, _ in told} == {"making the file"}
    assert [fraction for _, fraction in told] == [1 / 3, 2 / 3, 1]


# Makers that fail.


def deadly(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return block_bytes(number)


def faulty(number):
    if number == 2:
        raise OSError(errno.ENOSPC, "No space left on device")
    return block_bytes(number)


@pytest.mark.parametrize(("maker", "cause"), [(deadly, "killed by SIGKILL"), (faulty, "no space left on device")])
@pytest.mark.parametrize("where", ["memory", "dir"])
def test_a_maker_that_fails_leaves_nothing(maker, cause, where, tmp_path, monkeypatch, leaks):
    """A maker that is killed is a StudyError, one that runs out of room a ConfigError with the key; nothing of the file is left open."""
    monkeypatch.setattr(payload, "block_bytes", maker)
    with pytest.raises(StudyError if maker is deadly else ConfigError, match=f"the file could not be made: .*{cause}") as caught:
        open_source(Point(file_size=5 * BLOCK, dir=str(tmp_path) if where == "dir" else None), silent)
    if maker is faulty:
        assert problem_of(caught.value)[0] == ("workload.dir" if where == "dir" else "workload.file_size")
    assert os.listdir(tmp_path) == []
    assert leaks() == {}


@pytest.mark.parametrize("where", ["memory", "dir"])
def test_a_signal_ends_the_making(where, tmp_path, monkeypatch, leaks):
    """A signal that asks for the end ends the making; no part of a file, no maker and no descriptor is left."""
    monkeypatch.setattr(interrupt, "requested", None)

    def ask_for_the_end(what, fraction):
        monkeypatch.setattr(interrupt, "requested", 15)

    # With the first block done the next ones are awaited, if only for a moment.
    monkeypatch.setattr(payload, "block_bytes", lambda number: (number and interrupt.pause(0.3)) or block_bytes(number))
    with pytest.raises(interrupt.Interrupted):
        open_source(Point(file_size=40 * BLOCK, dir=str(tmp_path) if where == "dir" else None), ask_for_the_end)
    assert os.listdir(tmp_path) == []
    assert leaks() == {}


def test_the_maker_killed_with_its_whole_process_leaves_nothing(tmp_path, monkeypatch):
    """When the process that makes a named file is killed with SIGKILL in the middle, the directory stays empty."""
    pid = os.fork()
    if not pid:

        def die(what, fraction):
            if fraction > 0.4:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            open_source(Point(file_size=5 * BLOCK, dir=str(tmp_path)), die)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert os.listdir(tmp_path) == []


# Named files.


def paths_in(folder, size):
    return folder / f"zcload-{size}.dat", folder / f"zcload-{size}.dat.sha256"


def test_a_named_file_is_kept_with_its_digest(opened, tmp_path):
    """A made file in a directory has a name with its size, stays, and has its digest beside it as sha256sum writes it."""
    folder = tmp_path / "new" / "deep"
    made = opened(file_size=BLOCK + 1, dir=str(folder))
    path, note = paths_in(folder, BLOCK + 1)
    assert made.path == str(path)
    assert sorted(folder.iterdir()) == [path, note]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == made.digest
    assert note.read_text() == f"{made.digest}  {path.name}\n"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(made.fd, b"x", 0)


def test_a_named_file_is_used_again(opened, tmp_path):
    """A named file that is there and right is used as it is: not a byte is made anew."""
    opened(file_size=BLOCK, dir=str(tmp_path))
    path, _ = paths_in(tmp_path, BLOCK)
    before = path.stat()
    again = opened(file_size=BLOCK, dir=str(tmp_path))
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert again.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def spoil_a_byte(path, note):
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)


SPOILERS = {
    "a byte is wrong": spoil_a_byte,
    "it is shorter": lambda path, note: os.truncate(path, 5000),
    "it is longer": lambda path, note: os.truncate(path, BLOCK + 1),
    "the file is gone": lambda path, note: path.unlink(),
    "the note is gone": lambda path, note: note.unlink(),
    "the note is empty": lambda path, note: note.write_text(""),
    "the note is of another file": lambda path, note: note.write_text("0" * 64 + "  other.dat\n"),
    "the note is no text": lambda path, note: note.write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("how", SPOILERS)
def test_a_named_file_that_does_not_fit_is_made_anew(how, opened, tmp_path):
    """A named file whose size, bytes or note are not what they should be is replaced by the right one."""
    right = opened(file_size=BLOCK, dir=str(tmp_path)).digest
    path, note = paths_in(tmp_path, BLOCK)
    SPOILERS[how](path, note)
    again = opened(file_size=BLOCK, dir=str(tmp_path))
    assert again.digest == right == hashlib.sha256(path.read_bytes()).hexdigest()
    assert note.read_text().split()[0] == right
    assert sorted(tmp_path.iterdir()) == [path, note]


def test_a_file_that_is_replaced_is_not_written_over(opened, tmp_path):
    """Who has the old named file open keeps it: a new one takes its name."""
    first = opened(file_size=BLOCK, dir=str(tmp_path))
    path, note = paths_in(tmp_path, BLOCK)
    note.unlink()
    opened(file_size=BLOCK, dir=str(tmp_path))
    assert path.stat().st_ino != os.fstat(first.fd).st_ino
    first.check()


@pytest.mark.parametrize("what", ["a file", "no directory to be made"])
def test_a_directory_that_cannot_be(what, tmp_path):
    """A dir that is a file, or lies below one, is a ConfigError of that key."""
    (tmp_path / "file").write_text("x")
    folder = tmp_path / "file" if what == "a file" else tmp_path / "file" / "below"
    with pytest.raises(ConfigError, match=r"cannot make files in .*/file is not a directory") as caught:
        open_source(Point(file_size=PAGE, dir=str(folder)), silent)
    assert problem_of(caught.value)[0] == "workload.dir"


# The user's own file.


@pytest.fixture
def own(tmp_path):
    """Return a file of the user's."""
    path = tmp_path / "mine.bin"
    path.write_bytes(b"some of the user's bytes" * 1000)
    return path


def test_the_users_file_is_taken_as_it_is(own, opened):
    """The user's file is opened for reading only, digested, and never changed."""
    before = own.stat()
    mine = opened(file=str(own), file_size=5)
    assert (mine.size, mine.path) == (24_000, str(own))
    assert mine.digest == hashlib.sha256(own.read_bytes()).hexdigest()
    assert fcntl.fcntl(mine.fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    after = own.stat()
    assert (before.st_mtime_ns, before.st_size, before.st_mode) == (after.st_mtime_ns, after.st_size, after.st_mode)
    assert check_own(str(own)) == 24_000


def test_a_link_to_the_users_file_is_followed(own, opened):
    """A symbolic link to a file is that file."""
    link = own.with_name("link")
    link.symlink_to(own)
    assert opened(file=str(link)).size == 24_000


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file or directory"),
        ("dangling", "no such file or directory"),
        ("dir", "is a directory, not a file"),
        ("fifo", "is not a regular file"),
        ("device", "is not a regular file"),
        ("empty", "is empty: there is nothing to send"),
        ("below a file", "not a directory"),
        ("long", "file name too long"),
    ],
)
def test_a_file_that_cannot_be_sent(kind, message, tmp_path):
    """What cannot be sent is a ConfigError of workload.file that names it and says why, at once: a fifo is not waited for."""
    path = tmp_path / kind
    match kind:
        case "dangling":
            path.symlink_to(tmp_path / "nowhere")
        case "dir":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path = Path("/dev/zero")
        case "empty":
            path.touch()
        case "below a file":
            (tmp_path / "file").touch()
            path = tmp_path / "file" / "below"
        case "long":
            path = tmp_path / ("x" * 300)
    for attempt in (lambda: open_source(Point(file=str(path)), silent), lambda: check_own(str(path))):
        with pytest.raises(ConfigError) as caught:
            attempt()
        key, what = problem_of(caught.value)
        assert key == "workload.file"
        assert what.startswith(str(path))
        assert what.endswith(message)


@pytest.mark.parametrize("name", ["a\0b", ""])
def test_a_name_that_is_no_path(name):
    """A name that no file can have is a ConfigError as well, not a traceback."""
    with pytest.raises(ConfigError) as caught:
        check_own(name)
    assert problem_of(caught.value)[0] == "workload.file"


def test_a_file_that_may_not_be_read(in_child):
    """A file that this user may not read is a ConfigError that says so."""
    folder = tempfile.mkdtemp()  # the test runner's own directories are closed to other users
    try:
        os.chmod(folder, 0o755)
        path = Path(folder, "secret")
        path.write_bytes(b"x")
        path.chmod(0)

        def try_it():
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            seen = []
            for attempt in (lambda: open_source(Point(file=str(path)), silent), lambda: check_own(str(path))):
                with pytest.raises(ConfigError) as caught:
                    attempt()
                seen.append(problem_of(caught.value))
            return seen

        assert in_child(try_it) == 2 * [("workload.file", f"{path}: permission denied")]
    finally:
        shutil.rmtree(folder)


def test_the_digest_stops_at_a_signal(own, monkeypatch, leaks):
    """A signal that asks for the end ends the digesting of the user's file, which is closed."""
    monkeypatch.setattr(interrupt, "requested", 2)
    with pytest.raises(interrupt.Interrupted):
        open_source(Point(file=str(own)), silent)
    assert leaks() == {}


# Changes, and shares.


def test_an_unchanged_file_passes_the_check(own, opened):
    """A file that nobody has touched passes, also when it has been read or its mode changed."""
    mine = opened(file=str(own))
    mine.check()
    content(mine)
    own.chmod(0o600)
    mine.check()
    made = opened(file_size=BLOCK)
    made.check()


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda path: os.truncate(path, 100), "its size went from 24000 to 100 bytes"),
        (lambda path: path.write_bytes(bytes(30_000)), "its size went from 24000 to 30000 bytes"),
        (lambda path: os.utime(path, ns=(1, 1)), "it was written to"),
    ],
    ids=["shorter", "longer", "newer"],
)
def test_a_changed_file_is_found_out(change, how, own, opened):
    """A file whose size or time of writing has changed is a StudyError that names it and the change."""
    mine = opened(file=str(own))
    change(own)
    with pytest.raises(StudyError) as caught:
        mine.check()
    assert str(caught.value) == f"{own} was changed during the run: {how}"


def test_a_file_written_in_place_is_found_out(own, opened):
    """Writing over the file's bytes, its size unchanged, is found out."""
    os.utime(own, ns=(1, 1))  # written long ago, so that the coarse clock of the file system cannot hide it
    mine = opened(file=str(own))
    with open(own, "r+b") as file:
        file.write(b"X")
    with pytest.raises(StudyError, match="it was written to"):
        mine.check()


def test_a_file_replaced_under_its_name_stays_what_it_was(own, opened):
    """Another file under the same name changes nothing: the open one is sent."""
    mine = opened(file=str(own))
    other = own.with_name("other")
    other.write_bytes(b"y")
    other.rename(own)
    mine.check()
    assert hashlib.sha256(content(mine)).hexdigest() == mine.digest


def test_share_digests_are_those_of_the_parts(own, opened):
    """Each part has the digest of its bytes, an empty one that of nothing, and the whole that of the file, without reading it again."""
    mine = opened(file=str(own))
    data = own.read_bytes()
    parts = ((0, 4096), (4096, 4096), (4096, 24_000))
    assert mine.share_digests(parts, silent) == tuple(hashlib.sha256(data[a:b]).hexdigest() for a, b in parts)

    def never(what, fraction):
        raise AssertionError("read again")

    assert mine.share_digests(parts, never) == mine.share_digests(parts, silent)
    assert mine.share_digests(((0, 24_000),), never) == (mine.digest,)


def test_a_share_of_a_truncated_file_is_an_error(own, opened):
    """Digesting a file that has become shorter says where it ended."""
    mine = opened(file=str(own))
    os.truncate(own, 10_000)
    with pytest.raises(StudyError, match="reading the file ended at byte 10000; its size was 24000 bytes and is 10000"):
        mine.share_digests(((0, 5000), (5000, 24_000)), silent)


@pytest.mark.parametrize("planted", ["zcload-{size}.dat", "zcload-{size}.dat.sha256"])
def test_planted_links_are_not_followed(tmp_path, planted):
    """Links that somebody has put at the names in workload.dir are replaced: the files they lead to stay as they were."""
    victim, folder = tmp_path / "victim", tmp_path / "dir"
    victim.write_text("precious")
    folder.mkdir()
    (folder / planted.format(size=BLOCK)).symlink_to(victim)
    source = open_source(Point(file_size=BLOCK, dir=str(folder)), silent)
    source.close()
    assert victim.read_text() == "precious"
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert (folder / f"zcload-{BLOCK}.dat").stat().st_size == BLOCK


def test_a_pipe_in_the_place_of_a_note_is_not_waited_for(tmp_path):
    """A FIFO with the name of the digest is replaced by the digest; nobody waits for its writer."""
    os.mkfifo(tmp_path / f"zcload-{BLOCK}.dat.sha256")
    open_source(Point(file_size=BLOCK, dir=str(tmp_path)), silent).close()
    assert (tmp_path / f"zcload-{BLOCK}.dat.sha256").is_file()
