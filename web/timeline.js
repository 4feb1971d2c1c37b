/* The list of captions and the strip along time. The newest is at the end; the list follows it
 * unless the reader has scrolled away. */

import { $, make, clock } from "./dom.js";
import { signed, hasKey } from "./api.js";
import { t } from "./i18n.js";

const MOST = 600;

/* Ids are unique within a stream only. */
export function keyOf(caption) {
  return `${caption.stream}/${caption.id}`;
}

export class Timeline {
  /* onShow(caption): the user wants to see that moment */
  constructor(list, strip, onShow) {
    this.list = list;
    this.strip = strip;
    this.onShow = onShow;
    this.captions = new Map();
    this.current = null;
  }

  clear() {
    this.captions.clear();
    this.current = null;
    this.list.replaceChildren();
    this.strip?.replaceChildren();
  }

  static isGap(caption) {
    return caption.facts?.some((fact) => fact.kind === "gap") ?? false;
  }

  add(caption, isNew) {
    const follows = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 80;
    const known = this.captions.get(keyOf(caption));
    const node = this.entry(caption);
    if (known) {
      known.node.replaceWith(node);
    } else {
      this.insert(node, caption);
      if (isNew) node.classList.add("is-new");
    }
    this.captions.set(keyOf(caption), { caption, node });
    if (this.current === keyOf(caption)) node.setAttribute("aria-current", "true");
    this.trim();
    this.drawStrip();
    if (follows) this.list.scrollTop = this.list.scrollHeight;
  }

  insert(node, caption) {
    for (let other = this.list.lastElementChild; other; other = other.previousElementSibling) {
      if (Number(other.dataset.start) <= caption.start_ms) {
        other.after(node);
        return;
      }
    }
    this.list.prepend(node);
  }

  trim() {
    while (this.captions.size > MOST) {
      const first = this.list.firstElementChild;
      this.captions.delete(first.dataset.id);
      first.remove();
    }
  }

  entry(caption) {
    const gap = Timeline.isGap(caption);
    const picture = make("img", { class: "thumb", alt: "", loading: "lazy" });
    if (caption.picture_ms === undefined) picture.hidden = gap;
    else this.loadThumb(picture, caption);
    let when = `${clock(caption.start_ms)} – ${clock(caption.end_ms)}`;
    if (caption.backend && !["template", "none"].includes(caption.backend)) when += ` · ${caption.backend}`;
    if (caption.durable === false) when += ` · ${t("unsaved")}`;
    const time = make("time", { text: when });
    const text = make("span", { class: "words", text: caption.text, lang: caption.lang });
    const button = make("button", { type: "button", onclick: () => this.show(keyOf(caption)) }, picture, time, text);
    return make("li", { class: gap ? "gap" : null, "data-id": keyOf(caption), "data-start": caption.start_ms }, button);
  }

  async loadThumb(image, caption) {
    const path = `/v1/streams/${caption.stream}/frames/${caption.picture_ms}.jpg`;
    image.addEventListener("error", () => image.removeAttribute("src"), { once: true });
    image.src = hasKey() ? await signed(path, "read", caption.stream) : path;
  }

  show(id) {
    const entry = this.captions.get(id);
    if (!entry) return;
    this.mark(id);
    this.onShow(entry.caption);
  }

  mark(id) {
    for (const node of [this.list, this.strip].flatMap((n) => (n ? [...n.querySelectorAll("[aria-current]")] : [])))
      node.removeAttribute("aria-current");
    this.current = id;
    const entry = this.captions.get(id);
    entry?.node.setAttribute("aria-current", "true");
    entry?.node.scrollIntoView({ block: "nearest" });
    this.drawStrip();
  }

  move(step) {
    const all = [...this.list.children];
    const at = all.findIndex((node) => node.dataset.id === this.current);
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step;
    if (all[next]) {
      this.mark(all[next].dataset.id);
      all[next].querySelector("button").focus({ preventScroll: true });
    }
  }

  drawStrip() {
    if (!this.strip) return;
    const all = [...this.captions.values()].map((entry) => entry.caption);
    if (all.length === 0) return;
    const from = Math.min(...all.map((c) => c.start_ms)), to = Math.max(...all.map((c) => c.end_ms));
    const span = Math.max(to - from, 1);
    this.strip.replaceChildren(...all.map((caption) => {
      const bar = make("button", {
        type: "button",
        tabindex: "-1",
        class: [Timeline.isGap(caption) ? "gap" : "", keyOf(caption) === this.current ? "is-shown" : ""].join(" ").trim() || null,
        title: `${clock(caption.start_ms)}  ${caption.text}`,
        onclick: () => this.show(keyOf(caption)),
      });
      bar.style.left = `${((caption.start_ms - from) / span) * 100}%`;
      bar.style.width = `${((caption.end_ms - caption.start_ms) / span) * 100}%`;
      return bar;
    }));
  }
}
