/** One analysis as the page knows it: the sum of its events and its stored state. No DOM here. */

/** @import { AnalysisEvent, AnalysisStatus, AnalysisSummary, ChunkResult, Plan, Result, StoredAnalysis } from "../../types/bodies.js" */

/**
 * @typedef {object} Analysis
 * @property {string} id
 * @property {AnalysisStatus} status
 * @property {string} prompt
 * @property {string} video its name for people
 * @property {string | null} fileId
 * @property {number} createdAt Unix time
 * @property {Plan | null} plan
 * @property {Map<number, ChunkResult>} chunks the results so far, by chunk index
 * @property {boolean} isMerging
 * @property {string} answer as far as it is written
 * @property {Result | null} result
 * @property {string | null} problem why it failed
 * @property {boolean} isConnected
 */

/** @typedef {"planned" | "waiting" | "answered" | "damaged" | "failed" | "skipped"} ChunkState */

/**
 * @param {StoredAnalysis} body
 * @returns {Analysis}
 */
export function fromServer(body) {
  const results = body.result?.chunk_results ?? body.chunk_results;
  return {
    id: body.id,
    status: body.status,
    prompt: body.prompt,
    video: videoName(body),
    fileId: body.file_id,
    createdAt: body.created_at,
    plan: body.plan,
    chunks: new Map(results.map((result) => [result.chunk_index, result])),
    isMerging: body.progress.merging,
    answer: body.result?.aggregated_response ?? "",
    result: body.result,
    problem: body.error?.message ?? null,
    isConnected: true,
  };
}

/** @param {AnalysisSummary} body @returns {string} the video's name for people */
export function videoName(body) {
  return body.metadata.name ?? body.video;
}

/**
 * Apply an event.
 * @param {Analysis} analysis
 * @param {AnalysisEvent} event
 */
export function apply(analysis, { name, data }) {
  switch (name) {
    case "plan":
      // The first event. After a restart of the server, the events before it come again.
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
      Object.assign(analysis, { status: "failed", problem: data.error.message, isMerging: false });
      break;
    case "cancelled":
      Object.assign(analysis, { status: "cancelled", isMerging: false });
      break;
  }
}

/** @param {Analysis} analysis */
export function isUnderWay(analysis) {
  return analysis.status === "queued" || analysis.status === "running";
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
 * The words for a state in the timeline, its legend and screen readers.
 * @param {ChunkState} state
 */
export function stateWords(state) {
  return state === "skipped" ? "not looked at" : state;
}

/**
 * Add up the seconds of each stage.
 * @param {Iterable<ChunkResult>} results
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

/** @param {Analysis} analysis @returns {ChunkResult[]} in order of time */
export function orderedResults(analysis) {
  return [...analysis.chunks.values()].sort((a, b) => a.chunk_index - b.chunk_index);
}

/** @param {Analysis} analysis @returns {number} the video's length in seconds; Infinity before the plan is known */
export function durationOf(analysis) {
  return analysis.plan?.video_info.duration ?? Number.POSITIVE_INFINITY;
}

/** Describe how far an analysis under way is. @param {Analysis} analysis */
export function progressWords(analysis) {
  if (!analysis.isConnected) return "Connection lost; the analysis goes on. Reconnecting …";
  if (!analysis.plan) return analysis.status === "queued" ? "Waiting for its turn" : "Planning";
  if (analysis.answer) return "Writing the answer";
  if (analysis.isMerging) return "Merging";
  return `${analysis.chunks.size} of ${analysis.plan.num_chunks} chunks`;
}
