// What answers: onnxruntime-web, in this browser alone. It stands in the place of the module that asks a server.

import * as ort from "./onnxruntime/ort.wasm.min.mjs";
import { nested } from "./form.js";
import { mapOf } from "./maps.js";
import { pixelsOfPicture } from "./pictures.js";

ort.env.wasm.wasmPaths = new URL("./onnxruntime/", import.meta.url).href;
ort.env.wasm.numThreads = 1;

const ARRAYS = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array };
const THRESHOLD = 0.5;
let model, samples;
const sessions = new Map();

export class Refused extends Error {
  constructor(status, line) { super(line); this.status = status; }
}

export function useToken() { throw new Error("no server, no token"); }

const load = async (path) => (await fetch(path)).json();

export async function connect() {
  document.getElementById("api").hidden = true;
  [model, samples] = await Promise.all([load("model.json"), load("samples.json")]);
  for (const { name } of model.artefacts) {
    sessions.set(name, await ort.InferenceSession.create(`models/${name}`, { executionProviders: ["wasm"] }));
  }
  return model;
}

const shapeOf = (nested) => (Array.isArray(nested) ? [nested.length, ...shapeOf(nested[0])] : []);

// One sample as the tensor of an input: pixels by the runtime's own table, in the order of channels of the model.
function tensorOf(nested, port, table, batch) {
  const shape = shapeOf(nested), flat = nested.flat(Infinity);
  let values = flat;
  if (table) {
    const channels = shape.at(-1), swapped = port.channels === "bgr";
    values = flat.map((_, at) => table[flat[swapped ? at - (at % channels) + channels - 1 - (at % channels) : at]]);
  }
  // A fixed batch is filled up with the same sample.
  if (batch > 1) { values = Array.from({ length: batch }, () => values).flat(); shape[0] = batch; }
  if (port.dtype === "int64") values = values.map(BigInt);
  return new ort.Tensor(port.dtype, ARRAYS[port.dtype].from(values), shape);
}

// What the engine itself gives, for the one sample: for each output its numbers and their shape.
export async function run(artefact, values) {
  const feeds = {};
  for (const port of artefact.inputs) feeds[port.name] = tensorOf(values[port.name], port, artefact.tables[port.name], artefact.batch);
  const start = performance.now(), given = await sessions.get(artefact.name).run(feeds);
  const milliseconds = performance.now() - start, found = {};
  for (const port of artefact.outputs) {
    const { data, dims, type } = given[port.name], size = data.length / artefact.batch;
    found[port.name] = { numbers: Array.from(data.slice(0, size), Number), shape: dims.slice(1), whole: !type.startsWith("float") };
  }
  return { found, milliseconds };
}

// What integer files leave to the runtime, in float64 and then float32.
function activated(numbers, columns, activation) {
  if (activation === "sigmoid") return numbers.map((value) => Math.fround(1 / (1 + Math.exp(-value))));
  if (activation !== "softmax") return numbers;
  const rows = [];
  for (let at = 0; at < numbers.length; at += columns) {
    const row = numbers.slice(at, at + columns), most = Math.max(...row);
    const parts = row.map((value) => Math.exp(value - most)), sum = parts.reduce((one, other) => one + other, 0);
    rows.push(...parts.map((value) => Math.fround(value / sum)));
  }
  return rows;
}

// As the server says it, for the kinds of outputs that the page shows.
function factsOf(port, { numbers, shape, whole }) {
  const real = activated(numbers, shape.at(-1) ?? 1, port.activation);
  if (!real.every(Number.isFinite)) throw new Refused(400, `${port.name}: the answers are no numbers`);
  const named = (place) => port.columns[place] ?? String(place);
  const scores = () => Object.fromEntries(real.map((value, place) => [named(place), value]));
  if (port.kind === "classes" && whole && real.length === 1) return { kind: "classes", label: named(real[0]) };
  if (port.kind === "classes" && shape.length === 1) {
    const shares = ["softmax", "sigmoid"].includes(port.ending) || (!port.ending && real.every((value) => value >= 0 && value <= 1.000001));
    return { kind: "classes", label: named(real.indexOf(Math.max(...real))), [shares ? "probabilities" : "scores"]: scores() };
  }
  if (port.kind === "labels" && shape.length === 1) {
    return { kind: "labels", labels: real.flatMap((value, place) => (value >= THRESHOLD ? [named(place)] : [])), probabilities: scores() };
  }
  if (port.kind === "yes-no") {
    const answer = real[0] >= THRESHOLD, names = port.columns.length ? port.columns : ["no", "yes"];
    return { kind: "yes-no", answer, label: names[Number(answer)], probability: real[0] };
  }
  const shown = port.kind === "map" ? mapOf(port, real, shape, whole, THRESHOLD) : null;
  if (shown?.shares) return shown;
  if (real.length <= 1000) return { kind: port.kind, columns: port.columns, units: port.units, values: real, ...shown };
  const [least, largest, sum] = real.reduce(([one, other, all], value) => [Math.min(one, value), Math.max(other, value), all + value], [Infinity, -Infinity, 0]);
  return { kind: port.kind, min: least, max: largest, mean: sum / real.length, ...shown };
}

async function answerOf(artefact, values) {
  const { found, milliseconds } = await run(artefact, values);
  const outputs = Object.fromEntries(artefact.outputs.map((port) => [port.name, factsOf(port, found[port.name])]));
  return { model: artefact.name, milliseconds, samples: [{ outputs }] };
}

export async function ask(values) {
  const answers = [];
  for (const artefact of model.artefacts) answers.push(await answerOf(artefact, values));
  return { answers };
}

export const sample = async (index) => samples[index];

const decisions = new Map();

async function decided(name) {
  if (!decisions.has(name)) {
    const artefact = model.artefacts.find((each) => each.name === name), found = [];
    for (const { values } of samples) {
      const one = Object.fromEntries(Object.entries(values).map(([key, { data, shape }]) => [key, nested(data, [1, ...shape])]));
      found.push(factsOf(artefact.outputs[0], (await run(artefact, one)).found[artefact.outputs[0].name]).label);
    }
    decisions.set(name, found);
  }
  const found = decisions.get(name);
  if (found[0] === undefined) throw new Refused(400, `${name} chooses no class: there is nothing that could change`);
  return found;
}

export async function changed(from, to) {
  const [one, other] = [await decided(from), await decided(to)];
  return { count: samples.length, changed: one.flatMap((label, place) => (label === other[place] ? [] : [place])) };
}

// A model that takes no pictures is asked by numbers alone: nothing here reads tables and sound.
export const FILES = "";

export async function askFile(file, inverted) {
  const [port] = model.artefacts[0].inputs, [, height, width, channels] = port.shape;
  let pixels;
  try {
    pixels = await pixelsOfPicture(file, port, inverted);
  } catch (error) {
    // What the decoder of the browser says of a file that is no picture, or none of its kinds.
    if (!(error instanceof DOMException)) throw error;
    throw new Refused(400, `${file.name ?? "the picture"}: not a picture that this browser can decode`);
  }
  const { answers } = await ask({ [port.name]: nested(pixels, [1, height, width, channels]) });
  return { answers, seen: { shape: [height, width, channels], data: pixels } };
}
