// In the audio thread: one channel, at the model's rate, to the worker that runs the model. No sound passes the page.
import { Resampler } from "./resampler.js";

const CHUNK = 1024; // samples that are sent at a time
const QUANTUM = 128; // frames that the audio thread computes at a time

class Capture extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.resampler = new Resampler(sampleRate, processorOptions.rate);
    this.chunk = new Float32Array(CHUNK);
    this.filled = 0;
    this.expected = null; // frame of the audio clock that should come next
    this.port.onmessage = ({ data, ports }) => {
      if (data === "to") [this.to] = ports;
      if (data === "end") this.end();
    };
  }

  process([input]) {
    if (!this.to) return true;
    if (this.ended) return false;
    const lost = this.expected === null ? 0 : currentFrame - this.expected;
    if (lost > 0) this.to.postMessage({ lost: lost / sampleRate });
    const frames = input[0]?.length ?? QUANTUM;
    this.expected = currentFrame + frames;
    if (!input.length) return true; // nothing is connected
    for (let i = 0; i < frames; i++) {
      let sum = 0;
      for (const channel of input) sum += channel[i];
      this.chunk[this.filled++] = sum / input.length;
      if (this.filled === CHUNK) this.send();
    }
    return true;
  }

  send() {
    const samples = this.resampler.push(this.chunk.slice(0, this.filled)).slice();
    this.filled = 0;
    this.to.postMessage({ samples }, [samples.buffer]);
  }

  end() {
    if (this.ended || !this.to) return;
    this.send();
    this.to.postMessage({ end: true });
    this.ended = true;
  }
}

registerProcessor("capture", Capture);
