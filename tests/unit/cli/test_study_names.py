"""What `zcload run` takes for a study: files, shipped names, mechanisms; what its options set, and what `--save` writes."""

from __future__ import annotations

import json
import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_line import invoke

from zcload import api
from zcload.cli.study_names import locate, study_of_names, with_time
from zcload.config.shipped import shipped_configs
from zcload.config.write_toml import write_toml
from zcload.errors import ConfigError


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", shipped_configs())
@pytest.mark.parametrize("spelling", ["{name}", "configs/{name}", "{last}", "{name}{suffix}"])
def test_a_shipped_name_is_found(name, spelling):
    """Every shipped config is found by its name, its path in the repository, its last part if that is free, and with the suffix."""
    path = shipped_configs()[name]
    wanted = spelling.format(name=name, last=path.stem, suffix=path.suffix)
    assert locate(wanted) == shipped_configs().get(wanted, path)


def test_a_file_comes_before_a_shipped_name(tmp_path):
    """A file of the working directory is taken even if a shipped config has the same name."""
    (tmp_path / "smoke").mkdir()
    assert locate("smoke").resolve() == tmp_path / "smoke"


def test_a_shipped_name_works_in_the_api():
    """`zcload.api.study_of` takes the names that the command takes."""
    assert api.study_of("smoke").name == "smoke"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("smok",), "smok: no such file, shipped config or mechanism (did you mean 'smoke'?)"),
        (("small",), "small: no such file, shipped config or mechanism (did you mean 'small-files'?)"),
        (("sendfil",), "did you mean 'sendfile'?"),
        (("read_send", "sendfil"), "'sendfil' is not a mechanism (did you mean 'sendfile'?)"),
        (("read_send", "smoke"), "'smoke' is a config: give one config, or names of mechanisms"),
        (("read_send", "sendfile", "--max-time", "5"), "--max-time: 5 has no unit"),
        (("read_send", "sendfile", "--time", "5"), "--time: 5 has no unit"),
        (("read_send", "sendfile", "--chunk", "64K"), "--chunk: '64K' is not a size"),
        (("read_send", "sendfile", "--senders", "0"), "--senders: 0 is out of range"),
        (("read_send", "sendfile", "--rate", "2"), "--rate: 2 has no unit"),
        (("read_send", "sendfile", "--rate", "500/s"), "(files a second: workload.transfer_rate, with transfer = 'per-file'"),
        (("smoke", "--set", "workload.sink=recv,discard"), '\'recv,discard\' is not a sink (several values: ["recv","discard"])'),
        (("smoke", "--set", "workload.chunk=4KiB,8KiB"), '(several values: ["4KiB","8KiB"])'),
        (("smoke", "--sink", "discard"), "no such option: --sink (write --set workload.sink=VALUE; see `zcload run --help`)"),
        (
            (
                "smoke",
                "--transfer-rate=5/s",
            ),
            "no such option: --transfer-rate (write --set workload.transfer_rate=VALUE;",
        ),
        (("read_send", "sendfile", "--set", "stop.max_time=5"), "--set: stop.max_time: 5 has no unit"),
        (("crossover", "--max-time", "5"), "--max-time: 5 has no unit"),
        (("read_send", "sendfile", "--rate", "500Mbit/s", "--time", "4s"), ", which take 22 s (--time 27s)"),
        (("curve", "--time", "60s"), "--time: shared by 6 points, 10 s cannot hold 6 generations"),
        (("curve", "--time", "60s"), "(--time 2m42s for all 6 points)"),
        (("smoke", "--time", "5s", "--max-time", "5s"), "--time: cannot be combined with --max-time"),
        (("smoke", "--save", "s.yaml"), "--save: 's.yaml' does not end in .toml (--save s.toml)"),
    ],
)
def test_a_wrong_argument_is_named_with_its_option(arguments, words, capsys):
    """What is wrong in the arguments is one error with the option that was typed, exit code 2, and nothing on stdout."""
    done = invoke(capsys, "run", *arguments, "--plan")
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert "Traceback" not in done.err


def test_several_values_are_read_as_the_error_writes_them(capsys):
    """The list that the error proposes is read with the shell's quotes and without them."""
    for proposed in ('workload.sink=["recv","discard"]', "workload.sink=[recv,discard]"):
        assert "sink=recv; sink=discard" in invoke(capsys, "run", "smoke", "--set", proposed, "--plan").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", ".", "--json"), "no such option: --json (write --format json; see `zcload report --help`)"),
        (("report", ".", "--csv-windows"), "(write --format csv-windows;"),
        (("compare", ".", "--markdown"), "(write --format markdown;"),
        (("history", "--json"), "(write --format json;"),
        (("compare", ".", "--csv"), "no such option: --csv (see `zcload compare --help`)"),
    ],
)
def test_a_format_that_is_given_as_an_option_is_answered_with_format(arguments, words, capsys):
    """A word of --format, typed as an option of its own, is an error that shows --format with it."""
    done = invoke(capsys, *arguments)
    assert done.code == 2
    assert words in done.err


