"""Checks that need several keys or a registry, one file per subject. All read the resolved config."""

from __future__ import annotations

from zcload.config.checks.ahead_checks import find_http2, find_sinks_that_take_ahead
from zcload.config.checks.cluster_checks import find_cluster
from zcload.config.checks.crossover_checks import find_crossover
from zcload.config.checks.rate_checks import find_slow_rates
from zcload.config.checks.relay_checks import find_relays
from zcload.config.checks.server_checks import find_servers
from zcload.config.checks.tls_checks import find_sinks_below_tls
from zcload.config.checks.variant_checks import find_variants
from zcload.config.checks.workload_checks import find_workload
from zcload.config.finding import Finding
from zcload.config.resolved import Resolved

CHECKS = (
    find_variants,
    find_servers,
    find_relays,
    find_sinks_below_tls,
    find_sinks_that_take_ahead,
    find_http2,
    find_slow_rates,
    find_crossover,
    find_workload,
    find_cluster,
)


def find_across(config: Resolved) -> list[Finding]:
    """Return what is wrong across keys of *config*."""
    return [finding for find in CHECKS for finding in find(config)]
