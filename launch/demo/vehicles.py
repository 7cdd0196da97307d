"""Which vehicles a demo drives: those asked for, or built-in ones where SUMO cannot run."""

from dataclasses import replace

from twintier.launch.demo.settings import DemoOptions
from twintier.launch.sources import problem_of
from twintier.plvn_agent.source import SourceError

NEEDS_NOTHING = "builtin"


def with_vehicles(options: DemoOptions) -> DemoOptions:
    """The options with a source that runs on this machine, and why it is another one.

    Raises:
        SourceError: if what was asked for cannot run and nothing may stand in for it.
    """
    problem = problem_of(options.source)
    if problem is None:
        return options
    if options.source != "sumo" or options.demo.scenario is not None:
        raise SourceError(problem)
    demo = replace(options.demo, source=NEEDS_NOTHING)
    return replace(options, demo=demo, stands_in_for=options.source, because=problem)
