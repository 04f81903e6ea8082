// Copies of the database: create, download, upload and restore them.

import { api } from "../api.js";
import { confirm } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, toast } from "../parts/feedback.js";
import { bytes, moment, plural } from "../parts/format.js";
import { live } from "../parts/poll.js";
import { section, table } from "../parts/table.js";

const BASE = "/api/db-backups";
const REASONS = { manual: "made by hand", auto: "automatic", "pre-restore": "before a copy was put back", "pre-import": "before a file was imported", "pre-migration": "before an update" };
const NOTE = "Accounts, keys, settings and usage. The secrets in a copy can be decrypted only with the key file of this data directory, or with the same STORAGE_ENCRYPTION_KEY.";

export function backupsSection(host, signal) {
  const place = h("div");
  const file = h("input", { type: "file", accept: ".sqlite", hidden: true, change: () => file.files[0] && takeIn(file) });
  const aside = [
    action("Make a copy", () => make(() => refresh())),
    h("a", { class: "button", href: `${BASE}/export`, download: true }, "Download"),
    h("a", { class: "button", href: `${BASE}/exportAll`, download: true, title: "A copy, and settings, combos and accounts as text without secrets" }, "Download as archive"),
    h("button", { type: "button", click: () => file.click() }, "Import a file"),
    file,
  ];
  redraw(host, section("Copies of the database", { note: NOTE, aside }, place));
  const refresh = live({
    signal,
    seconds: 30,
    load: () => Promise.all([api.get(BASE, signal), api.get("/api/storage/health", signal)]),
    draw: ([{ backups }, storage]) => redraw(place, original(storage), backups.length ? list(backups) : h("p", { class: "muted" }, "No copy yet. While it is in use, the gateway makes one every hour.")),
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
}

const original = ({ dbPath, sizeBytes }) => h("p", null, h("code", { class: "breakable" }, dbPath), h("span", { class: "muted" }, ` · ${bytes(sizeBytes)}`));

function list(backups) {
  const button = (copy) => action("Put back", () => putBack(copy), { class: "link", "data-key": copy.id, "aria-label": `Put back the copy of ${moment(copy.createdAt)}` });
  const columns = [
    { label: "Made", cell: ({ createdAt, reason }) => [h("time", { datetime: createdAt }, moment(createdAt)), h("span", { class: "muted under" }, REASONS[reason] ?? reason)] },
    { label: "Size", class: "num", cell: ({ size }) => bytes(size) },
    { label: "Accounts", class: "num", cell: ({ connectionCount }) => connectionCount ?? "–" },
    { label: "", class: "num", cell: button },
  ];
  return table("Copies, newest first", columns, backups);
}

async function make(refresh) {
  const { created, message } = await api.put(BASE);
  toast(created ? "The copy is made." : message);
  refresh();
}

const putBack = ({ id, createdAt }) => replace(`the copy of ${moment(createdAt)}`, () => api.post(BASE, { backupId: id }));

function takeIn(input) {
  const file = input.files[0];
  const body = new FormData();
  body.append("file", file);
  input.value = ""; // the same file may be chosen again
  replace(file.name, () => api.post(`${BASE}/import`, body));
}

function replace(what, work) {
  confirm({
    title: "Replace everything?",
    text: `Accounts, keys, combos, settings and the password are replaced by those of ${what}. The current state is copied first.`,
    yes: "Replace",
    work: async () => {
      const { connectionCount, apiKeyCount } = await work();
      toast(`It is in force: ${plural(connectionCount, "account")}, ${plural(apiKeyCount, "key")}.`);
      setTimeout(() => location.reload(), 1500); // everything on the page is outdated
    },
  });
}
