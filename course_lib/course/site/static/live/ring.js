// Samples that wait for the model: a ring of fixed size, which drops its oldest blocks, and counts them, when it is full.
export class Ring {
  // capacity, block: samples.
  constructor(capacity, block) {
    this.block = block;
    this.values = new Float32Array(Math.max(2, Math.ceil(capacity / block)) * block);
    this.first = 0; // where the oldest sample stands
    this.size = 0;
    this.dropped = 0; // blocks
  }

  push(samples) {
    const { values, block } = this;
    if (samples.length > values.length) {
      const half = values.length / 2;
      for (let at = 0; at < samples.length; at += half) this.push(samples.subarray(at, at + half));
      return;
    }
    while (this.size + samples.length > values.length) {
      this.first = (this.first + block) % values.length;
      this.size -= block;
      this.dropped += 1;
    }
    const start = (this.first + this.size) % values.length;
    const fits = Math.min(samples.length, values.length - start);
    values.set(samples.subarray(0, fits), start);
    values.set(samples.subarray(fits), 0);
    this.size += samples.length;
  }

  // The oldest block, or null where less than a block waits. last: whatever is left, with zeros behind it.
  pull(last = false) {
    const { values, block } = this;
    if (this.size < block && !(last && this.size)) return null;
    const out = new Float32Array(block);
    const count = Math.min(block, this.size);
    for (let i = 0; i < count; i++) out[i] = values[(this.first + i) % values.length];
    this.first = (this.first + count) % values.length;
    this.size -= count;
    return { samples: out, count };
  }
}
