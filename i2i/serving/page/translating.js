// Image models: an image, or a drawing, and what the model makes of it.

import { Problem, sample, translate } from "./api.js";
import { Compare } from "./compare.js";
import { $, make, press } from "./dom.js";
import { look, smaller } from "./intake.js";
import { Paper } from "./paper.js";
import { accept, halt, offer, refuse, run, say, state } from "./state.js";

const PAUSE = 120; // ms after the last line until a drawing is sent
const compare = new Compare($("compare"));
const paper = new Paper($("paper"), () => later());
let given = null; // the image that was given last: { blob, name, own }, where blob may be a promise, null if broken
let shown = null; // what there is of it by the chosen model: { facts, offer }
let urls = [];

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;

// What is sent of a given image; throws a Problem where it is too large.
async function prepared(blob) {
  const side = Number($("side").value);
  const picture = await look(blob);
  try {
    const { bytes, pixels } = state.limits;
    const shrinks = Boolean(picture && side && Math.max(picture.width, picture.height) > side);
    const sent = shrinks ? await smaller(picture, side) : blob;
    if (sent.size > bytes) {
      throw new Problem(0, `The file is too large: ${megabytes(sent.size)}.`, `The server takes at most ${megabytes(bytes)}. ${picture ? "Choose a largest side." : ""}`);
    }
    if (picture && !shrinks && picture.width * picture.height > pixels) {
      throw new Problem(0, `The image is too large: ${picture.width} × ${picture.height} pixels.`,
        `The server takes at most ${(pixels / 1e6).toFixed(1)} million pixels. Choose a largest side.`);
    }
    return { sent, readable: Boolean(picture), shrinks };
  } finally {
    picture?.close();
  }
}

// Shows input and output under the divider, unless something else was wanted meanwhile.
async function lay({ sent, readable, blob }, signal) {
  signal.throwIfAborted();
  const last = urls;
  const [before, after] = [readable ? URL.createObjectURL(sent) : null, URL.createObjectURL(blob)];
  urls = [before, after].filter(Boolean);
  $("compare").hidden = $("zoom").hidden = false;
  await compare.show(before, after).finally(() => last.forEach((url) => URL.revokeObjectURL(url)));
}

async function take(image) {
  given = image;
  shown = null;
  if ($("image-panel").hidden) turn("image");
  const model = state.model;
  const done = await run("Translating", async (signal, waiting) => {
    accept();
    const blob = await image.blob;
    signal.throwIfAborted();
    if (!blob) return {};
    const ready = await prepared(blob);
    const made = { ...ready, ...(await translate(model.name, ready.sent, { signal, waiting })) };
    await lay(made, signal);
    return made;
  }, () => take(image));
  if (!done) return;
  if (!done.blob) {
    $("empty").hidden = !$("compare").hidden;
    say("The server does not give this sample.");
    return;
  }
  compare.fit();
  const [width, height] = compare.size;
  const spent = Number.isFinite(done.computed) ? `, ${Math.round(done.computed)} ms` : "";
  const facts = `${width} × ${height}${spent}${done.shrinks ? ", of a smaller copy" : ""}`;
  const anew = async (form, signal) => (await translate(model.name, done.sent, { accept: form, signal })).blob;
  shown = { facts, offer: [`${image.name.replace(/\.[^.]*$/, "")}.${model.name}`, done.blob, anew] };
  reveal();
  say(done.readable ? "Done." : "Done. The browser cannot show the file that was given, so here is the output alone.");
}

function reveal() {
  accept();
  $("compare").hidden = $("zoom").hidden = false;
  $("facts").textContent = shown.facts;
  offer(...shown.offer);
}

// What was given, by the model that is chosen now; where nothing was, the model's first sample.
function retake() {
  if (given) return take(given);
  const first = $("samples").firstElementChild;
  if (first) return first.click();
  $("empty").hidden = false;
  return undefined;
}

// Shows the panels of an image or those of a drawing.
function turn(name) {
  const draws = name === "draw";
  press([$("way-image"), $("way-draw")], $(`way-${name}`));
  $("image-panel").hidden = draws;
  $("draw-panel").hidden = $("drawing").hidden = !draws;
  $("compare").hidden = $("zoom").hidden = draws || !shown;
  $("tools").hidden = true;
  $("facts").textContent = "";
  if (draws) {
    accept();
    paper.show();
  }
}

