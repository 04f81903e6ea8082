// How the models of all combos are tried, and those of one provider, unless a combo has its own values.

import { api } from "../api.js";
import { grouped, providerChoices } from "../parts/catalog.js";
import { dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { configFields, DEFAULTS } from "./combo_form.js";

const ALL = "comboDefaults";
const OWN = "providerOverrides";

export async function editDefaults(done) {
  const [now, providers] = await Promise.all([api.get(DEFAULTS), providerChoices()]);
  const marked = ([id, name]) => [id, now[OWN][id] ? `${name} (has its own)` : name];
  const options = grouped(providers).map(({ group, options: some }) => ({ group, options: some.map(marked) }));
  dialog("Defaults of all combos", (close) => {
    const place = h("div");
    const whom = field({ name: "provider", label: "For the models of", kind: "select", value: "", options: [["", "All providers"], ...options], onchange: draw });
    const save = async (body, words) => {
      await api.patch(DEFAULTS, body);
      close();
      toast(words);
      done();
    };
    function draw() {
      redraw(place, whom.read() ? providerForm(whom.read(), now, save, close) : everyForm(now[ALL], save, close));
    }
    draw();
    return [whom.element, place];
  });
}

function everyForm(now, save, close) {
  const reset = () => save({ [ALL]: Object.fromEntries(Object.keys(now).map((name) => [name, null])) }, "The built-in values apply again.");
  const submit = (values, changes) => save({ [ALL]: toConfig(changes) }, "Saved. It applies from the next request on.");
  return defaultsForm("A combo's own values take precedence. An emptied field gets the built-in value again.", configFields(now, now, ALL), reset, submit, close);
}

// The gateway replaces the values of all providers at once, so those of the others are read again.
function providerForm(id, now, save, close) {
  const others = async () => Object.entries((await api.get(DEFAULTS))[OWN]).filter(([one]) => one !== id);
  const reset = async () => save({ [OWN]: Object.fromEntries(await others()) }, "The values for all providers apply again.");
  const submit = async (values) => {
    const own = Object.entries(toConfig(values)).filter(([, value]) => value !== null);
    const mine = own.length ? [[id, Object.fromEntries(own)]] : [];
    await save({ [OWN]: Object.fromEntries([...(await others()), ...mine]) }, "Saved. It applies from the next request on.");
  };
  return defaultsForm("A combo's own values take precedence. An empty field has the value for all providers.", configFields(now[OWN][id] ?? {}, now[ALL], `${OWN}.${id}`), reset, submit, close);
}

function defaultsForm(note, fields, reset, submit, close) {
  const body = [h("p", { class: "note" }, note), h("div", { class: "numbers" }, fields.map((one) => one.element))];
  return form({ fields, body, yes: "Save", cancel: close, extra: action("Reset", reset, { class: "apart" }), submit }).element;
}

const toConfig = (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name.split(".").at(-1), toValue(value)]));

// null stands for the value that applies otherwise.
const toValue = (value) => (value === "" || value === undefined ? null : ({ true: true, false: false }[value] ?? value));
