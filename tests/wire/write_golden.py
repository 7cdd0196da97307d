"""Write the golden bytes of messages that have none yet."""

from tests.support.wire import GOLDEN, envelope, rows, sample
from twintier.protocol.codec import encode


def main() -> None:
    for row in rows():
        path = GOLDEN / f"{row.name}.msgpack"
        if not path.exists():
            path.write_bytes(encode(envelope(row), sample(row.message)))


if __name__ == "__main__":
    main()
