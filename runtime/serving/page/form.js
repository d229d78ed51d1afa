// A form for a model that takes no pictures: a field for each of a few numbers, else a text with all of them.

const MOST_FIELDS = 40;
const size = (port) => port.shape.slice(1).reduce((product, axis) => product * (axis ?? 1), 1);
const free = (port) => port.shape.slice(1).includes(null);

export function nested(flat, shape) {
  if (shape.length === 0) return flat[0];
  if (shape.length === 1) return Array.from(flat);
  const step = flat.length / shape[0];
  return Array.from({ length: shape[0] }, (_, place) => nested(flat.slice(place * step, (place + 1) * step), shape.slice(1)));
}

export class Form {
  constructor(form, ports, changed) {
    this.form = form; this.ports = ports; this.fields = new Map();
    for (const port of ports) this.fields.set(port.name, this.#fieldsOf(port));
    form.addEventListener("input", changed);
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  // Fills the fields with one sample: for each input its numbers in a row.
  fill(values) {
    for (const port of this.ports) {
      const fields = this.fields.get(port.name), flat = values[port.name].data;
      if (fields[0].tagName === "TEXTAREA") fields[0].value = flat.join(", ");
      else fields.forEach((field, place) => { field.value = flat[place]; });
    }
  }

  // Returns nested lists for each input with one sample; throws an error with a line for people.
  values() {
    const found = {};
    for (const port of this.ports) {
      const fields = this.fields.get(port.name);
      const texts = fields[0].tagName === "TEXTAREA" ? fields[0].value.split(/[\s,;]+/).filter(Boolean) : fields.map((field) => field.value);
      const numbers = texts.map(Number), wrong = texts.findIndex((text, place) => text === "" || !Number.isFinite(numbers[place]));
      const named = fields.length > 1 || fields[0].type === "number" ? fields[wrong]?.labels[0].textContent : `${port.name}: number ${wrong + 1}`;
      if (wrong >= 0) throw new Error(texts[wrong] === "" ? `${named} is missing` : `${named} is '${texts[wrong]}', which is no number`);
      const known = size(port), many = numbers.length / known;
      if (free(port) ? !Number.isInteger(many) || !many : numbers.length !== known) throw new Error(`${port.name}: got ${numbers.length} numbers, expected ${known}`);
      let left = many;
      const shape = port.shape.slice(1).map((axis) => { if (axis !== null) return axis; const length = left; left = 1; return length; });
      found[port.name] = nested(numbers, [1, ...shape]);
    }
    return found;
  }

  #fieldsOf(port) {
    const count = size(port), single = !free(port) && count <= MOST_FIELDS;
    const names = single ? Array.from({ length: count }, (_, place) => port.columns[place] ?? (count > 1 ? `${port.name} ${place + 1}` : port.name)) : [port.name];
    return names.map((name) => {
      const label = document.createElement("label"), text = document.createElement("span");
      const field = document.createElement(single ? "input" : "textarea");
      text.textContent = single ? name : `${name}: ${count} numbers, separated by commas`;
      label.className = single ? "" : "wide";
      if (single) Object.assign(field, { type: "number", step: port.dtype.includes("float") ? "any" : "1", value: "0", inputMode: "decimal" });
      else { field.value = Array(Math.min(count, 4096)).fill(0).join(", "); field.spellcheck = false; }
      label.append(text, field);
      this.form.append(label);
      return field;
    });
  }
}
