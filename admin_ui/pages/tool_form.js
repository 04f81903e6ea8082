// The form to set up one tool, with a preview of the changes to its file.

import { api } from "../api.js";
import { codeBlock } from "../parts/copy.js";
import { dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { notice, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { modelField } from "../parts/model_lines.js";

const VARIABLES = "claude"; // configured by environment variables; the others by address, key and model
const MODELS = ["ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL"];

// The tools that can be set up here, and the API path of each.
export const SETTABLE = new Map([
  ["claude", "/api/cli-tools/claude-settings"],
  ["codex", "/api/cli-tools/codex-settings"],
  ["droid", "/api/cli-tools/droid-settings"],
  ["openclaw", "/api/cli-tools/openclaw-settings"],
  ["continue", "/api/cli-tools/guide-settings/continue"],
]);

export async function setUp(id, name, done) {
  const model = await modelField({ name: "model", label: "Model", optional: id === VARIABLES, hint: id === VARIABLES ? "Used in place of all its models. Empty: it requests its own models." : "A model or a combo." });
  const fields = [
    field({ name: "baseUrl", label: "Address of this gateway", kind: "url", value: location.origin }),
    field({ name: "apiKey", label: "Gateway key", kind: "password", optional: id !== "codex", hint: h("span", null, "One of your ", h("a", { href: "/dashboard/keys" }, "keys"), ". A key is shown only when it is created.") }),
    model,
  ];
  const path = SETTABLE.get(id);
  const result = h("div", { role: "status", class: "told" });
  dialog(`Set up ${name}`, (close) => {
    const preview = async (values) => {
      redraw(result);
      const { diff } = await api.post(`${path}?preview=true`, body(id, values));
      redraw(result, diff ? codeBlock(diff, "changes") : notice("info", h("p", null, "Nothing would change: it is already set up like this.")));
    };
    const submit = async (values) => {
      await api.post(path, body(id, values));
      close();
      toast(`${name} will use this gateway from its next start on.`);
      done();
    };
    const look = h("button", { type: "button", class: "apart", click: ({ currentTarget }) => built.guarded(currentTarget, preview) }, "Show what changes");
    const built = form({ fields, body: [fields.map((one) => one.element), result], yes: "Set up", cancel: close, extra: look, submit });
    return built.element;
  });
}

// Without the non-streaming fallback, the tool does not repeat, and pay for, a request whose stream breaks.
function body(id, { baseUrl, apiKey, model }) {
  if (id !== VARIABLES) return { baseUrl, apiKey, model };
  const env = { ANTHROPIC_BASE_URL: baseUrl, CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK: "1" };
  if (apiKey) env.ANTHROPIC_AUTH_TOKEN = apiKey;
  if (model) for (const variable of MODELS) env[variable] = model;
  return { env };
}
