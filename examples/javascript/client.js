// A PLVN that takes part in the platform: it registers, uploads what its slots were like, and
// answers the models that its edge server sends. Each event is printed as one line of JSON.

import { parseArgs } from "node:util";
import mqtt from "mqtt";
import { Outbox } from "./outbox.js";
import { fill, readSchema } from "./schema.js";
import { observe, performance, telemetry, trajectories } from "./slots.js";
import { Sender, refusalOf, unpack } from "./wire.js";

const { values: options } = parseArgs({
  options: {
    url: { type: "string", default: "mqtt://127.0.0.1:1883" },
    schema: { type: "string", default: "../../docs/asyncapi.json" },
    plvn: { type: "string", default: "javascript-1" },
    inmf: { type: "string", default: "coop-perception" },
    "schema-id": { type: "string" }, // of its fields: `twintier inmf show coop-perception`
    speed: { type: "string", default: "50" }, // simulated seconds a second
    models: { type: "string", default: "0" }, // end after answering so many; 0: never
  },
});

if (options["schema-id"] === undefined) {
  console.error("client.js: --schema-id is missing; `twintier inmf show coop-perception` prints it");
  process.exit(2);
}
const inmf = { id: options.inmf, schemaId: options["schema-id"] };
const LEASE_S = 15;
const RETRY_MS = 1000;
const TICK_MS = 100;
const TELEMETRY_SLOTS = 10;
const PERFORMANCE_SLOTS = 75;
const KEPT = new Set(["TrajectoriesReported", "PerformanceReported"]); // protocol.md: outbox
const SITE = { city: "toronto", road: "highway", lat_deg: 43.65, lon_deg: -79.38 };

const schema = readSchema(options.schema, "plvn");
const names = { plvn: options.plvn, inmf: options.inmf, role: "plvn", id: options.plvn };
const outbox = new Outbox();
const takesAcknowledgements = [...schema.receives.values()].some(
  (way) => way.title === "UploadsAcknowledged",
);
const sender = new Sender(`plvn:${options.plvn}`, `javascript-${Date.now()}`);

let grant = null; // the newest: whose orders are obeyed, and the fence that uploads carry
let order = { version: 0, policy: "baseline", boot: null };
let answered = 0;
let batch = 0;
let trajectorySlots = 15; // until the edge server asks for another number
const pending = { telemetry: [], trajectories: [], performance: [] };
let slot = 0;

const say = (event, details = {}) => console.log(JSON.stringify({ event, ...details }));

const will = packed("AgentStatusReported", { state: "offline", lease_s: 0 }, { stream: "will" });
const client = mqtt.connect(options.url, {
  clientId: `plvn-${options.plvn}-${sender.boot}`,
  protocolVersion: 4, // nothing on this bus needs MQTT 5
  will: { topic: will.topic, payload: will.payload, qos: 1, retain: true },
});

function packed(title, body, envelope) {
  const way = schema.sends.get(title);
  if (way === undefined) throw new Error(`the schema has no ${title} that a plvn sends`);
  const topic = fill(way.address, names);
  return { topic, way, ...sender.pack(way, topic, body, envelope) };
}

function send(title, body, envelope = {}) {
  const { topic, way, payload, stream, seq } = packed(title, body, envelope);
  client.publish(topic, payload, { qos: way.qos, retain: way.retain });
  if (envelope.outbox) outbox.keep(stream, seq, { topic, payload, qos: way.qos });
}

function upload(title, body) {
  const kept = KEPT.has(title) && takesAcknowledgements ? outbox : undefined;
  send(title, body, { fence: grant.fence, simSeconds: slot, outbox: kept });
}

const status = (state) => send("AgentStatusReported", { state, lease_s: LEASE_S });
const register = () =>
  grant ?? send("RegistrationRequested", { site: SITE, requested_inmfs: [options.inmf] });

const handlers = {
  RegistrationGranted: (body) => obey(body.grant),
  GrantRenewed: (body) => obey(body.grant),
  RegistrationRefused: (body) => say("registration-refused", { code: body.code }),
  ModelDispatched: (body, envelope) => onModel(body, envelope),
  BaselineOrdered: (body, envelope) => onBaseline(body, envelope),
  UploadsAcknowledged: (body) => body.positions.forEach(onPosition),
  MessageReturned: (body) => onReturned(body),
};

