"""From what an INMF declares to the network that runs it."""

from twintier.inmf.spec import Mlp, TorchModule
from twintier.learning.engines.numpy import MlpNetwork
from twintier.learning.engines.port import Network


def network_of(
    spec: Mlp | TorchModule, observation_dim: int, outputs: int, device: str = "cpu"
) -> Network:
    """The network that a spec names.

    Args:
        spec: what the INMF declares.
        observation_dim: numbers of an observation.
        outputs: numbers that the head of its actions needs.
        device: where torch computes, `cpu`, `cuda` or `cuda:N`; the built-in network is numpy's
            and always on the CPU.

    Raises:
        SettingsError: if the module or the device cannot be had here, with the reason.
    """
    if isinstance(spec, Mlp):
        return MlpNetwork(spec, observation_dim, outputs)
    # Most processes never meet a module, and torch takes a second and 200 MB to load.
    from twintier.learning.engines.torch import TorchNetwork  # noqa: PLC0415

    return TorchNetwork(spec, observation_dim, outputs, device)
