/**
 * Short helpers for the DOM.
 * @module elements
 */

/**
 * Create an HTML element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, className, text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

/**
 * Create a button that does not submit a form.
 * @param {string} className
 * @param {string} text
 * @param {() => void} onClick
 * @returns {HTMLButtonElement}
 */
export function button(className, text, onClick) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

/**
 * Find an element that the template contains.
 * @template {Element} [Kind=HTMLElement]
 * @param {string} id
 * @param {new () => Kind} [kind] the class of the element
 * @returns {Kind}
 * @throws {TypeError} if the page has no such element with this id
 */
export function byId(id, kind) {
  return asKind(document.getElementById(id), kind, `#${id}`);
}

/**
 * Find the first descendant that matches a selector.
 * @template {Element} [Kind=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => Kind} [kind] the class of the element
 * @returns {Kind}
 * @throws {TypeError} if there is no such descendant
 */
export function find(root, selector, kind) {
  return asKind(root.querySelector(selector), kind, selector);
}

/**
 * @template {Element} Kind
 * @param {Element | null} found
 * @param {(new () => Kind) | undefined} kind
 * @param {string} what names the element in the error message
 * @returns {Kind}
 */
function asKind(found, kind, what) {
  const wanted = kind ?? HTMLElement;
  if (!(found instanceof wanted)) throw new TypeError(`The page has no ${wanted.name} ${what}.`);
  return /** @type {Kind} */ (found);
}

/**
 * Set a text. An unchanged text is left alone, so that assistive technology does not announce it again.
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Create a label that contains a checkbox.
 * @param {string} label
 * @param {{isChecked: boolean, isDisabled?: boolean}} state
 * @param {(isChecked: boolean) => void} onChange
 * @returns {HTMLLabelElement}
 */
export function checkbox(label, { isChecked, isDisabled = false }, onChange) {
  const box = Object.assign(document.createElement("input"), {
    type: "checkbox",
    checked: isChecked,
    disabled: isDisabled,
  });
  box.addEventListener("change", () => onChange(box.checked));
  const root = element("label", "choice");
  root.append(box, label);
  return root;
}

/**
 * Create an SVG element.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}
