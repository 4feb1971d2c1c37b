/* The live page: its parts, buttons and keys. */

import { $, clock, memory, setText } from "./dom.js";
import { t, translate, language, setLanguage } from "./i18n.js";
import { idFor, onKeyWanted, request, streamPath, upload } from "./api.js";
import { settle, tell } from "./notices.js";
import { Ask } from "./ask.js";
import { Camera } from "./camera.js";
import { Now } from "./now.js";
import { Panels } from "./panels.js";
import { Params } from "./params.js";
import { Search } from "./search.js";
import { Stage } from "./stage.js";
import { Standing } from "./standing.js";
import { Strip } from "./strip.js";
import { keyOf, Timeline } from "./timeline.js";
import { Watch } from "./watch.js";

const now = new Now();
const stage = new Stage((seen) => now.see(seen));
const timeline = new Timeline($("captions"), {
  onShow: (caption) => showMoment(caption),
  onChange: () => strip.plan(),
  onFollow: showMissed,
});
const strip = new Strip($("strip"), timeline);
const params = new Params($("params"), (error) => tell("action", error.message));
const panels = new Panels((name) => {
  if (name === "ask") seeAsk();
});
const ask = new Ask((moment) => showEvidence(moment), () => panels.isSeen("ask"));
const standing = new Standing(() => panels.isSeen("ask"), (stream, fired, fresh) => tellFired(stream, fired, fresh));
const watch = new Watch({ stage, timeline, now, params, ask, standing }, () => closeCamera());
const search = new Search((caption) => jump(caption), () => watch.id);

let camera = null;

/* ---- moments ---- */

function showMoment(caption) {
  now.show(caption);
  stage.showMoment(caption);
}

async function jump(caption) {
  if (caption.stream !== watch.id) await watch.choose(caption.stream);
  timeline.mark(keyOf(caption));
  showMoment(caption);
  if (matchMedia("(max-width: 820px)").matches) $("stage").scrollIntoView({ block: "nearest" });
}

/* What an answer rests on; it need not be a caption. */
function showEvidence(moment) {
  const near = timeline.captions().find(({ caption }) => (moment.id === null ? caption.start_ms <= moment.start_ms && moment.start_ms < caption.end_ms : caption.id === moment.id));
  timeline.mark(near?.key ?? null);
  showMoment({ ...moment, text: moment.text || near?.caption.text || "" });
  if (matchMedia("(max-width: 820px)").matches) $("stage").scrollIntoView({ block: "nearest" });
}

/* ---- questions ---- */

function seeAsk() {
  $("ask-news").hidden = true;
  settle("fired");
  ask?.look();
  standing?.look(true);
}

function tellFired(stream, fired, fresh) {
  ask.tell(stream, fired);
  if (!fresh || panels.isSeen("ask")) return;
  tell("fired", t("watchFired", fired.question, clock(fired.end_ms)), "info");
  $("ask-news").hidden = false;
}

function backToLive() {
  timeline.mark(null);
  timeline.toEnd();
  if (watch.over) return;
  now.back();
  stage.backToLive();
}

function showMissed(n) {
  $("missed").hidden = n === 0;
  if (n) setText($("missed").lastElementChild, t("newCaptions", n));
}

/* ---- camera and files ---- */

function closeCamera() {
  if (!camera) return;
  camera.close();
  camera = null;
  settle("camera");
  showCameraButton();
}

function showCameraButton() {
  $("use-camera").setAttribute("aria-pressed", String(camera !== null));
  setText($("use-camera").lastElementChild, t(camera ? "stopCamera" : "useCamera"));
}

function cameraFault(error) {
  const why = { NotAllowedError: "cameraDenied", NotFoundError: "cameraNone", NotReadableError: "cameraBusy" }[error.name];
  return t("noCamera", navigator.mediaDevices ? (why ? t(why) : error.message) : t("cameraInsecure"));
}

async function useCamera() {
  if (camera) {
    closeCamera();
    return;
  }
  $("use-camera").disabled = true;
  try {
    camera = await Camera.open($("camera"), { lang: language() }, {
      opened: (id) => watch.choose(id, { local: true }).then(() => watch.list()),
      fault: (text) => tell("camera", text),
      fine: () => settle("camera"),
    });
    settle("camera");
    watch.close();
    stage.showCamera(camera.media);
    for (const track of camera.media.getTracks()) track.addEventListener("ended", closeCamera);
  } catch (error) {
    tell("camera", cameraFault(error));
  }
  $("use-camera").disabled = false;
  showCameraButton();
}

