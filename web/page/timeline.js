/** The timeline: a cell for each chunk, in place by time, with what became of it. */

import { chunkState, stateWords } from "./analysis.js";
import { byId, h } from "./dom.js";
import { timeButton } from "./prose.js";
import { clock } from "./times.js";

const CELL_PX = 76;
const TICKS_SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
const TICK_PX = 84;
const THUMBNAIL_PX = [192, 108];

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
    this._inner = byId("timeline-inner");
    this._ruler = byId("ruler");
    this._playhead = byId("playhead");
    this._gaps = byId("gaps");
    this._plan = null;
    this._duration = 0;
    /** @type {HTMLButtonElement[]} */
    this._cells = [];
    this._strip.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this._onKey(event));
    this._ruler.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      const box = this._ruler.getBoundingClientRect();
      actions.onSeek(((event.clientX - box.left) / box.width) * this._duration);
    });
    new ResizeObserver(() => this._plan && this._rule()).observe(byId("timeline-scroll"));
    this._seen = new IntersectionObserver((entries) => this._onSeen(entries), { rootMargin: "200px" });
  }

  /**
   * @param {any | null} plan
   * @param {import("./analysis.js").Analysis | null} analysis
   */
  show(plan, analysis) {
    if (plan !== this._plan && JSON.stringify(plan?.chunks) !== JSON.stringify(this._plan?.chunks)) this._lay(plan);
    this._plan = plan;
    this._cells.forEach((cell, index) => paintCell(cell, plan.chunks[index], analysis));
    this._gaps.replaceChildren(...(analysis?.result?.coverage.uncovered ?? []).map((/** @type {any} */ gap) => this._gap(gap)));
    byId("remarks").replaceChildren(...this._remarks(plan, analysis));
  }

  /** @param {number} seconds */
  moveTo(seconds) {
    if (!this._duration) return;
    this._playhead.hidden = false;
    this._playhead.style.setProperty("--at", `${Math.min(1, seconds / this._duration) * 100}%`);
    const now = this._at(seconds);
    this._cells.forEach((cell, index) => cell.toggleAttribute("data-now", index === now));
  }

  /**
   * The start of the chunk before (-1) or after (1) that at `seconds`.
   * @param {number} seconds
   * @param {number} step
   */
  neighbour(seconds, step) {
    const index = Math.min(this._cells.length - 1, Math.max(0, this._at(seconds) + step));
    return this._plan?.chunks[index]?.start_time ?? seconds;
  }

  /** @param {any | null} plan */
  _lay(plan) {
    this._seen.disconnect();
    this._strip.replaceChildren();
    this._cells = [];
    this._playhead.hidden = true;
    this._duration = plan?.video_info.duration ?? 0;
    this._plan = plan;
    if (!plan) return this._ruler.replaceChildren();
    plan.chunks.forEach((/** @type {any} */ chunk, /** @type {number} */ index) => {
      const stop = plan.chunks[index + 1]?.start_time ?? chunk.end_time;
      const [width, height] = THUMBNAIL_PX;
      const canvas = h("canvas", { width, height, "aria-hidden": "true" });
      const cell = /** @type {HTMLButtonElement} */ (
        h(
          "button",
          { type: "button", class: "cell", tabindex: index ? -1 : 0, onclick: () => this._actions.onSeek(chunk.start_time) },
          canvas,
          h("span", { class: "cell__time" }, clock(chunk.start_time)),
          h("span", { class: "cell__state" }),
        )
      );
      const place = h("li", {}, cell);
      place.style.setProperty("--at", `${(chunk.start_time / this._duration) * 100}%`);
      place.style.setProperty("--wide", `${((stop - chunk.start_time) / this._duration) * 100}%`);
      canvas.dataset.seconds = String((chunk.start_time + chunk.end_time) / 2);
      this._cells.push(cell);
      this._strip.append(place);
      this._seen.observe(canvas);
    });
    this._rule();
  }

  /** Widens the timeline where cells would be too narrow, and spaces the ticks. */
  _rule() {
    const width = byId("timeline-scroll").clientWidth;
    const wanted = (this._duration / (this._plan.chunk_duration || this._duration)) * CELL_PX;
    const inner = Math.max(width, Math.round(wanted));
    this._inner.style.setProperty("--inner", inner > width ? `${inner}px` : "100%");
    const every = TICKS_SECONDS.find((tick) => (tick / this._duration) * inner >= TICK_PX) ?? TICKS_SECONDS.at(-1) ?? 1;
    const ticks = [];
    for (let seconds = 0; seconds < this._duration - every * 0.4; seconds += every) {
      const tick = h("span", {}, clock(seconds));
      tick.style.setProperty("--at", `${(seconds / this._duration) * 100}%`);
      ticks.push(tick);
    }
    ticks.push(h("span", { class: "is-last" }, clock(this._duration)));
    this._ruler.replaceChildren(...ticks);
  }

  /** @param {[number, number]} range in seconds */
  _gap([start, stop]) {
    const gap = h("span", {});
    gap.style.setProperty("--at", `${(start / this._duration) * 100}%`);
    gap.style.setProperty("--wide", `${((stop - start) / this._duration) * 100}%`);
    return gap;
  }

  /** @param {number} seconds @returns {number} the chunk on the screen then */
  _at(seconds) {
    const later = (this._plan?.chunks ?? []).findIndex((/** @type {any} */ chunk) => chunk.start_time > seconds + 1e-6);
    return later < 0 ? this._cells.length - 1 : Math.max(0, later - 1);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  _onSeen(entries) {
    for (const entry of entries.filter((entry) => entry.isIntersecting)) {
      const canvas = /** @type {HTMLCanvasElement} */ (entry.target);
      this._seen.unobserve(canvas);
      this._actions.onThumbnail(canvas, Number(canvas.dataset.seconds));
    }
  }

  /** @param {KeyboardEvent} event */
  _onKey(event) {
    const from = this._cells.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: this._cells.length - 1 }[event.key];
    const next = to === undefined ? undefined : this._cells[to];
    if (!next) return;
    event.preventDefault();
    this._cells[from].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  /**
   * What the colours mean, in words.
   * @param {any | null} plan
   * @param {import("./analysis.js").Analysis | null} analysis
   */
  _remarks(plan, analysis) {
    if (!plan) return [];
    const coverage = analysis?.result?.coverage;
    const results = [...(analysis?.chunks.values() ?? [])];
    const failed = results.filter((result) => chunkState(analysis, result.chunk_index) === "failed");
    const notices = [...new Set([...(plan.notices ?? []), ...(coverage?.notices ?? [])])];
    const damaged = results.filter(
      (result) =>
        chunkState(analysis, result.chunk_index) === "damaged" &&
        !notices.some((notice) => notice.startsWith(`Chunk ${result.chunk_index}:`)),
    );
    return [
      ...(coverage?.uncovered ?? []).map((/** @type {[number, number]} */ range) => this._remark("gap", "Not covered", range)),
      ...failed.map((result) => this._remark("failed", "Failed", [result.start_time, result.end_time], result.error.message)),
      ...damaged.map((result) => this._remark("damaged", "Damaged", [result.start_time, result.end_time], damageWords(result))),
      ...notices.map((notice) => this._notice(notice, plan)),
    ];
  }

  /** @param {string} kind @param {string} name @param {[number, number]} range in seconds @param {string} [words] */
  _remark(kind, name, [start, stop], words) {
    const time = timeButton(start, clock(start), this._actions.onSeek);
    return h("li", { "data-kind": kind }, h("b", {}, name), " ", time, ` to ${clock(stop)}`, words ? `: ${words}` : "");
  }

  /** @param {string} notice @param {any} plan */
  _notice(notice, plan) {
    const [, index, words] = notice.match(/^Chunk (\d+): (.*)$/s) ?? [];
    const chunk = plan.chunks[Number(index)];
    if (!chunk) return h("li", { "data-kind": "notice" }, notice);
    return this._remark("damaged", "Damaged", [chunk.start_time, chunk.end_time], words);
  }
}

/** @param {any} result */
export function damageWords(result) {
  const missing = result.missing_frames.length;
  return missing
    ? `${missing} ${missing === 1 ? "frame" : "frames"} could not be decoded; ${result.num_frames} were looked at.`
    : "The video is damaged here, and frames may be wrong.";
}

/** @param {HTMLButtonElement} cell @param {any} chunk @param {import("./analysis.js").Analysis | null} analysis */
function paintCell(cell, chunk, analysis) {
  const state = analysis ? chunkState(analysis, chunk.chunk_index) : "planned";
  if (cell.dataset.state === state && cell.dataset.of === String(analysis?.id)) return;
  cell.dataset.state = state;
  cell.dataset.of = String(analysis?.id);
  cell.setAttribute("aria-label", `${clock(chunk.start_time)} to ${clock(chunk.end_time)}, ${stateWords(state)}`);
  const shown = cell.querySelector(".cell__state");
  if (shown) shown.textContent = ["failed", "damaged", "skipped"].includes(state) ? stateWords(state) : "";
}
