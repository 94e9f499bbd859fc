"""The result directory: what a kill, a full disk or another version leaves behind is read, or refused in words."""

from __future__ import annotations

import errno
import json
import os
import re
import tracemalloc

import pytest
from support.fake_results import Cost, Result, header, lane

from benchmarks.scale import make
from zcload.analysis.summary import summarise
from zcload.errors import ConfigError, StudyError
from zcload.model.records.lines import SCHEMA
from zcload.store import reader
from zcload.store.reader import SUMMARY, WINDOWS, read_records
from zcload.store.writer import Recorder, check_free, write_summary


def small():
    """Return the records of a study of two generations."""
    result = Result(header([lane("copy"), lane("sendfile")])).calibrated()
    for number in range(2):
        result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2)}, blocks=1)
    return result.end()


def written(directory, records):
    """Write records as a run does; return the file."""
    first, *others = records
    recorder = Recorder(directory, first)
    for record in others:
        recorder.write(record)
    recorder.close()
    return directory / WINDOWS


def problem(call, *arguments):
    """Return the one problem that a call is refused with."""
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    (found,) = caught.value.problems
    return found


# Writing.


def test_what_is_written_is_read(tmp_path):
    """Records come back as they were, in order, and the recorder has kept them too."""
    first, *others = small()
    recorder = Recorder(tmp_path / "deep" / "result", first)
    for record in others:
        recorder.write(record)
    recorder.close()
    assert read_records(tmp_path / "deep" / "result" / WINDOWS) == small()


def test_each_record_is_on_disk_before_the_next(tmp_path):
    """A record is in the file as soon as it is written: a kill loses nothing that was."""
    first, *others = small()
    recorder = Recorder(tmp_path, first)
    assert read_records(tmp_path / WINDOWS) == [first]
    for count, record in enumerate(others, 2):
        recorder.write(record)
        assert len(read_records(tmp_path / WINDOWS)) == count
    recorder.close()


def test_close_twice(tmp_path):
    """Closing a second time does nothing, to no descriptor of somebody else's either."""
    recorder = Recorder(tmp_path, small()[0])
    recorder.close()
    with (tmp_path / "another").open("w") as other:
        recorder.close()
        other.write("x")


def test_refuses_a_result_that_exists(tmp_path):
    """A directory that holds a result is left as it is."""
    path = written(tmp_path, small())
    before = path.read_bytes()
    found = problem(Recorder, tmp_path, small()[0])
    assert (found.what, found.key, found.remedy) == (f"{tmp_path} holds a result already", "--out", "choose another directory")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [WINDOWS]