function obey(received) {
  if (received.plvn !== options.plvn || (grant !== null && received.fence < grant.fence)) return;
  const first = grant === null;
  grant = received;
  if (!first) return;
  say("granted", { edge: grant.edge, fence: Number(grant.fence) });
  upload("ModelRequested", { inmf: options.inmf });
}

function onPosition(position) {
  if (position.boot !== sender.boot) return;
  for (const { topic, payload, qos } of outbox.acknowledged(position)) {
    client.publish(topic, payload, { qos });
  }
}

function onReturned({ type, boot, stream, seq, code, reason }) {
  if (boot !== sender.boot) return;
  say("refused", { type, stream, seq: Number(seq), code, reason });
  outbox.returned({ stream, seq });
}

const isOwner = ({ src, fence }) =>
  grant !== null && src === `edge:${grant.edge}` && fence === grant.fence;

/** Late and repeated orders are normal; a repeated one is answered again. */
function isOutdated(body, envelope) {
  return !isOwner(envelope) || (envelope.boot === order.boot && body.version < order.version);
}

function onModel(body, envelope) {
  if (isOutdated(body, envelope)) return;
  const reason = refusalOf(body);
  if (reason !== null) {
    say("model-refused", { version: body.version, reason });
    const refusal = { inmf: body.inmf, version: body.version, code: "wrong_digest", reason };
    upload("ModelRefused", refusal);
    return;
  }
  trajectorySlots = Number(body.trajectory_slots);
  follow(body, envelope, "individual_model", body.model);
}

function onBaseline(body, envelope) {
  if (!isOutdated(body, envelope)) follow(body, envelope, "baseline", "0".repeat(64));
}

function follow(body, envelope, policy, model) {
  if (body.version !== order.version) uploadTrajectories(); // what was done under the one before
  order = { version: body.version, policy, boot: envelope.boot };
  const applied = { inmf: body.inmf, version: body.version, model, slot_first: slot };
  upload("ModelApplied", applied);
  answered += 1;
  say("applied", { version: Number(body.version), policy, model });
  if (answered === Number(options.models)) leave();
}

function uploadTrajectories() {
  if (pending.trajectories.length === 0) return;
  upload("TrajectoriesReported", trajectories(pending.trajectories, order, batch, inmf));
  batch += 1;
  pending.trajectories = [];
}

function advance() {
  if (grant === null) return;
  for (let count = (Number(options.speed) * TICK_MS) / 1000; count > 0; count -= 1) {
    const seen = observe(slot);
    slot += 1;
    for (const slots of Object.values(pending)) slots.push(seen);
    if (pending.telemetry.length >= TELEMETRY_SLOTS) {
      upload("TelemetryReported", telemetry(pending.telemetry, inmf));
      pending.telemetry = [];
    }
    if (pending.trajectories.length >= trajectorySlots) uploadTrajectories();
    if (pending.performance.length >= PERFORMANCE_SLOTS) {
      upload("PerformanceReported", performance(pending.performance, order));
      pending.performance = [];
    }
  }
}

client.on("connect", async () => {
  const topics = new Map();
  for (const { address, qos } of schema.receives.values()) {
    topics.set(fill(address, { plvn: options.plvn }), { qos });
  }
  await client.subscribeAsync(Object.fromEntries(topics));
  say("connected", { topics: [...topics.keys()] });
  status("online");
  register();
});

client.on("message", (topic, payload) => {
  if (payload.length === 0) return;
  const { envelope, body } = unpack(payload);
  const way = schema.receives.get(envelope.type);
  if (body === undefined) say("in-chunks", { type: envelope.type }); // this client asks for none
  else if (way === undefined) say("unknown-type", { type: envelope.type, topic });
  else handlers[way.title]?.(body, envelope);
});

client.on("error", (error) => say("error", { reason: error.message }));

const timers = [
  setInterval(() => status("online"), (LEASE_S * 1000) / 3),
  setInterval(register, RETRY_MS),
  setInterval(advance, TICK_MS),
];

async function leave() {
  timers.forEach(clearInterval);
  status("offline");
  await client.endAsync(); // waits for what is unacknowledged, and sends no will
  say("left", { slots: slot, unacknowledged: outbox.size });
}

process.on("SIGINT", leave);
process.on("SIGTERM", leave);
