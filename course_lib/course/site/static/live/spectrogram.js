// The last seconds of log-mel columns as a picture, and below it how much each of them weighs.
import { drawn, sized } from "./page.js";

const HEIGHT = 270;
const MAP = [[13, 16, 38], [61, 28, 99], [140, 41, 99], [211, 78, 66], [246, 158, 56], [250, 235, 150]]; // dark to bright
const STRIP = 46; // pixels for the weights
const GAP = 4;

export class Spectrogram {
  // frames: how many columns are shown, of `bands` numbers each.
  constructor(canvas, frames, bands, seconds) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    Object.assign(this, { frames, bands, seconds });
    this.image = new ImageData(frames, bands);
    this.soon = drawn(() => this.draw());
    this.small = new OffscreenCanvas(frames, bands);
    this.clear();
  }

  clear() {
    this.columns = []; // the newest last, each {column, weight}
    this.draw();
  }

  // columns: (n, bands) and weights: (n,), flat.
  push(columns, weights, n) {
    for (let i = 0; i < n; i++) {
      const column = columns.slice(i * this.bands, (i + 1) * this.bands);
      this.columns.push({ column, weight: weights?.[i] ?? 0 });
    }
    this.columns.splice(0, Math.max(0, this.columns.length - this.frames));
    this.soon();
  }

  draw() {
    const { canvas, context, columns, bands, frames, image } = this;
    const [low, high] = this.range();
    const left = frames - columns.length;
    image.data.fill(0);
    columns.forEach(({ column }, i) => {
      for (let band = 0; band < bands; band++) {
        const [r, g, b] = colour((column[band] - low) / (high - low || 1));
        const at = 4 * ((bands - 1 - band) * frames + left + i);
        image.data.set([r, g, b, 255], at);
      }
    });
    this.small.getContext("2d").putImageData(image, 0, 0);
    const { width, height } = sized(canvas, HEIGHT);
    context.fillStyle = "#10131a";
    context.fillRect(0, 0, width, height);
    context.drawImage(this.small, 0, 0, width, height - STRIP - GAP);
    const most = Math.max(...columns.map(({ weight }) => weight), 1e-9);
    context.fillStyle = "#59b8d6";
    columns.forEach(({ weight }, i) => {
      const tall = (weight / most) * STRIP;
      const step = width / frames;
      context.fillRect((left + i) * step, height - tall, Math.max(step - 0.5, 0.5), tall);
    });
    context.fillStyle = "#e6ebf0";
    context.font = "12px system-ui, sans-serif";
    context.fillText(`${this.seconds} s ago`, 6, 14);
    const now = "now";
    context.fillText(now, width - context.measureText(now).width - 6, 14);
    context.fillText("weight of each moment", 6, height - STRIP + 10);
  }

  // The levels that are dark and bright: all but the lowest and highest hundredth of what is shown.
  range() {
    const sample = this.columns.flatMap(({ column }) => [...column.filter((_, band) => band % 4 === 0)]).sort((a, b) => a - b);
    if (!sample.length) return [0, 1];
    return [sample[Math.floor(0.02 * sample.length)], sample[Math.floor(0.995 * (sample.length - 1))]];
  }

  // In words: where in the picture most sound is.
  words(heard) {
    if (!this.columns.length) return "Spectrogram: nothing was heard yet.";
    const mean = Array.from({ length: this.bands }, (_, band) => {
      return this.columns.reduce((sum, { column }) => sum + column[band], 0) / this.columns.length;
    });
    const loudest = mean.indexOf(Math.max(...mean)) / this.bands;
    const place = loudest < 1 / 3 ? "low" : loudest < 2 / 3 ? "middle" : "high";
    return `Spectrogram of the last ${Math.min(this.seconds, heard).toFixed(0)} seconds: most sound is in the ${place} bands.`;
  }
}

function colour(level) {
  const place = Math.min(Math.max(level, 0), 1) * (MAP.length - 1);
  const below = Math.min(Math.floor(place), MAP.length - 2);
  return MAP[below].map((value, i) => value + (place - below) * (MAP[below + 1][i] - value));
}
