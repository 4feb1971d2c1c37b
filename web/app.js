/* The live page: choose what is watched, see it beside its captions, search, change settings. */

import { $, make } from "./dom.js";
import { t, translate, language, setLanguage } from "./i18n.js";
import { request, onKeyWanted, upload } from "./api.js";
import { Events } from "./events.js";
import { Stage } from "./stage.js";
import { Timeline, keyOf } from "./timeline.js";
import { Params } from "./params.js";
import { Camera } from "./camera.js";

const STREAMS_EVERY = 5000;

const stage = new Stage(() => timeline.mark(null));
const timeline = new Timeline($("captions"), $("strip"), (caption) => stage.showMoment(caption));
const hits = new Timeline($("hits"), null, (caption) => jump(caption));
const params = new Params($("params"), (error) => (error ? notice(error.message) : notice("")));

let chosen = null; /* the stream's id */
let events = null;
let camera = null;
let streams = [];

/* ---- words to the user ---- */

function notice(text) {
  $("notice").firstElementChild.textContent = text;
  $("notice").hidden = !text;
}

function showBackend(stream) {
  const { name, state, detail } = stream.backend ?? {};
  const badge = $("backend");
  badge.className = `badge ${state === "degraded" || state === "down" ? state : ""}`;
  badge.textContent = name === "template" ? t("template") : `${name ?? ""}${detail ? `: ${detail}` : ""}`;
  badge.title = detail ?? "";
}

function showState(stream) {
  showBackend(stream);
  $("facts").textContent = stream.counters ? t("counts", stream.counters) : "";
  if (stream.error) notice(stream.error.message);
}

/* ---- the choice of streams ---- */

function streamLabel(stream) {
  const state = { ended: t("ended"), failed: t("failed"), waiting: t("away") }[stream.state];
  return state ? `${stream.id} (${state})` : stream.id;
}

async function listStreams() {
  try {
    streams = (await request("GET", "/v1/streams")).streams;
  } catch (error) {
    notice(error.message);
    return;
  }
  const select = $("streams");
  const wanted = streams.map((s) => `${s.id} ${s.state}`).join("\n") + language();
  if (select.dataset.shown === wanted) return;
  select.dataset.shown = wanted;
  select.replaceChildren(...(streams.length
    ? streams.map((s) => make("option", { value: s.id, text: streamLabel(s), selected: s.id === chosen }))
    : [make("option", { text: t("noStreams"), disabled: true, selected: true })]));
  if (chosen === null) {
    const first = streams.find((s) => s.state === "running") ?? streams[0];
    const asked = streams.find((s) => s.id === location.hash.slice(1));
    if (asked ?? first) await choose((asked ?? first).id);
  } else {
    select.value = chosen;
  }
}

async function choose(id, { local = false } = {}) {
  events?.close();
  if (!local) closeCamera();
  chosen = id;
  history.replaceState(null, "", `#${id}`);
  notice("");
  timeline.clear();
  $("running").hidden = true;
  $("waiting").hidden = false;
  $("streams").value = id;
  let stream;
  try {
    stream = await request("GET", `/v1/streams/${id}`);
  } catch (error) {
    notice(error.message);
    return;
  }
  if (chosen !== id) return;
  showState(stream);
  const over = stream.state === "ended" || stream.state === "failed";
  $("stop").hidden = over;
  if (over) await showEnded(id);
  else {
    if (!local) stage.showStream(id).catch((error) => notice(error.message));
    listen(id);
  }
  if (!$("params").hidden) await params.show(stream);
}

async function showEnded(id) {
  stage.showEnded();
  const { captions } = await request("GET", `/v1/streams/${id}/captions?limit=500`);
  for (const caption of captions) timeline.add(caption, false);
  $("waiting").hidden = captions.length > 0;
  if (captions.length) timeline.show(keyOf(captions[0]));
}

function listen(id) {
  const began = performance.now();
  events = new Events(id, {
    caption(caption) {
      $("waiting").hidden = true;
      $("running").hidden = true;
      timeline.add(caption, performance.now() - began > 1500);
    },
    running(caption) {
      $("running").lastElementChild.textContent = caption.text;
      $("running").hidden = false;
    },
    seen: (seen) => stage.setSeen(seen),
    state(stream) {
      showState(stream);
      if (stream.state === "ended" || stream.state === "failed") {
        events.close();
        $("running").hidden = true;
        listStreams();
        if (stream.state === "ended" && !camera) stage.showEnded();
      }
    },
    lost: (error) => notice(error?.message ?? t("lost")),
    back: () => notice(""),
  });
}

/* ---- camera and files ---- */

function closeCamera() {
  camera?.close();
  camera = null;
  $("use-camera").setAttribute("aria-pressed", "false");
}

