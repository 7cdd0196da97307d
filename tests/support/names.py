"""Names that many tests use."""

from twintier.protocol.ids import InmfId

COOP_PERCEPTION = InmfId("coop-perception")
