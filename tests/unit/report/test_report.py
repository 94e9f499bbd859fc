"""Reports: the same bytes from the same summary in every format, and sentences that say what the figures allow."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from itertools import pairwise

import pytest
import support.golden
from support.fake_results import PLACE, Cost, Result, example, example_summary, header, lane
from support.golden import golden_summary, summary_text
from support.paths import GOLDEN
from support.reports import zero_copy

from zcload.analysis.summary import summarise
from zcload.analysis.zerocopy_check import NOT_ZERO_COPY
from zcload.model.metrics import METRICS
from zcload.report import FORMATS, renderer
from zcload.report.charts import draw
from zcload.report.tables.overview import tables
from zcload.report.tables.table import Table
from zcload.report.text.answer import answer, sentence
from zcload.report.text.figures import change_text, percent, saving_text, significant, with_error
from zcload.store import reader

NAMED = {
    "table": "report.txt", "markdown": "report.md", "csv": "report.csv", "html": "report.html",
    "csv-windows": "windows.csv", "benchstat": "benchstat.txt",
    "bencher": "bencher.json", "github-action-benchmark": "github-action-benchmark.json", "openmetrics": "openmetrics.txt",
}  # fmt: skip
FILES = {name: NAMED.get(name, f"{name}.txt") for name in FORMATS if name != "json"}
OF_WINDOWS = ("csv-windows", "benchstat")  # formats that need the records


@pytest.fixture(autouse=True)
def no_library(monkeypatch):
    """Pages here are those without charts: what is drawn has its golden file in test_charts."""
    monkeypatch.setattr(draw, "available", lambda: False)


def rendered(name, *summaries, records=None):
    """Render summaries as results, with the records of the example under their names."""
    first, *others = (records or example(everything=False)) if name in OF_WINDOWS else [{}]
    return renderer(name)([reader.Result(s, None, [first | {"name": s["name"]}, *others] if first else ()) for s in summaries])


def same(a, b, where="summary"):
    """Hold two summaries against each other: the last digits of a sum differ between versions of Python, nothing else may."""
    assert type(a) is type(b) or {type(a), type(b)} <= {int, float}, where
    if isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}[{i}]")
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-12), where
    else:
        assert a == b, where


# Golden files.


def test_the_stored_summary_is_what_the_records_give(golden):
    """The summary that the golden reports are made from is the one that its records still give."""
    path = GOLDEN / "summary.json"
    if support.golden.rewriting:
        golden(path, summary_text())
    same(json.loads(path.read_text(encoding="utf-8")), summarise(example(everything=False)))


@pytest.mark.parametrize("name", FILES)
def test_golden_report(name, golden):
    """A report is the same text as ever: a change of it is meant, and seen in the difference of its golden file."""
    golden(GOLDEN / FILES[name], rendered(name, golden_summary()))


def test_json_is_the_summary():
    """The JSON format is the stored summary itself, a list of them where there are several."""
    summary = golden_summary()
    assert json.loads(rendered("json", summary)) == summary
    assert json.loads(rendered("json", summary, summary)) == [summary, summary]


@pytest.mark.parametrize("name", FORMATS)
def test_several_results(name):
    """Every format takes several results and names each."""
    other = golden_summary() | {"name": "another"}
    text = rendered(name, golden_summary(), other)
    assert "example" in text
    assert "another" in text
    assert text.endswith("\n")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("length", [1, 4, 40, 150])
def test_partial_results_can_be_reported(name, length):
    """Whatever a kill left behind is rendered in every format, without a word like nan or None."""
    text = rendered(name, summarise(example()[:length]), records=example()[:length])
    assert not re.search(r"\b(nan|inf|None|True|False)\b", text.replace("True,", "").replace("False,", "") if name == "csv" else text)
    if name in ("table", "markdown"):
        assert "(partial result)" in text.splitlines()[0]


def test_an_unknown_format():
    """A format that does not exist is a KeyError: the command line checks the name first."""
    with pytest.raises(KeyError):
        renderer("html5")


# CSV.


def test_csv_is_tidy():
    """There is one row for each point, variant and metric, all with the same columns, and what does not exist is empty."""
    result = Result(header([lane("copy"), lane("sendfile"), lane("splice")], ["chunk=1KiB", "chunk=2KiB"]))
    result.event("skipped", variant="splice", reason="not here")
    for point in (0, 1):
        result.point = point
        for number in range(3):
            result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2 + 0.01 * number)})
    summary = summarise(result.end())
    rows = list(csv.DictReader(io.StringIO(rendered("csv", summary))))
    assert len(rows) == 2 * 3 * len(METRICS)
    assert {len(row) for row in rows} == {32}
    assert len({(row["point"], row["variant"], row["metric"]) for row in rows}) == len(rows)
    by_key = {(row["point"], row["variant"], row["metric"]): row for row in rows}
    row = by_key["1", "sendfile", "total_cpu_s_per_gb"]
    (compared,) = [c for c in summary["points"][1]["comparisons"] if (c["variant"], c["metric"]) == ("sendfile", "total_cpu_s_per_gb")]
    assert float(row["ratio"]) == compared["ratio"]["estimate"]
    assert (row["baseline"], row["verdict"], row["point_name"], row["unit"]) == ("copy", "saves", "chunk=2KiB", "s/GB")
    own = by_key["0", "copy", "total_cpu_s_per_gb"]
    assert (own["ratio"], own["baseline"], own["reason"]) == ("", "", "")
    assert float(own["estimate"]) == pytest.approx(0.6)
    missing = by_key["0", "splice", "goodput_bps"]
    assert (missing["estimate"], missing["ratio"], missing["reason"], missing["status"]) == ("", "", "no window was measured", "skipped")


def test_csv_quotes_what_must_be():
    """Names with commas, quotes and line breaks come back as they were."""
    summary = golden_summary() | {"name": 'a "b", c\nd'}
    assert {row["study"] for row in csv.DictReader(io.StringIO(rendered("csv", summary)))} == {'a "b", c\nd'}


# Markdown.


def test_markdown_escapes_names():
    """A name from a config file stays text: no emphasis, no link, no HTML, no further cell of a table."""
    summary = golden_summary()
    for variant in summary["points"][0]["variants"]:
        if variant["name"] == "sendfile":
            variant["name"] = "a|b *c* [d](e) <img> `f` g_h"
    text = rendered("markdown", summary | {"name": "<script>"})
    assert "a\\|b \\*c\\* \\[d\\](e) \\<img\\> \\`f\\` g\\_h" in text
    assert text.startswith("## \\<script\\>\n")
    assert "<img>" not in text


def test_markdown_fits_a_comment():
    """Before the first fold stand the answer, one table and the cautions as lines: a comment that fits on a screen."""
    shown = rendered("markdown", golden_summary()).partition("<details>")[0]
    assert len(shown.splitlines()) <= 30
    assert shown.index("sendfile saves") < shown.index("| variant") < shown.index("**Cautions**")
    assert shown.count("\n| variant") == 1


def test_markdown_tables_are_whole():
    """Every row of a table has as many cells as its head, whatever the cells hold."""
    text = rendered("markdown", example_summary())
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(found) == 8
    for table in found:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_reports_of_several_points_name_them():
    """With several points each has its heading, and its sentences say which is meant."""
    result = Result(header([lane("copy"), lane("sendfile")], ["chunk=1KiB", "chunk=2KiB"]))
    for point in (0, 1):
        result.point = point
        for number in range(3):
            result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2 + 0.001 * number)})
    summary = summarise(result.end())
    assert "### chunk=2KiB" in rendered("markdown", summary)
    assert "== chunk=2KiB" in rendered("table", summary)
    assert [line.split(":")[0] for line in answer(summary) if line.startswith("Why")] == [
        "Why sendfile saves, chunk=1KiB",
        "Why sendfile saves, chunk=2KiB",
    ]
    assert [line.split(", sendfile")[0] for line in answer(summary) if "sendfile" in line and not line.startswith("Why")] == [
        "On loopback, chunk=1KiB",
        "On loopback, chunk=2KiB",
    ]


# Figures.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0213, "0.0213"),
        (0.5, "0.500"),
        (3.42, "3.42"),
        (34.25, "34.2"),
        (342.5, "342"),
        (7629.4, "7629"),
        (-3.42, "-3.42"),
        (0.000123456, "0.000123"),
        (123456789, "123456789"),
    ],
)
def test_significant(value, text):
    """Three significant digits, more where they stand before the point, and never an exponent."""
    assert significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (34.4, "34"),
        (9.95, "10"),
        (9.94, "9.9"),
        (3.44, "3.4"),
        (0.04, "0.0"),
        (-0.04, "0.0"),
        (-0.2, "-0.2"),
        (-34.4, "-34"),
        (117.6, "118"),
        (-99.6, "-99.6"),
        (99.97, "99.97"),
        (100.0, "100"),
    ],
)
def test_percent(value, text):
    """Tenths only below ten, no minus before nothing, and 100 % only where nothing is left."""
    assert percent(value) == text


def figure(estimate, low=None, high=None):
    return {"estimate": estimate, "low": low, "high": high}


@pytest.mark.parametrize(
    ("given", "error", "saving", "change"),
    [
        (figure(34.0, 31.0, 37.0), "34.0 ±9%", "34 % (31..37)", "-34 % (-37..-31)"),
        (figure(-103.0, -137.0, -78.0), "-", "-103 % (-137..-78)", "+103 % (78..137)"),
        (figure(0.5, -0.5, 1.5), "0.500 ±200%", "0.5 % (-0.5..1.5)", "-0.5 % (-1.5..0.5)"),
        (figure(0.001, -1.0, 1.0), "0.00100 ±>1000%", "0.0 % (-1.0..1.0)", "0.0 % (-1.0..1.0)"),
        (figure(0.0, 0.0, 0.0), "0", "0.0 % (0.0..0.0)", "0.0 % (0.0..0.0)"),
        (figure(None), "-", "-", "-"),
    ],
)
def test_figures(given, error, saving, change):
    """A figure has its half-width, a saving its interval, a gain its sign; where there is none, or a figure below 0, there is a dash."""
    assert (with_error(given), saving_text(given), change_text(given)) == (error, saving, change)


# Words.

WHAT = "of both ends' CPU per GB against copy"


def compared(verdict, saving=(34.0, 31.0, 37.0), reason=None, **more):
    return {"variant": "sendfile", "baseline": "copy", "verdict": verdict, "reason": reason, "saving_percent": figure(*saving), **more}


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (compared("saves"), f"sendfile saves 34 % (31..37) {WHAT}"),
        (compared("costs", (-12.0, -15.0, -9.0)), f"sendfile costs 12 % (9.0..15) more {WHAT}"),
        (compared("no difference", (1.0, -0.5, 2.5)), f"sendfile makes no difference: it saves 1.0 % (-0.5..2.5) {WHAT}"),
        (
            compared("inconclusive", (4.0, -2.0, 10.0), "the interval straddles the margin of 3 %"),
            f"inconclusive: sendfile may save or cost CPU, 4.0 % (-2.0..10) {WHAT}; the interval straddles the margin of 3 %",
        ),
        (compared(None, (None,), "no window was measured"), "sendfile cannot be compared with copy: no window was measured."),
    ],
)
def test_sentence(comparison, words):
    """Each verdict has its sentence, and it says no more than the interval does."""
    assert sentence(comparison, "both ends'") == words


def spoken(change=lambda summary: None):
    """Return the answer of the golden summary, changed."""
    summary = copy.deepcopy(golden_summary())
    change(summary)
    return answer(summary)


def headline(summary, variant, key="comparisons"):
    return next(c for c in summary["points"][0][key] if c["variant"] == variant and c["headline"])


def test_the_answer():
    """The first lines answer the question: who saves what, at which throughput, against the copy at its best, and how sure it is."""
    assert spoken() == [
        "On loopback, sendfile saves 30 % (29..31) of both ends' CPU per GB against copy; the sender alone saves 50 % (48..52); "
        "goodput +25 % (21..29).",
        "slurp_send was skipped: not | here.",
        "Against copy at its best chunk (64KiB), of both ends' CPU per GB: sendfile saves 18 % (15..20); "
        "slurp_send cannot be compared (no window was measured).",
        "Why sendfile saves: the sender needs 50 % (48..52) less CPU: no copy of the payload instead of 2 and 4000 system calls per GB "
        "instead of 8000; the receiver needs 10 % (10..10) more CPU: probably because the sender no longer warms the cache.",
        "A/A: copy against itself differs by 0.0 % (-2.2..2.2): it agrees with itself.",
        "The smallest saving this run could have shown is 5.4 %.",
    ]


@pytest.mark.parametrize("where", ["comparisons", "comparisons_best_chunk"])
def test_what_is_inconclusive_says_why(where):
    """A sentence with an inconclusive saving gives the reason, against the baseline and against its best chunk."""

    def change(summary):
        headline(summary, "sendfile", where).update(verdict="inconclusive", reason="the A/A lane differs")

    (said,) = [line for line in spoken(change) if "inconclusive" in line]
    assert "the A/A lane differs" in said


def test_the_answer_over_veth_of_the_machine():
    """The sentence says which path was measured and whose CPU the headline is."""

    def change(summary):
        summary["headline"] = "system_cpu_s_per_gb"
        summary["points"][0]["point"]["network"] = "veth"
        summary["points"][0]["name"] = "chunk=64KiB"

    assert spoken(change)[0].startswith("Over veth, chunk=64KiB, sendfile saves 39 % (35..44) of the machine's CPU per GB against copy; ")


def test_the_answer_of_a_server_study_is_the_servers_cpu():
    """Of a server the answer is its own CPU, since the other end is zcload's receiver; both ends follow, and stay in the table."""

    def change(summary):
        for v in summary["points"][0]["variants"]:
            if v["name"] == "sendfile":
                v["mechanism"] = "server"

    assert spoken(change)[0] == (
        "On loopback, sendfile saves 50 % (48..52) of the server's CPU per GB against copy; counting the receiver too, "
        "it saves 30 % (29..31); goodput +25 % (21..29)."
    )
    summary = copy.deepcopy(golden_summary())
    change(summary)
    assert {"sender", "receiver", "both ends"} <= set(tables(summary, summary["points"][0])[0].headers)


