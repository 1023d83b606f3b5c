/** The video that a question is about. */

/** @import { Analysis } from "./analysis.js" */

/**
 * @typedef {object} Source
 * @property {string} name for people
 * @property {string | null} playable the address that the page's player loads
 * @property {Record<string, string> | null} fields the request's fields for it; null until it is uploaded
 * @property {File | null} file
 * @property {string | null} fileId
 */

/**
 * Parse what a person typed. Throws an Error with a message for them.
 * @param {string} text
 * @param {(fileId: string) => string} contentAddress
 * @returns {Source}
 */
export function sourceOf(text, contentAddress) {
  const given = text.trim();
  const base = { file: null, fileId: null, playable: null };
  if (/^file-\w+$/.test(given)) {
    return { ...base, name: given, fileId: given, playable: contentAddress(given), fields: { file_id: given } };
  }
  if (/^https?:\/\/./i.test(given)) {
    return { ...base, name: lastPart(given), playable: given, fields: { video_url: given } };
  }
  if (/^s3:\/\/[^/]+\/./i.test(given)) return { ...base, name: lastPart(given), fields: { video_url: given } };
  if (/^\/./.test(given)) return { ...base, name: lastPart(given), fields: { video_path: given } };
  throw new Error(
    given
      ? `“${given.slice(0, 80)}” is not an address; enter http://, https://, s3://bucket/key, the id of an upload (file-…), or a path on the server.`
      : "Enter an address or the id of an upload, or choose a file.",
  );
}

/**
 * Metadata for the server to store: an upload's id alone says nothing to people.
 * @param {Source} source
 * @returns {Record<string, string>}
 */
export function metadataOf(source) {
  return source.fileId ? { name: source.name.slice(0, 500) } : {};
}

/**
 * @param {File} file
 * @returns {Source}
 */
export function sourceOfFile(file) {
  return { name: file.name, playable: URL.createObjectURL(file), fields: null, file, fileId: null };
}

/**
 * The video of a stored analysis. The server shows its address without the query, so it may not be usable again.
 * @param {Analysis} analysis
 * @param {(fileId: string) => string} contentAddress
 * @returns {Source}
 */
export function sourceOfAnalysis(analysis, contentAddress) {
  if (analysis.fileId) return { ...sourceOf(analysis.fileId, contentAddress), name: analysis.video };
  try {
    return sourceOf(analysis.video, contentAddress);
  } catch {
    return { name: analysis.video, playable: null, fields: null, file: null, fileId: null };
  }
}

/** @param {string} address */
function lastPart(address) {
  const path = address.replace(/[?#].*$/s, "").replace(/\/+$/, "");
  const part = path.slice(path.lastIndexOf("/") + 1);
  try {
    return decodeURIComponent(part) || address;
  } catch {
    return part;
  }
}
