"""The one place where parts meet: cores, stores, buses and jobs put together.

The same functions build everything in one process, one process per role, and tests. Agents are
built here and twins in `twins`, so that an agent's machine needs no database toolkit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from twintier.broker.bus import Bus
from twintier.broker.certs.signing_keys import SIGN_KEY, SIGN_PUB, load_signing_key, load_verify_key
from twintier.broker.clock import Clock
from twintier.inmf.registry import inmf_of
from twintier.launch.connection import ClientName
from twintier.launch.instruments import Instruments, count_faults
from twintier.launch.settings.own import DeploymentSettings
from twintier.plvn_agent.core import AgentCore
from twintier.plvn_agent.routes import routes as agent_routes
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slot_loop import Host, HostSettings
from twintier.plvn_agent.source import PlvnProfile, Source
from twintier.plvn_agent.store import AgentStore
from twintier.protocol.ids import InmfId, PlvnId
from twintier.runtime.build import build_runtime
from twintier.runtime.core import Core
from twintier.runtime.delivery.presence import new_incarnation
from twintier.runtime.effects import Subscribe
from twintier.runtime.jobs import InlineJobs, Jobs
from twintier.runtime.runtime import Runtime
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import Store
from twintier.runtime.storage.writer import InlineWriter, Writer
from twintier.runtime.supervisor import Supervisor

StoreT = TypeVar("StoreT", bound=Store)
MakeBus = Callable[[ClientName], Bus]
"""A bus for a client, not connected yet."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What all processes of a deployment share."""

    make_bus: MakeBus
    clock: Clock
    state: Path
    root: str = "twintier"
    ledgers: Path | None = None
    """Folder for accounts of messages, if they are wanted."""
    certs: Path | None = None
    """Folder that `twintier certs` made, with certificates and signing keys, if it is secured."""
    instruments: Instruments = field(default_factory=Instruments)
    """Recordings and faults that were asked for."""
    writer: Writer = field(default_factory=InlineWriter)
    """Of all stores."""
    stores: list[Store] = field(default_factory=list)
    """Of the runtimes that were made; closed with the deployment."""

    def keep(self, store: StoreT) -> StoreT:
        """Close a store with the deployment."""
        self.stores.append(store)
        return store

    def close(self) -> None:
        """Close the stores, once their runtimes have ended."""
        self.writer.close()
        for store in self.stores:
            store.close()

    def runtime_settings(self, role_id: str, clock_id: str | None = None) -> RuntimeSettings:
        """Settings of one runtime, with an incarnation of its own."""
        incarnation = new_incarnation()
        ledger = None if self.ledgers is None else self.ledgers / f"{role_id}-{incarnation}.json"
        return RuntimeSettings(
            root=self.root,
            incarnation=incarnation,
            clock_id=clock_id,
            ledger_path=ledger,
            sign_key=self._sign_key(role_id),
        )

    def runtime(
        self,
        core: Core,
        client: str,
        routes: Sequence[Subscribe],
        *,
        store: Store,
        settings: RuntimeSettings,
        jobs: Jobs | None = None,
    ) -> Runtime:
        """A core on two connections, for control and for large things, with the instruments.

        Args:
            core: the behaviour.
            client: role and identity; with the incarnation it is the client's id on the broker.
            routes: what it listens to from the start.
            store: where its records go.
            settings: of this runtime.
            jobs: started by the caller; inline without them.

        Raises:
            RecordingError: if a recording is asked for and cannot be made.
        """
        instruments, incarnation = self.instruments, settings.incarnation
        control, bulk = (
            instruments.bus(
                self.make_bus(ClientName(core.id, f"{client}-{incarnation}{end}")), client + end
            )
            for end in ("", "-bulk")
        )
        runtime = build_runtime(
            instruments.core(core, incarnation),
            control,
            bulk=bulk,
            routes=routes,
            clock=instruments.clock(self.clock, core.id),
            jobs=jobs or InlineJobs(),
            store=store,
            settings=settings,
            writer=self.writer,
        )
        count_faults((control, bulk), runtime)
        return runtime

    def cloud_key(self) -> str:
        """Checks what the cloud twin signs, hexadecimal; empty where nothing is secured.

        Raises:
            CertificateError: if the key cannot be read.
        """
        if self.certs is None:
            return ""
        return load_verify_key(self.certs / f"cloud{SIGN_PUB}").hex()

    def _sign_key(self, role_id: str) -> Ed25519PrivateKey | None:
        """The key of the cloud twin or an edge server; PLVNs sign nothing."""
        path = None if self.certs is None else self.certs / f"{role_id}{SIGN_KEY}"
        return load_signing_key(path) if path is not None and path.exists() else None


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents of one source, and the host that drives them."""

    runtimes: Sequence[Supervisor]
    host: Host


def agent_runtimes(
    deployment: Deployment,
    source: Source,
    settings: AgentSettings,
    host_settings: HostSettings,
    *,
    inmfs: Sequence[str] = DeploymentSettings().inmfs,
    wait_for_planning: bool = False,
) -> Agents:
    """An agent for each PLVN of a started source.

    Until a model is dispatched they act by the baseline, from the first slot on.

    Args:
        deployment: what all processes share.
        source: started already.
        settings: of each agent.
        host_settings: how fast slots go by.
        inmfs: that are managed.
        wait_for_planning: whether slots begin only when planning is over.

    Raises:
        UnknownInmfError: if an INMF is not installed.
        SourceError: if slots of an INMF do not fit the source's.
    """
    store = deployment.keep(AgentStore(deployment.state / f"agent-{source.clock_id}.sqlite"))
    settings = replace(settings, cloud_key=deployment.cloud_key())
    wanted = {InmfId(name): inmf_of(name) for name in inmfs}
    cores: dict[PlvnId, AgentCore] = {}

    def life(profile: PlvnProfile) -> Runtime:
        plvn = profile.plvn
        core = cores[plvn] = AgentCore(profile, settings, wanted, record=store.load(plvn))
        running = deployment.runtime_settings(plvn, source.clock_id)
        client, routes = f"plvn-{plvn}", agent_routes(plvn)
        return deployment.runtime(core, client, routes, store=store, settings=running)

    def is_ready() -> bool:
        return not wait_for_planning or all(c.planned and c.granted for c in cores.values())

    def rebuilt(plvn: PlvnId) -> None:
        host.begin(plvn)

    runtimes = {
        p.plvn: Supervisor(partial(life, p), rebuilt=partial(rebuilt, p.plvn)) for p in source.plvns
    }
    host = Host(source, runtimes, wanted, host_settings, is_ready=is_ready)
    return Agents(list(runtimes.values()), host)
