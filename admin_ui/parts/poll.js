// Keeps content up to date while its page is shown and the tab is visible.

import { CLOSED, line } from "../api.js";

// Calls *load* every *seconds* and passes changed data to *draw*.  Returns a function that refreshes at once.
// While the gateway is unreachable, or a login is needed, the content stays and the frame says so; without *keep*, *failed* is
// called.
export function live({ signal, seconds, load, draw, failed, keep = true, paused = () => false }) {
  let last;
  let timer = 0;
  let turn = 0;

  async function refresh() {
    clearTimeout(timer);
    const mine = ++turn; // responses to outdated requests are dropped
    try {
      const data = await load(signal);
      if (signal.aborted || mine !== turn) return;
      const text = JSON.stringify(data);
      if (text !== last) {
        last = text;
        draw(data);
      }
    } catch (error) {
      if (signal.aborted || mine !== turn || error.name === "AbortError") return;
      if (!keep || last === undefined || (error.status !== 0 && error.code !== CLOSED)) {
        last = undefined;
        failed?.(error);
      }
    }
    schedule();
  }

  function schedule() {
    clearTimeout(timer);
    if (seconds && !signal.aborted) timer = setTimeout(tick, seconds * 1000);
  }

  const tick = () => (document.hidden || paused() ? schedule() : refresh());
  const seen = () => !document.hidden && !paused() && refresh();
  document.addEventListener("visibilitychange", seen, { signal });
  line.addEventListener("stale", seen, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  refresh();
  return refresh;
}
