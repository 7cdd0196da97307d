"""The doctor's check of access: what this identity may do although the catalogue says no.

Writing is tried below the probe's own root, on every topic of the catalogue; reading is judged by
what comes by itself on the platform's.
"""

import asyncio
import re
from datetime import UTC, datetime

from twintier.broker.certs.folder import leaf_state
from twintier.broker.errors import CertificateError
from twintier.launch.doctor.findings import Finding
from twintier.launch.doctor.probe import CONNECT_S, Probe, arrivals
from twintier.protocol.catalogue import CATALOGUE, Row
from twintier.protocol.topics import prefix

IDLE_S = 1.0
NAMES = {"plvn": "somebody", "edge": "somebody", "inmf": "any", "role": "edge"}
SECURE_FIX = "twintier certs create certs, then twintier up broker --certs certs"


async def check_access(probe: Probe) -> list[Finding]:
    """Whether anybody may say what only some may."""
    rows = {_topic(row, probe.probe_root): row for row in CATALOGUE}
    async with asyncio.timeout(CONNECT_S + 20), probe.bus("access") as bus:
        await bus.subscribe([f"{probe.probe_root}/#"])
        for topic in rows:
            await bus.publish(topic, b"", qos=1, ttl_s=60)
        taken = [rows[d.topic] for d in await arrivals(bus, len(rows), IDLE_S) if d.topic in rows]
    who = identity_of(probe)
    if not taken:
        return [Finding("access", "ok", f"{who} may write nothing where no rule names it")]
    worst = "an ownership grant and a model for any PLVN"
    seen = f"{who} may write and read {len(taken)} of {len(rows)} topics of the catalogue below "
    seen += f"a root that nobody has granted it; so {worst} too"
    return [Finding("access", "warning", seen, "what the catalogue gives a role", SECURE_FIX)]


def _topic(row: Row, root: str) -> str:
    fields = {**NAMES, "category_digest": "0" * 32, "id": "somebody"}
    filled = re.sub(r"{(\w+)}", lambda match: fields.get(match[1], "x"), row.topic)
    return f"{prefix(root)}{filled}"


def identity_of(probe: Probe) -> str:
    """Who we are to the broker, in words."""
    certs = probe.connection.certs
    if certs is None:
        return "a client without a certificate"
    return f"the identity {probe.connection.watching_as}"


def may_read(probe: Probe, row: Row) -> bool:
    """Whether the catalogue lets this identity read a message, as far as it is known."""
    certs = probe.connection.certs
    if certs is None:
        return False
    try:
        state = leaf_state(certs, probe.connection.watching_as, now=datetime.now(UTC))
    except CertificateError:
        return True
    return state.role == "watcher" or state.role in {*row.subscribers, *row.publishers}
