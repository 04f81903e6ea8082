// The copies of a tool's files, which are kept before each change.

import { api } from "../api.js";
import { confirm, dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, toast } from "../parts/feedback.js";
import { bytes, moment } from "../parts/format.js";
import { table } from "../parts/table.js";

const BASE = "/api/cli-tools/backups";

export async function showCopies(tool, name, done) {
  const load = async () => (await api.get(`${BASE}?tool=${tool}`)).backups;
  const place = h("div");
  const draw = async () => redraw(place, list(await load(), tool, draw, done));
  await draw();
  dialog(`Copies of the files of ${name}`, (close) => [
    h("p", { class: "note" }, "One is kept before each change, and the newest five of each file."),
    place,
    h("div", { class: "actions end" }, h("button", { type: "button", class: "primary", autofocus: true, click: close }, "Done")),
  ]);
}

function list(copies, tool, draw, done) {
  if (!copies.length) return h("p", { class: "muted" }, "No copy yet.");
  const button = (label, { id, createdAt }, work, more) => action(label, work, { class: "link", "data-key": `${id} ${label}`, "aria-label": `${label} the copy of ${moment(createdAt)}`, ...more });
  const columns = [
    { label: "Made", cell: ({ createdAt, originalPath }) => [h("time", { datetime: createdAt }, moment(createdAt)), h("span", { class: "muted under breakable" }, originalPath)] },
    { label: "Size", class: "num", cell: ({ size }) => bytes(size) },
    {
      label: "",
      class: "num",
      cell: (copy) => h("span", { class: "links" }, button("Put back", copy, () => putBack(tool, copy, draw, done)), button("Delete", copy, () => remove(tool, copy, draw), { class: "link grave" })),
    },
  ];
  return table("Copies, newest first", columns, copies);
}

function putBack(tool, { id, createdAt, originalPath }, draw, done) {
  confirm({
    title: "Put this copy back?",
    text: `${originalPath} is replaced by the copy of ${moment(createdAt)}.`,
    yes: "Put back",
    work: async () => {
      await api.post(BASE, { tool, backupId: id });
      toast("It is put back.");
      await draw();
      done();
    },
  });
}

function remove(tool, { id, createdAt }, draw) {
  confirm({
    title: "Delete this copy?",
    text: `The copy of ${moment(createdAt)} is gone for good.`,
    yes: "Delete",
    work: async () => {
      const place = `tool=${tool}&backupId=${encodeURIComponent(id)}`;
      await api.delete(`${BASE}?${place}`);
      toast("Deleted.");
      await draw();
    },
  });
}
