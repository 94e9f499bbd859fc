"""Damaged results, whatever the damage: reading, reporting and comparing them works or says what is wrong, and nothing else."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fake_results import example
from support.paths import FIRST_RELEASE, ROOT

from zcload.analysis.summary import summarise
from zcload.compare.comparison import compare
from zcload.compare.render import as_table
from zcload.errors import ConfigError, ZcloadError
from zcload.report import renderer
from zcload.store.codec import line_adapter, summary_adapter
from zcload.store.encoding import encode_summary
from zcload.store.quick_lines import is_summary, quick_line
from zcload.store.reader import Result

FORMATS = ("table", "markdown", "csv", "json", "benchstat", "bencher", "github-action-benchmark", "openmetrics", "csv-windows")
RECORDS = [record for record in json.loads(json.dumps(example())) if record.get("generation", 0) < 2]
SUMMARIES = [json.loads(json.dumps(summarise(iter(RECORDS)))), json.loads((FIRST_RELEASE / "summary.json").read_text())]
DEEP = json.loads("[" * 400 + "]" * 400)
VALUES = [
    None,
    True,
    -1,
    0,
    2**70,
    10**400,
    1e308,
    -1e308,
    1e-300,
    "x",
    "",
    [],
    {},
    [[]],
    {"a": 1},
    "\ud800",
    float("nan"),
    float("inf"),
    DEEP,
]


def places(tree, path=()):
    """Return the path to everything in *tree*, of lists the first three items."""
    if path:
        yield path
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree[:3]) if isinstance(tree, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


@st.composite
def damaged(draw, tree):
    """Return *tree* with a key deleted, a value replaced by one of another kind, a number changed, or an item twice."""
    tree = copy.deepcopy(tree)
    *parents, last = draw(st.sampled_from(list(places(tree))))
    at = tree
    for key in parents:
        at = at[key]
    value, how = at[last], draw(st.sampled_from(("delete", "replace", "change", "twice")))
    if how == "delete":
        del at[last]
    elif how == "twice" and isinstance(at, list):
        at.append(copy.deepcopy(value))
    elif how == "change" and isinstance(value, int | float) and not isinstance(value, bool):
        at[last] = draw(st.sampled_from((0, -value, value * 10**6, value + 1, 2**62)))
    else:
        at[last] = draw(st.sampled_from(VALUES))
    return tree


def use(path):
    """Load the result at *path* and do with it what commands do; raises what they would, but for what they say in words."""
    try:
        result = Result.load(path)
        good = Result(SUMMARIES[0])
        assert isinstance(result.failed, list)
        for rows in ("metrics", "generations", "windows"):
            result.to_rows(rows)
        as_table(compare([good], [result]), [])
    except ZcloadError:
        return
    for name in FORMATS:
        try:
            assert renderer(name)([result])
        except ZcloadError:
            pass


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_summary_is_used_or_refused(tmp_path_factory, data):
    """A summary.json with any one value deleted, replaced or changed is shown and compared, or refused in words."""
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "summary.json").write_text(json.dumps(data.draw(damaged(data.draw(st.sampled_from(SUMMARIES))))))
    use(folder)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_windows_are_used_or_refused(tmp_path_factory, data):
    """A windows.jsonl with any one value of a line deleted, replaced or changed is evaluated, or refused in words."""
    number = data.draw(st.sampled_from([0, *range(len(RECORDS))]))
    lines = [*RECORDS[:number], data.draw(damaged(RECORDS[number])), *RECORDS[number + 1 :]]
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "windows.jsonl").write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    use(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda window: window.pop("senders"), "senders: is missing"),
        (lambda window: window.update(open_ns="soon"), 'open_ns: found "soon", expected a valid integer'),
        (lambda window: window["senders"][0][1].__setitem__(0, None), "senders[0][1][0]: found null, expected a valid integer"),
        (lambda window: window["senders"][0][1].append(1), "senders: expected readings of the same length"),
        (lambda window: window.update(point=7), "point: found 7, expected less than 1: the header has so many points"),
        (lambda window: window.update(lane="\ud800"), "not a line of a zcload result: unexpected end of hex escape"),
        (lambda window: window.update(order=2**80), "order: found 1208925819614629174706176, expected less than or equal to"),
    ],
)
def test_a_damaged_line_is_refused_with_its_place(tmp_path, change, message):
    """The error names file, line and key, what was found and what was expected."""
    lines = copy.deepcopy(RECORDS)
    number = next(n for n, line in enumerate(lines) if line["kind"] == "window")
    change(lines[number])
    path = tmp_path / "windows.jsonl"
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    with pytest.raises(ConfigError) as caught:
        Result.load(path)
    assert str(caught.value).startswith(f"{path}:{number + 1}: {message}")


LINK = {"sender": "a", "receiver": "b", "senders": [0], "receivers": [0]}


@pytest.mark.parametrize(
    ("link", "kind", "message"),
    [
        ({"senders": [3]}, "window", "senders: holds 1, expected at least 4: the link a to b has number 3, counted from 0"),
        ({"receivers": [2**40]}, "window", "receivers: holds 1, expected at least 1099511627777: "),
        ({"receiver": "c"}, "window", "hosts: lacks 'c', a host of the links of generation 0"),
        ({"senders": [1]}, "reports", "senders: holds 1, expected at least 2: "),
    ],
)
def test_links_that_fit_no_window_are_refused_with_their_place(tmp_path, link, kind, message):
    """A link of workers or hosts that a later line of its generation lacks is an error at that line, for every part of a link."""
    lines = copy.deepcopy(RECORDS)
    number = next(n for n, line in enumerate(lines) if line["kind"] == kind and line["generation"] == 0)
    first = next(n for n, line in enumerate(lines) if line["kind"] in ("window", "reports") and line["generation"] == 0)
    if kind == "window":
        lines[number]["hosts"] = {}
    lines[number]["senders"], lines[number]["receivers"] = lines[number]["senders"][:1], lines[number].get("receivers", [])[:1]
    made = {"kind": "generation", "point": 0, "generation": 0, "purpose": "measure", "links": [LINK | link]}
    shared = next((line for line in RECORDS if line["kind"] == "generation"), {})
    lines.insert(first, {**shared, **made})
    path = tmp_path / "windows.jsonl"
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    with pytest.raises(ConfigError) as caught:
        Result.load(path)
    assert f"{path}:{number + 2}: {message}" in str(caught.value)


def packed(line):
    return json.dumps(line, separators=(",", ":")).encode()


def test_lines_of_a_run_are_decoded_the_quick_way():
    """What a run writes most often is decoded by msgspec, to the same values as by pydantic; the rest is left to it."""
    kinds = {"window", "block", "sample", "reports"}
    many = [line for line in RECORDS if line["kind"] in kinds]
    assert {line["kind"] for line in many} == kinds
    assert [quick_line(packed(line)) for line in many] == [line_adapter().validate_json(packed(line)) for line in many]
    assert quick_line(json.dumps(many[0]).encode()) is None
    assert quick_line(packed(RECORDS[0])) is None


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_quick_way_accepts_nothing_that_the_other_refuses(data):
    """A damaged line is left to pydantic, which names the fault, unless pydantic would take it with the same values."""
    line = data.draw(damaged(data.draw(st.sampled_from([line for line in RECORDS if line["kind"] != "header"]))))
    found = quick_line(packed(line))
    if found is not None:
        assert found == line_adapter().validate_json(packed(line))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_quick_way_accepts_no_summary_that_the_other_refuses(data):
    """A summary that is taken without pydantic is one that pydantic would take, were it not for how deep that reads."""
    assert all(is_summary(json.dumps(summary).encode()) for summary in SUMMARIES)
    text = json.dumps(data.draw(damaged(data.draw(st.sampled_from(SUMMARIES))))).encode()
    if is_summary(text) and b"[" * 200 not in text:
        summary_adapter().validate_json(text)


def test_threads_may_read_results_at_once():
    """Threads that read their first results at the same time do not make the same decoders twice, which crashes msgspec."""
    code = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from zcload.store.quick_lines import is_summary, quick_line
data, together = sys.stdin.buffer.read(), Barrier(8)
def read(number):
    together.wait()
    return is_summary(data), quick_line(b'{"kind":"block"}')
with ThreadPoolExecutor(8) as pool:
    print(set(pool.map(read, range(8))))
"""
    summary = encode_summary(SUMMARIES[0])
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], input=summary, capture_output=True, env={"PYTHONPATH": str(ROOT)}, check=False)
        assert (done.returncode, done.stdout) == (0, b"{(True, None)}\n"), done.stderr


def test_kinds_and_keys_of_a_later_version_are_no_error(tmp_path):
    """A line of a kind that is not known is passed over, and a key that is not known is kept."""
    lines = [RECORDS[0] | {"later": 1}, {"kind": "later", "point": 0, "what": [1]}, *RECORDS[1:]]
    (tmp_path / "windows.jsonl").write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    found = list(Result.load(tmp_path).records)
    assert found[0]["later"] == 1
    assert len(found) == len(RECORDS)


def test_a_pipe_is_no_result(tmp_path):
    """What is not a regular file is refused at once: a pipe nobody writes to would be waited for without end."""
    import os

    os.mkfifo(tmp_path / "windows.jsonl")
    with pytest.raises(ConfigError, match="is not a regular file"):
        Result.load(tmp_path)
