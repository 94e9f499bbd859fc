"""A preload for `dask scheduler` and `dask worker`: importing it makes the process quiet. Nothing else imports it.

The command line of Dask imports preloads before it makes a scheduler or a worker, so settings that are read only then still count.
"""

from __future__ import annotations

import dask
import distributed.core
import distributed.scheduler

from zcload.cluster.quiet_settings import HEARTBEAT_S, quiet_settings

dask.config.set(quiet_settings())
# Neither has a setting that can still be changed here, and both names are Dask's own: a version without them is noisier, not broken.
# `zcload cluster check` and every run tell by what interval heartbeats really come.
if hasattr(distributed.scheduler, "heartbeat_interval"):
    distributed.scheduler.heartbeat_interval = lambda n: HEARTBEAT_S
if hasattr(distributed.core, "tick_maximum_delay"):
    distributed.core.tick_maximum_delay = 60.0
