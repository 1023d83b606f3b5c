/** Questions about one video, and their answers while they are written. */

import { isUnderWay, orderedResults } from "./analysis.js";
import { byId, h } from "./dom.js";
import { downloadButtons } from "./downloads.js";
import { prose } from "./prose.js";
import { clock, span } from "./times.js";

/**
 * @typedef {object} Actions
 * @property {(seconds: number) => void} onSeek
 * @property {(id: string) => void} onShow
 * @property {(id: string) => void} onCancel
 */

export class Thread {
  /** @param {Actions} actions */
  constructor(actions) {
    this._actions = actions;
    /** @type {Map<string, {article: HTMLElement, shown: string}>} */
    this._turns = new Map();
  }

  /**
   * @param {import("./analysis.js").Analysis[]} analyses in the order in which they were asked
   * @param {string | null} shownId the one that the timeline shows
   */
  show(analyses, shownId) {
    for (const [id, turn] of this._turns) {
      if (analyses.some((analysis) => analysis.id === id)) continue;
      turn.article.remove();
      this._turns.delete(id);
    }
    analyses.forEach((analysis, place) => {
      const turn = this._turns.get(analysis.id) ?? this._added(analysis, place);
      const looks = `${looksOf(analysis)} ${analysis.id === shownId} ${analyses.length}`;
      if (turn.shown === looks) return;
      turn.shown = looks;
      this._fill(turn.article, analysis, analyses, shownId);
    });
  }

  /** Scrolls to the one that was just asked. @param {string} id */
  reveal(id) {
    this._turns.get(id)?.article.scrollIntoView({ block: "nearest" });
  }

  /** @param {import("./analysis.js").Analysis} analysis @param {number} place */
  _added(analysis, place) {
    const article = h("article", { class: "turn", "data-id": analysis.id });
    byId("thread").insertBefore(article, byId("thread").children[place] ?? null);
    const turn = { article, shown: "" };
    this._turns.set(analysis.id, turn);
    return turn;
  }

  /**
   * @param {HTMLElement} article
   * @param {import("./analysis.js").Analysis} analysis
   * @param {import("./analysis.js").Analysis[]} all
   * @param {string | null} shownId
   */
  _fill(article, analysis, all, shownId) {
    article.dataset.status = analysis.status;
    article.toggleAttribute("data-marked", analysis.id === shownId && all.length > 1);
    const hadFocus = article.contains(document.activeElement);
    article.replaceChildren(
      h("h3", { class: "turn__question" }, analysis.prompt),
      analysis.result ? h("p", { class: "facts" }, costWords(analysis, all.slice(0, all.indexOf(analysis)))) : "",
      ...this._body(analysis),
      ...this._tools(analysis, all.length > 1),
    );
    if (hadFocus) article.querySelector("button")?.focus({ preventScroll: true });
  }

  /** @param {import("./analysis.js").Analysis} analysis */
  _body(analysis) {
    const duration = analysis.plan?.video_info.duration ?? Infinity;
    const parts = isUnderWay(analysis) ? [this._progress(analysis)] : [];
    if (analysis.answer) {
      const unsupported = (analysis.result?.citations ?? []).filter((/** @type {any} */ citation) => !citation.supported);
      const answer = h("div", { class: "prose answer" }, ...prose(analysis.answer, duration, this._actions.onSeek, unsupported));
      answer.toggleAttribute("data-writing", isUnderWay(analysis));
      return [...parts, answer];
    }
    if (analysis.status === "failed") return [h("p", { class: "problem", role: "alert" }, analysis.problem)];
    if (analysis.status === "cancelled") return [h("p", { class: "facts" }, "Cancelled. What was answered until then stands below.")];
    if (analysis.result) return [h("p", { class: "problem" }, withoutAnswer(analysis.result))];
    const latest = [...analysis.chunks.values()].filter((result) => result.success).at(-1);
    if (!latest) return parts;
    const head = h("p", { class: "facts" }, `The latest, ${clock(latest.start_time)} to ${clock(latest.end_time)}:`);
    return [...parts, h("div", { class: "note prose" }, head, ...prose(latest.response, duration, this._actions.onSeek))];
  }

