// Logging in at a provider instead of pasting a key.  The gateway needs an OAuth client for that, or a token.

import { api } from "../api.js";
import { codeBlock } from "../parts/copy.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, notice, toast } from "../parts/feedback.js";
import { lamp } from "../parts/lamp.js";
import { editClient, isLocal } from "./provider_client.js";
import { importToken } from "./provider_token.js";

const PATIENCE = 300; // seconds: as long as the gateway waits
const SECONDS = 2; // between polls
const SLOWER = 5; // seconds added when the provider asks to slow down
const OWN = new Set(["clientId", "clientSecret"]); // what only the operator can have

// An element that fills itself.  *done* gets the new connection, or nothing if it is not reported.
export function loginPart({ provider, done }) {
  const host = h("div");
  const id = encodeURIComponent(provider.id);
  const offer = async () => {
    const { configured, missing } = await api.get(`/api/oauth/${id}/status`).catch(() => ({ configured: false, missing: [] }));
    const setUp = action(configured ? "Change the client" : "Set up an OAuth client", () => editClient(provider, offer), { class: "link" });
    const paste = action("Enter a token", () => importToken(provider, done), { class: "link" });
    const known = missing.length > 0 && missing.every((name) => OWN.has(name)); // the vendor's endpoints are built in
    redraw(
      host,
      configured && notice("info", h("p", null, "You can log in instead of entering a key."), action(`Log in at ${provider.name}`, begin)),
      h("details", { open: known }, h("summary", null, "Log in instead of entering a key"), h("p", { class: "note" }, configured ? "" : "Once the gateway has an OAuth client of yours, you can log in here. "), h("p", { class: "links" }, setUp, paste)),
    );
  };

  async function begin() {
    try {
      const back = location.origin + `/api/oauth/${id}/callback`;
      const start = await api.get(`/api/oauth/${id}/authorize?redirect_uri=${encodeURIComponent(back)}`);
      if (start.flowType === "device_code") await byDevice();
      else if (!start.authUrl) redraw(host, notice("info", h("p", null, "This provider has no login page; enter a token instead."), action("Enter a token", () => importToken(provider, done))));
      else if (isLocal) await byLoopback();
      else await byCallback(start.authUrl);
    } catch (error) {
      redraw(host, failure(error, begin));
    }
  }

  // On the gateway's own machine the browser is redirected to a port that is opened only for this login.
  async function byLoopback() {
    const { authUrl } = await api.get(`/api/oauth/${id}/start-callback-server`);
    redraw(host, steps(authUrl, "Log in there, agree, and come back to this window."));
    await wait(() => api.post(`/api/oauth/${id}/poll-callback`));
  }

  // From elsewhere the browser is redirected to the gateway's address; a new or changed account shows that the login succeeded.
  async function byCallback(authUrl) {
    const accounts = async () => (await api.get(`/api/providers?provider=${id}`)).connections;
    const version = (one) => `${one.id} ${one.updatedAt}`;
    const before = new Set((await accounts()).map(version));
    redraw(host, steps(authUrl, "Log in there, agree, and come back to this window."));
    await wait(async () => {
      const connection = (await accounts()).find((one) => !before.has(version(one)));
      return connection ? { success: true, connection } : { pending: true };
    });
  }

  async function byDevice() {
    const codes = await api.get(`/api/oauth/${id}/device-code`);
    const address = codes.verification_uri_complete ?? codes.verification_uri;
    redraw(host, steps(address, "Enter this code there and agree:", codeBlock(codes.user_code, "code")));
    const poll = () => api.post(`/api/oauth/${id}/poll`, { deviceCode: codes.device_code, codeVerifier: codes.codeVerifier });
    await wait(poll, codes.interval ?? SLOWER, codes.expires_in);
  }

  // Ends when the dialog is closed, the login is complete, or after PATIENCE seconds.
  async function wait(look, seconds = SECONDS, patience = PATIENCE) {
    for (let waited = 0; waited < patience; waited += seconds) {
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      if (!host.isConnected) return;
      const answer = await look();
      if (answer.success) {
        toast(`Logged in at ${provider.name}.`);
        return done(answer.connection);
      }
      if (!answer.pending) throw new Error(answer.errorDescription || `The login failed: ${answer.error}`);
      if (answer.error === "slow_down") seconds += SLOWER;
    }
    throw new Error("There was no login in time. Try again.");
  }

  offer();
  return host;
}

const steps = (address, words, ...more) =>
  h(
    "div",
    { class: "stack" },
    h("p", null, isWeb(address) ? h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, "Open the login page") : h("code", { class: "breakable" }, address), ` (a new window). ${words}`),
    more,
    h("p", { role: "status" }, lamp("busy", "Waiting for the login…")),
  );

const isWeb = (address) => URL.canParse(address) && ["https:", "http:"].includes(new URL(address).protocol);
