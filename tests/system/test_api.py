"""The Python API: what its page says is true, and it leaves the program that uses it as it was."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from support.fake_results import example, example_summary
from support.paths import ROOT

import zcload
from zcload.analysis.summary import summarise
from zcload.errors import ConfigError
from zcload.model.metrics import METRICS
from zcload.store import reader

PAGE = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
TREE = {
    "study": {"name": "s", "baseline": "read_send", "variants": ["read_send", "sendfile"], "best_chunk": False},
    "workload": {"file_size": "8MiB"},
    "stop": {"max_time": "1s"},
}


def python(code, cwd):
    """Run *code* in a fresh interpreter and return the finished process."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=cwd, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.serial
def test_the_examples_of_the_page_run(tmp_path):
    """Every example of docs/python-api.md runs, in the order of the page, without a word on stderr."""
    examples = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    done = python("\n".join(examples), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("sendfile ")
    assert lines[1] == "results/api True []"
    assert [line.split()[0] for line in lines[2:4]] == ["read_send", "sendfile"]
    assert lines[3].endswith(" s/GB")
    assert lines[-1].startswith("5 study.variants[2] 'sendfil'")


def test_importing_costs_nothing(tmp_path):
    """`import zcload` imports none of its modules, its names are listed, and one that it does not have is an AttributeError."""
    code = """
import sys, zcload
assert not [name for name in sys.modules if name.startswith("zcload.")], sys.modules
assert {"run", "load", "Result", "__version__"} <= set(dir(zcload))
assert not hasattr(zcload, "walk")
"""
    assert python(code, tmp_path).stderr == ""


def test_it_is_typed():
    """The package says that it is typed, and its stub names what the module has."""
    assert (ROOT / "zcload" / "py.typed").exists()
    stub = (ROOT / "zcload" / "__init__.pyi").read_text()
    import zcload

    assert set(re.findall(r"import (\w+) as \1", stub)) | {"__version__"} == set(zcload.__all__)


THREADED = """
import gc, os, threading, time, zcload
from concurrent.futures import ThreadPoolExecutor
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
before = os.sched_getaffinity(0), gc.get_freeze_count()
seen = set()
def measure():
    return zcload.run(TREE, overrides=["stop.replicates=REPLICATES"], out="r", view=lambda progress: seen.add(progress.phase))
result = CALL
assert (os.sched_getaffinity(0), gc.get_freeze_count()) == before
print(result.summary["complete"], result.directory, "measuring" in seen)
try:
    measure()
except zcload.errors.ConfigError as error:
    print(error)
"""


@pytest.mark.serial
@pytest.mark.parametrize(
    ("replicates", "call"), [(1, "measure()"), (2, "ThreadPoolExecutor().submit(measure).result()")], ids=["alone", "in a thread"]
)
def test_a_program_with_threads_measures_in_fresh_processes(tmp_path, replicates, call):
    """A program may have threads and call from any: other processes fork, its own collector and CPUs are left alone, errors arrive."""
    code = THREADED.replace("TREE", repr(TREE)).replace("REPLICATES", str(replicates)).replace("CALL", call)
    done = python(code, tmp_path)
    first, second = done.stdout.splitlines()
    assert first == "True r True", done.stderr
    assert second == "--out: r holds a result already (choose another directory)"


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_no_result_can_store_is_refused(seed):
    """A seed below 0 or beyond 64 bits is an error before anything is measured."""
    with pytest.raises(ConfigError, match=r"seed: .* out of range"):
        zcload.run(TREE, seed=seed)


SIGNALLED = """
import gc, json, os, signal, zcload
from zcload.errors import Interrupted
gc.disable()
affinity = os.sched_getaffinity(0)
def mine(*_): pass
signal.signal(signal.SIGTERM, mine)
def view(progress):
    if progress.phase == "measuring":
        os.kill(os.getpid(), signal.SIGINT)
try:
    zcload.run(TREE, out="r", view=view)
except Interrupted as error:
    print(json.dumps([error.result.summary["complete"], str(error.result.directory), error.exit_code]))
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert signal.getsignal(signal.SIGTERM) is mine
assert signal.set_wakeup_fd(-1) == -1
assert not gc.isenabled() and os.sched_getaffinity(0) == affinity
print(zcload.run(TREE, out="again").summary["complete"])
"""


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize("before", ["", "import threading, time\nthreading.Thread(target=time.sleep, args=(90,), daemon=True).start()\n"])
def test_a_signal_ends_the_run_and_not_the_program(tmp_path, before):
    """A SIGINT raises Interrupted with what was measured, all is as before, and another run runs; a program may have threads."""
    done = python(before + SIGNALLED.replace("TREE", repr(TREE)), tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert json.loads(first) == [False, "r", 130]
    assert second == "True"


def test_rows_of_metrics():
    """There is one row for each point, variant and metric, with the figures and the comparison of the summary."""
    summary = example_summary()
    rows = reader.Result(summary).to_rows()
    assert len(rows) == len(METRICS) * len(summary["points"][0]["variants"])
    (row,) = [r for r in rows if (r["variant"], r["metric"]) == ("sendfile", "total_cpu_s_per_gb")]
    (compared,) = [c for c in summary["points"][0]["comparisons"] if (c["variant"], c["metric"]) == ("sendfile", "total_cpu_s_per_gb")]
    assert (row["ratio"], row["verdict"], row["unit"]) == (compared["ratio"]["estimate"], compared["verdict"], "s/GB")


def test_rows_of_windows_and_generations():
    """Rows of windows and generations come from the records, and there are none without."""
    records = example()
    whole, alone = reader.Result(summarise(records), None, records), reader.Result(summarise(records))
    windows = [record for record in records if record["kind"] == "window"]
    assert len(whole.to_rows("windows")) == len(windows)
    assert {row["generation"] for row in whole.to_rows("generations")} == {record["generation"] for record in windows}
    assert (alone.to_rows("windows"), alone.to_rows("generations")) == ([], [])


def test_failed_lanes():
    """The lanes that failed are named with their reasons."""
    assert reader.Result(example_summary()).failed == ["mmap_send: lane mmap_send, sender 0 (pid 5): OSError: [Errno 5]"]
    assert reader.Result(example_summary(everything=False)).failed == []


@pytest.mark.parametrize(("name", "member"), [("interrupt", "Interrupted"), ("packed", "unpack"), ("progress", "Progress")])
def test_names_of_the_first_release_still_lead_somewhere(name, member):
    """Modules that the first release documented are still attributes of zcload."""
    assert hasattr(getattr(zcload, name), member)