async function useCamera() {
  if (camera) {
    closeCamera();
    stage.stop();
    return;
  }
  try {
    camera = await Camera.open($("camera"), { lang: language() }, {
      opened: (id) => choose(id, { local: true }).then(listStreams),
      fault: notice,
      sent: () => {},
    });
  } catch (error) {
    notice(t("noCamera") + error.message);
    return;
  }
  $("use-camera").setAttribute("aria-pressed", "true");
  stage.showCamera(camera.media);
}

async function useFile(file) {
  if (!file) return;
  closeCamera();
  try {
    const { name } = await upload(file, (part) => notice(t("uploading", Math.round(part * 100))));
    const stream = await request("POST", "/v1/streams", {
      source: `upload:${name}`,
      params: { lang: language(), realtime: true, loop: false, fps: 2 },
    });
    notice("");
    await listStreams();
    await choose(stream.id);
  } catch (error) {
    notice(error.message);
  }
}

async function stopStream() {
  try {
    if (camera) closeCamera();
    await request("DELETE", `/v1/streams/${chosen}`);
    await listStreams();
  } catch (error) {
    notice(error.message);
  }
}

/* ---- search ---- */

let searchTimer = 0;

async function search() {
  const query = $("query").value.trim();
  if (!query) {
    closeResults();
    return;
  }
  try {
    const { hits: found } = await request("GET", `/v1/search?limit=50&q=${encodeURIComponent(query)}`);
    if ($("query").value.trim() !== query) return;
    hits.clear();
    for (const { caption } of found) hits.add(caption, false);
    markWords(found);
    $("results-title").textContent = found.length ? t("found", found.length) : t("foundNone");
    $("results").hidden = false;
  } catch (error) {
    notice(error.message);
  }
}

/* Matches stand between U+2068 and U+2069 in a snippet. */
function markWords(found) {
  for (const { caption, snippet } of found) {
    const words = hits.captions.get(keyOf(caption))?.node.querySelector(".words");
    if (!words || !snippet) continue;
    words.replaceChildren(...snippet.split(/([\u2068][^\u2069]*[\u2069])/).map((part) => part.startsWith("\u2068")
      ? make("mark", { text: part.slice(1, -1) })
      : part));
  }
}

function closeResults() {
  $("results").hidden = true;
  hits.clear();
}

async function jump(caption) {
  if (caption.stream !== chosen) await choose(caption.stream);
  if (timeline.captions.has(keyOf(caption))) timeline.mark(keyOf(caption));
  await stage.showMoment(caption);
}

/* ---- the page ---- */

function askForKey() {
  return new Promise((resolve) => {
    const dialog = $("ask-key");
    $("key").value = "";
    dialog.onclose = () => resolve(dialog.returnValue === "ok" ? $("key").value : "");
    if (!dialog.open) dialog.showModal();
  });
}

function showLanguage() {
  translate();
  $("language").textContent = language() === "en" ? "日本語" : "English";
  $("streams").dataset.shown = "";
  listStreams();
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}

function onKey(event) {
  if (event.target.matches("input:not([type=checkbox]), textarea, select") || event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const actions = {
    "/": () => $("query").focus(),
    j: () => timeline.move(1),
    k: () => timeline.move(-1),
    l: () => $("back-to-live").click(),
    b: () => $("show-boxes").click(),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

function start() {
  setTheme(localStorage.getItem("theme"));
  onKeyWanted(askForKey);
  $("show-boxes").checked = stage.showBoxes;
  $("show-boxes").addEventListener("change", (event) => stage.setBoxes(event.target.checked));
  $("streams").addEventListener("change", (event) => choose(event.target.value));
  $("use-camera").addEventListener("click", useCamera);
  $("use-file").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", (event) => useFile(event.target.files[0]));
  $("stop").addEventListener("click", stopStream);
  $("notice").lastElementChild.addEventListener("click", () => notice(""));
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  $("query").addEventListener("input", () => {
    clearTimeout(searchTimer);
    searchTimer = setTimeout(search, 250);
  });
  $("close-results").addEventListener("click", () => {
    $("query").value = "";
    closeResults();
  });
  $("language").addEventListener("click", () => {
    setLanguage(language() === "en" ? "ja" : "en");
    showLanguage();
  });
  $("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    const next = dark ? "light" : "dark";
    localStorage.setItem("theme", next);
    setTheme(next);
  });
  $("open-params").addEventListener("click", async () => {
    const open = $("params").hidden;
    $("params").hidden = !open;
    $("open-params").setAttribute("aria-expanded", String(open));
    const stream = streams.find((s) => s.id === chosen);
    if (open && stream) await params.show(await request("GET", `/v1/streams/${chosen}`)).catch((error) => notice(error.message));
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("pagehide", closeCamera);
  showLanguage();
  setInterval(listStreams, STREAMS_EVERY);
  request("GET", "/version").then((v) => { $("version").textContent = `Manako ${v.version}`; }, () => {});
}

start();
