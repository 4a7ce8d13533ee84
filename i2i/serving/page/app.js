// The page: picks a model and lets the part that knows its kind do the rest.

import * as api from "./api.js";
import { $, make, save } from "./dom.js";
import * as gallery from "./gallery.js";
import { intake } from "./intake.js";
import { accept, doors, halt, refuse, run, say, state } from "./state.js";
import * as translating from "./translating.js";

const THEMES = ["auto", "light", "dark"];
const ENDINGS = { "image/png": "png", "image/webp": "webp", "image/jpeg": "jpg" };

function describe(model) {
  const facts = {
    Plugin: `${model.plugin}${model.direction ? `, ${model.direction}` : ""}`,
    Trained: model.training,
    Size: model.kind === "noise" ? `${model.size} pixels` : `trained at ${model.trained_size} pixels`,
    Scale: model.scale > 1 ? `${model.scale} times as large` : "",
    Precision: model.precision,
    Device: model.device,
    Weights: model.digest.slice(0, 12),
  };
  const rows = Object.entries(facts).filter(([, text]) => text);
  $("said").replaceChildren(...rows.flatMap(([name, text]) => [
    make("dt", { textContent: name }), make("dd", { textContent: text }),
  ]));
}

function pick(name) {
  halt();
  const model = state.model = state.models.find((each) => each.name === name);
  const noise = model.kind === "noise";
  describe(model);
  $("noise-panel").hidden = !noise;
  $("ways").hidden = noise;
  $("gallery").hidden = true;
  $("tools").hidden = true;
  $("zoom").hidden = noise;
  if (noise) {
    for (const id of ["image-panel", "draw-panel", "drawing", "compare"]) $(id).hidden = true;
    accept();
    return gallery.enter(model);
  }
  return translating.enter(model);
}

async function start() {
  const found = await run("Asking the server", () => api.models(), start);
  if (!found) return;
  Object.assign(state, found);
  say("");
  if (!state.models.length) {
    refuse("The server has no models.", "Start it with one: i2i serve MODEL");
    return;
  }
  $("model").replaceChildren(...state.models.map(({ name }) => make("option", { value: name, textContent: name })));
  $("model").disabled = false;
  await pick(state.models[0].name);
}

// What is shown stays, whatever comes of this.
async function encoded(form, signal) {
  try {
    return await state.download.anew(form, signal);
  } catch (error) {
    if (!(error instanceof api.Problem) || error.status === 401) throw error;
    say(`${error.message} ${error.hint}`);
    return undefined;
  }
}

async function download() {
  const { name, blob } = state.download;
  const form = $("form").value;
  const file = form === blob?.type ? blob : await run("Encoding", (signal) => encoded(form, signal), download);
  if (!file) return;
  save(file, `${name}.${ENDINGS[form]}`);
  say(`Saved ${name}.${ENDINGS[form]}.`);
}

function themes() {
  const show = () => { $("theme").textContent = `Theme: ${document.documentElement.dataset.theme ?? "auto"}`; };
  $("theme").addEventListener("click", () => {
    const root = document.documentElement.dataset;
    const next = THEMES[(THEMES.indexOf(root.theme ?? "auto") + 1) % THEMES.length];
    if (next === "auto") delete root.theme;
    else root.theme = next;
    try {
      localStorage.setItem("i2i-theme", root.theme ?? "");
    } catch {
      // It then holds for this page alone.
    }
    show();
  });
  show();
}

doors(api.remember);
themes();
intake(translating.own, refuse);
translating.begin();
gallery.begin();
$("model").addEventListener("change", () => pick($("model").value));
$("download").addEventListener("click", download);
start();
