"""Messages above the chunk size: announced by a claim check, then served and asked for in chunks.

They travel over a connection of their own where there is one, so that control messages never wait
behind them. Nothing large is sent that nobody has asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from twintier.broker.bus import Delivery
from twintier.broker.clock import Clock
from twintier.protocol.address import Address
from twintier.protocol.catalogue import Role
from twintier.protocol.codec import Announced, announce
from twintier.protocol.messages import ChunkSent, ChunksRequested
from twintier.protocol.topics import subscription
from twintier.runtime.delivery.assemblies import Assemblies
from twintier.runtime.delivery.branches import own_branch, reply_address
from twintier.runtime.delivery.bulk import ChunkRoute
from twintier.runtime.delivery.chunks import LONGEST_S, Assembly, KeptMessages
from twintier.runtime.delivery.encoder import Encoder
from twintier.runtime.delivery.outgoing import Listening, Outgoing
from twintier.runtime.delivery.send_queue import SendQueue
from twintier.runtime.delivery.signer import Signer
from twintier.runtime.delivery.states import LargeEvent, LargeState
from twintier.runtime.effects import Publish

MAX_SILENCES = 30
"""After so many without a new chunk a large message is given up."""


class LargeSender:
    """The large messages that one process sends."""

    def __init__(
        self,
        encoder: Encoder,
        signer: Signer,
        clock: Clock,
        *,
        queue: SendQueue,
        route: ChunkRoute,
        chunk_bytes: int,
    ) -> None:
        """Keep nothing yet.

        Args:
            encoder: of the process.
            signer: of the process.
            clock: wall time.
            queue: of the control connection, for claim checks and all that is small.
            route: the way of chunks.
            chunk_bytes: above it a message travels in chunks.
        """
        self._encoder = encoder
        self._signer = signer
        self._clock = clock
        self._queue = queue
        self._route = route
        self._chunk_bytes = chunk_bytes
        self._kept = KeptMessages()

    def post(self, outgoing: Outgoing) -> None:
        """Queue a message, or its claim check if it is large."""
        if outgoing.bulk and len(outgoing.payload) > self._chunk_bytes:
            claim_check, blob = announce(outgoing.payload, self._chunk_bytes)
            kept_s = LONGEST_S if outgoing.ttl_s is None else min(outgoing.ttl_s, LONGEST_S)
            self._kept.keep(outgoing.payload, blob, self._clock.now() + kept_s)
            outgoing = replace(outgoing, payload=claim_check)
        self._queue.put(outgoing)

    def serve(self, request: ChunksRequested, topic: str) -> None:
        """Send the chunks asked for, on the branch of the message that they are of."""
        encoder = self._encoder
        to = reply_address(topic, encoder.root, encoder.role)
        if to is None:
            return
        now = self._clock.now()
        for chunk in self._kept.chunks(request, now):
            effect = Publish(chunk, replace(to, digest=request.digest))
            outgoing = encoder.encode(effect, now, stream=f"{to.branch}/blob")
            self._route.queue().put(self._signer.signed(effect, outgoing))


@dataclass(frozen=True, slots=True)
class Ended:
    """A large message that is whole, or never will be."""

    assembly: Assembly
    payload: bytes | None
    reason: str
    """Why there is no payload."""


class LargeReceiver:
    """The large messages on their way to one process, at most one of each stream."""

    def __init__(
        self,
        role: Role,
        root: str,
        clock: Clock,
        *,
        route: ChunkRoute,
        publish: Callable[[Publish], None],
        silence_s: float,
    ) -> None:
        """Wait for none.

        Args:
            role: of the process.
            root: of the topics.
            clock: wall time.
            route: the way of chunks.
            publish: sends a message.
            silence_s: without a chunk for so long, what is missing is asked for again.
        """
        self._role = role
        self._root = root
        self._clock = clock
        self._route = route
        self._publish = publish
        self._silence_s = silence_s
        self.assemblies = Assemblies()

    def begin(self, announced: Announced, delivery: Delivery) -> Ended | None:
        """Begin to ask for a message, and listen to its chunks; or end it if there is no room."""
        now, ttl_ms = self._clock.now(), announced.envelope.ttl_ms
        longest_s = LONGEST_S if ttl_ms is None else min(ttl_ms / 1000, LONGEST_S)
        assembly = Assembly(announced, delivery, now + longest_s)
        excess = self.assemblies.excess(announced)
        if excess is not None:
            return Ended(assembly, None, excess)
        assembly.retry_at = now + self._silence_s
        self.assemblies.add(assembly)
        self._listen(assembly, on=True)
        return None

    def listens(self, listening: Listening) -> None:
        """A change of filters is in force: chunks may be asked for now."""
        for assembly in self.assemblies:
            if listening.on and self._filter(assembly) in listening.filters:
                assembly.on(LargeEvent.LISTENING)
                self._ask(assembly, assembly.requests())

    def take(self, chunk: ChunkSent, src: str, digest: str) -> Iterator[Ended]:
        """Take a chunk in; the last one makes the message whole."""
        for assembly in self.assemblies.fed_by(src, digest):
            if chunk.state == "gone":
                assembly.on(LargeEvent.GONE)
                reason = "its sender no longer has it; wait until it is sent anew"
                yield self._given_up(assembly, reason)
            elif assembly.add(chunk):
                assembly.retry_at = self._clock.now() + self._silence_s
                if assembly.state is LargeState.WHOLE:
                    yield self._whole(assembly)
                else:
                    self._ask(assembly, assembly.requests())

    def chase(self, now: float) -> Iterator[Ended]:
        """Ask again for what is missing; what has been silent for too long is given up."""
        for assembly in self.assemblies:
            have, wanted = len(assembly.chunks), assembly.blob.chunks
            if now >= assembly.until or assembly.silences >= MAX_SILENCES:
                assembly.on(LargeEvent.TOO_LATE)
                reason = f"{have} of {wanted} chunks came in time; send it again"
                yield self._given_up(assembly, reason)
            elif now >= assembly.retry_at:
                assembly.retry_at = now + self._silence_s
                assembly.on(LargeEvent.SILENCE)
                assembly.silences += 1
                self._ask(assembly, assembly.missing() or assembly.requests())

    def next_due(self) -> float | None:
        """When something is to be asked for again; None if no message is under way."""
        return min((assembly.retry_at for assembly in self.assemblies), default=None)

    def _ask(self, assembly: Assembly, requests: Sequence[ChunksRequested]) -> None:
        to = reply_address(assembly.delivery.topic, self._root, self._role)
        for request in requests:
            self._publish(Publish(request, to or Address()))

    def _whole(self, assembly: Assembly) -> Ended:
        self._leave(assembly)
        payload = assembly.payload()
        reason = "" if payload else "its bytes do not have the digest that was announced"
        return Ended(assembly, payload, reason)

    def _given_up(self, assembly: Assembly, reason: str) -> Ended:
        self._leave(assembly)
        return Ended(assembly, None, reason)

    def _leave(self, assembly: Assembly) -> None:
        self.assemblies.remove(assembly)
        self._listen(assembly, on=False)

    def _listen(self, assembly: Assembly, *, on: bool) -> None:
        """Begin or end to hear chunks, unless another large message needs the same ones."""
        wanted = self._filter(assembly)
        if on or all(self._filter(other) != wanted for other in self.assemblies):
            self._route.queue().put_listening(Listening((wanted,), on))

    def _filter(self, assembly: Assembly) -> str:
        own = own_branch(assembly.delivery.topic, self._root)
        assert own is not None  # the catalogue has no large message beside a branch
        return subscription(ChunkSent, replace(own, digest=assembly.blob.digest), self._root)