  /** @param {import("./analysis.js").Analysis} analysis */
  _progress(analysis) {
    const total = analysis.plan?.num_chunks ?? 0;
    const done = analysis.chunks.size;
    return h(
      "div",
      { class: "going" },
      h("span", { class: "facts", id: `going-${analysis.id}` }, goingWords(analysis)),
      h("progress", { max: total || 1, ...(total ? { value: done } : {}), "aria-labelledby": `going-${analysis.id}` }),
      h("button", { type: "button", class: "quiet", onclick: () => this._actions.onCancel(analysis.id) }, "Cancel"),
    );
  }

  /** @param {import("./analysis.js").Analysis} analysis @param {boolean} isOneOfSeveral */
  _tools(analysis, isOneOfSeveral) {
    if (isUnderWay(analysis)) return [];
    const onclick = () => this._actions.onShow(analysis.id);
    const show = isOneOfSeveral ? [h("button", { type: "button", class: "quiet", onclick }, "On the timeline")] : [];
    const tools = [...(analysis.result ? downloadButtons(analysis) : []), ...show];
    return tools.length ? [h("div", { class: "turn__tools" }, ...tools)] : [];
  }
}

/** @param {import("./analysis.js").Analysis} analysis */
export function goingWords(analysis) {
  if (!analysis.isConnected) return "Connection lost; the analysis goes on. Connecting again …";
  if (!analysis.plan) return analysis.status === "queued" ? "Waiting for its turn" : "Planning";
  if (analysis.answer) return "Writing the answer";
  if (analysis.isMerging) return "Merging";
  return `${analysis.chunks.size} of ${analysis.plan.num_chunks} chunks`;
}

/** What an article shows, as a text that changes with it. @param {import("./analysis.js").Analysis} analysis */
function looksOf(analysis) {
  return [analysis.status, goingWords(analysis), analysis.answer.length, analysis.chunks.size, Boolean(analysis.result)].join(" ");
}

/** @param {any} result */
function withoutAnswer(result) {
  if (result.aggregation_error) return `The chunk answers could not be merged: ${result.aggregation_error} They stand below.`;
  return result.success ? "The chunk answers stand below, unmerged." : "No chunk could be answered; the reasons stand below.";
}

/**
 * What the answer cost, and what earlier questions saved it.
 * @param {import("./analysis.js").Analysis} analysis
 * @param {import("./analysis.js").Analysis[]} before
 */
function costWords({ result, ...analysis }, before) {
  const results = orderedResults({ result, ...analysis });
  const seconds = result.total_processing_time;
  const words = [`${span(seconds)} for ${clock(result.video_info.duration)} of video`, `${result.coverage.frames_used} frames`];
  const answered = results.filter((chunk) => chunk.answer_reused).length;
  const decoded = results.filter((chunk) => chunk.decode_reused && !chunk.answer_reused).length;
  const share = (/** @type {number} */ number) => (number === results.length ? "all" : number);
  const cached = result.usage.prompt_tokens_details?.cached_tokens ?? 0;
  const first = before.find((other) => other.result)?.result.total_processing_time;
  if (first && seconds < first * 0.95) words.push(`${(first / seconds).toFixed(1)} times quicker than the first question`);
  if (answered) words.push(`answers of ${share(answered)} chunks kept from before`);
  if (decoded) words.push(`frames of ${share(decoded)} chunks kept from before`);
  if (cached) words.push(`${Math.round((cached / result.usage.prompt_tokens) * 100)} % of the prompt kept from before`);
  if (result.partial) words.push(`${result.total_successful_chunks} of ${result.num_chunks} chunks answered`);
  return words.join(" · ");
}
