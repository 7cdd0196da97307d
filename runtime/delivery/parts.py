"""The parts of one process's delivery, each made from those that it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from twintier.broker.bus import Bus
from twintier.broker.clock import Clock
from twintier.protocol.catalogue import Role
from twintier.runtime.delivery.acknowledgements import Acknowledgements
from twintier.runtime.delivery.bulk import Bulk, ChunkRoute
from twintier.runtime.delivery.decoder import Decoder
from twintier.runtime.delivery.encoder import Encoder
from twintier.runtime.delivery.large_messages import LargeReceiver, LargeSender
from twintier.runtime.delivery.ledger import Ledger
from twintier.runtime.delivery.meter import Meter
from twintier.runtime.delivery.outbox import Outbox
from twintier.runtime.delivery.positions import Positions
from twintier.runtime.delivery.presence import Presence
from twintier.runtime.delivery.publisher import Publisher
from twintier.runtime.delivery.refusals import Refusals
from twintier.runtime.delivery.send_queue import SendQueue
from twintier.runtime.delivery.signer import Signer
from twintier.runtime.delivery.subscriptions import Subscriptions
from twintier.runtime.delivery.upload_sender import UploadSender
from twintier.runtime.effects import Subscribe
from twintier.runtime.saving import Saving
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import Store


@dataclass(frozen=True, slots=True)
class WayOut:
    """What sends, and what is known of it."""

    src: str
    """Whose messages these are, `plvn:p1`."""
    queue: SendQueue
    """Of the control connection; acknowledgements and filters go through it too."""
    bulk: Bulk | None
    """A second connection for chunks; without it they share the first."""
    route: ChunkRoute
    outbox: Outbox
    large: LargeSender
    uploads: UploadSender
    publisher: Publisher
    presence: Presence
    ledger: Ledger
    meter: Meter
    saving: Saving
    """What is durable, before which nothing is sent."""


@dataclass(frozen=True, slots=True)
class WayIn:
    """What receives, but for the receiver itself."""

    decoder: Decoder
    positions: Positions
    acknowledgements: Acknowledgements
    large: LargeReceiver
    refusals: Refusals
    subscriptions: Subscriptions


@dataclass(frozen=True, slots=True)
class Connections:
    """The buses of one process, not connected yet."""

    control: Bus
    bulk: Bus | None = None


def way_out(
    role: Role,
    sender: str,
    connections: Connections,
    decoder: Decoder,
    *,
    store: Store,
    saving: Saving,
    clock: Clock,
    settings: RuntimeSettings,
) -> WayOut:
    """The way out of a process, with the uploads that its store remembers."""
    src, incarnation = f"{role}:{sender}", settings.incarnation
    outbox = Outbox(src, store.uploads(src), settings.delivery.outbox)
    encoder = Encoder(
        role,
        sender,
        incarnation,
        root=settings.root,
        clock_id=settings.clock_id,
        low_watermark=lambda stream: outbox.low_watermark(incarnation, stream),
    )
    signer = Signer(role, settings.sign_key)
    queue, limit = SendQueue(settings.queue_limit), settings.queue_limit
    bulk = None if connections.bulk is None else Bulk(connections.bulk, limit)
    route = ChunkRoute(queue, bulk)
    meter = Meter(role, connections.control, decoder, queue, outbox, bulk=bulk)
    ledger, presence = Ledger(settings.ledger_path), Presence(src, incarnation)
    chunk_bytes = settings.delivery.chunk_bytes
    large = LargeSender(encoder, signer, clock, queue=queue, route=route, chunk_bytes=chunk_bytes)
    uploads = UploadSender(src, outbox, saving, clock, queue=queue, large=large)
    publisher = Publisher(
        encoder, signer, large, clock, ledger=ledger, meter=meter, presence=presence, saving=saving
    )
    return WayOut(
        src, queue, bulk, route, outbox, large, uploads, publisher, presence, ledger, meter, saving
    )


def way_in(
    role: Role,
    out: WayOut,
    decoder: Decoder,
    routes: Sequence[Subscribe],
    *,
    store: Store,
    clock: Clock,
    settings: RuntimeSettings,
) -> WayIn:
    """The way into a process, with the positions that its store remembers."""
    root, publish, times = settings.root, out.publisher.publish, settings.delivery
    positions = Positions(store.accepted(clock.now()))
    large = LargeReceiver(
        role, root, clock, route=out.route, publish=publish, silence_s=times.silence_s
    )
    return WayIn(
        decoder,
        positions,
        Acknowledgements(positions, publish, times.ack_s),
        large,
        Refusals(role, root, out.meter, settings.reports_per_s, publish),
        Subscriptions(root, out.ledger, routes),
    )
