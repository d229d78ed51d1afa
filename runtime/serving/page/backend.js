// What answers: the server that this page is from.

const KEY = "edgeport.token";
// After '#', which is never sent; kept for this tab alone.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem(KEY, given);
  history.replaceState(null, "", location.pathname);
}

export class Refused extends Error {
  constructor(status, line) { super(line); this.status = status; }
}

export function useToken(token) { sessionStorage.setItem(KEY, token); }

async function call(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Refused(0, "the server does not answer: has it ended?");
  }
  // What stands in between may answer with a page of its own.
  const body = await response.json().catch(() => ({ error: `the server cannot be reached: status ${response.status}` }));
  if (!response.ok) throw new Refused(response.status, body.error);
  return body;
}

export const connect = () => call("artefacts");

// values: for each input a nested list with one sample. Returns what every artefact answers.
export async function ask(values) {
  const body = JSON.stringify({ inputs: values });
  const { answers } = await call("predict?pictures=1", { method: "POST", body, headers: { "Content-Type": "application/json" } });
  return { answers };
}

const TYPES = { csv: "text/csv", npy: "application/x-npy", npz: "application/x-npz", wav: "audio/wav" };
// The files that a model is asked with which takes no pictures.
export const FILES = Object.keys(TYPES).map((ending) => `.${ending}`).join();

export async function askFile(file, inverted, picture) {
  const kind = TYPES[file.name?.split(".").at(-1).toLowerCase()] ?? (file.type || "image/jpeg");
  const query = `predict?pictures=1${picture ? `&pixels=1&invert=${inverted ? 1 : 0}` : ""}`;
  return call(query, { method: "POST", body: file, headers: { "Content-Type": kind } });
}

export const sample = (index) => call(`samples/${index}`);

export const changed = (from, to) => call(`changed?${new URLSearchParams({ from, to })}`);
