/** The timeline's gaps, failures and damage in words. */

import { chunkState } from "../desk/analysis.js";
import { clock } from "../text/times.js";
import { h } from "./dom.js";
import { timeButton } from "./prose.js";

/** @import { Analysis } from "../desk/analysis.js" */
/** @import { ChunkResult, Plan, Range } from "../../types/bodies.js" */
/** @typedef {(seconds: number) => void} OnSeek */

/**
 * @param {Plan} plan
 * @param {Analysis | null} analysis
 * @param {OnSeek} onSeek
 * @returns {HTMLElement[]}
 */
export function remarks(plan, analysis, onSeek) {
  const coverage = analysis?.result?.coverage;
  const notices = [...new Set([...plan.notices, ...(coverage?.notices ?? [])])];
  const isNoticed = (/** @type {ChunkResult} */ result) => notices.some((notice) => notice.startsWith(`Chunk ${result.chunk_index}:`));
  const results = [...(analysis?.chunks.values() ?? [])];
  const inState = (/** @type {string} */ state) => results.filter((result) => chunkState(analysis, result.chunk_index) === state);
  return [
    ...(coverage?.uncovered ?? []).map((range) => remark("gap", "Not covered", range, onSeek)),
    ...inState("failed").map((result) => remark("failed", "Failed", rangeOf(result), onSeek, result.error?.message)),
    ...inState("damaged")
      .filter((result) => !isNoticed(result))
      .map((result) => remark("damaged", "Damaged", rangeOf(result), onSeek, damageWords(result))),
    ...notices.map((notice) => noticeElement(notice, plan, onSeek)),
  ];
}

/** @param {ChunkResult} result of a damaged chunk */
export function damageWords(result) {
  const missing = result.missing_frames.length;
  return missing
    ? `${missing} ${missing === 1 ? "frame" : "frames"} could not be decoded; ${result.num_frames} were looked at.`
    : "The video is damaged here, and frames may be wrong.";
}

/** @param {{start_time: number, end_time: number}} chunk @returns {Range} */
function rangeOf(chunk) {
  return [chunk.start_time, chunk.end_time];
}

/**
 * @param {string} kind
 * @param {string} name
 * @param {Range} range
 * @param {OnSeek} onSeek
 * @param {string} [words]
 */
function remark(kind, name, [start, stop], onSeek, words) {
  const time = timeButton(start, clock(start), onSeek);
  return h("li", { "data-kind": kind }, h("b", {}, name), " ", time, ` to ${clock(stop)}`, words ? `: ${words}` : "");
}

/** @param {string} notice @param {Plan} plan @param {OnSeek} onSeek */
function noticeElement(notice, plan, onSeek) {
  const [, index, words] = notice.match(/^Chunk (\d+): (.*)$/s) ?? [];
  const chunk = index === undefined ? undefined : plan.chunks[Number(index)];
  return chunk ? remark("damaged", "Damaged", rangeOf(chunk), onSeek, words) : h("li", { "data-kind": "notice" }, notice);
}
