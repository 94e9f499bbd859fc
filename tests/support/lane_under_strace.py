"""Run one lane for the system-call tests: verify it, measure two windows between marks that strace sees, and tell what happened.

Argument: JSON with mechanism, options, size, chunk, senders, sink and "pipe", which may be "refused".
"""

import json
import os
import sys

from zcload.host.machine import Machine
from zcload.lane import rest
from zcload.lane.payload import open_source
from zcload.lane.placement import Placement
from zcload.lane.sender import shares
from zcload.lane.set_up import set_up
from zcload.linux import descriptors
from zcload.mechanisms import RELAYS
from zcload.model.study import Point, Variant
from zcload.runner.window import measure

asked = json.loads(sys.argv[1])
# The look after the workers that a slow way to rest has is not of interest here, and everything is slow under strace.
rest.LOOK_AFTER_WORKERS_S = 60.0

if asked.get("pipe") == "refused":

    def refuse(fd, command, *rest):
        if command == descriptors.F_SETPIPE_SZ:
            raise PermissionError
        return real(fd, command, *rest)

    real, descriptors.fcntl.fcntl = descriptors.fcntl.fcntl, refuse


def mark(name):
    """Make a system call that stands out in the log."""
    os.access(f"/mark/{name}", os.F_OK)


senders = asked["senders"]
point = Point(
    file_size=asked["size"],
    chunk=asked["chunk"],
    senders=senders,
    sink=asked["sink"],
    placement="free",
    rate_bps=asked["rate_bps"],
    origin="sendfile" if asked["mechanism"] in RELAYS else None,
)
source = open_source(point, lambda what, fraction: None)
everywhere = frozenset(os.sched_getaffinity(0))
placement = Placement((everywhere,) * senders, (everywhere,), everywhere, relays=(everywhere,) * point.relays)
variant = Variant("v", asked["mechanism"], options=asked["options"])
lane = set_up(variant.at(point), point, fd=source.fd, size=source.size, placement=placement, congestion=None, verify=asked["verify"])
if asked["verify"]:
    parts = tuple((share.start, share.end) for share in shares(source.size, senders))
    lane.verify(source.share_digests(parts, lambda what, fraction: None), 20)
else:
    lane.ready()
rest.wait_for_rest(lane)
machine = Machine()
records = []
for window in range(2):
    mark(f"begin{window}")
    records.append(measure(lane, 0.06, machine))
    mark(f"end{window}")
told = {
    "coordinator": os.getpid(),
    "senders": [worker.pid for worker in lane.workers.senders],
    "receivers": [worker.pid for worker in lane.workers.receivers],
    "relays": [worker.pid for worker in lane.workers.relays],
    "observed": [process.clock for process in (*lane.observed_senders, *lane.observed_receivers)],
    "gates": list(lane.gate.fds),  # tear_down forgets them
    "sender_calls": lane.sender_calls,
    "receiver_calls": lane.receiver_calls,
    "relay_calls": lane.relay_calls,
    "records": records,
}
lane.report()
lane.tear_down()
print(json.dumps(told))
