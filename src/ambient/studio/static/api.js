// Requests to this server; an error is shown in the words that the server gives.
import { toast } from "./dom.js";

export class ApiError extends Error {}

async function answerOf(response) {
  if (response.status === 401) location.href = "/login";
  const isJson = (response.headers.get("content-type") || "").includes("json");
  const body = isJson ? await response.json() : await response.text();
  if (!response.ok) throw new ApiError(isJson ? body.error : String(body).trim() || `the server answered ${response.status}`);
  return body;
}

export async function get(path) {
  return answerOf(await reached(path));
}

export async function send(method, path, body) {
  const isRaw = body instanceof Blob;
  const headers = isRaw || body === undefined ? {} : { "content-type": "application/json" };
  return answerOf(await reached(path, { method, headers, body: isRaw || body === undefined ? body : JSON.stringify(body) }));
}

async function reached(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new ApiError("the studio does not answer; is it still running? The page goes on when it is back");
  }
}

export const post = (path, body = {}) => send("POST", path, body);

// Runs what a hand has set off, and shows what went wrong.
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
    toast(error.message, { kind: "bad" });
    return undefined;
  }
}

// A file with its progress, again while the server is away.
export function upload(path, file, progress, tries = 40) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", path);
    request.upload.addEventListener("progress", (event) => progress(event.loaded));
    request.addEventListener("load", () => {
      let body = {};
      try { body = JSON.parse(request.responseText); } catch { body = { error: request.responseText }; }
      if (request.status < 300) resolve(body);
      else reject(Object.assign(new ApiError(body.error || `the server answered ${request.status}`), { status: request.status }));
    });
    request.addEventListener("error", () => {
      if (!tries) reject(new ApiError(`${file.name}: the studio does not answer; start it and drop the file again`));
      else setTimeout(() => upload(path, file, progress, tries - 1).then(resolve, reject), 1000);
    });
    request.send(file);
  });
}
