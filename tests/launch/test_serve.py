"""How a process ends: at each signal, at once, and with its handlers as they were."""

import asyncio
import os
import signal
import threading

import pytest

from twintier.launch.serve import run_until_signal, unless_stopped
from twintier.launch.signals import STOP_SIGNALS, interrupt_at_signals


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_each_signal_stops_what_runs_and_leaves_the_handlers_of_before(
    number: signal.Signals,
) -> None:
    before = [signal.getsignal(each) for each in STOP_SIGNALS]

    async def main(stop: asyncio.Event) -> int:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await stop.wait()
        return 7

    assert run_until_signal(main) == 7
    assert [signal.getsignal(each) for each in STOP_SIGNALS] == before


def test_a_closed_terminal_does_not_end_what_was_started_with_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def main(stop: asyncio.Event) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)  # comes after it
        await usr1.wait()
        return int(stop.is_set())

    usr1 = asyncio.Event()

    async def beside(stop: asyncio.Event) -> int:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, usr1.set)
        return await main(stop)

    try:
        assert run_until_signal(beside) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_end_waits_for_no_thread() -> None:
    ended, never = threading.Event(), threading.Event()

    def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        never.wait(30)
        ended.set()

    async def main(stop: asyncio.Event) -> int:
        await unless_stopped(asyncio.to_thread(work), stop)
        return 0

    try:
        assert run_until_signal(main) == 0
        assert not ended.is_set()
    finally:
        never.set()


def test_work_ends_with_its_result_its_error_or_the_stop() -> None:
    async def scenario() -> None:
        stop = asyncio.Event()

        async def gives() -> int:
            return 3

        async def fails() -> int:
            raise ValueError("broken")

        assert await unless_stopped(gives(), stop) == 3
        with pytest.raises(ValueError, match="broken"):
            await unless_stopped(fails(), stop)
        stop.set()
        assert await unless_stopped(asyncio.Event().wait(), stop) is None

    asyncio.run(scenario())


def test_sigterm_and_sighup_interrupt_what_has_no_loop_yet() -> None:
    kept = {number: signal.signal(number, signal.SIG_DFL) for number in STOP_SIGNALS[1:]}
    try:
        interrupt_at_signals()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
