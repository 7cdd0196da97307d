"""How many values some msgpack bytes hold, found before anything is made of them. No I/O.

A value of one byte can cost more than a hundred in memory, and a reader tells of a map only when it
is complete, so limits on a half-read message come too late.
"""

_WIDTHS = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0),  # bin
    0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),  # ext, with a byte for its type
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),  # str
}  # fmt: skip
"""Bytes that say a length, and those between them and what is so long."""


def _step(head: int) -> int:
    """Bytes of a value that begins with `head`, of a container its head alone; 0 if it says."""
    if 0xA0 <= head <= 0xBF:
        return 1 + (head & 0x1F)
    fixed = {
        0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9,
        0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18, 0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5,
    }  # fmt: skip
    return 0 if head in _WIDTHS else fixed.get(head, 1)


_STEPS = tuple(_step(head) for head in range(256))


def holds_more_than(limit: int, payload: bytes) -> bool:
    """Whether bytes hold more values than a limit: keys, containers and what is in them.

    Bytes that are no sound msgpack give any answer, in no more steps than the limit.
    """
    size = len(payload)
    if size <= limit:
        return False  # each has a byte of its own
    at = count = 0
    while at < size:
        count += 1
        if count > limit:
            return True
        head = payload[at]
        step = _STEPS[head]
        if not step:
            width, between = _WIDTHS[head]
            length = int.from_bytes(payload[at + 1 : at + 1 + width], "big")
            step = 1 + width + between + length
        at += step
    return False
