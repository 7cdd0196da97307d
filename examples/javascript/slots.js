// What the PLVN looks like, slot by slot, and the bodies that upload it. The traffic is made up;
// a real client measures it. All pairs sense alone, so a slot earns 0 J whatever the condition.

import { packTensors } from "./wire.js";

const PAIRS = 3;
const START_HOUR = 12;

const wave = (slot, period) => Math.sin((2 * Math.PI * slot) / period);

/** One slot: bandwidth left for V2V, and of each pair its workload, distance and presence. */
export function observe(slot) {
  const pairs = [...Array(PAIRS).keys()];
  return {
    slot,
    bandwidthHz: 2e7 + 5e6 * wave(slot, 45) + 2e6 * Math.random(),
    objects: pairs.map((pair) => Math.round(6 + 3 * wave(slot + 20 * pair, 60) + Math.random())),
    distanceM: pairs.map((pair) => 60 + 30 * wave(slot + 30 * pair, 90) + 5 * Math.random()),
    present: pairs.map((pair) => (wave(slot + 50 * pair, 200) > -0.8 ? 1 : 0)),
  };
}

function columns(slots) {
  const rows = [slots.length, PAIRS];
  return {
    bandwidth_hz: { shape: [slots.length], values: slots.map((one) => one.bandwidthHz) },
    objects: { shape: rows, values: slots.flatMap((one) => one.objects) },
    distance_m: { shape: rows, values: slots.flatMap((one) => one.distanceM) },
    present: { shape: rows, values: slots.flatMap((one) => one.present) },
  };
}

export function telemetry(slots, inmf) {
  const last = slots.at(-1);
  return {
    slot_first: slots[0].slot,
    hour: (START_HOUR + last.slot / 3600) % 24,
    vehicle_number: 2 * last.present.reduce((sum, there) => sum + there, 0),
    mean_speed_share: null,
    vehicles: [],
    measured: [{ inmf: inmf.id, schema_id: inmf.schemaId, slots: packTensors(columns(slots)) }],
  };
}

export function trajectories(slots, order, batch, inmf) {
  const alone = { shape: [slots.length, PAIRS], values: Array(slots.length * PAIRS).fill(0) };
  const earned = { shape: [slots.length], values: Array(slots.length).fill(0) };
  return {
    policy: order.policy,
    model_version: order.version,
    batch,
    slot_first: slots[0].slot,
    schema_id: inmf.schemaId,
    slots: packTensors({
      ...columns(slots),
      modes_before: alone,
      action: alone,
      reward: earned,
    }),
  };
}

export function performance(slots, order) {
  return {
    policy: order.policy,
    model_version: order.version,
    slot_first: slots[0].slot,
    slots: slots.length,
    reward_sum: 0,
    outcomes: [], // nothing else is measured
  };
}
