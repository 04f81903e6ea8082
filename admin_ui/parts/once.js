// A part of a page with a form: loaded once, because a redraw would discard the user's input.

import { redraw } from "./dom.js";
import { failure } from "./feedback.js";

export async function once(host, signal, load, draw) {
  try {
    const data = await load(signal);
    if (!signal.aborted) redraw(host, draw(data));
  } catch (error) {
    if (!signal.aborted && error.name !== "AbortError") redraw(host, failure(error, () => once(host, signal, load, draw)));
  }
}
