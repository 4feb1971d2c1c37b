/* Captions along time, on one canvas: each a bar, the higher the more was told. A pointer shows and
 * chooses them; for keys and screen readers it is a slider from caption to caption. */

import { $, clamp, clock, setText } from "./dom.js";

const GAP = 1, LOWEST = 0.5, STEP = 0.1;

export class Strip {
  /* timeline: gives captions() in order, current and show(key) */
  constructor(canvas, timeline) {
    this.canvas = canvas;
    this.timeline = timeline;
    this.planned = false;
    canvas.addEventListener("pointermove", (event) => this.hint(event));
    canvas.addEventListener("pointerleave", () => { $("strip-hint").hidden = true; });
    canvas.addEventListener("click", (event) => {
      const found = this.find(event);
      if (found) this.timeline.show(found.key);
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.plan()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plan());
  }

  /* Draws once, however often it is asked until the next picture of the screen. */
  plan() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => {
      this.planned = false;
      this.draw();
    });
  }

  draw() {
    const all = this.timeline.captions();
    const { canvas } = this;
    const scale = devicePixelRatio, width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const g = canvas.getContext("2d");
    g.clearRect(0, 0, width, height);
    $("strip-box").classList.toggle("is-empty", all.length === 0);
    this.all = all;
    if (all.length === 0) {
      setText($("strip-from"), "");
      setText($("strip-to"), "");
      canvas.setAttribute("aria-disabled", "true");
      return;
    }
    this.from = all[0].caption.start_ms;
    this.to = Math.max(...all.map((entry) => entry.caption.end_ms), this.from + 1);
    setText($("strip-from"), clock(this.from));
    setText($("strip-to"), clock(this.to));
    const colours = getComputedStyle(canvas), x = (ms) => ((ms - this.from) / (this.to - this.from)) * width;
    const bar = colours.getPropertyValue("--bar"), strong = colours.getPropertyValue("--accent"), gap = colours.getPropertyValue("--line");
    for (const { key, caption, gap: isGap } of all) {
      const left = x(caption.start_ms), right = Math.max(x(caption.end_ms) - GAP * scale, left + scale);
      const part = isGap ? 0.14 : clamp(LOWEST + STEP * (caption.facts?.length ?? 0), LOWEST, 1);
      g.fillStyle = key === this.timeline.current ? strong : isGap ? gap : bar;
      g.fillRect(left, height * (1 - (key === this.timeline.current ? 1 : part)), right - left, height);
    }
    this.describe(all);
  }

  describe(all) {
    const at = all.findIndex((entry) => entry.key === this.timeline.current);
    const { caption } = all[at < 0 ? all.length - 1 : at];
    const set = (name, value) => {
      if (this.canvas.getAttribute(name) !== String(value)) this.canvas.setAttribute(name, value);
    };
    this.canvas.removeAttribute("aria-disabled");
    set("aria-valuemin", 1);
    set("aria-valuemax", all.length);
    set("aria-valuenow", at < 0 ? all.length : at + 1);
    set("aria-valuetext", `${clock(caption.start_ms)} ${caption.text}`);
  }

  find(event) {
    if (!this.all?.length) return null;
    const box = this.canvas.getBoundingClientRect();
    const ms = this.from + ((event.clientX - box.left) / box.width) * (this.to - this.from);
    let best = null;
    for (const entry of this.all) {
      const far = Math.max(entry.caption.start_ms - ms, ms - entry.caption.end_ms, 0);
      if (!best || far < best.far) best = { far, entry };
    }
    return best.entry;
  }

  hint(event) {
    const found = this.find(event), hint = $("strip-hint");
    hint.hidden = !found || event.pointerType === "touch";
    if (hint.hidden) return;
    setText(hint.firstElementChild, clock(found.caption.start_ms));
    setText(hint.lastElementChild, found.caption.text);
    const box = this.canvas.getBoundingClientRect(), room = box.width - hint.offsetWidth;
    hint.style.left = `${clamp(event.clientX - box.left - hint.offsetWidth / 2, 0, Math.max(room, 0))}px`;
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined || !this.all?.length) return;
    event.preventDefault();
    const at = this.all.findIndex((entry) => entry.key === this.timeline.current);
    const next = clamp((at < 0 ? this.all.length - 1 : at) + step, 0, this.all.length - 1);
    this.timeline.show(this.all[next].key);
  }
}
