/** The state of the page: one video, the questions about it, and which answer is shown. */

/** @import { Estimate } from "../../types/bodies.js" */
/** @import { Analysis } from "./analysis.js" */
/** @import { Source } from "./source.js" */

/** Everything on the screen follows from it. It dispatches `change` whenever the screen is out of date. */
export class Desk extends EventTarget {
  /** @type {Source | null} */
  source = null;
  /** Settles when the file is on the server. @type {Promise<void>} */
  uploaded = Promise.resolve();
  /** @type {Estimate | null} */
  estimate = null;
  isPlanning = false;
  /** @type {Analysis[]} */
  analyses = [];
  /** @type {string | null} */
  shownId = null;
  /** Whether a question about the video was sent, so that others may know of its upload. */
  isAsked = false;
  /** @private */
  _leaving = new AbortController();

  /** Aborted when another video takes this one's place. */
  get signal() {
    return this._leaving.signal;
  }

  /** @returns {Analysis | null} the one that the timeline shows */
  get shown() {
    return this.find(this.shownId ?? "");
  }

  /** @param {string} id */
  find(id) {
    return this.analyses.find((analysis) => analysis.id === id) ?? null;
  }

  /** Put another video on the desk. @param {Source | null} source null: the page as it opens */
  put(source) {
    this._leaving.abort();
    this._leaving = new AbortController();
    this.source = source;
    this.uploaded = Promise.resolve();
    this.estimate = null;
    this.isPlanning = false;
    this.analyses = [];
    this.shownId = null;
    this.isAsked = false;
    this.changed();
  }

  /** Add the newest analysis and show it. @param {Analysis} analysis */
  add(analysis) {
    this.analyses.push(analysis);
    this.show(analysis.id);
  }

  /** Add analyses from before. @param {Analysis[]} analyses newest first, as the server lists them */
  addEarlier(analyses) {
    // A stable sort keeps the server's order of those that were created within the same second.
    this.analyses = [...analyses.toReversed(), ...this.analyses].sort((a, b) => a.createdAt - b.createdAt);
    this.changed();
  }

  /** @param {string} id of an analysis on the desk */
  show(id) {
    this.shownId = id;
    this.changed();
  }

  /** Report a change to a part of the state. */
  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
