/** Uploads with progress. They use XMLHttpRequest because fetch does not report how much is sent. */

import { forget, keep, kept } from "../desk/kept.js";
import { ServerError, failure } from "./api.js";

const RESUMABLE_BYTES = 32 * 1024 ** 2;
/** A broken connection loses at most one piece. */
const PIECE_BYTES = 16 * 1024 ** 2;
const PIECE_ATTEMPTS = 6;
const FIRST_PAUSE_MS = 500;
const ROUTE = "v1/files/uploads";
const TUS = { "Tus-Resumable": "1.0.0" };
/** The upload's offset changed, or another request holds it. */
const RETRIED_STATUSES = [409, 423];

/** The connection broke. The server may hold a part of what was sent. */
class ConnectionLost extends Error {}

/**
 * How far a resumable upload is.
 * @typedef {object} UploadState
 * @property {number} offset bytes that the server holds
 * @property {string | null} fileId once the upload is complete
 */

/**
 * Upload a file. A large one uses tus (https://tus.io) and resumes where it stopped, even after the page was closed.
 * @param {File} file
 * @param {(share: number) => void} onProgress from 0 to 1
 * @param {AbortSignal} signal
 * @returns {Promise<string>} the file's id
 */
export async function upload(file, onProgress, signal) {
  if (file.size >= RESUMABLE_BYTES) return sendInPieces(file, onProgress, signal);
  const body = new FormData();
  body.append("file", file, file.name);
  const onSent = (/** @type {number} */ bytes) => onProgress(Math.min(1, bytes / file.size));
  const request = await send({ method: "POST", address: "v1/files", body, onSent, signal });
  return JSON.parse(request.responseText).id;
}

/** @param {File} file @param {(share: number) => void} onProgress @param {AbortSignal} signal */
async function sendInPieces(file, onProgress, signal) {
  const memory = `upload.${file.name}.${file.size}.${file.lastModified}`;
  let address = kept(memory, "");
  let state = address ? await fetchState(address, signal).catch(() => null) : null; // it may have expired
  if (!state) {
    address = await begin(file, signal);
    keep(memory, address);
    state = { offset: 0, fileId: null };
  }
  for (let attempt = 0; !state.fileId; ) {
    try {
      if (attempt) state = await fetchState(address, signal);
      state = await sendPiece(file, address, state.offset, onProgress, signal);
      attempt = 0;
    } catch (error) {
      attempt++;
      if (!isRetryable(error) || attempt === PIECE_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** attempt));
    }
  }
  forget(memory);
  return state.fileId;
}

/** @param {unknown} error */
function isRetryable(error) {
  if (error instanceof ConnectionLost) return true;
  return error instanceof ServerError && (error.status >= 500 || RETRIED_STATUSES.includes(error.status));
}

/** @param {File} file @param {AbortSignal} signal @returns {Promise<string>} the upload's address */
async function begin(file, signal) {
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
  const headers = { ...TUS, "Upload-Length": String(file.size), "Upload-Metadata": `filename ${name}` };
  const request = await send({ method: "POST", address: ROUTE, headers, signal });
  return `${ROUTE}/${request.getResponseHeader("Location")?.split("/").pop()}`;
}

/**
 * @param {File} file
 * @param {string} address
 * @param {number} offset where the piece starts
 * @param {(share: number) => void} onProgress
 * @param {AbortSignal} signal
 */
async function sendPiece(file, address, offset, onProgress, signal) {
  const body = file.slice(offset, offset + PIECE_BYTES);
  const headers = { ...TUS, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
  const onSent = (/** @type {number} */ bytes) => onProgress((offset + bytes) / file.size);
  return stateIn(await send({ method: "PATCH", address, headers, body, onSent, signal }));
}

/** @param {string} address @param {AbortSignal} signal */
async function fetchState(address, signal) {
  return stateIn(await send({ method: "HEAD", address, headers: TUS, signal }));
}

/** @param {XMLHttpRequest} request @returns {UploadState} */
function stateIn(request) {
  return { offset: Number(request.getResponseHeader("Upload-Offset")), fileId: request.getResponseHeader("Longtake-File-Id") };
}

/**
 * @typedef {object} Sent
 * @property {string} method
 * @property {string} address
 * @property {Record<string, string>} [headers]
 * @property {XMLHttpRequestBodyInit} [body]
 * @property {(bytes: number) => void} [onSent]
 * @property {AbortSignal} signal
 */

/**
 * @param {Sent} sent
 * @returns {Promise<XMLHttpRequest>} Throws ServerError, ConnectionLost, and an AbortError for `signal`.
 */
async function send({ method, address, headers = {}, body, onSent = () => {}, signal }) {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onload = () => (request.status < 300 ? resolve(request) : reject(failure(request.status, parsed(request.responseText))));
    request.onerror = () => reject(new ConnectionLost("The upload stopped: the server cannot be reached. Choose the file again to resume."));
    request.onabort = () => reject(new DOMException("The upload was cancelled.", "AbortError"));
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
