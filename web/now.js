/* What is told of the picture that is shown: the newest words, or those of a past moment, and the
 * names of what is seen. */

import { $, clock, make, setText } from "./dom.js";
import { nameOf, t } from "./i18n.js";

const ANNOUNCE_MS = 5000, MOST_CHIPS = 8;

export class Now {
  constructor() {
    this.clear();
  }

  clear() {
    this.newest = null;
    this.moment = null;
    this.ended = false;
    this.chips("");
    this.draw();
  }

  /* final: it will not change any more */
  live(caption, final) {
    this.newest = { caption, final };
    if (!this.moment) this.draw();
    if (final) this.announce(caption);
  }

  show(caption) {
    this.moment = caption;
    this.draw();
    this.see(null);
  }

  back() {
    this.moment = null;
    this.draw();
  }

  /* Nothing more comes. */
  over() {
    this.newest = null;
    this.ended = true;
    this.draw();
  }

  draw() {
    const { moment, newest } = this;
    const caption = moment ?? newest?.caption;
    $("now").classList.toggle("is-running", !moment && newest?.final === false);
    $("now").classList.toggle("is-quiet", !caption);
    setText($("now-time"), moment ? `${clock(moment.start_ms)} – ${clock(moment.end_ms)}` : t(this.ended ? "past" : "live"));
    setText($("now-text"), caption?.text ?? (this.ended ? "" : t("nowEmpty")));
    $("now-text").lang = caption?.lang ?? "";
  }

  /* Screen readers are told of new captions, but not in a flood. */
  announce(caption) {
    this.waiting = caption;
    if (this.timer) return;
    const say = () => {
      this.timer = null;
      if (!this.waiting) return;
      setText($("announce"), this.waiting.text);
      this.waiting = null;
      this.timer = setTimeout(say, ANNOUNCE_MS);
    };
    say();
  }

  /* What the picture shows: a seen event, or nothing for the facts of the moment. */
  see(seen) {
    if (seen === null && !this.moment) {
      this.chips("");
      return;
    }
    if (this.moment) {
      const kinds = (this.moment.facts ?? []).filter((fact) => ["object", "scene", "text", "action", "pose"].includes(fact.kind));
      this.chips(kinds.map((fact) => (fact.kind === "text" ? `“${fact.name}”` : `${nameOf(fact.name)}${fact.count > 1 ? ` ×${fact.count}` : ""}`)).join("\n"));
      return;
    }
    const counts = new Map();
    for (const { name } of seen.objects ?? []) counts.set(name, (counts.get(name) ?? 0) + 1);
    const things = [...counts].map(([name, n]) => `${nameOf(name)}${n > 1 ? ` ×${n}` : ""}`);
    const texts = (seen.texts ?? []).map(({ text }) => `“${text}”`);
    const scenes = (seen.labels ?? []).map(({ name }) => nameOf(name));
    this.chips([...things, ...texts, ...scenes].join("\n"));
  }

  chips(lines) {
    if (this.shown === lines) return;
    this.shown = lines;
    const all = [...new Set(lines.split("\n"))].filter(Boolean).slice(0, MOST_CHIPS);
    $("chips").replaceChildren(...all.map((text) => make("li", { text })));
  }
}
