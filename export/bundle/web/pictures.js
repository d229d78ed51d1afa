// A picture in the size of the model, as edgeport's runtime reads it (runtime/samples/pictures): the same filters in the same
// arithmetic, to the last bit. What the browser does otherwise is to decode: of JPEG, transparency and 16 bits a channel
// its pixels may be a level or two apart.

// Python's round, and numpy's rint: halves go to the even neighbour.
const even = (value) => { const down = Math.floor(value), rest = value - down; return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1; };
const f32 = Math.fround;

// How much larger than the model's input a picture stays until Lanczos scales it.
const GAP = 4;

export async function pixelsOfPicture(file, port, inverted) {
  const [, height, width, channels] = port.shape, { fit, interpolation } = port.resizing;
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const image = levelled(context.getImageData(0, 0, bitmap.width, bitmap.height), channels);
  const { box, size } = placed(image, width, height, fit);
  const resized = interpolation === "bilinear" ? bilinear(image, box, size) : smooth(image, box, size, width, height, fit);
  const pixels = framed(resized, width, height, image);
  return inverted ? pixels.map((value) => 255 - value) : pixels;
}

// Grey as Pillow computes it, or red, green, blue; on black or white where it is transparent, whichever it stands out from.
function levelled({ data, width, height }, channels) {
  const grey = (at) => (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 0x8000) >> 16;
  let light = 0, opaque = 0;
  for (let at = 0; at < data.length; at += 4) { light += grey(at) * data[at + 3]; opaque += data[at + 3]; }
  const ground = light > 127 * opaque ? 0 : 255;
  const pixels = new Uint8Array(width * height * channels);
  for (let at = 0, to = 0; at < data.length; at += 4, to += channels) {
    const alpha = data[at + 3];
    if (alpha < 255) for (let colour = 0; colour < 3; colour++) data[at + colour] = Math.round((data[at + colour] * alpha + ground * (255 - alpha)) / 255);
    if (channels === 1) pixels[to] = grey(at);
    else pixels.set(data.subarray(at, at + 3), to);
  }
  return { pixels, width, height, channels };
}

// The part of a picture that is kept, and how large it is in the frame.
function placed({ width: wide, height: high }, width, height, fit) {
  if (fit === "crop") {
    const across = Math.min(wide, Math.trunc(high * width / height)), down = Math.min(high, Math.trunc(wide * height / width));
    const left = Math.trunc((wide - across) / 2), top = Math.trunc((high - down) / 2);
    return { box: [left, top, left + Math.max(1, across), top + Math.max(1, down)], size: [width, height] };
  }
  let size = [width, height];
  if (fit === "letterbox") {
    size = wide / high > width / height ? [width, Math.max(1, even(high / wide * width))] : [Math.max(1, even(wide / high * height)), height];
  }
  return { box: [0, 0, wide, high], size };
}

// Half-pixel centers, the four pixels around each place, in float32: tf.image.resize.
function bilinear({ pixels, width: wide, channels }, [left, top, right, bottom], [width, height]) {
  const places = (length, count) => {
    const scale = f32(length / count), within = (value) => Math.min(length - 1, Math.max(0, value));
    return Array.from({ length: count }, (_, place) => {
      const at = f32(f32(f32(place + 0.5) * scale) - 0.5), before = Math.floor(at);
      return [within(before), within(before + 1), f32(at - before)];
    });
  };
  const mixed = (one, other, share) => f32(one + f32(f32(other - one) * share));
  const found = new Uint8Array(width * height * channels), columns = places(right - left, width);
  let to = 0;
  for (const [upper, lower, weight] of places(bottom - top, height)) {
    const [first, second] = [upper, lower].map((row) => (row + top) * wide);
    for (const [before, after, share] of columns) {
      for (let channel = 0; channel < channels; channel++) {
        const of = (row, column) => pixels[(row + left + column) * channels + channel];
        found[to++] = even(mixed(mixed(of(first, before), of(first, after), share), mixed(of(second, before), of(second, after), share), weight));
      }
    }
  }
  return { pixels: found, width, height, channels };
}

