"""From what an INMF declares to the network that runs it."""

from twintier.inmf.spec import Mlp, TorchModule
from twintier.learning.engines.numpy import MlpNetwork
from twintier.learning.engines.port import Network
from twintier.learning.errors import SettingsError


def network_of(
    spec: Mlp | TorchModule, observation_dim: int, outputs: int, device: str = "cpu"
) -> Network:
    """The network that a spec names.

    Args:
        spec: what the INMF declares.
        observation_dim: numbers of an observation.
        outputs: numbers that the head of its actions needs.
        device: where torch computes; the built-in network is numpy's and always on the CPU.

    Raises:
        SettingsError: if the spec or the device cannot be had here.
    """
    if isinstance(spec, Mlp):
        return MlpNetwork(spec, observation_dim, outputs)
    raise SettingsError(f"network {spec.path} needs the torch engine, which is not here; {device}")
