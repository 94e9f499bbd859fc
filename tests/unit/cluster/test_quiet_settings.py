"""The quiet settings: names that Dask knows, and the words for a process that is not quiet."""

from __future__ import annotations

import dask
import distributed.core
import distributed.scheduler

from zcload.cluster.quiet_settings import OF_A_SCHEDULER, OF_A_WORKER, differences, quiet_settings


def test_every_setting_is_one_of_dask():
    """Each key of quiet.yaml is a key of this Dask, whose own value is another: no line of it is without effect."""
    defaults = dask.config.merge(*dask.config.defaults)
    for key, value in quiet_settings().items():
        assert dask.config.get(key, config=defaults) != value, key


def test_what_is_not_quiet_is_told_by_its_key():
    """The defaults of Dask differ in what wakes a worker; the quiet settings do not differ from themselves."""
    told = differences(dask.config.get("distributed"), OF_A_WORKER)
    assert "worker.profile.enabled is True, not False" in told
    assert "admin.tick.interval is 20ms, not 10s" in told
    assert "scheduler.work-stealing is True, not False" in differences(dask.config.get("distributed"), OF_A_SCHEDULER)
    with dask.config.set(quiet_settings()):
        assert differences(dask.config.get("distributed"), ("scheduler", "worker", "admin")) == []


def test_the_names_that_the_preload_replaces_are_there():
    """This Dask still has the two names without a setting that zcload/cluster/quiet.py replaces."""
    assert distributed.scheduler.heartbeat_interval(2) == 0.5
    assert distributed.core.tick_maximum_delay > 0
