"""What every message carries around its body, whatever it says.

A receiver ignores envelope keys that it does not know, so a sender may add some. Times are
nanoseconds; `ts_ns` is the sender's clock and is never compared with a receiver's directly.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from twintier.protocol.ids import LEVEL_PATTERN
from twintier.protocol.values import Fence

Nanoseconds = Annotated[int, Field(ge=0, lt=2**63)]
Sequence = Annotated[int, Field(ge=1, le=2**53)]
"""As far as positions of streams go; a number of JavaScript is exact up to there."""
Identifier = Annotated[bytes, Field(min_length=16, max_length=16)]


class BlobRef(BaseModel):
    """Stands for a whole message that travels in chunks."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """blake2b-256 of the whole message's bytes."""
    size: Annotated[int, Field(ge=1, lt=2**63)]
    """Bytes of the whole message."""
    chunk_size: Annotated[int, Field(ge=1024, le=2**20)]
    """Bytes of each chunk but the last."""

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.size // self.chunk_size)


class Envelope(BaseModel):
    """The envelope of one message.

    Order and duplicates are judged by (src, boot, stream, seq) alone.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    type: Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,63}\.v[1-9][0-9]{0,3}$")]
    """Name and version of the body."""
    id: Identifier
    """Time-ordered and unique."""
    src: Annotated[str, Field(pattern=rf"^(plvn|edge|cloud):{LEVEL_PATTERN}$", max_length=72)]
    """Role and identity of the sender, `plvn:p1`."""
    boot: Annotated[str, Field(pattern=rf"^{LEVEL_PATTERN}$", max_length=64)]
    """Nonce of the sender's process."""
    stream: Annotated[str, Field(min_length=1, max_length=256)]
    """Within it, `seq` grows by one from message to message, starting at 1."""
    seq: Sequence
    ts_ns: Nanoseconds
    """The sender's UTC clock when it sent."""
    fence: Annotated[Fence, Field(ge=1, lt=2**63)] | None = None
    """Ownership that the sender acts under."""
    sim_ts_ns: Nanoseconds | None = None
    """Simulated time that the body speaks of."""
    clock_id: Annotated[str, Field(max_length=64)] | None = None
    """Names the simulated clock."""
    ttl_ms: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Age from which nobody needs the message."""
    cid: Identifier | None = None
    """Ties a request and its answer."""
    rto: Annotated[str, Field(max_length=256)] | None = None
    """Topic on which an answer is expected, where it is not the catalogue's."""
    trace: Annotated[str, Field(max_length=128)] | None = None
    """W3C `traceparent`."""
    floor: Sequence | None = None
    """Of what its sender keeps until it is acknowledged: the smallest `seq` that may still come."""
    blob: BlobRef | None = None
    """The body is absent; the whole message is asked for in chunks."""

    @property
    def role(self) -> str:
        """Role of the sender."""
        return self.src.partition(":")[0]

    @property
    def sender(self) -> str:
        """Identity of the sender within its role."""
        return self.src.partition(":")[2]
