/** The body of one turn: progress, the answer, or why there is none. */

import { durationOf, isUnderWay, progressWords } from "../desk/analysis.js";
import { placedTimes } from "../text/places.js";
import { clock } from "../text/times.js";
import { h } from "./dom.js";
import { prose } from "./prose.js";

/** @import { Analysis } from "../desk/analysis.js" */
/** @import { Result } from "../../types/bodies.js" */
/** @import { OnSeek } from "./prose.js" */

/**
 * @param {Analysis} analysis
 * @param {{onSeek: OnSeek, onCancel: (id: string) => void}} actions
 * @returns {HTMLElement[]}
 */
export function turnBody(analysis, { onSeek, onCancel }) {
  const parts = isUnderWay(analysis) ? [progress(analysis, onCancel)] : [];
  if (analysis.answer) return [...parts, answer(analysis, onSeek)];
  if (analysis.status === "failed") return [h("p", { class: "problem", role: "alert" }, analysis.problem)];
  if (analysis.status === "cancelled") return [h("p", { class: "facts" }, "Cancelled. What was answered until then stands below.")];
  if (analysis.result) return [h("p", { class: "problem" }, noAnswerWords(analysis.result))];
  return [...parts, ...latestChunk(analysis, onSeek)];
}

/** @param {Analysis} analysis @param {OnSeek} onSeek */
function answer(analysis, onSeek) {
  // The server places the times once the answer is complete.
  const times = placedTimes(analysis.answer, analysis.result?.citations ?? [], durationOf(analysis));
  const element = h("div", { class: "prose answer" }, ...prose(analysis.answer, times, onSeek));
  element.toggleAttribute("data-writing", isUnderWay(analysis));
  return element;
}

/** @param {Analysis} analysis @param {OnSeek} onSeek */
function latestChunk(analysis, onSeek) {
  const latest = [...analysis.chunks.values()].findLast((result) => result.success);
  if (!latest) return [];
  const head = h("p", { class: "facts" }, `The latest, ${clock(latest.start_time)} to ${clock(latest.end_time)}:`);
  const text = latest.response ?? "";
  const times = placedTimes(text, latest.times ?? [], durationOf(analysis));
  return [h("div", { class: "note prose" }, head, ...prose(text, times, onSeek))];
}

/** @param {Analysis} analysis @param {(id: string) => void} onCancel */
function progress(analysis, onCancel) {
  const total = analysis.plan?.num_chunks ?? 0;
  const id = `going-${analysis.id}`;
  return h(
    "div",
    { class: "going" },
    h("span", { class: "facts", id }, progressWords(analysis)),
    h("progress", { max: total || 1, ...(total ? { value: analysis.chunks.size } : {}), "aria-labelledby": id }),
    h("button", { type: "button", class: "quiet", onclick: () => onCancel(analysis.id) }, "Cancel"),
  );
}

/** @param {Result} result */
function noAnswerWords(result) {
  if (result.aggregation_error) return `The chunk answers could not be merged: ${result.aggregation_error} They are listed below.`;
  return result.success ? "The chunk answers are listed below, unmerged." : "No chunk could be answered; the reasons are listed below.";
}
