/** The estimate of what an analysis would do. */

import * as api from "../server/api.js";
import { announce } from "../views/dom.js";
import { chosenOptions, markOption } from "../views/options.js";
import { showProblem, showQuestionProblem } from "../views/problems.js";

/** @import { Desk } from "../desk/desk.js" */

const TYPING_MS = 350;

export class Planner {
  /** @param {Desk} desk */
  constructor(desk) {
    this._desk = desk;
    this._current = new AbortController();
    this._timer = 0;
  }

  /** Ask the server what it would do with the video on the desk. A later call replaces this one. */
  async plan() {
    this._current.abort();
    this._current = new AbortController();
    const [desk, current] = [this._desk, this._current];
    // Not AbortSignal.any: Firefox has it since 124 and Safari since 17.4 alone.
    desk.signal.addEventListener("abort", () => current.abort(), { once: true, signal: current.signal });
    const signal = current.signal;
    if (!desk.source?.fields) return;
    try {
      const request = { ...desk.source.fields, ...chosenOptions() };
      desk.isPlanning = true;
      desk.changed();
      desk.estimate = await api.estimate(request, signal);
      markOption(null);
      showProblem("ask-problem", null);
      announce(`Planned: ${desk.estimate.plan.num_chunks} chunks`);
    } catch (error) {
      if (!signal.aborted) showQuestionProblem(error);
    }
    if (signal.aborted) return;
    desk.isPlanning = false;
    desk.changed();
  }

  /** Plan once the person stops typing. A question that was asked keeps its own plan. */
  planSoon() {
    clearTimeout(this._timer);
    this._timer = window.setTimeout(() => {
      if (!this._desk.analyses.length) void this.plan();
    }, TYPING_MS);
  }
}
