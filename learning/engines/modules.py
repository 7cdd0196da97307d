"""Modules of an INMF's own: how they are found and built, and which are refused.

Learning needs a function of parameters and one row: the same row gives the same outputs, whatever
else is in the batch, and nothing but the flat vector is learned.
"""

import re
from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd

from twintier.inmf.spec import TorchModule
from twintier.learning.errors import SettingsError

PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
ROWS = 3
"""Rows that a new module is tried on."""
TOLERANCE = 1e-4
"""Largest difference of float32 outputs that rounding may make."""


def device_of(name: str) -> torch.device:
    """The device of that name.

    Raises:
        SettingsError: if it is none of `cpu`, `cuda` and `cuda:N`, or is not there.
    """
    if name != "cpu" and not re.fullmatch(r"cuda(:\d+)?", name):
        raise SettingsError(f"device {name!r} is none of cpu, cuda and cuda:N")
    device = torch.device(name)
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= there:
        raise SettingsError(
            f"device {name!r} is not there: torch {torch.__version__} sees {there} CUDA devices; "
            "use cpu, or install a build of torch for the machine's driver"
        )
    return device


def fresh_module(
    spec: TorchModule, observation_dim: int, outputs: int, *, seed: int = 0
) -> nn.Module:
    """A new module with its own start, drawn from the seed; torch's generator stays as it was.

    Raises:
        SettingsError: if the path names no module class that can be imported, or it cannot be
            built with the arguments.
    """
    made = _class_of(spec.path)
    arguments = dict(spec.arguments)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            module = made(observation_dim=observation_dim, outputs=outputs, **arguments)
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"network {spec.path} cannot be built with observation_dim={observation_dim}, "
                f"outputs={outputs} and {arguments}: {error}"
            ) from error
    _refuse_state(spec.path, module)
    return module


def _class_of(path: str) -> type[nn.Module]:
    if not PATH.fullmatch(path):
        raise SettingsError(f"network {path!r} is not of the form package.module:Class")
    module, _, name = path.partition(":")
    try:
        found: object = getattr(import_module(module), name, None)
    except ImportError as error:
        raise SettingsError(
            f"network {path} cannot be imported ({error}); install the package of its INMF"
        ) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise SettingsError(f"network {path} is {found!r}, not a subclass of torch.nn.Module")
    return found


def _refuse_state(path: str, module: nn.Module) -> None:
    for name, each in module.named_modules():
        reason = None
        kept = isinstance(each, _NormBase) and each.track_running_stats
        if kept or isinstance(each, _BatchNorm):
            reason = "normalises by other rows of the batch; use nn.LayerNorm"
        elif isinstance(each, _DropoutNd | nn.RNNBase) and each.training and _dropped(each):
            reason = "drops numbers at random; set its probability to 0"
        if reason:
            raise SettingsError(f"network {path} has {name}: {type(each).__name__}, which {reason}")
    if not list(module.parameters()):
        raise SettingsError(f"network {path} has no parameters to learn")


def _dropped(layer: _DropoutNd | nn.RNNBase) -> bool:
    share = layer.p if isinstance(layer, _DropoutNd) else layer.dropout
    return share > 0.0


def last_layer_of(module: nn.Module) -> slice:
    """Where the numbers of the layer that was registered last stand in the flat vector."""
    named = list(module.named_parameters())
    owner = named[-1][0].rpartition(".")[0]
    size = 0
    for name, parameter in reversed(named):
        if name.rpartition(".")[0] != owner:
            break
        size += parameter.numel()
    total = sum(parameter.numel() for _, parameter in named)
    return slice(total - size, total)


def examine(
    path: str,
    call: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    sizes: tuple[int, int],
    last_layer: slice,
) -> None:
    """Try a module on a few rows.

    Args:
        path: its name, for messages.
        call: outputs of a flat vector over rows.
        start: (n,) a flat vector.
        sizes: observation_dim and outputs.
        last_layer: what scales the outputs.

    Raises:
        SettingsError: if it does not fit the port, with the reason.
    """
    observation_dim, outputs = sizes
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(ROWS, observation_dim, generator=generator).to(start.device)
    # A start of zeros would pass every comparison below.
    tried = start + 0.1 * torch.randn(start.shape, generator=generator).to(start.device)
    try:
        together = call(tried.requires_grad_(), rows)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise SettingsError(f"network {path} fails on {tuple(rows.shape)} rows: {error}") from error
    if together.shape != (ROWS, outputs):
        raise SettingsError(
            f"network {path} gives {tuple(together.shape)} for {ROWS} rows; its head needs "
            f"({ROWS}, {outputs})"
        )
    if not together.requires_grad:
        raise SettingsError(
            f"network {path} cuts its outputs off from its parameters; do not detach"
        )
    alone = torch.cat([call(tried, row) for row in torch.split(rows, 1)])
    if not _close(alone, together):
        raise SettingsError(f"network {path} gives a row other outputs beside other rows, or twice")
    halved = tried.detach().clone()
    halved[last_layer] *= 0.5
    if not _close(call(halved, rows), 0.5 * together):
        raise SettingsError(
            f"network {path} does not halve its outputs with the layer registered last; make that "
            "the output layer, an nn.Linear with nothing after it"
        )


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE)
