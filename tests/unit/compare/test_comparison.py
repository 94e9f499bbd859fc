"""Comparing results: changes agree with values computed elsewhere, what differs is refused or told, and every format is held."""

from __future__ import annotations

import json
import re

import pytest
from support.fake_runs import HEADLINE, point, run
from support.paths import FIRST_RELEASE, GOLDEN

from zcload.compare import gates
from zcload.compare.change import Figure, change, figure
from zcload.compare.comparison import FEW, compare
from zcload.compare.differences import setting_of
from zcload.compare.render import FORMATS, MORE
from zcload.compare.tables import shown
from zcload.errors import ConfigError
from zcload.store.reader import Result

FIRST = FIRST_RELEASE
SENDER, GOODPUT = "sender_cpu_s_per_gb", "goodput_bps"


def one(ratio, **more):
    """Return a result with one ratio of sendfile's headline metric."""
    return run(point({("sendfile", HEADLINE): ratio}, **more))


def only_row(found):
    (row,) = found.rows if len(found.rows) == 1 else [row for row in found.rows if row.relative]
    return row


def problems(call, *arguments, **named):
    """Return the problems that a call is refused with."""
    with pytest.raises(ConfigError) as caught:
        call(*arguments, **named)
    return caught.value.problems


def test_three_results_a_side_assume_nothing_for_a_metric_that_few_have():
    """With three results a side the headline's spread is seen; a metric that one result lacks is named as having an assumed one."""
    full, less = {("sendfile", HEADLINE): 0.5, ("sendfile", SENDER): 0.4}, {("sendfile", HEADLINE): 0.51}
    base, new = [run(point(full)), run(point(full)), run(point(less))], [run(point(full)) for _ in range(3)]
    found = compare(base, new)
    assert found.as_dict()["run_spread_percent"] is None
    notes = " ".join(shown(found, []).notes)
    assert "the spread between the results of each side" in notes
    assert "fewer than 3 results of a side have sender CPU" in notes


# The change. Expected values: scipy 1.17, stats.ttest_ind(equal_var=False) on logs and stats.t.


def test_where_nothing_was_compared_no_method_is_named():
    """Results without a ratio, one a side, are not said to have been compared by a method that needs several."""
    base, new = run(point({("sendfile", HEADLINE): 0.5})), run(point({("sendfile", HEADLINE): 0.5}))
    for comparison in new.summary["points"][0]["comparisons"]:
        comparison["ratio"] = dict.fromkeys(comparison["ratio"])
    notes = " ".join(shown(compare([base], [new]), []).notes)
    assert "Welch" not in notes
    assert "there was nothing to compare" in notes


def test_one_result_a_side():
    """With one result a side the interval holds both errors and the assumed spread, with Satterthwaite's degrees of freedom."""
    found = change(
        [figure({"estimate": 0.478, "low": 0.45, "high": 0.51}, 12)], [figure({"estimate": 0.53, "low": 0.50, "high": 0.56}, 9)], 0.025
    )
    assert found.freedom == pytest.approx(67.50678908122282)
    interval = found.interval()
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((1.1087866108786613, 1.0002921193512753, 1.2290487195491473))
    assert found.p(1.05) == pytest.approx(0.29482523294543234)
    assert not found.spread_seen


def test_three_results_a_side():
    """With three results a side or more it is Welch's t on logs: what each says of its own error does not count."""
    base = [Figure(estimate, 9.0, 5) for estimate in (0.55, 0.57, 0.54, 0.60)]
    new = [Figure(estimate, 0.0, 5) for estimate in (0.62, 0.60, 0.66)]
    found = change(base, new, 0.5)
    interval = found.interval()
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((1.1091747802677048, 1.0057526178417244, 1.2232319074863387))
    assert (found.freedom, found.p(1.0), found.p(1.05)) == pytest.approx((4.333351050272485, 0.04216069444536249, 0.20038574120289943))
    assert found.spread_seen


