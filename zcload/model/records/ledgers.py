"""Types of what summary.json says of the hosts and links of a run on several, and of the edges of its windows."""

from __future__ import annotations

from zcload.model.records.values import Amount, ClusterFacts, Count, Number, Stored


class SendingPart(Stored, total=False):
    """What the kernel said of a host's sends; null on a host that sends nothing, and for what kernel or mechanism do not count.

    *copied_fraction* is the share of the zero-copy completions that say "copied". The rest is of TCP_INFO at the end of each generation:
    *retransmits* in segments, the median of the smoothed *round_trip_s*, and in which share of the time with data queued the receiver's
    window and the send buffer held the senders back.
    """

    copied_fraction: Number | None
    retransmits: Count | None
    round_trip_s: Number | None
    rwnd_limited: Number | None
    sndbuf_limited: Number | None


class HostLedger(SendingPart):
    """What one host moved and used in the windows of a variant.

    CPU per GB is null for a role that the host did not have. *receive_goodput_bps* is by the host's own clock. *machine_cpu_s* is what its
    machine was busy for, the idle use not taken off; *interrupt_cpu_s* the hard and soft interrupts in that, as far as the kernel counts
    them apart. *agent_cores* and *engine_cores* are what zcload's agent and the engine's process used while gates were open.
    """

    host: str
    sent_gb: Amount
    received_gb: Amount
    sender_cpu_s_per_gb: Number | None
    receiver_cpu_s_per_gb: Number | None
    receive_goodput_bps: Number | None
    machine_cpu_s: Number
    interrupt_cpu_s: Number
    agent_cores: Number
    engine_cores: Number
    agent_switches_per_s: Number
    engine_switches_per_s: Number


class LinkLedger(Stored):
    """What went from one host to another in the windows of a variant, and the CPU of both ends' workers for it."""

    sender: str
    receiver: str
    gb: Amount
    cpu_s_per_gb: Number | None
    goodput_bps: Number | None


class EdgesRecord(Stored):
    """How far the openings of a window lay apart on its hosts (s), and what agent and engine used, on the host where that was most."""

    windows: Count
    skew_median_s: Amount
    skew_most_s: Amount
    agent_cores_most: Number
    engine_cores_most: Number


class EdgePart(Stored, total=False):
    """What a point of a run on several hosts has more than others."""

    edges: EdgesRecord


class HostLedgers(Stored, total=False):
    """What a variant of a run on several hosts has more than others; the slowest link comes first."""

    hosts: list[HostLedger]
    links: list[LinkLedger]


class ClusterPart(Stored, total=False):
    """What the summary of a run on several hosts has more than others."""

    cluster: ClusterFacts
