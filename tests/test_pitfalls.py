"""Failures that users of such systems have reported in public, and the test that feeds us each.

Named `owner/repository#thread`. A test that is renamed or dropped must be replaced here.
"""

import ast
import socket
from pathlib import Path

import numpy as np
import pytest

from tests.support.names import COOP_PERCEPTION
from tests.support.toy import performance
from twintier.broker.errors import BrokerStartError
from twintier.broker.servers.process import choose_port
from twintier.protocol.address import Address
from twintier.protocol.codec import decode, with_low_watermark
from twintier.protocol.ids import PlvnId
from twintier.protocol.tensors import Tensors
from twintier.runtime.delivery.decoder import Decoder
from twintier.runtime.delivery.encoder import Encoder
from twintier.runtime.effects import Publish

ROOT = Path(__file__).parent
SHOWN = {
    "eclipse-ditto/ditto#858": "runtime/delivery/test_outbox.py::test_a_full_outbox_costs_the_oldest_and_says_so",
    "FIWARE/context.Orion-LD#1650": "faults/test_injected.py::test_clocks_that_differ_by_an_hour_expire_nothing",
    "aws-iot-device-sdk-embedded-C#32": "plvn_agent/test_core.py::test_a_repeated_order_is_answered_again_and_changes_nothing",
    "aws-iot-device-sdk-embedded-C#15": "plvn_agent/test_core.py::test_an_order_from_before_is_void_even_after_a_restart",
    "aws-iot-device-sdk-js#100": "edge_twin/test_adaptation.py::test_a_dispatch_is_sent_again_until_it_is_applied",
    "thingsboard/thingsboard#1264": "edge_twin/test_twin.py::test_the_newest_telemetry_is_that_of_the_latest_slot",
    "thingsboard/thingsboard-gateway#2119": "test_pitfalls.py::test_an_upload_sent_again_keeps_the_time_of_its_first_sending",
    "flwrlabs/flower#4147": "cloud_twin/test_core.py::test_a_deadline_ends_a_round_with_what_is_there",
    "flwrlabs/flower#7645": "cloud_twin/test_meta_training.py::test_a_round_without_gradients_changes_nothing",
    "flwrlabs/flower#1060": "learning/test_aggregate.py::test_a_gradient_that_is_not_finite_changes_nothing",
    "flwrlabs/flower#2515": "cloud_twin/test_meta_training.py::test_rows_of_another_iteration_are_late_and_do_nothing",
    "KatherLab/MediSwarm#466": "edge_twin/test_core.py::test_a_matched_meta_model_is_fetched_until_it_is_there",
    "londonaicentre/FLIP#684": "runtime/delivery/test_delivery.py::test_what_is_lost_on_the_way_is_asked_for_again_and_nothing_else",
    "securefederatedai/openfederatedlearning#1619": "system/faults/test_platform.py::test_every_process_is_killed_in_turn_and_the_loop_goes_on",
    "empicano/aiomqtt#340": "runtime/test_runtime.py::test_goodbye_is_published_when_stopped_and_a_will_when_the_link_breaks",
    "empicano/aiomqtt#250": "contract/test_bus.py::test_order_and_number_are_kept_far_beyond_the_window",
    "eclipse-paho/paho.mqtt.python#856": "runtime/test_runtime.py::test_a_full_queue_costs_the_oldest_messages_and_counts_them",
    "eclipse-paho/paho.mqtt.python#492": "contract/test_bus.py::test_what_was_handed_over_and_not_acknowledged_survives_a_killed_broker",
    "eclipse-mosquitto/mosquitto#2887": "system/test_offline.py::test_retained_statuses_of_a_large_fleet_all_arrive",
    "eclipse-mosquitto/mosquitto#1729": "system/test_offline.py::test_messages_queued_for_an_absent_edge_server_all_arrive_in_order",
    "TheAgentK/tuya-mqtt#41": "runtime/delivery/test_delivery.py::test_what_a_predecessor_says_last_does_not_stand",
    "eclipse-mosquitto/mosquitto#1877": "contract/test_tls.py::test_a_reload_takes_up_rules_but_a_new_authority_needs_a_restart",
    "safetensors/safetensors#825": "test_pitfalls.py::test_arrays_in_fortran_order_keep_their_values",
    "safetensors/safetensors#75": "test_pitfalls.py::test_big_endian_arrays_keep_their_values",
    "ioBroker/ioBroker.mqtt#182": "protocol/test_topics.py::test_an_identity_cannot_add_levels_or_wildcards",
    "mlflow/mlflow#22635": "cloud_twin/test_core.py::test_a_repeated_request_is_placed_again_without_another_save",
    "FedML-AI/FedML#232": "cloud_twin/test_meta_training.py::test_an_empty_round_is_repeated_with_other_twins",
    "londonaicentre/FLIP#1249": "test_pitfalls.py::test_a_server_of_others_on_the_port_is_not_taken_for_ours",
    "flwrlabs/flower#4934": "system/test_flat_memory.py::test_ten_thousand_rounds_leave_no_memory_behind",
    "aden-hive/hive#2423": "system/test_flat_memory.py::test_ten_thousand_ids_that_come_again_take_no_more_memory",
    "Orange-OpenSource/its-client#586": "test_pitfalls.py::test_a_message_from_the_epoch_is_neither_old_nor_lost",
}  # fmt: skip


@pytest.mark.parametrize("report", SHOWN)
def test_each_report_has_a_test_that_is_there(report: str) -> None:
    path, _, name = SHOWN[report].partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def encoder() -> Encoder:
    return Encoder("plvn", "p1", "b1", root="twintier", low_watermark=lambda _stream: 1)


AT = Publish(performance(0), Address(plvn=PlvnId("p1"), inmf=COOP_PERCEPTION))


def test_an_upload_sent_again_keeps_the_time_of_its_first_sending() -> None:
    sent = encoder().encode(AT, 1000.0)
    again = decode(with_low_watermark(sent.payload, 1), sent.topic).envelope
    later = decode(with_low_watermark(sent.payload, 7), sent.topic).envelope
    assert again.ts_ns == later.ts_ns == 1000 * 10**9
    assert (again.id, again.seq) == (later.id, later.seq)


def test_a_message_from_the_epoch_is_neither_old_nor_lost() -> None:
    sent = encoder().encode(AT, 0.0)
    envelope = decode(sent.payload, sent.topic).envelope
    decoder = Decoder("twintier")
    assert envelope.ts_ns == 0
    assert decoder.is_due(envelope, 1.8e9, retain=False)
    assert decoder.offsets_s(1) == {"plvn:p1": 1.8e9}


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_in_fortran_order_keep_their_values(order: str) -> None:
    array = np.array([[1, 2, 3], [4, 5, 6]], np.float32, order=order)  # type: ignore[call-overload]
    assert np.array_equal(Tensors.pack({"a": array}).unpack()["a"], [[1, 2, 3], [4, 5, 6]])
    assert np.array_equal(Tensors.pack({"a": array.T}).unpack()["a"], [[1, 4], [2, 5], [3, 6]])


def test_big_endian_arrays_keep_their_values() -> None:
    array = np.array([1.5, -2.25], ">f4")
    packed = Tensors.pack({"a": array})
    assert packed.blob == np.array([1.5, -2.25], "<f4").tobytes()
    assert np.array_equal(packed.unpack()["a"], [1.5, -2.25])


def test_a_server_of_others_on_the_port_is_not_taken_for_ours() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerStartError, match=f"port {port} is taken by another server"):
            choose_port(port)
