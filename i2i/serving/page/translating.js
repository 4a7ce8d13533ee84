// Image models: an image, or a drawing, and what the model makes of it.

import { sample, translate } from "./api.js";
import { Compare } from "./compare.js";
import { $, make, press } from "./dom.js";
import { look, smaller } from "./intake.js";
import { Paper } from "./paper.js";
import { accept, offer, refuse, run, say, state } from "./state.js";

const PAUSE = 120; // ms after the last line until a drawing is sent
const compare = new Compare($("compare"));
const paper = new Paper($("paper"), () => later());
let given = null; // the image that was given last: { blob, name }
let urls = [];

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;

// What is sent of a given image; undefined where it is refused.
async function prepared(blob) {
  const side = Number($("side").value);
  const picture = await look(blob);
  const { bytes, pixels } = state.limits;
  const shrinks = picture && side && Math.max(picture.width, picture.height) > side;
  const sent = shrinks ? await smaller(picture, side) : blob;
  if (sent.size > bytes) {
    return refuse(`The file is too large: ${megabytes(sent.size)}.`, `The server takes at most ${megabytes(bytes)}. ${picture ? "Choose a largest side." : ""}`);
  }
  if (picture && !shrinks && picture.width * picture.height > pixels) {
    return refuse(`The image is too large: ${picture.width} × ${picture.height} pixels.`,
      `The server takes at most ${(pixels / 1e6).toFixed(1)} million pixels. Choose a largest side.`);
  }
  return { sent, picture, shrinks };
}

export async function take(blob, name) {
  given = { blob, name };
  if ($("image-panel").hidden) way("image");
  const model = state.model;
  const done = await run("Translating", async (signal, waiting) => {
    accept();
    const ready = await prepared(blob);
    return ready && { ...ready, ...(await translate(model.name, ready.sent, { signal, waiting })) };
  }, () => take(blob, name));
  if (!done) return;
  accept();
  const before = done.picture ? URL.createObjectURL(done.sent) : null;
  const after = URL.createObjectURL(done.blob);
  $("compare").hidden = $("zoom").hidden = false;
  await compare.show(before, after);
  compare.fit();
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [before, after].filter(Boolean);
  const [width, height] = compare.size;
  const spent = Number.isFinite(done.computed) ? `, ${Math.round(done.computed)} ms` : "";
  $("facts").textContent = `${width} × ${height}${spent}${done.shrinks ? ", of a smaller copy" : ""}`;
  say(done.picture ? "Done." : "Done. The browser cannot show the file that was given, so here is the output alone.");
  offer(`${name.replace(/\.[^.]*$/, "")}.${model.name}`, done.blob,
    async (form, signal) => (await translate(model.name, done.sent, { accept: form, signal })).blob);
}

export const retake = () => (given ? take(given.blob, given.name) : undefined);

export function way(name) {
  const draws = name === "draw";
  press([$("way-image"), $("way-draw")], $(`way-${name}`));
  $("image-panel").hidden = draws;
  $("draw-panel").hidden = $("drawing").hidden = !draws;
  $("compare").hidden = $("zoom").hidden = draws || !urls.length;
  $("tools").hidden = true;
  $("facts").textContent = "";
  if (!draws) return;
  accept();
  paper.show();
  later();
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
  if ($("drawing").hidden) return;
  if (paper.empty) {
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
  const blob = await paper.picture(Number($("detail").value));
  const done = await run("Translating", (signal, waiting) => translate(model.name, blob, { signal, waiting }), later);
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
    async (form, signal) => (await translate(model.name, blob, { accept: form, signal })).blob);
}

function pen() {
  const side = state.model?.trained_size ?? 64;
  const erases = $("eraser").getAttribute("aria-pressed") === "true";
  paper.pen = { colour: $("colour").value, width: Number($("width").value) / side, erases };
}

// Shows a model of images: its samples, and the first of them translated.
export async function enter(model) {
  const sizes = [1, 2, 4].map((times) => times * model.trained_size);
  $("detail").replaceChildren(...sizes.map((side) => make("option", { value: side, textContent: `${side} pixels` })));
  pen();
  const buttons = [];
  $("samples").replaceChildren();
  $("samples-head").hidden = !model.samples.length;
  const found = model.samples.slice(0, 8).map(({ name, url }, index) => {
    const button = make("button", { type: "button", ariaLabel: `Sample ${index + 1}` });
    buttons.push(button);
    $("samples").append(button);
    return sample(url).then((blob) => {
      button.append(make("img", { src: URL.createObjectURL(blob), alt: "" }));
      button.addEventListener("click", () => { press(buttons, button); take(blob, `sample-${name}`); });
      return button;
    });
  });
  for (const each of found) each.catch(() => {});
  if (given?.own) return retake();
  if (!$("drawing").hidden) return later();
  try {
    (await found[0])?.click();
  } catch {
    // A sample that cannot be had is no trouble: there are other images.
  }
  if (!found.length) $("empty").hidden = false;
  return undefined;
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
  $("side").addEventListener("change", retake);
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
  if (state.model?.kind !== "image") {
    refuse("This model makes images from noise alone.", "Pick a model that takes images.");
    return undefined;
  }
  press([...$("samples").children], null);
  const taken = take(file, file.name || "image");
  given.own = true;
  return taken;
}
