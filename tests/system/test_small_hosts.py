"""Containers and small hosts: zcload runs there, or says in one line why it does not. By namespaces, control groups and limits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.control_groups import limited_group
from support.paths import ROOT, SUPPORT

STUDY = """
[study]
name = "small"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "4MiB"
placement = "free"
[stop]
max_time = "500ms"
target = "50%"
replicates = 1
min_generations = 2
window = "20ms"
"""
SERVED = """
[[variant]]
name = "served"
kind = "server"
command = ["{{python}}", "{program}", "{{port}}", "{{root}}"]
"""
pytestmark = [pytest.mark.slow, pytest.mark.serial]


def namespaces(*flags):
    """Return the start of a command that runs in new namespaces; skip the test where none may be made."""
    command = ["unshare", *flags]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces cannot be made here: run the tests as root, in a container with CAP_SYS_ADMIN")
    return command


def run(folder, *start, shell="", served=False, arguments=(), **environment):
    """Run the small study in *folder* after the command *start* and what *shell* does first; return what came of it."""
    study = folder / "study.toml"
    study.write_text(STUDY + SERVED.format(program=SUPPORT / "range_server.py") * served)
    command = [
        sys.executable,
        "-P",
        "-m",
        "zcload",
        "run",
        "study.toml",
        "--out",
        "r",
        "--no-wait",
        "--no-progress",
        "--no-html",
        *arguments,
    ]
    wrapped = [*start, "/bin/sh", "-c", f'{shell} exec "$0" "$@"', *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    environment = {name: value for name, value in environment.items() if value is not None}
    done = subprocess.run(wrapped, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", timeout=300, check=False)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


def summary(folder):
    return json.loads((folder / "r" / "summary.json").read_text())


def measured(folder):
    """Return the variants of the result that have windows."""
    return {variant["name"] for variant in summary(folder)["points"][0]["variants"] if variant["windows"]}


def refused(done, *words):
    """Check that one line says why there is no result."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("zcload: error:")]
    assert done.returncode in (1, 2), done.stderr
    assert len(errors) == 1, done.stderr
    assert all(word in errors[0] for word in words), errors


def test_without_home_path_and_utf8(tmp_path):
    """No HOME, an empty PATH, the C locale and a directory whose name is not UTF-8 are no obstacle."""
    folder = os.path.join(os.fsencode(tmp_path), b"\xff\xe9")
    os.mkdir(folder)
    done = run(Path(os.fsdecode(folder)), served=True, HOME=None, PATH="", LC_ALL="C", LANG=None, PYTHONUTF8=None)
    assert done.returncode == 0, done.stderr
    assert measured(Path(os.fsdecode(folder))) == {"read_send", "sendfile", "served"}


@pytest.mark.parametrize("size", ["64m", "1m"])
def test_a_small_shared_memory(size, tmp_path):
    """The 64 MiB /dev/shm of containers holds what a server serves; one that is too small is an error that says so."""
    done = run(tmp_path, *namespaces("--mount"), shell=f"mount -t tmpfs -o size={size} none /dev/shm &&", served=True)
    if size == "64m":
        assert done.returncode == 0, done.stderr
        assert "served" in measured(tmp_path)
    else:
        refused(done, "do not fit into /dev/shm", "file_size")


