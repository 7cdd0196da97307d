"""The table of sections: which settings class stands under which name, and its bounds.

A section's fields, their defaults and their meaning are those of its class. Here stands only what
a plain dataclass cannot say: bounds, choices, and defaults that a deployment needs otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points


@dataclass(frozen=True, slots=True)
class Section:
    """A settings class under a name."""

    name: str
    module: str
    kind: str
    """Name of the class in the module."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Where a deployment starts otherwise than the class."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and greatest value, both allowed; None is without limit."""

    least: float | None = 0
    greatest: float | None = None

    def __str__(self) -> str:
        """In words, empty without limits."""
        if self.least is not None and self.greatest is not None:
            return f"{self.least:g} to {self.greatest:g}"
        return "" if self.least is None else f"at least {self.least:g}"


OWN = "twintier.launch.settings.own"
REGISTRY = "twintier.plvn_agent.sources.registry"
SOURCE_DEFAULTS = {"source": "builtin", "network": "berlin", "duration_sim_s": 36_000.0}

SECTIONS: Mapping[str, Section] = {
    section.name: section
    for section in (
        Section("connection", OWN, "ConnectionSettings"),
        Section("mqtt", "twintier.broker.mqtt.link", "MqttSettings", {"client_id": ""}),
        Section("deployment", OWN, "DeploymentSettings"),
        Section("broker", OWN, "BrokerSettings"),
        Section("cloud", "twintier.cloud_twin.settings", "CloudSettings"),
        Section("edge", "twintier.edge_twin.settings", "EdgeSettings"),
        Section("agent", "twintier.plvn_agent.settings", "AgentSettings"),
        Section("source", REGISTRY, "SourceOptions", SOURCE_DEFAULTS),
        Section("host", "twintier.plvn_agent.slot_loop", "HostSettings", {"speed": 50.0}),
        Section("demo", OWN, "DemoSettings"),
        Section("certs", OWN, "CertsSettings"),
        Section("case_study", "twintier.launch.case_study.arms", "CaseStudySettings"),
    )
}

COMPUTED = frozenset(
    {
        "edge.verify_key",
        "edge.meta.algorithm",
        "edge.meta.inner_steps",
        "edge.meta.episodes",
        "edge.meta.initial_step_size",
        "edge.meta.adapted",
        "agent.cloud_key",
        "mqtt.client_id",
        "mqtt.username",
        "mqtt.password",
        "mqtt.tls",
        "mqtt.limit_bytes",
        "mqtt.keep_session",
    }
)
"""Follow from who a process is, its certificates, its credentials, the protocol, or what another
role says with each round."""

ANY_NUMBER = Bounds(0)
BOUNDS: Mapping[str, Bounds] = {
    "broker.port": Bounds(1, 65535),
    "deployment.workers": Bounds(1, 64),
    "cloud.n_min": Bounds(1),
    "cloud.super_share": Bounds(0, 1),
    "edge.lat_deg": Bounds(-90, 90),
    "edge.lon_deg": Bounds(-180, 180),
    "edge.capacity": Bounds(1),
    "edge.prior_share": Bounds(0, 1),
    "source.plvns": Bounds(1, 256),
    "source.rsus": Bounds(1, 64),
    "source.start_hour": Bounds(0, 23.99),
    "source.warmup_s": Bounds(10, 86_400),
    "source.duration_sim_s": Bounds(1),
    "host.speed": Bounds(0.01),
    "demo.duration_s": Bounds(1),
    "certs.days": Bounds(1, 3650),
    "case_study.epochs": Bounds(1),
}
"""Bounds of the numbers that may be less, or not as little or as much, as any other."""

PLUGINS: Mapping[str, str] = {
    "cloud.algorithm": "twintier.learner",
    "cloud.aggregator": "twintier.aggregator",
    "edge.cache_policy": "twintier.cache_policy",
    "deployment.inmfs": "twintier.inmf",
}
"""Settings that name what is installed, with the group of its entry points."""

MEANINGS: Mapping[str, str] = {
    "mqtt.version": "Version of MQTT; auto takes 5 where the broker speaks it.",
    "mqtt.keepalive_s": "A client that is silent for longer shows that it is there.",
    "mqtt.connect_timeout_s": "Longest wait for a connection.",
    "mqtt.close_timeout_s": "Longest wait for what is still to be sent at the end.",
    "cloud.inner_steps": "Adaptation steps within an iteration (K).",
    "cloud.first_stage_learning_rate": "Step size of Adam in the first stage.",
    "cloud.round_deadline_s": "Longest wait for the gradients of a round.",
    "cloud.pause_s": "Pause of a training that nobody answers.",
    "cloud.parallel_trainings": "Meta models that are trained at the same time.",
    "cloud.seed": "Seed of the cloud twin.",
    "edge.lat_deg": "Latitude at which the edge server stands.",
    "edge.lon_deg": "Longitude at which the edge server stands.",
    "edge.capacity": "Twins that the edge server has room for.",
    "edge.attributes_window_s": "Window that attributes are computed over.",
    "edge.seed": "Seed of an edge server.",
    "host.ready_poll_s": "Pause between two looks whether planning is over.",
}
"""Meanings of fields that have no docstring of their own."""

FIRST_STAGE = "teacher"
"""A learner that the first stage asks for itself."""

UNITS = {
    "_sim_s": "simulated seconds",
    "_s": "seconds",
    "_deg": "degrees",
    "_j": "J",
    "_bytes": "bytes",
}


def bounds_of(path: str) -> Bounds:
    """Bounds of a number; without an entry none is negative."""
    return BOUNDS.get(path, ANY_NUMBER)


def unit_of(path: str) -> str:
    """The unit that the end of a name says, empty if it says none."""
    return next((unit for end, unit in UNITS.items() if path.endswith(end)), "")


def choices_of(path: str) -> tuple[str, ...]:
    """The words that a setting may be; empty if any."""
    if path not in PLUGINS:
        return ()
    names = {each.name for each in entry_points(group=PLUGINS[path])}
    return tuple(sorted(names - {FIRST_STAGE}))
