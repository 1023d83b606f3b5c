/** The seconds of each chunk and stage as a table. */

import { clock } from "../text/times.js";
import { h } from "./dom.js";

/** @import { ChunkResult } from "../../types/bodies.js" */
/** @typedef {"queue" | "decode" | "inference" | "merge"} Stage */
/** @typedef {Partial<Record<Stage, number>>} SecondsByStage */

/** Every stage in the order of its turn, and its name for people. @type {[Stage, string][]} */
export const STAGE_NAMES = [
  ["queue", "waiting"],
  ["decode", "decoding"],
  ["inference", "the model"],
  ["merge", "merging"],
];

/** @param {ChunkResult} result */
export function secondsByStage(result) {
  return { queue: result.queue_seconds, decode: result.decode_seconds, inference: result.inference_seconds };
}

/** @param {ChunkResult} result */
export function wholeSeconds(result) {
  return result.queue_seconds + result.decode_seconds + result.inference_seconds;
}

/** @param {ChunkResult[]} results @param {number} mergeSeconds */
export function stagesTable(results, mergeSeconds) {
  const rows = results.map(chunkRow);
  if (mergeSeconds) {
    const empty = Array.from({ length: 4 }, () => h("td"));
    rows.push(h("tr", {}, h("th", { scope: "row" }, "merge"), ...empty, secondsCell(mergeSeconds)));
  }
  const stages = STAGE_NAMES.filter(([stage]) => stage !== "merge").map(([, name]) => name);
  const heads = ["chunk", "frames", ...stages, "seconds"].map((head) => h("th", { scope: "col" }, head));
  return h("table", {}, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows));
}

/** @param {ChunkResult} result */
function chunkRow(result) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, `${clock(result.start_time)} – ${clock(result.end_time)}`),
    h("td", {}, String(result.num_frames)),
    ...Object.values(secondsByStage(result)).map(secondsCell),
    secondsCell(wholeSeconds(result)),
  );
}

/** @param {number} seconds */
function secondsCell(seconds) {
  return h("td", {}, seconds.toFixed(2));
}
