// course_lib.events.LiveDetector: a model that looks both ways, run on overlapping windows that lie fixed on the stream's
// clock; peaks of its scores; of those, the ones with no stronger one of their type within the refractory period.
const RADIUS = 3; // frames on either side that a peak tops

export class LiveDetector {
  // scores: samples (T, C), flat, and T -> promise of {scores, onsets} (F, E), flat.
  // about: channels, events, resolution, refractory, threshold (one, or one a type), window, margin.
  constructor(scores, about) {
    Object.assign(this, { run: scores, about });
    this.hop = about.window - 2 * about.margin;
    this.clock = 0; // samples received
    this.samples = new Float32Array(0); // from the next window's start on
    this.start = 0; // of that window
    this.rows = []; // {scores, onsets} of the frames that are not decoded, and a few before them
    this.first = 0; // frame that the rows begin with
    this.decoded = 0; // frames whose peaks have been taken
    this.candidates = []; // those which still matter to the refractory period
    this.settled = -Infinity; // time up to which events are decided
  }

  // An event is returned at most so many samples after its onset.
  get latency() {
    const { margin, resolution, refractory } = this.about;
    return this.hop + margin + (RADIUS + 1) * resolution + refractory;
  }

  // The next samples (n, C), flat; returns the events that are now decided: {type, time, score}, by time.
  async push(chunk) {
    const { channels, window, margin, resolution, events } = this.about;
    this.clock += chunk.length / channels;
    this.samples = joined(this.samples, chunk);
    while (this.samples.length >= window * channels) {
      const { scores, onsets } = await this.run(this.samples.slice(0, window * channels), window);
      const known = this.first + this.rows.length;
      for (let frame = known - this.start / resolution; frame < Math.ceil((window - margin) / resolution); frame++) {
        const part = (values) => values.slice(frame * events, (frame + 1) * events);
        this.rows.push({ scores: part(scores), onsets: part(onsets) });
      }
      this.samples = this.samples.slice(this.hop * channels);
      this.start += this.hop;
    }
    return this.decide();
  }

  decide() {
    const { resolution, refractory } = this.about;
    const end = this.first + this.rows.length - RADIUS;
    if (end <= this.decoded) return [];
    for (let frame = this.decoded; frame < end; frame++) this.peaks(frame);
    this.decoded = end;
    const keep = Math.max(0, end - RADIUS - this.first);
    this.rows.splice(0, keep);
    this.first += keep;
    const until = (this.decoded - 1) * resolution - refractory;
    const found = this.strongest().filter(({ time }) => time >= this.settled && time < until);
    this.settled = Math.max(this.settled, until);
    this.candidates = this.candidates.filter(({ time }) => time >= this.settled - refractory);
    return found;
  }

  peaks(frame) {
    const { events, resolution, threshold } = this.about;
    const at = frame - this.first;
    const { scores, onsets } = this.rows[at];
    for (let type = 0; type < events; type++) {
      const score = scores[type];
      if (score < (threshold[type] ?? threshold)) continue;
      let top = true;
      for (let step = 1; step <= RADIUS; step++) {
        top &&= !(this.rows[at - step]?.scores[type] >= score) && !(this.rows[at + step]?.scores[type] > score);
      }
      if (!top) continue;
      const offset = Math.min(Math.max(onsets[type], -resolution), 2 * resolution);
      const time = Math.min(Math.max(frame * resolution + offset, 0), this.clock - 1);
      this.candidates.push({ type, time, score });
    }
  }

  // The candidates with no stronger one of their type within the refractory period; of equal ones the earlier.
  strongest() {
    const { refractory } = this.about;
    const all = this.candidates.sort((a, b) => a.time - b.time);
    return all.filter(({ type, time, score }, i) => {
      return !all.some((other, j) => {
        const rival = j !== i && other.type === type && Math.abs(other.time - time) < refractory;
        return rival && (other.score > score || (other.score === score && j < i));
      });
    });
  }
}

function joined(a, b) {
  const out = new Float32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

// Sets `fate` of true events {type, onset} and found ones {type, time} as far as time `settled`; at most one for one.
export function judge(truth, found, settled, tolerance) {
  for (const event of found.filter(({ fate }) => !fate)) {
    const free = truth.filter((one) => one.fate !== "hit" && one.type === event.type && Math.abs(one.onset - event.time) <= tolerance);
    free.sort((a, b) => Math.abs(a.onset - event.time) - Math.abs(b.onset - event.time));
    event.fate = free.length ? "hit" : "alarm";
    if (free.length) free[0].fate = "hit";
  }
  for (const event of truth) if (!event.fate && event.onset + tolerance < settled) event.fate = "miss";
}
