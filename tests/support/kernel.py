"""What the kernel of this host can do by its version, asked without zcload's code: a test may skip for that, not for zcload's own error."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

RELEASE = os.uname().release


def older_than(*version: int) -> bool:
    """Return whether the kernel is older than *version*, (major, minor)."""
    return tuple(map(int, re.findall(r"\d+", RELEASE)[:2])) < version


# MADV_COLLAPSE: madvise(2).
needs_collapse = pytest.mark.skipif(
    older_than(6, 1) or not Path("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size").exists(),
    reason=f"Linux {RELEASE} gives files in memory no huge pages on demand; remedy: Linux 6.1 or newer with CONFIG_TRANSPARENT_HUGEPAGE",
)