function way(name) {
  if (!state.model) return;
  halt();
  turn(name);
  if (name === "draw") later();
  else if (shown) reveal();
  else retake();
}

let timer = 0;
let drawing = false;
let stale = false;

function later() {
  clearTimeout(timer);
  timer = setTimeout(draw, PAUSE);
}

// One request at a time; what was drawn meanwhile is sent after it, so that the last answer is that of the last line.
async function draw() {
  if ($("drawing").hidden || !state.model) return;
  if (paper.empty) {
    halt();
    $("drawn").hidden = $("tools").hidden = true;
    say("Draw with a mouse, a pen or a finger, or with the arrow keys and Space.");
    return;
  }
  if (drawing) {
    stale = true;
    return;
  }
  drawing = true;
  stale = false;
  const model = state.model;
  const done = await run("Translating", async (signal, waiting) => {
    const sent = await paper.picture(Number($("detail").value));
    return { sent, ...(await translate(model.name, sent, { signal, waiting })) };
  }, later);
  drawing = false;
  if (stale) later();
  if (!done || $("drawing").hidden || paper.empty || model !== state.model) return;
  accept();
  const last = $("drawn").src;
  $("drawn").src = URL.createObjectURL(done.blob);
  if (last) URL.revokeObjectURL(last);
  $("drawn").hidden = false;
  say("Done.");
  $("facts").textContent = Number.isFinite(done.computed) ? `${Math.round(done.computed)} ms` : "";
  offer(`drawing.${model.name}`, done.blob,
    async (form, signal) => (await translate(model.name, done.sent, { accept: form, signal })).blob);
}

function pen() {
  const side = state.model?.trained_size ?? 64;
  const erases = $("eraser").getAttribute("aria-pressed") === "true";
  paper.pen = { colour: $("colour").value, width: Number($("width").value) / side, erases };
}

// Shows a model of images: its samples, and what it makes of the drawing, the user's own image or the first sample.
export function enter(model) {
  const sizes = [1, 2, 4].map((times) => times * model.trained_size);
  $("detail").replaceChildren(...sizes.map((side) => make("option", { value: side, textContent: `${side} pixels` })));
  pen();
  $("samples-head").hidden = !model.samples.length;
  $("samples").replaceChildren(...model.samples.slice(0, 8).map(({ name, url }, index) => {
    const button = make("button", { type: "button", ariaLabel: `Sample ${index + 1}` });
    const blob = sample(url).then((loaded) => {
      const image = make("img", { src: URL.createObjectURL(loaded), alt: "" });
      image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
      button.append(image);
      return loaded;
    }).catch(() => null);
    button.addEventListener("click", () => {
      press([...$("samples").children], button);
      take({ blob, name: `sample-${name}`, own: false });
    });
    return button;
  }));
  if (!given?.own) given = null;
  const draws = $("way-draw").getAttribute("aria-pressed") === "true";
  turn(draws ? "draw" : "image");
  shown = null; // it is another model's, and is looked at until this one's is there
  $("drawn").hidden = true;
  return draws ? later() : retake();
}

export function begin() {
  $("way-image").addEventListener("click", () => way("image"));
  $("way-draw").addEventListener("click", () => way("draw"));
  $("in").addEventListener("click", () => compare.scale(1.4));
  $("out").addEventListener("click", () => compare.scale(1 / 1.4));
  $("fit").addEventListener("click", () => compare.fit());
  $("pixels").addEventListener("click", () => {
    const hard = $("stage").classList.toggle("hard");
    $("pixels").setAttribute("aria-pressed", String(hard));
  });
  $("side").addEventListener("change", () => { if (given) retake(); });
  for (const id of ["pen", "eraser"]) {
    $(id).addEventListener("click", () => { press([$("pen"), $("eraser")], $(id)); pen(); });
  }
  for (const id of ["width", "colour"]) $(id).addEventListener("input", pen);
  $("detail").addEventListener("change", later);
  $("undo").addEventListener("click", () => paper.undo());
  $("clear").addEventListener("click", () => paper.clear());
  addEventListener("keydown", (event) => {
    if ($("drawing").hidden || event.key !== "z" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    paper.undo();
  });
}

export function own(file) {
  if (!state.model) return undefined;
  if (state.model.kind !== "image") {
    refuse("This model makes images from noise alone.", "Pick a model that takes images.");
    return undefined;
  }
  press([...$("samples").children], null);
  return take({ blob: file, name: file.name || "image", own: true });
}