def test_what_the_kernel_copied_is_said_first():
    """A variant whose every send was copied after all is named before anything is claimed for it."""

    summary = summarise(zero_copy({"completions": 10, "copied": 10}))
    assert answer(summary)[0] == "msg_zerocopy: the kernel copied 100 % of it after all: not a zero-copy result."


def test_what_was_never_sent_as_zero_copy_is_not_said_to_be_copied_by_the_kernel():
    """A variant whose every byte fell back to plain sends is said to have done that, with the remedy for it, and nothing else."""
    plain = {"completions": 0, "copied": 0, "fallback_sends": 10, "fallback_bytes": 200_000_000}
    summary = summarise(zero_copy(plain))
    never = "never sent as zero-copy: all of it fell back to plain sends, because no memory could be pinned for it"
    assert answer(summary)[0] == f"msg_zerocopy: {never}: not a zero-copy result."
    (caution,) = (c for c in summary["cautions"] if c["code"] == "copied")
    assert "after all" not in caution["message"]
    assert "RLIMIT_MEMLOCK" in caution["remedy"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_copied_variant_is_labelled_wherever_its_figures_appear(name):
    """In every format each row, sentence and object with figures of a variant that the kernel copied says so; others' do not."""
    records = zero_copy({"completions": 10, "copied": 10})
    text = rendered(name, summarise(records), records=records)
    if name == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {(row["variant"], row["label"]) for row in rows} == {("copy", ""), ("msg_zerocopy", NOT_ZERO_COPY)}
    elif name == "json":
        (point,) = json.loads(text)["points"]
        assert {(v["name"], v["truth"]["label"]) for v in point["variants"]} == {("copy", None), ("msg_zerocopy", NOT_ZERO_COPY)}
        assert {c["label"] for c in point["comparisons"]} == {NOT_ZERO_COPY}
    elif name == "html":
        assert NOT_ZERO_COPY in text
    elif name in ("table", "markdown"):
        lines = [" ".join(pair) for pair in pairwise(text.splitlines())]
        figures = [line for line in lines if re.match(r"[ |]*msg\\?_zerocopy\b(?!:)", line) and re.search(r"\d", line)]
        figures += [line for line in lines if line.lstrip(" -").startswith("On loopback, msg")]
        assert len(figures) > 6
        verdict = re.compile(r"\| +copied \|")  # the first table has the label's word as the verdict
        assert not [line for line in figures if NOT_ZERO_COPY not in line and not verdict.search(line)]
    else:  # the formats of other tools: tests/unit/report/formats/test_exports.py looks at each
        assert NOT_ZERO_COPY in text


@pytest.mark.parametrize("name", FORMATS)
def test_a_variant_that_was_not_copied_has_no_label(name):
    """A single completion without the copied flag takes the label away."""
    records = zero_copy({"completions": 10, "copied": 9})
    assert NOT_ZERO_COPY not in rendered(name, summarise(records), records=records)


def test_results_of_older_versions_are_labelled_too():
    """A summary that was made before there was a truth meter or a bill is rendered in every format, with its label."""
    records = zero_copy({"completions": 10, "copied": 10})
    summary = summarise(records)
    (point,) = summary["points"]
    for variant in point["variants"]:
        del variant["truth"], variant["bill"]
        for key in [key for key in variant["metrics"] if key.startswith(("receiver_m", "sender_comp", "sender_pin", "sender_re"))]:
            del variant["metrics"][key]
    for c in point["comparisons"]:
        del c["label"]
    for name in FORMATS:
        assert name == "json" or NOT_ZERO_COPY in rendered(name, summary, records=records)


def test_the_truth_meter():
    """The meter adds up what all senders of all generations reported, and leaves out what nobody has."""
    counters = {"completions": 100, "copied": 25, "enobufs": 4, "fallback_sends": 2, "fallback_bytes": 500_000, "pinned_bytes_max": 3 << 20}
    summary = summarise(zero_copy(counters))
    (table,) = [table for table in tables(summary, summary["points"][0]) if table.title.startswith("Was it")]
    assert table.headers == ["variant", "copied share", "completions", "copied", "ENOBUFS", "sent plain", "bytes sent plain", "most pinned"]
    assert table.rows == [["msg_zerocopy", "25 %", "600", "150", "24", "12", "3 MB", "3 MiB"]]


def test_the_bill_of_costs():
    """The bill shows calls by kind, completions and pinned pages per GB, and copies as documented beside what was observed."""
    summary = summarise(zero_copy({"completions": 1000, "copied": 500, "fallback_bytes": 50_000_000, "fallback_sends": 1}, total_retrans=4))
    found = {table.title: table for table in tables(summary, summary["points"][0])}
    (costs,) = [table for title, table in found.items() if title.startswith("Costs per GB: system calls, ")]
    row = dict(zip(costs.headers, costs.rows[1], strict=True))
    assert (row["completions"], row["retransmits"]) == ("5000 ±0%", "20.0 ±0%")
    assert row["pages pinned"] == "183105 ±0%"  # 150 of 200 MB, in pages of 4 KiB
    assert row["sender calls"] == "4000 ±0%"
    assert found["System calls per GB, by kind"].rows == [
        ["copy", "send 4000", "recv 5000"],
        ["msg_zerocopy", "send 4000", "recv 5000"],
    ]
    copies = found["Copies of the payload by the CPU (observed only where the kernel told of them)"]
    assert copies.headers == ["variant", "sender, documented", "observed", "receiver, documented", "sender, to a network card"]
    assert copies.rows == [
        ["copy", "2", "not observable", "1", "2"],
        ["msg_zerocopy", "1 (late)", "0.625 (copied flag of 6000 completions)", "1", "0"],
    ]


def test_a_baseline_that_differs_from_itself_is_shouted():
    """An A/A interval that misses 1 is said in capitals."""

    def change(summary):
        headline(summary, "copy#2")["ratio"].update(estimate=1.05, low=1.02, high=1.08)

    assert spoken(change)[-2].endswith(": it does NOT agree with itself.")


def test_a_best_chunk_that_is_the_studys_own():
    """Where the baseline's chunk is the best, the savings are said to be against the copy at its best."""

    def change(summary):
        point = summary["points"][0]
        point["best_chunk"]["chunk_bytes"] = PLACE["chunk_bytes"]
        point["comparisons_best_chunk"] = point["comparisons"]

    assert spoken(change)[2] == "256KiB is the best chunk of copy here: the savings above are against the copy at its best."


def test_an_open_comparison_with_the_best_chunk():
    """A verdict that is neither saving nor cost stands beside the figure in brackets."""

    def change(summary):
        headline(summary, "sendfile", "comparisons_best_chunk").update(verdict="no difference", saving_percent=figure(1.0, -1.0, 2.0))

    assert "sendfile saves 1.0 % (-1.0..2.0) (no difference); " in spoken(change)[2]


def test_nothing_was_measured():
    """A result without a generation has no answer, and says so instead."""
    assert answer(summarise([header([lane("copy")])])) == ["Nothing was measured: there is no answer in this result."]


def test_lanes_with_another_role_make_no_sentence():
    """The A/A lane, the best-chunk lane and one that moves nothing are not spoken of as contenders."""
    lines = answer(example_summary())
    assert not [line for line in lines if line.startswith("On loopback, ") and re.search(r"copy#2|copy@64KiB (saves|costs)|null", line)]


# Tables.


def test_tables_leave_out_what_is_empty():
    """A point without best chunk and long windows has no tables of them, and a skipped variant is in the last table alone."""
    result = Result(header([lane("copy"), lane("sendfile"), lane("splice")]))
    result.event("skipped", variant="splice", reason="not here")
    for number in range(3):
        result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2 + 0.01 * number)})
    summary = summarise(result.end())
    found = tables(summary, summary["points"][0])
    assert [table.title.split(" ")[0] for table in found] == ["CPU", "Savings", "Costs", "Variants"]
    assert ["splice" in [row[0] for row in table.rows] for table in found] == [False, False, False, True]


