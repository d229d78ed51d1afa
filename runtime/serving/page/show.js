// Answers on the page: two artefacts beside each other, and all of them in a table.

const get = (id) => document.getElementById(id);
export const element = (name, text = "", properties = {}) => Object.assign(document.createElement(name), { textContent: text, ...properties });
const share = (value) => (value >= 0.9995 ? "100 %" : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`);
const short = (value) => (Number.isInteger(value) ? String(value) : Number(value).toPrecision(4));
const MOST_VALUES = 24;

// Without the model's own name, which the page has as its title.
export const shortName = (name) => name.split(".").slice(1).join(" ") || name;

// The outputs of the first sample: for each its name and what is known of it. Boxes say all of their scores and classes.
function outputsOf(answer) {
  const all = Object.entries(answer.samples[0].outputs), boxes = all.map(([, facts]) => facts).find((facts) => facts.boxes);
  return all.filter(([, facts]) => !boxes || facts.boxes || facts.shape?.[0] !== boxes.shape[0]);
}

// An output in a few words.
function words(facts) {
  if (facts.label !== undefined) return [facts.label].flat().slice(0, 8).join(", ");
  if (facts.labels) return facts.labels.join(", ") || "none";
  if (facts.shares) return Object.entries(facts.shares).filter(([, part]) => part > 0).slice(0, 2).map(([name, part]) => `${name} ${share(part)}`).join(", ");
  if (facts.boxes) return facts.boxes.length === 1 ? "1 box" : `${facts.boxes.length} boxes`;
  const values = facts.values?.flat(Infinity);
  if (values && values.length <= 4) return values.map(short).join(", ");
  return values ? `${values.length} values` : `${short(facts.min)} to ${short(facts.max)}`;
}

const bestOf = (answer) => words(outputsOf(answer)[0][1]);

// Rows of [name, share of the bar, text, colour] for an output; those of two artefacts belong together by their names.
function rowsOf(facts, order, columns) {
  if (facts.kind === "yes-no") return [[columns[1] ?? "yes", facts.probability, share(facts.probability)]];
  if (facts.boxes) return facts.boxes.slice(0, 12).map(({ label, score }, place) => [`${place + 1}`, score ?? 1, [label, score === null ? "" : share(score)].filter(Boolean).join(" ")]);
  if (facts.shares) return order.map((name) => [name, facts.shares[name] ?? 0, share(facts.shares[name] ?? 0), facts.colours?.[name]]);
  const scores = facts.probabilities ?? facts.scores;
  if (scores) {
    const most = Math.max(...Object.values(scores).map(Math.abs), 1e-9);
    return order.map((name) => (facts.probabilities ? [name, scores[name], share(scores[name])] : [name, Math.max(0, scores[name] / most), short(scores[name])]));
  }
  const values = facts.values?.flat(Infinity).slice(0, MOST_VALUES) ?? [facts.min, facts.mean, facts.max].filter((each) => each !== undefined);
  const names = facts.values ? facts.columns ?? [] : ["least", "mean", "largest"], most = Math.max(...values.map(Math.abs), 1e-9);
  return values.map((value, place) => {
    const unit = facts.units?.[place] ? ` ${facts.units[place]}` : "";
    return [names[place] ?? String(place), Math.abs(value) / most, `${short(value)}${unit}`];
  });
}

// Names of classes in the order of the model; of many those that either artefact finds likeliest.
function orderOf(pair, columns) {
  const scores = pair.map((facts) => facts.probabilities ?? facts.scores ?? facts.shares ?? {});
  const known = Object.keys(scores[0]), names = columns.length ? columns.filter((name) => known.includes(name)) : known.sort((one, other) => one - other);
  const all = [...new Set([...names, ...known])];
  if (all.length <= 12) return all;
  const best = new Set(scores.flatMap((each) => Object.keys(each).slice(0, 8)));
  return all.filter((name) => best.has(name));
}

function cell(row, most) {
  const made = element("td", "", { className: most ? "most" : "" });
  if (!row) return made;
  const [, length, text, colour] = row, track = element("span", "", { className: "track" }), bar = element("span", "", { className: "bar" });
  bar.style.width = `${100 * Math.min(1, length)}%`;
  track.append(bar, element("span", text, { className: "share" }));
  if (colour) { const spot = element("span", "", { className: "spot" }); spot.style.background = colour; track.append(spot); }
  made.append(track);
  return made;
}

function rowsOfPair(pair, columns) {
  const order = orderOf(pair, columns), [before, after] = pair.map((facts) => rowsOf(facts, order, columns)), best = pair.map(({ label }) => label);
  const longer = before.length < after.length ? after : before;
  return longer.map(([name], place) => {
    const made = document.createElement("tr"), sides = [before[place], after[place]].map((row, side) => cell(row, row && best[side] !== undefined && name === String(best[side])));
    made.append(sides[0], element("th", name, { scope: "row" }), sides[1]);
    return made;
  });
}

// outputs: what the contract says of each.
export function showPair(left, right, outputs) {
  const pair = [left, right], best = pair.map(bestOf), all = pair.map(outputsOf);
  get("answers").classList.remove("empty");
  for (const [place, side] of ["left", "right"].entries()) {
    const output = get(`${side}-best`), picture = all[place].map(([, facts]) => facts.picture).find(Boolean), image = get(`${side}-picture`);
    output.textContent = best[place];
    output.className = best[place].length > 5 ? "long" : best[place].length > 2 ? "word" : "";
    image.hidden = !picture;
    if (picture) Object.assign(image, { src: picture, alt: `The answer of ${shortName(pair[place].model)} as a picture` });
    else image.removeAttribute("src");
  }
  get("bars").tBodies[0].replaceChildren(...all[0].flatMap(([name, facts], place) => {
    const head = document.createElement("tr");
    head.append(element("th", name, { colSpan: 3, scope: "rowgroup", className: "output" }));
    const rows = rowsOfPair([facts, all[1][place][1]], outputs.find((port) => port.name === name).columns);
    return all[0].length > 1 ? [head, ...rows] : rows;
  }));
  get("bars").classList.toggle("named", [...get("bars").querySelectorAll("th[scope=row]")].some(({ textContent }) => textContent.length > 3));
  const apart = best[0] !== best[1], decides = "label" in all[0][0][1] || "labels" in all[0][0][1];
  get("verdict").textContent = apart ? (decides ? "they disagree" : "not quite the same") : "they agree";
  get("verdict").classList.toggle("apart", apart && decides);
}

// Before there is an answer: what it waits for.
export function showNothing(line) {
  get("answers").classList.add("empty");
  get("verdict").textContent = line;
  get("verdict").classList.remove("apart");
  for (const side of ["left", "right"]) { get(`${side}-best`).textContent = ""; get(`${side}-picture`).hidden = true; }
  for (const table of ["bars", "all"]) get(table).tBodies[0].replaceChildren();
  get("time").textContent = "";
}

export function showAll(answers, reference, total) {
  const usual = bestOf(reference);
  get("all").tBodies[0].replaceChildren(...answers.map((answer) => {
    const best = bestOf(answer), [, facts] = outputsOf(answer)[0], chance = facts.probabilities?.[best] ?? facts.probability;
    const apart = best !== usual && ("label" in facts || "labels" in facts), row = element("tr", "", { className: apart ? "apart" : "" });
    const text = chance === undefined ? best : `${best} · ${share(chance)}`;
    row.append(
      element("th", shortName(answer.model), { scope: "row", title: answer.model }), element("td", apart ? `${text}, differs` : text),
      element("td", answer.milliseconds.toFixed(3)),
    );
    return row;
  }));
  const engine = answers.reduce((sum, answer) => sum + answer.milliseconds, 0);
  get("time").textContent = `${engine.toFixed(1)} ms in the engines, ${total.toFixed(1)} ms in all, from the input to the last answer.`;
}

// pixels: light and dark as numbers from 0 to 255; one or three of them a place.
export function showPixels(canvas, pixels, height, width, channels) {
  Object.assign(canvas, { height, width });
  const image = new ImageData(width, height);
  for (let at = 0; at < height * width; at++) {
    for (let colour = 0; colour < 3; colour++) image.data[4 * at + colour] = pixels[at * channels + (channels === 3 ? colour : 0)];
    image.data[4 * at + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