// Means of so many pixels that Lanczos has enough of them on each side, and then Lanczos: Pillow's reduce and resize.
function smooth(image, box, [width, height], frameWidth, frameHeight, fit) {
  const { width: wide, height: high } = image;
  const ratio = fit === "letterbox" ? Math.max(wide / frameWidth, high / frameHeight) : Math.min(wide, high) / Math.max(frameWidth, frameHeight);
  const factor = Math.max(1, Math.trunc(ratio / GAP)), small = factor > 1 ? reduced(image, factor) : image;
  const [left, top, right, bottom] = box.map((edge) => f32(edge / factor));
  const across = (from) => (left === 0 && right === width && from.width === width ? from : lanczos(from, left, right, width, false));
  const down = (from) => (top === 0 && bottom === height && from.height === height ? from : lanczos(from, top, bottom, height, true));
  // Pillow from 13 on begins with the axis that spares it most; between the two, levels are rounded.
  const spared = small.height - height;
  return spared > 0 && spared > 2 * (small.width - width) ? across(down(small)) : down(across(small));
}

function reduced({ pixels, width: wide, height: high, channels }, factor) {
  const width = Math.ceil(wide / factor), height = Math.ceil(high / factor), found = new Uint8Array(width * height * channels);
  const length = (whole, place) => Math.min(factor, whole - place * factor);
  for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) {
    const rows = length(high, row), columns = length(wide, column), count = rows * columns;
    // 2^32 / (256 n) in float32, of which the whole part counts.
    const share = Math.trunc(f32(2 ** 32 / (256 * count)));
    for (let channel = 0; channel < channels; channel++) {
      let sum = count >> 1;
      for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) sum += pixels[((row * factor + y) * wide + column * factor + x) * channels + channel];
      found[(row * width + column) * channels + channel] = Math.floor(sum * share / 2 ** 24);
    }
  }
  return { pixels: found, width, height, channels };
}

const BITS = 22; // of the weights, which are whole numbers
const LOBES = 3;

function weights(length, from, to, count) {
  const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
  const kernel = (x) => (x >= -LOBES && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0);
  const scale = (to - from) / count, wider = Math.max(1, scale), support = LOBES * wider;
  return Array.from({ length: count }, (_, place) => {
    const center = from + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5)), end = Math.min(length, Math.trunc(center + support + 0.5));
    const real = Array.from({ length: end - first }, (_, at) => kernel((at + first - center + 0.5) * (1 / wider)));
    const sum = real.reduce((one, other) => one + other, 0);
    return { first, whole: real.map((weight) => { const part = weight / sum * 2 ** BITS; return Math.trunc(part < 0 ? part - 0.5 : part + 0.5); }) };
  });
}

// One axis in another length.
function lanczos({ pixels, width: wide, height: high, channels }, from, to, count, down) {
  const [width, height] = down ? [wide, count] : [count, high], found = new Uint8ClampedArray(width * height * channels);
  const step = down ? wide * channels : channels;
  weights(down ? high : wide, from, to, count).forEach(({ first, whole }, place) => {
    for (let line = 0; line < (down ? wide : high); line++) for (let channel = 0; channel < channels; channel++) {
      let at = (down ? first * wide + line : line * wide + first) * channels + channel, sum = 1 << (BITS - 1);
      for (const weight of whole) { sum += pixels[at] * weight; at += step; }
      found[(down ? place * width + line : line * width + place) * channels + channel] = sum >> BITS;
    }
  });
  return { pixels: found, width, height, channels };
}

// In the middle of the model's frame, on the median of the picture's outermost pixels, corners counted twice.
function framed({ pixels, width: across, height: down, channels }, width, height, { pixels: whole, width: wide, height: high }) {
  if (across === width && down === height) return Array.from(pixels);
  const colour = Array.from({ length: channels }, (_, channel) => {
    const edge = [], of = (row, column) => edge.push(whole[(row * wide + column) * channels + channel]);
    for (let x = 0; x < wide; x++) { of(0, x); of(high - 1, x); }
    for (let y = 0; y < high; y++) { of(y, 0); of(y, wide - 1); }
    edge.sort((one, other) => one - other);
    return Math.trunc((edge[edge.length / 2 - 1] + edge[edge.length / 2]) / 2);
  });
  const left = even((width - across) * 0.5), top = even((height - down) * 0.5);
  const found = Array.from({ length: width * height * channels }, (_, at) => colour[at % channels]);
  for (let row = 0; row < down; row++) for (let at = 0; at < across * channels; at++) {
    found[((row + top) * width + left) * channels + at] = pixels[row * across * channels + at];
  }
  return found;
}
