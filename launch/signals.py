"""The signals that end a process. Light, for every command begins here."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_at_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does, so that nothing is left behind."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def handlers_kept() -> Iterator[None]:
    """The handlers of before are back afterwards; an event loop that ends leaves the system's."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
