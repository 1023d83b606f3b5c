/** The plan in words and figures. */

import { span, clock } from "../text/times.js";
import { byId, h } from "./dom.js";

/** @import { Estimate, Plan, VideoInfo } from "../../types/bodies.js" */

/** @param {Plan | null} plan @param {boolean} isPlanning */
export function showPlanWords(plan, isPlanning) {
  byId("plan-words").textContent = plan ? planWords(plan) : isPlanning ? "Planning …" : "";
  byId("video-facts").textContent = plan ? videoWords(plan.video_info) : "";
  byId("timeline").toggleAttribute("data-loading", isPlanning);
}

/** Show what asking would cost. @param {Estimate | null} estimate */
export function showEstimate(estimate) {
  byId("plan").hidden = !estimate;
  if (estimate) byId("plan").replaceChildren(...figuresOf(estimate).map(figureElement));
}

/** @param {Estimate} estimate @returns {[term: string, figure: string, more: string][]} */
function figuresOf(estimate) {
  const expected = estimate.expected_seconds === null ? "not known yet" : `about ${span(estimate.expected_seconds)}`;
  return [
    ["Chunks", estimate.num_chunks.toLocaleString("en"), ""],
    ["Frames", estimate.num_frames.toLocaleString("en"), `${estimate.effective_fps.toFixed(1)} a second of video`],
    ["Tokens to read", estimate.prompt_tokens.toLocaleString("en"), `${estimate.visual_tokens.toLocaleString("en")} of them visual`],
    ["Takes", expected, estimate.expected.basis],
  ];
}

/** @param {[term: string, figure: string, more: string]} figure */
function figureElement([term, figure, more]) {
  return h("div", {}, h("dt", {}, term), h("dd", {}, figure), more ? h("dd", { class: "facts" }, more) : null);
}

/** @param {VideoInfo} video */
function videoWords(video) {
  return `${clock(video.duration)} · ${video.width}×${video.height} · ${video.codec} · ${Math.round(video.fps * 100) / 100} frames a second`;
}

/** @param {Plan} plan */
function planWords(plan) {
  const frames = plan.chunks.reduce((sum, chunk) => sum + chunk.num_frames, 0);
  const chunks = plan.num_chunks === 1 ? "1 chunk" : `${plan.num_chunks} chunks of up to ${span(plan.chunk_duration)}`;
  return `${chunks} · ${frames.toLocaleString("en")} frames`;
}
