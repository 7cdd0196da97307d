"""Reading SUMO's XML inputs: plain or gzipped files, and times as SUMO writes them."""

import gzip
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import BinaryIO, cast

from twintier.plvn_agent.source import SourceError

GZIP_MAGIC = b"\x1f\x8b"


def open_input(path: Path) -> BinaryIO:
    """Open a plain or gzipped input file, whatever its name ends with.

    Raises:
        SourceError: if it cannot be opened.
    """
    try:
        stream = path.open("rb")
        gzipped = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        stream.seek(0)
        # a GzipFile reads like any binary file
        return cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if gzipped else stream
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error}; check the scenario's files") from error


def read_xml(path: Path) -> ET.Element:
    """The root element of an input file.

    Raises:
        SourceError: if it cannot be read or is no XML.
    """
    with open_input(path) as stream:
        try:
            return ET.parse(stream).getroot()  # noqa: S314  the user's own scenario
        except (OSError, EOFError, ET.ParseError) as error:
            raise SourceError(f"{path} is no XML: {error}; check the scenario's files") from error


def seconds_of(text: str) -> float | None:
    """A time such as "75", "00:01:15" or "1:00:01:15"; None for "triggered" and the like."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        return None
    factors = (1.0, 60.0, 3600.0, 86400.0)
    return sum(part * factor for part, factor in zip(reversed(parts), factors, strict=False))
