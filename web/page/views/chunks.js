/** The answers of the chunks. */

import { chunkState, durationOf, orderedResults } from "../desk/analysis.js";
import { placedTimes } from "../text/places.js";
import { clock, span } from "../text/times.js";
import { byId, h } from "./dom.js";
import { prose, timeButton } from "./prose.js";
import { damageWords } from "./remarks.js";

/** @import { Analysis, ChunkState } from "../desk/analysis.js" */
/** @import { ChunkResult } from "../../types/bodies.js" */

export class ChunkList {
  /** @param {(seconds: number) => void} onSeek */
  constructor(onSeek) {
    this._onSeek = onSeek;
    /** @type {Map<number, ChunkResult>} */
    this._shown = new Map();
    this._of = "";
  }

  /** @param {Analysis | null} analysis */
  show(analysis) {
    const list = byId("chunk-list");
    byId("chunks").hidden = !analysis?.chunks.size;
    if (!analysis || this._of !== analysis.id) {
      list.replaceChildren();
      this._shown.clear();
      this._of = analysis?.id ?? "";
    }
    if (!analysis) return;
    for (const result of orderedResults(analysis)) {
      if (this._shown.get(result.chunk_index) === result) continue;
      this._shown.set(result.chunk_index, result);
      const item = this._item(result, chunkState(analysis, result.chunk_index), durationOf(analysis));
      place(list, item, result.chunk_index);
    }
  }

  /** @param {ChunkResult} result @param {ChunkState} state @param {number} durationSeconds of the video */
  _item(result, state, durationSeconds) {
    return h(
      "li",
      { "data-index": result.chunk_index, "data-state": state },
      h(
        "div",
        { class: "chunk__head" },
        timeButton(result.start_time, clock(result.start_time), this._onSeek),
        h("span", { class: "facts" }, `to ${clock(result.end_time)}`),
        h("span", { class: "facts chunk__cost" }, cost(result)),
      ),
      h("div", { class: "prose" }, ...this._words(result, durationSeconds)),
      state === "damaged" ? h("p", { class: "problem" }, damageWords(result)) : null,
    );
  }

  /** @param {ChunkResult} result @param {number} durationSeconds of the video */
  _words(result, durationSeconds) {
    if (result.response === null) return [h("p", { class: "problem" }, result.error?.message)];
    return prose(result.response, placedTimes(result.response, result.times ?? [], durationSeconds), this._onSeek);
  }
}

/**
 * Put an item in order of its chunk, in place of an earlier one of the same chunk.
 * @param {HTMLElement} list
 * @param {HTMLElement} item
 * @param {number} index
 */
function place(list, item, index) {
  const indexOf = (/** @type {Element} */ other) => Number(other.getAttribute("data-index"));
  const later = [...list.children].find((other) => indexOf(other) >= index);
  if (later && indexOf(later) === index) later.replaceWith(item);
  else list.insertBefore(item, later ?? null);
}

/** @param {ChunkResult} result */
function cost(result) {
  const frames = `${result.num_frames} ${result.decode_reused ? "kept frames" : "frames"}`;
  const words = [frames, result.answer_reused ? "kept answer" : span(result.processing_time)];
  if (result.attempts > 1) words.push(`${result.attempts} tries`);
  return words.join(" · ");
}
