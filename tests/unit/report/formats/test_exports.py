"""Formats of other tools: each is read by a strict parser of its grammar, and holds the figures of the summary."""

from __future__ import annotations

import csv
import io
import json
import math
import re

import jsonschema
import pytest
from support.fake_results import Cost, example, header, lane
from support.fake_results import Result as Recorded
from support.paths import FIRST_RELEASE
from support.reports import zero_copy

from zcload.analysis.estimates import metric_interval
from zcload.analysis.point_data import sort_out
from zcload.analysis.stats import Bootstrap
from zcload.analysis.summary import summarise
from zcload.analysis.tidy import generation_rows
from zcload.analysis.zerocopy_check import NOT_ZERO_COPY
from zcload.errors import ConfigError
from zcload.model.metrics import METRICS
from zcload.report import FORMATS, renderer
from zcload.store.reader import Result

FIRST = FIRST_RELEASE
AWKWARD = 'a "b"\\c\té'


def result(name="example", variant="sendfile", points=("chunk=1KiB, senders=2", "chunk=2KiB, senders=2")):
    """Return a result of two points whose names may be awkward."""
    record = Recorded(header([lane("copy"), lane(variant)], list(points)))
    for point in range(len(points)):
        record.point = point
        for number in range(4):
            record.generation(number, {"copy": Cost(0.4), variant: Cost(0.2 + 0.01 * number)})
    records = record.end()
    records[0]["name"] = name
    return Result(summarise(records), None, records)


def render(name, *results):
    return renderer(name)(list(results))


# OpenMetrics 1.0, "ABNF": what the text must be, line by line.
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"'
META = re.compile(rf"# (TYPE|UNIT|HELP) ({NAME}) (.+)")
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
KINDS = {"gauge"}  # collectors of the older text format refuse a file with the others


def parsed_metrics(text):
    """Parse an exposition strictly; return {family: {labels: value}}."""
    assert text.endswith("# EOF\n")
    lines = text.split("\n")[:-2]
    families, meta, current = {}, {}, None
    for line in lines:
        if line.startswith("#"):
            kind, name, value = META.fullmatch(line).groups()
            if name != current:
                assert name not in families, "a family's lines stand together"
                current, families[name], meta[name] = name, {}, {}
            assert not families[name], "metadata comes before the samples"
            assert kind not in meta[name]
            assert list(meta[name]) == ["TYPE", "UNIT", "HELP"][: len(meta[name])] or "UNIT" not in meta[name]
            meta[name][kind] = value
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        assert name == current
        pairs = re.findall(LABEL, labels or "")
        assert labels == ",".join(f'{key}="{text}"' for key, text in pairs), "nothing between or after the labels but commas"
        key = tuple(sorted(pairs))
        assert len({label for label, _ in key}) == len(key)
        assert not any(label.startswith("_") for label, _ in key), "reserved"
        assert key not in families[current], "a label set stands once"
        families[current][key] = float(value)
    for name, said in meta.items():
        assert said["TYPE"] in KINDS
        assert "UNIT" not in said or name.endswith("_" + said["UNIT"])
    return families


@pytest.mark.parametrize("made", [result(), result(AWKWARD, AWKWARD + "-2"), Result.load(FIRST)], ids=["plain", "awkward", "first release"])
def test_openmetrics_is_valid(made):
    """The text is what the specification's grammar allows, and holds every figure once with its bounds, and every ratio."""
    families = parsed_metrics(render("openmetrics", made))
    figures = [
        (key, m) for p in made.summary["points"] for v in p["variants"] for key, m in v["metrics"].items() if m["estimate"] is not None
    ]
    for key in METRICS:
        for suffix, bound in (("", "estimate"), ("_low", "low"), ("_high", "high")):
            expected = [m[bound] for k, m in figures if k == key]
            assert sorted(families.get(f"zcload_{key}{suffix}", {}).values()) == sorted(expected), key
    ratios = [c["ratio"]["estimate"] for p in made.summary["points"] for c in p["comparisons"] if c["ratio"]["estimate"] is not None]
    assert sorted(families["zcload_ratio"].values()) == sorted(ratios)


def test_openmetrics_escapes():
    """Quotes, backslashes and line ends in names are escaped, and come back the same."""
    families = parsed_metrics(render("openmetrics", result(AWKWARD)))
    (labels,) = families["zcload_started_timestamp_seconds"]
    assert dict(labels)["study"].replace('\\"', '"').replace("\\\\", "\\") == AWKWARD


# Go's benchmark format, as golang.org/x/perf/benchfmt reads it.


def parsed_benchmarks(text):
    """Parse Go benchmark text; return the configuration, the units' properties, and [(name, iterations, {unit: value})]."""
    config, units, found = {}, {}, []
    for line in text.split("\n"):
        if line.startswith("Benchmark"):
            name, iterations, *pairs = line.split()
            assert len(pairs) >= 2
            assert len(pairs) % 2 == 0
            assert name[9].isupper()
            values = dict(zip(pairs[1::2], map(float, pairs[::2]), strict=True))
            assert len(values) == len(pairs) // 2
            assert all(map(math.isfinite, values.values()))
            found.append((name, int(iterations), values))
        elif line.startswith("Unit "):
            _, unit, *properties = line.split()
            units[unit] = dict(each.split("=") for each in properties)
        elif match := re.fullmatch(r"([a-z][^\sA-Z:]*):[ \t]+(.*)", line):
            config[match[1]] = match[2]
        else:
            assert line == "" or line.startswith("#"), line
    return config, units, found


