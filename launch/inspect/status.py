"""`twintier status`: who is there, what acts, what was refused, after a moment of listening."""

import json

from rich.table import Table

from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect.asking import Asked, run_asking
from twintier.launch.inspect.output import console, literal
from twintier.launch.inspect.projection import View


def run_status(asked: Asked, *, as_json: bool) -> int:
    """Listen, print, end; the exit code says whether a broker answered."""

    def answer(view: View) -> int:
        if as_json:
            print(json.dumps(as_fields(view), indent=2))
        else:
            _print(view)
        return ExitCode.OK

    return run_asking(asked, answer)


def as_fields(view: View) -> dict[str, object]:
    """The view as plain values."""
    return {
        "cloud": None if view.cloud is None else view.cloud.model_dump(),
        "edges": {edge: status.model_dump() for edge, status in sorted(view.edges.items())},
        "processes": {
            src: health.model_dump(exclude={"counters"})
            | {"counters": {c.name: c.count for c in health.counters}}
            for src, health in sorted(view.health.items())
        },
        "meta_models": [m.model_dump() for m in view.library.values()],
        "plvns": {
            plvn: {
                "category": None if seen.attributes is None else seen.attributes.category,
                "edge_server": seen.edge,
                "inmfs": {
                    inmf: {
                        "model": None if own.model is None else own.model.model_dump(),
                        "reward": own.reward,
                    }
                    for inmf, own in sorted(seen.inmfs.items())
                },
            }
            for plvn, seen in sorted(view.plvns.items())
        },
        "recent_refusals": [refusal.model_dump() for refusal in view.refusals],
    }


def _print(view: View) -> None:
    out = console()
    cloud = view.cloud
    state = "not seen" if cloud is None else f"{cloud.state}, {cloud.phase}"
    out.print(f"cloud twin {state}; {len(view.edges)} edge servers; {len(view.plvns)} PLVNs")
    table = Table("process", "up s", "published", "delivered", "redelivered", "refused", "dropped")
    table.add_column("counters", overflow="fold")
    for src, health in sorted(view.health.items()):
        counters = ", ".join(f"{c.name} {c.count}" for c in health.counters)
        numbers = (
            health.published,
            health.delivered,
            health.redelivered,
            health.refused,
            health.dropped,
        )
        table.add_row(src, f"{health.uptime_s:.0f}", *(str(n) for n in numbers), counters)
    out.print(table)
    for src, health in sorted(view.health.items()):
        behind = ", ".join(f"{peer.src} {peer.offset_s:+.3f} s" for peer in health.peers)
        if behind:
            out.print(f"clocks behind that of {src}: {behind}")
    for model in view.library.values():
        name = model.category or "super model"
        out.print(f"meta model {name} v{model.version}, {model.iterations} iterations")
    for refusal in view.refusals:
        out.print(f"refused {refusal.code} on {literal(refusal.topic)}: {literal(refusal.reason)}")
