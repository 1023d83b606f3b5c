/** The page: which video, which questions about it, and which of them is shown. */

import * as api from "./api.js";
import { apply, fromServer, isUnderWay } from "./analysis.js";
import { ChunkList } from "./chunks.js";
import { announce, byId, h } from "./dom.js";
import { History } from "./history.js";
import { chosenOptions, clearRange, markOption, watchOptions } from "./options.js";
import { Player } from "./player.js";
import { nextTheme, setUpSettings } from "./settings.js";
import { setUpShortcuts } from "./shortcuts.js";
import { metadataOf, sourceOf, sourceOfAnalysis, sourceOfFile } from "./source.js";
import { Stages } from "./stages.js";
import { Thread, goingWords } from "./thread.js";
import { Thumbnails } from "./thumbnails.js";
import { Timeline } from "./timeline.js";
import { clock, span } from "./times.js";
import { upload } from "./uploads.js";

const TYPING_MS = 350;
const DEFAULT_PROMPT = "What happens, and when?";
const EARLIER_QUESTIONS = 50;

/** What is on the desk. Everything on the screen follows from it, by `render`. */
const desk = {
  /** @type {import("./source.js").Source | null} */
  source: null,
  /** @type {any | null} what the server says it would do */
  estimate: null,
  isPlanning: false,
  /** @type {import("./analysis.js").Analysis[]} */
  analyses: [],
  /** @type {string | null} */
  shownId: null,
  /** Whether a question about it was sent: then its upload is no longer this page's alone. */
  isAsked: false,
  /** Ends everything that is under way for this video on the page. */
  leaving: new AbortController(),
};
/** @type {Promise<void>} settled when the file is on the server */
let uploaded = Promise.resolve();
let planningNow = new AbortController();
let planTimer = 0;
let isRenderDue = false;

const player = new Player((seconds) => timeline.moveTo(seconds));
const thumbnails = new Thumbnails();
const seek = (/** @type {number} */ seconds) => player.seek(seconds);
const timeline = new Timeline({ onSeek: seek, onThumbnail: (canvas, seconds) => thumbnails.draw(canvas, seconds) });
const chunkList = new ChunkList(seek);
const stages = new Stages(seek);
const thread = new Thread({ onSeek: seek, onShow: showAnalysis, onCancel: cancel });
const history = new History((id) => id === desk.shownId && start());

function render() {
  if (isRenderDue) return;
  isRenderDue = true;
  // Not requestAnimationFrame: it stands still in a tab that is not looked at, and a long analysis goes on there.
  setTimeout(() => {
    isRenderDue = false;
    draw();
  }, 16);
}

function draw() {
  const analysis = desk.analyses.find((other) => other.id === desk.shownId) ?? null;
  const plan = analysis?.plan ?? desk.estimate?.plan ?? null;
  timeline.show(plan, analysis);
  chunkList.show(analysis);
  stages.show(analysis);
  thread.show(desk.analyses, desk.shownId);
  byId("plan-words").textContent = planWords(plan);
  showPlan(analysis ? null : desk.estimate);
  byId("video-facts").textContent = plan ? videoWords(plan.video_info) : "";
  byId("prompt-label").textContent = desk.analyses.length ? "Ask something else about it" : "What do you want to know?";
  byId("timeline").toggleAttribute("data-loading", desk.isPlanning);
}

/** @param {any} video */
function videoWords(video) {
  return `${clock(video.duration)} · ${video.width}×${video.height} · ${video.codec} · ${Math.round(video.fps * 100) / 100} frames a second`;
}

/** @param {any | null} plan */
function planWords(plan) {
  if (!plan) return desk.isPlanning ? "Planning …" : "";
  const frames = plan.chunks.reduce((/** @type {number} */ sum, /** @type {any} */ chunk) => sum + chunk.num_frames, 0);
  const chunks = plan.num_chunks === 1 ? "1 chunk" : `${plan.num_chunks} chunks of up to ${span(plan.chunk_duration)}`;
  return `${chunks} · ${frames.toLocaleString("en")} frames`;
}