@pytest.mark.parametrize(
    "made", [result(), result("my study", "send file-64"), Result.load(FIRST)], ids=["plain", "awkward", "first release"]
)
def test_benchstat_has_a_sample_for_each_generation(made):
    """There is one line for each generation of each variant at each point, under one name each, with every unit's better direction."""
    _, units, found = parsed_benchmarks(render("benchstat", made))
    names = [name for name, _, _ in found]
    for index, point in enumerate(made.summary["points"]):
        for variant in point["variants"]:
            mine = [n for n in names if f"variant={variant['name'].replace(' ', '_')}/" in n]
            assert len(mine) == sum(p["generations"] for p in made.summary["points"]), index
            assert len(set(mine)) == len(made.summary["points"])
    assert not any(re.search(r"-\d+$", name) for name in names), "benchstat takes such an end for GOMAXPROCS"
    assert {unit: said["better"] for unit, said in units.items()} == {
        k: m.better for k, m in METRICS.items() if m.better != "none" and not m.ticks
    }
    assert all(set(values) <= set(METRICS) for _, _, values in found)


def test_benchstat_samples_are_what_the_estimate_is_made_of():
    """The geometric mean of the samples of a metric of windows is the estimate of the report."""
    made = result()
    _, _, found = parsed_benchmarks(render("benchstat", made))
    for key in ("goodput_bps", "total_cpu_s_per_gb"):
        values = [values[key] for name, _, values in found if "variant=sendfile/chunk=1KiB/" in name]
        (variant,) = [v for v in made.summary["points"][0]["variants"] if v["name"] == "sendfile"]
        assert math.exp(math.fsum(map(math.log, values)) / len(values)) == pytest.approx(variant["metrics"][key]["estimate"], rel=1e-5)


# JSON formats.

BMF = {  # https://bencher.dev/bmf.json
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
            "required": ["value"],
            "additionalProperties": False,
        },
    },
}
SMALLER = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"value": {"type": "number"}, **{name: {"type": "string"} for name in ("name", "unit", "range", "extra")}},
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}


@pytest.mark.parametrize(("name", "schema"), [("bencher", BMF), ("github-action-benchmark", SMALLER)])
@pytest.mark.parametrize("made", [result(), result(AWKWARD, AWKWARD), Result.load(FIRST)], ids=["plain", "awkward", "first release"])
def test_json_formats_are_valid(name, schema, made):
    """The JSON is what the tool's schema allows."""
    jsonschema.validate(json.loads(render(name, made)), schema)


def test_bencher_has_the_interval():
    """A benchmark is a point's variant, a measure a metric with its interval, or its ratio to the baseline; names fit."""
    made = result()
    tree = json.loads(render("bencher", made))
    assert set(tree) == {f"example/chunk={n}KiB, senders=2/{v}" for n in (1, 2) for v in ("copy", "sendfile")}
    measures = tree["example/chunk=1KiB, senders=2/sendfile"]
    metric = made.summary["points"][0]["variants"][1]["metrics"]["total_cpu_s_per_gb"]
    assert measures["total_cpu_s_per_gb"] == {"value": metric["estimate"], "lower_value": metric["low"], "upper_value": metric["high"]}
    assert measures["total_cpu_s_per_gb_ratio"]["value"] == made.summary["points"][0]["comparisons"][3]["ratio"]["estimate"]
    assert "total_cpu_s_per_gb_ratio" not in tree["example/chunk=1KiB, senders=2/copy"]
    assert all(len(name) <= 64 for measures in tree.values() for name in measures)


def test_smaller_is_better_holds_what_is():
    """Every entry is a metric of which less is better, or its ratio, under a name of its own."""
    entries = json.loads(render("github-action-benchmark", result()))
    names = [entry["name"] for entry in entries]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "goodput" in name or "switches" in name]
    assert "example / chunk=1KiB, senders=2 / sendfile / both ends' CPU, relative to copy" in names
    assert {entry["unit"] for entry in entries} <= {"s/GB", "ratio", "s"}


# Windows.


def test_windows_are_tidy():
    """There is one row for each window in the file, in order, with what became of its block, and the sums add up to the variant's."""
    records = example()
    rows = list(csv.DictReader(io.StringIO(render("csv-windows", Result(summarise(records), None, records)))))
    windows = [record for record in records if record["kind"] == "window"]
    assert [(row["variant"], int(row["open_ns"])) for row in rows] == [(w["lane"], w["open_ns"]) for w in windows]
    assert {row["fate"] for row in rows} == {"counted", "repeated", "kept"}
    measured = [row for row in rows if row["purpose"] == "measure"]
    for variant in summarise(records)["points"][0]["variants"]:
        mine = [row for row in measured if row["variant"] == variant["name"]]
        assert len(mine) == variant["windows"]
        assert sum(float(row["bytes"]) for row in mine) == variant["bytes_received"]
    silent = [row for row in rows if row["variant"] == "null"]
    assert {(row["goodput_bps"], row["sender_cpu_s_per_gb"]) for row in silent} == {("", "")}


