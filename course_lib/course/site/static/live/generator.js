// The course's generated events (course_lib.data.make_event_stream), without an end: damped two-tone bursts on several
// channels at 2000 Hz, every onset known, bursts of no type, and noise whose power falls as 1 / frequency above 5 Hz.
const EVENT_RATE = 3; // a second, of all types together
const OTHER_RATE = 1; // bursts of no type a second
const BEFORE = 11; // samples before an onset at which a channel may begin
const AFTER = 100; // and after which every channel is silent again

export class EventStream {
  // templates: frequencies (E, 2), decays (E,), gains and phases (E, C, 2), skews (E, C), length, rate, refractory.
  constructor(templates, random = Math.random) {
    Object.assign(this, { templates, random, clock: 0, bursts: [] });
    this.channels = templates.skews[0].length;
    this.noise = new ColouredNoise(this.channels, templates.rate, random);
    this.gap = (templates.skews.length * templates.rate) / EVENT_RATE - templates.refractory;
    this.next = templates.skews.map(() => BEFORE - random() * templates.refractory + this.wait(this.gap));
    this.nextOther = this.wait(templates.rate / OTHER_RATE);
  }

  // n samples (n, C), flat, noise `level` times as loud as the events, and the events that begin in them.
  take(n, level) {
    const { clock, channels, templates } = this;
    const end = clock + n;
    const samples = this.noise.take(n).map((value) => value * level);
    const events = [];
    this.next.forEach((_, type) => {
      for (; this.next[type] < end + BEFORE; this.next[type] += templates.refractory + this.wait(this.gap)) {
        if (this.next[type] < BEFORE) continue;
        const one = (part) => templates[part][type];
        const shape = { frequencies: one("frequencies"), decay: one("decays"), gains: one("gains"), phases: one("phases"), skews: one("skews") };
        this.bursts.push(this.burst(shape, this.next[type], type));
      }
    });
    for (; this.nextOther < end + BEFORE; this.nextOther += this.wait(templates.rate / OTHER_RATE)) {
      this.bursts.push(this.burst(this.other(), this.nextOther, null));
    }
    for (const burst of this.bursts) {
      if (burst.type !== null && burst.onset >= clock && burst.onset < end) events.push({ type: burst.type, onset: burst.onset });
      const last = Math.min(end, Math.ceil(burst.onset) + AFTER);
      for (let t = Math.max(clock, Math.floor(burst.onset) - BEFORE); t < last; t++) {
        const values = render(burst.shape, (t - burst.onset), burst.warp, templates);
        for (let c = 0; c < channels; c++) samples[(t - clock) * channels + c] += burst.amplitude * values[c];
      }
    }
    this.bursts = this.bursts.filter(({ onset }) => onset + AFTER > end);
    this.clock = end;
    return { samples, events: events.sort((a, b) => a.onset - b.onset) };
  }

  burst(shape, onset, type) {
    return { shape, onset, type, amplitude: this.between(0.7, 1.3), warp: this.between(0.9, 1.1) };
  }

  // A burst of no type: tones, decay, mixture and skews of its own, as loud as a type's.
  other() {
    const { templates, channels } = this;
    const many = (draw) => Array.from({ length: channels }, draw);
    const tone = () => Math.exp(this.between(Math.log(50), Math.log(450)));
    const gain = () => this.between(0.2, 1) * (this.random() < 0.5 ? -1 : 1);
    const phase = () => this.between(0, 2 * Math.PI);
    const skews = many(() => this.between(-10, 10));
    const mean = skews.reduce((sum, skew) => sum + skew, 0) / channels;
    const largest = Math.max(...skews.map((skew) => Math.abs(skew - mean)));
    const shape = {
      frequencies: [tone(), tone()],
      decay: this.between(0.008, 0.016),
      gains: many(() => [gain(), gain()]),
      phases: many(() => [phase(), phase()]),
      skews: skews.map((skew) => (skew - mean) * Math.min(1, 10 / largest)),
    };
    let power = 0;
    const plain = { ...shape, skews: many(() => 0) };
    for (let t = 0; t < templates.length; t++) for (const value of render(plain, t, 1, templates)) power += value ** 2;
    const rms = Math.sqrt(power / (templates.length * channels));
    shape.gains = shape.gains.map((pair) => pair.map((value) => value / rms));
    return shape;
  }

