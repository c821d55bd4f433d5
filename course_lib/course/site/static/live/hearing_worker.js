// Runs the classifier, block by block, beside the page, so that drawing and clicking stay smooth.
import { Stream, open } from "./stream.js";
import { Ring } from "./ring.js";

const SECONDS = 4; // of sound that may wait before blocks are dropped
const again = new MessageChannel(); // a turn of its own for each block: messages come in between
let stream, ring, ended, busy, seconds, source = 0;

again.port1.onmessage = work;
onmessage = async ({ data, ports }) => {
  try {
    if (data.do === "open") {
      stream = new Stream(await open("audio"));
      await stream.push(new Float32Array(stream.about.block)); // the first run is slow: not the visitor's
      stream.reset();
      postMessage({ is: "open", about: stream.about });
    }
    if (data.do === "begin") begin(data, ports[0]);
    if (data.do === "samples") take({ samples: data.samples, end: true }, source);
    if (data.do === "forget") stream.reset();
  } catch (error) {
    failed(error);
  }
};

// A new source: the state and the clock begin anew. all: nothing is dropped, however much comes at once.
function begin({ number, samples }, port) {
  const { block, sample_rate: rate } = stream.about;
  source = number;
  stream.reset();
  ring = new Ring(samples ?? SECONDS * rate, block);
  ended = false;
  seconds = 0;
  if (port) port.onmessage = ({ data }) => take(data, number);
}

function take({ samples, lost, end }, number) {
  if (number !== source || !ring) return; // of a source that is over
  if (samples) ring.push(samples);
  if (lost) postMessage({ is: "lost", seconds: lost, number });
  if (end) ended = true;
  if (!busy) work();
}

async function work() {
  const number = source;
  const block = ring.pull(ended);
  busy = Boolean(block);
  if (!block) {
    if (ended) postMessage({ is: "end", number });
    if (ended) ended = false;
    return;
  }
  try {
    const began = performance.now();
    const outputs = await stream.push(block.samples, block.count);
    const ms = performance.now() - began;
    seconds += block.count / stream.about.sample_rate;
    const [probabilities, columns, weights] = ["probabilities", "log_mel", "attention"].map((name) => outputs[name]?.data);
    const frames = outputs.log_mel?.dims[1] ?? 0;
    const said = { is: "block", number, probabilities, columns, weights, frames, ms, seconds };
    if (number === source) postMessage({ ...said, dropped: ring.dropped, waiting: ring.size });
    again.port2.postMessage(null);
  } catch (error) {
    busy = false;
    failed(error);
  }
}

function failed(error) {
  postMessage({ is: "failed", why: String(error?.message ?? error) });
}
