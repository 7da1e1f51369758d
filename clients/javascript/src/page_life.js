/**
 * Events of a page that matter to its stream: hidden, shown, network changed. Does nothing outside a page.
 * @module page_life
 */

/**
 * @typedef {object} Handlers
 * @property {() => void} onHidden the page has been hidden for `hiddenAfterMs`
 * @property {() => void} onShown
 * @property {() => void} onNetwork the network went away or came back
 */

/**
 * @param {number} hiddenAfterMs Infinity: `onHidden` is never called
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
