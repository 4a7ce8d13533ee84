// Two pictures of one size under a divider, which can be enlarged and moved.

const MOST = 32; // times the size that fits
const STEP = 1.4;

export class Compare {
  constructor(frame) {
    this.frame = frame;
    this.sheet = frame.querySelector(".sheet");
    this.before = frame.querySelector(".before");
    this.after = frame.querySelector(".after");
    this.divider = frame.querySelector(".divider");
    this.tags = frame.querySelectorAll(".tag");
    this.at = 0.5; // of the visible part of the picture
    this.size = [1, 1];
    this.pointers = new Map();
    this.fit();
    new ResizeObserver(() => this.lay()).observe(frame);
    frame.addEventListener("pointerdown", (event) => this.#down(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      frame.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    frame.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    frame.addEventListener("keydown", (event) => this.#key(event));
    this.divider.addEventListener("keydown", (event) => this.#slide(event));
  }

  // before may be null where the browser cannot show the file; then there is the output alone.
  async show(before, after) {
    this.after.src = after;
    this.before.hidden = this.divider.hidden = this.tags[0].hidden = !before;
    if (before) this.before.src = before;
    await Promise.all([this.after.decode(), before ? this.before.decode() : null]);
    this.size = [this.after.naturalWidth, this.after.naturalHeight];
    this.lay();
  }

  fit() {
    this.zoom = 1;
    this.centre = [0.5, 0.5]; // of the picture, in the middle of the frame
    this.lay();
  }

  // Zooms by a factor about a point of the frame, which stays where it is.
  scale(factor, x = this.frame.clientWidth / 2, y = this.frame.clientHeight / 2) {
    const [wide, tall] = this.#shown();
    const zoom = Math.min(MOST, Math.max(1, this.zoom * factor));
    const gain = 1 / (this.zoom) - 1 / zoom;
    this.centre[0] += ((x - this.frame.clientWidth / 2) * this.zoom * gain) / wide;
    this.centre[1] += ((y - this.frame.clientHeight / 2) * this.zoom * gain) / tall;
    this.zoom = zoom;
    this.lay();
  }

  lay() {
    const { clientWidth: width, clientHeight: height } = this.frame;
    if (!width || !height) return;
    const [wide, tall] = this.#shown();
    const inside = (centre, side, space) => {
      const half = Math.min(0.5, space / side / 2);
      return Math.min(1 - half, Math.max(half, centre));
    };
    this.centre = [inside(this.centre[0], wide, width), inside(this.centre[1], tall, height)];
    this.left = width / 2 - this.centre[0] * wide;
    const top = height / 2 - this.centre[1] * tall;
    Object.assign(this.sheet.style, {
      width: `${wide}px`, height: `${tall}px`, transform: `translate(${this.left}px, ${top}px)`,
    });
    this.frame.classList.toggle("near", this.zoom > 1);
    this.#divide();
  }

  // The sides of the picture on the screen.
  #shown() {
    const { clientWidth: width, clientHeight: height } = this.frame;
    const scale = Math.min(width / this.size[0], height / this.size[1]) * this.zoom;
    return [this.size[0] * scale, this.size[1] * scale];
  }

  #visible() {
    const [wide] = this.#shown();
    return [Math.max(0, this.left), Math.min(this.frame.clientWidth, this.left + wide)];
  }

  #divide() {
    const alone = this.divider.hidden;
    const [from, to] = this.#visible();
    const x = from + this.at * (to - from);
    const inset = Math.max(0, x - this.left);
    const [wide] = this.#shown();
    this.before.style.clipPath = `inset(0 ${wide - inset}px 0 0)`;
    this.after.style.clipPath = alone ? "none" : `inset(0 0 0 ${inset}px)`;
    this.divider.style.left = `${x}px`;
    const percent = Math.round(100 * this.at);
    this.divider.setAttribute("aria-valuenow", percent);
    this.divider.setAttribute("aria-valuetext", `${percent} % input, ${100 - percent} % output`);
  }

  set(at) {
    this.at = Math.min(1, Math.max(0, at));
    this.#divide();
  }

  #to(x) {
    const [from, to] = this.#visible();
    this.set((x - this.frame.getBoundingClientRect().left - from) / (to - from));
  }

  #down(event) {
    if (event.button) return;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.frame.setPointerCapture(event.pointerId);
    this.grabbed = this.divider.contains(event.target) || this.zoom === 1;
    if (this.grabbed && this.pointers.size === 1) this.#to(event.clientX);
  }

  #move(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const now = [event.clientX, event.clientY];
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const far = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
      const box = this.frame.getBoundingClientRect();
      const middle = [(now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top];
      if (far(last)) this.scale(far(now) / far(last), ...middle);
    } else if (this.grabbed) {
      this.#to(now[0]);
    } else {
      this.#shift(now[0] - last[0], now[1] - last[1]);
    }
    this.pointers.set(event.pointerId, now);
  }

  #shift(x, y) {
    const [wide, tall] = this.#shown();
    this.centre[0] -= x / wide;
    this.centre[1] -= y / tall;
    this.lay();
  }

  // The wheel alone scrolls the page; with Ctrl, which is also what a pinch on a trackpad sends, it zooms.
  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = this.frame.getBoundingClientRect();
    this.scale(Math.exp(-event.deltaY / 200), event.clientX - box.left, event.clientY - box.top);
  }

  #key(event) {
    const moves = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") this.scale(STEP);
    else if (event.key === "-") this.scale(1 / STEP);
    else if (event.key === "0") this.fit();
    else if (this.zoom > 1 && event.target === this.frame && moves[event.key]) this.#shift(...moves[event.key]);
    else return;
    event.preventDefault();
  }

  #slide(event) {
    const steps = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1 };
    if (event.key === "Home") this.set(0);
    else if (event.key === "End") this.set(1);
    else if (steps[event.key]) this.set(this.at + steps[event.key]);
    else return;
    event.preventDefault();
  }
}
