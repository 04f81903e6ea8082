// The form to add or change a proxy for all calls, a provider, a combo or an account.

import { api } from "../api.js";
import { grouped } from "../parts/catalog.js";
import { dialog } from "../parts/dialog.js";
import { toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { PROXY, proxyInputs, proxyOf, told } from "../parts/proxy_inputs.js";

export function editProxy(entry, things, done) {
  const inputs = proxyInputs(entry?.proxy);
  const target = !entry && field({ name: "target", label: "For", kind: "select", value: "global:", options: targets(things) });
  dialog(entry ? `Change the proxy for ${entry.name}` : "Add a proxy", (close) => {
    const submit = async (values) => {
      const [level, id] = entry ? [entry.level, entry.id] : split(values.target);
      await told(api.put(PROXY, { level, id, proxy: proxyOf(values) }));
      close();
      toast("Saved. It applies from now on.");
      done();
    };
    const fields = [target, ...inputs.fields].filter(Boolean);
    const built = form({ fields, body: [target && target.element, inputs.parts], yes: "Save", cancel: close, extra: inputs.test, submit });
    inputs.belong(built);
    return built.element;
  });
}

function targets({ connections, combos, providers }) {
  const under = (level, options) => options.map(([id, name]) => [`${level}:${id}`, name]);
  const group = (label, options) => (options.length ? [{ group: label, options }] : []);
  return [
    ["global:", "Everything"],
    ...group("Accounts", under("key", connections.map(({ id, provider, name }) => [id, `${provider}: ${name}`]))),
    ...group("Combos", under("combo", combos.map(({ id, name }) => [id, name]))),
    ...grouped(providers).map(({ group: label, options }) => ({ group: `All of a provider: ${label.toLowerCase()}`, options: under("provider", options) })),
  ];
}

function split(target) {
  const at = target.indexOf(":");
  return [target.slice(0, at), target.slice(at + 1)];
}
