// The proxy for all providers, with a test before it is saved.

import { api } from "../api.js";
import { h } from "../parts/dom.js";
import { toast } from "../parts/feedback.js";
import { form } from "../parts/form.js";
import { plural } from "../parts/format.js";
import { PROXY, proxyInputs, proxyOf, told } from "../parts/proxy_inputs.js";

export function proxyForm({ global: proxy, providers, combos, keys }) {
  const inputs = proxyInputs(proxy, "None: directly to the providers");
  const others = Object.keys({ ...providers, ...combos, ...keys }).length;

  async function submit(values) {
    await told(api.put(PROXY, { level: "global", proxy: proxyOf(values) }));
    toast("Saved. It applies from now on.");
  }

  const built = form({ fields: inputs.fields, body: inputs.parts, yes: "Save the proxy", extra: inputs.test, submit });
  inputs.belong(built);
  const own = others > 0 && `${plural(others, "provider, combo or account", "providers, combos or accounts")} go through a proxy of their own. `;
  return [built.element, h("p", { class: "note" }, own, h("a", { href: "/dashboard/proxies" }, "Proxies of single providers, combos and accounts"))];
}
