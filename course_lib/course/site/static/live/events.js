// The tab of events: starts and stops the stream, holds the noise, counts.
import { judge } from "./detector.js";
import { Traces } from "./traces.js";
import { drawn, latencies, say, text, trouble } from "./page.js";

const SHOWN = innerWidth < 720 ? 6 : 8; // seconds
const KEPT = 9; // seconds: longer than the detector takes to decide
const TOLERANCE = 0.005; // seconds
const SPOKEN = 5000; // ms between two sentences for those who listen to the page
const element = (name) => document.getElementById(`live-${name}`);

let worker, rate, traces, running = false, truth = [], found = [], from = 0, clock = 0, times = latencies(), spokenAt = 0;
let counts = { hit: 0, miss: 0, alarm: 0 }, slept = 0;
const soon = drawn(() => traces.draw(truth, found));

export function start() {
  worker = new Worker(new URL("./events_worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => ON[data.is](data);
  worker.onerror = (event) => ON.failed({ why: event.message || "the worker could not be started" });
  worker.postMessage({ do: "open" });
  element("run").addEventListener("click", () => run(!running));
  element("again").addEventListener("click", anew);
  element("noise").addEventListener("input", noise);
}

const ON = {
  open({ about, rate: samples, latency }) {
    rate = samples;
    traces = new Traces(element("traces"), about.channels, rate, SHOWN);
    text("wait", `${(latency / rate).toFixed(1)} s`);
    text("shown", SHOWN === 6 ? "six" : "eight");
    text("tolerance", `${1000 * TOLERANCE} ms`);
    for (const name of ["run", "again"]) element(name).disabled = false;
    noise();
    say("events", "Ready.");
  },
  piece(piece) {
    clock = piece.clock;
    slept += piece.paused;
    traces.push(piece.samples);
    truth.push(...piece.events);
    found.push(...piece.found);
    judge(truth, found, piece.settled, TOLERANCE * rate);
    for (const event of [...truth, ...found].filter(({ fate, counted }) => fate && !counted)) count(event);
    const kept = clock - KEPT * rate;
    truth = truth.filter(({ onset }) => onset > kept);
    found = found.filter(({ time }) => time > kept);
    piece.windowTimes.forEach((ms) => times.push(ms));
    soon();
    show();
  },
  failed({ why }) {
    run(false);
    say("events", "The detector does not run.");
    trouble("events", `The detector could not be run here: ${why}. Reload the page, or try another browser.`);
    element("run").disabled = true;
  },
};

// A hit is one pair: it is counted at the true event. Events from before the noise was changed are not.
function count(event) {
  event.counted = true;
  const time = event.onset ?? event.time;
  if (time < from || (event.fate === "hit" && event.onset === undefined)) return;
  counts[event.fate] += 1;
}

function run(on) {
  running = on;
  element("run").textContent = on ? "Pause" : "Go on";
  worker.postMessage({ do: on ? "run" : "pause" });
  say("events", on ? "The stream runs." : `Paused. ${sentence()}`);
}

function noise() {
  const decibels = Number(element("noise").value);
  worker.postMessage({ do: "noise", level: 10 ** (decibels / 20) });
  const word = decibels === 0 ? "as loud as the events" : `${(10 ** (Math.abs(decibels) / 20)).toFixed(1)} times as ${decibels > 0 ? "loud" : "soft"} as the events`;
  text("noise-says", `${decibels} dB: ${word}`);
  anew();
}

function anew() {
  from = clock;
  counts = { hit: 0, miss: 0, alarm: 0 };
  show();
}

function sentence() {
  const { hit, miss, alarm } = counts;
  return `${hit} of ${hit + miss} events found, ${miss} missed, ${alarm} false alarms.`;
}

function show() {
  const { hit, miss, alarm } = counts;
  text("true", hit + miss);
  text("hits", hit + miss ? `${hit} (${Math.round((100 * hit) / (hit + miss))} %)` : "0");
  text("misses", miss);
  text("alarms", alarm);
  const median = times.quantile(0.5);
  if (median !== undefined) text("window-time", `${median.toFixed(0)} ms`);
  if (!running || performance.now() - spokenAt < SPOKEN) return;
  spokenAt = performance.now();
  say("events", sentence() + (slept > 1 ? ` The stream stood still for ${slept.toFixed(0)} s while the tab slept.` : ""));
  text("traces", null, `Six traces of the last ${SHOWN} seconds, and their events: ${truth.length} true, ${found.length} found in ${KEPT} seconds.`);
}