def test_windows_of_a_block_that_was_cut_short():
    """Windows whose block was never judged have an empty fate."""
    records = example()
    last = max(i for i, record in enumerate(records) if record["kind"] == "window")
    rows = list(csv.DictReader(io.StringIO(render("csv-windows", Result(summarise(records[: last + 1]), None, records[: last + 1])))))
    assert rows[-1]["fate"] == ""


def test_windows_of_a_server():
    """A server's windows have no system calls and no busiest process, which nobody counts: empty fields, the others are there."""
    records = example()
    for record in records:
        if record["kind"] == "window":
            record["senders"] = [[before[:3], after[:3]] for before, after in record["senders"]]
    rows = list(csv.DictReader(io.StringIO(render("csv-windows", Result(summarise(records), None, records)))))
    assert {row[key] for row in rows for key in ("sender_syscalls", "sender_busiest_s")} == {""}
    assert "" not in {row[key] for row in rows for key in ("receiver_syscalls", "receiver_busiest_s")}


# What all share.


@pytest.mark.parametrize("name", ["csv-windows", "benchstat"])
def test_formats_of_windows_need_them(name):
    """A format that shows windows says what is missing for a summary alone."""
    with pytest.raises(
        ConfigError, match=rf"the format {name} shows single windows, and there is no windows\.jsonl .*give the result directory"
    ):
        render(name, Result(result().summary))


@pytest.mark.parametrize("name", ["bencher", "github-action-benchmark", "openmetrics"])
def test_a_name_has_one_value(name):
    """Two results of one study would give one name two values: refused."""
    with pytest.raises(ConfigError, match="two results of the study 'example'"):
        render(name, result(), result())


@pytest.mark.parametrize("name", FORMATS)
def test_the_first_release_is_rendered(name):
    """A result that the first release of the schema wrote is rendered in every format, from its summary and derived anew."""
    assert render(name, Result.load(FIRST)).endswith("\n")
    assert render(name, Result.load(FIRST / "windows.jsonl")).endswith("\n")


def test_the_first_release_gives_the_same_figures():
    """What this zcload derives from the first release's windows is what the first release stored, if with another interval."""
    stored, derived = Result.load(FIRST).summary, Result.load(FIRST / "windows.jsonl").summary
    for a, b in zip(stored["points"][0]["variants"], derived["points"][0]["variants"], strict=True):
        assert a["name"] == b["name"]
        for key, metric in a["metrics"].items():
            found = b["metrics"][key]
            assert found["estimate"] == (None if metric["estimate"] is None else pytest.approx(metric["estimate"], rel=1e-9)), key
            assert found["estimate"] is None or found["low"] <= found["estimate"] <= found["high"]


def test_copied_variants_are_labelled():
    """Whatever shows figures of a variant that the kernel copied shows the label with them, and with no other's."""
    records = zero_copy({"completions": 10, "copied": 10})
    made = Result(summarise(records), None, records)
    rows = list(csv.DictReader(io.StringIO(render("csv-windows", made))))
    assert {(row["variant"], row["label"]) for row in rows} == {("copy", ""), ("msg_zerocopy", NOT_ZERO_COPY)}
    assert set(json.loads(render("bencher", made))) == {"example/copy", f"example/msg_zerocopy [{NOT_ZERO_COPY}]"}
    entries = json.loads(render("github-action-benchmark", made))
    assert all((NOT_ZERO_COPY in entry["extra"]) == ("msg_zerocopy" in entry["name"]) for entry in entries)
    for labels in parsed_metrics(render("openmetrics", made))["zcload_total_cpu_s_per_gb"]:
        assert dict(labels).get("label") == (NOT_ZERO_COPY if dict(labels)["variant"] == "msg_zerocopy" else None)
    label = ""
    for line in render("benchstat", made).splitlines():
        label = line.removeprefix("label:").strip() if line.startswith("label:") else label
        if line.startswith("Benchmark"):
            assert label == (NOT_ZERO_COPY if "variant=msg_zerocopy/" in line else "")


def test_generations_are_those_of_the_estimates():
    """The rows of generations hold every generation that the estimates come from, once."""
    records = example()
    data = sort_out(records, None)
    interval, _ = metric_interval(METRICS["goodput_bps"], "sendfile", data.used(), Bootstrap(2))
    _, _, found = parsed_benchmarks(render("benchstat", Result(summarise(records), None, records)))
    values = [values["goodput_bps"] for name, _, values in found if "variant=sendfile/" in name]
    rows = [(row["point"], row["generation"], row["variant"]) for row in generation_rows(records)]
    assert len(set(rows)) == len(rows)
    assert any(record["kind"] == "failed" for record in records), "an event in the midst of a generation"
    assert math.exp(math.fsum(map(math.log, values)) / len(values)) == pytest.approx(interval.estimate, rel=1e-5)