@pytest.mark.parametrize(("few", "many"), [(1, 5), (2, 2), (2, 9)])
def test_fewer_than_three_on_a_side(few, many):
    """Where one side has fewer than three results the spread is assumed on both, and more results make it count less."""
    side = Figure(0.5, 0.01, 11)
    narrow, wide = change([side] * few, [side] * many, 0.025), change([side], [side], 0.025)
    assert not narrow.spread_seen
    assert narrow.error < wide.error
    assert narrow.error**2 == pytest.approx((0.01**2 + 0.025**2) * (1 / few + 1 / many))


def test_results_without_spread():
    """Runs that agree to the last digit give an interval of no width, and no division by zero."""
    found = change([Figure(0.5, 0.0, 5)] * 3, [Figure(0.55, 0.0, 5)] * 3)
    assert found.interval().low == found.interval().high == pytest.approx(1.1)
    assert found.p(1.0) == 0.0


@pytest.mark.parametrize("stored", [(None, None, None), (0.0, 0.0, 0.0), (0.5, 0.0, 1.0), (-0.1, -0.2, 0.3), (0.5, 0.4, float("inf"))])
def test_figures_without_logs(stored):
    """A figure that is missing, or whose interval reaches zero, has no interval in logs and takes no part."""
    assert figure(dict(zip(("estimate", "low", "high"), stored, strict=True)), 12) is None
    assert figure({"estimate": 0.5, "low": 0.4, "high": 0.6}, 1) is None


# Rows and verdicts.


@pytest.mark.parametrize(
    ("new", "verdict"),
    [(0.62, "costs"), (0.36, "saves"), (0.5, "inconclusive"), (0.53, "inconclusive")],
    ids=["more", "less", "same", "near"],
)
def test_verdicts_of_ratios(new, verdict):
    """A ratio to the own baseline is judged by its interval and the margin, with one result a side too."""
    found = compare([one(0.5)], [one(new)])
    row = only_row(found)
    assert (row.base, row.new, row.verdict) == (0.5, new, verdict)
    assert row.ratio.estimate == pytest.approx(new / 0.5)
    assert found.run_spread == 0.025


def test_no_difference():
    """With runs that spread little, ratios that agree are said not to differ by more than the margin."""
    found = compare([one(r) for r in (0.5, 0.501, 0.499)], [one(r) for r in (0.5, 0.5, 0.501)])
    assert (only_row(found).verdict, found.run_spread) == ("no difference", None)
    (told,) = shown(found, []).answer
    assert re.search(r" did not change by more than the margin of 3 %: [-+]?[\d.]+ % \(", told), told


def test_more_goodput_is_a_gain():
    """A metric of which more is better gains and loses; one without a better direction has no verdict."""
    before = run(point({("sendfile", GOODPUT): 2.0, ("sendfile", "sender_syscalls_per_gb"): 1.0}))
    after = run(point({("sendfile", GOODPUT): 3.0, ("sendfile", "sender_syscalls_per_gb"): 9.0}))
    verdicts = {row.metric: row.verdict for row in compare([before], [after]).rows if row.relative}
    assert verdicts == {GOODPUT: "gains", "sender_syscalls_per_gb": None}
    assert only_row(compare([run(point({("sendfile", GOODPUT): 3.0}))], [run(point({("sendfile", GOODPUT): 2.0}))])).verdict == "loses"


def test_absolute_figures_need_three_results():
    """A figure itself gets no verdict from one or two results a side, however far it lies, and one from three."""
    sides = [[run(point({}, {("copy", SENDER): level * luck})) for luck in (1.0, 1.01, 0.99)] for level in (0.3, 0.5)]
    for few in (1, 2):
        (row,) = [r for r in compare(sides[0][:few], sides[1]).rows if r.metric == SENDER]
        assert (row.verdict, row.change, row.reason) == (None, None, FEW)
    (row,) = [r for r in compare(*sides).rows if r.metric == SENDER]
    assert (row.relative, row.verdict, row.ratio.estimate) == (False, "costs", pytest.approx(0.5 / 0.3))


