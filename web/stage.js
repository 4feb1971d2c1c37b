/* The picture: a running stream, this computer's camera, or a moment of the past, with boxes. */

import { $, make, makeSvg, clock } from "./dom.js";
import { signed } from "./api.js";
import { t } from "./i18n.js";

export class Stage {
  constructor(onBackToLive) {
    this.seen = null;
    this.showBoxes = localStorage.getItem("boxes") !== "off";
    this.mode = "empty";
    $("back-to-live").addEventListener("click", () => {
      this.backToLive();
      onBackToLive();
    });
    for (const id of ["live", "moment"]) $(id).addEventListener("load", () => this.place());
    $("camera").addEventListener("loadedmetadata", () => this.place());
    new ResizeObserver(() => this.place()).observe($("stage"));
  }

  /* The element that is seen now, and its picture's own size. */
  picture() {
    const node = !$("moment").hidden ? $("moment") : !$("camera").hidden ? $("camera") : $("live");
    if (node.hidden) return null;
    const width = node.naturalWidth || node.videoWidth, height = node.naturalHeight || node.videoHeight;
    return width && height ? { node, width, height } : null;
  }

  async showStream(id) {
    this.stop();
    this.stream = id;
    const path = await signed(`/v1/streams/${id}/video.mjpeg?fps=8&size=960`, "read", id);
    if (this.stream !== id) return;
    $("live").src = path;
    $("live").hidden = false;
    $("empty").hidden = true;
    this.mode = "live";
  }

  showCamera(media) {
    this.stop();
    $("camera").srcObject = media;
    $("camera").hidden = false;
    $("empty").hidden = true;
    $("camera").play();
    this.mode = "camera";
  }

  /* Only what was kept can be shown of a stream that has ended. */
  showEnded() {
    this.stop();
    this.mode = "ended";
    $("empty").hidden = true;
  }

  stop() {
    this.stream = null;
    this.seen = null;
    $("live").removeAttribute("src");
    $("camera").srcObject = null;
    for (const id of ["live", "camera", "moment", "back-to-live", "clock"]) $(id).hidden = true;
    $("empty").hidden = false;
    this.mode = "empty";
    this.draw(null);
  }

  async showMoment(caption) {
    if (caption.picture_ms === undefined) return;
    const path = await signed(`/v1/streams/${caption.stream}/frames/${caption.picture_ms}.jpg`, "read", caption.stream);
    $("moment").alt = caption.text;
    $("moment").src = path;
    $("moment").hidden = false;
    $("empty").hidden = true;
    $("back-to-live").hidden = this.mode === "ended" || this.mode === "empty";
    this.setClock(caption.start_ms, false);
    this.draw({ objects: caption.facts.filter((f) => f.kind === "object" && f.box?.w > 0) });
  }

  backToLive() {
    $("moment").hidden = true;
    $("moment").removeAttribute("src");
    $("back-to-live").hidden = true;
    this.draw(this.seen);
  }

  isLive() {
    return $("moment").hidden;
  }

  setSeen(seen) {
    this.seen = seen;
    if (!this.isLive()) return;
    this.setClock(seen.pts_ms, true);
    this.draw(seen);
  }

  setClock(ms, live) {
    $("clock").textContent = live ? `${t("live")} ${clock(ms)}` : clock(ms);
    $("clock").classList.toggle("is-live", live);
    $("clock").hidden = false;
  }

  setBoxes(on) {
    this.showBoxes = on;
    localStorage.setItem("boxes", on ? "on" : "off");
    this.draw(this.drawn);
  }

  draw(seen) {
    this.drawn = seen;
    $("boxes").replaceChildren();
    $("labels").replaceChildren();
    if (!seen || !this.showBoxes) return;
    const all = [
      ...(seen.objects ?? []).map((o) => [o, "object", o.name]),
      ...(seen.faces ?? []).map((o) => [o, "face", ""]),
      ...(seen.texts ?? []).map((o) => [o, "text", o.text]),
    ];
    for (const [{ box }, kind, name] of all) {
      if (!box || !(box.w > 0)) continue;
      $("boxes").append(makeSvg("rect", { class: kind, x: box.x * 1000, y: box.y * 1000, width: box.w * 1000, height: box.h * 1000, rx: 6 }));
      if (!name) continue;
      const label = make("span", { text: name });
      label.style.left = `${box.x * 100}%`;
      label.style.top = `calc(${box.y * 100}% - ${box.y > 0.06 ? 19 : -1}px)`;
      $("labels").append(label);
    }
    this.place();
  }

  /* Boxes lie over the picture, which may be smaller than the stage. */
  place() {
    const picture = this.picture();
    if (!picture) return;
    const { clientWidth: w, clientHeight: h } = $("stage");
    const scale = Math.min(w / picture.width, h / picture.height);
    const width = picture.width * scale, height = picture.height * scale;
    for (const id of ["boxes", "labels"]) {
      const style = $(id).style;
      style.left = `${(w - width) / 2}px`;
      style.top = `${(h - height) / 2}px`;
      style.width = `${width}px`;
      style.height = `${height}px`;
    }
  }
}
