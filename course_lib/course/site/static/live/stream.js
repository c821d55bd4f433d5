// Models in ONNX, run by onnxruntime-web on one thread. Used inside workers.
import * as ort from "./ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;

// The model NAME.onnx and what NAME.json says of it.
export async function open(name) {
  const at = (file) => new URL(`./models/${file}`, import.meta.url);
  const answer = await fetch(at(`${name}.json`));
  if (!answer.ok) throw new Error(`the model's description did not come (${answer.status})`);
  const about = await answer.json();
  const file = await fetch(at(`${name}.onnx`));
  if (!file.ok) throw new Error(`the model did not come (${file.status})`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  return { about, session: await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }) };
}

// x: numbers of a shape; returns the outputs by name, each {data, dims}.
export async function run(session, x, shape) {
  return session.run({ x: new ort.Tensor("float32", x, shape) });
}

// A step with its state: block after block of one channel.
export class Stream {
  constructor({ about, session }) {
    this.about = about;
    this.session = session;
    this.reset();
  }

  reset() {
    this.state = Object.fromEntries(this.about.state.map((part) => [part.name, first(part)]));
  }

  // samples: one block, of which `count` are there. Returns the outputs by name.
  async push(samples, count = samples.length) {
    const { block } = this.about;
    const feeds = { ...this.state, x: new ort.Tensor("float32", samples, [1, block, 1]) };
    if (this.session.inputNames.includes("mask")) {
      feeds.mask = new ort.Tensor("bool", Uint8Array.from(samples, (_, i) => i < count), [1, block]);
    }
    const outputs = await this.session.run(feeds);
    for (const name of Object.keys(this.state)) this.state[name] = outputs[`next_${name}`];
    return outputs;
  }
}

// A tensor with which a stream begins: the values written down, in base64, or zeros.
function first({ type, shape, values }) {
  const kinds = { float32: Float32Array, bool: Uint8Array, int64: BigInt64Array, int32: Int32Array };
  const count = shape.reduce((product, size) => product * size, 1);
  if (!values) return new ort.Tensor(type, new kinds[type](count), shape);
  const bytes = Uint8Array.from(atob(values), (letter) => letter.charCodeAt(0));
  return new ort.Tensor(type, new kinds[type](bytes.buffer), shape);
}
