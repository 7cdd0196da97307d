"""Keys of timers and jobs in recordings of the release before; they end with this one.

Up to 0.1 a key was a text, such as `dispatch/p1/coop-perception`, where this build has a record.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace

from twintier.cloud_twin import keys as cloud
from twintier.edge_twin import keys as edge
from twintier.plvn_agent import keys as agent
from twintier.protocol.ids import InmfId, PlvnId
from twintier.runtime.core import Input, JobDone, JobFailed, Role, TimerFired
from twintier.runtime.effects import CancelTimer, Effect, StartJob, StartTimer
from twintier.runtime.recording.recorder import Step

Parts = tuple[str, ...]
PLAIN: Mapping[tuple[Role, str], Hashable] = {
    ("cloud", "lease"): cloud.Timer.LEASE,
    ("cloud", "grants"): cloud.Timer.GRANTS,
    ("cloud", "servers"): cloud.Timer.SERVERS,
    ("cloud", "settle"): cloud.Timer.PLANNING_PAUSE,
    ("cloud", "super"): cloud.Timer.SUPER,
    ("cloud", "planning"): cloud.Timer.PLANNING,
    ("edge", "lease"): edge.Timer.LEASE,
    ("plvn", "lease"): agent.Timer.LEASE,
    ("plvn", "register"): agent.Timer.REGISTER,
}
WITH_PARTS: Mapping[str, Callable[[Parts], Hashable]] = {
    "place": lambda p: cloud.Placement(PlvnId(p[0])),
    "round": lambda p: cloud.RoundDeadline(p[0]),
    "pause": lambda p: cloud.RoundPause(p[0]),
    "fetch": lambda p: edge.FetchRetry(InmfId(p[0]), p[1]),
    "dispatch": lambda p: edge.DispatchRetry(PlvnId(p[0]), InmfId(p[1])),
    "adapt": lambda p: edge.Adapting(PlvnId(p[0]), InmfId(p[1]), int(p[2])),
    "test": lambda p: edge.ChangeTesting(PlvnId(p[0]), InmfId(p[1]), int(p[2])),
    "meta": lambda p: edge.MetaRound(InmfId(p[0]), p[1], int(p[2]), int(p[3])),
}


def present_key(role: Role, key: Hashable) -> Hashable:
    """The key of this build for one of the release before; any other as it is."""
    if not isinstance(key, str):
        return key
    kind, *parts = key.split("/")
    if parts and kind in WITH_PARTS:
        return WITH_PARTS[kind](tuple(parts))
    return PLAIN.get((role, key), key)


def with_present_keys(role: Role, steps: Iterator[Step]) -> Iterator[Step]:
    """Steps of a recording with the keys of this build."""
    for step in steps:
        effects = tuple(_effect(role, effect) for effect in step.effects)
        yield replace(step, taken=_taken(role, step.taken), effects=effects)


def _taken(role: Role, taken: Input) -> Input:
    if isinstance(taken, TimerFired | JobDone | JobFailed):
        return replace(taken, key=present_key(role, taken.key))
    return taken


def _effect(role: Role, effect: Effect) -> Effect:
    if isinstance(effect, StartTimer | CancelTimer | StartJob):
        return replace(effect, key=present_key(role, effect.key))
    return effect
