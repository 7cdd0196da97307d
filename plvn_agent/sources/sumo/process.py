"""SUMO's child process as its parent sees it: inputs in a scratch folder, frames from a pipe.

Reading never blocks the event loop. A child that ends, or says why it cannot go on, shows as
`SourceError` with the end of SUMO's own log.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import twintier
from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.child import LOG_NAME, ChildSettings
from twintier.plvn_agent.sources.sumo.frames import LENGTH, ChildFailed, Frame, unpack
from twintier.plvn_agent.sources.sumo.scenario import sumo_environment

Preparation = Callable[[Path], ChildSettings]
"""Writes inputs into a scratch folder and says what the child needs to know."""


class SumoProcess:
    """One run of the child."""

    def __init__(self, name: str, *, stop_timeout_s: float) -> None:
        """Name the run for messages; nothing starts yet.

        Args:
            name: of the scenario.
            stop_timeout_s: after which a child that was told to end is killed.
        """
        self._name = name
        self._stop_timeout_s = stop_timeout_s
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id while there is a child."""
        return None if self._child is None else self._child.pid

    async def start(self, prepare: Preparation) -> None:
        """Prepare in a thread, then start the child.

        Raises:
            SourceError: if SUMO is not installed or the inputs cannot be prepared.
        """
        self._scratch = tempfile.TemporaryDirectory(
            prefix="twintier-sumo-", ignore_cleanup_errors=True
        )
        scratch = Path(self._scratch.name)
        settings = scratch / "settings.json"
        (await asyncio.to_thread(prepare, scratch)).dump(settings)
        with (scratch / LOG_NAME).open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "twintier.plvn_agent.sources.sumo.child",
                str(settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=scratch,
                env=_environment(),
            )

    async def read(self) -> Frame:
        """The child's next frame.

        Raises:
            SourceError: if the child has ended or says why it cannot go on.
        """
        if self._child is None or self._child.stdout is None:
            raise SourceError(f"{self._name}: SUMO is not running; start the source first")
        try:
            head = await self._child.stdout.readexactly(LENGTH.size)
            body = await self._child.stdout.readexactly(LENGTH.unpack(head)[0])
        except asyncio.IncompleteReadError as error:
            code = await self._child.wait()
            raise SourceError(
                f"{self._name}: SUMO's process ended (exit code {code}), start again"
                f"{self._log_tail()}"
            ) from error
        frame = unpack(body)
        if isinstance(frame, ChildFailed):
            raise SourceError(f"{self._name}: {frame.reason}{self._log_tail()}")
        return frame

    async def stop(self) -> None:
        """End the child and remove the scratch folder; may be called again."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(self._stop_timeout_s):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def _log_tail(self) -> str:
        assert self._scratch is not None
        text = (
            (Path(self._scratch.name) / LOG_NAME)
            .read_text(encoding="utf-8", errors="replace")
            .strip()
        )
        return f"; SUMO says: {text[-400:]}" if text else ""


def _environment() -> dict[str, str]:
    """SUMO's environment, with this package on the child's path and one thread for numpy."""
    packages = str(Path(twintier.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH", ""))))
    return {**sumo_environment(), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
