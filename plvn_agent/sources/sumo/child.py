"""The child process that SUMO runs in: `python -m twintier.plvn_agent.sources.sumo.child SETTINGS`.

Traffic does not depend on what agents decide, so the child runs ahead as far as its pipe has room.
It ends with its parent: the kernel tells it where that exists, a broken pipe or a new parent
elsewhere. Then it clears the scratch folder that the parent can no longer clear.
"""

import ctypes
import json
import os
import shutil
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from twintier.plvn_agent.sources.sumo.clusters import DiscSettings
from twintier.plvn_agent.sources.sumo.crossing import Crossing, CrossingSettings
from twintier.plvn_agent.sources.sumo.frames import ChildFailed, pack
from twintier.plvn_agent.sources.sumo.libraries import explain
from twintier.plvn_agent.sources.sumo.traffic import Traffic

LOG_NAME = "sumo.log"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """All that the child needs to know."""

    arguments: list[str]
    """SUMO's command line."""
    seed: int
    automated_share: float
    parent: int
    """Process id of the parent."""
    crossing: CrossingSettings

    def dump(self, path: Path) -> None:
        """Write the settings for the child to read."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "ChildSettings":
        """Read what `dump` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        crossing = values.pop("crossing")
        disc = DiscSettings(**crossing.pop("disc"))
        return cls(**values, crossing=CrossingSettings(**crossing, disc=disc))


def follow_parent() -> None:
    """Ask the kernel for a SIGTERM when the parent dies, where it can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def take_output(log: Path) -> int:
    """Keep standard output for frames; what SUMO prints goes to the log.

    Returns:
        Descriptor to write frames to.
    """
    frames = os.dup(1)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    return frames


def send(descriptor: int, packed: bytes) -> None:
    """Write all bytes; nothing stays in a buffer that would have to be written at exit.

    Raises:
        BrokenPipeError: if the parent has closed its end.
    """
    left = memoryview(packed)
    while left:
        left = left[os.write(descriptor, left) :]


def serve(settings: ChildSettings, descriptor: int) -> bool:
    """Send frames until the pipe breaks, the parent is gone or the demand has ended.

    Returns:
        Whether nobody reads any more; False once the end and its reason have been sent.
    """
    try:
        traffic = Traffic(
            settings.arguments, seed=settings.seed, automated_share=settings.automated_share
        )
        for frame in Crossing(settings.crossing, traffic).frames():
            send(descriptor, pack(frame))
            if os.getppid() != settings.parent:
                return True
    except BrokenPipeError:
        return True
    except ImportError as error:
        send(descriptor, pack(ChildFailed(explain(str(error)))))
    except Exception as error:  # noqa: BLE001  whatever libsumo raises is for the parent to tell
        send(descriptor, pack(ChildFailed(f"{type(error).__name__}: {error}")))
    return False


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    """Run until told to stop."""
    path = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follow_parent()
    settings = ChildSettings.load(path)
    unread = True
    try:
        try:
            unread = serve(settings, take_output(path.parent / LOG_NAME))
        finally:  # the signal of the parent's death may come after its broken pipe
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    finally:  # told to stop, or alone; a dying parent still is our parent while a thread of it is
        if unread:
            shutil.rmtree(path.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
