"""The programs that exports are made for take them: Prometheus' collectors and its checker, benchstat and pandas.

Each test is skipped where its program is not installed.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from support.fake_results import example
from support.paths import ROOT

from zcload.analysis.summary import summarise
from zcload.report import renderer
from zcload.store.reader import Result

AWKWARD = 'a "b"\\c é'
PANDAS = ROOT / ".venv-consumers/bin/python"


def program(name, package):
    """Return the path of a program, or skip the test with what installs it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


@pytest.fixture(scope="module")
def made():
    """Return a result with an awkward name, and its records."""
    records = example()
    records[0]["name"] = AWKWARD
    return Result(summarise(records), None, records)


@pytest.fixture
def exposition(made):
    return renderer("openmetrics")([made])


@contextmanager
def serving(*command):
    """Run a daemon on a free port of this host, which its last argument ends with; yield its address once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([*command[:-1], f"{command[-1]}127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for _ in range(600):
            if process.poll() is not None:
                assert process.stderr is not None
                pytest.fail(process.stderr.read().decode())
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def get(url, data=None):
    """Return the status and the text of an answer, an error's too."""
    try:
        with urllib.request.urlopen(url, data, 30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(text):
    """Return {sample with its labels in order: value} of zcload's lines in an exposition."""
    found = {}
    for line in text.splitlines():
        if line.startswith("zcload_"):
            name, _, rest = line.partition("{")
            labels, _, value = rest.rpartition("} ")
            found[name, tuple(sorted(labels.split('",')))] = float(value)
    return found


def of_name(text, prefix):
    return sorted(value for (name, _), value in samples(text).items() if name.startswith(prefix))


def test_node_exporter_takes_openmetrics(tmp_path, exposition):
    """The textfile collector serves every figure of the file, with its value, and reports no error."""
    command = program("prometheus-node-exporter", "prometheus-node-exporter")
    (tmp_path / "zcload.prom").write_text(exposition, encoding="utf-8")
    only = ["--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={tmp_path}"]
    with serving(command, *only, "--web.listen-address=") as address:
        status, text = get(f"{address}/metrics")
    assert status == 200
    assert "node_textfile_scrape_error 0" in text
    assert len(samples(text)) == len(samples(exposition)) > 100
    assert of_name(text, "zcload_total_cpu") == pytest.approx(of_name(exposition, "zcload_total_cpu"))


def test_pushgateway_takes_openmetrics(tmp_path, exposition):
    """The gateway accepts the whole text and hands every figure on."""
    command = program("prometheus-pushgateway", "prometheus-pushgateway")
    with serving(command, f"--persistence.file={tmp_path}/store", "--web.listen-address=") as address:
        status, answer = get(f"{address}/metrics/job/zcload", exposition.encode())
        assert (status, answer) == (200, "")
        _, text = get(f"{address}/metrics")
    assert len(samples(text)) == len(samples(exposition))
    assert of_name(text, "zcload_ratio") == pytest.approx(of_name(exposition, "zcload_ratio"))


def test_promtool_finds_nothing_but_a_unit(exposition):
    """The checker parses every line; all it minds is the unit gb, which the names of zcload's metrics have had from the start."""
    command = program("promtool", "prometheus")
    done = subprocess.run([command, "check", "metrics"], input=exposition, capture_output=True, text=True, timeout=300, check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert done.returncode in (0, 3), said  # 3: it has advice on style
    known = re.compile(r"zcload_\w+_gb(_low|_high)? metric names should not contain abbreviated units")
    assert [line for line in said if not known.fullmatch(line)] == []


def test_benchstat_takes_its_format(tmp_path, made):
    """benchstat compares two files without a complaint: a table for each metric, a row for each variant, as many samples as generations."""
    command = shutil.which("benchstat")
    if command is None:
        pytest.skip("benchstat is not installed: go install golang.org/x/perf/cmd/benchstat@latest, with Go's bin directory in PATH")
    for name in ("before", "after"):
        (tmp_path / name).write_text(renderer("benchstat")([made]), encoding="utf-8")
    done = subprocess.run([command, "before", "after"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr == ""
    metrics = set(re.findall(r"^Unit (\S+)", (tmp_path / "before").read_text(), re.MULTILINE))
    assert "total_cpu_s_per_gb" in metrics
    (point,) = made.summary["points"]
    measured = {v["name"] for v in point["variants"] if v["windows"] and v["moves_payload"]}
    assert measured <= set(re.findall(r"/variant=([^/\s]+)", done.stdout))
    assert f"(p=1.000 n={point['generations']})" in done.stdout


READ = """
import json, sys
import pandas
frame = pandas.read_csv(sys.stdin)
numbers = [name for name in frame.columns if pandas.api.types.is_numeric_dtype(frame[name])]
print(json.dumps({"rows": len(frame), "numbers": numbers, "names": sorted(set(map(str, frame[sys.argv[1]]))),
                  "sum": float(frame[sys.argv[2]].sum())}))
"""


@pytest.mark.parametrize(
    ("format", "text", "number", "numbers"),
    [
        ("csv", "study", "estimate", {"estimate", "low", "high", "ratio", "saving_percent", "chunk_bytes", "senders"}),
        ("csv-windows", "study", "bytes", {"bytes", "elapsed_s", "sender_cpu_s", "goodput_bps", "generation", "open_ns"}),
    ],
)
def test_pandas_reads_csv(made, format, text, number, numbers):
    """A CSV becomes a frame with a row for each line; its figures are numbers and add up to what the text holds."""
    if not PANDAS.exists():
        pytest.skip("pandas is not installed: python -m venv .venv-consumers && .venv-consumers/bin/pip install pandas")
    table = renderer(format)([made])
    done = subprocess.run(
        [PANDAS, "-c", READ, text, number],
        input=table.encode(),
        capture_output=True,
        timeout=300,
        check=True,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    rows = list(csv.DictReader(io.StringIO(table)))
    frame = json.loads(done.stdout)
    assert frame["rows"] == len(rows) > 0
    assert frame["names"] == [AWKWARD]
    assert numbers <= set(frame["numbers"])
    assert frame["sum"] == pytest.approx(sum(float(row[number]) for row in rows if row[number]))
