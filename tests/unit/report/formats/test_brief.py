"""The short report: at most one screen, nothing cut in mid-word, the answer last."""

from __future__ import annotations

import copy
import re
from functools import cache, partial

import pytest
from support.fake_results import Cost, Result, header, lane

from zcload.analysis.summary import summarise
from zcload.report.formats import brief, terminal
from zcload.report.tables.table import Table
from zcload.report.text.headline import answer_last
from zcload.store.reader import Result as Stored


def study(points=1, variants=("mmap_send", "sendfile", "splice"), *, generations=6, aa=True, names=None):
    """Return the summary of a study of so many points; variant i saves a little more than the one before."""
    lanes = [lane("read_send", "read_send"), *([lane("read_send#2", "read_send", aa=True)] if aa else []), *(lane(v) for v in variants)]
    head = header(lanes, [names(i) if names else "" for i in range(points)], baseline="read_send")
    result = Result(head)
    for point in range(points):
        result.point = point
        result.verified("read_send", *variants).calibrated()
        for number in range(generations):
            costs = {"read_send": Cost(0.4)} | ({"read_send#2": Cost(0.4)} if aa else {})
            costs |= {v: Cost(0.4 / (1.2 + i) + 0.001 * number) for i, v in enumerate(variants)}
            result.generation(number, costs)
    return summarise(result.end())


def rendered(summary, width=80):
    return brief.render([Stored(summary)], width)


MAKERS = {
    "one point": study,
    "no contender": partial(study, variants=()),
    "many variants": partial(study, variants=tuple(f"variant-{i}" for i in range(14))),
    "long names": partial(study, variants=("n" * 64, "m" * 64)),
    "a sweep": partial(study, 7, names=lambda i: f"rate={i} Gbit/s"),
    "a hundred points": partial(study, 100, names=lambda i: f"chunk={i + 1}KiB, senders={i}", generations=2, aa=False),
    "one generation": partial(study, generations=1),
    "nothing measured": partial(study, generations=0),
}


@cache
def named(name):
    """Return the summary of the study of MAKERS with this *name*, made by the first test that asks for it."""
    return MAKERS[name]()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("name", MAKERS)
def test_it_fits_the_terminal(name, width):
    """No line is wider than the terminal, unless a single name is, and from 80 columns on it has at most 40 lines."""
    text = rendered(named(name), width)
    longest = max((len(word) for word in text.split()), default=0)
    assert max(map(len, text.splitlines())) <= max(width, longest + 32)
    if width >= 80:
        assert len(text.splitlines()) <= 40


@pytest.mark.parametrize("name", MAKERS)
def test_no_word_is_cut(name):
    """What is written in a narrow terminal is made of the words that a wide one shows."""
    wide = set(rendered(named(name), 120).split()) | {"..."}
    cells = {word for word in rendered(named(name), 60).split() if word[0] not in "-#=!."}
    assert {word for word in cells if word.isalpha()} <= wide | {"more", "cautions:"}


def test_the_answer_is_last():
    """The last line says what the question asks: what each variant saves against the baseline, with its interval."""
    last = rendered(study(), 200).split("\nmmap_send saves ")[-1].replace("\n ", "").rstrip()
    assert last.startswith("11 % (")
    assert "sendfile 36 % (" in last
    assert last.endswith("of both ends' CPU per GB against read_send.")


def test_a_sweep_has_a_row_a_point():
    """A sweep is a table of its points by contender, and the answer is of its first and last point."""
    text = rendered(named("a sweep"))
    assert all(f"rate={i} Gbit/s" in text for i in range(7))
    assert "At rate=0 Gbit/s, mmap_send saves" in text
    assert "At rate=6 Gbit/s, mmap_send saves" in text


def test_many_points_say_how_many_are_not_shown():
    """Where a sweep has more points than a screen has room for, the table says how many and which option shows them."""
    assert "... 87 more points: --full" in rendered(named("a hundred points"))


def test_servers_are_asked_about_their_own_cpu():
    """In a study of a server the answer is the server's CPU: the other end is zcload's receiver."""
    summary = copy.deepcopy(study())
    for v in summary["points"][0]["variants"]:
        v["mechanism"] = "server" if v["name"] == "sendfile" else v["mechanism"]
    text = rendered(summary, 200)
    assert "of the server's CPU per GB against read_send." in text.replace("\n ", "")
    assert "server s/GB" in text
    assert "server cores" in text


