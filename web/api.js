/* Requests to the server: the key, errors as sentences, tokens for what takes no header. */

let key = sessionStorage.getItem("key") ?? "";
let askForKey = async () => "";

export class ApiError extends Error {
  constructor(status, body) {
    super(body?.error?.message ?? `HTTP ${status}`);
    this.status = status;
    this.field = body?.error?.field ?? null;
  }
}

/* ask: an async function that gives a key, or "" when the user has none. */
export function onKeyWanted(ask) {
  askForKey = ask;
}

export function hasKey() {
  return key !== "";
}

async function fetchWithKey(method, path, options) {
  const headers = new Headers(options.headers);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  return fetch(path, { ...options, method, headers, cache: "no-store" });
}

export async function request(method, path, body = undefined, options = {}) {
  const json = body !== undefined && !(body instanceof Blob);
  const settings = { ...options, body: json ? JSON.stringify(body) : body, headers: json ? { "Content-Type": "application/json" } : {} };
  let reply = await fetchWithKey(method, path, settings);
  if (reply.status === 401) {
    const given = await askForKey();
    if (given) {
      key = given;
      sessionStorage.setItem("key", key);
      reply = await fetchWithKey(method, path, settings);
      if (reply.status === 401) {
        key = "";
        sessionStorage.removeItem("key");
      }
    }
  }
  const text = await reply.text();
  let data = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    data = null;
  }
  if (!reply.ok) throw new ApiError(reply.status, data);
  return data;
}

/* A path for <img>, EventSource or WebSocket, with a short-lived token when there are keys. */
export async function signed(path, scope, stream) {
  if (!key) return path;
  const { token } = await request("POST", "/v1/tokens", { scope, stream });
  return `${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(token)}`;
}

export function socketAddress(path) {
  return new URL(path, location.href.replace(/^http/, "ws")).href;
}

/* An upload with progress, which fetch cannot tell. */
export function upload(file, progress) {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open("POST", "/v1/uploads");
    if (key) call.setRequestHeader("Authorization", `Bearer ${key}`);
    call.setRequestHeader("Content-Type", "application/octet-stream");
    call.upload.onprogress = (event) => progress(event.loaded / Math.max(event.total, 1));
    call.onerror = () => reject(new ApiError(0, { error: { message: "the upload was cut off" } }));
    call.onload = () => {
      let body = null;
      try {
        body = JSON.parse(call.responseText);
      } catch {
        body = null;
      }
      if (call.status < 300) resolve(body);
      else reject(new ApiError(call.status, body));
    };
    call.send(file);
  });
}
