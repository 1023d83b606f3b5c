/** What an answer cost, in words. */

import { clock, span } from "../text/times.js";

/** @import { Analysis } from "../desk/analysis.js" */
/** @import { Result } from "../../types/bodies.js" */

/** A second answer is called quicker if it took less than this share of the first one's time. */
const QUICKER_SHARE = 0.95;

/**
 * @param {Result} result
 * @param {Analysis[]} before the earlier questions about the same video
 */
export function costWords(result, before) {
  const seconds = result.total_processing_time;
  const words = [
    `${span(seconds)} for ${clock(result.video_info.duration)} of video`,
    `${result.coverage.frames_used} frames`,
    ...speedWords(seconds, before),
    ...reuseWords(result),
  ];
  if (result.partial) words.push(`${result.total_successful_chunks} of ${result.num_chunks} chunks answered`);
  return words.join(" · ");
}

/** @param {number} seconds @param {Analysis[]} before */
function speedWords(seconds, before) {
  const first = before.find((other) => other.result)?.result?.total_processing_time;
  return first && seconds < first * QUICKER_SHARE ? [`${(first / seconds).toFixed(1)} times quicker than the first question`] : [];
}

/** Describe what earlier questions saved. @param {Result} result */
function reuseWords({ chunk_results: results, usage }) {
  const answered = results.filter((chunk) => chunk.answer_reused).length;
  const decoded = results.filter((chunk) => chunk.decode_reused && !chunk.answer_reused).length;
  const cached = usage.prompt_tokens_details.cached_tokens;
  const share = (/** @type {number} */ number) => (number === results.length ? "all" : number);
  const words = [];
  if (answered) words.push(`answers of ${share(answered)} chunks kept from before`);
  if (decoded) words.push(`frames of ${share(decoded)} chunks kept from before`);
  if (cached) words.push(`${Math.round((cached / usage.prompt_tokens) * 100)} % of the prompt kept from before`);
  return words;
}
