"""The effects of one input as a batch: encoded, then saved, then posted.

Nothing of a batch leaves before all of it is durable. A batch that could not be saved leaves no
trace but in its core, whose memory is then ahead of its store: numbers of messages are given again,
and uploads are kept only once they are saved.
"""

from collections.abc import Callable, Sequence

from twintier.runtime.delivery.outgoing import Outgoing
from twintier.runtime.delivery.publisher import Publisher
from twintier.runtime.delivery.upload_sender import UploadSender
from twintier.runtime.effects import Effect, Publish, Record, Save
from twintier.runtime.storage.store import Store


class NotSavedError(Exception):
    """The store did not keep the records; its error is the cause."""


class Batch:
    """What one input of a core has caused, on its way out."""

    def __init__(
        self,
        effects: Sequence[Effect],
        publisher: Publisher,
        uploads: UploadSender,
        *,
        incarnation: str,
        now: float,
    ) -> None:
        """Encode the messages, each with its place in its stream.

        Raises:
            LocalProtocolError: if the address of one lacks a level, or it is too large.
        """
        self._effects = effects
        self._publisher = publisher
        self._uploads = uploads
        self._now = now
        self._encoded: dict[int, Outgoing] = {
            index: publisher.encode(effect, now)
            for index, effect in enumerate(effects)
            if isinstance(effect, Publish)
        }
        kept = [outgoing for outgoing in self._encoded.values() if outgoing.guarantee == "outbox"]
        self._journal = uploads.planned(kept, incarnation, now)

    def save(self, store: Store, beside: Sequence[Record]) -> None:
        """Make everything durable in one transaction, with some records beside it.

        Raises:
            NotSavedError: if the store fails; then the batch is void.
        """
        records = [effect.record for effect in self._effects if isinstance(effect, Save)]
        try:
            save(store, [*records, *self._journal, *beside])
        except NotSavedError:
            self._publisher.take_back(tuple(self._encoded.values()))
            raise
        self._uploads.keep(self._journal, self._now)

    def post(self, do: Callable[[Effect], None]) -> None:
        """Queue the messages, and do the other effects, in their order."""
        for index, effect in enumerate(self._effects):
            if isinstance(effect, Publish):
                self._publisher.post(effect, self._encoded[index], self._now)
            else:
                do(effect)


def save(store: Store, records: Sequence[Record]) -> None:
    """Make records durable; none is no work for the store.

    Raises:
        NotSavedError: if the store fails, whatever it raises.
    """
    if not records:
        return
    try:
        store.save(records)
    except Exception as error:
        raise NotSavedError from error
