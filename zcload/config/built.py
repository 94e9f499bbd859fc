"""What the config already has a word for and zcload does not do yet: refused in plain words, never ignored.

Building one of these removes its line here.
"""

from __future__ import annotations

# Workload keys of which only these values work so far.
ONLY = {
    "transfer": ("stream",),
}
