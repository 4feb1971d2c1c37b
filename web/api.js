/* Requests to the server: the key, errors as sentences, tokens for what takes no header. */

import { t } from "./i18n.js";

const TOKEN_MARGIN_MS = 30000;

let key = "";
let asking = null;
let askForKey = async () => "";
const tokens = new Map(); /* "scope stream" -> { token, until } */

try {
  key = sessionStorage.getItem("key") ?? "";
} catch {
  key = "";
}

export class ApiError extends Error {
  constructor(status, body) {
    super(body?.error?.message ?? t("httpError", status));
    this.status = status;
    this.code = body?.error?.code ?? null;
    this.field = body?.error?.field ?? null;
  }
}

/* ask(why): an async function that gives a key, or "" when the user has none; why is the server's
 * sentence about the last one, or "". */
export function onKeyWanted(ask) {
  askForKey = ask;
}

function keep(given) {
  key = given;
  tokens.clear();
  try {
    sessionStorage.setItem("key", key);
  } catch {
    /* kept until the page is left */
  }
}

/* One question at a time, whoever waits for it. Whether there is another key than the one used. */
async function wantKey(used, why) {
  if (key && key !== used) return true;
  asking ??= askForKey(used ? why : "").finally(() => { asking = null; });
  const given = await asking;
  if (!given) return false;
  if (given !== key) keep(given);
  return true;
}

function parse(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/* A response that is good; anything else throws an ApiError. */
async function send(method, path, options = {}) {
  for (;;) {
    const used = key;
    const headers = new Headers(options.headers);
    if (used) headers.set("Authorization", `Bearer ${used}`);
    let reply;
    try {
      reply = await fetch(path, { ...options, method, headers, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, { error: { code: "away", message: t("away") } });
    }
    if (reply.ok) return reply;
    const failure = new ApiError(reply.status, parse(await reply.text()));
    if (reply.status !== 401 || !(await wantKey(used, failure.message))) throw failure;
  }
}

export async function request(method, path, body = undefined) {
  const options = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return parse(await (await send(method, path, options)).text());
}

/* The body as it comes. */
export async function openBody(path, signal) {
  return (await send("GET", path, { signal })).body.getReader();
}

/* A request that is answered by server-sent events: take(name, data) for each of them. */
export async function requestEvents(path, body, take, signal) {
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
  const reader = (await send("POST", path, { body: JSON.stringify(body), headers, signal })).body.getReader();
  const decoder = new TextDecoder();
  let waiting = "";
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    const events = (waiting + decoder.decode(step.value, { stream: true })).split("\n\n");
    waiting = events.pop();
    for (const event of events) {
      const lines = event.split("\n"), of = (key) => lines.filter((line) => line.startsWith(key)).map((line) => line.slice(key.length).replace(/^ /, ""));
      const data = parse(of("data:").join("\n"));
      if (data !== null) take(of("event:")[0] ?? "message", data);
    }
  }
}

/* A path for <img>, EventSource or WebSocket: with a short-lived token when there are keys. One token
 * serves until shortly before its end. */
export async function signed(path, scope, stream) {
  if (!key) return path;
  const name = `${scope} ${stream ?? ""}`;
  let known = tokens.get(name);
  if (!known || known.until < Date.now()) {
    const { token, expires_us } = await request("POST", "/v1/tokens", stream ? { scope, stream } : { scope });
    known = { token, until: expires_us / 1000 - TOKEN_MARGIN_MS };
    tokens.set(name, known);
  }
  return `${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(known.token)}`;
}

/* After a refusal: a server that was started anew knows none of the old tokens. */
export function forgetTokens() {
  tokens.clear();
}

export function socketAddress(path) {
  return new URL(path, location.href.replace(/^http/, "ws")).href;
}

/* An upload with progress (0 to 1), which fetch cannot tell. */
export function upload(file, progress) {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open("POST", "/v1/uploads");
    if (key) call.setRequestHeader("Authorization", `Bearer ${key}`);
    call.setRequestHeader("Content-Type", "application/octet-stream");
    call.upload.onprogress = (event) => progress(event.loaded / Math.max(event.total, 1));
    call.onerror = () => reject(new ApiError(0, { error: { message: t("uploadCut") } }));
    call.onload = () => {
      const body = parse(call.responseText);
      if (call.status < 300) resolve(body);
      else reject(new ApiError(call.status, body));
    };
    call.send(file);
  });
}

/* A stream's id from what it is made of, with the time of day: letters, digits and hyphens. */
export function idFor(name) {
  const words = name.normalize("NFKD").toLowerCase().replace(/\.[a-z0-9]{1,5}$/, "").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 32) || "file";
  const now = new Date(), two = (n) => String(n).padStart(2, "0");
  return `${words}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
}

/* The path of a key frame. */
export function framePath(caption) {
  return `/v1/streams/${encodeURIComponent(caption.stream)}/frames/${caption.picture_ms}.jpg`;
}

export function streamPath(id, rest = "") {
  return `/v1/streams/${encodeURIComponent(id)}${rest}`;
}
