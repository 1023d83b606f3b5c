/** Links to an analysis as a file. The server writes the files. */

import { exportAddress } from "../server/api.js";
import { h } from "./dom.js";

/** @import { ExportFormat } from "../server/api.js" */

/** @type {[name: string, format: ExportFormat][]} */
const FORMATS = [
  ["JSON", "json"],
  ["Markdown", "md"],
  ["SRT", "srt"],
  ["VTT", "vtt"],
  ["CSV", "csv"],
];

/** @param {string} id of a completed analysis; every analysis on the page is a stored one */
export function downloadLinks(id) {
  return FORMATS.map(([name, format]) => h("a", { class: "quiet", href: exportAddress(id, format), download: true }, name));
}
