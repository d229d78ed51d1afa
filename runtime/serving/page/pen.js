// The pad: strokes by mouse, finger, pen or keyboard, as shares of its side.

const WIDTH = 0.05; // of the line on the pad

export class Pad {
  constructor(canvas, hint, changed) {
    this.canvas = canvas; this.hint = hint; this.changed = changed;
    this.strokes = []; this.down = false; this.cursor = null; this.able = true;
    canvas.addEventListener("pointerdown", (event) => this.#start(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.down = false; });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => { this.cursor = null; this.down = false; this.draw(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  clear() {
    this.strokes = []; this.down = false;
    this.draw(); this.changed();
  }

  draw() {
    if (!this.able) return;
    const { canvas } = this, context = canvas.getContext("2d"), side = canvas.width;
    const ink = getComputedStyle(canvas).color;
    context.clearRect(0, 0, side, side);
    Object.assign(context, { lineWidth: WIDTH * side, lineCap: "round", lineJoin: "round", strokeStyle: ink });
    for (const stroke of this.strokes) {
      context.beginPath();
      stroke.forEach(([x, y], place) => context[place ? "lineTo" : "moveTo"](x * side, y * side));
      if (stroke.length === 1) context.lineTo(stroke[0][0] * side, stroke[0][1] * side);
      context.stroke();
    }
    if (this.cursor) {
      const [x, y] = this.cursor;
      Object.assign(context, { lineWidth: 2, strokeStyle: ink });
      context.beginPath();
      context.arc(x * side, y * side, this.down ? 6 : 12, 0, 2 * Math.PI);
      context.stroke();
    }
    this.hint.hidden = this.strokes.length > 0 || this.cursor !== null;
  }

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  #start(event) {
    if (!this.able || event.button > 0) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.cursor = null; this.down = true;
    this.strokes.push([this.#point(event)]);
    this.draw(); this.changed();
  }

  #move(event) {
    if (!this.able || !this.down || this.cursor) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.strokes.at(-1).push(this.#point(each));
    this.draw(); this.changed();
  }

  #key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (!this.able || (!steps[event.key] && event.key !== " " && event.key !== "Escape")) return;
    event.preventDefault();
    if (event.key === "Escape") { this.clear(); return; }
    this.cursor ??= [0.5, 0.25];
    if (event.key === " ") {
      this.down = !this.down;
      if (this.down) this.strokes.push([[...this.cursor]]);
    } else {
      this.cursor = this.cursor.map((value, axis) => Math.min(0.97, Math.max(0.03, value + steps[event.key][axis] / 32)));
      if (this.down) this.strokes.at(-1).push([...this.cursor]);
    }
    this.draw(); this.changed();
  }
}
