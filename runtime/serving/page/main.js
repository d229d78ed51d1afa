// The page: which input there is, what all artefacts answer to it, and what differs.

import { ask, askFile, changed, connect, FILES, Refused, sample, useToken } from "./backend.js";
import { Camera, hasCamera } from "./camera.js";
import { Form, nested } from "./form.js";
import { Pad } from "./pen.js";
import { pixelsOf } from "./pixels.js";
import { shortName, showAll, showNothing, showPair, showPixels } from "./show.js";

const get = (id) => document.getElementById(id);
const state = { artefacts: [], source: "", answers: [], asking: false, next: null, index: 0, flips: null, count: 0, file: null };
let pad, form, camera, port;

// To a server a file is the body of a request.
const notice = (line) => { get("notice").textContent = line.replace(/\bthe body\b/g, "the file"); get("notice").hidden = !line; };
const inverted = () => get("invert").firstChild.checked;
// Digits and other strokes: small, and grey.
const drawable = ({ shape: [, height, width, channels] }) => channels === 1 && Math.min(height, width) >= 8 && Math.max(height, width) <= 64;

// What the page waits for until there is an answer.
const WAITING = {
  draw: "Draw, and all artefacts answer.", picture: "Choose a picture, and all artefacts answer.", file: "Choose a file, and all artefacts answer.",
  camera: "Waiting for the camera …", changed: "Looking for samples that are answered differently …",
};

// Does some work; what is refused is said on the page, and nothing else stands beside it.
async function saying(work, source = state.source) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (source !== state.source) return;
    state.answers = [];
    showNothing("");
    notice(error.message);
  }
}

async function start() {
  try {
    const { artefacts, samples } = await connect();
    state.artefacts = artefacts; state.count = samples;
    get("token").hidden = true;
    notice("");
    open();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    get("token").hidden = error.status !== 401;
    notice(error.status === 401 ? "" : error.message);
    if (error.status === 401) get("secret").focus();
  }
}

function open() {
  const [first] = state.artefacts, name = first.name.split(".")[0];
  [port] = first.inputs;
  const pictures = first.inputs.length === 1 && port.range && [1, 3].includes(port.shape[3]) && port.shape[1];
  get("model").textContent = name;
  document.title = `${name} · edgeport`;
  state.asForm = !pictures;
  const chooses = ["classes", "yes-no"].includes(first.outputs[0].kind);
  const sources = [
    [pictures && drawable(port), "draw", "Draw"], [pictures, "picture", "Picture"], [pictures && hasCamera(), "camera", "Camera"],
    [!pictures, "form", "Numbers"], [!pictures && FILES, "file", "File"],
    [state.count, "sample", "Samples"], [state.count && state.artefacts.length > 1 && chooses, "changed", "What changed?"],
  ].filter(([offered]) => offered);
  get("sources").querySelectorAll("label").forEach((label) => label.remove());
  for (const [, source, words] of sources) {
    const label = document.createElement("label");
    const choice = Object.assign(document.createElement("input"), { type: "radio", name: "source", value: source });
    choice.addEventListener("change", () => choose(source));
    label.append(choice, words);
    get("sources").append(label);
  }
  chooseSides();
  get("file").querySelector("input").accept = pictures ? "image/*" : FILES;
  get("file").firstChild.textContent = pictures ? "Choose or take a picture" : "Choose a table, arrays or sound";
  pad = new Pad(get("pad"), get("hint"), () => { if (state.source === "draw") askPixels(); });
  camera = new Camera(get("pad"));
  form = new Form(get("fields"), first.inputs, askForm);
  get("work").classList.toggle("single", state.artefacts.length === 1);
  get("work").hidden = false;
  get("sources").querySelector("input").checked = true;
  choose(sources[0][1]);
}

// float32 and int8 of one format, if there are such.
function chooseSides() {
  for (const id of ["left", "right"]) {
    get(id).replaceChildren(...state.artefacts.map(({ name }) => new Option(shortName(name), name)));
    get(id).addEventListener("change", () => { show(); if (state.source === "changed") findChanged(); });
  }
  const found = (precision, format) => state.artefacts.find((each) => each.precision === precision && (!format || each.format === format));
  const right = found("int8", "tflite") ?? found("int8") ?? state.artefacts.at(-1);
  const left = [found("float32", right.format), found("float32"), ...state.artefacts].find((each) => each && each !== right) ?? right;
  get("left").value = left.name; get("right").value = right.name;
}

function choose(source) {
  const drawing = source === "draw", chosen = source === "picture" || source === "file";
  Object.assign(state, { source, flips: null, file: null });
  get("file").querySelector("input").value = "";
  camera.stop();
  notice("");
  get("fields").hidden = !state.asForm || source === "file";
  get("drawing").hidden = state.asForm;
  get("clear").hidden = !drawing;
  get("file").hidden = !chosen;
  get("invert").hidden = !(drawing || source === "picture" || source === "camera");
  get("steps").hidden = !(source === "sample" || source === "changed");
  get("truth").textContent = "";
  pad.able = drawing;
  get("pad").tabIndex = drawing ? 0 : -1;
  get("pad").classList.toggle("shown", !drawing);
  blank();
  get("hint").hidden = true;
  pad.draw();
  clearAnswers();
  ({ draw: askPixels, form: askForm, sample: () => go(0), changed: findChanged, camera: look }[source] ?? askChosen)();
}