def test_a_taken_directory_is_refused_at_once(tmp_path):
    """Before a run spends any time it refuses a directory with a result, one below a file, and nothing else."""
    written(tmp_path / "taken", small())
    (tmp_path / "file").write_text("")
    assert problem(check_free, tmp_path / "taken").what == f"{tmp_path}/taken holds a result already"
    assert problem(check_free, tmp_path / "file" / "deep").what == f"cannot write to {tmp_path}/file/deep: not a directory"
    assert (check_free(tmp_path), check_free(tmp_path / "new" / "one")) == (None, None)
    assert not (tmp_path / "new").exists()


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    """Where a file cannot have two names, a result begins with its header all the same, and one that exists is refused."""

    def link(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")  # link(2): what vfat answers

    monkeypatch.setattr(os, "link", link)
    path = written(tmp_path, small())
    assert read_records(path) == small()
    assert problem(Recorder, tmp_path, small()[0]).what == f"{tmp_path} holds a result already"
    assert os.listdir(tmp_path) == [WINDOWS]


def test_takes_a_directory_with_other_files(tmp_path):
    """Other files in the directory are no reason to refuse it, and stay when the result is taken back."""
    (tmp_path / "notes").write_text("mine")
    recorder = Recorder(tmp_path, small()[0])
    recorder.discard()
    assert os.listdir(tmp_path) == ["notes"]


def test_discard_leaves_nothing(tmp_path):
    """A result that is taken back leaves no directory behind."""
    recorder = Recorder(tmp_path / "result", small()[0])
    recorder.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("inside", ["", "result", "deep/result"])
def test_unwritable_directory(tmp_path, inside):
    """A directory that cannot be made is a wrong --out, in the system's words."""
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / inside
    found = problem(Recorder, target, small()[0])
    assert found.key == "--out"
    assert found.what == f"cannot write to {target}: {'not a directory' if inside else 'file exists'}"


def test_no_number_that_is_none(tmp_path):
    """A NaN is never written: it is no JSON, and other readers would choke on it."""
    recorder = Recorder(tmp_path, small()[0])
    with pytest.raises(ValueError, match="JSON compliant"):
        recorder.write({"kind": "window", "value": float("nan")})
    recorder.close()
    with pytest.raises(ValueError, match="JSON compliant"):
        write_summary(tmp_path, {"value": float("inf")})


def test_a_disk_that_is_full_before_the_header_leaves_nothing_to_read(tmp_path, monkeypatch):
    """Where not even the header could be written, the error does not speak of anything readable, and no file is left."""

    def full(fd, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StudyError) as caught:
        Recorder(tmp_path / "r", small()[0])
    monkeypatch.undo()
    assert str(caught.value) == f"cannot write to {tmp_path / 'r' / WINDOWS}: no space left on device"
    assert os.listdir(tmp_path / "r") == []


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """Return a recorder whose file is on a disk that has just become full."""
    recorder = Recorder(tmp_path / "result", small()[0])
    full = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(full, recorder._fd, inheritable=False)
    os.close(full)
    yield recorder
    recorder.close()


def test_full_disk(full_disk):
    """A full disk ends the run with a StudyError that says where, and what was written before is readable."""
    path = full_disk.directory / WINDOWS
    with pytest.raises(StudyError) as caught:
        full_disk.write(small()[1])
    assert str(caught.value) == f"cannot write to {path}: no space left on device (what is there is readable)"
    assert read_records(path) == small()[:1]


def test_a_line_that_was_cut_off_by_a_full_disk_is_taken_back(tmp_path, monkeypatch):
    """What is written after a line that did not fit begins a line of its own: no line of the file is torn in the middle."""
    recorder = Recorder(tmp_path / "r", small()[0])
    whole = os.write
    room = iter((20, 0))

    def full(fd, data):
        left = next(room)
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(fd, data[:left])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StudyError):
        recorder.write(small()[1])
    monkeypatch.undo()
    recorder.write(small()[2])
    recorder.close()
    assert read_records(tmp_path / "r" / WINDOWS) == [small()[0], small()[2]]


def test_a_line_written_in_pieces(tmp_path, monkeypatch):
    """A write that the system cuts short is continued where it was cut."""
    whole = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, data[:7]))
    path = written(tmp_path, small()[:2])
    monkeypatch.undo()
    assert read_records(path) == small()[:2]


def test_a_summary_is_written_whole_or_not_at_all(tmp_path):
    """A summary that cannot take its place is a StudyError, and its first draft is cleared away."""
    (tmp_path / SUMMARY).mkdir()
    (tmp_path / SUMMARY / "in the way").write_text("")
    with pytest.raises(StudyError, match=r"cannot write .*summary\.json: "):
        write_summary(tmp_path, {"schema": "zcload.summary/1"})
    assert os.listdir(tmp_path) == [SUMMARY]


# Reading what was cut short.


def test_a_torn_last_line_at_every_byte(tmp_path):
    """Wherever the last line was cut, the records before it are read, and it counts only if it is whole."""
    records = small()
    path = written(tmp_path, records)
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rindex(b"\n") + 1
    for length in range(start, len(whole) + 1):
        path.write_bytes(whole[:length])
        complete = length >= len(whole) - 1  # the newline adds nothing to a line that is whole
        assert read_records(path) == (records if complete else records[:-1]), length


