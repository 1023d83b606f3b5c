/** A model's text as paragraphs, lists and times to click on. */

import { linesOf } from "../text/lines.js";
import { clock } from "../text/times.js";
import { h } from "./dom.js";

/** @import { Line } from "../text/lines.js" */
/** @import { PlacedTime } from "../text/places.js" */
/** @typedef {(seconds: number) => void} OnSeek */

const SHORT_CHARACTERS = 30;

/**
 * Turn a text into elements. Lists and **bold** are understood; other Markdown is shown as written.
 * @param {string} text
 * @param {PlacedTime[]} times that the text gives, in its order
 * @param {OnSeek} onSeek
 * @returns {HTMLElement[]}
 */
export function prose(text, times, onSeek) {
  /** @type {HTMLElement[]} */
  const blocks = [];
  for (const line of linesOf(text, times)) {
    const words = inline(text, line, times, onSeek);
    if (line.kind === "paragraph") {
      blocks.push(h("p", {}, ...words));
    } else if (line.time) {
      listAtEnd(blocks, "timed").append(h("li", {}, link(line.time, clock(line.time.seconds), onSeek), h("span", {}, ...words)));
    } else {
      listAtEnd(blocks, "bullets").append(h("li", {}, ...words));
    }
  }
  for (const block of blocks.filter((block) => block.className === "timed")) {
    block.toggleAttribute("data-short", [...block.children].every(isShort));
  }
  return blocks;
}

/**
 * @param {number} seconds
 * @param {string} label
 * @param {OnSeek} onSeek
 */
export function timeButton(seconds, label, onSeek) {
  return h("button", { type: "button", class: "time", title: "Go there in the video", onclick: () => onSeek(seconds) }, label);
}

/** @param {HTMLElement[]} blocks @param {"timed" | "bullets"} name @returns {HTMLElement} the last block, or a new one */
function listAtEnd(blocks, name) {
  const last = blocks.at(-1);
  if (last?.className === name) return last;
  const list = h("ul", { class: name });
  blocks.push(list);
  return list;
}

/** @param {Element} item of a timed list */
function isShort(item) {
  return (item.lastChild?.textContent ?? "").length <= SHORT_CHARACTERS;
}

/** @param {PlacedTime} time @param {string} label @param {OnSeek} onSeek */
function link(time, label, onSeek) {
  const button = timeButton(time.seconds, label, onSeek);
  if (!time.isDoubtful) return button;
  button.classList.add("is-doubtful");
  button.title = "No chunk’s answer bears this time out";
  button.append(h("span", { class: "unseen" }, " (not borne out by a chunk’s answer)"));
  return button;
}

/**
 * @param {string} text
 * @param {Line} line
 * @param {PlacedTime[]} times
 * @param {OnSeek} onSeek
 * @returns {(Node | string)[]}
 */
function inline(text, line, times, onSeek) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let end = line.start;
  for (const time of times) {
    if (time.start < line.start || time.stop > line.stop) continue;
    parts.push(...bold(text.slice(end, time.start)), link(time, text.slice(time.start, time.stop), onSeek));
    end = time.stop;
  }
  return [...parts, ...bold(text.slice(end, line.stop))];
}

/** @param {string} text @returns {(Node | string)[]} */
function bold(text) {
  return text.split(/\*\*(.+?)\*\*/s).map((part, place) => (place % 2 ? h("strong", {}, part) : part));
}
