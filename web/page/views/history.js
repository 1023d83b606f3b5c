/** The stored analyses of the server: open, cancel, delete. */

import { videoName } from "../desk/analysis.js";
import { deleteAnalysis, listAnalyses } from "../server/api.js";
import { span } from "../text/times.js";
import { byId, h } from "./dom.js";
import { wordsOf } from "./problems.js";

/** @import { AnalysisSummary } from "../../types/bodies.js" */

const PAGE = 20;
const RECENT = 5;
const UNDER_WAY = ["queued", "running"];

export class History {
  /** @param {(id: string) => void} onGone called when one is deleted */
  constructor(onGone) {
    this._onGone = onGone;
    /** @type {string | null} */
    this._last = null;
    byId("open-history").addEventListener("click", () => void this.open());
    byId("history-more").addEventListener("click", () => void this._more());
  }

  async open() {
    byId("history", HTMLDialogElement).showModal();
    byId("history-list").replaceChildren();
    this._last = null;
    await this._more();
  }

  /** Show the latest ones on the start page. */
  async showRecent() {
    try {
      const { data } = await listAnalyses({ limit: RECENT });
      byId("recent-list").replaceChildren(...data.map((analysis) => this._item(analysis)));
      byId("recent").hidden = !data.length;
    } catch {
      byId("recent").hidden = true; // the dialog shows the error to those who open it
    }
  }

  async _more() {
    const words = byId("history-words");
    words.textContent = "Loading …";
    try {
      const page = await listAnalyses({ limit: PAGE, after: this._last });
      this._last = page.last_id;
      byId("history-list").append(...page.data.map((analysis) => this._item(analysis)));
      byId("history-more").hidden = !page.has_more;
      words.textContent = byId("history-list").children.length ? "" : "No questions yet.";
    } catch (error) {
      words.textContent = wordsOf(error);
      byId("history-more").hidden = true;
    }
  }

  /** @param {AnalysisSummary} analysis */
  _item(analysis) {
    const isUnderWay = UNDER_WAY.includes(analysis.status);
    const link = h(
      "a",
      { href: `#${analysis.id}`, onclick: () => byId("history", HTMLDialogElement).close() },
      h("span", { class: "history-list__prompt" }, analysis.prompt),
      h("span", { class: "facts" }, `${videoName(analysis)} · ${ago(analysis.created_at)}`),
    );
    const button = h("button", { type: "button", class: "quiet" }, isUnderWay ? "Cancel" : "Delete");
    button.setAttribute("aria-label", `${button.textContent}: ${analysis.prompt}`);
    const item = h("li", {}, link, h("span", { class: "chip", "data-status": analysis.status }, statusWords(analysis)), button);
    button.addEventListener("click", () => void this._remove(analysis, item));
    return item;
  }

  /** @param {AnalysisSummary} analysis @param {HTMLElement} item */
  async _remove(analysis, item) {
    try {
      const body = await deleteAnalysis(analysis.id);
      if (!("deleted" in body)) {
        item.replaceWith(this._item(body));
        return;
      }
      const next = item.nextElementSibling?.querySelector("a") ?? item.closest("dialog")?.querySelector("button");
      item.remove();
      (next ?? byId("open-history")).focus();
      this._onGone(analysis.id);
    } catch (error) {
      item.append(h("p", { class: "problem", role: "alert" }, wordsOf(error)));
    }
  }
}

/** @param {AnalysisSummary} analysis */
function statusWords({ status, progress }) {
  return status === "running" && progress.num_chunks ? `${progress.chunks_done} of ${progress.num_chunks}` : status;
}

/** @param {number} unixSeconds */
function ago(unixSeconds) {
  const seconds = Date.now() / 1000 - unixSeconds;
  if (seconds < 60) return "just now";
  if (seconds < 86_400) return `${span(seconds)} ago`;
  return new Date(unixSeconds * 1000).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}
