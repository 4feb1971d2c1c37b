/* A list of captions. That of a stream is in the order of time, follows its newest end unless the
 * reader has scrolled away, and is bounded. */

import { clock, icon, make, setText } from "./dom.js";
import { forgetTokens, framePath, signed } from "./api.js";
import { t } from "./i18n.js";

const MOST = 600, AT_END = 48;
const NO_PICTURE = "M4 5h16v14H4zM4 16l4.5-5 3.5 4 2.5-2.5L20 18M15.5 9.5h.01";

/* Ids are unique within a stream only. */
export function keyOf(caption) {
  return `${caption.stream}/${caption.id}`;
}

function isGap(caption) {
  return caption.facts?.some((fact) => fact.kind === "gap") ?? false;
}

export class Timeline {
  /* onShow(caption): the user wants to see that moment.
   * onChange(): the captions or the current one have changed.
   * onFollow(n): n captions came while the reader looked elsewhere; 0: the end is in view.
   * live: new ones come at the end, which is followed. */
  constructor(list, { onShow, onChange = () => {}, onFollow = () => {}, live = true }) {
    this.list = list;
    this.live = live;
    this.onShow = onShow;
    this.onChange = onChange;
    this.onFollow = onFollow;
    this.entries = new Map();
    this.current = null;
    this.following = live;
    this.missed = 0;
    this.top = 0;
    list.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.pictures = new IntersectionObserver((found) => {
      for (const { isIntersecting, target } of found) if (isIntersecting) this.loadThumb(target);
    }, { root: list, rootMargin: "200px" });
    new ResizeObserver(() => this.keepEnd()).observe(list);
  }

  clear() {
    this.pictures.disconnect();
    this.entries.clear();
    this.list.replaceChildren();
    this.current = null;
    if (this.live) this.toEnd();
    else this.list.scrollTop = 0;
    this.onChange();
  }

  get size() {
    return this.entries.size;
  }

  get(key) {
    return this.entries.get(key)?.caption;
  }

  /* In the list's order. */
  captions() {
    return [...this.list.children].map((node) => this.entries.get(node.dataset.key));
  }

  /* sorted: put where its time belongs, not at the end. */
  add(caption, { fresh = false, sorted = true } = {}) {
    const key = keyOf(caption);
    let entry = this.entries.get(key);
    if (!entry) {
      entry = this.entry(key);
      this.entries.set(key, entry);
      this.insert(entry.node, caption, sorted);
      if (fresh) this.greet(entry.node);
      if (!this.following) this.onFollow(++this.missed);
    }
    this.fill(entry, caption);
    while (this.entries.size > MOST) this.remove(this.list.firstElementChild);
    this.onChange();
    this.keepEnd();
  }

  greet(node) {
    node.classList.add("is-new");
    node.addEventListener("animationend", () => node.classList.remove("is-new"), { once: true });
  }

  insert(node, caption, sorted) {
    node.dataset.start = caption.start_ms;
    for (let other = this.list.lastElementChild; sorted && other; other = other.previousElementSibling) {
      if (Number(other.dataset.start) <= caption.start_ms) {
        other.after(node);
        return;
      }
    }
    if (sorted) this.list.prepend(node);
    else this.list.append(node);
  }

  remove(node) {
    this.pictures.unobserve(node.querySelector(".thumb"));
    this.entries.delete(node.dataset.key);
    node.remove();
  }

  /* ---- one caption ---- */

  entry(key) {
    const thumb = make("span", { class: "thumb", "aria-hidden": "true" }, icon(NO_PICTURE));
    const time = make("span", { class: "time" }), words = make("span", { class: "words" });
    const button = make("button", { type: "button", onclick: () => this.show(key) },
      thumb, make("span", { class: "told" }, time, words));
    const node = make("li", { "data-key": key }, button);
    return { key, node, thumb, time, words, button };
  }

  fill(entry, caption) {
    const before = entry.caption;
    entry.caption = caption;
    entry.gap = isGap(caption);
    entry.node.className = [entry.node.classList.contains("is-new") && "is-new", entry.gap && "is-gap"].filter(Boolean).join(" ");
    this.fillTime(entry);
    setText(entry.words, caption.text);
    entry.words.lang = caption.lang ?? "";
    if (!before && entry.key === this.current) this.mark(entry.key);
    if (before?.picture_ms === caption.picture_ms) return;
    entry.thumb.querySelector("img")?.remove();
    if (caption.picture_ms !== undefined) this.pictures.observe(entry.thumb);
  }

  fillTime(entry) {
    const { caption } = entry, parts = [`${clock(caption.start_ms)} – ${clock(caption.end_ms)}`];
    if (entry.origin) parts.unshift(entry.origin);
    if (caption.backend && !["template", "none"].includes(caption.backend)) parts.push(caption.backend);
    if (caption.durable === false) parts.push(t("unsaved"));
    setText(entry.time, parts.join(" · "));
  }

  /* The words that stand in the language of the page. */
  translate() {
    for (const entry of this.entries.values()) this.fillTime(entry);
  }

  async loadThumb(thumb, retried = false) {
    this.pictures.unobserve(thumb);
    const entry = this.entries.get(thumb.closest("li")?.dataset.key);
    if (!entry || thumb.querySelector("img")) return;
    let path;
    try {
      path = await signed(framePath(entry.caption), "read", entry.caption.stream);
    } catch {
      return;
    }
    const image = make("img", { alt: "", decoding: "async" });
    image.addEventListener("error", () => {
      image.remove();
      forgetTokens();
      if (!retried) this.loadThumb(thumb, true);
    });
    image.src = path;
    thumb.append(image);
  }

  /* ---- choosing ---- */

  show(key) {
    const entry = this.entries.get(key);
    if (!entry) return;
    this.mark(key);
    this.onShow(entry.caption);
  }

  /* One that is not there yet is marked when it comes. */
  mark(key) {
    this.entries.get(this.current)?.button.removeAttribute("aria-current");
    this.current = key;
    const entry = this.entries.get(this.current);
    if (entry) {
      entry.button.setAttribute("aria-current", "true");
      this.reveal(entry.node);
    }
    this.onChange();
  }

  /* Scrolls this list alone: the page itself must not jump on a phone. */
  reveal(node) {
    const top = node.offsetTop - this.list.offsetTop, bottom = top + node.offsetHeight;
    if (top < this.list.scrollTop) this.list.scrollTop = top - 8;
    else if (bottom > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = bottom - this.list.clientHeight + 8;
  }

  move(step) {
    const all = [...this.list.children];
    if (all.length === 0) return;
    const at = all.findIndex((node) => node.contains(document.activeElement));
    const from = at >= 0 ? at : all.findIndex((node) => node.dataset.key === this.current);
    const next = from < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(from + step, 0), all.length - 1);
    all[next].firstElementChild.focus({ preventScroll: true });
    this.reveal(all[next]);
  }

  /* ---- the newest end ---- */

  scrolled() {
    if (!this.live) return;
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    if (scrollHeight - scrollTop - clientHeight < AT_END) this.follow();
    else if (scrollTop < this.top - 1) this.following = false;
    this.top = scrollTop;
  }

  follow() {
    this.following = true;
    this.missed = 0;
    this.onFollow(0);
  }

  /* Once for all that came since the screen's last picture: it measures the list. */
  keepEnd() {
    if (!this.following || this.planned) return;
    this.planned = requestAnimationFrame(() => {
      this.planned = 0;
      if (!this.following) return;
      this.list.scrollTop = this.list.scrollHeight;
      this.top = this.list.scrollTop;
    });
  }

  toEnd() {
    this.follow();
    this.keepEnd();
  }
}