def test_a_read_only_root(tmp_path):
    """With everything read-only but the result's directory and /dev/shm a study runs; where the result cannot be written it says so."""
    start = namespaces("--mount")
    remount = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro / && cd {tmp_path} &&"
    done = run(tmp_path, *start, shell=remount, served=True)
    assert done.returncode == 0, done.stderr
    assert "served" in measured(tmp_path)
    folder = tmp_path / "locked"
    folder.mkdir()
    refused(
        run(folder, *start, shell=f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && cd {folder} &&"),
        "read-only file system",
    )


def test_a_proc_of_processes_only(tmp_path):
    """Where /proc has no files of the machine, the error names the first that is missing and the mount option."""
    done = run(tmp_path, *namespaces("--mount", "--pid", "--fork"), shell="mount -t proc -o subset=pid proc /proc &&")
    refused(done, "/proc/stat", "subset=pid")


def test_without_ipv6(tmp_path):
    """A host without IPv6 measures over IPv4, and refuses an IPv6 address in one line."""
    start = namespaces("--net")
    off = "ip link set lo up && for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done &&"
    done = run(tmp_path, *start, shell=off)
    assert done.returncode == 0, done.stderr
    again = tmp_path / "six"
    again.mkdir()
    refused(run(again, *start, shell=off, arguments=["--set", "workload.address=::1"]), "::1")


@pytest.mark.parametrize("kib", [25_000, 35_000, 42_000, 50_000, 65_000, 66_000, 300_000])
def test_little_address_space(kib, tmp_path):
    """With less than 64 MiB of address space one line names the limit and the command; with more the study runs or says what it lacked."""
    done = run(tmp_path, shell=f"ulimit -c 0; ulimit -v {kib};")
    if kib < 1 << 16:
        refused(done, "memory", *(("RLIMIT_AS", f"{kib} KiB", "ulimit -v 65536") if kib > 30_000 else ()))
    elif kib >= 300_000 or not done.returncode:
        assert done.returncode == 0, done.stderr
    else:
        refused(done, "memory")


# A seccomp filter for x86-64 and arm64 that refuses the three calls of io_uring (425..427 on both): seccomp(2).
WITHOUT_URING = """
import ctypes, os, struct, sys
code = [(0x20, 0, 0, 0), (0x35, 0, 2, 425), (0x25, 1, 0, 427), (0x06, 0, 0, 0x00050000 | int(sys.argv[1])), (0x06, 0, 0, 0x7fff0000)]
filter = b"".join(struct.pack("HBBI", *each) for each in code)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(code), filter)), 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize(("number", "name"), [(1, "EPERM"), (38, "ENOSYS")])
def test_a_filter_without_io_uring(number, name, tmp_path):
    """Behind a seccomp filter doctor says that io_uring is refused, with the errno; its mechanisms are skipped and the rest measured."""
    start = [sys.executable, "-c", WITHOUT_URING, str(number)]
    zcload = [sys.executable, "-P", "-m", "zcload"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    doctor = subprocess.run(
        [*start, *zcload, "doctor", "--json"], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    text = json.dumps(json.loads(doctor.stdout))
    assert f"refused: io_uring_setup fails with {name}" in text, text[:2000]
    done = run(
        tmp_path,
        *start,
        shutil.which("env") or "/usr/bin/env",
        arguments=["--set", 'study.variants=["read_send","uring_read_send","sendfile"]'],
    )
    assert done.returncode == 0, done.stderr
    assert measured(tmp_path) == {"read_send", "sendfile"}
    (skipped,) = [v for v in summary(tmp_path)["points"][0]["variants"] if v["name"] == "uring_read_send"]
    assert skipped["status"] == "skipped"
    assert name in skipped["reason"]


@pytest.fixture
def group():
    """Return a function that makes a control group with a limit, of whichever version has the controller; it is removed at the end."""
    with ExitStack() as made:

        def make(controller, limit):
            try:
                return made.enter_context(limited_group(controller, limit))
            except OSError as error:
                pytest.skip(f"no control group with {controller} can be made: {error}; run the tests as root")

        yield make


def test_a_cpu_quota_is_told_afterwards(group, tmp_path):
    """Half a CPU for two lanes at full speed: the caution says in how many periods the run was stopped."""
    path = group("cpu", 0.5)
    done = run(tmp_path, shell=f"echo $$ > {path}/cgroup.procs;")
    assert done.returncode == 0, done.stderr
    (caution,) = [each for each in summary(tmp_path)["cautions"] if each["code"] == "throttled"]
    words = caution["message"].split()
    stopped, periods = int(words[words.index("in") + 1]), int(words[words.index("of") + 1])
    assert 0 < stopped <= periods


def test_a_full_pids_group_is_named(group, tmp_path):
    """Where a control group allows no more processes, the error names its pids.max and not the user's limit."""
    path = group("pids", 4)
    done = run(tmp_path, shell=f"echo $$ > {path}/cgroup.procs;", served=True)
    assert done.returncode in (1, 2), done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("zcload: error:")]
    assert errors, done.stderr
    assert any("pids.max" in error for error in errors), errors  # the test's server may be the first that gets no thread
    assert not any("ulimit -u" in error for error in errors), errors


def test_a_small_memory_group(group, tmp_path):
    """In 512 MiB a small study runs, and a file that does not fit is refused with what can be used; nothing is killed."""
    path = group("memory", 512 << 20)
    enter = f"echo $$ > {path}/cgroup.procs;"
    done = run(tmp_path, shell=enter)
    assert done.returncode == 0, done.stderr
    large = tmp_path / "large"
    large.mkdir()
    refused(run(large, shell=enter, arguments=["--set", "workload.file_size=1GiB"]), "memory", "file_size")


def test_one_cpu(tmp_path):
    """On one CPU a study with a server runs, with the caution that says what that does to it."""
    done = run(tmp_path, "taskset", "-c", str(min(os.sched_getaffinity(0))), served=True, arguments=["--set", "workload.placement=auto"])
    assert done.returncode == 0, done.stderr
    assert "one_cpu" in {each["code"] for each in summary(tmp_path)["cautions"]}
