/** Places of times in a text. The server finds the times and counts code points; JavaScript counts UTF-16 code units. */

/** @import { ChunkTime, Citation } from "../../types/bodies.js" */

/**
 * @typedef {object} PlacedTime A time that a text gives
 * @property {number} seconds
 * @property {number} start in UTF-16 code units
 * @property {number} stop
 * @property {boolean} isDoubtful whether no chunk's answer supports it
 */

/**
 * The times of a text that lie within the video, in the order of the text.
 * @param {string} text
 * @param {(ChunkTime | Citation)[]} found
 * @param {number} durationSeconds
 * @returns {PlacedTime[]}
 */
export function placedTimes(text, found, durationSeconds) {
  const units = codeUnits(text);
  return found.flatMap((time) => {
    const [start, stop] = [units[time.start], units[time.stop]];
    if (start === undefined || stop === undefined) return [];
    if (time.time > durationSeconds + 1) return []; // the player cannot seek there
    return [{ seconds: time.time, start, stop, isDoubtful: "supported" in time && !time.supported }];
  });
}

/** @param {string} text @returns {number[]} where each code point starts, in code units, and where the text ends */
function codeUnits(text) {
  const places = [];
  let place = 0;
  for (const character of text) {
    places.push(place);
    place += character.length;
  }
  return [...places, place];
}
