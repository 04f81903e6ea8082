// The user's own OAuth client at a provider, which logins need.

import { api } from "../api.js";
import { codeBlock } from "../parts/copy.js";
import { confirm, dialog } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { action, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { lamp } from "../parts/lamp.js";

// On the gateway's own machine, logins return to a port that is opened for them.
export const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
const WAYS = [["none", "Not at all (public client)"], ["post", "Secret in the body"], ["basic", "Secret in a header (basic)"]];
const LABELS = {
  clientId: "client id", clientSecret: "client secret", authorizeUrl: "login page", tokenUrl: "token address",
  deviceAuthorizationUrl: "device address",
};

export async function editClient(provider, done) {
  const id = encodeURIComponent(provider.id);
  const path = `/api/oauth/${id}/client`;
  const { client } = await api.get(path);
  const own = [
    field({ name: "clientId", label: "Client id", value: client.clientId }),
    field({ name: "clientSecret", label: "Client secret", kind: "password", optional: true, autocomplete: "off", hint: client.hasClientSecret ? "Leave empty to keep the stored one." : "Stored encrypted, never shown again." }),
  ];
  const address = (name, label) => field({ name, label, kind: "url", optional: true, value: client[name] });
  const more = [
    address("authorizeUrl", "Login page"),
    address("tokenUrl", "Token address"),
    address("deviceAuthorizationUrl", "Device address"),
    address("refreshUrl", "Refresh address"),
    field({ name: "scopes", label: "Scopes", kind: "lines", optional: true, value: client.scopes, hint: "One per line." }),
    field({ name: "tokenAuth", label: "How the client proves itself", kind: "select", value: client.tokenAuth, options: WAYS }),
    field({ name: "extraAuthParams", label: "Further parameters of the login page", kind: "lines", optional: true, value: Object.entries(client.extraAuthParams).map((pair) => pair.join("=")), hint: "One per line: name=value." }),
    field({ name: "pkce", label: "PKCE", kind: "check", value: client.pkce }),
    field({ name: "devicePkce", label: "PKCE for devices too", kind: "check", value: client.devicePkce }),
  ];
  dialog(`OAuth client at ${provider.name}`, (close) => {
    const saved = (words) => {
      close();
      toast(words);
      done();
    };
    const submit = async (values, { clientSecret, extraAuthParams, ...changes }) => {
      await api.put(path, { ...changes, ...(clientSecret && { clientSecret }), ...(extraAuthParams && { extraAuthParams: toParams(extraAuthParams) }) });
      saved("Saved.");
    };
    const remove = action("Delete", () => forget(provider, path, () => saved("Deleted.")), { class: "apart danger-text" });
    const body = [
      state(client),
      h("p", { class: "note" }, isLocal ? "Register a desktop application with the vendor (logins return to 127.0.0.1, on any port), and enter what it gives you. To log in from other machines too, also give it this redirect address:" : "Register an application with the vendor with this redirect address, and enter what it gives you."),
      codeBlock(`${location.origin}/api/oauth/${id}/callback`, "redirect address", true),
      own.map((one) => one.element),
      h("details", { open: !client.tokenUrl }, h("summary", null, "Addresses and scopes"), more.map((one) => one.element)),
    ];
    return form({ fields: [...own, ...more], body, yes: "Save", cancel: close, extra: client.clientId || client.hasClientSecret ? remove : null, submit }).element;
  });
}

function state({ configured, missing }) {
  const words = missing.map((name) => LABELS[name] ?? name).join(", ");
  return h("p", null, configured ? lamp("ok", "Logins are possible") : lamp("new", `Still missing: ${words}`));
}

function toParams(rows) {
  const pairs = rows.map((row, at) => {
    const place = row.indexOf("=");
    if (place < 1) throw { fields: [{ field: "extraAuthParams", message: `Line ${at + 1} must read: name=value` }] };
    return [row.slice(0, place).trim(), row.slice(place + 1).trim()];
  });
  return Object.fromEntries(pairs);
}

function forget({ name }, path, done) {
  confirm({
    title: "Delete this OAuth client?",
    text: `Accounts that were logged in at ${name} with it can no longer renew their tokens. What the environment or a file sets stays.`,
    yes: "Delete",
    work: async () => {
      await api.delete(path);
      done();
    },
  });
}
