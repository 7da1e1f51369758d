/**
 * Light or dark: as the system says, or as chosen here. A classic script in the head, so that no page is first drawn in
 * the other one. The button, where a page has one, is #theme.
 */
(() => {
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  const WORDS = { auto: "Auto", light: "Light", dark: "Dark" };
  const root = document.documentElement;

  /** @param {string} theme */
  const apply = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
  };

  const kept = () => {
    try {
      const theme = localStorage.getItem("theme") ?? "auto";
      return theme in NEXT ? theme : "auto";
    } catch {
      return "auto"; // storage is switched off
    }
  };

  let theme = kept();
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
        // it holds for this page then
      }
      apply(theme);
      show();
    });
  });
})();
