// From the way of a pen to the pixels of a model, as MNIST was made: the ink fills 20 of 28 pixels on its longer side, and
// its centre of mass is in the middle. Plain arithmetic, so that every browser gives the same pixels.

const BOX = 20 / 28;
const RADIUS = 1.25 / 28; // of the pen, as a share of the picture: what most digits of MNIST are drawn with

function distance(x, y, [ax, ay], [bx, by]) {
  const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
  const along = length ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

function drawn(strokes, height, width, radius) {
  const pixels = new Float64Array(height * width);
  for (const stroke of strokes) {
    for (let place = 0; place < stroke.length; place++) {
      const from = stroke[Math.max(0, place - 1)], to = stroke[place];
      const reach = radius + 1;
      const top = Math.max(0, Math.floor(Math.min(from[1], to[1]) - reach));
      const bottom = Math.min(height - 1, Math.ceil(Math.max(from[1], to[1]) + reach));
      const left = Math.max(0, Math.floor(Math.min(from[0], to[0]) - reach));
      const right = Math.min(width - 1, Math.ceil(Math.max(from[0], to[0]) + reach));
      for (let row = top; row <= bottom; row++) {
        for (let column = left; column <= right; column++) {
          const ink = Math.min(1, Math.max(0, radius + 0.5 - distance(column + 0.5, row + 0.5, from, to)));
          const at = row * width + column;
          pixels[at] = Math.max(pixels[at], ink);
        }
      }
    }
  }
  return pixels;
}

// strokes: lists of [x, y], as shares of the pad's side. Returns light on black, or the opposite if inverted.
export function pixelsOf(strokes, height, width, inverted = false) {
  const side = Math.min(height, width), radius = RADIUS * side;
  const points = strokes.flat();
  let pixels = new Float64Array(height * width);
  if (points.length) {
    const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const longest = Math.max(right - left, bottom - top);
    // A dot stays one.
    const scale = longest > 0.02 ? (BOX * side - 2 * radius) / longest : side;
    const placed = (dx, dy) => strokes.map((stroke) => stroke.map(([x, y]) => [
      (x - (left + right) / 2) * scale + width / 2 + dx, (y - (top + bottom) / 2) * scale + height / 2 + dy,
    ]));
    pixels = drawn(placed(0, 0), height, width, radius);
    let mass = 0, x = 0, y = 0;
    pixels.forEach((ink, at) => {
      mass += ink; x += ink * (at % width + 0.5); y += ink * (Math.floor(at / width) + 0.5);
    });
    pixels = drawn(placed(width / 2 - x / mass, height / 2 - y / mass), height, width, radius);
  }
  return Uint8Array.from(pixels, (ink) => (inverted ? 255 - Math.round(255 * ink) : Math.round(255 * ink)));
}
