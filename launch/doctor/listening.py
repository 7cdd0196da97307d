"""What the doctor hears when it listens to the platform for a moment, and what that tells. Pure."""

from dataclasses import dataclass, field

from twintier.launch.doctor.findings import Finding
from twintier.protocol.codec import Decoded
from twintier.protocol.messages import AgentStatusReported, CloudStatusReported, EdgeStatusReported

SKEW_S = 1.0
"""Clocks may differ by so much; nothing dies by more, but times in logs do not fit together."""
LEASES = 3
"""Leases that a retained status may be old before it is left over from somebody long gone."""
CHANGES = 2
"""Changes between two processes of one identity that no restart explains."""


@dataclass(slots=True)
class _Source:
    """One identity on the bus."""

    boots: list[str] = field(default_factory=list)
    """Processes in the order heard, an entry for each change."""
    smallest_s: dict[str, float] = field(default_factory=dict)
    """Smallest difference between our clock and each process's."""


@dataclass(frozen=True, slots=True)
class _Status:
    """A retained status that says `online`."""

    topic: str
    src: str
    age_s: float
    lease_s: float


@dataclass(slots=True)
class Heard:
    """What has been heard so far."""

    sources: dict[str, _Source] = field(default_factory=dict)
    statuses: dict[str, _Status] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    """Types of the messages that came."""
    unreadable: int = 0
    """Messages that are none of the catalogue's."""

    def take(self, decoded: Decoded, topic: str, now: float, *, retained: bool) -> None:
        """Take a message in.

        Args:
            decoded: the message.
            topic: where it came.
            now: our wall time, Unix seconds.
            retained: whether it is a kept value; those say nothing of who is there now.
        """
        envelope = decoded.envelope
        self.kinds.add(envelope.type)
        difference_s = now - envelope.ts_ns / 1e9
        match decoded.message:
            case AgentStatusReported() | EdgeStatusReported() | CloudStatusReported() as status:
                self.statuses.pop(topic, None)
                if retained and status.state == "online":
                    self.statuses[topic] = _Status(
                        topic, envelope.src, difference_s, status.lease_s
                    )
            case _:
                pass
        if retained or envelope.stream == "will":
            return
        source = self.sources.setdefault(envelope.src, _Source())
        if source.boots[-1:] != [envelope.boot]:
            source.boots.append(envelope.boot)
        smallest_s = source.smallest_s.get(envelope.boot, difference_s)
        source.smallest_s[envelope.boot] = min(smallest_s, difference_s)


def findings_of(heard: Heard, seconds: float) -> list[Finding]:
    """What it tells."""
    return [
        _presence(heard, seconds),
        *_skew(heard),
        *_duplicates(heard, seconds),
        *_left_over(heard),
    ]


def _presence(heard: Heard, seconds: float) -> Finding:
    seen = f"{len(heard.sources)} identities spoke in {seconds:.0f} s"
    if heard.unreadable:
        seen += f"; {heard.unreadable} messages were none of the catalogue's"
        fix = "find their sender with `twintier watch`; receivers refuse and count them"
        return Finding("listening", "warning", seen, "0 unreadable", fix)
    return Finding("listening", "ok", seen)


def _skew(heard: Heard) -> list[Finding]:
    offsets = {s: min(heard.sources[s].smallest_s.values(), key=abs) for s in heard.sources}
    if not offsets:
        return []
    wrong = {s: offset for s, offset in sorted(offsets.items()) if abs(offset) > SKEW_S}
    largest_s = max(map(abs, offsets.values()))
    limit = f"{SKEW_S:.0f} s, with the message's way in it"
    if not wrong:
        return [Finding("clocks", "ok", f"clocks differ from ours by {largest_s:.3f} s", limit)]
    said = ", ".join(
        f"{src} is {abs(offset):.1f} s {'behind' if offset > 0 else 'ahead'}"
        for src, offset in wrong.items()
    )
    fix = "run chrony or another NTP client on those machines"
    return [Finding("clocks", "warning", said, limit, fix)]


def _duplicates(heard: Heard, seconds: float) -> list[Finding]:
    twice = [src for src, source in sorted(heard.sources.items()) if len(source.boots) > CHANGES]
    limit = "one process an identity"
    if not twice:
        return [Finding("identities", "ok", "no identity is used by two processes", limit)]
    said = ", ".join(
        f"{src} ({' and '.join(dict.fromkeys(heard.sources[src].boots))})" for src in twice
    )
    seen = f"two processes spoke in turn as {said} within {seconds:.0f} s"
    return [Finding("identities", "problem", seen, limit, "end one of them, or rename it")]


def _left_over(heard: Heard) -> list[Finding]:
    old = [s for s in heard.statuses.values() if s.age_s > LEASES * s.lease_s]
    findings = []
    for status in sorted(old, key=lambda s: s.topic):
        if status.src in heard.sources:  # it spoke: it is there, and only its clock is behind
            continue
        seen = f"{status.src} is said to be online, {status.age_s:.0f} s old"
        fix = f"mosquitto_pub -r -n -t {status.topic}    (if it is not to come back)"
        limit = f"{LEASES} leases of {status.lease_s:.0f} s"
        findings.append(Finding("leases", "warning", seen, limit, fix))
    return findings or [Finding("leases", "ok", "no status is left over from somebody gone")]
