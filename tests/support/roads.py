"""A small geo-referenced road and demand for it, made with SUMO's own netconvert."""

import subprocess
from pathlib import Path

from twintier.plvn_agent.sources.sumo.scenario import SumoScenario, sumo_environment, sumo_home

NODES = (
    '<nodes><node id="west" x="11.300" y="44.500"/><node id="middle" x="11.318" y="44.500"/>'
    '<node id="east" x="11.336" y="44.500"/></nodes>'
)
EDGES = (
    '<edges><edge id="first" from="west" to="middle" numLanes="2" speed="13.9"/>'
    '<edge id="second" from="middle" to="east" numLanes="2" speed="13.9"/></edges>'
)
FLOW = '<flow id="f" begin="0" end="9000" period="2" from="first" to="second"/>'


def write_road(folder: Path, demand: str = FLOW) -> SumoScenario:
    """A straight road of 2.8 km at 50 km/h, with demand as in a route file."""
    (folder / "nodes.xml").write_text(NODES, encoding="utf-8")
    (folder / "edges.xml").write_text(EDGES, encoding="utf-8")
    network, routes = folder / "road.net.xml", folder / "road.rou.xml"
    routes.write_text(f"<routes>{demand}</routes>", encoding="utf-8")
    subprocess.run(
        [
            *(str(sumo_home() / "bin" / "netconvert"), "--proj.utm", "true", "-o", str(network)),
            *("-n", str(folder / "nodes.xml"), "-e", str(folder / "edges.xml")),
        ],
        check=True,
        capture_output=True,
        env=sumo_environment(),
    )
    return SumoScenario(city="testville", network=network, routes=(routes,))
