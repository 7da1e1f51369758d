/**
 * Short names for what every module does with the DOM.
 * @module elements
 */

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 * @returns {HTMLElement}
 */
export function element(tag, className, text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

/** The element with this id, which the template has. @param {string} id @returns {any} */
export function byId(id) {
  return document.getElementById(id);
}

/** Set a text that may be the same as before, without telling assistive technology again. @param {Element} target @param {string} text */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
