// Makes the stream, runs the detector on it and judges what it found, beside the page.
import { open, run } from "./stream.js";
import { EventStream } from "./generator.js";
import { LiveDetector } from "./detector.js";

const TICK = 100; // ms
const MOST = 1; // seconds that are made at a time: a tab that slept goes on where it was
let model, templates, stream, live, timer, before, level = 1, windowTimes = [], busy;

onmessage = async ({ data }) => {
  try {
    if (data.do === "open") await prepare();
    if (data.do === "noise") level = data.level;
    if (data.do === "run") {
      before = performance.now();
      timer = setInterval(tick, TICK);
    }
    if (data.do === "pause") clearInterval(timer);
  } catch (error) {
    failed(error);
  }
};

async function prepare() {
  model = await open("detector");
  const answer = await fetch(new URL("./models/events.json", import.meta.url));
  if (!answer.ok) throw new Error(`the types of events did not come (${answer.status})`);
  templates = await answer.json();
  stream = new EventStream(templates);
  live = new LiveDetector(scores, model.about);
  await scores(new Float32Array(model.about.window * model.about.channels), model.about.window); // the first is slow
  windowTimes = [];
  postMessage({ is: "open", about: model.about, rate: templates.rate, latency: live.latency });
}

async function scores(samples, steps) {
  const began = performance.now();
  const { scores, onsets } = await run(model.session, samples, [1, steps, model.about.channels]);
  windowTimes.push(performance.now() - began);
  return { scores: scores.data, onsets: onsets.data };
}

async function tick() {
  if (busy) return;
  busy = true;
  try {
    const now = performance.now();
    const passed = (now - before) / 1000;
    before = now;
    const made = stream.take(Math.round(Math.min(passed, MOST) * templates.rate), level);
    const found = await live.push(made.samples);
    const { clock, settled } = live;
    postMessage({ is: "piece", ...made, found, clock, settled, windowTimes, paused: Math.max(0, passed - MOST) });
    windowTimes = [];
  } catch (error) {
    clearInterval(timer);
    failed(error);
  }
  busy = false;
}

function failed(error) {
  postMessage({ is: "failed", why: String(error?.message ?? error) });
}
