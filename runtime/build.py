"""Puts a runtime together, each part from those that it needs: none waits to be completed."""

from collections.abc import Sequence

from twintier.broker.bus import Bus
from twintier.broker.clock import Clock
from twintier.runtime.core import Core
from twintier.runtime.delivery.decoder import Decoder
from twintier.runtime.delivery.parts import Connections, way_in, way_out
from twintier.runtime.delivery.receiver import Receiver
from twintier.runtime.driver import Driver
from twintier.runtime.effects import Subscribe
from twintier.runtime.jobs import Jobs
from twintier.runtime.runtime import Runtime
from twintier.runtime.saving import Saving
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import Store
from twintier.runtime.storage.writer import InlineWriter, Writer
from twintier.runtime.succession import Succession


def build_runtime(  # noqa: PLR0913  # each is a part of its own
    core: Core,
    bus: Bus,
    *,
    routes: Sequence[Subscribe],
    clock: Clock,
    jobs: Jobs,
    store: Store,
    settings: RuntimeSettings,
    bulk: Bus | None = None,
    writer: Writer | None = None,
) -> Runtime:
    """A runtime that has not begun.

    Args:
        core: the behaviour.
        bus: not connected yet.
        routes: what the core listens to from the start.
        clock: wall time.
        jobs: started and ended by the caller, who may share it among runtimes.
        store: where the core's records go.
        settings: how it is run.
        bulk: a second connection for chunks of large messages; without it they share the first.
        writer: of the store, closed by the caller; without it whoever saves waits.
    """
    decoder, connections = Decoder(settings.root), Connections(bus, bulk)
    saving = Saving(store, writer or InlineWriter())
    out = way_out(
        core.role,
        core.id,
        connections,
        decoder,
        store=store,
        saving=saving,
        clock=clock,
        settings=settings,
    )
    into = way_in(core.role, out, decoder, routes, store=store, clock=clock, settings=settings)
    driver = Driver(core, out, into, clock=clock, jobs=jobs, incarnation=settings.incarnation)
    succession = Succession(out, driver)
    receiver = Receiver(out, into, clock, driver.take, succession.meet)
    return Runtime(
        bus,
        out,
        into,
        driver=driver,
        receiver=receiver,
        succession=succession,
        clock=clock,
        settings=settings,
    )
