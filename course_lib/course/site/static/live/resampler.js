// A stream of samples at one rate, at another rate: a windowed sinc, evaluated at the fractions that occur.
export class Resampler {
  // from, to: whole numbers of samples a second. lobes: zero crossings of the sinc on either side.
  constructor(from, to, lobes = 16) {
    const common = divisor(from, to);
    this.up = to / common;
    this.down = from / common;
    const cut = from === to ? 1 : 0.94 * Math.min(1, to / from); // of the input's half rate: the rest would fold back
    this.half = Math.ceil(lobes / cut);
    this.kernels = Array.from({ length: this.up }, (_, phase) => kernel(phase / this.up, cut, this.half));
    this.rest = new Float32Array(this.half - 1); // silence before the first sample
    this.at = this.half - 1; // of the next output, in `rest` and what follows
    this.phase = 0; // and its fraction, in steps of 1 / up
  }

  // The outputs that are now known.
  push(samples) {
    if (this.up === this.down) return samples;
    const { up, down, half, kernels } = this;
    const x = new Float32Array(this.rest.length + samples.length);
    x.set(this.rest);
    x.set(samples, this.rest.length);
    const out = [];
    while (this.at + half < x.length) {
      const weights = kernels[this.phase];
      let sum = 0;
      for (let i = 0, j = this.at - half + 1; i < weights.length; i++, j++) sum += weights[i] * x[j];
      out.push(sum);
      this.phase += down;
      this.at += Math.floor(this.phase / up);
      this.phase %= up;
    }
    const keep = Math.min(x.length, this.at - half + 1);
    this.rest = x.slice(keep);
    this.at -= keep;
    return Float32Array.from(out);
  }
}

// Weights of the samples half - 1 before to half after an output that lies `fraction` behind a sample; they sum to 1.
function kernel(fraction, cut, half) {
  const weights = new Float64Array(2 * half);
  let sum = 0;
  for (let i = 0; i < 2 * half; i++) {
    const t = i - half + 1 - fraction;
    const window = Math.abs(t) < half ? Math.cos((Math.PI * t) / (2 * half)) ** 2 : 0;
    const x = Math.PI * cut * t;
    weights[i] = (Math.abs(x) < 1e-9 ? 1 : Math.sin(x) / x) * window;
    sum += weights[i];
  }
  return weights.map((weight) => weight / sum);
}

function divisor(a, b) {
  return b ? divisor(b, a % b) : a;
}