@pytest.mark.parametrize("option", ["--from", "--to", "--precision", "--time", "--max-time"])
def test_an_option_of_a_search_is_named(option, capsys):
    """A wrong value of an option of `zcload crossover` names that option."""
    done = invoke(capsys, "crossover", "mmap_send", "sendfile", "--sweep", "chunk", option, "x", "--plan")
    assert done.code == 2
    assert f"zcload: error: {option}: 'x' is not" in done.err


def test_mechanisms_are_a_study_without_a_file(capsys):
    """The first mechanism is the baseline, and the options set the workload and the time."""
    done = invoke(
        capsys, "run", "read_send", "sendfile", "--chunk", "64KiB", "--senders", 4, "--rate", "1Gbit/s", "--time", "20s", "--plan", "--json"
    )
    assert done.code == 0, done.err
    config = json.loads(done.out)["config"]
    assert (config["study"]["baseline"], [v["name"] for v in config["variant"]]) == ("read_send", ["read_send", "sendfile"])
    workload = config["workload"]
    assert (workload["chunk"], workload["senders"], workload["rate"], config["stop"]["max_time"]) == ("64KiB", 4, "1Gbit/s", "20s")


@pytest.mark.parametrize("values", ["64KiB,1MiB", "[64KiB,1MiB]", "['64KiB', '1MiB']"])
def test_several_values_of_an_option_are_a_sweep(values, capsys):
    """Values with commas between them are a sweep, with the brackets of a config or without."""
    done = invoke(capsys, "run", "read_send", "sendfile", "--chunk", values, "--plan", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["config"]["workload"]["chunk"] == ["64KiB", "1MiB"]


def test_time_is_for_all_points_and_max_time_for_each():
    """`--time` is shared equally by the points; a search has one time for all of them anyway."""
    assert [with_time(["chunks"], [], "20s")[0].stop.max_time_s, len(study_of_names(["chunks"], []).points)] == [5.0, 4]
    assert with_time(["smoke"], [], "7s")[0].stop.max_time_s == 7.0
    assert with_time(["crossover"], [], "20s")[0].crossover.max_time_s == 20.0


def test_max_time_is_the_limit_of_a_search_too(capsys):
    """`zcload run CONFIG --max-time` sets the limit that the config's kind of study has: a search's points share it."""
    done = invoke(capsys, "run", "crossover", "--max-time", "30s", "--plan", "--json")
    assert json.loads(done.out)["config"]["crossover"]["max_time"] == "30s"


@pytest.mark.parametrize(
    "arguments",
    [("read_send", "sendfile", "--chunk", "64KiB"), ("smoke", "--set", "workload.senders=[1,2]"), ("servers/nginx",), ("chunks",)],
)
def test_a_saved_study_is_the_same_study(arguments, capsys):
    """What `--save` writes is the study that the arguments meant, in TOML, and an existing file is left as it is."""
    study = json.loads(invoke(capsys, "run", *arguments, "--plan", "--json", "--save", "saved.toml").out)
    assert json.loads(invoke(capsys, "run", "saved.toml", "--plan", "--json").out) == study
    again = invoke(capsys, "run", *arguments, "--plan", "--save", "saved.toml")
    assert (again.code, "already exists" in again.err) == (2, True)


SCALARS = (
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), TREES, max_size=4))
def test_toml_that_is_written_reads_the_same(tree):
    """Any tree of tables, lists, text, numbers and truth values is written as TOML that reads back equal."""
    assert tomllib.loads(write_toml(tree)) == tree


def test_a_number_of_toml_stays_a_number():
    """A whole float stays a float, and None is left out."""
    assert tomllib.loads(write_toml({"a": 1.0, "b": None, "c": math.pi})) == {"a": 1.0, "c": math.pi}


@pytest.mark.parametrize("arguments", [("--set", "workload.chunk=4KiB"), ("--chunk", "4KiB"), ("--time", "3s"), ("--save", "x.toml")])
def test_resume_takes_nothing_that_changes_the_run(arguments, capsys):
    """`--resume` with an option that changes the study is refused with the list of those."""
    done = invoke(capsys, "run", "--resume", "results/x", *arguments)
    assert done.code == 2
    assert "--resume: cannot be combined with options that change the run" in done.err


@pytest.mark.parametrize("name", ["nothing.toml", "nothing"])
def test_study_of_refuses_what_is_nothing(name):
    """A name that means nothing is a ConfigError in the API."""
    with pytest.raises(ConfigError):
        api.study_of(name)
