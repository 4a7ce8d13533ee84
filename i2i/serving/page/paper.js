// Paper and pen. Strokes are kept as lines, in parts of the paper's side, and drawn at any size.

const STEP = 1 / 64; // of the side, which an arrow key moves the pen
const LARGEST = 4096; // pixels a side

export class Paper {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.strokes = [];
    this.pen = { colour: "#000000", width: 0.03, erases: false };
    this.cursor = [0.5, 0.5];
    this.stroke = null;
    this.held = null; // the pointer that draws
    this.shown = 0; // points of the last stroke that are on the screen
    this.frame = null;
    new ResizeObserver(() => this.show()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => { if (event.pointerId === this.held) this.lift(); });
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.lift());
    canvas.addEventListener("focus", () => this.show());
  }

  get empty() { return this.strokes.length === 0; }

  undo() {
    this.lift();
    this.strokes.pop();
    this.#drawn();
  }

  clear() {
    this.lift();
    this.strokes = [];
    this.#drawn();
  }

  lift() { this.stroke = this.held = null; }

  // The drawing as a PNG of side x side pixels. It is drawn up to four times as large, so that thin lines are even.
  async picture(side) {
    const larger = side * Math.max(1, Math.min(4, Math.floor(LARGEST / side)));
    const large = new OffscreenCanvas(larger, larger);
    this.#draw(large);
    const small = new OffscreenCanvas(side, side);
    const pen = small.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(large, 0, 0, side, side);
    return small.convertToBlob({ type: "image/png" });
  }

  show() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (!side) return;
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    this.#draw(this.canvas);
    this.shown = this.strokes.at(-1)?.points.length ?? 0;
    if (document.activeElement !== this.canvas || !this.canvas.matches(":focus-visible")) return;
    const pen = this.canvas.getContext("2d");
    pen.strokeStyle = this.stroke ? "#bd3f16" : "#655f56";
    pen.lineWidth = 2 * devicePixelRatio;
    pen.beginPath();
    pen.arc(this.cursor[0] * side, this.cursor[1] * side, 8 * devicePixelRatio, 0, 2 * Math.PI);
    pen.stroke();
  }

  #draw(canvas) {
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (const stroke of this.strokes) this.#line(canvas, stroke, 0);
  }

  // A stroke from one of its points on.
  #line(canvas, { colour, points }, first) {
    const pen = canvas.getContext("2d");
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = colour;
    for (let index = first; index < points.length; index += 1) {
      const [x, y, width] = points[index];
      const [fromX, fromY] = points[Math.max(0, index - 1)];
      pen.lineWidth = width * canvas.width;
      pen.beginPath();
      pen.moveTo(fromX * canvas.width, fromY * canvas.width);
      pen.lineTo(x * canvas.width, y * canvas.width);
      pen.stroke();
    }
  }

  // Before the next frame the points that are new, however many events brought them.
  #soon() {
    this.changed();
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      const stroke = this.strokes.at(-1);
      if (!stroke) return;
      this.#line(this.canvas, stroke, this.shown);
      this.shown = stroke.points.length;
    });
  }

  #begin() {
    this.stroke = { colour: this.pen.erases ? "#ffffff" : this.pen.colour, points: [] };
    this.strokes.push(this.stroke);
  }

  #add(x, y, pressure) {
    const width = this.pen.width * (this.pen.erases ? 4 : 0.4 + 1.2 * pressure);
    this.stroke.points.push([x, y, width]);
  }

  #drawn() {
    this.show();
    this.changed();
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    const pressure = event.pointerType === "pen" ? event.pressure : 0.5; // a mouse and most fingers have none
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, pressure];
  }

  #down(event) {
    if (event.button || this.held !== null) return;
    this.lift();
    this.held = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.#begin();
    this.#add(...this.#place(event));
    this.#drawn();
  }

  #move(event) {
    if (event.pointerId !== this.held) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const each of all.length ? all : [event]) this.#add(...this.#place(each));
    this.#soon();
  }

  #key(event) {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key === " ") {
      if (this.stroke) this.lift();
      else {
        this.#begin();
        this.#add(...this.cursor, 0.5);
        this.changed();
      }
    } else if (moves[event.key]) {
      const inside = (value) => Math.min(1, Math.max(0, value));
      this.cursor = this.cursor.map((value, axis) => inside(value + moves[event.key][axis]));
      if (this.stroke) {
        this.#add(...this.cursor, 0.5);
        this.changed();
      }
    } else return;
    event.preventDefault();
    this.show();
  }
}
