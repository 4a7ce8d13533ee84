// The API over HTTP. Every error becomes a Problem, whose message and hint are sentences to show.

const TRIES = 6;
const KEY = "i2i-token";

export class Problem extends Error {
  constructor(status, message, hint = "") {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

let token = null;
try {
  token = sessionStorage.getItem(KEY);
} catch {
  // Storage may be forbidden; the token then holds until the page is loaded again.
}

export function remember(given) {
  token = given;
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // As above.
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(new URL(path, document.baseURI), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!navigator.onLine) throw new Problem(0, "This device is offline.", "Connect it and try again.");
    throw new Problem(0, "The server does not answer.", "It may have been stopped. Start it and try again.");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const problem = new Problem(answer.status, said.detail ?? `The server answered ${answer.status}.`, said.hint ?? "");
  problem.after = Number(answer.headers.get("Retry-After")) || 1;
  throw problem;
}

const pause = (seconds, signal) => new Promise((done, fail) => {
  const timer = setTimeout(done, 1000 * seconds);
  signal?.addEventListener("abort", () => { clearTimeout(timer); fail(signal.reason); }, { once: true });
});

// waiting(seconds) is told when the server is busy and the request will be sent again.
async function persist(path, options, waiting) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask(path, options);
    } catch (error) {
      if (error.status !== 429 || tries === TRIES) throw error;
      waiting?.(error.after);
      await pause(error.after, options.signal);
    }
  }
}

async function result(answer) {
  const times = answer.headers.get("Server-Timing") ?? "";
  const computed = Number(/compute;dur=([\d.]+)/.exec(times)?.[1] ?? NaN);
  return { blob: await answer.blob(), computed };
}

export const models = async () => (await ask("v1/models")).json();

export const sample = async (url) => (await ask(url)).blob();

export async function translate(model, image, { accept = "image/png", signal, waiting } = {}) {
  const path = `v1/translate?model=${encodeURIComponent(model)}`;
  const headers = { Accept: accept, "Content-Type": image.type || "application/octet-stream" };
  return result(await persist(path, { method: "POST", body: image, headers, signal }, waiting));
}

export async function generate(order, { accept = "image/png", signal, waiting } = {}) {
  const headers = { Accept: accept, "Content-Type": "application/json" };
  const options = { method: "POST", body: JSON.stringify(order), headers, signal };
  return result(await persist("v1/generate", options, waiting));
}
