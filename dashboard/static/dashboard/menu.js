/**
 * A details element as a menu: Escape and a click elsewhere close it.
 * @module menu
 */

/** @param {HTMLDetailsElement} menu */
export function makeMenu(menu) {
  const summary = /** @type {HTMLElement} */ (menu.querySelector("summary"));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    summary.focus();
  });
  addEventListener("pointerdown", (event) => {
    if (menu.open && !menu.contains(/** @type {Node} */ (event.target))) menu.open = false;
  });
}
