// Uploads that are kept until the receiver says that they had their effect. In memory: a client
// that must not lose them over a restart writes them to disk, with its boot and its numbers.

export class Outbox {
  #streams = new Map(); // stream -> Map of seq -> {topic, payload, qos}, in order

  /** The smallest number that may still come, if `seq` is the next one. */
  floor(stream, seq) {
    const { value } = (this.#streams.get(stream) ?? new Map()).keys().next();
    return value ?? seq;
  }

  keep(stream, seq, sending) {
    if (!this.#streams.has(stream)) this.#streams.set(stream, new Map());
    this.#streams.get(stream).set(seq, sending);
  }

  /** Forget what an acknowledgement covers; returns what has to be sent again. */
  acknowledged({ stream, seq, again }) {
    const kept = this.#streams.get(stream) ?? new Map();
    for (const number of [...kept.keys()]) if (number <= seq) kept.delete(number);
    return again ? [...kept.values()] : [];
  }

  /** A message that was refused will be refused again. */
  returned({ stream, seq }) {
    this.#streams.get(stream)?.delete(Number(seq));
  }

  get size() {
    return [...this.#streams.values()].reduce((sum, kept) => sum + kept.size, 0);
  }
}
