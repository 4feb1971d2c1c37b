/* The stream that is watched: its choice, its events, its state in words. */

import { $, make, setText } from "./dom.js";
import { request, streamPath } from "./api.js";
import { Events } from "./events.js";
import { t, language } from "./i18n.js";
import { settle, tell } from "./notices.js";
import { keyOf } from "./timeline.js";

const LIST_EVERY = 5000, REPLAY_MS = 1500, PAST_MOST = 600;
const isOver = (stream) => stream.state === "ended" || stream.state === "failed";

export class Watch {
  /* parts: stage, timeline, now, params, ask, standing; onLeave(): another stream is chosen */
  constructor(parts, onLeave) {
    Object.assign(this, parts);
    this.onLeave = onLeave;
    this.id = null;
    this.stream = null;
    this.streams = [];
    $("streams").addEventListener("change", (event) => this.choose(event.target.value));
    addEventListener("hashchange", () => {
      const id = decodeURIComponent(location.hash.slice(1));
      if (id && id !== this.id) this.choose(id);
    });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.list(); });
    setInterval(() => { if (!document.hidden) this.list(); }, LIST_EVERY);
  }

  /* ---- the choice ---- */

  async list() {
    try {
      this.streams = (await request("GET", "/v1/streams")).streams;
      settle("server");
    } catch (error) {
      tell("server", error.message);
      return;
    }
    this.drawPicker();
    if (this.id === null) await this.chooseFirst();
    else this.compare(this.streams.find((stream) => stream.id === this.id));
  }

  async chooseFirst() {
    const asked = decodeURIComponent(location.hash.slice(1));
    const first = this.streams.find((stream) => stream.id === asked) ?? this.streams.find((stream) => !isOver(stream)) ?? this.streams[0];
    if (first) await this.choose(first.id);
  }

  /* The list may know of an end that the events could not tell: the server was started anew. */
  compare(listed) {
    if (!listed || !this.events || !this.stream) return;
    if (isOver(listed)) this.refresh();
  }

  drawPicker() {
    const label = (stream) => {
      const state = { failed: t("failed"), waiting: t("clientIsAway"), starting: t("starting") }[stream.state];
      return state ? `${stream.id} (${state})` : stream.id;
    };
    const group = (title, list) => (list.length
      ? [make("optgroup", { label: title }, ...list.map((stream) => make("option", { value: stream.id, text: label(stream) })))]
      : []);
    const running = this.streams.filter((stream) => !isOver(stream)), over = this.streams.filter(isOver);
    const wanted = [language(), ...this.streams.map((stream) => `${stream.id} ${stream.state}`)].join("\n");
    if (this.drawn !== wanted) {
      this.drawn = wanted;
      $("streams").replaceChildren(...(this.streams.length
        ? [...group(t("running"), running), ...group(t("past"), over)]
        : [make("option", { text: t("noStreams"), value: "", disabled: true })]));
      $("streams").disabled = this.streams.length === 0;
    }
    if (this.id !== null) $("streams").value = this.id;
    else if (!this.streams.length) $("streams").selectedIndex = 0;
  }

  /* local: the pictures come from this page's own camera, with its stage set already */
  async choose(id, { local = false } = {}) {
    this.close();
    if (!local) {
      this.onLeave();
      this.stage.clear();
    }
    this.id = id;
    this.local = local;
    $("watch").classList.remove("is-idle");
    history.replaceState(null, "", `#${encodeURIComponent(id)}`);
    for (const matter of ["stream", "action"]) settle(matter);
    this.timeline.clear();
    this.now.clear();
    this.params.hide();
    this.ask.choose(id);
    this.standing.choose(id, false);
    $("streams").value = id;
    this.setWaiting("waiting");
    await this.refresh();
  }

  close() {
    this.events?.close();
    this.events = null;
    this.stream = null;
    this.over = false;
    settle("connection");
  }

  async refresh() {
    const { id } = this;
    let stream;
    try {
      stream = await request("GET", streamPath(id));
    } catch (error) {
      if (this.id !== id) return;
      tell("stream", error.message);
      if (error.status === 404) this.id = null;
      return;
    }
    if (this.id !== id) return;
    this.showState(stream);
    if (this.over) return;
    if (!this.local) this.stage.showStream(stream);
    this.listen(id);
  }

  /* ---- state ---- */

  showState(stream) {
    const before = this.stream;
    this.stream = stream;
    this.showBackend(stream.backend);
    setText($("counts"), stream.counters ? t("counts", stream.counters) : "");
    this.standing.choose(stream.id, !isOver(stream));
    for (const id of ["end", "open-params"]) $(id).hidden = isOver(stream);
    if (isOver(stream)) {
      if (!this.over) this.showOver(stream);
      return;
    }
    this.params.update(stream);
    if (before && before.created_us !== stream.created_us) {
      this.choose(stream.id, { local: this.local });
    } else if (before && before.state !== stream.state) {
      this.list();
      if (before.state === "starting" && !this.local) this.stage.showStream(stream);
    }
  }

  /* What stands where captions will be. */
  setWaiting(name) {
    $("waiting").hidden = name === null;
    if (name === null) return;
    $("waiting").dataset.i18n = name;
    setText($("waiting"), t(name));
  }

  showBackend(backend) {
    const { name, state, detail } = backend ?? {};
    const badge = $("backend");
    badge.className = `badge ${state === "degraded" || state === "down" ? `is-${state}` : ""}`;
    const words = !backend ? "" : name === "template" ? t("builtIn")
      : t({ degraded: "backendDegraded", down: "backendDown" }[state] ?? "backendOk", t(`backend_${name}`));
    setText(badge, words);
    badge.title = detail ?? "";
  }

  async showOver(stream) {
    this.over = true;
    this.events?.close();
    this.events = null;
    settle("connection");
    this.onLeave();
    this.params.hide();
    this.now.over();
    $("open-params").setAttribute("aria-expanded", "false");
    this.stage.showOver(stream.error?.message ?? t("overEmpty"));
    this.list();
    try {
      const { captions } = await request("GET", streamPath(stream.id, `/captions?limit=${PAST_MOST}`));
      if (this.id !== stream.id) return;
      for (const caption of captions) this.timeline.add(caption);
    } catch (error) {
      tell("stream", error.message);
    }
    this.setWaiting(this.timeline.size ? null : "noCaptions");
    const first = this.timeline.captions().find((entry) => entry.caption.picture_ms !== undefined);
    if (!this.stage.moment && first) this.timeline.show(keyOf(first.caption));
  }

  /* ---- events ---- */

  listen(id) {
    this.events?.close();
    let since = performance.now();
    this.events = new Events(id, {
      caption: (caption) => {
        this.setWaiting(null);
        this.timeline.add(caption, { fresh: performance.now() - since > REPLAY_MS });
        this.now.live(caption, true);
      },
      running: (caption) => this.now.live(caption, false),
      seen: (seen) => this.stage.seen(seen),
      state: (stream) => this.showState(stream),
      watch: (fired) => this.standing.fired(fired, performance.now() - since > REPLAY_MS),
      lost: () => {
        tell("connection", t("lost"));
        this.stage.pause();
      },
      back: () => {
        since = performance.now();
        settle("connection");
        settle("server");
      },
    });
  }

  translate() {
    this.drawPicker();
    if (this.stream) {
      this.showBackend(this.stream.backend);
      setText($("counts"), this.stream.counters ? t("counts", this.stream.counters) : "");
    }
    this.now.draw();
  }
}
