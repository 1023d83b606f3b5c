/** The questions about one video and their answers, also while these are written. */

import { isUnderWay, progressWords } from "../desk/analysis.js";
import { byId, h } from "./dom.js";
import { turnBody } from "./turn.js";
import { costWords } from "./cost.js";
import { downloadLinks } from "./downloads.js";

/** @import { Analysis } from "../desk/analysis.js" */

/**
 * @typedef {object} Actions
 * @property {(seconds: number) => void} onSeek
 * @property {(id: string) => void} onShow
 * @property {(id: string) => void} onCancel
 */

/** @typedef {{article: HTMLElement, shown: string}} Turn An article, and a text that changes with what it shows */

export class Thread {
  /** @param {Actions} actions */
  constructor(actions) {
    this._actions = actions;
    /** @type {Map<string, Turn>} */
    this._turns = new Map();
  }

  /**
   * @param {Analysis[]} analyses in the order in which they were asked
   * @param {string | null} shownId the one that the timeline shows
   */
  show(analyses, shownId) {
    for (const [id, turn] of this._turns) {
      if (analyses.some((analysis) => analysis.id === id)) continue;
      turn.article.remove();
      this._turns.delete(id);
    }
    for (const [place, analysis] of analyses.entries()) {
      const turn = this._turns.get(analysis.id) ?? this._insert(analysis, place);
      const shown = `${looksOf(analysis)} ${analysis.id === shownId} ${analyses.length}`;
      if (turn.shown === shown) continue;
      turn.shown = shown;
      this._fill(turn.article, analysis, analyses, shownId);
    }
  }

  /** Scroll to an analysis. @param {string} id */
  reveal(id) {
    this._turns.get(id)?.article.scrollIntoView({ block: "nearest" });
  }

  /** @param {Analysis} analysis @param {number} place @returns {Turn} */
  _insert(analysis, place) {
    const article = h("article", { class: "turn", "data-id": analysis.id });
    byId("thread").insertBefore(article, byId("thread").children[place] ?? null);
    const turn = { article, shown: "" };
    this._turns.set(analysis.id, turn);
    return turn;
  }

  /**
   * @param {HTMLElement} article
   * @param {Analysis} analysis
   * @param {Analysis[]} all
   * @param {string | null} shownId
   */
  _fill(article, analysis, all, shownId) {
    article.dataset.status = analysis.status;
    article.toggleAttribute("data-marked", analysis.id === shownId && all.length > 1);
    const hadFocus = article.contains(document.activeElement);
    const before = all.slice(0, all.indexOf(analysis));
    article.replaceChildren(
      h("h3", { class: "turn__question" }, analysis.prompt),
      analysis.result ? h("p", { class: "facts" }, costWords(analysis.result, before)) : "",
      ...turnBody(analysis, this._actions),
      ...this._tools(analysis, all.length > 1),
    );
    if (hadFocus) article.querySelector("button")?.focus({ preventScroll: true });
  }

  /** @param {Analysis} analysis @param {boolean} isOneOfSeveral */
  _tools(analysis, isOneOfSeveral) {
    if (isUnderWay(analysis)) return [];
    const onclick = () => this._actions.onShow(analysis.id);
    const show = isOneOfSeveral ? [h("button", { type: "button", class: "quiet", onclick }, "On the timeline")] : [];
    const tools = [...(analysis.result ? downloadLinks(analysis.id) : []), ...show];
    return tools.length ? [h("div", { class: "turn__tools" }, ...tools)] : [];
  }
}

/** @param {Analysis} analysis */
function looksOf(analysis) {
  return [analysis.status, progressWords(analysis), analysis.answer.length, analysis.chunks.size, Boolean(analysis.result)].join(" ");
}
