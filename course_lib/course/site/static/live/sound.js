// The tab of sounds: from a source to the worker, from the worker's answers to the page.
import { Problem, decoded, microphone, playing } from "./sources.js";
import { Spectrogram } from "./spectrogram.js";
import { latencies, say, text, trouble } from "./page.js";

const SHOWN = 10; // seconds of the spectrogram
const SPOKEN = 2500; // ms between two sentences for those who listen to the page
const element = (name) => document.getElementById(`live-${name}`);

let worker, about, picture, bars, source, number = 0, times, last, lost, hiddenAt, spokenAt = 0;

export function start() {
  worker = new Worker(new URL("./hearing_worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => ON[data.is](data);
  worker.onerror = (event) => failed(event.message || "the worker could not be started");
  worker.postMessage({ do: "open" });
  element("microphone").addEventListener("click", () => begin("the microphone", listen));
  element("file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // the same file can be chosen again
    if (file) begin(file.name, () => file.arrayBuffer().then((bytes) => hear(bytes, file.name)));
  });
  element("generated").addEventListener("change", ({ target }) => {
    const clip = target.value;
    target.value = "";
    if (clip) begin(`a generated sound, “${clip}”`, () => fetched(clip).then((bytes) => hear(bytes, clip)));
  });
  element("stop").addEventListener("click", stop);
  element("forget").addEventListener("click", forget);
  document.addEventListener("visibilitychange", seen);
}

const ON = {
  open({ about: said }) {
    about = said;
    const perSecond = about.frames_per_second;
    picture = new Spectrogram(element("spectrogram"), Math.round(SHOWN * perSecond), about.bands, SHOWN);
    bars = about.classes.map((name) => bar(name));
    element("classes").replaceChildren(...bars.map(({ item }) => item));
    element("generated").append(...about.generated.map((name) => new Option(name)));
    text("block", `${Math.round((1000 * about.block) / about.sample_rate)} ms`);
    text("trained", trained(about));
    for (const name of ["microphone", "file", "generated", "forget"]) element(name).disabled = false;
    say("sound", "Ready: choose what to hear.");
  },
  block(block) {
    if (block.number !== number) return;
    last = block;
    times.push(block.ms);
    picture.push(block.columns, block.weights, block.frames);
    show(block);
  },
  end({ number: ended }) {
    if (ended !== number) return;
    over("The sound is over. ");
  },
  lost({ seconds, number: from }) {
    if (from === number) lost += seconds;
  },
  failed: ({ why }) => failed(why),
};

async function begin(name, open) {
  stop();
  clear();
  number += 1;
  say("sound", `Opening ${name} …`);
  try {
    source = await open();
    if (last?.number !== number) say("sound", `Hearing ${name}.`);
    element("stop").disabled = !source;
  } catch (error) {
    say("sound", "Nothing is heard.");
    trouble("sound", error instanceof Problem ? error.message : `${name} could not be opened: ${error.message}`);
  }
}

function clear() {
  [times, last, lost] = [latencies(), null, 0];
  trouble("sound", "");
  picture.clear();
  text("dropped", "0");
}

function listen() {
  const { port1, port2 } = new MessageChannel();
  worker.postMessage({ do: "begin", number }, [port1]);
  return microphone(about.sample_rate, port2, () => {
    stop();
    trouble("sound", "The microphone went away.");
  });
}

async function hear(bytes, name) {
  const samples = await decoded(bytes, about.sample_rate, name);
  if (element("at-once").checked) {
    worker.postMessage({ do: "begin", number, samples: samples.length });
    worker.postMessage({ do: "samples", samples });
    return null;
  }
  const { port1, port2 } = new MessageChannel();
  worker.postMessage({ do: "begin", number }, [port1]);
  return playing(samples, about.sample_rate, port2);
}

async function fetched(clip) {
  const answer = await fetch(new URL(`./sounds/${clip}.mp3`, import.meta.url));
  if (!answer.ok) throw new Problem(`The sound ${clip} did not come (${answer.status}).`);
  return answer.arrayBuffer();
}

function stop() {
  if (!source) return;
  source.stop();
  source = null;
  element("stop").disabled = true;
}

function over(why) {
  source = null;
  element("stop").disabled = true;
  say("sound", why + sentence());
  text("spectrogram", null, picture.words(last?.seconds ?? 0));
}

function forget() {
  worker.postMessage({ do: "forget" });
  say("sound", "The model begins anew.");
}

function show({ probabilities, seconds, dropped }) {
  const now = probabilities.slice(-about.classes.length); // of the block's last frame
  const best = now.indexOf(Math.max(...now));
  bars.forEach(({ item, fill, value }, i) => {
    item.classList.toggle("first", i === best);
    fill.style.transform = `scaleX(${now[i]})`;
    value.textContent = `${Math.round(100 * now[i])} %`;
  });
  text("heard", `${seconds.toFixed(1)} s`);
  text("median", `${times.quantile(0.5).toFixed(1)} ms`);
  text("most", `${times.quantile(0.95).toFixed(1)} ms`);
  text("dropped", lost > 0.05 ? `${dropped}, and ${lost.toFixed(1)} s` : `${dropped}`);
  if (performance.now() - spokenAt > SPOKEN) {
    spokenAt = performance.now();
    say("sound", sentence());
    text("spectrogram", null, picture.words(seconds));
  }
}

function sentence() {
  if (!last) return "Nothing was heard.";
  const now = last.probabilities.slice(-about.classes.length);
  const best = now.indexOf(Math.max(...now));
  return `Most likely: ${about.classes[best]}, ${Math.round(100 * now[best])} %.`;
}

function bar(name) {
  const item = document.createElement("li");
  const [label, box, value] = ["span", "span", "span"].map((tag) => item.appendChild(document.createElement(tag)));
  const fill = box.appendChild(document.createElement("span"));
  label.textContent = name.replaceAll("_", " ");
  [box.className, value.className, value.textContent] = ["bar", "value", "–"];
  box.setAttribute("aria-hidden", "true");
  fill.style.transform = "scaleX(0)";
  return { item, fill, value };
}

// What the model learnt from.
function trained({ trained_on: data, attribution, classes, generated }) {
  const other = generated.every((name) => !classes.includes(name));
  const own = other ? " The generated sounds were not in its training: it takes some of them for others." : "";
  return `The model was trained on ${(attribution || data).replace(/\.$/, "")}.${own}`;
}

// In the background sound is heard on; where the browser stopped it, say how much is missing.
function seen() {
  if (!source) return;
  if (document.hidden) {
    hiddenAt = { time: performance.now(), seconds: last?.seconds ?? 0, dropped: last?.dropped ?? 0 };
    return;
  }
  if (!hiddenAt) return;
  const [before, until] = [hiddenAt, performance.now()];
  hiddenAt = null;
  source.context.resume();
  setTimeout(() => {
    const away = (until - before.time) / 1000;
    const heard = (last?.seconds ?? 0) - before.seconds;
    const dropped = (last?.dropped ?? 0) - before.dropped;
    const missed = Math.max(0, away - heard - 0.3);
    say("sound", `In the background for ${away.toFixed(0)} s: ${Math.min(heard, away).toFixed(0)} s of it were heard, ` +
      `${dropped} blocks dropped${missed > 0.5 ? `, ${missed.toFixed(0)} s not recorded by the browser` : ""}.`);
    spokenAt = performance.now() + 3000;
  }, 300);
}

function failed(why) {
  stop();
  say("sound", "The model does not run.");
  const hint = typeof WebAssembly === "object" ? "" : " This browser has no WebAssembly, or it is switched off.";
  trouble("sound", `The model could not be run here: ${why}.${hint} Reload the page, or try another browser.`);
  for (const name of ["microphone", "file", "generated", "forget"]) element(name).disabled = true;
}
