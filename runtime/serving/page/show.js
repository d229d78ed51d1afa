// Answers on the page: two artefacts beside each other, and all of them in a table.

const element = (name, text = "", properties = {}) => Object.assign(document.createElement(name), { textContent: text, ...properties });
const share = (value) => (value >= 0.9995 ? "100 %" : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`);
const short = (value) => (Number.isInteger(value) ? String(value) : Number(value).toPrecision(4));

// Without the model's own name, which the page has as its title.
export const shortName = (name) => name.split(".").slice(1).join(" ") || name;

// The first output of the only sample, in a few words.
export function bestOf(answer) {
  const facts = Object.values(answer.samples[0].outputs)[0];
  if (facts.label !== undefined) return String(facts.label);
  if (facts.labels) return facts.labels.join(", ") || "none";
  if (facts.values) return facts.values.flat(Infinity).slice(0, 4).map(short).join(", ");
  return facts.mean === undefined ? facts.kind : `${short(facts.min)} to ${short(facts.max)}`;
}

// Rows of [name, share of the bar, text] in a fixed order.
function rowsOf(answer, order) {
  const facts = Object.values(answer.samples[0].outputs)[0];
  if (facts.kind === "yes-no") return [[String(facts.label), facts.probability, share(facts.probability)]];
  const scores = facts.probabilities ?? facts.scores;
  if (scores) {
    const most = Math.max(...Object.values(scores).map(Math.abs), 1e-9);
    return order.filter((name) => name in scores).map((name) => (
      facts.probabilities ? [name, scores[name], share(scores[name])] : [name, Math.max(0, scores[name] / most), short(scores[name])]));
  }
  const values = facts.values?.flat(Infinity).slice(0, 24) ?? [];
  const most = Math.max(...values.map(Math.abs), 1e-9);
  return values.map((value, place) => {
    const unit = facts.units?.[place] ? ` ${facts.units[place]}` : "";
    return [facts.columns?.[place] ?? String(place), Math.abs(value) / most, `${short(value)}${unit}`];
  });
}

function cell([, length, text], most) {
  const track = element("span", "", { className: "track" }), bar = element("span", "", { className: "bar" });
  bar.style.width = `${100 * Math.min(1, length)}%`;
  track.append(bar, element("span", text, { className: "share" }));
  const made = element("td", "", { className: most ? "most" : "" });
  made.append(track);
  return made;
}

// Of many classes those that either artefact finds likeliest, in the order of the model.
function orderOf(pair, columns) {
  const scores = pair.map((answer) => Object.values(answer.samples[0].outputs)[0]).map((facts) => facts.probabilities ?? facts.scores ?? {});
  const names = columns.length ? columns : Object.keys(scores[0]).sort((one, other) => one - other);
  if (names.length <= 12) return names;
  const best = new Set(scores.flatMap((each) => Object.keys(each).slice(0, 8)));
  return names.filter((name) => best.has(name));
}

export function showPair(page, left, right, columns) {
  const pair = [left, right], order = orderOf(pair, columns);
  const [before, after] = pair.map((answer) => rowsOf(answer, order));
  const most = pair.map(bestOf);
  page.leftBest.textContent = most[0];
  page.rightBest.textContent = most[1];
  for (const [place, output] of [page.leftBest, page.rightBest].entries()) output.classList.toggle("long", most[place].length > 6);
  const rows = before.map((row, place) => {
    const made = document.createElement("tr");
    made.append(cell(row, row[0] === most[0]), element("th", row[0], { scope: "row" }), cell(after[place], row[0] === most[1]));
    return made;
  });
  page.bars.replaceChildren(...rows);
  page.bars.parentElement.classList.toggle("named", before.some(([name]) => name.length > 3));
  const kind = Object.values(left.samples[0].outputs)[0].kind, apart = most[0] !== most[1];
  page.verdict.textContent = apart ? (kind === "values" || kind === "any" ? "not the same" : "they disagree") : "they agree";
  page.verdict.classList.toggle("apart", apart);
}

export function showAll(page, answers, reference, total) {
  const usual = bestOf(reference);
  page.all.replaceChildren(...answers.map((answer) => {
    const best = bestOf(answer), row = element("tr", "", { className: best === usual ? "" : "apart" });
    const facts = Object.values(answer.samples[0].outputs)[0];
    const chance = facts.probabilities?.[best] ?? (facts.kind === "yes-no" ? facts.probability : undefined);
    const text = chance === undefined ? best : `${best} · ${share(chance)}`;
    row.append(
      element("th", shortName(answer.model), { scope: "row", title: answer.model }), element("td", best === usual ? text : `${text}, differs`),
      element("td", answer.milliseconds.toFixed(3)),
    );
    return row;
  }));
  const engine = answers.reduce((sum, answer) => sum + answer.milliseconds, 0);
  page.time.textContent = `${engine.toFixed(1)} ms in the engines, ${total.toFixed(1)} ms in all, from the input to the last answer.`;
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
