"use strict";
const key = `i2i:${location.pathname}:${document.title}`;
const kept = (() => { try { return JSON.parse(sessionStorage.getItem(key)) || {}; } catch { return {}; } })();

function show(position) {
  const frames = document.querySelectorAll(".frames figure");
  frames.forEach((frame, index) => { frame.hidden = index !== position; });
  const slider = document.getElementById("time");
  if (slider && frames[position]) slider.setAttribute("aria-valuetext", frames[position].querySelector("figcaption").textContent);
}

function wire() {
  const slider = document.getElementById("time");
  if (!slider) return;
  slider.addEventListener("input", () => show(Number(slider.value)));
  if (kept.step !== undefined) {
    const frames = [...document.querySelectorAll(".frames figure")];
    const at = frames.findIndex((frame) => frame.dataset.step === kept.step);
    if (at >= 0) slider.value = at;
  }
  show(Number(slider.value));
}

function keep() {
  const slider = document.getElementById("time");
  const shown = document.querySelector(".frames figure:not([hidden])");
  const last = slider && slider.value === slider.max;
  const open = [...document.querySelectorAll("details[open]")].map((each) => each.id);
  const focused = document.activeElement && document.activeElement.closest("[id]");
  const now = { scroll: scrollY, open, focus: focused ? focused.id : undefined, step: shown && !last ? shown.dataset.step : undefined };
  try { sessionStorage.setItem(key, JSON.stringify(now)); } catch { /* a page may be without storage */ }
}

wire();
for (const each of kept.open || []) { const found = document.getElementById(each); if (found) found.open = true; }
const focused = kept.focus && document.getElementById(kept.focus);
if (focused) (focused.querySelector("summary") || focused).focus({ preventScroll: true });
if (kept.scroll) scrollTo(0, kept.scroll);

const running = document.body.dataset.running === "true";
if (running && location.protocol === "file:") {
  setTimeout(() => { keep(); location.reload(); }, 20000);
} else if (running) {
  const version = document.body.dataset.version;
  setInterval(async () => {
    try {
      const answer = await fetch("state", { cache: "no-store" });
      if (answer.ok && (await answer.text()) !== version) { keep(); location.reload(); }
    } catch { /* the training has ended, or begins again */ }
  }, 2000);
}
