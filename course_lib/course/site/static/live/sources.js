// Where sound comes from: the microphone, a file, a generated clip. All reach the worker through the audio thread's clock,
// or, for a file in silence, at once. A Problem says in words what is wrong and what to do.
export class Problem extends Error {}

const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

// The microphone, flowing into `port` at `rate`. ended: called where it goes away by itself. Returns {stop}.
export async function microphone(rate, port, ended) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Problem("This browser gives a microphone only to pages that come by https or from this machine (127.0.0.1).");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: PLAIN });
  } catch (error) {
    throw new Problem(REFUSED[error.name] ?? `The microphone could not be opened: ${error.message || error.name}.`);
  }
  const context = new AudioContext();
  const node = await capturing(context, rate, port);
  context.createMediaStreamSource(stream).connect(node);
  stream.getAudioTracks()[0].addEventListener("ended", ended);
  const stop = () => {
    stream.getTracks().forEach((track) => track.stop());
    finish(context, node);
  };
  return { stop, context };
}

const REFUSED = {
  NotAllowedError:
    "The microphone was refused. To allow it, use the sign beside the page's address; a file or a generated sound needs no permission.",
  NotFoundError: "No microphone was found. Plug one in and try again, or take a file or a generated sound.",
  NotReadableError: "The microphone is there but another program holds it, or the system keeps it from the browser.",
};

// The samples of a sound file at `rate`, one channel. bytes: ArrayBuffer.  name: for the message.
export async function decoded(bytes, rate, name) {
  if (!bytes.byteLength) throw new Problem(`${name} is empty.`);
  let buffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  } catch {
    throw new Problem(`${name} is no sound that this browser can read. WAV, MP3, FLAC and OGG work in most.`);
  }
  const mixed = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    buffer.getChannelData(channel).forEach((value, i) => (mixed[i] += value / buffer.numberOfChannels));
  }
  if (!mixed.some((value) => value !== 0)) throw new Problem(`${name} holds nothing but silence.`);
  return mixed;
}

// Samples at `rate`, heard and flowing into `port`. Returns {stop}.
export async function playing(samples, rate, port) {
  const context = new AudioContext({ sampleRate: rate });
  const node = await capturing(context, rate, port);
  const buffer = context.createBuffer(1, samples.length, rate);
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(node);
  source.connect(context.destination);
  const stop = () => finish(context, node);
  source.addEventListener("ended", stop);
  source.start();
  return { stop, context };
}

async function capturing(context, rate, port) {
  await context.audioWorklet.addModule(new URL("./capture.js", import.meta.url));
  const node = new AudioWorkletNode(context, "capture", { processorOptions: { rate } });
  node.port.postMessage("to", [port]);
  node.connect(context.destination); // it gives silence: a node that leads nowhere may not be run
  await context.resume();
  return node;
}

// End what flows, then the audio thread, once the last samples are on their way.
function finish(context, node) {
  node.port.postMessage("end");
  setTimeout(() => context.state !== "closed" && context.close(), 200);
}
