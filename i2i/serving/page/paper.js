// Paper and pen. Strokes are kept as lines, in parts of the paper's side, and drawn at any size.

const STEP = 1 / 64; // of the side, which an arrow key moves the pen

export class Paper {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.strokes = [];
    this.pen = { colour: "#000000", width: 0.03, erases: false };
    this.cursor = [0.5, 0.5];
    this.stroke = null;
    this.held = null; // the pointer that draws
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

  // The drawing as a PNG of side x side pixels. It is drawn four times as large, so that thin lines are even.
  async picture(side) {
    const large = new OffscreenCanvas(4 * side, 4 * side);
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
    pen.lineCap = pen.lineJoin = "round";
    for (const { colour, points } of this.strokes) {
      pen.strokeStyle = colour;
      points.forEach(([x, y, width], index) => {
        const [fromX, fromY] = points[Math.max(0, index - 1)];
        pen.lineWidth = width * canvas.width;
        pen.beginPath();
        pen.moveTo(fromX * canvas.width, fromY * canvas.width);
        pen.lineTo(x * canvas.width, y * canvas.width);
        pen.stroke();
      });
    }
  }

  #begin() {
    this.stroke = { colour: this.pen.erases ? "#ffffff" : this.pen.colour, points: [] };
    this.strokes.push(this.stroke);
  }

  #add(x, y, pressure) {
    const width = this.pen.width * (this.pen.erases ? 4 : 0.4 + 1.2 * pressure);
    this.stroke.points.push([x, y, width]);
    this.#drawn();
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
  }

  #move(event) {
    if (event.pointerId !== this.held) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const each of all.length ? all : [event]) this.#add(...this.#place(each));
  }

  #key(event) {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key === " ") {
      if (this.stroke) this.lift();
      else {
        this.#begin();
        this.#add(...this.cursor, 0.5);
      }
    } else if (moves[event.key]) {
      const inside = (value) => Math.min(1, Math.max(0, value));
      this.cursor = this.cursor.map((value, axis) => inside(value + moves[event.key][axis]));
      if (this.stroke) this.#add(...this.cursor, 0.5);
    } else return;
    event.preventDefault();
    this.show();
  }
}
