"""The source of PLVNs that have a cart and a pole instead of vehicles."""

from collections.abc import Mapping, Sequence

from twintier.inmf.contract import Row
from twintier.inmf.episodes import Actions
from twintier.inmf.traffic import Traffic, WorldSeed
from twintier.plvn_agent.source import PlvnProfile, Source
from twintier.plvn_agent.sources.registry import SourceOptions
from twintier.protocol.ids import InmfId, PlvnId
from twintier.protocol.messages import Site

from .environment import Cart
from .inmf import CartPole

CHANGES_S = (80.0, 90.0)
"""Simulated time within which each PLVN's wind changes, once."""


def plvn_of(number: int) -> PlvnId:
    """Name of a PLVN, counted from 1."""
    return PlvnId(f"cart-{number}")


class CartSource(Source):
    """So many environments on one simulated clock."""

    slot_s = CartPole.spec.slot_s

    def __init__(
        self,
        plvns: int,
        *,
        seed: int,
        start_hour: float = 12.0,
        constant: bool = False,
        changes_s: tuple[float, float] = CHANGES_S,
    ) -> None:
        """Make the environments; with `constant` nothing ever changes in them."""
        self._seed, self._start_hour, self._slot = seed, start_hour, -1
        names = [plvn_of(number) for number in range(1, plvns + 1)]
        self._carts = {
            name: Cart(WorldSeed(seed, name, constant=constant), changes_s) for name in names
        }

    @property
    def clock_id(self) -> str:
        """Names the simulated clock in envelopes."""
        return f"cart-pole-{self._seed}"

    @property
    def plvns(self) -> Sequence[PlvnProfile]:
        """One for each environment, all in one hall."""
        site = Site(city="hall", road="track", lat_deg=0.0, lon_deg=0.0)
        return [PlvnProfile(name, site) for name in self._carts]

    @property
    def carts(self) -> Mapping[PlvnId, Cart]:
        """The environments, for those who watch."""
        return self._carts

    async def start(self) -> None:
        """Nothing has to be started."""

    def history(self, plvn: PlvnId) -> Sequence[Traffic]:
        """Nothing happened before."""
        del plvn
        return ()

    async def observe(self) -> Mapping[PlvnId, Traffic]:
        """The next slot; its fields are asked for by `fields`."""
        self._slot += 1
        hour = (self._start_hour + self._sim_time_s / 3600.0) % 24.0
        traffic = Traffic(slot=self._slot, sim_time_s=self._sim_time_s, hour=hour)
        return dict.fromkeys(self._carts, traffic)

    async def stop(self) -> None:
        """Nothing was started."""

    def fields(self, plvn: PlvnId, inmf: InmfId) -> Row | None:
        """The environment's observation; nothing for INMFs of others."""
        return self._carts[plvn].fields() if inmf == CartPole.spec.inmf else None

    def act(self, plvn: PlvnId, inmf: InmfId, action: Actions) -> Row:
        """Step the environment.

        Raises:
            SourceError: if the INMF is another one.
        """
        if inmf != CartPole.spec.inmf:
            return super().act(plvn, inmf, action)
        return self._carts[plvn].act(action, self._sim_time_s)

    @property
    def _sim_time_s(self) -> float:
        return self._slot * self.slot_s


class Carts:
    """The kind of source that options name `cart-pole`."""

    def make(self, options: SourceOptions) -> CartSource:
        """As many PLVNs as the options say."""
        return CartSource(
            options.plvns,
            seed=options.seed,
            start_hour=options.start_hour,
            constant=options.constant,
        )

    def possible_plvns(self, options: SourceOptions) -> Sequence[PlvnId]:
        """Exactly those that it has."""
        return [plvn_of(number) for number in range(1, options.plvns + 1)]
