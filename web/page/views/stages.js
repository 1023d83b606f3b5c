/** Where the time went: one bar per chunk, split by stage, and the same figures as a table. */

import { orderedResults, stageSums } from "../desk/analysis.js";
import { clock, span } from "../text/times.js";
import { byId, h, svg } from "./dom.js";
import { timeButton } from "./prose.js";
import { STAGE_NAMES, secondsByStage, stagesTable, wholeSeconds } from "./stages_table.js";

/** @import { Analysis } from "../desk/analysis.js" */
/** @import { ChunkResult, Result } from "../../types/bodies.js" */
/** @import { SecondsByStage } from "./stages_table.js" */

const BAR_PX = 12;
/** Keeps the scale finite if nothing took any time. */
const SHORTEST_SCALE_SECONDS = 0.001;

export class Stages {
  /** @param {(seconds: number) => void} onSeek */
  constructor(onSeek) {
    this._onSeek = onSeek;
    this._drawn = "";
  }

  /** @param {Analysis | null} analysis */
  show(analysis) {
    byId("stages").hidden = !analysis?.chunks.size;
    const drawn = `${analysis?.id} ${analysis?.chunks.size} ${Boolean(analysis?.result)}`;
    if (!analysis?.chunks.size || drawn === this._drawn) return;
    this._drawn = drawn;
    const isTableOpen = byId("stages-figure").querySelector("details")?.open;
    const results = orderedResults(analysis);
    const mergeSeconds = analysis.result?.merge_seconds ?? 0;
    byId("stages-figure").replaceChildren(
      h("figcaption", {}, ...summary(results, analysis.result)),
      h("div", { class: "bars" }, ...this._rows(results, mergeSeconds)),
      h(
        "details",
        { open: isTableOpen },
        h("summary", {}, "As a table"),
        h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Seconds by chunk and stage" }, stagesTable(results, mergeSeconds)),
      ),
    );
  }

  /** @param {ChunkResult[]} results @param {number} mergeSeconds */
  _rows(results, mergeSeconds) {
    const longest = Math.max(mergeSeconds, SHORTEST_SCALE_SECONDS, ...results.map(wholeSeconds));
    const rows = results.map((result) => {
      const label = timeButton(result.start_time, clock(result.start_time), this._onSeek);
      return row(label, secondsByStage(result), longest);
    });
    if (mergeSeconds) rows.push(row(h("span", { class: "bars__merge" }, "merge"), { merge: mergeSeconds }, longest));
    return rows;
  }
}

/** @param {HTMLElement} label @param {SecondsByStage} seconds @param {number} longest */
function row(label, seconds, longest) {
  const bar = svg("svg", { class: "bar", width: "100%", height: BAR_PX, "aria-hidden": "true" });
  let at = 0;
  for (const [stage, name, length] of namedSeconds(seconds)) {
    const place = { x: `${(at / longest) * 100}%`, width: `${(length / longest) * 100}%`, y: 0, height: BAR_PX };
    bar.append(svg("rect", { class: `is-${stage}`, ...place }, svg("title", {}, `${name} ${length.toFixed(2)} s`)));
    at += length;
  }
  return h("div", { class: "bars__row" }, label, bar, h("span", { class: "bars__sum" }, span(at)));
}

/** @param {ChunkResult[]} results @param {Result | null} done */
function summary(results, done) {
  const sums = { ...stageSums(results), ...(done?.merge_seconds ? { merge: done.merge_seconds } : {}) };
  const keys = namedSeconds(sums).map(([stage, name, seconds]) => h("span", { class: `key is-${stage}` }, `${name} ${span(seconds)}`));
  return [h("span", { class: "key-row" }, ...keys), h("span", { class: "facts" }, overlapWords(done))];
}

/** @param {Result | null} done */
function overlapWords(done) {
  if (!done) return "Chunks overlap, so these add up to more than the time that has passed.";
  const speed = done.video_info.duration / done.total_processing_time;
  return `Chunks overlap: the whole took ${span(done.total_processing_time)}, ${speed.toFixed(speed < 10 ? 1 : 0)} times faster than the video plays.`;
}

/** @param {SecondsByStage} seconds */
function namedSeconds(seconds) {
  return STAGE_NAMES.flatMap(([stage, name]) => {
    const length = seconds[stage];
    return length === undefined ? [] : [/** @type {const} */ ([stage, name, length])];
  });
}