/** What asking would take. @param {any | null} estimate */
function showPlan(estimate) {
  byId("plan").hidden = !estimate;
  if (!estimate) return;
  const expected = estimate.expected_seconds === null ? "not known yet" : `about ${span(estimate.expected_seconds)}`;
  const figures = [
    ["Chunks", estimate.num_chunks.toLocaleString("en"), ""],
    ["Frames", estimate.num_frames.toLocaleString("en"), `${estimate.effective_fps.toFixed(1)} a second of video`],
    ["Tokens to read", estimate.prompt_tokens.toLocaleString("en"), `${estimate.visual_tokens.toLocaleString("en")} of them visual`],
    ["Takes", expected, estimate.expected.basis],
  ];
  byId("plan").replaceChildren(
    ...figures.map(([term, figure, more]) => h("div", {}, h("dt", {}, term), h("dd", {}, figure), more ? h("dd", { class: "facts" }, more) : null)),
  );
}

/** @param {import("./source.js").Source} source */
function putOnDesk(source) {
  leave();
  Object.assign(desk, { source, estimate: null, isPlanning: false, analyses: [], shownId: null, isAsked: false, leaving: new AbortController() });
  clearRange();
  showView("desk");
  byId("video-name").textContent = source.name;
  document.title = `${source.name} · Longtake`;
  player.show(source);
  thumbnails.load(source.playable);
  problem("ask-problem", null);
  render();
}

/** Lets go of the video; what the server does for it goes on. */
function leave() {
  desk.leaving.abort();
  planningNow.abort();
  const { source } = desk;
  if (source?.file && source.playable) URL.revokeObjectURL(source.playable);
  // Nobody asked about this upload, and nobody else knows of it.
  if (source?.file && source.fileId && !desk.isAsked) api.deleteFile(source.fileId).catch(() => {});
}

/** The page as it opens. */
function start() {
  leave();
  player.clear();
  thumbnails.load(null);
  Object.assign(desk, { source: null, estimate: null, isPlanning: false, analyses: [], shownId: null });
  showView("start");
  document.title = "Longtake";
  if (location.hash) window.history.pushState(null, "", location.pathname + location.search);
  history.showRecent();
}

/** @param {"start" | "desk"} view */
function showView(view) {
  byId("start").hidden = view !== "start";
  byId("desk").hidden = view !== "desk";
  byId("upload").hidden = true;
  window.scrollTo(0, 0);
}

/** @param {File} file */
function openFile(file) {
  if (location.hash) window.history.pushState(null, "", location.pathname + location.search);
  const source = sourceOfFile(file);
  putOnDesk(source);
  uploaded = send(source);
  uploaded.then(
    () => plan(),
    (error) => error.name !== "AbortError" && problem("ask-problem", error),
  );
  byId("prompt").focus();
}

/** @param {import("./source.js").Source} source a file */
async function send(source) {
  const { signal } = desk.leaving;
  const [bar, words] = [byId("upload-bar"), byId("upload-words")];
  byId("upload").hidden = false;
  try {
    const fileId = await upload(
      /** @type {File} */ (source.file),
      (share) => {
        bar.value = share;
        words.textContent = share < 1 ? `Uploading, ${Math.floor(share * 100)} %` : "The server takes it in";
      },
      signal,
    );
    Object.assign(source, { fileId, fields: { file_id: fileId } });
    announce("Uploaded");
  } finally {
    if (desk.source === source) byId("upload").hidden = true;
  }
}

/** @param {string} text */
function openAddress(text) {
  try {
    const source = sourceOf(text, api.contentAddress);
    problem("address-problem", null);
    putOnDesk(source);
    uploaded = Promise.resolve();
    plan();
    if (source.fileId) nameUpload(source, source.fileId);
    byId("prompt").focus();
  } catch (error) {
    problem("address-problem", /** @type {Error} */ (error));
    byId("address").focus();
  }
}

