"""What the config already has a word for and zcload does not do yet: refused in plain words, never ignored.

Building one of these removes its line here; a mechanism or sink is lifted by its registration alone.
"""

from __future__ import annotations

MECHANISMS_TO_COME = ("ktls_sendfile",)
SINKS_TO_COME = ("splice_null", "file", "splice_file", "zerocopy_receive")

# Workload keys of which only these values work so far.
ONLY = {
    "cache": ("warm",),
    "rate": ("max",),
    "transfer": ("stream",),
    "network": ("loopback",),
}

VARIANT_KINDS_TO_COME = ("server",)