def test_a_torn_window_at_every_byte(tmp_path):
    """A window cut anywhere is as if it had not been written."""
    records = small()
    last = max(i for i, record in enumerate(records) if record["kind"] == "window") + 1
    path = written(tmp_path, records[:last])
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rindex(b"\n") + 1
    for length in range(start, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert len(read_records(path)) == last - 1, length


@pytest.mark.parametrize("tail", [b"\x00" * 100, b"\xff\xfe", b"{", b'{"kind"', b"12", b'"kind"', b"[1]"])
def test_a_last_line_that_is_none(tmp_path, tail):
    """What a crash of the machine leaves at the end of a file, zeros for instance, is left out."""
    path = written(tmp_path, small())
    path.write_bytes(path.read_bytes() + tail)
    assert read_records(path) == small()


@pytest.mark.parametrize("line", [b"", b"{", b"12", b"[1]", b'{"lane":"copy"}', b"\x00\x00", b"\xff"])
@pytest.mark.parametrize("number", [2, 5])
def test_a_torn_middle_line_is_an_error(tmp_path, line, number):
    """A line in the middle that is no record is somebody's damage: the error names file and line."""
    path = written(tmp_path, small())
    lines = path.read_bytes().split(b"\n")
    lines[number - 1] = line
    path.write_bytes(b"\n".join(lines))
    found = problem(read_records, path)
    assert (found.file, found.line) == (str(path), number)
    assert found.what.startswith("not a line of a zcload result: ")
    assert str(found).startswith(f"{path}:{number}: ")


@pytest.mark.parametrize("length", [0, 1, 30])
def test_not_even_a_header(tmp_path, length):
    """A run killed while it wrote its header left no result."""
    path = written(tmp_path, small())
    path.write_bytes(path.read_bytes()[:length])
    assert problem(read_records, path).what == "holds no result: not even its header was written"


def test_another_first_line(tmp_path):
    """A file of records that begins with something else is no result."""
    assert problem(read_records, written(tmp_path, small()[1:])).what == "holds no result: not even its header was written"


@pytest.mark.parametrize("schema", ["zcload.windows/2", "something else", None, 1])
def test_windows_of_another_version(tmp_path, schema):
    """Records of a schema that this version does not know are refused, with both names and the remedy."""
    found = problem(read_records, written(tmp_path, [{**small()[0], "schema": schema}]))
    assert found.what == f"has the schema {json.dumps(schema)}; this zcload reads {json.dumps(SCHEMA)}"
    assert found.remedy == "use the zcload that wrote it"


def test_a_missing_file(tmp_path):
    """A file that is not there is an error in the system's words."""
    assert problem(read_records, tmp_path / WINDOWS).what == "no such file or directory"


# Loading a summary.


def load_summary(path):
    return reader.Result.load(path).summary


def test_a_result_is_loaded(tmp_path):
    """A result is given as its directory or as one of its files, and its summary is derived where it is missing."""
    path = written(tmp_path, small())
    derived = summarise(small())
    assert reader.Result.load(tmp_path).summary == reader.Result.load(path).summary == derived
    write_summary(tmp_path, {**derived, "name": "stored"})
    assert reader.Result.load(tmp_path).summary["name"] == reader.Result.load(tmp_path / SUMMARY).summary["name"] == "stored"
    assert reader.Result.load(path).summary["name"] == "example"  # asked for by name, the windows are what is read


def test_a_killed_run_can_be_reported(tmp_path):
    """The summary of a result without summary.json, cut in mid-line, is that of what is there."""
    path = written(tmp_path, small())
    path.write_bytes(path.read_bytes()[:-30])
    summary = reader.Result.load(tmp_path).summary
    assert (summary["complete"], summary["points"][0]["generations"]) == (False, 2)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        (SUMMARY, "{", "is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        pytest.param(SUMMARY, "9" * 5000, "is not JSON: a number has too many digits", id="too many digits"),
        (SUMMARY, "[]", "is not a zcload summary"),
        (SUMMARY, '{"schema": 1}', "is not a zcload summary"),
        (SUMMARY, '{"schema": "other/1"}', "is not a zcload summary"),
        (SUMMARY, '{"schema": "zcload.summary/2"}', 'has the schema "zcload.summary/2"; this zcload reads "zcload.summary/1"'),
        ("result.txt", "x", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_not_a_summary(tmp_path, name, content, what):
    """What is no summary, or one of another version, is refused with the file's name."""
    (tmp_path / name).write_text(content)
    found = problem(reader.Result.load, tmp_path / name)
    assert (found.what, found.file) == (what, str(tmp_path / name))


def test_a_summary_without_its_keys(tmp_path):
    """A summary that lost keys is refused with the first of them, and with how many more there are."""
    (tmp_path / SUMMARY).write_text('{"schema": "zcload.summary/1"}')
    with pytest.raises(ConfigError) as caught:
        load_summary(tmp_path)
    assert str(caught.value.problems[0]) == f"{tmp_path / SUMMARY}: name: is missing"
    assert len(caught.value.problems) == 6
    assert re.fullmatch(r"and \d+ more", caught.value.problems[-1].what)


def test_an_empty_directory_is_no_result(tmp_path):
    """A directory with neither file, and a path with nothing, are refused."""
    assert problem(reader.Result.load, tmp_path).what == f"holds neither {SUMMARY} nor {WINDOWS}: it is not a result"
    assert problem(reader.Result.load, tmp_path / "nothing").what == "no such file or directory"


def test_a_record_is_one_line(tmp_path):
    """Records hold no line breaks of their own, whatever is in their texts."""
    path = written(tmp_path, [{**small()[0], "name": "two\nlines \u2028"}])
    assert path.read_bytes().count(b"\n") == 1
    assert json.loads(path.read_bytes())["name"] == "two\nlines \u2028"


# A result as one thing.


def test_a_result_has_its_records(tmp_path):
    """A result knows its directory and reads its records when they are iterated, anew each time; given any of its files it is the same."""
    path = written(tmp_path, small())
    write_summary(tmp_path, summarise(small()))
    for place in (tmp_path, str(tmp_path), path, tmp_path / SUMMARY):
        result = reader.Result.load(place)
        assert result.directory == tmp_path
        assert list(result.records) == list(result.records) == small()
        assert result.summary == json.loads(json.dumps(summarise(small())))


def test_a_summary_alone_has_no_records(tmp_path):
    """A summary.json without its windows, or under another name, is a result without records."""
    write_summary(tmp_path, summarise(small()))
    assert not reader.Result.load(tmp_path).records
    (tmp_path / SUMMARY).rename(tmp_path / "before.json")
    result = reader.Result.load(tmp_path / "before.json")
    assert (result.directory, bool(result.records)) == (None, False)


def test_a_result_reads_no_more_than_it_must(tmp_path):
    """The records are not read before they are asked for: a summary beside damaged windows is readable, and the damage is told then."""
    path = written(tmp_path, small())
    write_summary(tmp_path, summarise(small()))
    path.write_bytes(b"\n\n")
    result = reader.Result.load(tmp_path)
    assert result.summary["name"] == "example"
    assert problem(list, result.records).line == 1


@pytest.mark.slow
@pytest.mark.parametrize("points", [1, 4])
def test_memory_of_a_summary_grows_no_faster_than_its_windows(tmp_path, points):
    """Twice the windows take at most twice the memory, and less than 8 KiB a window: records are read and not kept."""
    peaks = []
    for count in (2000, 4000):
        folder = tmp_path / str(count)
        folder.mkdir()
        make(folder, count, points)
        tracemalloc.start()
        try:
            summary = load_summary(folder)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert sum(v["windows"] for p in summary["points"] for v in p["variants"]) >= count
    assert peaks[1] < 2.2 * peaks[0]
    assert (peaks[1] - peaks[0]) / 2000 < 8192
