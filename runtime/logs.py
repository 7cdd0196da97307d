"""Structured logs: one event a line, to standard error or a file, never to standard output."""

import logging
import sys
from pathlib import Path
from typing import Literal, TextIO

import structlog

LogFormat = Literal["json", "console"]


def configure_logs(
    *, log_format: LogFormat = "console", level: str = "info", path: Path | None = None
) -> None:
    """Send the logs of this process to a file, or to standard error.

    Args:
        log_format: `json` for machines, `console` for people.
        level: the least level that is written, such as `info` or `warning`.
        path: file to append to, made with its folders.
    """
    stream: TextIO = sys.stderr
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a", encoding="utf-8")
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=stream, level=max(number, logging.WARNING), force=True)
