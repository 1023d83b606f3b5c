/** An analysis as a file: JSON, Markdown, SubRip. */

import { orderedResults } from "./analysis.js";
import { h } from "./dom.js";
import { clock, timedLines } from "./times.js";

const LAST_LINE_SECONDS = 4;

/**
 * A button for each format.
 * @param {import("./analysis.js").Analysis} analysis
 */
export function downloadButtons(analysis) {
  const formats = [
    ["JSON", "json", "application/json", () => JSON.stringify(analysis.result, null, 2)],
    ["Markdown", "md", "text/markdown", () => markdown(analysis)],
    ["SRT", "srt", "application/x-subrip", () => subRip(analysis)],
  ];
  return formats.map(([name, suffix, type, content]) =>
    h("button", { type: "button", class: "quiet", onclick: () => save(`${stem(analysis.video)}.${suffix}`, type, content()) }, name),
  );
}

/** @param {import("./analysis.js").Analysis} analysis */
export function markdown(analysis) {
  const { result } = analysis;
  const uncovered = result.coverage.uncovered.map((/** @type {number[]} */ [a, b]) => `${clock(a)}–${clock(b)}`).join(", ");
  const lines = [
    `# ${analysis.prompt}`,
    `${analysis.video}, ${clock(result.video_info.duration)}. Model: ${result.model}. Frames looked at: ${result.coverage.frames_used}. Not covered: ${uncovered || "nothing"}.`,
    result.aggregated_response ?? "",
    "## Chunk by chunk",
    ...orderedResults(analysis).map(
      (chunk) => `**${clock(chunk.start_time)}–${clock(chunk.end_time)}** ${chunk.success ? chunk.response : `Failed: ${chunk.error.message}`}`,
    ),
    ...(result.notice ? [`> ${result.notice}`] : []),
  ];
  return `${lines.filter(Boolean).join("\n\n")}\n`;
}

/**
 * Each line of the answer at its time; of an answer without times, what was said of each chunk.
 * @param {import("./analysis.js").Analysis} analysis
 */
export function subRip(analysis) {
  const duration = analysis.result.video_info.duration;
  const lines = timedLines(analysis.answer, duration).filter((line) => line.seconds !== null && line.text);
  const timed = lines.map((line) => ({ start: line.seconds ?? 0, text: line.text })).sort((a, b) => a.start - b.start);
  const last = (/** @type {number} */ start) => Math.min(duration, start + LAST_LINE_SECONDS);
  const cues = timed.length
    ? timed.map((line, place) => ({ ...line, stop: timed[place + 1]?.start ?? last(line.start) }))
    : orderedResults(analysis)
        .filter((chunk) => chunk.success)
        .map((chunk) => ({ start: chunk.start_time, stop: chunk.end_time, text: chunk.response }));
  return cues.map((cue, place) => `${place + 1}\n${stamp(cue.start)} --> ${stamp(cue.stop)}\n${cue.text.replace(/\n+/g, "\n")}\n`).join("\n");
}

/** @param {number} seconds */
function stamp(seconds) {
  const ms = Math.round(seconds * 1000);
  const pad = (/** @type {number} */ n, width = 2) => String(n).padStart(width, "0");
  return `${pad(Math.floor(ms / 3_600_000))}:${pad(Math.floor(ms / 60_000) % 60)}:${pad(Math.floor(ms / 1000) % 60)},${pad(ms % 1000, 3)}`;
}

/** @param {string} video */
function stem(video) {
  return (video.split(/[/\\]/).pop() ?? "").replace(/\.\w{2,4}$/, "").replace(/[^\w.-]+/g, "-") || "answer";
}

/** @param {string} name @param {string} type @param {string} content */
function save(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000); // the download has begun by then
}
