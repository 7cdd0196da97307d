"""`twintier case-study`: Fig. 6 of the paper."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twintier.launch.cli.configured import configured, option
from twintier.launch.cli.options import quiet_logs

if TYPE_CHECKING:
    from twintier.launch.settings.resolve import Settings


@configured(option("case_study.epochs"))
def case_study(
    settings: "Settings",
    *,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each arm, from 0.")] = 10,
    out: Annotated[
        Path, typer.Option(help="Folder of results; a run stopped there goes on.")
    ] = Path("case-study"),
    over_bus: Annotated[
        str | None, typer.Option(help="PPO-ML over a bus: memory, auto, or mqtt://host:port.")
    ] = None,
) -> int:
    """Compute the paper's case study (Fig. 6): curves, summary and picture."""
    os.environ.pop("MPLBACKEND", None)  # a notebook's is not here; the picture goes to files
    from twintier.broker.errors import (  # noqa: PLC0415
        BrokerStartError,
        LocalBusError,
        UnavailableError,
    )
    from twintier.launch.case_study.arms import CaseStudySettings  # noqa: PLC0415
    from twintier.launch.case_study.over_bus import check_bus  # noqa: PLC0415
    from twintier.launch.case_study.run import CaseStudyError, run  # noqa: PLC0415
    from twintier.launch.exit_codes import ExitCode  # noqa: PLC0415
    from twintier.launch.problems import say  # noqa: PLC0415
    from twintier.learning.errors import SettingsError  # noqa: PLC0415
    from twintier.runtime.storage.store import StoreError  # noqa: PLC0415

    quiet_logs()
    try:
        chosen = settings.of(CaseStudySettings)
        if over_bus is not None:
            check_bus(over_bus)
        run(seeds=seeds, out=out, over_bus=over_bus, settings=chosen)
    except (CaseStudyError, LocalBusError, SettingsError) as error:
        return say(error, ExitCode.USAGE)
    except (BrokerStartError, UnavailableError) as error:
        return say(error, ExitCode.NO_BROKER)
    except StoreError as error:
        return say(error, ExitCode.STORE)
    return ExitCode.OK
