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

/**
 * @param {string} label
 * @param {boolean} isChecked
 * @param {(isChecked: boolean) => void} onChange
 * @returns {any} a label with the box in it
 */
export function checkbox(label, isChecked, onChange) {
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: isChecked });
  box.addEventListener("change", () => onChange(box.checked));
  const root = element("label", "choice");
  root.append(box, label);
  return root;
}

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...(Node | string)} children @returns {SVGElement} */
export function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}
