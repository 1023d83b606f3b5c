/** Answers as paragraphs, lists and times to click on. */

import { h } from "./dom.js";
import { clock, mentions, timedLines } from "./times.js";

const SHORT_CHARACTERS = 30;

/** @typedef {{time: number}} Unsupported a time that no chunk's answer bears out */

/**
 * What a model wrote, as elements. Of Markdown it knows lists and **bold**; everything else is shown as it stands.
 * @param {string} text
 * @param {number} durationSeconds of the video: a later time is no link
 * @param {(seconds: number) => void} onSeek
 * @param {Unsupported[]} [unsupported]
 * @returns {HTMLElement[]}
 */
export function prose(text, durationSeconds, onSeek, unsupported = []) {
  /** @type {HTMLElement[]} */
  const blocks = [];
  const list = (/** @type {string} */ name) => {
    const last = blocks.at(-1);
    if (last?.className === name) return last;
    blocks.push(h("ul", { class: name }));
    return blocks.at(-1);
  };
  const link = (/** @type {number} */ seconds, /** @type {string} */ label) =>
    unsupported.some((citation) => Math.abs(citation.time - seconds) < 0.05)
      ? doubtful(timeButton(seconds, label, onSeek))
      : timeButton(seconds, label, onSeek);
  for (const line of timedLines(text, durationSeconds)) {
    const bullet = line.text.match(/^(?:[-*•]|\d+[.)])\s+(.*)$/s);
    if (line.seconds !== null) {
      const words = h("span", {}, ...inline(line.text, durationSeconds, link));
      list("timed")?.append(h("li", {}, link(line.seconds, clock(line.seconds)), words));
    } else if (bullet) {
      list("bullets")?.append(h("li", {}, ...inline(bullet[1], durationSeconds, link)));
    } else {
      blocks.push(h("p", {}, ...inline(line.text.replace(/^#+\s+/, ""), durationSeconds, link)));
    }
  }
  for (const block of blocks.filter((block) => block.className === "timed")) {
    const isShort = [...block.children].every((item) => (item.lastChild?.textContent ?? "").length <= SHORT_CHARACTERS);
    block.toggleAttribute("data-short", isShort);
  }
  return blocks;
}

/**
 * @param {number} seconds
 * @param {string} label
 * @param {(seconds: number) => void} onSeek
 */
export function timeButton(seconds, label, onSeek) {
  return h("button", { type: "button", class: "time", title: "Go there in the video", onclick: () => onSeek(seconds) }, label);
}

/** @param {HTMLElement} time */
function doubtful(time) {
  time.classList.add("is-doubtful");
  time.title = "No chunk’s answer bears this time out";
  time.append(h("span", { class: "unseen" }, " (not borne out by a chunk’s answer)"));
  return time;
}

/**
 * @param {string} text
 * @param {number} durationSeconds
 * @param {(seconds: number, label: string) => HTMLElement} link
 * @returns {(Node | string)[]}
 */
function inline(text, durationSeconds, link) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let end = 0;
  for (const mention of mentions(text, durationSeconds)) {
    parts.push(...bold(text.slice(end, mention.start)));
    parts.push(link(mention.seconds, text.slice(mention.start, mention.stop)));
    end = mention.stop;
  }
  return [...parts, ...bold(text.slice(end))];
}

/** @param {string} text @returns {(Node | string)[]} */
function bold(text) {
  return text.split(/\*\*(.+?)\*\*/s).map((part, place) => (place % 2 ? h("strong", {}, part) : part));
}
