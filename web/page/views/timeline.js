/** The timeline: a cell for each chunk, placed by time and coloured by state. */

import { chunkState, stateWords } from "../desk/analysis.js";
import { clock } from "../text/times.js";
import { byId, h } from "./dom.js";
import { remarks } from "./remarks.js";
import { drawRuler } from "./ruler.js";

/** @import { Analysis } from "../desk/analysis.js" */
/** @import { Plan, PlannedChunk, Range } from "../../types/bodies.js" */

const CELL_PX = 76;
const THUMBNAIL_PX = { width: 192, height: 108 };

/**
 * @typedef {object} Actions
 * @property {(seconds: number) => void} onSeek
 * @property {(canvas: HTMLCanvasElement, seconds: number) => void} onThumbnail
 */

export class Timeline {
  /** @param {Actions} actions */
  constructor(actions) {
    this._actions = actions;
    this._strip = byId("strip");
    this._playhead = byId("playhead");
    /** @type {Plan | null} */
    this._plan = null;
    /** @type {HTMLButtonElement[]} */
    this._cells = [];
    this._strip.addEventListener("keydown", (event) => this._onKey(event));
    byId("ruler").addEventListener("click", (event) => {
      const box = byId("ruler").getBoundingClientRect();
      actions.onSeek(((event.clientX - box.left) / box.width) * this._durationSeconds);
    });
    new ResizeObserver(() => this._fit()).observe(byId("timeline-scroll"));
    this._seen = new IntersectionObserver((entries) => this._onSeen(entries), { rootMargin: "200px" });
  }

  /**
   * @param {Plan | null} plan
   * @param {Analysis | null} analysis
   */
  show(plan, analysis) {
    const isNew = plan !== this._plan && JSON.stringify(plan?.chunks) !== JSON.stringify(this._plan?.chunks);
    this._plan = plan;
    if (isNew) this._lay();
    for (const [index, chunk] of plan?.chunks.entries() ?? []) {
      const cell = this._cells[index];
      if (cell) paintCell(cell, chunk, analysis);
    }
    const uncovered = analysis?.result?.coverage.uncovered ?? [];
    byId("gaps").replaceChildren(...uncovered.map((range) => place(h("span"), range, this._durationSeconds)));
    byId("remarks").replaceChildren(...(plan ? remarks(plan, analysis, this._actions.onSeek) : []));
  }

  /** Move the playhead. @param {number} seconds */
  moveTo(seconds) {
    if (!this._plan) return;
    this._playhead.hidden = false;
    this._playhead.style.setProperty("--at", `${Math.min(1, seconds / this._durationSeconds) * 100}%`);
    const now = this._indexAt(seconds);
    for (const [index, cell] of this._cells.entries()) cell.toggleAttribute("data-now", index === now);
  }

  /**
   * The start of the chunk before (-1) or after (1) the one at `seconds`.
   * @param {number} seconds
   * @param {number} step
   */
  neighbour(seconds, step) {
    const index = Math.min(this._cells.length - 1, Math.max(0, this._indexAt(seconds) + step));
    return this._plan?.chunks[index]?.start_time ?? seconds;
  }

  get _durationSeconds() {
    return this._plan?.video_info.duration ?? 0;
  }

  /** Replace the cells by those of the plan. */
  _lay() {
    this._seen.disconnect();
    this._playhead.hidden = true;
    const chunks = this._plan?.chunks ?? [];
    this._cells = chunks.map((chunk, index) => this._cell(chunk, index));
    this._strip.replaceChildren(
      ...chunks.map((chunk, index) => {
        const stop = chunks[index + 1]?.start_time ?? chunk.end_time;
        return place(h("li", {}, this._cells[index]), [chunk.start_time, stop], this._durationSeconds);
      }),
    );
    byId("ruler").replaceChildren();
    this._fit();
  }

  /** @param {PlannedChunk} chunk @param {number} index */
  _cell(chunk, index) {
    const canvas = h("canvas", { ...THUMBNAIL_PX, "aria-hidden": "true" });
    canvas.dataset.seconds = String((chunk.start_time + chunk.end_time) / 2);
    this._seen.observe(canvas);
    return h(
      "button",
      { type: "button", class: "cell", tabindex: index ? -1 : 0, onclick: () => this._actions.onSeek(chunk.start_time) },
      canvas,
      h("span", { class: "cell__time" }, clock(chunk.start_time)),
      h("span", { class: "cell__state" }),
    );
  }

  /** Widen the timeline if its cells would be too narrow, and draw its ruler. */
  _fit() {
    if (!this._plan) return;
    const width = byId("timeline-scroll").clientWidth;
    const wanted = (this._durationSeconds / (this._plan.chunk_duration || this._durationSeconds)) * CELL_PX;
    const inner = Math.max(width, Math.round(wanted));
    byId("timeline-inner").style.setProperty("--inner", inner > width ? `${inner}px` : "100%");
    drawRuler(this._durationSeconds, inner);
  }

  /** @param {number} seconds @returns {number} the index of the chunk at that time */
  _indexAt(seconds) {
    const later = (this._plan?.chunks ?? []).findIndex((chunk) => chunk.start_time > seconds + 1e-6);
    return later < 0 ? this._cells.length - 1 : Math.max(0, later - 1);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  _onSeen(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting || !(target instanceof HTMLCanvasElement)) continue;
      this._seen.unobserve(target);
      this._actions.onThumbnail(target, Number(target.dataset.seconds));
    }
  }

  /** @param {KeyboardEvent} event */
  _onKey(event) {
    const from = event.target instanceof HTMLButtonElement ? this._cells.indexOf(event.target) : -1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: this._cells.length - 1 }[event.key];
    const [current, next] = [this._cells[from], this._cells[to ?? -1]];
    if (!current || !next) return;
    event.preventDefault();
    current.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}

/**
 * Place an element of the timeline by its time.
 * @template {HTMLElement} E
 * @param {E} element
 * @param {Range} range
 * @param {number} durationSeconds of the video
 * @returns {E}
 */
function place(element, [start, stop], durationSeconds) {
  element.style.setProperty("--at", `${(start / durationSeconds) * 100}%`);
  element.style.setProperty("--wide", `${((stop - start) / durationSeconds) * 100}%`);
  return element;
}

/** @param {HTMLButtonElement} cell @param {PlannedChunk} chunk @param {Analysis | null} analysis */
function paintCell(cell, chunk, analysis) {
  const state = analysis ? chunkState(analysis, chunk.chunk_index) : "planned";
  if (cell.dataset.state === state && cell.dataset.of === String(analysis?.id)) return;
  cell.dataset.state = state;
  cell.dataset.of = String(analysis?.id);
  cell.setAttribute("aria-label", `${clock(chunk.start_time)} to ${clock(chunk.end_time)}, ${stateWords(state)}`);
  const shown = cell.querySelector(".cell__state");
  if (shown) shown.textContent = ["failed", "damaged", "skipped"].includes(state) ? stateWords(state) : "";
}
