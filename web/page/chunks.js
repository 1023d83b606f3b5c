/** What was said about each chunk. */

import { chunkState, orderedResults } from "./analysis.js";
import { byId, h } from "./dom.js";
import { prose, timeButton } from "./prose.js";
import { damageWords } from "./timeline.js";
import { clock, span } from "./times.js";

export class ChunkList {
  /** @param {(seconds: number) => void} onSeek */
  constructor(onSeek) {
    this._onSeek = onSeek;
    /** @type {Map<number, any>} */
    this._shown = new Map();
    this._of = "";
  }

  /** @param {import("./analysis.js").Analysis | null} analysis */
  show(analysis) {
    const list = byId("chunk-list");
    byId("chunks").hidden = !analysis?.chunks.size;
    if (!analysis || this._of !== analysis.id) {
      list.replaceChildren();
      this._shown.clear();
      this._of = analysis?.id ?? "";
    }
    if (!analysis) return;
    const duration = analysis.plan?.video_info.duration ?? Infinity;
    for (const result of orderedResults(analysis)) {
      if (this._shown.get(result.chunk_index) === result) continue;
      this._shown.set(result.chunk_index, result);
      const item = this._item(result, chunkState(analysis, result.chunk_index), duration);
      const later = [...list.children].find((other) => Number(other.dataset.index) >= result.chunk_index);
      if (later?.dataset.index === item.dataset.index) later.replaceWith(item);
      else list.insertBefore(item, later ?? null);
    }
  }

  /** @param {any} result @param {import("./analysis.js").ChunkState} state @param {number} duration */
  _item(result, state, duration) {
    const said = result.success
      ? prose(result.response, duration, this._onSeek)
      : [h("p", { class: "problem" }, result.error.message)];
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
      h("div", { class: "prose" }, ...said),
      state === "damaged" ? h("p", { class: "problem" }, damageWords(result)) : null,
    );
  }
}

/** @param {any} result */
function cost(result) {
  const frames = `${result.num_frames} ${result.decode_reused ? "kept frames" : "frames"}`;
  const words = [frames, result.answer_reused ? "kept answer" : span(result.processing_time)];
  if (result.attempts > 1) words.push(`${result.attempts} tries`);
  return words.join(" · ");
}
