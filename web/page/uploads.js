/** Sending a file to the server, with progress: fetch cannot tell how much is sent. */

import { ServerError, failure } from "./api.js";
import { forget, keep, kept } from "./settings.js";

const RESUMABLE_BYTES = 32 * 1024 ** 2;
/** From here on a broken connection costs this much at most. */
const PIECE_BYTES = 16 * 1024 ** 2;
const PIECE_ATTEMPTS = 6;
const FIRST_PAUSE_MS = 500;
const ROUTE = "v1/files/uploads";

/** The connection broke; what was sent may be there in part. */
class Broken extends Error {}

/**
 * A large file goes by tus (https://tus.io): it goes on where it stopped, also after the page was closed.
 * @param {File} file
 * @param {(share: number) => void} onProgress from 0 to 1
 * @param {AbortSignal} signal
 * @returns {Promise<string>} the file's id
 */
export async function upload(file, onProgress, signal) {
  if (file.size >= RESUMABLE_BYTES) return sendInPieces(file, onProgress, signal);
  const form = new FormData();
  form.append("file", file, file.name);
  const request = await send("POST", "v1/files", {}, form, (bytes) => onProgress(Math.min(1, bytes / file.size)), signal);
  return JSON.parse(request.responseText).id;
}

/** @param {File} file @param {(share: number) => void} onProgress @param {AbortSignal} signal */
async function sendInPieces(file, onProgress, signal) {
  const memory = `upload.${file.name}.${file.size}.${file.lastModified}`;
  let address = kept(memory, "");
  let state = address ? await stateOf(address, signal).catch(() => null) : null; // it may have expired
  if (!state) {
    address = await begin(file, signal);
    keep(memory, address);
    state = { offset: 0, fileId: null };
  }
  for (let attempt = 0; !state.fileId; ) {
    try {
      if (attempt) state = await stateOf(address, signal);
      const before = state.offset;
      const piece = file.slice(before, before + PIECE_BYTES);
      const headers = { ...tus(), "Upload-Offset": String(before), "Content-Type": "application/offset+octet-stream" };
      state = told(await send("PATCH", address, headers, piece, (bytes) => onProgress((before + bytes) / file.size), signal));
      attempt = 0;
    } catch (error) {
      const isOver = error instanceof ServerError && error.status < 500 && error.status !== 409 && error.status !== 423;
      const mayPass = error instanceof Broken || (error instanceof ServerError && !isOver);
      if (!mayPass || ++attempt === PIECE_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** attempt));
    }
  }
  forget(memory);
  return state.fileId;
}

/** @param {File} file @param {AbortSignal} signal @returns {Promise<string>} the upload's address */
async function begin(file, signal) {
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
  const headers = { ...tus(), "Upload-Length": String(file.size), "Upload-Metadata": `filename ${name}` };
  const request = await send("POST", ROUTE, headers, null, () => {}, signal);
  return `${ROUTE}/${request.getResponseHeader("Location")?.split("/").pop()}`;
}

/** @param {string} address @param {AbortSignal} signal */
async function stateOf(address, signal) {
  return told(await send("HEAD", address, tus(), null, () => {}, signal));
}

/** @param {XMLHttpRequest} request */
function told(request) {
  return { offset: Number(request.getResponseHeader("Upload-Offset")), fileId: request.getResponseHeader("Longtake-File-Id") };
}

function tus() {
  return { "Tus-Resumable": "1.0.0" };
}

/**
 * @param {string} method
 * @param {string} address
 * @param {Record<string, string>} headers
 * @param {XMLHttpRequestBodyInit | null} body
 * @param {(bytes: number) => void} onSent
 * @param {AbortSignal} signal
 * @returns {Promise<XMLHttpRequest>} Throws ServerError, Broken, and an AbortError for `signal`
 */
function send(method, address, headers, body, onSent, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onload = () => (request.status < 300 ? resolve(request) : reject(failure(request.status, parsed(request.responseText))));
    request.onerror = () => reject(new Broken("The upload broke off: the server cannot be reached. Choose the file again to go on."));
    request.onabort = () => reject(new DOMException("The upload was stopped.", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    request.open(method, address);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(body);
  });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
