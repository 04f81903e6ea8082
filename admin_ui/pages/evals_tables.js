// The cases of a suite with the expected answers, and the results of a run.

import { h } from "../parts/dom.js";
import { notice } from "../parts/feedback.js";
import { milliseconds } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { table } from "../parts/table.js";

const STRATEGIES = { exact: "exactly", contains: "contains", regex: "matches the pattern" };

export function casesTable({ name, cases }) {
  const columns = [
    { label: "Case", cell: (one) => [one.name, h("span", { class: "muted under" }, one.id)] },
    { label: "Asked", cell: ({ input }) => question(input.messages) },
    { label: "Expected", cell: ({ expected }) => [h("span", { class: "muted" }, `${STRATEGIES[expected.strategy]} `), h("code", { class: "breakable" }, expected.value)] },
  ];
  return table(`Cases of ${name}`, columns, cases);
}

// The question is the last message; content other than text is not shown.
function question(messages) {
  const content = messages.at(-1)?.content;
  if (typeof content === "string") return content;
  const texts = Array.isArray(content) ? content.map((part) => part.text).filter(Boolean) : [];
  return texts.join(" ") || "–";
}

export function resultView({ model, suiteName, results, summary }) {
  const good = summary.failed === 0;
  const words = `${summary.passed} of ${summary.total} passed (${summary.passRate} %)`;
  const columns = [
    { label: "Case", cell: ({ caseName, caseId }) => [caseName, h("span", { class: "muted under" }, caseId)] },
    { label: "Result", cell: ({ passed }) => (passed ? lamp("ok", "Passed") : lamp("bad", "Failed")) },
    { label: "Answer", cell: answer },
    { label: "Time taken", class: "num", cell: ({ durationMs }) => milliseconds(durationMs) },
  ];
  return [notice(good ? "good" : "bad", h("p", null, h("strong", null, model || suiteName), `: ${words}`)), table(`Results of ${suiteName}`, columns, results)];
}

function answer({ passed, error, details }) {
  if (error) return h("span", { class: "trouble" }, error);
  const said = details?.actual ?? details?.actualSnippet ?? "";
  const wanted = details?.expected ?? details?.searchTerm ?? details?.pattern;
  return [h("span", { class: "breakable" }, said || "–"), !passed && h("span", { class: "muted under" }, "expected ", h("code", { class: "breakable" }, wanted))];
}
