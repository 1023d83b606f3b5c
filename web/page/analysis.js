/** One analysis as the page knows it: what its events and its state on the server add up to. No DOM here. */

/**
 * @typedef {object} Analysis
 * @property {string} id
 * @property {"queued" | "running" | "completed" | "failed" | "cancelled"} status
 * @property {string} prompt
 * @property {string} video what was asked about, in words
 * @property {string | null} fileId
 * @property {number | null} createdAt Unix time
 * @property {any | null} plan
 * @property {Map<number, any>} chunks the results so far, by chunk index
 * @property {boolean} isMerging
 * @property {string} answer as far as it is written
 * @property {any | null} result
 * @property {string | null} problem why it failed
 * @property {boolean} isConnected
 */

/** @typedef {"planned" | "waiting" | "answered" | "damaged" | "failed" | "skipped"} ChunkState */

/**
 * From the server's analysis object.
 * @param {any} body
 * @returns {Analysis}
 */
export function fromServer(body) {
  const results = body.result?.chunk_results ?? body.chunk_results ?? [];
  return {
    id: body.id,
    status: body.status,
    prompt: body.prompt,
    video: videoName(body),
    fileId: body.file_id ?? null,
    createdAt: body.created_at ?? null,
    plan: body.plan ?? null,
    chunks: new Map(results.map((/** @type {any} */ result) => [result.chunk_index, result])),
    isMerging: body.progress?.merging ?? false,
    answer: body.result?.aggregated_response ?? "",
    result: body.result ?? null,
    problem: body.error?.message ?? null,
    isConnected: true,
  };
}

/**
 * What was asked about, as people know it.
 * @param {any} body the server's analysis object
 * @returns {string}
 */
export function videoName(body) {
  return body.metadata?.name ?? body.video;
}

/**
 * Takes in what happened.
 * @param {Analysis} analysis
 * @param {import("./sse.js").ServerEvent} event
 */
export function apply(analysis, { name, data }) {
  switch (name) {
    case "plan":
      // The events begin anew, also after a restart of the server: what came before them is told again.
      Object.assign(analysis, { status: "running", plan: data, answer: "", isMerging: false });
      break;
    case "chunk":
      analysis.chunks.set(data.chunk_index, data);
      break;
    case "progress":
      analysis.isMerging = data.stage === "merging";
      break;
    case "delta":
      analysis.answer += data.text;
      break;
    case "answer":
      for (const result of data.chunk_results) analysis.chunks.set(result.chunk_index, result);
      Object.assign(analysis, { status: "completed", result: data, answer: data.aggregated_response ?? "", isMerging: false });
      break;
    case "error":
      Object.assign(analysis, { status: "failed", problem: data.error?.message ?? "The analysis failed.", isMerging: false });
      break;
    case "cancelled":
      Object.assign(analysis, { status: "cancelled", isMerging: false });
      break;
  }
}

/** @param {Analysis | null} analysis */
export function isUnderWay(analysis) {
  return analysis?.status === "queued" || analysis?.status === "running";
}

/**
 * @param {Analysis | null} analysis
 * @param {number} index
 * @returns {ChunkState}
 */
export function chunkState(analysis, index) {
  const result = analysis?.chunks.get(index);
  if (!result) return !analysis || isUnderWay(analysis) ? "waiting" : "skipped";
  if (!result.success) return "failed";
  return result.degraded ? "damaged" : "answered";
}

/**
 * In the words that the timeline, its legend and screen readers use.
 * @param {ChunkState} state
 */
export function stateWords(state) {
  return { planned: "planned", waiting: "waiting", answered: "answered", damaged: "damaged", failed: "failed", skipped: "not looked at" }[state];
}

/**
 * Seconds by stage, over all chunks.
 * @param {Iterable<any>} results
 */
export function stageSums(results) {
  const sums = { queue: 0, decode: 0, inference: 0 };
  for (const result of results) {
    sums.decode += result.decode_seconds;
    sums.queue += result.queue_seconds;
    sums.inference += result.inference_seconds;
  }
  return sums;
}

/** @param {Analysis} analysis @returns {any[]} results by time */
export function orderedResults(analysis) {
  return [...analysis.chunks.values()].sort((a, b) => a.chunk_index - b.chunk_index);
}
