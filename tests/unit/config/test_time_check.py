"""A time limit that cannot hold the least number of generations is refused before anything is measured."""

from __future__ import annotations

import pytest
from support.paths import CONFIGS

from zcload import config
from zcload.config.overrides import Override
from zcload.errors import ConfigError
from zcload.runner import preflight
from zcload.runner.plan import plan

HEAD = '[study]\nname = "s"\nbaseline = "read_send"\nvariants = ["read_send", "sendfile"]\n'
WINDOWS_OF_1_S = HEAD + '[stop]\nwindow = "1s"\nmax_time = "8s"\n'
SLOW = HEAD + '[workload]\nsenders = 2\nchunk = "512KiB"\nrate = ["500Mbit/s", "2Gbit/s"]\n[stop]\nmax_time = "12s"\n'
SHIPPED = sorted(path.relative_to(CONFIGS) for path in CONFIGS.rglob("*") if path.suffix in (".toml", ".yaml"))


def refusal(text, *overrides):
    """Return the error that keeps the config *text* from being measured, None where it may be."""
    study = config.loads(text, name="c.toml", overrides=overrides)
    try:
        preflight.resolve(study)
    except ConfigError as error:
        return str(error)
    return None


def test_windows_too_long_for_the_limit_are_refused():
    """Windows of 1 s of two lanes need 3 s a lane and generation: the error has file, line, key, what is needed and what to change."""
    assert refusal(WINDOWS_OF_1_S) == (
        "c.toml:7: stop.max_time: 8 s cannot hold 6 generations of 2 lanes with windows of 1 s (stop.window), "
        'which take 36 s (max_time = "45s", or window = "175ms")'
    )


def test_rates_that_make_windows_too_long_for_the_limit_are_refused():
    """A rate that needs windows of 1.68 s is refused where the limit holds fewer than min_generations of them, with a chunk that fits."""
    assert refusal(SLOW) == (
        "c.toml:10: stop.max_time: 12 s cannot hold 6 generations of 2 lanes with windows of 1.68 s (for the rate), "
        'which take 43 s (max_time = "53s", or chunk = "64KiB")'
    )


@pytest.mark.parametrize("text", [WINDOWS_OF_1_S, SLOW])
def test_each_remedy_is_one(text):
    """Either change that the error names makes the study one that may be measured."""
    quoted = refusal(text).rpartition(" (")[2].removesuffix(")").replace('"', "").split(", or ")
    assert len(quoted) == 2
    for change in quoted:
        key, _, value = change.partition(" = ")
        assert refusal(text, f"{'workload' if key == 'chunk' else 'stop'}.{key}={value}") is None


def test_fewer_generations_are_a_way_out():
    """What is compared with the limit is min_generations times the shortest generation."""
    assert refusal(SLOW, "stop.min_generations=2", "stop.max_time=15s") is None
    assert "2 generations" in refusal(SLOW, "stop.min_generations=2", "stop.max_time=14s")


def test_an_option_that_sets_the_limit_is_named():
    """A limit from the command line is refused under its option; one that the option mends is not refused."""
    short = Override.of("--max-time", "stop.max_time", "5s")
    assert refusal(WINDOWS_OF_1_S, short).startswith("--max-time: 5 s cannot hold 6 generations")
    assert "(--max-time 45s, or window = " in refusal(WINDOWS_OF_1_S, short)
    assert refusal(WINDOWS_OF_1_S, Override.of("--max-time", "stop.max_time", "40s")) is None
    assert refusal(WINDOWS_OF_1_S, "stop.max_time=5s").startswith("--set: stop.max_time: 5 s cannot hold")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (HEAD + '[stop]\nwindow = "10s"\n', "c.toml:6: stop.window: 1 min cannot hold"),
        (HEAD + '[workload]\nsenders = 2\nrate = ["max", "150Mbit/s"]\n', "c.toml:7: workload.rate[2]: 1 min cannot hold"),
    ],
)
def test_a_default_limit_is_refused_where_the_windows_come_from(text, where):
    """Where the limit is not written the error is at the key that makes the windows long."""
    assert refusal(text).startswith(where)


def test_a_short_limit_gives_few_generations_where_windows_may_be_short():
    """Windows that zcload chooses itself at full speed are refused only where not even the two of an interval fit."""
    assert refusal(HEAD, "stop.max_time=600ms") is None
    assert "cannot hold 2 generations of 2 lanes with windows of 40 ms, which take" in refusal(HEAD, "stop.max_time=400ms")


def test_a_crossover_is_refused_by_its_own_limit():
    """The time of a search must hold the least number of generations at two values."""
    search = HEAD + '[stop]\nwindow = "1s"\n[crossover]\nsweep = "chunk"\nmax_time = "1m"\n'
    assert refusal(search).startswith("c.toml:9: crossover.max_time: 1 min cannot hold")
    assert refusal(search, "crossover.max_time=2m") is None


@pytest.mark.parametrize("name", SHIPPED, ids=str)
def test_shipped_configs_have_the_time_they_need(name):
    """No shipped config is refused, and none needs more for a point than its limit."""
    study = config.load(CONFIGS / name)
    assert study.too_short is None
    if study.crossover is None:
        assert plan(study).measure_s == pytest.approx(study.stop.max_time_s * len(study.points))
