/** Times in words, and words that are times. All are seconds from the first frame. */

/**
 * @typedef {object} Mention A time that a text names
 * @property {number} start where it begins in the text
 * @property {number} stop where it ends
 * @property {number} seconds
 */

/**
 * @typedef {object} TimedLine
 * @property {number | null} seconds the time that the line begins with
 * @property {string} text the line without it
 */

/**
 * `4:07`, or `1:04:07` from an hour on.
 * @param {number} seconds
 */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/**
 * A time span as people say it: `0.8 s`, `12 s`, `4 min`, `1 h 20 min`.
 * @param {number} seconds
 */
export function span(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

/**
 * What someone typed: `90`, `1:30` or `1:02:03`; NaN where it is no time.
 * @param {string} text
 */
export function parseTime(text) {
  const parts = text.trim().split(":");
  if (parts.length > 3 || !parts.every((part) => /^\d+(\.\d+)?$/.test(part))) return NaN;
  return parts.reduce((sum, part) => sum * 60 + Number(part), 0);
}

const CLOCK = /\[?(?<![\d:.])(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d(?:\.\d+)?)(?![\d:])\]?/g;
// As the embedded model lists scenes: `0.2 white star. 6.3 magenta circle.`
const LEADING = /(?<=(?:^|\n)\s*(?:[-*•]\s+)?|[.!?;]\s+)\d{1,6}\.\d+(?=\s+\p{L})/gu;
const BULLET = /^\s*(?:[-*•]\s+|\d+[.)]\s+)?$/;
const WITH_UNIT = /(?<![\d:.])\d{1,6}(?:\.\d+)?(?=\s?(?:s|sec|seconds?)\b)/g;

/**
 * The times that a text names, in order, as far as the video goes.
 * @param {string} text
 * @param {number} durationSeconds
 * @returns {Mention[]}
 */
export function mentions(text, durationSeconds) {
  const found = [...clocks(text), ...numbers(text, LEADING), ...numbers(text, WITH_UNIT)];
  const within = found.filter((mention) => mention.seconds <= durationSeconds + 1);
  within.sort((a, b) => a.start - b.start);
  return within.filter((mention, place) => place === 0 || mention.start >= within[place - 1].stop);
}

/**
 * The lines of a text; one that runs on as `0.2 white star. 6.3 magenta circle.` has one for each time.
 * @param {string} text
 * @param {number} durationSeconds
 * @returns {TimedLine[]}
 */
export function timedLines(text, durationSeconds) {
  const lines = text.split("\n").flatMap((line) => cut(line, durationSeconds));
  return lines.filter((line) => line.trim()).map((line) => {
    const [first] = mentions(line, durationSeconds);
    const isLeading = first && BULLET.test(line.slice(0, first.start));
    return isLeading ? { seconds: first.seconds, text: rest(line, first.stop) } : { seconds: null, text: line.trim() };
  });
}

/** A line for each time at the start of a sentence. @param {string} line @param {number} durationSeconds */
function cut(line, durationSeconds) {
  const leading = numbers(line, LEADING).filter((mention) => mention.seconds <= durationSeconds + 1);
  const cuts = leading.map((mention) => mention.start).filter((start) => !BULLET.test(line.slice(0, start)));
  return [0, ...cuts].map((start, place) => line.slice(start, cuts[place] ?? line.length));
}

/** @param {string} line @param {number} start */
function rest(line, start) {
  return line.slice(start).replace(/^\s*[:–—-]?\s*/, "").trim();
}

/** @param {string} text @returns {Mention[]} */
function clocks(text) {
  return [...text.matchAll(CLOCK)].map((match) => ({
    start: match.index,
    stop: match.index + match[0].length,
    seconds: Number(match[1] ?? 0) * 3600 + Number(match[2]) * 60 + Number(match[3]),
  }));
}

/** @param {string} text @param {RegExp} pattern @returns {Mention[]} */
function numbers(text, pattern) {
  return [...text.matchAll(pattern)].map((match) => ({
    start: match.index,
    stop: match.index + match[0].length,
    seconds: Number(match[0]),
  }));
}
