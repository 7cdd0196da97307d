"""What a process does about others of its own source: the younger goes on, the elder ends."""

import asyncio

from twintier.runtime.delivery.parts import WayOut
from twintier.runtime.delivery.presence import Heard
from twintier.runtime.driver import Driver


class Succession:
    """Of one process."""

    def __init__(self, out: WayOut, driver: Driver) -> None:
        self._out = out
        self._driver = driver
        self.stopping = asyncio.Event()
        """The process is to end, of its own will or because a later one has come."""
        self.taken_over = False

    def meet(self, heard: Heard) -> None:
        """Another process of our source has spoken."""
        self._out.meter.counts[f"presence.{heard}"] += 1
        if heard == "successor":
            self.taken_over = True
            self._driver.quiesce()
            self.stopping.set()
        else:
            self.say_status()

    def say_status(self) -> None:
        """Say our status again, which a will or a predecessor has spoken against."""
        status = self._out.presence.status
        if status is not None and not self.taken_over:
            self._out.publisher.publish(status)

    def say_retained(self) -> None:
        """Say all again that the broker keeps for us, which one without a disk has forgotten."""
        if not self.taken_over:
            for value in self._out.presence.retained:
                self._out.publisher.publish(value)
