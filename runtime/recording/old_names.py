"""Where classes of recordings of the release before stand today; that release ends with this one.

Up to 0.1 the packages had no name above them, so that a recording says `edge_twin.core` where this
build says `twintier.edge_twin.core`.
"""

PACKAGES = frozenset(
    {"protocol", "broker", "inmf", "learning", "cloud_twin", "edge_twin", "plvn_agent"}
)
MOVED = {
    "broker.chunks": "runtime.delivery.chunks",
    "broker.core": "runtime.core",
    "broker.effects": "runtime.effects",
    "broker.jobs": "runtime.jobs",
    "broker.journal": "runtime.storage.journal",
    "broker.outbox": "runtime.delivery.outbox",
    "broker.pickles": "runtime.recording.pickles",
    "broker.positions": "runtime.delivery.positions",
    "broker.recording": "runtime.recording.recorder",
    "broker.store": "runtime.storage.store",
    "edge_twin.calibration": "inmf.perception.calibration",
    "edge_twin.exogenous": "inmf.perception.exogenous",
    "edge_twin.fidelity": "inmf.perception.fidelity",
    "edge_twin.monitor": "edge_twin.cusum",
    "inmf.assisted": "inmf.perception.assisted",
    "inmf.baselines": "inmf.perception.baselines",
    "inmf.bound": "inmf.perception.bound",
    "inmf.condition": "inmf.perception.condition",
    "inmf.emulator": "inmf.perception.emulator",
    "inmf.live": "inmf.perception.live",
    "inmf.paper": "inmf.perception.paper",
    "inmf.perception": "inmf.perception.physics",
}
"""Modules that stand elsewhere now, both without the common name."""
RENAMED = {
    ("twintier.runtime.effects", "Settle"): "ConfirmUploads",
    ("twintier.runtime.effects", "Tally"): "Count",
}
"""Classes that have another name now, by where they stand today."""
RENAMED_FIELDS = {
    ("twintier.cloud_twin.settings", "CloudSettings", "settle_s"): "planning_pause_s",
}
"""Fields of frozen records that have another name now."""


def present_class(module: str, name: str) -> tuple[str, str]:
    """Module and name of a class in this build; one that is none of ours as it is."""
    if module.partition(".")[0] in PACKAGES:
        module = f"twintier.{MOVED.get(module, module)}"
    return module, RENAMED.get((module, name), name)


def present_field(kind: type, name: str) -> str:
    """The name of a record's field in this build."""
    return RENAMED_FIELDS.get((kind.__module__, kind.__name__, name), name)
