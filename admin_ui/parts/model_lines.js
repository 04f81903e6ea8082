// Fields for models, which can be picked from the gateway's list.

import { api } from "../api.js";
import { h, uniqueId } from "./dom.js";
import { field } from "./form.js";

// Only suggestions: this page may not have access to the list.
const offered = async () => (await api.get("/v1/models").catch(() => ({ data: [] }))).data.map(({ id }) => id);

// *without*: a name that must not be picked, such as that of the combo itself.
export async function modelLines({ without, ...props }) {
  const names = (await offered()).filter((name) => name !== without);
  return pickedLines({ pick: "Add a model to the list", options: names.map((name) => [name, name]), ...props });
}

// A field of lines, with a list to add lines from.
export function pickedLines({ pick: label, options, ...props }) {
  const lines = field({ kind: "lines", ...props });
  const pick = h("select", { "aria-label": label, change: take }, h("option", { value: "" }, "Add from the list…"), options.map(([id, name]) => h("option", { value: id }, name)));
  function take() {
    const given = lines.read();
    if (pick.value && !given.includes(pick.value)) lines.control.value = [...given, pick.value].join("\n");
    pick.value = "";
  }
  if (options.length) lines.control.after(pick);
  return lines;
}

// A text field for one model, with the gateway's list as suggestions.
export async function modelField(props) {
  const list = uniqueId("models");
  const one = field({ ...props, list });
  const names = await offered();
  one.element.append(h("datalist", { id: list }, names.map((id) => h("option", { value: id }))));
  return one;
}
