// What the AsyncAPI document says a role may send and will receive. Nothing here knows a message
// by heart: topics, types with their versions, QoS, retain and expiry are looked up.

import { readFileSync } from "node:fs";

const resolve = (document, { $ref }) =>
  $ref
    .slice(2)
    .split("/")
    .reduce((node, key) => node[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);

/** Interactions of a role: `sends` by message title, `receives` by type on the wire. */
export function readSchema(path, role) {
  const document = JSON.parse(readFileSync(path, "utf8"));
  const sends = new Map();
  const receives = new Map();
  for (const operation of Object.values(document.operations)) {
    if (!operation.tags.some((tag) => tag.name === role)) continue;
    const { address } = resolve(document, operation.channel);
    const { qos, retain, messageExpiryInterval } = operation.bindings.mqtt;
    for (const reference of operation.messages) {
      const message = resolve(document, resolve(document, reference));
      const way = { type: message.name, title: message.title, address, qos };
      if (operation.action === "send") {
        sends.set(message.title, { ...way, retain, ttlSeconds: messageExpiryInterval });
      } else {
        receives.set(message.name, way);
      }
    }
  }
  const envelope = document.components.schemas.Envelope.properties;
  return { sends, receives, envelopeKeys: new Set(Object.keys(envelope)) };
}

/** A topic from a template; levels that `names` lacks become the wildcard `+`. */
export function fill(address, names) {
  return address.replaceAll(/\{(\w+)\}/g, (_, name) => names[name] ?? "+");
}
