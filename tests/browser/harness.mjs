/* What the tests of the page share: servers of their own, one Chromium, TAP lines. */

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

/* Long enough for a sanitized server on a loaded machine; a hang is still found. */
export const PATIENCE = 90000;

const env = process.env;
export const SHOTS = env.MANAKO_SHOTS ?? fs.mkdtempSync(path.join(os.tmpdir(), "manako-shots-"));

function which(...names) {
  for (const name of names)
    for (const folder of (env.PATH ?? "").split(":"))
      if (folder && fs.existsSync(path.join(folder, name))) return path.join(folder, name);
  return null;
}

function driver() {
  const cache = env.MANAKO_CACHE ?? path.join(env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "manako");
  const file = path.join(cache, "testdata", "playwright-core", "package", "index.mjs");
  return fs.existsSync(file) ? file : null;
}

export function ffmpeg(...args) {
  execFileSync("ffmpeg", ["-nostdin", "-v", "error", "-y", ...args.map(String)]);
}

export class Folder {
  constructor() {
    this.path = fs.mkdtempSync(path.join(os.tmpdir(), "manako-page-"));
  }

  at(name) {
    return path.join(this.path, name);
  }

  /* Plain colours one after the other, hard cuts between, a moving square on top. */
  clip(name, colours = ["red", "green", "blue", "yellow"], seconds = 3) {
    const inputs = colours.flatMap((colour) => ["-f", "lavfi", "-i", `color=c=${colour}:s=320x240:r=10:d=${seconds}`]);
    const labels = colours.map((_, i) => `[${i}:v]`).join("");
    ffmpeg(...inputs, "-filter_complex", `${labels}concat=n=${colours.length}:v=1:a=0[v]`, "-map", "[v]",
      "-c:v", "libx264", "-g", 10, "-pix_fmt", "yuv420p", this.at(name));
    return this.at(name);
  }

  remove() {
    fs.rmSync(this.path, { recursive: true, force: true });
  }
}

const running = new Set();

/* A child whose first line that fits tells that it is ready. Ends with the tests. */
async function start(command, args, { ready, stream, ...options }) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
  running.add(child);
  child.said = [];
  child.gone = new Promise((resolve) => child.on("exit", (code, signal) => {
    running.delete(child);
    resolve(code ?? signal);
  }));
  const found = new Promise((resolve) => {
    for (const name of ["stdout", "stderr"])
      readline.createInterface({ input: child[name] }).on("line", (line) => {
        child.said.push(line);
        const match = name === stream && line.match(ready);
        if (match) resolve(match);
      });
  });
  child.match = await Promise.race([found, child.gone.then(() => null)]);
  if (!child.match) throw new Error(`${command} does not start:\n${child.said.join("\n")}`);
  return child;
}

/* Plays the services of language models. */
export async function faultServer() {
  const child = await start("python3", [env.MANAKO_FAULT_SERVER], { ready: /^(\d+)$/, stream: "stdout" });
  return { url: `http://127.0.0.1:${child.match[1]}`, stop: () => child.kill() };
}

export class Server {
  constructor(folder, data, args, environment = {}) {
    this.folder = folder;
    this.args = ["serve", "--data-dir", folder.at(data), "--log-level", "warning", ...args.map(String)];
    const kept = Object.entries(env).filter(([name]) => !/^(MANAKO_|STREAMING_DVC)/.test(name));
    this.env = { ...Object.fromEntries(kept), MANAKO_STUB_MODEL: "true", NO_COLOR: "1", XDG_CACHE_HOME: folder.at("cache"), HOME: folder.path, ...environment };
    this.port = 0;
  }

  async start() {
    this.child = await start(env.MANAKO, [...this.args, "--port", String(this.port)], {
      ready: /http:\/\/[^ /]*:(\d+)\//, stream: "stderr", env: this.env, cwd: this.folder.path,
    });
    this.port = Number(this.child.match[1]);
    return this;
  }

  url(rest = "/") {
    return `http://127.0.0.1:${this.port}${rest}`;
  }

  async request(method, rest, body, headers = {}) {
    const reply = await fetch(this.url(rest), { method, body: body && JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } });
    const text = await reply.text();
    return { status: reply.status, body: text ? JSON.parse(text) : null };
  }

  async get(rest, headers) {
    const { status, body } = await this.request("GET", rest, undefined, headers);
    equal(status, 200, `GET ${rest}`);
    return body;
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.child.gone;
  }

  /* SIGTERM; the sanitizers have their say. */
  async stop() {
    this.child.kill("SIGTERM");
    const status = await this.child.gone;
    const said = this.child.said.join("\n");
    ok(!/Sanitizer|runtime error:/.test(said), said);
    equal(status, 0, `the server's status; it said:\n${said}\n`);
  }
}

export function ok(value, what = "value") {
  if (!value) throw new Error(`${what}: ${value}`);
}

export function equal(actual, expected, what = "value") {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, expected ${b}`);
}

/* The probe's first true answer. */
export async function until(what, probe) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    const found = await probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} does not come`);
}

function missing() {
  if (!which("chromium", "chromium-browser", "google-chrome")) return "chromium is not installed";
  if (!which("ffmpeg")) return "the ffmpeg program is not installed";
  if (!driver()) return "playwright-core is not there (tools/fetch.py --tests gets it)";
  return null;
}

export async function launch() {
  const { chromium } = await import(pathToFileURL(driver()));
  return chromium.launch({
    executablePath: which("chromium", "chromium-browser", "google-chrome"),
    timeout: PATIENCE,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
}

/* cases: name -> async function(world); setUp makes what they share, tearDown may fail once more. */
export async function main(cases, setUp, tearDown) {
  const all = Object.entries(cases), chosen = process.argv[2];
  const wanted = all.filter(([name]) => !chosen || name.includes(chosen));
  const why = missing();
  console.log(why ? `1..0 # SKIP ${why}` : `1..${wanted.length + 1}`);
  if (why) return;
  fs.mkdirSync(SHOTS, { recursive: true });
  let failed = false, number = 0;
  const tell = async (name, run) => {
    number++;
    try {
      await run();
      console.log(`ok ${number} - ${name}`);
    } catch (error) {
      failed = true;
      console.log(`not ok ${number} - ${name}`);
      for (const line of String(error.stack ?? error).split("\n")) console.log(`# ${line}`);
    }
  };
  const world = { folder: new Folder() };
  try {
    world.browser = await launch();
    await setUp(world);
    for (const [name, run] of wanted) await tell(name, () => run(world));
    await tell("servers end well", () => tearDown(world));
  } catch (error) {
    failed = true;
    console.log(`Bail out! ${String(error).split("\n").join(" ")}`);
  } finally {
    await world.browser?.close();
    for (const child of running) child.kill("SIGKILL");
    world.folder.remove();
  }
  process.exitCode = failed ? 1 : 0;
}
