// Bytes: envelopes in msgpack, arrays as one little-endian blob with its CRC-32.

import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { decode, encode } from "@msgpack/msgpack";
import { blake2b } from "@noble/hashes/blake2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

const NANOSECONDS_PER_MS = 1_000_000n;
const OPTIONS = { useBigInt64: true, ignoreUndefined: true };

const digestOf = (bytes) => bytesToHex(blake2b(bytes, { dkLen: 32 }));

/** Numbers what one process sends, and wraps it. */
export class Sender {
  #seqs = new Map();

  constructor(src, clockId) {
    this.src = src;
    this.clockId = clockId;
    const started = Date.now().toString(16).padStart(11, "0"); // boots are time-ordered
    this.boot = `${started}-${randomBytes(3).toString("hex")}`;
  }

  /** The bytes of a message on a topic; the stream is the topic without root and version. */
  pack(way, topic, body, { fence, simSeconds, stream, outbox } = {}) {
    const name = stream ?? topic.split("/").slice(2).join("/");
    const seq = (this.#seqs.get(name) ?? 0) + 1;
    this.#seqs.set(name, seq);
    const envelope = {
      type: way.type,
      id: timeOrderedId(),
      src: this.src,
      boot: this.boot,
      stream: name,
      seq,
      ts_ns: BigInt(Date.now()) * NANOSECONDS_PER_MS,
      fence,
      sim_ts_ns: simSeconds === undefined ? undefined : BigInt(Math.round(simSeconds * 1e9)),
      clock_id: simSeconds === undefined ? undefined : this.clockId,
      ttl_ms: way.ttlSeconds === undefined ? undefined : way.ttlSeconds * 1000,
      floor: outbox?.floor(name, seq),
      body,
    };
    return { payload: Buffer.from(encode(envelope, OPTIONS)), stream: name, seq };
  }
}

/** Envelope and body in some bytes. */
export function unpack(payload) {
  const { body, ...envelope } = decode(payload, { useBigInt64: true });
  return { envelope, body };
}

/** Arrays, `{name: {shape, values}}`, as one blob of float32. */
export function packTensors(arrays) {
  const entries = Object.entries(arrays);
  const blob = Buffer.concat(
    entries.map(([, { values }]) => {
      const bytes = Buffer.alloc(4 * values.length);
      values.forEach((value, index) => bytes.writeFloatLE(value, 4 * index));
      return bytes;
    }),
  );
  const shapes = entries.map(([name, { shape }]) => ({ name, shape }));
  return { dtype: "<f4", shapes, crc32: crc32(blob), blob };
}

/** Why a received model cannot be used, or null if it came whole and is what it says. */
export function refusalOf({ model, schema_id: schemaId, parameters }) {
  if (crc32(parameters.blob) !== parameters.crc32) return "the blob has another CRC-32";
  const identity = Buffer.concat([utf8ToBytes(schemaId), Buffer.from([0]), parameters.blob]);
  if (digestOf(identity) !== model) return `parameters do not have the id ${model}`;
  return null;
}

/** UUID version 7: 48 bits of milliseconds, then randomness. */
function timeOrderedId() {
  const id = randomBytes(16);
  id.writeUIntBE(Date.now(), 0, 6);
  id[6] = 0x70 | (id[6] & 0x0f);
  id[8] = 0x80 | (id[8] & 0x3f);
  return id;
}
