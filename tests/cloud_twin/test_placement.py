"""Placement on edge servers, and who owns which twin."""

from dataclasses import replace

import pytest

from twintier.cloud_twin.placement import EdgeServer, distance_m, nearest_with_room
from twintier.cloud_twin.registry import PlvnRecord, Registry
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import Site
from twintier.protocol.values import Fence

BERLIN = Site(city="Berlin", road="Highway", lat_deg=52.5, lon_deg=13.4)
INMFS = (InmfId("coop-perception"),)
NEAR = EdgeServer(EdgeId("near"), 52.4, 13.3, 2, 100.0, "b1")
FAR = EdgeServer(EdgeId("far"), 44.5, 11.3, 2, 100.0, "b1")
P1 = PlvnId("p1")


def registry(*servers: EdgeServer) -> Registry:
    return Registry(servers={server.edge: server for server in servers})


def registered(world: Registry, plvn: PlvnId, now: float) -> PlvnRecord:
    record = world.place(plvn, BERLIN, INMFS, now)
    assert record is not None
    world.plvns[plvn] = record
    return record


def test_distance_over_one_degree_of_latitude() -> None:
    assert distance_m(0.0, 0.0, 1.0, 0.0) == pytest.approx(111_195, abs=1)
    assert distance_m(10.0, 20.0, 10.0, 20.0) == 0.0
    assert distance_m(0.0, 179.5, 0.0, -179.5) == pytest.approx(111_195, abs=1)


def test_the_nearest_server_hosts_until_it_is_full() -> None:
    assert nearest_with_room(BERLIN, [FAR, NEAR], {EdgeId("near"): 1}, 0.0) == NEAR
    assert nearest_with_room(BERLIN, [FAR, NEAR], {EdgeId("near"): 2}, 0.0) == FAR
    assert nearest_with_room(BERLIN, [NEAR], {EdgeId("near"): 2}, 0.0) is None


def test_a_server_whose_lease_has_ended_hosts_nothing() -> None:
    assert nearest_with_room(BERLIN, [replace(NEAR, lease_until=5.0), FAR], {}, 5.0) == FAR


def test_of_servers_in_one_place_the_emptier_hosts() -> None:
    twin = replace(NEAR, edge=EdgeId("also-near"))
    assert nearest_with_room(BERLIN, [NEAR, twin], {EdgeId("also-near"): 1}, 0.0) == NEAR
    assert nearest_with_room(BERLIN, [NEAR, twin], {}, 0.0) == twin


def test_a_plvn_stays_with_its_server_while_that_is_there() -> None:
    world = registry(FAR)
    assert registered(world, P1, 0.0).fence == 1
    world.servers[NEAR.edge] = NEAR
    assert registered(world, P1, 1.0) == PlvnRecord(P1, BERLIN, INMFS, FAR.edge, Fence(1))


def test_a_new_owner_gets_a_new_fence() -> None:
    world = registry(replace(NEAR, lease_until=10.0), FAR)
    assert registered(world, P1, 0.0).edge == "near"
    assert registered(world, P1, 10.0) == PlvnRecord(P1, BERLIN, INMFS, FAR.edge, Fence(2))
    assert world.is_owner(P1, FAR.edge, Fence(2))
    assert not world.is_owner(P1, NEAR.edge, Fence(1))
    assert not world.is_owner(P1, FAR.edge, Fence(1))
    assert not world.is_owner(P1, FAR.edge, None)


def test_only_confirmed_twins_of_servers_that_are_there_take_part() -> None:
    world = registry(replace(NEAR, capacity=9))
    for name in ("p1", "p2", "p3"):
        registered(world, PlvnId(name), 0.0)
    world.confirmed = {P1: Fence(1), PlvnId("p3"): Fence(9)}
    everyone = {P1, PlvnId("p2"), PlvnId("p3"), PlvnId("gone")}
    assert world.hosted(everyone, INMFS[0], 50.0) == ["p1"]
    assert world.hosted(everyone, InmfId("other"), 50.0) == []
    assert world.hosted(everyone, INMFS[0], 100.0) == []
