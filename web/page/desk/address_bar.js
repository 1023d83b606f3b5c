/** The page's address: its hash names the analysis that is shown. */

/** @returns {string} the id in the hash, or "" */
export function idInHash() {
  return decodeURIComponent(location.hash.slice(1));
}

/** Name an analysis in a new entry of the browser's history. @param {string} id */
export function showId(id) {
  history.pushState(null, "", `#${id}`);
}

/** Name none. */
export function clearId() {
  if (location.hash) history.pushState(null, "", location.pathname + location.search);
}