def test_the_pair_that_is_asked_for_comes_first():
    """In a study of servers the table and the answer begin with the servers; bare mechanisms have a sentence of their own after them."""
    for summary in (copy.deepcopy(study()), copy.deepcopy(study(2, names=lambda i: f"rate={i}"))):
        for point in summary["points"]:
            for v in point["variants"]:
                v["mechanism"] = "server" if v["name"] in ("read_send", "splice") else v["mechanism"]
        table = rendered(summary, 120).split("\n\n")[1]
        assert table.index("splice") < table.index("mmap_send")
        asked, bare = answer_last(summary)[:2]
        assert re.search(r"splice saves \S+ % \(\S+\) of the server's CPU per GB against read_send\.$", asked)
        assert "mmap_send" not in asked
        assert re.search(r"[Ww]ithout a server, mmap_send saves \S+ % \(\S+\) and sendfile \S+ % \(\S+\) of the sender's CPU", bare)


def test_what_is_inconclusive_stands_with_its_own_reason():
    """Contenders that are inconclusive for different reasons have a sentence each: a reason is that of what stands before it."""
    summary = copy.deepcopy(study())
    reasons = {"mmap_send": "too wide", "sendfile": "other work ran", "splice": "too wide"}
    for c in summary["points"][0]["comparisons"]:
        if c["variant"] in reasons:
            c["verdict"], c["reason"] = "inconclusive", reasons[c["variant"]]
    told = " ".join(rendered(summary, 200).split()).split("Inconclusive: ")[1:]
    assert [("mmap_send" in line, "sendfile" in line, line.rstrip(". ").rpartition("; ")[2]) for line in told] == [
        (True, False, "too wide"),
        (False, True, "other work ran"),
    ]


def test_a_narrow_sweep_drops_intervals_and_no_contender():
    """Where a contender's column does not fit, the table leaves out the intervals, and says of every contender what it saves."""
    variants = ("mmap_send", "sendfile", "splice", "msg_zerocopy")
    summary = study(3, variants, names=lambda i: f"transfer_size={i + 1}KiB", aa=False)
    narrow, wide = (rendered(summary, width).split("\n\n")[1] for width in (76, 120))
    assert all(name in text for name in variants for text in (narrow, wide))
    assert ".." in wide
    assert ".." not in narrow
    assert "saving by transfer_size" in narrow


def test_a_sweep_without_rates_has_a_chart_of_savings():
    """Along chunks or sizes each point is a line of the plot, with every contender's letter, or one contender's interval."""
    several = rendered(study(4, ("sendfile", "splice"), names=lambda i: f"chunk={i + 1}KiB")).split("% of both ends' CPU saved")[1]
    assert several.startswith(" (right of | is cheaper): a sendfile, b splice\n")
    rows = several.split("\n\n")[0].splitlines()[1:]
    assert len(rows) == 4 + 1
    assert all(row.index("|") < row.index("a") < row.index("b") for row in (row.partition("KiB")[2] for row in rows[:4]))
    alone = rendered(study(4, ("sendfile",), names=lambda i: f"chunk={i + 1}KiB")).split("% of both ends' CPU saved")[1]
    assert "a sendfile with its 95 % interval" in " ".join(alone.split())
    assert "-a" in alone or "a-" in alone


def test_what_is_marked_as_inconclusive_is_explained():
    """Below a table of a sweep that has question marks stands what they mean; below another it does not."""
    summary = copy.deepcopy(study(2, names=lambda i: f"chunk={i + 1}KiB"))
    assert "? inconclusive" not in rendered(summary)
    for c in summary["points"][1]["comparisons"]:
        c["verdict"] = "inconclusive"
    assert "?\n? inconclusive\n" in rendered(summary)


def test_small_files_are_told_per_file():
    """Of small files the title has their number of points and connections, not the chunk, and the answer speaks of CPU per file."""
    summary = copy.deepcopy(study(2, names=lambda i: f"transfer_size={i + 1}KiB"))
    for number, point in enumerate(summary["points"], 1):
        facts = {"transfer": "per-file", "transfer_size": f"{number}KiB", "transfer_bytes": 1024.0 * number, "connection": "persistent"}
        point["point"] = {**point["point"], **facts}
    text = rendered(summary, 200)
    assert text.splitlines()[0] == "example: 2 points, loopback, 1 sender, persistent connections"
    assert "of both ends' CPU per file against read_send." in " ".join(text.split())
    assert "per GB" not in text.split("More: ")[-1]


