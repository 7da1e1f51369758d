/**
 * Menus made of <details> elements. Escape and a click elsewhere close them.
 * @module menu
 */

import { find } from "./elements.js";

/** @param {HTMLDetailsElement} menu */
export function makeMenu(menu) {
  const summary = find(menu, "summary");
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    summary.focus();
  });
  addEventListener("pointerdown", (event) => {
    if (menu.open && event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
  });
}
