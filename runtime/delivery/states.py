"""The state machines of delivery: an upload stream at its sender, a large message on its way in."""

from enum import Enum

from twintier.runtime.machine import Machine


class UploadState(Enum):
    """Of one stream in an outbox."""

    EMPTY = "empty"
    """Everything is over."""
    WAITING = "waiting"
    """Sent, and to be sent again after a pause that doubles."""
    HASTENED = "hastened"
    """To be sent again at once: its receiver has asked, or takes what it did not take before."""


class UploadEvent(Enum):
    """What happens to a stream in an outbox."""

    KEPT = "another upload is kept"
    ASKED = "its receiver asks for what comes next, or goes on taking"
    SENT_AGAIN = "the oldest are sent again"
    SOME_OVER = "some are confirmed, refused, expired or dropped"
    ALL_OVER = "none is left"


UPLOAD_STREAM = Machine(
    "upload stream",
    "What a sender keeps of one stream until its receiver has confirmed it (`outbox.py`).",
    UploadState.EMPTY,
    {
        UploadState.EMPTY: {
            UploadEvent.KEPT: UploadState.WAITING,
            UploadEvent.ALL_OVER: UploadState.EMPTY,
        },
        UploadState.WAITING: {
            UploadEvent.KEPT: UploadState.WAITING,
            UploadEvent.ASKED: UploadState.HASTENED,
            UploadEvent.SENT_AGAIN: UploadState.WAITING,
            UploadEvent.SOME_OVER: UploadState.WAITING,
            UploadEvent.ALL_OVER: UploadState.EMPTY,
        },
        UploadState.HASTENED: {
            UploadEvent.KEPT: UploadState.HASTENED,
            UploadEvent.ASKED: UploadState.HASTENED,
            UploadEvent.SENT_AGAIN: UploadState.WAITING,
            UploadEvent.SOME_OVER: UploadState.HASTENED,
            UploadEvent.ALL_OVER: UploadState.EMPTY,
        },
    },
)


class LargeState(Enum):
    """Of a large message on its way in."""

    ANNOUNCED = "announced"
    """Its claim check is here; nothing can be asked for before its chunks are listened to."""
    ASKED = "asked"
    """Chunks have been asked for."""
    SILENT = "silent"
    """Nothing new has come for a while; what is missing was asked for again."""
    WHOLE = "whole"
    GIVEN_UP = "given up"


class LargeEvent(Enum):
    """What happens to a large message on its way in."""

    LISTENING = "its chunks are listened to"
    CHUNK = "a new chunk comes"
    LAST_CHUNK = "the last chunk comes"
    SILENCE = "nothing new comes for a while"
    GONE = "its sender no longer has it"
    TOO_LATE = "its time or its silences are over"


_END = {LargeEvent.GONE: LargeState.GIVEN_UP, LargeEvent.TOO_LATE: LargeState.GIVEN_UP}
_ON = {
    LargeEvent.CHUNK: LargeState.ASKED,
    LargeEvent.LAST_CHUNK: LargeState.WHOLE,
    LargeEvent.SILENCE: LargeState.SILENT,
    **_END,
}
LARGE_MESSAGE = Machine(
    "large message",
    "What a receiver asks for chunk by chunk (`large_messages.py`).",
    LargeState.ANNOUNCED,
    {
        LargeState.ANNOUNCED: {LargeEvent.LISTENING: LargeState.ASKED, **_ON},
        LargeState.ASKED: {LargeEvent.LISTENING: LargeState.ASKED, **_ON},
        LargeState.SILENT: {LargeEvent.LISTENING: LargeState.SILENT, **_ON},
        LargeState.WHOLE: {},
        LargeState.GIVEN_UP: {},
    },
)
