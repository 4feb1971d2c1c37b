/* The picture: a running stream, this computer's camera, or a moment of the past, with boxes. */

import { $, clamp, clock, memory, setText } from "./dom.js";
import { forgetTokens, framePath, signed } from "./api.js";
import { drawMarks, factMarks, Looks, Seen } from "./boxes.js";
import { Live } from "./live.js";
import { t } from "./i18n.js";

const NARROWEST = 1.25, WIDEST = 2.4, SEEN_EVERY_MS = 400;

export class Stage {
  /* onSeen(seen): what the picture shows now; null when there is none */
  constructor(onSeen) {
    this.onSeen = onSeen;
    this.mode = "empty"; /* empty, live, camera, over */
    this.moment = null;
    this.history = new Seen();
    this.looks = new Looks();
    this.showBoxes = memory.get("boxes") !== "off";
    this.live = new Live($("live"), (pts) => this.shown(pts));
    this.live.boxes = this.showBoxes;
    $("moment").addEventListener("load", () => this.place());
    $("moment").addEventListener("error", () => this.momentFailed());
    $("camera").addEventListener("loadedmetadata", () => this.place());
    new ResizeObserver(() => this.place()).observe($("stage"));
  }

  /* ---- what is shown ---- */

  clear() {
    this.live.close();
    this.history.clear();
    this.looks.clear();
    this.mode = "empty";
    this.pts = null;
    this.moment = null;
    $("camera").srcObject = null;
    $("moment").removeAttribute("src");
    for (const id of ["live", "camera", "moment", "back-to-live", "clock"]) $(id).hidden = true;
    this.say(t("empty"));
    this.draw();
  }

  /* Words instead of a picture. */
  say(text, { busy = false } = {}) {
    setText($("empty").lastElementChild, text);
    $("empty").classList.toggle("is-busy", busy);
    $("empty").hidden = false;
  }

  showStream(stream) {
    this.clear();
    this.mode = "live";
    if (stream.video) this.setRatio(stream.video.width, stream.video.height);
    this.say(stream.state === "waiting" ? t("clientAway") : t("connecting"), { busy: stream.state !== "waiting" });
    /* one that may fail yet has no pictures to ask for */
    if (stream.state !== "starting") this.live.open(stream.id);
  }

  showCamera(media) {
    this.clear();
    this.mode = "camera";
    $("camera").srcObject = media;
    $("camera").hidden = false;
    $("empty").hidden = true;
    $("camera").play().catch(() => {});
  }

  /* Only what was kept can be shown of a stream that has ended. */
  showOver(text) {
    const { moment } = this;
    this.live.close();
    this.mode = "over";
    $("camera").srcObject = null;
    for (const id of ["live", "camera", "back-to-live", "clock"]) $(id).hidden = true;
    if (moment) this.setClock(moment.start_ms, false);
    else this.say(text);
    this.draw();
  }

  shown(pts) {
    this.pts = pts;
    this.looks.note(pts, $("live"));
    if ($("live").hidden) {
      $("live").hidden = false;
      $("empty").hidden = !this.moment;
      this.setRatio($("live").width, $("live").height);
    }
    $("empty").hidden = true;
    if (this.moment) return;
    this.setClock(pts, true);
    this.draw();
    this.tellSeen();
  }

  /* Nothing comes for now: what is shown is old. */
  pause() {
    if (this.pts !== null && !this.moment) this.setClock(this.pts, false);
  }

  seen(seen) {
    this.history.add(seen);
    this.live.seen(seen.pts_ms, this.history.period());
    if (this.mode !== "camera") return;
    this.pts = seen.pts_ms;
    if (this.moment) return;
    this.setClock(seen.pts_ms, true);
    this.draw();
    this.tellSeen();
  }

  tellSeen() {
    const now = performance.now();
    if (now - (this.told ?? 0) < SEEN_EVERY_MS) return;
    this.told = now;
    const before = this.history.around(this.pts)[0];
    this.onSeen(before && !this.looks.changed(before.pts) ? before.seen : null);
  }

  /* ---- a moment ---- */

  async showMoment(caption) {
    if (caption.picture_ms === undefined) {
      if (this.moment) this.backToLive();
      return;
    }
    this.moment = caption;
    this.retried = false;
    $("back-to-live").hidden = this.mode === "over" || this.mode === "empty";
    this.setClock(caption.start_ms, false);
    await this.loadMoment(caption);
  }

  async loadMoment(caption) {
    let path;
    try {
      path = await signed(framePath(caption), "read", caption.stream);
    } catch {
      this.momentFailed();
      return;
    }
    if (this.moment !== caption) return;
    $("moment").alt = caption.text;
    $("moment").src = path;
    $("moment").hidden = false;
    $("empty").hidden = true;
    this.draw();
  }

  momentFailed() {
    if (!this.moment || !$("moment").getAttribute("src")) return;
    if (this.retried) {
      $("moment").hidden = true;
      this.say(t("noPicture"));
      return;
    }
    this.retried = true;
    forgetTokens();
    this.loadMoment(this.moment);
  }

  backToLive() {
    this.moment = null;
    $("moment").hidden = true;
    $("moment").removeAttribute("src");
    $("back-to-live").hidden = true;
    $("empty").hidden = this.mode === "camera" || !$("live").hidden;
    if (this.pts !== null) this.setClock(this.pts, true);
    this.draw();
  }

  setClock(ms, live) {
    setText($("clock").lastElementChild, live ? `${t("live")} ${clock(ms)}` : clock(ms));
    $("clock").classList.toggle("is-live", live);
    $("clock").hidden = false;
  }

  /* ---- boxes ---- */

  setBoxes(on) {
    this.showBoxes = on;
    this.live.boxes = on;
    memory.set("boxes", on ? "on" : "off");
    this.draw();
  }

  draw() {
    let list = [];
    if (this.showBoxes && this.moment) list = this.history.near(this.moment.picture_ms)?.marks ?? factMarks(this.moment);
    else if (this.showBoxes && this.pts !== null && this.mode !== "over") list = this.history.at(this.pts, (pts) => this.looks.changed(pts));
    drawMarks($("boxes"), list);
    this.place();
  }

  /* The element that is seen now, and its picture's own size. */
  picture() {
    const node = !$("moment").hidden ? $("moment") : !$("camera").hidden ? $("camera") : $("live");
    if (node.hidden) return null;
    const width = node.naturalWidth || node.videoWidth || node.width, height = node.naturalHeight || node.videoHeight || node.height;
    return width && height ? { width, height } : null;
  }

  setRatio(width, height) {
    if (width > 0 && height > 0) $("stage").style.setProperty("--ratio", clamp(width / height, NARROWEST, WIDEST).toFixed(3));
  }

  /* Boxes lie over the picture, which may be smaller than the stage. */
  place() {
    const picture = this.picture();
    if (!picture) return;
    this.setRatio(picture.width, picture.height);
    const { clientWidth: w, clientHeight: h } = $("stage");
    const scale = Math.min(w / picture.width, h / picture.height);
    const width = picture.width * scale, height = picture.height * scale;
    const { style } = $("boxes");
    style.left = `${(w - width) / 2}px`;
    style.top = `${(h - height) / 2}px`;
    style.width = `${width}px`;
    style.height = `${height}px`;
  }
}