async function useFile(file) {
  if (!file) return;
  try {
    const { name } = await upload(file, (part) => tell("upload", t("uploading", Math.round(part * 100)), "info"));
    const stream = await request("POST", "/v1/streams", {
      id: idFor(file.name),
      source: `upload:${name}`,
      params: { lang: language(), realtime: true, loop: false, fps: 2 },
    });
    settle("upload");
    await watch.choose(stream.id);
    await watch.list();
  } catch (error) {
    settle("upload");
    tell("action", error.message);
  }
}

async function endStream() {
  const { id } = watch;
  setText($("end-title"), t("endAsk", id));
  if (!camera && !(await agree($("ask-end")))) return;
  try {
    closeCamera();
    await request("DELETE", streamPath(id));
    await watch.list();
  } catch (error) {
    tell("action", error.message);
  }
}

function takeDrops() {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    useFile(event.dataTransfer?.files[0]);
  });
}

/* ---- dialogs ---- */

/* Whether it was agreed to. */
function agree(dialog) {
  return new Promise((resolve) => {
    dialog.returnValue = "";
    dialog.onclose = () => resolve(dialog.returnValue === "ok");
    dialog.showModal();
  });
}

async function askForKey(why) {
  $("key").value = "";
  setText($("key-fault"), why);
  return (await agree($("ask-key"))) ? $("key").value.trim() : "";
}

async function toggleParams() {
  const opening = !params.open;
  params.hide();
  try {
    if (opening && watch.stream) await params.show(watch.stream);
  } catch (error) {
    tell("action", error.message);
  }
  $("open-params").setAttribute("aria-expanded", String(params.open));
  if (params.open) $("params").scrollIntoView({ block: "nearest" });
}

/* ---- language, theme, keys ---- */

function showLanguage() {
  translate();
  setText($("language"), language() === "en" ? "日本語" : "English");
  $("language").lang = language() === "en" ? "ja" : "en";
  showCameraButton();
  watch.translate();
  search.translate();
  timeline.translate();
  ask.translate();
  standing.translate();
  if (watch.id === null) stage.clear();
  if (params.open) params.show(watch.stream);
}

function toggleTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  const next = dark ? "light" : "dark";
  memory.set("theme", next);
  document.documentElement.dataset.theme = next;
  strip.plan();
}

function move(list, step) {
  if (!panels.isSeen("captions")) panels.show("captions");
  list.move(step);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.target instanceof Element && event.target.matches("input:not([type=checkbox]), textarea, select")) return;
  const list = search.open ? search.hits : timeline;
  const actions = {
    a: () => {
      panels.show("ask");
      $("ask-text").focus();
    },
    "/": () => {
      panels.show("captions");
      $("query").focus();
      $("query").select();
    },
    j: () => move(list, 1),
    k: () => move(list, -1),
    l: backToLive,
    b: () => $("show-boxes").click(),
    Escape: () => (search.open ? search.close() : backToLive()),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

function start() {
  onKeyWanted(askForKey);
  $("show-boxes").checked = stage.showBoxes;
  $("show-boxes").addEventListener("change", (event) => stage.setBoxes(event.target.checked));
  $("use-camera").addEventListener("click", useCamera);
  $("use-file").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", (event) => {
    useFile(event.target.files[0]);
    event.target.value = "";
  });
  $("back-to-live").addEventListener("click", backToLive);
  $("missed").addEventListener("click", () => timeline.toEnd());
  $("end").addEventListener("click", endStream);
  $("open-params").addEventListener("click", toggleParams);
  $("language").addEventListener("click", () => {
    setLanguage(language() === "en" ? "ja" : "en");
    showLanguage();
  });
  $("theme").addEventListener("click", toggleTheme);
  document.addEventListener("keydown", onKey);
  addEventListener("pagehide", closeCamera);
  takeDrops();
  stage.clear();
  showLanguage();
  watch.list();
  request("GET", "/version").then(({ version }) => setText($("version"), `Manako ${version}`), () => {});
}

start();