def test_table_of_long_windows():
    """The ratios of short and long windows stand side by side, and say whether they agree."""
    result = Result(header([lane("copy"), lane("sendfile")])).calibrated()
    for number in range(8):
        luck = 1 + 0.01 * (number % 3)
        purpose = "measure" if number < 4 else "check"
        result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2 * luck, 0.2 * luck)}, purpose=purpose)
    summary = summarise(result.end())
    table = tables(summary, summary["points"][0])[-1]
    assert isinstance(table, Table)
    assert table.title == "Ratios of short windows and of windows of 2 s"
    assert {row[-1] for row in table.rows} == {"agree"}
    assert all(re.fullmatch(r"0\.\d{3} \(0\.\d{3}\.\.0\.\d{3}\)|-", cell) for row in table.rows for cell in row[2:4])


def test_the_table_fits_a_terminal_where_it_is_prose():
    """Sentences are wrapped at 100 columns; only tables may be wider."""
    lines = rendered("table", golden_summary()).splitlines()
    prose = [line for line in lines if not re.search(r"---|  .*\S {2,}\S", line)]
    assert len(prose) > 20
    assert max(map(len, prose)) <= 100


def test_cautions_with_one_remedy_are_one():
    """What several variants or points are cautioned of is told once, with every message and the remedy they share."""
    summary = golden_summary()
    summary["cautions"] = [
        {"code": "retransmits", "message": "one: lost", "remedy": "larger buffers"},
        {"code": "partial", "message": "ended", "remedy": ""},
        {"code": "retransmits", "message": "two: lost", "remedy": "larger buffers"},
    ]
    for name in ("table", "markdown"):
        text = renderer(name)([reader.Result(summary, None, ())])
        assert text.count("larger buffers") == 1
        assert "one: lost; two: lost" in text


@pytest.mark.parametrize(
    ("least", "told"),
    [
        (99.0, "The smallest saving this run could have shown is 99 %."),
        (136.0, "This run could have shown no saving at all: its intervals are too wide."),
    ],
)
def test_nobody_saves_more_than_all(least, told):
    """Where the intervals are so wide that a saving would have to exceed 100 %, the answer says that none could have been shown."""
    summary = golden_summary()
    summary["points"][0]["smallest_saving_percent"] = least
    assert told in answer(summary)
