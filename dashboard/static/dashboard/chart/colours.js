/**
 * Colours of the style sheet for the canvas, which supports neither custom properties nor light-dark().
 * @module colours
 */

const probe = document.body.appendChild(Object.assign(document.createElement("i"), { hidden: true }));
/** @type {Map<string, string>} cached, because computing a style is slow */
const cache = new Map();
/** @type {Set<() => void>} */
const listeners = new Set();

/** The current colour of a custom property. @param {string} name without the leading dashes */
export function themed(name) {
  let colour = cache.get(name);
  if (colour === undefined) {
    probe.style.color = `var(--${name})`;
    cache.set(name, (colour = getComputedStyle(probe).color));
  }
  return colour;
}

/** Call a function whenever the colour scheme changes. @param {() => void} listener @returns {() => void} removes it */
export function onThemeChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function themeChanged() {
  cache.clear();
  for (const listener of listeners) listener();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themeChanged);
new MutationObserver(themeChanged).observe(document.documentElement, { attributeFilter: ["data-theme"] });
