/** What the page asks of the server. Addresses are relative, so that a path prefix in front of Longtake does no harm. */

import { serverEvents } from "./sse.js";

const SEND_ATTEMPTS = 3;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
const LAST_EVENTS = ["answer", "error", "cancelled"];

/** The server refused or failed a request. `message` says what was got, what is allowed and what to do. */
export class ServerError extends Error {
  /** @param {string} message @param {number} status @param {string | null} [param] the field at fault */
  constructor(message, status, param = null) {
    super(message);
    this.status = status;
    this.param = param;
  }
}

/** @returns {Promise<{id: string, notice?: string | null}>} the model that is served */
export async function servedModel() {
  return (await json("v1/models")).data[0];
}

/**
 * What an analysis would do.
 * @param {Record<string, any>} request
 * @param {AbortSignal} signal
 */
export function estimate(request, signal) {
  return json("v1/estimate", { ...asJson(request), signal });
}

/**
 * Begins an analysis that outlives this page.
 * @param {Record<string, any>} request
 * @returns {Promise<any>} the analysis as the server sees it
 */
export async function createAnalysis(request) {
  const sent = asJson(request);
  // Sending it again after a broken connection must not begin it twice.
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
 * @returns {Promise<{data: any[], has_more: boolean, last_id: string | null}>} newest first
 */
export function listAnalyses({ limit, after = null }) {
  const query = new URLSearchParams({ limit: String(limit), ...(after ? { after } : {}) });
  return json(`v1/analyses?${query}`);
}

/** @param {string} id */
export function getAnalysis(id) {
  return json(`v1/analyses/${encodeURIComponent(id)}`);
}

/**
 * Cancels an analysis under way, or deletes one that has ended.
 * @param {string} id
 */
export function deleteAnalysis(id) {
  return json(`v1/analyses/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/** @param {string} id of an upload */
export function getFile(id) {
  return json(`v1/files/${encodeURIComponent(id)}`);
}

/** @param {string} id of an upload */
export function deleteFile(id) {
  return json(`v1/files/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/** @param {string} id of an upload @returns {string} where a player finds its bytes */
export function contentAddress(id) {
  return `v1/files/${encodeURIComponent(id)}/content`;
}

/**
 * The events of an analysis from its first to its last, over as many connections as that takes.
 * @param {string} id
 * @param {AbortSignal} signal
 * @param {(isConnected: boolean) => void} onConnection
 * @returns {AsyncGenerator<import("./sse.js").ServerEvent>}
 */
export async function* followAnalysis(id, signal, onConnection) {
  let lastId = null;
  let wait = FIRST_PAUSE_MS;
  for (;;) {
    try {
      const headers = lastId === null ? {} : { "Last-Event-ID": lastId };
      const response = await checked(await fetch(`v1/analyses/${encodeURIComponent(id)}/events`, { headers, signal }));
      onConnection(true);
      for await (const event of serverEvents(response)) {
        wait = FIRST_PAUSE_MS;
        lastId = event.id ?? lastId;
        yield event;
        if (LAST_EVENTS.includes(event.name)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      const isFinal = error instanceof ServerError && error.status < 500 && error.status !== 429;
      if (isFinal) throw error;
    }
    onConnection(false);
    await pause(wait);
    if (signal.aborted) return;
    wait = Math.min(wait * 2, LONGEST_PAUSE_MS);
  }
}

/**
 * @param {Response} response
 * @returns {Promise<Response>}
 */
async function checked(response) {
  if (response.ok) return response;
  throw failure(response.status, await response.json().catch(() => null));
}

/**
 * What the server says was wrong.
 * @param {number} status
 * @param {any} body
 */
export function failure(status, body) {
  const error = body?.error;
  return new ServerError(error?.message ?? `The server answered ${status}.`, status, error?.param ?? null);
}

/** @param {string} path @param {RequestInit} [init] */
async function json(path, init) {
  return (await checked(await fetch(path, init))).json();
}

/** @param {Record<string, any>} body @returns {{method: string, headers: Record<string, string>, body: string}} */
function asJson(body) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

function randomKey() {
  // crypto.randomUUID is there over HTTPS and on localhost only.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
