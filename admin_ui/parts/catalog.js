// The providers: the built-in ones and the user's own endpoints.

import { api } from "../api.js";

let builtin; // never changes while the gateway runs

export async function providerChoices() {
  builtin ??= api.get("/admin_ui/catalog.json");
  try {
    const [{ providers }, { nodes }] = await Promise.all([builtin, api.get("/api/provider-nodes")]);
    const own = nodes.map(({ id, name, prefix, baseUrl }) => ({
      id, name, alias: prefix, baseUrl, needsKey: false, takesKey: true, local: false, fields: [], node: true,
    }));
    return [...providers, ...own];
  } catch (error) {
    builtin = undefined;
    throw error;
  }
}

// Names by id; the history is shown even if they cannot be loaded.
export async function providerNames() {
  const providers = await providerChoices().catch(() => []);
  return Object.fromEntries(providers.map(({ id, name }) => [id, name]));
}

export function grouped(providers) {
  const some = (label, test) => {
    const options = providers.filter(test).map(({ id, name }) => [id, name]);
    return options.length ? [{ group: label, options }] : [];
  };
  return [
    ...some("Your endpoints", (one) => one.node),
    ...some("Vendors", (one) => !one.node && !one.local),
    ...some("On your own machine", (one) => one.local),
  ];
}
