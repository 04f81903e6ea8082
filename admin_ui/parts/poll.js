// Keep something fresh while its page is shown and the tab is looked at.

// Calls *load*, hands what changed to *draw*, and again every *seconds*.  Returns a function that refreshes at once.
// While the gateway is away what was drawn stays, as the frame says so; with *keep* off that, too, goes to *failed*.
export function live({ signal, seconds, load, draw, failed, keep = true, paused = () => false }) {
  let last;
  let timer = 0;
  let turn = 0;

  async function refresh() {
    clearTimeout(timer);
    const mine = ++turn; // an answer that was overtaken by a newer request is dropped
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
      if (!keep || last === undefined || error.status !== 0) {
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
  signal.addEventListener("abort", () => clearTimeout(timer));
  refresh();
  return refresh;
}