def test_headline_verdicts_keep_one_error_rate():
    """Of many points a single one that is barely decided is taken back: its verdict does not hold for all together."""
    narrow = {"generations": 30}
    before = [point({("sendfile", HEADLINE): (0.5, 0.495, 0.505)}, name=f"p{i}", chunk_bytes=i, **narrow) for i in range(20)]
    after = [point({("sendfile", HEADLINE): (0.5, 0.495, 0.505)}, name=f"p{i}", chunk_bytes=i, **narrow) for i in range(20)]
    after[0] = point({("sendfile", HEADLINE): (0.558, 0.553, 0.563)}, name="p0", chunk_bytes=0, **narrow)
    (alone,) = compare([run(before[0])], [run(after[0])]).rows[:1]
    among = compare([run(*before)], [run(*after)]).rows[0]
    assert (alone.verdict, among.verdict) == ("costs", "inconclusive")
    assert "(Holm)" in among.reason


def test_the_same_run_twice():
    """One run given twice would pass off its own figure as agreement between runs."""
    same = one(0.5)
    (problem,) = problems(compare, [same, one(0.5), same], [one(0.5)])
    assert problem.what == "study and study are the same run"


# What differs.


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cpu_model", "Xeon"),
        ("architecture", "aarch64"),
        ("cpus_allowed", [0, 1, 2]),
        ("irq_time_accounting", "yes"),
        ("virtualisation", "kvm"),
    ],
)
def test_other_hosts_are_refused(key, value):
    """Results of hosts that differ in what makes the costs are refused, with the option that compares them all the same."""
    base, new = run(point({("sendfile", HEADLINE): 0.5}), environment={"virtualisation": "none"}), run(point({("sendfile", HEADLINE): 0.6}))
    new.summary["environment"].update({"virtualisation": "none", key: value})
    (problem,) = problems(compare, [base], [new])
    assert problem.key == key
    assert problem.remedy.endswith(f"if that is the question: --allow {key}")
    (told,) = compare([base], [new], allowed=[key]).differences
    assert (told.key, bool(told.why)) == (key, True)


def test_all_refusals_at_once():
    """Everything that would have to be allowed is named at once."""
    new = run(point({("sendfile", HEADLINE): 0.6}), environment={"cpu_model": "Xeon", "architecture": "arm"}, schedule="together")
    assert {problem.key for problem in problems(compare, [one(0.5)], [new])} == {"cpu_model", "architecture", "schedule"}


def test_other_kernels_are_told():
    """Another kernel, another zcload and other cautions are what people compare: told, not refused; which CPUs they were is not."""
    new = run(
        point({("sendfile", HEADLINE): 0.6}),
        environment={"kernel_release": "6.18", "cpus_allowed": [2, 3], "host_name": "b"},
        cautions=[{"code": "steal", "message": "", "remedy": ""}],
        complete=False,
    )
    assert {(d.key, d.base, d.new) for d in compare([one(0.5)], [new]).differences} == {
        ("kernel_release", "6.1.0", "6.18"),
        ("complete", "yes", "no"),
        ("cautions", "no other", "steal"),
    }


def test_what_one_side_does_not_know():
    """A fact that an older result does not have, or that a host does not tell, is no difference."""
    new = one(0.6)
    new.summary["environment"].update({"smt": True, "qdisc_default": "fq"})
    base = one(0.5)
    base.summary["environment"]["qdisc_default"] = None
    assert compare([base], [new]).differences == ()


def test_another_baseline_is_refused():
    """A ratio to another baseline, by name or by what it does, is another ratio."""
    other = run(point({("sendfile", HEADLINE): 0.6}, baseline="slurp"))
    assert {p.key for p in problems(compare, [one(0.5)], [other])} == {"baseline"}
    same_name = one(0.6)
    same_name.summary["points"][0]["variants"][0]["chunk_bytes"] = 1 << 20
    (problem,) = problems(compare, [one(0.5)], [same_name])
    assert (problem.key, problem.what) == (
        "variant copy",
        "differs: read_send chunk 65536 sink recv against read_send chunk 1048576 sink recv",
    )
    contender = one(0.6)
    contender.summary["points"][0]["variants"][1]["options"] = {"more": True}
    (told,) = compare([one(0.5)], [contender]).differences
    assert (told.key, told.why) == ("variant sendfile", None)


# Points.


