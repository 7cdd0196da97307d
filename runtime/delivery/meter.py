"""What a runtime counts, and the health report made of it."""

from collections import Counter

from twintier.broker.bus import Bus
from twintier.protocol.messages import Counter as NamedCount
from twintier.protocol.messages import HealthReported, PeerClock
from twintier.runtime.core import Role
from twintier.runtime.delivery.bulk import Bulk
from twintier.runtime.delivery.decoder import Decoder
from twintier.runtime.delivery.ledger import Messages
from twintier.runtime.delivery.outbox import Outbox
from twintier.runtime.delivery.send_queue import SendQueue

MAX_COUNTERS = 64
MAX_PEERS = 32


class Meter:
    """Counters and simulated time of one process."""

    def __init__(
        self,
        role: Role,
        bus: Bus,
        decoder: Decoder,
        queue: SendQueue,
        outbox: Outbox,
        *,
        bulk: Bulk | None = None,
    ) -> None:
        self._role: Role = role
        self._bus = bus
        self._decoder = decoder
        self._queue = queue
        self._outbox = outbox
        self._bulk = bulk
        self._started_at = 0.0
        self._last = (0.0, 0.0)
        self._sim_time_s = 0.0
        self.counts: Counter[str] = Counter()
        """Of the core, and refusals by code as `refused.CODE`."""
        self.delivered = 0
        self.refused = 0
        self.redelivered = 0
        """Uploads that came again; other repetitions are counted where they are found."""

    def start(self, now: float) -> None:
        """Uptime counts from here."""
        self._started_at = now
        self._last = (now, 0.0)

    def reached(self, sim_time_s: float) -> None:
        """Note simulated time that the core has spoken of."""
        self._sim_time_s = max(self._sim_time_s, sim_time_s)

    def refuse(self, code: str) -> None:
        """Count a refusal."""
        self.refused += 1
        self.counts[f"refused.{code}"] += 1

    @property
    def dropped(self) -> int:
        """Messages that a full queue, an absent bus or a refusal of the broker has cost."""
        control = self._queue.lost + self._bus.dropped + self._bus.refused
        return control + (0 if self._bulk is None else self._bulk.dropped)

    @property
    def refused_by_broker(self) -> int:
        """Messages of ours that the broker refused and said so; they are among the dropped."""
        return self._bus.refused + (0 if self._bulk is None else self._bulk.refused)

    @property
    def messages(self) -> Messages:
        """Totals so far; losses only show when ledgers are compared."""
        return Messages(
            published=self._queue.published,
            delivered=self.delivered,
            redelivered=self.redelivered + self._decoder.redelivered,
            refused=self.refused,
            lost=0,
        )

    def health(self, now: float) -> HealthReported:
        """The report since the last one."""
        last_now, last_sim_s = self._last
        self._last = (now, self._sim_time_s)
        known = last_sim_s > 0 and now > last_now
        speed = (self._sim_time_s - last_sim_s) / (now - last_now) if known else 0.0
        counts = self.counts + self._outbox.counts
        if len(self._outbox):
            counts["uploads_kept"] = len(self._outbox)
        if self._decoder.expired:
            counts["expired"] = self._decoder.expired
        if self.refused_by_broker:
            counts["refused_by_broker"] = self.refused_by_broker
        return HealthReported(
            role=self._role,
            uptime_s=max(0.0, now - self._started_at),
            published=self._queue.published,
            delivered=self.delivered,
            redelivered=self.redelivered + self._decoder.redelivered,
            refused=self.refused,
            dropped=self.dropped,
            inbox=self._bus.waiting,
            sim_time_s=self._sim_time_s,
            speed=speed,
            counters=tuple(
                NamedCount(name=name[:64], count=count)
                for name, count in sorted(counts.items())[:MAX_COUNTERS]
            ),
            peers=tuple(
                PeerClock(src=src, offset_s=offset_s)
                for src, offset_s in sorted(self._decoder.offsets_s(MAX_PEERS).items())
            ),
        )
