/** Requests to the server. Addresses are relative, so that Longtake works behind a path prefix. */

import { serverEvents } from "./sse.js";

/** @import { AnalysisEvent, AnalysisList, DeletedAnalysis, Estimate, ErrorBody, Model, ModelList, StoredAnalysis, StoredFile } from "../../types/bodies.js" */

/**
 * Fields of a request for an analysis or an estimate.
 * @typedef {Record<string, string | number | Record<string, string>>} AnalysisRequest
 */

/** @typedef {"json" | "md" | "srt" | "vtt" | "csv"} ExportFormat */

const SEND_ATTEMPTS = 3;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
const LAST_EVENTS = ["answer", "error", "cancelled"];

/** The server refused or failed a request. `message` comes from the server and is written for people. */
export class ServerError extends Error {
  /** @param {string} message @param {number} status @param {string | null} [param] the field at fault */
  constructor(message, status, param = null) {
    super(message);
    this.status = status;
    this.param = param;
  }
}

/** @returns {Promise<Model | undefined>} the model that the server serves */
export async function servedModel() {
  /** @type {ModelList} */
  const models = await json("v1/models");
  return models.data[0];
}

/**
 * Ask what an analysis would do and cost.
 * @param {AnalysisRequest} request
 * @param {AbortSignal} signal
 * @returns {Promise<Estimate>}
 */
export function estimate(request, signal) {
  return json("v1/estimate", { ...post(request), signal });
}

/**
 * Start a stored analysis, which outlives this page.
 * @param {AnalysisRequest} request
 * @returns {Promise<StoredAnalysis>}
 */
export async function createAnalysis(request) {
  const sent = post(request);
  // A retry after a broken connection must not start a second analysis.
  sent.headers = { ...sent.headers, "Idempotency-Key": randomKey() };
  for (let attempt = 1; ; attempt++) {
    try {
      return await json("v1/analyses?wait=false", sent);
    } catch (error) {
      if (!(error instanceof TypeError) || attempt === SEND_ATTEMPTS) throw error; // TypeError: fetch found no server
      await pause(FIRST_PAUSE_MS * attempt);
    }
  }
}

/**
 * @param {{limit: number, after?: string | null}} page
 * @returns {Promise<AnalysisList>} newest first
 */
export function listAnalyses({ limit, after = null }) {
  const query = new URLSearchParams({ limit: String(limit), ...(after ? { after } : {}) });
  return json(`v1/analyses?${query}`);
}

/** @param {string} id @returns {Promise<StoredAnalysis>} */
export function getAnalysis(id) {
  return json(analysisAddress(id));
}

/**
 * Cancel a running analysis, or delete one that has ended.
 * @param {string} id
 * @returns {Promise<StoredAnalysis | DeletedAnalysis>}
 */
export function deleteAnalysis(id) {
  return json(analysisAddress(id), { method: "DELETE" });
}

/** @param {string} id @param {ExportFormat} format @returns {string} the address of a finished analysis as a file */
export function exportAddress(id, format) {
  return `${analysisAddress(id)}/export?format=${format}`;
}

/** @param {string} id of an upload @returns {Promise<StoredFile>} */
export function getFile(id) {
  return json(fileAddress(id));
}

/** @param {string} id of an upload */
export function deleteFile(id) {
  return json(fileAddress(id), { method: "DELETE" });
}

/** @param {string} id of an upload @returns {string} the address that a player loads */
export function contentAddress(id) {
  return `${fileAddress(id)}/content`;
}

/**
 * Yield the events of an analysis from first to last, reconnecting as often as needed.
 * @param {string} id
 * @param {AbortSignal} signal
 * @param {(isConnected: boolean) => void} onConnection
 * @returns {AsyncGenerator<AnalysisEvent>}
 */
export async function* followAnalysis(id, signal, onConnection) {
  /** @type {string | null} */
  let lastId = null;
  let wait = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const response = await openEvents(id, lastId, signal);
      onConnection(true);
      for await (const event of serverEvents(response)) {
        wait = FIRST_PAUSE_MS;
        lastId = event.id ?? lastId;
        yield /** @type {AnalysisEvent} */ (event);
        if (LAST_EVENTS.includes(event.name)) return;
      }
    } catch (error) {
      if (isFinal(error)) throw error;
    }
    if (signal.aborted) return;
    onConnection(false);
    await pause(wait);
    wait = Math.min(wait * 2, LONGEST_PAUSE_MS);
  }
}

/** @param {string} id @param {string | null} lastId the last event received @param {AbortSignal} signal */
async function openEvents(id, lastId, signal) {
  /** @type {Record<string, string>} */
  const headers = lastId === null ? {} : { "Last-Event-ID": lastId };
  return checked(await fetch(`${analysisAddress(id)}/events`, { headers, signal }));
}

/** Whether a retry cannot help. @param {unknown} error */
function isFinal(error) {
  return error instanceof ServerError && error.status < 500 && error.status !== 429;
}

/**
 * @param {Response} response
 * @returns {Promise<Response>} Throws ServerError.
 */
async function checked(response) {
  if (response.ok) return response;
  throw failure(response.status, await response.json().catch(() => null));
}

/**
 * Turn an error response into a ServerError.
 * @param {number} status
 * @param {ErrorBody | null} body null if the response is not the server's own
 */
export function failure(status, body) {
  const error = body?.error;
  return new ServerError(error?.message ?? `The server answered ${status}.`, status, error?.param ?? null);
}

/** @param {string} path @param {RequestInit} [init] */
async function json(path, init) {
  return (await checked(await fetch(path, init))).json();
}

/** @param {AnalysisRequest} body */
function post(body) {
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body) };
}

/** @param {string} id */
function analysisAddress(id) {
  return `v1/analyses/${encodeURIComponent(id)}`;
}

/** @param {string} id */
function fileAddress(id) {
  return `v1/files/${encodeURIComponent(id)}`;
}

function randomKey() {
  // crypto.randomUUID exists over HTTPS and on localhost only.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
