/**
 * The colour scheme: that of the system, or the one chosen on this page. A classic script in the head, so that a page
 * is never drawn in the wrong scheme first. The button, on pages that have one, is #theme.
 */
(() => {
  /** @typedef {"auto" | "light" | "dark"} Theme */
  /** @type {Record<Theme, Theme>} */
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  /** @type {Record<Theme, string>} */
  const WORDS = { auto: "Auto", light: "Light", dark: "Dark" };
  const root = document.documentElement;

  /** @param {Theme} theme */
  const apply = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
  };

  /** @returns {Theme} */
  const stored = () => {
    try {
      const theme = localStorage.getItem("theme") ?? "auto";
      return theme in NEXT ? /** @type {Theme} */ (theme) : "auto";
    } catch {
      return "auto"; // the browser denies storage
    }
  };

  let theme = stored();
  apply(theme);
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const show = () => {
      button.textContent = `◐ ${WORDS[theme]}`;
      button.setAttribute("aria-label", `Colours: ${WORDS[theme]}`);
    };
    show();
    button.addEventListener("click", () => {
      theme = NEXT[theme];
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // Without storage the choice lasts until the page is left.
      }
      apply(theme);
      show();
    });
  });
})();
