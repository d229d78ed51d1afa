// The page: which input there is, what all artefacts answer to it, and what differs.

import { ask, askFile, changed, connect, Refused, sample, useToken } from "./backend.js";
import { Form, nested } from "./form.js";
import { Pad } from "./pen.js";
import { pixelsOf } from "./pixels.js";
import { shortName, showAll, showPair, showPixels } from "./show.js";

const get = (id) => document.getElementById(id);
const page = {
  leftBest: get("left-best"), rightBest: get("right-best"), verdict: get("verdict"),
  bars: get("bars").tBodies[0], all: get("all").tBodies[0], time: get("time"),
};
const state = { artefacts: [], source: "", answers: [], asking: false, next: null, index: 0, flips: null, count: 0, file: null };
let pad, form, port;

const notice = (line) => { get("notice").textContent = line; get("notice").hidden = !line; };
const drawable = (input) => input.range && input.shape[3] === 1 && input.shape[1] >= 8 && input.shape[1] <= 64 && input.shape[2] <= 64;

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
  const [first] = state.artefacts;
  get("sources").querySelectorAll("label").forEach((label) => label.remove());
  [port] = first.inputs;
  const alone = first.inputs.length === 1, pictures = alone && port.range && [1, 3].includes(port.shape[3]) && port.shape[1];
  get("model").textContent = first.name.split(".")[0];
  document.title = `${first.name.split(".")[0]} · edgeport`;
  state.asForm = !pictures;
  const sources = [];
  if (alone && drawable(port)) sources.push(["draw", "Draw"]);
  if (pictures) sources.push(["picture", "Picture"]);
  if (!pictures) sources.push(["form", "Numbers"]);
  if (state.count) sources.push(["sample", "Samples"], ["changed", "What changed?"]);
  for (const [name, words] of sources) {
    const label = document.createElement("label");
    const choice = Object.assign(document.createElement("input"), { type: "radio", name: "source", value: name });
    choice.addEventListener("change", () => choose(name));
    label.append(choice, words);
    get("sources").append(label);
  }
  chooseSides();
  pad = new Pad(get("pad"), get("hint"), () => { if (state.source === "draw") askPixels(); });
  form = new Form(get("fields"), first.inputs, askForm);
  get("work").classList.toggle("single", state.artefacts.length === 1);
  get("work").hidden = false;
  get("sources").querySelector("input").checked = true;
  choose(sources[0][0]);
}

// float32 and int8 of one format, if there are such.
function chooseSides() {
  for (const id of ["left", "right"]) {
    get(id).replaceChildren(...state.artefacts.map(({ name }) => new Option(shortName(name), name)));
    get(id).addEventListener("change", () => { show(); if (state.source === "changed") findChanged(); });
  }
  const found = (precision, format) => state.artefacts.find((each) => each.precision === precision && (!format || each.format === format));
  const right = found("int8", "tflite") ?? found("int8") ?? state.artefacts.at(-1);
  const left = found("float32", right.format) ?? found("float32") ?? state.artefacts[0];
  get("left").value = left.name; get("right").value = right.name;
}

function choose(source) {
  state.source = source;
  notice("");
  const steps = source === "sample" || source === "changed", drawing = source === "draw";
  get("fields").hidden = !state.asForm;
  get("drawing").hidden = state.asForm;
  get("clear").hidden = !drawing;
  get("file").hidden = source !== "picture";
  get("invert").hidden = !(drawing || source === "picture");
  get("steps").hidden = !steps;
  get("truth").textContent = "";
  pad.able = drawing;
  get("pad").tabIndex = drawing ? 0 : -1;
  get("pad").classList.toggle("shown", !drawing);
  if (drawing) { Object.assign(get("pad"), { width: 560, height: 560 }); pad.draw(); }
  else get("hint").hidden = true;
  clearAnswers();
  state.flips = null;
  if (drawing && pad.strokes.length) askPixels();
  else if (source === "form") askForm();
  else if (source === "sample") go(0);
  else if (source === "changed") findChanged();
  else if (source === "picture") { blank(); if (state.file) askPicture(); }
}

