/**
 * What a page goes through, as far as it matters to its stream. Does nothing where there is no page.
 * @module page_life
 */

/**
 * @typedef {object} Handlers
 * @property {() => void} onHidden nobody has looked for `hiddenAfterMs`
 * @property {() => void} onShown
 * @property {() => void} onNetwork it has changed
 */

/**
 * @param {number} hiddenAfterMs
 * @param {Handlers} handlers
 * @returns {() => void} stops watching
 */
export function watchPage(hiddenAfterMs, handlers) {
  if (typeof document === "undefined") return () => {};
  const { onHidden, onShown, onNetwork } = handlers;
  let timer = 0;
  const onVisibility = () => {
    clearTimeout(timer);
    if (!document.hidden) onShown();
    else if (Number.isFinite(hiddenAfterMs)) timer = setTimeout(onHidden, hiddenAfterMs);
  };
  const watching = new AbortController();
  const { signal } = watching;
  document.addEventListener("visibilitychange", onVisibility, { signal });
  addEventListener("online", onNetwork, { signal });
  addEventListener("offline", onNetwork, { signal });
  if (document.hidden) onVisibility();
  return () => {
    clearTimeout(timer);
    watching.abort();
  };
}