def test_at_a_rate_the_answer_says_how_many_cores():
    """Where a rate is asked for, the answer has the cores that each variant needs for it, and who cannot keep up with it."""
    summary = copy.deepcopy(study(2, names=lambda i: f"rate={i + 1}Gbit/s"))
    for number, point in enumerate(summary["points"], 1):
        point["point"] = {**point["point"], "rate_bps": number * 1e9}
        for v in point["variants"]:
            reached = v["name"] != "splice" or number == 1
            achieved = {"estimate": number * 1e9 if reached else 1.5e9, "low": 1.4e9, "high": 1.6e9}
            v["rate"] = {"achieved_bps": achieved, "reached": reached, "lateness": {}, "sleeps_per_gb": None}
    text = " ".join(rendered(summary, 200).split())
    assert "At 2 Gbit/s: read_send needs " in text
    assert "At 1 Gbit/s: " not in text, "the highest rate that the baseline keeps up with is told"
    assert " cores of both ends, mmap_send " in text
    assert "2 Gbit/s is too much: splice reaches 1.5 Gbit/s." in text
    assert "1 Gbit/s is too much" not in text


def test_a_sentence_goes_on_in_small_letters():
    """After "At POINT," what is inconclusive begins with a small letter."""
    summary = copy.deepcopy(study(2, names=lambda i: f"chunk={i + 1}KiB"))
    for c in summary["points"][0]["comparisons"]:
        c["verdict"], c["reason"] = "inconclusive", "the interval straddles the margin of 3 %"
    text = " ".join(rendered(summary, 200).split())
    assert "At chunk=1KiB, inconclusive: savings of both ends' CPU per GB against read_send: mmap_send 11 % (" in text


def test_intervals_that_show_nothing_are_said_to_be_too_wide():
    """A smallest saving beyond 100 % is none: the line says that the intervals are too wide."""
    summary = copy.deepcopy(study())
    summary["points"][0]["smallest_saving_percent"] = 412.0
    assert "Some of them are too wide to show any saving." in rendered(summary, 200)
    assert "412" not in rendered(summary, 200)


@pytest.mark.parametrize("width", [60, 72, 80, 91])
def test_a_figure_stays_with_its_unit(width):
    """No line ends between a number and its per cent sign or interval."""
    assert not [line for line in rendered(study(), width).splitlines() if re.search(r"[\d.]+( %)?$", line) and "saves" in line]


def test_the_chart_replaces_a_column():
    """In a narrow terminal the table leaves out the CPU per GB, which the bars below it show, before the cores."""
    text = rendered(study(variants=("a" * 24,)), 80)
    assert "CPU cores" in text
    assert "CPU s/GB" not in text
    assert "CPU seconds per GB of both ends" in text


def test_the_title_has_what_all_points_share():
    """What differs between the points is not in the title: it would be that of the first point alone."""
    summary = copy.deepcopy(study(2, names=lambda i: f"chunk={i + 1}KiB"))
    for number, point in enumerate(summary["points"], 1):
        point["point"] = {**point["point"], "chunk_bytes": 1024 * number}
    assert rendered(summary).splitlines()[0] == "example: 2 points, loopback, 1 sender, file 256 MiB (warm)"


def test_cautions_make_room_for_the_chart():
    """Where a chart and six cautions do not fit on a screen there are fewer cautions, and the chart stays."""
    summary = copy.deepcopy(study(9, names=lambda i: f"rate={i} Gbit/s"))
    for number, point in enumerate(summary["points"]):
        point["point"] = {**point["point"], "rate_bps": number * 1e9}
    summary["cautions"] = [{"code": f"code_{i}", "message": "something was seen", "remedy": None} for i in range(6)]
    text = rendered(summary)
    assert "goodput (Gbit/s)" in text
    assert "more cautions: --section cautions" in text
    assert len(text.splitlines()) <= 40


def test_a_caution_has_one_line_a_code():
    """Cautions of one code are one line, with how many there are, even where their remedies differ."""
    summary = copy.deepcopy(study())
    summary["cautions"] = [{"code": "machine_ledger", "message": f"variant {i}", "remedy": f"remedy {i}"} for i in range(3)]
    assert rendered(summary).count("! machine_ledger") == 1
    assert "\n! machine_ledger (3): variant 0\n" in rendered(summary)


@pytest.mark.parametrize(("replicates", "said"), [(8, "another run on this machine, today (8 replicates)"), (None, "this process alone")])
def test_it_says_what_the_intervals_cover(replicates, said):
    """The line before the answer says whether the intervals hold for another run."""
    summary = copy.deepcopy(study())
    summary["points"][0]["replicates"] = replicates
    assert said in rendered(summary, 200)


@pytest.mark.parametrize(
    ("pages", "share", "told"),
    [("small", 0.0, True), (None, 0.0, True), ("small", 0.9, False), ("small", None, False), ("huge", 0.0, False)],
)
def test_it_says_what_makes_runs_differ_over_hours(pages, share, told):
    """A file in pages as the kernel gives them is named as what the intervals cannot cover, with the key that takes it out."""
    summary = copy.deepcopy(study())
    summary["points"][0] |= {"replicates": 8, "file_huge_share": share}
    if pages:
        summary["points"][0]["point"] = {**summary["points"][0]["point"], "file_pages": pages}
    assert ("file_pages = 'auto'" in rendered(summary, 200)) is told