function blank() {
  const canvas = get("pad");
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

function clearAnswers() {
  state.answers = []; state.next = null;
  page.bars.replaceChildren(); page.all.replaceChildren();
  page.leftBest.textContent = page.rightBest.textContent = "–";
  page.verdict.textContent = page.time.textContent = "";
  page.verdict.classList.remove("apart");
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
  const pixels = pixelsOf(pad.strokes, height, width, get("invert").firstChild.checked);
  see(pixels, [height, width, 1], false);
  later(() => ask({ [port.name]: nested(Array.from(pixels), [1, height, width, 1]) }));
}

function askForm() {
  try {
    const values = form.values();
    later(() => ask(values));
  } catch (error) {
    notice(error.message);
  }
}

function askPicture() {
  later(() => askFile(state.file, get("invert").firstChild.checked));
}

// One question at a time; of those that come meanwhile, the last.
async function later(question) {
  state.next = question;
  if (state.asking) return;
  state.asking = true;
  get("answer").parentElement.setAttribute("aria-busy", "true");
  while (state.next) {
    const now = state.next, start = performance.now();
    state.next = null;
    try {
      const { answers, seen } = await now();
      present(answers, seen, start);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      notice(error.message);
    }
  }
  state.asking = false;
  get("answer").parentElement.setAttribute("aria-busy", "false");
}

function present(answers, seen, start) {
  state.answers = answers; state.total = performance.now() - start;
  const notes = [...new Set(answers.flatMap((answer) => answer.notes ?? []))].map((note) => note.replace(/: add --invert$/, ": tick 'dark on light'"));
  notice(notes.join(" "));
  if (seen) see(seen.data, seen.shape, true);
  show();
}

function show() {
  if (!state.answers.length) return;
  const of = (id) => state.answers.find((answer) => answer.model === get(id).value);
  showPair(page, of("left"), of("right"), state.artefacts[0].outputs[0].columns);
  showAll(page, state.answers, of("left"), state.total);
}

async function findChanged() {
  clearAnswers();
  get("place").textContent = "looking …";
  try {
    state.flips = await changed(get("left").value, get("right").value);
    if (!state.flips.changed.length) blank();
    go(0);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    notice(error.message);
  }
}

async function go(index) {
  const many = state.flips ? state.flips.changed.length : state.count;
  state.index = Math.min(Math.max(0, index), Math.max(0, many - 1));
  get("back").disabled = state.index === 0;
  get("on").disabled = state.index + 1 >= many;
  const where = state.flips ? `of the ${state.flips.count} samples` : "";
  get("place").textContent = many ? `${state.index + 1} of ${many}${state.flips ? ` changed, ${where}` : ""}` : `none ${where} changed`;
  if (!many) return;
  const { values, label } = await sample(state.flips ? state.flips.changed[state.index] : state.index);
  if (!state.asForm) see(values[port.name].data, values[port.name].shape, true);
  if (!get("fields").hidden) form.fill(values);
  get("truth").textContent = label === null ? "" : `In truth: ${label}`;
  const shaped = Object.fromEntries(Object.entries(values).map(([name, each]) => [name, nested(each.data, [1, ...each.shape])]));
  later(() => ask(shaped));
}

get("token").addEventListener("submit", (event) => { event.preventDefault(); useToken(get("secret").value); start(); });
get("clear").addEventListener("click", () => pad.clear());
get("back").addEventListener("click", () => go(state.index - 1));
get("on").addEventListener("click", () => go(state.index + 1));
get("invert").firstChild.addEventListener("change", () => (state.source === "draw" ? askPixels() : state.file && askPicture()));
get("file").querySelector("input").addEventListener("change", (event) => { [state.file] = event.target.files; if (state.file) askPicture(); });
start();
