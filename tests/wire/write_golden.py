"""Write the golden bytes of messages that have none yet."""

from protocol.codec import encode
from tests.support.wire import GOLDEN, envelope, rows, sample


def main() -> None:
    for row in rows():
        path = GOLDEN / f"{row.name}.msgpack"
        if not path.exists():
            path.write_bytes(encode(envelope(row), sample(row.message)))


if __name__ == "__main__":
    main()
