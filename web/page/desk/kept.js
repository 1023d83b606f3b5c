/** Values that this browser keeps between visits. */

/** @param {string} name @param {string} otherwise */
export function kept(name, otherwise) {
  try {
    return localStorage.getItem(`longtake.${name}`) ?? otherwise;
  } catch {
    return otherwise; // storage is switched off
  }
}

/** @param {string} name @param {string} value */
export function keep(name, value) {
  try {
    localStorage.setItem(`longtake.${name}`, value);
  } catch {
    // Storage is switched off or full: the value lasts as long as the page.
  }
}

/** @param {string} name */
export function forget(name) {
  try {
    localStorage.removeItem(`longtake.${name}`);
  } catch {
    // Storage is switched off: there is nothing to remove.
  }
}
