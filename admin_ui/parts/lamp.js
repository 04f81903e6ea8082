// A state shown as a lamp beside its words.  Colour alone never carries the meaning: each state also has its own shape.

import { h } from "./dom.js";
import { span } from "./format.js";

export const lamp = (kind, ...words) => h("span", { class: `lamp ${kind}` }, h("span", { class: "words" }, words));

// A countdown that runs as long as the element is on the page.
export function countdown(until) {
  const element = h("span", { class: "num" });
  const draw = () => {
    element.textContent = span((until - Date.now()) / 1000);
  };
  draw();
  const timer = setInterval(() => (element.isConnected ? draw() : clearInterval(timer)), 1000);
  return element;
}

// A connection's state, most urgent first.
export function stateOf(connection, now = Date.now()) {
  const until = Date.parse(connection.rateLimitedUntil ?? "");
  if (!connection.isActive) return { kind: "off", words: ["Disabled"] };
  if (until > now) return { kind: "warn", words: ["Cooling down", until] };
  if (connection.testStatus === "error") return { kind: "bad", words: ["Failing"] };
  if (connection.testStatus === "unavailable") return { kind: "warn", words: ["Recovering"] };
  if (connection.testStatus === "active") return { kind: "ok", words: ["Working"] };
  return { kind: "new", words: ["Not tried yet"] };
}

export function connectionLamp(connection) {
  const { kind, words } = stateOf(connection);
  return lamp(kind, words.map((word) => (typeof word === "number" ? h("span", { class: "muted under" }, countdown(word), " left") : word)));
}