/** An upload's name says more than its id. @param {import("./source.js").Source} source @param {string} fileId */
async function nameUpload(source, fileId) {
  const file = await api.getFile(fileId).catch(() => null); // that there is none, the plan says
  if (!file || desk.source !== source) return;
  source.name = file.filename;
  byId("video-name").textContent = file.filename;
}

/** Asks what the server would do. */
async function plan() {
  planningNow.abort();
  planningNow = new AbortController();
  const { signal } = planningNow;
  if (!desk.source?.fields) return;
  try {
    const request = { ...desk.source.fields, ...chosenOptions() };
    desk.isPlanning = true;
    render();
    desk.estimate = await api.estimate(request, signal);
    markOption(null);
    problem("ask-problem", null);
    announce(`Planned: ${desk.estimate.plan.num_chunks} chunks`);
  } catch (error) {
    if (!signal.aborted) wrong(/** @type {Error} */ (error));
  }
  if (signal.aborted) return; // another one is planned by now
  desk.isPlanning = false;
  render();
}

/** @param {SubmitEvent} event */
async function ask(event) {
  event.preventDefault();
  const { source } = desk;
  const prompt = byId("prompt").value.trim() || DEFAULT_PROMPT;
  const button = byId("ask-button");
  if (!source || button.disabled) return;
  button.disabled = true;
  byId("ask-hint").textContent = source.fields ? "" : "Starts when the upload is done.";
  try {
    const options = chosenOptions();
    await uploaded;
    if (!source.fields) throw new Error("The server does not tell this video's address any more. Open it again by “Another video”.");
    desk.isAsked = true;
    const request = { ...source.fields, prompt, ...options, metadata: metadataOf(source) };
    const analysis = fromServer(await api.createAnalysis(request));
    if (desk.source !== source) return;
    window.history.pushState(null, "", `#${analysis.id}`);
    add(analysis);
    follow(analysis);
  } catch (error) {
    if (/** @type {Error} */ (error).name !== "AbortError") wrong(/** @type {Error} */ (error));
  } finally {
    button.disabled = false;
    byId("ask-hint").textContent = "";
    render();
  }
}

/** @param {import("./analysis.js").Analysis} analysis that was just begun */
function add(analysis) {
  desk.analyses.push(analysis);
  desk.shownId = analysis.id;
  draw();
  thread.reveal(analysis.id);
  byId("prompt").value = "";
  markOption(null);
  problem("ask-problem", null);
}

/**
 * Takes in the events of an analysis until it ends, or until another video is on the desk.
 * @param {import("./analysis.js").Analysis} analysis
 */
async function follow(analysis) {
  const onConnection = (/** @type {boolean} */ isConnected) => {
    analysis.isConnected = isConnected;
    render();
  };
  let said = "";
  try {
    for await (const event of api.followAnalysis(analysis.id, desk.leaving.signal, onConnection)) {
      apply(analysis, event);
      const words = isUnderWay(analysis) ? goingWords(analysis) : { completed: "The answer is there", failed: "The analysis failed", cancelled: "Cancelled" }[analysis.status];
      if (words && words !== said) announce((said = words));
      render();
    }
  } catch (error) {
    Object.assign(analysis, { status: "failed", problem: /** @type {Error} */ (error).message });
    render();
  }
}

/** @param {string} id */
async function cancel(id) {
  const analysis = desk.analyses.find((other) => other.id === id);
  try {
    const body = await api.deleteAnalysis(id);
    if (analysis && body.status) analysis.status = body.status;
  } catch (error) {
    problem("ask-problem", /** @type {Error} */ (error));
  }
  render();
}

/** @param {string} id on the desk already */
function showAnalysis(id) {
  desk.shownId = id;
  window.history.pushState(null, "", `#${id}`);
  render();
}

