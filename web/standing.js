/* Standing questions of the stream that is watched: "tell me when …". */

import { $, clock, icon, make, setText } from "./dom.js";
import { request, streamPath } from "./api.js";
import { language, t } from "./i18n.js";

const LOOK_EVERY = 2000, MOST_SEEN = 500;

export class Standing {
  /* isSeen(): whether the panel is; onFired(stream, fired, fresh) */
  constructor(isSeen, onFired) {
    this.isSeen = isSeen;
    this.onFired = onFired;
    this.stream = null;
    this.running = false;
    this.list = [];
    this.told = new Set();
    $("watch-add").addEventListener("submit", (event) => {
      event.preventDefault();
      this.add($("watch-text").value.trim());
    });
    $("watches").addEventListener("toggle", () => this.look());
    setInterval(() => this.look(), LOOK_EVERY);
  }

  choose(stream, running) {
    const other = this.stream !== stream;
    this.stream = stream;
    this.running = running;
    $("watches").hidden = !running;
    if (!other) return;
    this.show([]);
    setText($("watch-fault"), "");
    this.look(true);
  }

  async look(always = false) {
    const { stream } = this;
    if (stream === null || !this.running || document.hidden || !this.isSeen() || (!always && !$("watches").open && !this.list.length)) return;
    try {
      const { watches } = await request("GET", streamPath(stream, "/watch"));
      if (stream === this.stream) this.show(watches);
    } catch {
      /* the connection's own notice tells */
    }
  }

  show(list) {
    this.list = list;
    setText($("watch-count"), String(list.length));
    $("watch-count").hidden = list.length === 0;
    const known = new Map([...$("watch-list").children].map((node) => [node.dataset.id, node]));
    for (const watch of list) {
      const node = known.get(watch.id) ?? this.item(watch);
      known.delete(watch.id);
      this.fill(node, watch);
      $("watch-list").append(node);
    }
    for (const node of known.values()) node.remove();
  }

  translate() {
    const { list } = this;
    this.show([]);
    this.show(list);
  }

  item(watch) {
    const bar = make("span", { class: "meter", role: "meter", "aria-valuemin": 0, "aria-valuemax": 1, "aria-label": t("probability") }, make("i"), make("b"));
    const button = make("button", { type: "button", class: "plain round", title: t("watchRemove"), "aria-label": `${t("watchRemove")}: ${watch.question}`, onclick: () => this.remove(watch.id) }, icon("m6 6 12 12M18 6 6 18"));
    return make("li", { "data-id": watch.id }, make("p", { text: watch.question }), button, bar, make("small", { class: "quiet" }));
  }

  fill(node, watch) {
    const [bar, note] = [node.querySelector(".meter"), node.querySelector("small")], p = watch.probability ?? 0;
    bar.setAttribute("aria-valuenow", p);
    bar.firstElementChild.style.width = `${p * 100}%`;
    bar.lastElementChild.style.left = `${watch.threshold * 100}%`;
    bar.classList.toggle("is-true", watch.probability !== null && p >= watch.threshold);
    const told = [watch.probability === null ? t("watchWaiting") : `${Math.round(p * 100)} %`];
    if (watch.fired_ms !== null) told.push(t("watchLast", watch.fired, clock(watch.fired_ms)));
    if (watch.fault) told.push(watch.fault);
    setText(note, told.join(" · "));
  }

  async add(question) {
    const { stream } = this;
    if (!question || stream === null) return;
    setText($("watch-fault"), "");
    try {
      await request("POST", streamPath(stream, "/watch"), { question, lang: language() });
      $("watch-text").value = "";
      await this.look(true);
    } catch (error) {
      setText($("watch-fault"), error.message);
    }
  }

  async remove(id) {
    try {
      await request("DELETE", streamPath(this.stream, `/watch/${encodeURIComponent(id)}`));
    } catch (error) {
      if (error.status !== 404) setText($("watch-fault"), error.message);
    }
    $("watch-text").focus();
    await this.look(true);
  }

  /* After a new connection some come a second time. */
  fired(fired, fresh) {
    const key = `${fired.stream} ${fired.id} ${fired.number} ${fired.end_ms}`;
    if (this.told.has(key)) return;
    this.told.add(key);
    if (this.told.size > MOST_SEEN) this.told.delete(this.told.values().next().value);
    this.onFired(fired.stream, fired, fresh);
    this.look();
  }
}
