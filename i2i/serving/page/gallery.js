// Noise models: images of a seed and a class.

import { generate } from "./api.js";
import { $, make } from "./dom.js";
import { accept, offer, run, say, state } from "./state.js";

const MOST = 2 ** 32; // of seeds that the dice throw
const AT_ONCE = 4;

export async function order() {
  const model = state.model;
  const count = Math.min(Number($("count").value), state.limits.images);
  const asked = { model: model.name, seed: Number($("seed").value), label: $("label").value || null };
  const names = model.classes;
  const tiles = Array.from({ length: count }, (_, index) => {
    const name = asked.label ?? (names.length ? names[index % names.length] : "");
    const tile = make("div", { className: "tile" });
    return { tile, name, cell: make("div", { className: "named", role: "listitem" }, tile, name) };
  });
  const alt = ({ name }, index) => `Image ${index + 1}${name ? `, ${name}` : ""}`;
  const done = await run("Generating", async (signal, waiting) => {
    accept();
    let next = 0;
    const work = async () => {
      while (next < count) {
        const index = next;
        next += 1;
        const { blob } = await generate({ ...asked, count: 1, first: index }, { signal, waiting });
        const image = make("img", { src: URL.createObjectURL(blob), alt: alt(tiles[index], index) });
        image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
        tiles[index].tile.append(image);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return true;
  }, order);
  if (!done) return;
  $("gallery").dataset.count = count;
  $("gallery").replaceChildren(...tiles.map(({ cell }) => cell));
  $("gallery").hidden = false;
  $("facts").textContent = `Seed ${asked.seed}`;
  say(`Done: ${count} ${count === 1 ? "image" : "images"}.`);
  offer(`${model.name}-${asked.seed}`, null,
    async (form, signal) => (await generate({ ...asked, count, first: 0 }, { accept: form, signal })).blob);
}

export function enter(model) {
  $("label-row").hidden = !model.classes.length;
  const each = make("option", { value: "", textContent: "each in turn" });
  $("label").replaceChildren(each, ...model.classes.map((name) => make("option", { value: name, textContent: name })));
  return order();
}

export function begin() {
  $("noise-panel").addEventListener("submit", (event) => { event.preventDefault(); order(); });
  $("dice").addEventListener("click", () => {
    $("seed").value = crypto.getRandomValues(new Uint32Array(1))[0] % MOST;
    order();
  });
  for (const id of ["label", "count"]) $(id).addEventListener("change", order);
}
