/** The lines of a model's text: timed ones, list items and paragraphs. */

/** @import { PlacedTime } from "./places.js" */

/**
 * A line, and the place of its words in the text.
 * @typedef {object} Line
 * @property {"timed" | "item" | "paragraph"} kind
 * @property {PlacedTime | null} time the one that a timed line starts with; its words come after it
 * @property {number} start
 * @property {number} stop
 */

const LIST_MARK = /^\s*(?:[-*•]\s+|\d+[.)]\s+)?$/;
const ITEM = /^\s*(?:[-*•]|\d+[.)])\s+/;
const HEADING = /^\s*#+\s+/;
const SENTENCE_END = /[.!?;]["')\]]*\s+$/;
/** The most characters from the end of a sentence to the next. */
const SENTENCE_GAP = 16;
const AFTER_TIME = /^\s*[:–—-]?\s*/;

/**
 * Cut a text into lines. Besides line breaks, every sentence that starts with a time starts a line.
 * @param {string} text
 * @param {PlacedTime[]} times in the order of the text
 * @returns {Line[]}
 */
export function linesOf(text, times) {
  const cuts = times.map((time) => time.start).filter((place) => isSentenceStart(text, place));
  const breaks = [...text.matchAll(/\n/g)].map((match) => match.index + 1);
  const starts = [...new Set([0, ...cuts, ...breaks])].sort((a, b) => a - b);
  return starts
    .map((start, place) => lineOf(text, start, starts[place + 1] ?? text.length, times))
    .filter((line) => line.time || text.slice(line.start, line.stop));
}

/** @param {string} text @param {number} place */
function isSentenceStart(text, place) {
  const lineStart = place ? text.lastIndexOf("\n", place - 1) + 1 : 0;
  const gap = text.slice(Math.max(lineStart, place - SENTENCE_GAP), place);
  return SENTENCE_END.test(gap) && !LIST_MARK.test(text.slice(lineStart, place));
}

/** @param {string} text @param {number} start @param {number} stop @param {PlacedTime[]} times @returns {Line} */
function lineOf(text, start, stop, times) {
  const line = text.slice(start, stop).trimEnd();
  const end = start + line.length;
  const first = times.find((time) => time.start >= start && time.stop <= end);
  if (first && LIST_MARK.test(text.slice(start, first.start))) {
    return { kind: "timed", time: first, start: first.stop + lengthOf(AFTER_TIME, text.slice(first.stop, end)), stop: end };
  }
  const mark = lengthOf(ITEM, line);
  if (mark) return { kind: "item", time: null, start: start + mark, stop: end };
  const indent = lengthOf(HEADING, line) || lengthOf(/^\s+/, line);
  return { kind: "paragraph", time: null, start: Math.min(start + indent, end), stop: end };
}

/** @param {RegExp} pattern @param {string} text @returns {number} of what the pattern matches */
function lengthOf(pattern, text) {
  return text.match(pattern)?.[0].length ?? 0;
}
