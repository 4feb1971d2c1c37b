/* Search over the captions of every stream; a hit leads to its moment. */

import { $, make, setText } from "./dom.js";
import { request } from "./api.js";
import { t } from "./i18n.js";
import { settle, tell } from "./notices.js";
import { keyOf, Timeline } from "./timeline.js";

const TYPING_MS = 250, MOST = 50;
const MATCH = /(\u2068[^\u2069]*\u2069)/;

export class Search {
  /* onHit(caption); stream(): the one that is watched */
  constructor(onHit, stream) {
    this.stream = stream;
    this.asked = "";
    this.hits = new Timeline($("hits"), { onShow: onHit, live: false });
    $("search").addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(this.timer);
      this.run();
    });
    $("query").addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.run(), TYPING_MS);
    });
    $("query").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
      else if (event.key === "ArrowDown" && this.open) this.hits.move(1);
      else return;
      event.preventDefault();
    });
    $("close-results").addEventListener("click", () => {
      this.close();
      $("query").focus();
    });
  }

  get open() {
    return !$("results").hidden;
  }

  async run() {
    const query = $("query").value.trim();
    this.asked = query;
    if (!query) {
      this.close();
      return;
    }
    try {
      const { hits } = await request("GET", `/v1/search?limit=${MOST}&q=${encodeURIComponent(query)}`);
      if (this.asked !== query) return;
      this.show(hits);
      settle("search");
    } catch (error) {
      if (this.asked === query) tell("search", error.message);
    }
  }

  show(hits) {
    this.found = hits.length;
    this.hits.clear();
    for (const { caption, snippet } of hits) {
      this.hits.add(caption, { sorted: false });
      this.dress(this.hits.entries.get(keyOf(caption)), snippet);
    }
    this.translate();
    $("results").hidden = false;
    $("live-list").hidden = true;
  }

  /* Where it is from, and the words that matched: they stand between U+2068 and U+2069. */
  dress(entry, snippet) {
    if (entry.caption.stream !== this.stream()) entry.origin = entry.caption.stream;
    this.hits.fillTime(entry);
    if (snippet)
      entry.words.replaceChildren(...snippet.split(MATCH).map((part) => (part.startsWith("\u2068") ? make("mark", { text: part.slice(1, -1) }) : part)));
  }

  translate() {
    setText($("results-title"), this.found ? t("found", this.found) : t("foundNone"));
    this.hits.translate();
  }

  close() {
    this.asked = "";
    $("query").value = "";
    $("results").hidden = true;
    $("live-list").hidden = false;
    this.hits.clear();
    settle("search");
  }
}
