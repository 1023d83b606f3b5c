/** The timeline's ruler. */

import { clock } from "../text/times.js";
import { byId, h } from "./dom.js";

const STEPS_SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
const LONGEST_STEP_SECONDS = 14400;
/** The least space between two ticks. */
const TICK_PX = 84;

/** @param {number} durationSeconds @param {number} widthPx of the whole timeline */
export function drawRuler(durationSeconds, widthPx) {
  const step = STEPS_SECONDS.find((seconds) => (seconds / durationSeconds) * widthPx >= TICK_PX) ?? LONGEST_STEP_SECONDS;
  const ticks = [];
  // The last tick is the video's end; none stands right before it.
  for (let seconds = 0; seconds < durationSeconds - step * 0.4; seconds += step) {
    const tick = h("span", {}, clock(seconds));
    tick.style.setProperty("--at", `${(seconds / durationSeconds) * 100}%`);
    ticks.push(tick);
  }
  ticks.push(h("span", { class: "is-last" }, clock(durationSeconds)));
  byId("ruler").replaceChildren(...ticks);
}
