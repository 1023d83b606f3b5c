/** Where the time went: a bar for each chunk, by stage, and the same as a table. */

import { orderedResults, stageSums } from "./analysis.js";
import { byId, h, svg } from "./dom.js";
import { timeButton } from "./prose.js";
import { clock, span } from "./times.js";

const STAGES = /** @type {const} */ (["queue", "decode", "inference"]);
const NAMES = { queue: "waiting", decode: "decoding", inference: "the model", merge: "merging" };
const BAR_PX = 12;

export class Stages {
  /** @param {(seconds: number) => void} onSeek */
  constructor(onSeek) {
    this._onSeek = onSeek;
    this._drawn = "";
  }

  /** @param {import("./analysis.js").Analysis | null} analysis */
  show(analysis) {
    byId("stages").hidden = !analysis?.chunks.size;
    const drawn = `${analysis?.id} ${analysis?.chunks.size} ${Boolean(analysis?.result)}`;
    if (!analysis?.chunks.size || drawn === this._drawn) return;
    this._drawn = drawn;
    const isTableOpen = byId("stages-figure").querySelector("details")?.open;
    const results = orderedResults(analysis);
    const merge = analysis.result?.merge_seconds ?? 0;
    const longest = Math.max(merge, 0.001, ...results.map(whole));
    const rows = results.map((result) =>
      this._row(timeButton(result.start_time, clock(result.start_time), this._onSeek), secondsOf(result), longest),
    );
    if (merge) rows.push(this._row(h("span", { class: "bars__merge" }, "merge"), { merge }, longest));
    byId("stages-figure").replaceChildren(
      h("figcaption", {}, ...summary(results, analysis.result)),
      h("div", { class: "bars" }, ...rows),
      h(
        "details",
        { open: isTableOpen },
        h("summary", {}, "As a table"),
        h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Seconds by chunk and stage" }, table(results, merge)),
      ),
    );
  }

  /** @param {HTMLElement} label @param {Record<string, number>} seconds @param {number} longest */
  _row(label, seconds, longest) {
    const bar = svg("svg", { class: "bar", width: "100%", height: BAR_PX, "aria-hidden": "true" });
    let at = 0;
    for (const [stage, length] of Object.entries(seconds)) {
      const place = { x: `${(at / longest) * 100}%`, width: `${(length / longest) * 100}%`, y: 0, height: BAR_PX };
      bar.append(svg("rect", { class: `is-${stage}`, ...place }, svg("title", {}, `${NAMES[/** @type {keyof NAMES} */ (stage)]} ${length.toFixed(2)} s`)));
      at += length;
    }
    return h("div", { class: "bars__row" }, label, bar, h("span", { class: "bars__sum" }, span(at)));
  }
}

/** @param {any} result @returns {Record<string, number>} */
function secondsOf(result) {
  return Object.fromEntries(STAGES.map((stage) => [stage, result[`${stage}_seconds`]]));
}

/** @param {any} result */
function whole(result) {
  return STAGES.reduce((sum, stage) => sum + result[`${stage}_seconds`], 0);
}

/** @param {any[]} results @param {any | null} done */
function summary(results, done) {
  const sums = { ...stageSums(results), ...(done?.merge_seconds ? { merge: done.merge_seconds } : {}) };
  const keys = Object.entries(sums).map(([stage, seconds]) =>
    h("span", { class: `key is-${stage}` }, `${NAMES[/** @type {keyof NAMES} */ (stage)]} ${span(seconds)}`),
  );
  const speed = done && done.video_info.duration / done.total_processing_time;
  const words = done
    ? `Chunks overlap: the whole took ${span(done.total_processing_time)}, ${speed.toFixed(speed < 10 ? 1 : 0)} times faster than the video plays.`
    : "Chunks overlap, so that these add up to more than has passed.";
  return [h("span", { class: "key-row" }, ...keys), h("span", { class: "facts" }, words)];
}

/** @param {any[]} results @param {number} merge */
function table(results, merge) {
  const number = (/** @type {number} */ value) => h("td", {}, value.toFixed(2));
  const rows = results.map((result) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, `${clock(result.start_time)} – ${clock(result.end_time)}`),
      h("td", {}, String(result.num_frames)),
      ...STAGES.map((stage) => number(result[`${stage}_seconds`])),
      number(whole(result)),
    ),
  );
  if (merge) rows.push(h("tr", {}, h("th", { scope: "row" }, "merge"), ...Array.from({ length: 4 }, () => h("td", {})), number(merge)));
  const heads = ["chunk", "frames", ...STAGES.map((stage) => NAMES[stage]), "seconds"];
  return h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, ...rows));
}