  between(low, high) {
    return low + (high - low) * this.random();
  }

  wait(mean) {
    return -mean * Math.log(1 - this.random());
  }
}

// The value of each channel `t` samples after an event's onset.
export function render({ frequencies, decay, gains, phases, skews }, t, warp, { rate, length }) {
  return skews.map((skew, c) => {
    const sample = (t - skew) / warp;
    if (sample < 0 || sample >= length) return 0;
    const seconds = sample / rate;
    let value = 0;
    for (let k = 0; k < 2; k++) value += gains[c][k] * Math.sin(2 * Math.PI * frequencies[k] * seconds + phases[c][k]);
    return value * Math.exp(-seconds / decay) * (1 - Math.exp(-seconds / 0.001));
  });
}

// Noise of RMS 1 on each channel: random spectra, transformed, each piece faded into the next at equal power.
export class ColouredNoise {
  constructor(channels, rate, random, size = 16384, floor = 5) {
    Object.assign(this, { channels, random, size, hop: size / 2, at: size / 2 });
    const power = Float64Array.from({ length: size }, (_, k) => 1 / Math.max((Math.min(k, size - k) * rate) / size, floor));
    const sum = power.reduce((total, value) => total + value, 0);
    this.amplitude = power.map((value) => Math.sqrt(value / sum));
    this.pieces = [this.piece(), this.piece()];
  }

  // n samples (n, channels), flat.
  take(n) {
    const { channels, hop } = this;
    const out = new Float32Array(n * channels);
    for (let i = 0; i < n; i++, this.at++) {
      if (this.at === 2 * hop) [this.pieces, this.at] = [[this.pieces[1], this.piece()], hop];
      const angle = ((this.at - hop) / hop) * (Math.PI / 2);
      const [falls, rises] = [Math.cos(angle), Math.sin(angle)];
      for (let c = 0; c < channels; c++) {
        out[i * channels + c] = falls * this.pieces[0][c][this.at] + rises * this.pieces[1][c][this.at - hop];
      }
    }
    return out;
  }

  // One piece of `size` samples a channel. A complex spectrum gives two channels that know nothing of each other.
  piece() {
    const { size, amplitude, random } = this;
    const out = [];
    while (out.length < this.channels) {
      const [real, imaginary] = [new Float64Array(size), new Float64Array(size)];
      for (let k = 0; k < size; k++) {
        const [radius, angle] = [Math.sqrt(-2 * Math.log(1 - random())), 2 * Math.PI * random()];
        real[k] = amplitude[k] * radius * Math.cos(angle);
        imaginary[k] = amplitude[k] * radius * Math.sin(angle);
      }
      transform(real, imaginary);
      out.push(real, imaginary);
    }
    return out;
  }
}

// The Fourier transform of a power of two numbers, in place, not scaled.
export function transform(real, imaginary) {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let span = 2; span <= size; span *= 2) {
    for (let k = 0; k < span / 2; k++) {
      const [c, s] = [Math.cos((2 * Math.PI * k) / span), -Math.sin((2 * Math.PI * k) / span)];
      for (let i = k; i < size; i += span) {
        const j = i + span / 2;
        const [re, im] = [real[j] * c - imaginary[j] * s, real[j] * s + imaginary[j] * c];
        [real[j], imaginary[j]] = [real[i] - re, imaginary[i] - im];
        [real[i], imaginary[i]] = [real[i] + re, imaginary[i] + im];
      }
    }
  }
}