/** What the address says: an analysis, or nothing. */
async function openHash() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (!id.startsWith("analysis-")) return desk.source && !id ? start() : undefined;
  if (desk.analyses.some((analysis) => analysis.id === id)) {
    desk.shownId = id;
    return render();
  }
  try {
    const analysis = fromServer(await api.getAnalysis(id));
    putOnDesk(sourceOfAnalysis(analysis, api.contentAddress));
    uploaded = Promise.resolve();
    desk.analyses = [analysis];
    desk.shownId = id;
    if (isUnderWay(analysis)) follow(analysis);
    render();
    await addOtherQuestions(analysis);
  } catch (error) {
    start();
    problem("address-problem", /** @type {Error} */ (error));
  }
}

/** The other questions about the same video. @param {import("./analysis.js").Analysis} analysis */
async function addOtherQuestions(analysis) {
  const { source } = desk;
  const { data } = await api.listAnalyses({ limit: EARLIER_QUESTIONS });
  const isSame = (/** @type {any} */ other) => (analysis.fileId ? other.file_id === analysis.fileId : !other.file_id && other.video === analysis.video);
  const others = data.filter((other) => isSame(other) && other.id !== analysis.id);
  const whole = await Promise.all(others.map((other) => api.getAnalysis(other.id).catch(() => null))); // it may be deleted by now
  if (desk.source !== source) return;
  const found = whole.filter(Boolean).map(fromServer).filter((other) => !desk.analyses.some((known) => known.id === other.id));
  // Oldest first; the list is newest first, also within a second.
  desk.analyses = [...found.reverse(), ...desk.analyses].sort((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0));
  found.filter(isUnderWay).forEach(follow);
  render();
}

/** @param {Error & {param?: string | null}} error of an option, or of anything else in a question */
function wrong(error) {
  markOption(error.param ?? null);
  problem("ask-problem", error);
}

/** @param {string} id @param {Error | null} error */
function problem(id, error) {
  const words = error instanceof TypeError ? "The server cannot be reached." : error?.message;
  byId(id).textContent = words ?? "";
  byId(id).hidden = !words;
}

async function showModel() {
  try {
    const model = await api.servedModel();
    byId("model-words").textContent = `Model: ${model.id}`;
    byId("notice").textContent = model.notice ?? "";
    byId("notice").hidden = !model.notice;
  } catch (error) {
    byId("model-words").textContent = `The model is not there: ${/** @type {Error} */ (error).message}`;
  }
}

function setUpChoosing() {
  const [file, drop] = [byId("file"), byId("drop")];
  byId("choose-file").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    const [chosen] = file.files;
    file.value = ""; // so that the same file can be chosen again
    if (chosen) openFile(chosen);
  });
  byId("pick").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    openAddress(byId("address").value);
  });
  // The whole page takes what is dropped: a video that misses the box must not replace the page.
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.dataset.over = "";
    });
  }
  for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => delete drop.dataset.over);
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const dropped = event.dataTransfer?.files[0];
    const text = event.dataTransfer?.getData("text/uri-list") || event.dataTransfer?.getData("text/plain");
    if (dropped) openFile(dropped);
    else if (text) openAddress(text);
  });
}

function setUp() {
  setUpSettings();
  setUpChoosing();
  const home = (/** @type {Event} */ event) => {
    event.preventDefault();
    start();
  };
  byId("home").addEventListener("click", home);
  byId("other-video").addEventListener("click", home);
  byId("ask").addEventListener("submit", ask);
  byId("prompt").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask").requestSubmit();
  });
  watchOptions(() => {
    clearTimeout(planTimer);
    planTimer = setTimeout(() => !desk.analyses.length && plan(), TYPING_MS);
  });
  const stepTo = (/** @type {number} */ step) => seek(timeline.neighbour(player.seconds, step));
  setUpShortcuts({
    "/": () => byId("prompt").focus(),
    o: () => byId("file").click(),
    k: () => player.toggle(),
    j: () => player.move(-5),
    l: () => player.move(5),
    ",": () => stepTo(-1),
    ".": () => stepTo(1),
    h: () => history.open(),
    t: nextTheme,
    "?": () => byId("shortcuts").showModal(),
  });
  window.addEventListener("popstate", openHash);
  showModel();
  if (location.hash.startsWith("#analysis-")) openHash();
  else history.showRecent();
}

setUp();
