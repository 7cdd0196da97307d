"""What there is, as rows: PLVNs, twins, models, edge servers. Each row has an `id`."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint

from twintier.inmf import registry
from twintier.inmf.registry import UnknownInmfError, inmf_of
from twintier.launch.inspect.output import Row
from twintier.launch.inspect.projection import InmfView, PlvnView, View

SUPER = "super"
"""Stands for the empty key of the super category."""


def plvn_rows(view: View) -> list[Row]:
    """Every PLVN as a network: where, of which category, with which reward."""
    return [_plvn(plvn, seen) for plvn, seen in sorted(view.plvns.items())]


def _plvn(plvn: str, seen: PlvnView) -> Row:
    attributes = seen.attributes
    return {
        "id": plvn,
        "edge_server": seen.edge,
        "category": None if attributes is None else attributes.category,
        "vehicles": None if attributes is None else attributes.vehicle_number,
        "rewards": {inmf: own.reward for inmf, own in sorted(seen.inmfs.items())},
        "attributes": None if attributes is None else attributes.model_dump(mode="json"),
    }


def twin_rows(view: View) -> list[Row]:
    """Every INMF of every edge twin: what acts in its PLVN, and which individual model it has."""
    return [_twin(plvn, inmf, view.plvns[plvn], own) for (plvn, inmf), own in view.models().items()]


def _twin(plvn: str, inmf: str, seen: PlvnView, own: InmfView) -> Row:
    model = own.model
    retrained = None if model is None else [cause.model_dump(mode="json") for cause in model.cause]
    return {
        "id": plvn,
        "edge_server": seen.edge,
        "category": None if seen.attributes is None else seen.attributes.category,
        "acts": acts(own),
        "inmf": inmf,
        "state": None if model is None else model.state,
        "from": None if model is None else origin(own),
        "reward": own.reward,
        "cause": retrained,
        "model": None if model is None else model.model_dump(mode="json"),
    }


def acts(seen: InmfView) -> str | None:
    """What decides: the baseline by its name, or the version of the individual model."""
    performance = seen.performance
    if performance is None:
        return None
    if performance.policy == "individual_model":
        return f"v{performance.model_version}"
    return performance.policy


def origin(seen: InmfView) -> str | None:
    """What the individual model was adapted from."""
    if seen.model is None:
        return None
    if seen.model.origin == "present_model":
        return "present model"
    return seen.model.origin_category or SUPER


def model_rows(view: View) -> list[Row]:
    """Every meta model of the library; several INMFs may have one of the same category."""
    models = sorted(view.library.values(), key=lambda each: (each.inmf, each.category))
    return [
        {
            "id": f"{each.inmf}/{each.category or SUPER}",
            **each.model_dump(mode="json"),
            "twins": _adapted(view, each.inmf, each.category),
        }
        for each in models
    ]


def _adapted(view: View, inmf: str, category: str) -> list[str]:
    """Twins whose individual model comes from a meta model."""
    return [
        plvn
        for (plvn, name), own in view.models().items()
        if own.model is not None
        and own.model.origin == "meta_model"
        and (name, own.model.origin_category) == (inmf, category)
    ]


def edge_rows(view: View) -> list[Row]:
    """Every edge server: where, with which room, and what it hosts."""
    return [
        {
            "id": edge,
            "state": status.state,
            "lat_deg": status.lat_deg,
            "lon_deg": status.lon_deg,
            "capacity": status.capacity,
            "twins": status.twins,
            "hosts": [plvn for plvn, seen in sorted(view.plvns.items()) if seen.edge == edge],
        }
        for edge, status in sorted(view.edges.items())
    ]


def inmf_rows(installed: Sequence[EntryPoint] | None = None) -> list[Row]:
    """Every INMF that is installed.

    Args:
        installed: entry points; those of this environment if none are given.
    """
    found = registry.installed().values() if installed is None else installed
    return [
        {
            "id": each.name,
            "package": None if each.dist is None else each.dist.name,
            "version": None if each.dist is None else each.dist.version,
            "object": each.value,
            **_stated(each.name),
        }
        for each in sorted(found, key=lambda each: each.name)
    ]


def _stated(name: str) -> Row:
    """What an INMF states, and so which loop the platform runs for it."""
    try:
        inmf = inmf_of(name)
    except UnknownInmfError as error:
        unknown = ("loop", "calibration", "teacher", "bound", "schema", "reward_unit")
        return {**dict.fromkeys(unknown), "problem": str(error)}
    return {
        "loop": "emulated and true trajectories" if inmf.is_emulated else "true trajectories",
        "calibration": inmf.calibration is not None,
        "teacher": inmf.teaches,
        "bound": None if inmf.bound is None else inmf.bound.kind,
        "schema": inmf.schema_id,
        "reward_unit": inmf.spec.reward_unit,
        "problem": None,
    }
