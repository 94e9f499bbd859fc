"""What the config already has a word for and zcload does not do yet: refused in plain words, never ignored.

Building one of these removes its line here; a mechanism or sink is lifted by its registration alone.
"""

from __future__ import annotations

MECHANISMS_TO_COME = (
    "msg_zerocopy",
    "msg_zerocopy_buffer",
    "uring_read_send",
    "uring_send_zc",
    "uring_send_zc_fixed",
    "uring_splice",
)
SINKS_TO_COME: tuple[str, ...] = ()

# Workload keys of which only these values work so far.
ONLY = {
    "rate": ("max",),
    "transfer": ("stream",),
}

VARIANT_KINDS_TO_COME = ("server",)
