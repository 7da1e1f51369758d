/**
 * The style sheet's colours for the canvas, which knows neither custom properties nor light-dark().
 * @module colours
 */

const probe = document.body.appendChild(Object.assign(document.createElement("i"), { hidden: true }));
/** @type {Map<string, string>} as they are now; asking is slow */
const known = new Map();
/** @type {Set<() => void>} */
const listeners = new Set();

/** A custom property of the style sheet as a colour. @param {string} name */
export function themed(name) {
  let colour = known.get(name);
  if (colour === undefined) {
    probe.style.color = `var(--${name})`;
    known.set(name, (colour = getComputedStyle(probe).color));
  }
  return colour;
}

/** @param {() => void} listener @returns {() => void} forgets it */
export function onThemeChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed() {
  known.clear();
  for (const listener of listeners) listener();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ["data-theme"] });
