"""The paper's loop where the INMF could be emulated: sampled true slots alone are learned from."""

from dataclasses import replace

import numpy as np

from tests.edge_twin.managing import META, P1, SETTINGS, SITE, Loop, dispatched, result
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.adaptation import ManagedInmf
from twintier.edge_twin.life_cycle import Exchanging
from twintier.edge_twin.logged import LoggedJob
from twintier.learning.aggregate import Adam
from twintier.protocol.messages import ModelDispatched
from twintier.protocol.values import Fence
from twintier.runtime.effects import Effect, StartJob


def begun() -> Loop:
    settings = replace(SETTINGS, paper_loop=True)
    return Loop(ManagedInmf.begin(P1, COOP_PERCEPTION, SITE, Fence(1), settings))


def logged(effects: list[Effect]) -> LoggedJob:
    (job,) = (e.job for e in effects if isinstance(e, StartJob))
    assert isinstance(job, LoggedJob)
    return job


def test_the_meta_model_samples_before_any_true_slot() -> None:
    loop = begun()
    (order,) = dispatched(loop.managed.on_meta_model(META))
    assert isinstance(order, ModelDispatched)
    assert (order.purpose, order.sampled) == ("exchange", True)
    assert np.array_equal(order.parameters.floats("parameters"), META.init)
    assert loop.state() == Exchanging(0, 0, 1)


def test_an_exchange_goes_on_with_the_optimiser_of_the_one_before() -> None:
    loop, adam = begun(), Adam(1e-3, steps=30)
    loop.managed.on_meta_model(META)
    assert logged(loop.upload(2)).adam is None
    (order,) = dispatched(loop.done(replace(result(1.0), evidence="measured", adam=adam)))
    assert isinstance(order, ModelDispatched)
    assert order.sampled
    assert logged(loop.upload(2)).adam == adam
