/** Answers as paragraphs, lists and times to click on. */

import { h } from "./dom.js";
import { clock, mentions, timedLines } from "./times.js";

/**
 * What a model wrote, as elements. Of Markdown it knows lists and **bold**; everything else is shown as it stands.
 * @param {string} text
 * @param {number} durationSeconds of the video: a later time is no link
 * @param {(seconds: number) => void} onSeek
 * @returns {HTMLElement[]}
 */
export function prose(text, durationSeconds, onSeek) {
  /** @type {HTMLElement[]} */
  const blocks = [];
  const list = (/** @type {string} */ name) => {
    const last = blocks.at(-1);
    if (last?.className === name) return last;
    blocks.push(h("ul", { class: name }));
    return blocks.at(-1);
  };
  for (const line of timedLines(text, durationSeconds)) {
    const bullet = line.text.match(/^(?:[-*•]|\d+[.)])\s+(.*)$/s);
    if (line.seconds !== null) {
      const time = timeButton(line.seconds, clock(line.seconds), onSeek);
      list("timed")?.append(h("li", {}, time, h("span", {}, ...inline(line.text, durationSeconds, onSeek))));
    } else if (bullet) {
      list("bullets")?.append(h("li", {}, ...inline(bullet[1], durationSeconds, onSeek)));
    } else {
      blocks.push(h("p", {}, ...inline(line.text.replace(/^#+\s+/, ""), durationSeconds, onSeek)));
    }
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

/** @param {string} text @param {number} durationSeconds @param {(seconds: number) => void} onSeek @returns {(Node | string)[]} */
function inline(text, durationSeconds, onSeek) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let end = 0;
  for (const mention of mentions(text, durationSeconds)) {
    parts.push(...bold(text.slice(end, mention.start)));
    parts.push(timeButton(mention.seconds, text.slice(mention.start, mention.stop), onSeek));
    end = mention.stop;
  }
  return [...parts, ...bold(text.slice(end))];
}

/** @param {string} text @returns {(Node | string)[]} */
function bold(text) {
  return text.split(/\*\*(.+?)\*\*/s).map((part, place) => (place % 2 ? h("strong", {}, part) : part));
}
