// All requests to the gateway: same-origin JSON, and errors with the fields that they concern.

export const CLOSED = "AUTH_001";

export class ApiError extends Error {
  constructor(status, message, { code = "", fields = [], retryAfter = 0 } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status; // 0: no response from the gateway
    this.code = code;
    this.fields = fields; // [{field, message}], field = dotted path
    this.retryAfter = retryAfter; // seconds
  }
}

// Events for the page frame: "up" and "down" (it shows a banner while the gateway is unreachable), "login" after a login,
// "closed" when the session has ended, "stale" when something that is shown no longer exists, "named" when the gateway has got
// another name.
export const line = new EventTarget();
let up = true;

function setUp(now) {
  if (now === up) return;
  up = now;
  line.dispatchEvent(new Event(now ? "up" : "down"));
}

export async function call(method, path, body, signal) {
  const init = { method, signal, credentials: "same-origin", headers: { accept: "application/json" } };
  if (body instanceof FormData) init.body = body;
  else if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let response, text;
  try {
    response = await fetch(path, init);
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    setUp(false);
    throw new ApiError(0, "The gateway does not answer. Is it running?");
  }
  setUp(true);
  const data = parse(text);
  if (response.ok) return data;
  const failure = toError(response, data);
  // Only a missing session leads to a login.  A wrong password is a 401 too, and is shown at its field.
  if (failure.code === CLOSED) line.dispatchEvent(new Event("closed"));
  throw failure;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function toError(response, data) {
  const error = data?.error;
  const message = (typeof error === "string" ? error : error?.message) || `The gateway answered ${response.status}.`;
  const fields = Array.isArray(error?.details) ? error.details : [];
  const retryAfter = Number(response.headers.get("retry-after")) || 0;
  return new ApiError(response.status, message, { code: error?.code ?? "", fields, retryAfter });
}

export const api = {
  get: (path, signal) => call("GET", path, undefined, signal),
  post: (path, body) => call("POST", path, body),
  put: (path, body) => call("PUT", path, body),
  patch: (path, body) => call("PATCH", path, body),
  delete: (path) => call("DELETE", path),
};

// Build a path from escaped parts, although ids come from the gateway.
export const at = (base, ...parts) => [base, ...parts.map(encodeURIComponent)].join("/");
