// Six channels and their events, the last seconds of them, on a canvas.
import { sized } from "./page.js";

const HEIGHT = 440;
const BIN = 16; // samples to a point of the picture: their least and their largest value are drawn
const STRIPS = 84; // pixels above the traces
const SIGNS = { hit: "●", miss: "✕", alarm: "▲" };

export class Traces {
  constructor(canvas, channels, rate, seconds) {
    Object.assign(this, { canvas, channels, rate, seconds, context: canvas.getContext("2d"), bins: [], rest: [], end: 0 });
    this.most = Math.floor((seconds * rate) / BIN);
  }

  // samples (n, C), flat.
  push(samples) {
    const { channels } = this;
    const all = Float32Array.from([...this.rest, ...samples]);
    const step = BIN * channels;
    let at = 0;
    for (; at + step <= all.length; at += step) {
      const bin = [];
      for (let c = 0; c < channels; c++) {
        let [low, high] = [Infinity, -Infinity];
        for (let i = at + c; i < at + step; i += channels) [low, high] = [Math.min(low, all[i]), Math.max(high, all[i])];
        bin.push([low, high]);
      }
      this.bins.push(bin);
      this.end += BIN;
    }
    this.rest = all.slice(at);
    this.bins.splice(0, Math.max(0, this.bins.length - this.most));
  }

  // truth: [{type, onset, fate}], found: [{type, time, fate}].
  draw(truth, found) {
    const { canvas, context, bins, channels, most, rate, seconds } = this;
    const style = getComputedStyle(canvas);
    const colours = Object.fromEntries(["ink", "soft", "paper", "bar", "bad", "good", "line"].map((name) => [name, style.getPropertyValue(`--${name}`)]));
    const { width, height } = sized(canvas, HEIGHT);
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, width, height);
    const lane = (height - STRIPS) / channels;
    const largest = Math.max(4, ...bins.flat(1).map(([low, high]) => Math.max(-low, high)));
    const column = (i) => width * ((most - bins.length + i) / most);
    context.strokeStyle = colours.bar;
    context.lineWidth = 1;
    for (let c = 0; c < channels; c++) {
      const middle = STRIPS + lane * (c + 0.5);
      context.beginPath();
      bins.forEach((bin, i) => {
        const [low, high] = bin[c];
        context.moveTo(column(i), middle - (high / largest) * (lane / 2));
        context.lineTo(column(i), middle - (low / largest) * (lane / 2) + 0.5);
      });
      context.stroke();
    }
    const begin = this.end - seconds * rate;
    const across = (time) => (width * (time - begin)) / (seconds * rate);
    context.font = "13px system-ui, sans-serif";
    const mark = (time, top, type, fate) => {
      const y = top + 16 * (type % 2); // two rows: neighbours seldom stand in one
      context.fillStyle = fate === "hit" ? colours.good : fate ? colours.bad : colours.soft;
      context.textAlign = "center";
      context.fillText(SIGNS[fate] ?? "○", across(time), y);
      context.textAlign = "left";
      context.fillText(type + 1, across(time) + 7, y);
    };
    context.strokeStyle = colours.line;
    for (const { onset, type, fate } of truth) {
      mark(onset, 16, type, fate);
      context.beginPath();
      context.moveTo(across(onset), 36);
      context.lineTo(across(onset), height);
      context.globalAlpha = 0.35;
      context.stroke();
      context.globalAlpha = 1;
    }
    for (const { time, type, fate } of found) mark(time, 58, type, fate);
    context.textAlign = "left";
    for (const [word, y] of [["true", 24], ["found", 66]]) {
      context.fillStyle = colours.paper;
      context.fillRect(0, y - 24, context.measureText(word).width + 10, 40);
      context.fillStyle = colours.soft;
      context.fillText(word, 4, y);
    }
  }
}