def test_points_are_matched_by_their_settings():
    """Points with the same settings are compared wherever they stand; those of one side are named with what keeps them apart."""
    points = {chunk: point({("sendfile", HEADLINE): 0.5}, name=f"chunk={chunk}", chunk_bytes=chunk) for chunk in (1, 2, 3, 4)}
    found = compare([run(points[1], points[2], points[3])], [run(points[3], points[1], points[4])])
    assert [row.point for row in found.rows if row.relative] == ["chunk=1", "chunk=3"]
    assert found.only_base == ("chunk=2: chunk_bytes 2 here, 3 there",)
    assert found.only_new == ("chunk=4: chunk_bytes 4 here, 1 there",)


def test_nothing_in_common():
    """Results without a common point are refused with what keeps them apart, and compared when that is allowed to differ."""
    spread, same = one(0.5), one(0.6, placement="same", congestion="reno")
    (problem,) = problems(compare, [spread], [same])
    assert "the only point: congestion 'cubic' here, 'reno' there, placement 'spread' here, 'same' there" in problem.what
    assert "an ordinary user gets what net.ipv4.tcp_allowed_congestion_control lists" in problem.what
    found = compare([spread], [same], allowed=["workload.placement", "congestion"])
    assert {d.key for d in found.differences} == {"placement", "congestion"}
    assert problems(compare, [spread], [run()])[0].what.endswith("nothing was measured there")


@pytest.mark.parametrize("old", [{}, {"file_pages": "auto"}])
def test_older_results_had_small_pages(old):
    """A result of before huge pages were the default is a set-up of its own beside one of today, unless that has small pages too."""
    made = {"file": "auto", "dir": "auto"}
    before, now, small = one(0.5, **made, **old), one(0.6, **made, file_pages="huge"), one(0.6, **made, file_pages="small")
    (problem,) = problems(compare, [before], [now])
    assert "file_pages 'small' here, 'huge' there (older results had small pages; set workload.file_pages for both)" in problem.what
    assert {d.key for d in compare([before], [now], allowed=["file_pages"]).differences} == {"file_pages"}
    assert not compare([before], [small]).differences
    assert compare([one(0.5, file="mine", dir="auto")], [one(0.6, file="mine", dir="auto")]).rows


@pytest.mark.parametrize(
    ("key", "setting"), [("chunk", "chunk_bytes"), ("workload.rate", "rate_bps"), ("file_size", "file_bytes"), ("kernel", "kernel")]
)
def test_allow_takes_keys_of_the_config(key, setting):
    """What may differ can be named as in a config, with its section or without, or as in a result."""
    assert setting_of(key) == setting_of(setting) == setting


def test_places_do_not_keep_points_apart():
    """Another path of the file, another directory or address is told and no more."""
    (told,) = compare([one(0.5, dir="/a")], [one(0.6, dir="/b")]).differences
    assert (told.key, told.base, told.new) == ("dir", "/a", "/b")


def test_settings_that_older_results_do_not_have():
    """A setting that was added to the schema later does not keep points apart."""
    assert compare([one(0.5)], [one(0.6, arrivals="closed")]).rows


# Formats.


def stored():
    """Return a comparison with everything in it, and its gates."""
    names = ("copy", "sendfile", "splice")
    scale = {HEADLINE: 1.0, SENDER: 0.7, GOODPUT: 5e10}
    levels = {(name, key): (0.2 + i / 10) * scale[key] for i, name in enumerate(names) for key in scale}
    sides = []
    for n, change_of in (("base", 1.0), ("new", 1.3)):
        ratios = {("sendfile", HEADLINE): 0.5 * change_of, ("sendfile", SENDER): 0.3, ("splice", HEADLINE): 0.6, ("splice", GOODPUT): 2.0}
        points = [point(ratios, levels, name="chunk=1|KiB", variants=names), point(ratios, levels, name=f"<{n}>", chunk_bytes=len(n))]
        sides.append([run(*points, where=f"results/{n}_1", environment={"kernel_release": n})])
    found = compare(*sides)
    texts = (f"sendfile: {HEADLINE} > +5%", "goodput_bps < -1%", f"{SENDER} > +50%")
    return found, gates.judge([gates.parse(text) for text in texts], found)


