// The API page: the routes of /api/openapi.json, grouped and searchable; each unfolds to its parameters and responses.
import { h, redraw } from "./parts/dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

// A schema in a few lines of text; named types are shown by name.
function shape(schema, depth = 0) {
  if (!schema || !Object.keys(schema).length) return "any";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((choice) => shape(choice, depth)).join(" | ");
  if (schema.type === "array") return `${shape(schema.items, depth)}[]`;
  if (schema.type !== "object") return [schema.type ?? "any"].flat().join(" | ");
  if (!schema.properties) return schema.additionalProperties ? `{ [name]: ${shape(schema.additionalProperties, depth)} }` : "object";
  const inset = "  ".repeat(depth + 1);
  const needed = new Set(schema.required);
  const lines = Object.entries(schema.properties).map(
    ([name, inner]) => `${inset}${name}${needed.has(name) ? "" : "?"}: ${shape(inner, depth + 1)}`,
  );
  return `{\n${lines.join("\n")}\n${"  ".repeat(depth)}}`;
}

// The named types that a schema refers to, each once.
function named(schema, types, found = new Map()) {
  if (schema && typeof schema === "object") {
    const name = schema.$ref?.split("/").pop();
    if (name && types[name] && !found.has(name)) {
      found.set(name, types[name]);
      named(types[name], types, found);
    }
    for (const inner of Object.values(schema)) named(inner, types, found);
  }
  return found;
}

const block = (text) => h("pre", { tabindex: "0" }, text);

function content(title, media, types) {
  return Object.entries(media ?? {}).map(([type, { schema, example }]) => [
    h("h3", null, `${title} · ${type}`),
    schema && block(shape(schema)),
    schema && [...named(schema, types)].map(([name, inner]) => block(`${name} ${shape(inner)}`)),
    example !== undefined && [h("h3", null, "Example"), block(JSON.stringify(example, null, 2))],
  ]);
}

function about(operation, types) {
  const parameters = operation.parameters ?? [];
  return h("div", { class: "about" },
    h("p", null, operation.description),
    parameters.length > 0 && h("dl", null, parameters.map((item) => [
      h("dt", null, h("code", null, item.name)),
      h("dd", null, `${item.in}${item.required ? ", required" : ""}${item.description ? ` · ${item.description}` : ""}`),
    ])),
    content("Body", operation.requestBody?.content, types),
    Object.entries(operation.responses).map(([status, answer]) =>
      status === "2XX" ? content("Answer", answer.content, types) : null),
    h("h3", null, "Errors"),
    h("dl", null, Object.entries(operation.responses).filter(([status]) => status !== "2XX").map(([status, answer]) => [
      h("dt", null, h("code", null, status)),
      h("dd", null, `${answer.description}: ${Object.values(answer.content ?? {}).map((item) => shape(item.schema)).join(" | ")}`),
    ])),
  );
}

// There are hundreds of routes, so the details of each are built when it is first unfolded.
function route({ method, path, operation }, types) {
  const details = h("details", { class: "route" },
    h("summary", null, h("span", { class: "method" }, method.toUpperCase()), h("code", null, path),
      h("span", { class: "muted" }, operation.summary)),
  );
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(about(operation, types));
  });
  return details;
}

function groups(routes, words, types) {
  const matching = routes.filter(({ method, path, operation }) => {
    const text = `${method} ${path} ${operation.summary}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const tags = [...new Set(matching.map(({ operation }) => operation.tags[0]))].sort();
  if (!tags.length) return h("p", { class: "muted" }, "No route matches.");
  return tags.map((tag) => h("section", { "aria-label": tag }, h("h2", null, tag),
    matching.filter(({ operation }) => operation.tags[0] === tag).map((item) => route(item, types))));
}

async function show() {
  const main = h("main", { class: "api" });
  document.body.append(main);
  let description;
  try {
    const answer = await fetch("/api/openapi.json");
    if (!answer.ok) throw new Error(`the gateway answered ${answer.status}`);
    description = await answer.json();
  } catch (error) {
    redraw(main, h("h1", null, "API"), h("p", { role: "alert" }, `The API description cannot be loaded: ${error.message}`));
    return;
  }
  const types = description.components.schemas;
  const routes = Object.entries(description.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ method, path, operation: item[method] })));
  const list = h("div", { class: "api-list" });
  const draw = (text) => redraw(list, groups(routes, text.toLowerCase().split(/\s+/).filter(Boolean), types));
  const search = h("input", {
    type: "search", placeholder: "Filter by path, method or words", "aria-label": "Filter the routes", autocomplete: "off",
    input: () => draw(search.value),
  });
  redraw(main,
    h("header", null,
      h("p", null, h("a", { href: "/dashboard" }, "Admin pages")),
      h("h1", null, `${description.info.title} ${description.info.version}`),
      h("p", null, description.info.description, " ", h("a", { href: "/api/openapi.json" }, "OpenAPI document")), search),
    list);
  draw("");
}

show();