def test_variants_that_failed_or_were_skipped_are_in_the_answer():
    """A variant without figures is in the answer with its reason."""
    summary = copy.deepcopy(study())
    (gone,) = [v for v in summary["points"][0]["variants"] if v["name"] == "splice"]
    gone["status"], gone["reason"] = "skipped", "no pipes here"
    for c in summary["points"][0]["comparisons"]:
        if c["variant"] == "splice":
            c["verdict"], c["saving_percent"] = None, {"estimate": None, "low": None, "high": None}
    assert "splice was skipped: no pipes here." in rendered(summary, 200)


def servers(points=1, **reasons):
    """Return a study of a server, splice, against another, read_send; each of *reasons* makes what it names inconclusive."""
    summary = copy.deepcopy(study(points, names=lambda i: f"rate={i}" if points > 1 else ""))
    for point in summary["points"]:
        for v in point["variants"]:
            v["mechanism"] = "server" if v["name"] in ("read_send", "splice") else v["mechanism"]
        for c in point["comparisons"]:
            if c["variant"] in reasons:
                c["verdict"], c["reason"] = "inconclusive", reasons[c["variant"]]
    return summary


def test_what_is_open_of_bare_mechanisms_is_left_to_the_table():
    """The answer of a study of servers has no sentence about a bare mechanism that is inconclusive; its table marks it."""
    told = answer_last(servers(mmap_send="too wide", sendfile="other work ran"))
    assert [line for line in told if line.startswith("splice saves ")]
    assert not [line for line in told if "nconclusive" in line]
    assert rendered(servers(mmap_send="too wide"), 120).count("inconclusive") == 1


def test_a_reason_is_told_once():
    """Where one sentence after another is inconclusive for one reason, only the first has it."""
    told = answer_last(servers(2, splice="other work ran while it was measured", mmap_send="too wide", sendfile="too wide"))
    assert [line.endswith("; other work ran while it was measured.") for line in told] == [True, False]
    assert told[1].startswith("At rate=1, inconclusive for the same reason: saving of the server's CPU")


@pytest.mark.parametrize(
    ("least", "replicates", "said"), [(None, 1, "8 replicates"), (5.0, 1, "this process alone"), (5.0, 6, "6 replicates")]
)
def test_intervals_cover_what_the_points_that_have_them_show(least, replicates, said):
    """A point without an interval says nothing of what intervals cover; one of a single replicate covers no other run."""
    summary = copy.deepcopy(study(2, names=lambda i: f"chunk={i + 1}KiB"))
    summary["points"][0] |= {"replicates": 8}
    summary["points"][1] |= {"replicates": replicates, "smallest_saving_percent": least}
    assert said in rendered(summary, 200)


def test_a_rate_that_the_baseline_misses_is_told_so():
    """Cores that only others need at a rate are told with the fact that the baseline was not shown to reach it."""
    summary = copy.deepcopy(study(2, names=lambda i: f"rate={i + 1}Gbit/s"))
    for point in summary["points"]:
        point["point"] = {**point["point"], "rate_bps": 2e9}
        for v in point["variants"]:
            reached = v["name"] == "splice"
            achieved = {"estimate": 2e9 if reached else 1.5e9, "low": 1.4e9, "high": 2.1e9}
            v["rate"] = {"achieved_bps": achieved, "reached": True if reached else None, "lateness": {}, "sleeps_per_gb": None}
    text = " ".join(rendered(summary, 200).split())
    assert "At 2 Gbit/s, which read_send was not shown to reach: splice needs " in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_full_report_fits_the_terminal(width):
    """In a terminal wide tables of the full report stand in several parts, each with its first column, and no column is lost."""
    stored = Stored(study())
    wide, fitted = terminal.render([stored]), terminal.render([stored], width)
    drawing = fitted.index("goodput (Gbit/s)") if "goodput (Gbit/s)" in fitted else None
    assert max(map(len, wide.splitlines())) > 120 >= max(map(len, fitted.splitlines()))
    assert max(map(len, fitted[:drawing].splitlines())) <= width
    assert set(re.findall(r"[a-z_]{5,}", wide)) <= set(re.findall(r"[a-z_]{5,}", fitted))


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_a_table_is_whole_in_any_width(columns):
    """Of a table that is wider than the terminal every column is drawn, even where one alone is too wide, or there is only one."""
    heads = [f"{'column' * 4}{number}" for number in range(columns)]
    drawn = brief.beside(Table("", heads, [heads]), 10)
    assert {word for part in drawn for word in part.split() if word.startswith("column")} == set(heads)