@pytest.mark.parametrize(("name", "file"), [("table", "compare.txt"), ("markdown", "compare.md"), ("json", "compare.json")])
def test_golden_comparison(name, file, golden):
    """A comparison is the same text as ever: a change of it is meant, and seen in the difference of its golden file."""
    golden(GOLDEN / file, FORMATS[name](*stored()))
    assert set(FORMATS) == {"table", "markdown", "json"}


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (0.40, r"fell by \d+ % \([\d.]+\.\.[\d.]+\): saves\.$"),
        (0.65, r"rose by \d+ % \([\d.]+\.\.[\d.]+\): costs\.$"),
        (0.51, r"may or may not have changed: \+2\.0 % \(-[\d.]+\.\.\+[\d.]+\); the interval straddles"),
    ],
)
def test_the_answer_says_which_way_a_ratio_went(new, words):
    """The answer of a comparison says that a ratio fell or rose, by how much without a sign, and the verdict."""
    (told,) = shown(compare([one(0.5)], [one(new)]), []).answer
    assert re.search(words, told), told


def test_results_beside_other_work_are_named_first():
    """Results that were measured beside other work stand in the answer's first line, in every format, and in JSON by name."""
    quiet, loud = one(0.5), run(point({("sendfile", HEADLINE): 0.4}), where="results/loud")
    assert compare([quiet], [one(0.4)]).loaded == ()
    loud.summary["points"][0]["loaded"] = True
    found = compare([quiet], [loud])
    assert shown(found, []).answer[0] == "Measured beside other work: results/loud. Do not quote these figures."
    assert all("Do not quote these figures." in FORMATS[name](found, []).partition("<details>")[0] for name in ("table", "markdown"))
    assert json.loads(FORMATS["json"](found, []))["loaded"] == ["results/loud"]


def test_the_short_form_fits_a_screen():
    """Of a sweep of thirty points the terminal's form has at most 40 lines of 80 columns, says what is left out, and ends in the answer."""
    points = [point({("sendfile", HEADLINE): 0.5}, name=f"chunk={i}KiB", chunk_bytes=1024 * i) for i in range(1, 31)]
    text = FORMATS["table"](compare([run(*points)], [run(*points)]), [])
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 80
    assert text.partition(MORE)[2].lstrip().startswith("chunk=1KiB, sendfile: both ends' CPU")
    assert text.rstrip().endswith("... 26 more")
    markdown = FORMATS["markdown"](compare([run(*points)], [run(*points)]), [])
    assert len(markdown.partition("<details>")[0].splitlines()) <= 50


def test_markdown_is_not_markup():
    """Names that a config chose do not become markup in a comment of a pull request."""
    text = FORMATS["markdown"](*stored())
    assert "chunk=1\\|KiB" in text
    assert "\\<base\\>" in text
    assert "<base>" not in text


def test_json_has_every_metric():
    """The JSON has the rows that the tables leave out, and null where a figure does not exist."""
    tree = json.loads(FORMATS["json"](*stored()))
    assert tree["schema"] == "zcload.comparison/1"
    assert {row["metric"] for row in tree["rows"]} > {HEADLINE, "sender_minor_faults_per_gb"}
    assert next(r for r in tree["rows"] if r["metric"] == "sender_minor_faults_per_gb")["ratio"]["estimate"] is None


# The first release.


def test_a_result_of_the_first_release_is_compared():
    """A result that the first release of the schema wrote still compares, with what this zcload derives from its windows too."""
    first = Result.load(FIRST)
    derived = Result.load(FIRST / "windows.jsonl")
    found = compare([first], [derived])
    assert {row.variant for row in found.rows if row.relative} == {"sendfile"}
    (row,) = [row for row in found.rows if row.relative and row.headline]
    assert row.ratio.estimate == pytest.approx(1.0)
    assert not [d for d in found.differences if d.why]


def test_the_error_of_a_stored_figure_is_over_its_replicates():
    """An interval over few replicates has a wide quantile, however many generations they had: the error behind it is smaller."""
    stored = {"estimate": 0.5, "low": 0.45, "high": 0.55}
    over_three, over_thirty = figure(stored, 3), figure(stored, 30)
    assert over_three.error < over_thirty.error / 2
    result = run(point({("a", HEADLINE): (0.5, 0.45, 0.55)}, generations=30) | {"replicates": 3})
    (row,) = [r for r in compare([result], [result]).rows if r.variant == "a" and r.relative]
    assert row.change == change([over_three], [over_three])