// In its own resolution, and with nothing on it.
function blank() { Object.assign(get("pad"), { width: 560, height: 560 }); }

function clearAnswers() {
  state.answers = []; state.next = null;
  showNothing(WAITING[state.source] ?? "");
  get("eye").hidden = true;
}

function see(pixels, [height, width, channels], onPad) {
  showPixels(get("seen"), pixels, height, width, channels);
  get("size").textContent = `${width} × ${height} pixels${channels === 3 ? ", in colour" : ""}`;
  get("eye").hidden = false;
  if (onPad) showPixels(get("pad"), pixels, height, width, channels);
}

function askPixels() {
  const [, height, width] = port.shape;
  if (!pad.strokes.length) { clearAnswers(); return; }
  const pixels = pixelsOf(pad.strokes, height, width, inverted());
  see(pixels, [height, width, 1], false);
  later(() => ask({ [port.name]: nested(Array.from(pixels), [1, height, width, 1]) }));
}

function askForm() {
  try {
    const values = form.values();
    later(() => ask(values));
  } catch (error) {
    clearAnswers();
    notice(error.message);
  }
}

function askChosen() {
  if (state.file) later(() => askFile(state.file, inverted(), !state.asForm));
}

// One picture of the camera after the other, as fast as they are answered.
async function look() {
  let stream;
  try {
    stream = await camera.start();
  } catch (error) {
    notice(error.name === "NotAllowedError" ? "The browser does not let this page use the camera: allow it, and choose Camera again."
      : `There is no camera that this page can use (${error.message}).`);
    showNothing("");
    return;
  }
  // Something else may have been chosen while the user was asked.
  if (state.source !== "camera") camera.stop();
  for (;;) {
    const picture = await camera.picture(stream);
    if (!picture || state.source !== "camera") return;
    await later(() => askFile(picture, inverted(), true));
  }
}

// One question at a time; of those that come meanwhile, the last.
async function later(question) {
  state.next = question;
  if (state.asking) return;
  state.asking = true;
  get("answer").parentElement.setAttribute("aria-busy", "true");
  while (state.next) {
    const now = state.next, { source } = state, start = performance.now();
    state.next = null;
    await saying(async () => {
      const { answers, seen } = await now();
      // What was asked before another source was chosen is no answer to it.
      if (source === state.source) present(answers, seen, performance.now() - start);
    }, source);
  }
  state.asking = false;
  get("answer").parentElement.setAttribute("aria-busy", "false");
}

function present(answers, seen, total) {
  Object.assign(state, { answers, total });
  const notes = [...new Set(answers.flatMap((answer) => answer.notes ?? []))].map((note) => note.replace(/: add --invert$/, ": tick 'dark on light'"));
  const rows = answers[0].samples.length;
  if (rows > 1) notes.unshift(`The file has ${rows} samples; this is the first.`);
  notice(notes.join("\n"));
  if (seen) see(seen.data, seen.shape, state.source !== "camera");
  show();
}

function show() {
  if (!state.answers.length) return;
  const of = (id) => state.answers.find((answer) => answer.model === get(id).value);
  showPair(of("left"), of("right"), state.artefacts[0].outputs);
  showAll(state.answers, of("left"), state.total);
}

function findChanged() {
  clearAnswers();
  get("place").textContent = "looking …";
  return saying(async () => {
    state.flips = await changed(get("left").value, get("right").value);
    await go(0);
  });
}

function go(index) {
  const many = state.flips ? state.flips.changed.length : state.count;
  state.index = Math.min(Math.max(0, index), Math.max(0, many - 1));
  get("back").disabled = state.index === 0;
  get("on").disabled = state.index + 1 >= many;
  const where = state.flips ? `of the ${state.flips.count} samples` : "";
  get("place").textContent = many ? `${state.index + 1} of ${many}${state.flips ? ` changed, ${where}` : ""}` : `none ${where} changed`;
  if (!many) { blank(); clearAnswers(); showNothing("Both choose the same class for each of them."); return undefined; }
  return saying(async () => {
    const { values, label } = await sample(state.flips ? state.flips.changed[state.index] : state.index);
    if (state.asForm) form.fill(values);
    else see(values[port.name].data, values[port.name].shape, true);
    get("truth").textContent = label === null ? "" : `In truth: ${label}`;
    const shaped = Object.fromEntries(Object.entries(values).map(([name, each]) => [name, nested(each.data, [1, ...each.shape])]));
    await later(() => ask(shaped));
  });
}

get("token").addEventListener("submit", (event) => { event.preventDefault(); useToken(get("secret").value); start(); });
get("clear").addEventListener("click", () => pad.clear());
get("back").addEventListener("click", () => go(state.index - 1));
get("on").addEventListener("click", () => go(state.index + 1));
get("invert").firstChild.addEventListener("change", () => (state.source === "draw" ? askPixels() : askChosen()));
// The same file may have changed since.
get("file").querySelector("input").addEventListener("click", (event) => { event.target.value = ""; });
get("file").querySelector("input").addEventListener("change", (event) => { [state.file] = event.target.files; askChosen(); });
start();
