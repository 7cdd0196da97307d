"""Settings that belong to no core: how a process is started, and what the demo is asked for.

Only the standard library is imported here, so that help can be shown without loading the platform.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How a process reaches the broker, and as whom."""

    url: str = "mqtt://127.0.0.1:1883"
    """Broker, mqtt://host:port or mqtts://host:port."""
    certs: Path | None = None
    """Folder that `twintier certs create` made; a broker on this machine is mqtts:// then."""
    identity: str = "monitor"
    """Whose certificate a command shows that only listens; with certificates only."""
    root: str = "twintier"
    """Root of all topics."""


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """What every process is told."""

    state: Path = Path("state")
    """Folder of stores; roles of one machine may share it."""
    ledgers: Path | None = None
    """Folder for accounts of messages."""
    inbox: Path | None = None
    """Folder for recordings of what each core is given."""
    inject: str = ""
    """Faults, such as loss=0.02,duplicate=0.05,delay=0.1,skew_s=5."""
    inmfs: tuple[str, ...] = ("coop-perception",)
    """INMFs that are managed, by name; `twintier inmf list` shows those installed."""
    workers: int = 1
    """Processes for the jobs of an edge server."""
    wait: bool = False
    """Whether agents begin only when planning is over, instead of acting by the baseline."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """The broker that `twintier up broker` starts."""

    kind: Literal["auto", "mosquitto", "nats"] = "auto"
    """Which server; auto takes Mosquitto where it is installed."""
    port: int | None = None
    """Port to listen on; else 1883, or 8883 with certificates."""
    bind: str = "127.0.0.1"
    """Address to listen on, with certificates; 0.0.0.0 for all."""


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What `twintier demo` adds to the settings of the roles that it starts."""

    source: str = "sumo"
    """Source of vehicles: builtin, sumo, or one that is installed."""
    scenario: Path | None = None
    """A geo-referenced .sumocfg instead of the two cities."""
    broker: str = "auto"
    """auto, mosquitto, nats, memory, or mqtt://host:port."""
    duration_s: float | None = None
    """Wall seconds of online operation; else until Ctrl-C."""
    summary: Path | None = None
    """File for a JSON summary."""
    state: Path | None = None
    """Folder that keeps stores and logs; else they go with the run."""
    secure: bool = False
    """Whether Mosquitto is started with TLS, certificates and access rules."""


@dataclass(frozen=True, slots=True)
class CertsSettings:
    """Certificates that `twintier certs` makes."""

    days: int = 365
    """Days that certificates are good for."""
    hosts: tuple[str, ...] = ()
    """Names or addresses of the broker, beside localhost."""
