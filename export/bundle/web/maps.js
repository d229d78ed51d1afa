// Answers with one for each place of a picture, as edgeport's runtime shows them (runtime/prediction/showing/maps.py).

const share = (numbers, wanted) => numbers.reduce((sum, each) => sum + (each === wanted), 0) / numbers.length;

// The colours of PASCAL VOC: the bits of a number, three at a time, are those of red, green and blue from the highest on.
function colour(number) {
  const found = [0, 0, 0];
  for (let place = 0; place < 8; place++) for (let channel = 0; channel < 3; channel++) found[channel] |= ((number >> (3 * place + channel)) & 1) << (7 - place);
  return found;
}

function picture(height, width, paint) {
  const canvas = Object.assign(document.createElement("canvas"), { height, width }), image = new ImageData(width, height);
  for (let at = 0; at < height * width; at++) image.data.set([...paint(at), 255], 4 * at);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.toDataURL();
}

// shares: for each class its number and its part of the places.
function shown(numbers, shares, [height, width], names) {
  const found = shares.sort(([one, before], [other, after]) => after - before || one - other);
  const named = (number) => names[number] ?? String(number), hex = (number) => `#${colour(number).map((each) => each.toString(16).padStart(2, "0")).join("")}`;
  return {
    kind: "map", picture: picture(height, width, (at) => colour(numbers[at])),
    shares: Object.fromEntries(found.map(([number, part]) => [named(number), part])),
    colours: Object.fromEntries(found.map(([number]) => [named(number), hex(number)])),
  };
}

// Returns what is shown of a map; null where its numbers say nothing but themselves.
export function mapOf(port, real, shape, whole, threshold) {
  const [height, width, columns = 1] = shape, places = height * width;
  const row = (at) => real.slice(at * columns, (at + 1) * columns), largest = (values) => values.indexOf(Math.max(...values));
  const numbersOf = (of) => Array.from({ length: places }, (_, at) => of(at)), over = (value) => value >= threshold;
  const classes = (numbers, names) => shown(numbers, [...new Set(numbers)].map((number) => [number, share(numbers, number)]), shape, names);
  const names = port.columns;
  if (columns === 1 && whole) return classes(real, names);
  if (port.ending === "softmax" && columns > 1) return classes(numbersOf((at) => largest(row(at))), names);
  if (port.ending === "sigmoid" && columns === 1) return classes(numbersOf((at) => Number(over(real[at]))), names.length ? names : ["no", "yes"]);
  if (port.ending === "sigmoid") {
    // Labels may overlap, so that the shares are those of each by itself.
    const numbers = numbersOf((at) => (row(at).some(over) ? largest(row(at)) + 1 : 0)), each = Array.from({ length: columns }, (_, column) => column);
    const parts = each.map((column) => [column + 1, numbersOf((at) => over(row(at)[column])).filter(Boolean).length / places]);
    return shown(numbers, [[0, share(numbers, 0)], ...parts], shape, ["none", ...each.map((column) => names[column] ?? String(column))]);
  }
  if (columns > 1) return null;
  const least = real.reduce((one, other) => Math.min(one, other)), extent = real.reduce((one, other) => Math.max(one, other)) - least || 1;
  return { kind: "map", picture: picture(height, width, (at) => Array(3).fill(Math.round(255 * (real[at] - least) / extent))) };
}
