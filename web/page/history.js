/** Analyses that the server has kept: open again, cancel, delete. */

import { videoName } from "./analysis.js";
import { deleteAnalysis, listAnalyses } from "./api.js";
import { byId, h } from "./dom.js";
import { span } from "./times.js";

const PAGE = 20;
const RECENT = 5;
const UNDER_WAY = ["queued", "running"];

export class History {
  /** @param {(id: string) => void} onGone */
  constructor(onGone) {
    this._onGone = onGone;
    /** @type {string | null} */
    this._last = null;
    byId("open-history").addEventListener("click", () => this.open());
    byId("history-more").addEventListener("click", () => this._more());
  }

  async open() {
    byId("history").showModal();
    byId("history-list").replaceChildren();
    this._last = null;
    await this._more();
  }

  /** The latest ones, on the page that one starts from. */
  async showRecent() {
    try {
      const { data } = await listAnalyses({ limit: RECENT });
      byId("recent-list").replaceChildren(...data.map((analysis) => this._item(analysis)));
      byId("recent").hidden = !data.length;
    } catch {
      byId("recent").hidden = true; // History says why, where one asks for it
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
      words.textContent = byId("history-list").children.length ? "" : "Nothing was asked yet.";
    } catch (error) {
      words.textContent = /** @type {Error} */ (error).message;
      byId("history-more").hidden = true;
    }
  }

  /** @param {any} analysis */
  _item(analysis) {
    const isUnderWay = UNDER_WAY.includes(analysis.status);
    const link = h(
      "a",
      { href: `#${analysis.id}`, onclick: () => byId("history").close() },
      h("span", { class: "history-list__prompt" }, analysis.prompt),
      h("span", { class: "facts" }, `${videoName(analysis)} · ${ago(analysis.created_at)}`),
    );
    const button = h("button", { type: "button", class: "quiet" }, isUnderWay ? "Cancel" : "Delete");
    button.setAttribute("aria-label", `${button.textContent}: ${analysis.prompt}`);
    const item = h("li", {}, link, h("span", { class: "chip", "data-status": analysis.status }, statusWords(analysis)), button);
    button.addEventListener("click", () => this._remove(analysis, item));
    return item;
  }

  /** @param {any} analysis @param {HTMLElement} item */
  async _remove(analysis, item) {
    try {
      const body = await deleteAnalysis(analysis.id);
      if (!body.deleted) return item.replaceWith(this._item(body));
      const next = item.nextElementSibling?.querySelector("a") ?? item.closest("dialog")?.querySelector("button");
      item.remove();
      (next ?? byId("open-history")).focus();
      this._onGone(analysis.id);
    } catch (error) {
      item.append(h("p", { class: "problem", role: "alert" }, /** @type {Error} */ (error).message));
    }
  }
}

/** @param {any} analysis */
function statusWords({ status, progress }) {
  return status === "running" && progress?.num_chunks ? `${progress.chunks_done} of ${progress.num_chunks}` : status;
}

/** @param {number} unixSeconds */
function ago(unixSeconds) {
  const seconds = Date.now() / 1000 - unixSeconds;
  if (seconds < 60) return "just now";
  if (seconds < 86_400) return `${span(seconds)} ago`;
  return new Date(unixSeconds * 1000).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}
