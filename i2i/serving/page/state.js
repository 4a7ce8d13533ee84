// What every part of the page shares: the chosen model, the request under way, and what is said of both.

import { Problem } from "./api.js";
import { $ } from "./dom.js";

export const state = { models: [], limits: {}, model: null, download: null };

let running = null; // the AbortController of the request under way
let again = null;

export const say = (text) => { $("status").textContent = text; };

export function refuse(message, hint = "", retry = null) {
  again = retry;
  $("trouble").querySelector("strong").textContent = message;
  $("trouble").querySelector("p").textContent = hint;
  $("again").hidden = !retry;
  $("trouble").hidden = false;
  $("empty").hidden = $("compare").hidden = $("tools").hidden = true;
  say("");
}

export function accept() {
  $("trouble").hidden = $("entry").hidden = $("empty").hidden = true;
}

function rest() {
  running = null;
  $("busy").hidden = $("cancel").hidden = true;
  $("stage").setAttribute("aria-busy", "false");
}

// Ends the request under way without a word, since something else is wanted now.
export function halt() {
  if (!running) return;
  running.abort();
  rest();
  say("");
}

// Runs `job(signal, waiting)`, which the next one, `halt` or the button Cancel ends; undefined where it came to nothing.
export async function run(words, job, retry) {
  halt();
  const mine = running = new AbortController();
  const current = () => running === mine;
  const begun = performance.now();
  const tick = () => current() && say(`${words} … ${Math.round((performance.now() - begun) / 1000)} s`);
  say(`${words} …`);
  // A request that is soon done shows neither bar nor button.
  const slow = setTimeout(() => { if (current()) $("busy").hidden = $("cancel").hidden = false; }, 250);
  const clock = setInterval(() => { $("status").ariaLive = "off"; tick(); }, 1000);
  $("stage").setAttribute("aria-busy", "true");
  try {
    const done = await job(mine.signal, (seconds) => say(`The server is busy; trying again in ${seconds} s.`));
    mine.signal.throwIfAborted();
    return done;
  } catch (error) {
    if (!current()) return undefined;
    if (mine.signal.aborted) say("Cancelled.");
    else if (error.status === 401) knock(retry);
    else if (error instanceof Problem) refuse(error.message, error.hint, retry);
    else refuse("The page met an error.", String(error.message ?? error), retry);
    return undefined;
  } finally {
    clearTimeout(slow);
    clearInterval(clock);
    $("status").ariaLive = "polite";
    if (current()) rest();
  }
}

let opened = null;

function knock(retry) {
  opened = retry;
  accept();
  $("entry").hidden = false;
  if ($("token").value) $("entry-said").textContent = "The server does not know this token.";
  $("token").focus();
  say("This server asks for a token.");
}

export function doors(remember) {
  $("entry").addEventListener("submit", (event) => {
    event.preventDefault();
    remember($("token").value.trim());
    $("entry").hidden = true;
    opened();
  });
  $("again").addEventListener("click", () => { $("trouble").hidden = true; again(); });
  $("cancel").addEventListener("click", () => running?.abort());
  addEventListener("online", () => { if (!$("trouble").hidden && again) $("again").click(); });
}

// What is downloaded: the blob as it is, or `anew(form, signal)` where there is none in the format that is chosen.
export function offer(name, blob, anew) {
  state.download = { name, blob, anew };
  $("tools").hidden = false;
}
