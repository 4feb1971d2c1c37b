/* Questions about the stream that is watched: the talk, answers as they come, and the moments that
 * they rest on. Each stream has a talk of its own. */

import { $, clock, icon, make, setText } from "./dom.js";
import { framePath, request, requestEvents, signed, streamPath } from "./api.js";
import { language, t, translate } from "./i18n.js";

const MODEL_EVERY = 4000, MOST_TALKS = 16, MOST_ITEMS = 100, AT_END = 48, JOINED_MS = 1000;
const NO_PICTURE = "M4 5h16v14H4zM4 16l4.5-5 3.5 4 2.5-2.5L20 18M15.5 9.5h.01";

/* Stretches that all but touch are one moment to look at. */
function joined(evidence) {
  const all = [];
  for (const each of evidence) {
    const last = all.at(-1);
    if (!last || each.start_ms - last.end_ms > JOINED_MS) {
      all.push({ ...each });
      continue;
    }
    last.end_ms = Math.max(last.end_ms, each.end_ms);
    for (const name of ["picture_ms", "caption", "text"]) last[name] ??= each[name];
  }
  return all;
}

export class Ask {
  /* onMoment(moment): the user wants to see it; isSeen(): whether the panel is */
  constructor(onMoment, isSeen) {
    this.onMoment = onMoment;
    this.isSeen = isSeen;
    this.talks = new Map(); /* stream -> { node, conversation, running } */
    this.stream = null;
    this.allowed = true;
    this.model = null;
    $("ask-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.talk?.running) this.talk.running.abort();
      else this.send($("ask-text").value.trim());
    });
    $("ask-text").addEventListener("input", () => this.fit());
    $("ask-text").addEventListener("keydown", (event) => {
      if (event.key === "Escape") event.target.blur();
      /* Enter ends the choice of characters first where they are composed */
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      if (!this.talk?.running) $("ask-form").requestSubmit();
    });
    $("ask-clear").addEventListener("click", () => this.clear());
    this.following = true;
    $("ask-log").addEventListener("scroll", () => { this.following = this.isAtEnd(); }, { passive: true });
    new ResizeObserver(() => this.follow()).observe($("ask-log"));
    setInterval(() => this.look(), MODEL_EVERY);
  }

  get talk() {
    return this.talks.get(this.stream);
  }

  /* ---- who answers ---- */

  async look() {
    if (document.hidden || !this.isSeen()) return;
    try {
      this.model = (await request("GET", "/v1/models")).data[0];
      this.allowed = true;
    } catch (error) {
      if (error.status === 403) this.allowed = false;
      else if (error.status === 0) return;
    }
    this.showModel();
  }

  showModel() {
    const { state, detail } = this.model?.manako ?? {}, name = this.model?.id ?? "";
    const node = $("ask-model");
    let words = "";
    if (!this.allowed) words = t("askForbidden");
    else if (!this.model) words = "";
    else if (this.model.owned_by === "timeline") words = t("askNoModel");
    else if (this.model.owned_by === "local") words = state === "ready" ? t("askModel", name) : t(`model_${state}`, name, detail);
    else words = ["degraded", "down"].includes(state) ? t("askRemoteDown", name, detail) : t("askModel", name);
    const tone = !this.allowed || this.model?.owned_by === "timeline" ? "none"
      : { trying: "busy", loading: "busy", away: "busy", degraded: "busy", failed: "bad", down: "bad" }[state] ?? "good";
    node.className = `ask-model is-${tone}`;
    /* names of options are not broken in two */
    if (node.textContent !== words)
      node.replaceChildren(...words.split(/(--[a-z-]+)/).map((part) => (part.startsWith("--") ? make("code", { text: part }) : part)));
    node.title = detail ?? "";
    this.draw();
  }

  draw() {
    const running = Boolean(this.talk?.running);
    $("ask-text").disabled = $("ask-send").disabled = !this.allowed || this.stream === null;
    $("ask-send").classList.toggle("is-running", running);
    $("ask-send").setAttribute("aria-label", t(running ? "askStop" : "askSend"));
    $("ask-send").title = t(running ? "askStop" : "askSend");
    $("ask-clear").hidden = !this.talk?.node.querySelector(".turn, .fired");
  }

  /* ---- talks ---- */

  choose(stream) {
    this.stream = stream;
    if (stream !== null && !this.talks.has(stream)) {
      this.talks.set(stream, { node: make("ol"), conversation: null, running: null });
      this.suggest(this.talk.node);
      for (const [old, { running }] of this.talks) {
        if (this.talks.size <= MOST_TALKS) break;
        if (old !== stream && !running) this.talks.delete(old);
      }
    }
    $("ask-log").replaceChildren(...(this.talk ? [this.talk.node] : []));
    this.toEnd();
    this.draw();
  }

  suggest(node) {
    const buttons = ["ask1", "ask2", "ask3"].map((name) => make("button", {
      type: "button", "data-i18n": name, text: t(name), onclick: (event) => this.send(event.target.textContent),
    }));
    node.append(make("li", { class: "suggestions" }, make("p", { class: "quiet", "data-i18n": "askEmpty", text: t("askEmpty") }), ...buttons));
  }

  clear() {
    const { talk } = this;
    if (!talk) return;
    talk.running?.abort();
    talk.conversation = null;
    talk.node.replaceChildren();
    this.suggest(talk.node);
    this.draw();
    $("ask-text").focus();
  }

  add(talk, item) {
    talk.node.querySelector(".suggestions")?.remove();
    talk.node.append(item);
    while (talk.node.childElementCount > MOST_ITEMS) talk.node.firstElementChild.remove();
    this.follow();
    this.draw();
  }

  isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = $("ask-log");
    return scrollHeight - scrollTop - clientHeight < AT_END;
  }

  toEnd() {
    this.following = true;
    this.follow();
  }

  /* The newest words stay in view, unless the reader has scrolled away from them. */
  follow() {
    if (this.following) $("ask-log").scrollTop = $("ask-log").scrollHeight;
  }

  fit() {
    const { style } = $("ask-text");
    style.height = "auto";
    style.height = `${Math.min($("ask-text").scrollHeight + 2, 160)}px`;
  }

  /* ---- one question ---- */

  async send(question) {
    const { talk, stream } = this;
    if (!question || !talk || talk.running || !this.allowed) return;
    $("ask-text").value = "";
    this.fit();
    const words = make("p", { class: "words" }), foot = make("div", { class: "foot" });
    const item = make("li", { class: "turn answer is-waiting", "aria-busy": "true" }, words, foot);
    this.add(talk, make("li", { class: "turn question" }, make("p", { text: question })));
    this.add(talk, item);
    this.toEnd();
    talk.running = new AbortController();
    this.draw();
    try {
      await this.run(talk, stream, question, { item, words, foot });
    } catch (error) {
      item.classList.add("is-failed");
      if (error.name === "AbortError") foot.append(make("p", { class: "quiet", text: t("askStopped") }));
      else foot.append(make("p", { class: "fault", text: error.message }));
    }
    item.classList.remove("is-waiting");
    item.removeAttribute("aria-busy");
    talk.running = null;
    this.draw();
    this.follow();
  }

  async run(talk, stream, question, nodes) {
    const body = { question, lang: language() };
    if (talk.conversation) body.conversation = talk.conversation;
    let answer = null;
    const take = (name, data) => {
      if (name === "answer") answer = data;
      else if (name === "error") throw new Error(data.error.message);
      if (name !== "token") return;
      nodes.words.append(data.text);
      nodes.item.classList.remove("is-waiting");
      this.follow();
    };
    try {
      await requestEvents(streamPath(stream, "/ask"), body, take, talk.running.signal);
    } catch (error) {
      if (error.status !== 404 || !talk.conversation) throw error;
      /* the server was started anew, or has forgotten it */
      talk.conversation = null;
      await this.run(talk, stream, question, nodes);
      return;
    }
    if (!answer) throw new Error(t("askCut"));
    talk.conversation = answer.conversation ?? null;
    this.finish(answer, nodes);
  }

  finish(answer, { words, foot }) {
    setText(words, answer.text);
    const told = [answer.backend === "timeline" ? t("askTimeline") : answer.model || answer.backend];
    if (answer.times?.total_ms >= 50) told.push(`${(answer.times.total_ms / 1000).toFixed(1)} s`);
    if (answer.finish === "length") told.push(t("askCutShort"));
    const found = joined(answer.evidence);
    if (found.length)
      foot.append(make("ul", { class: "evidence", "aria-label": t("evidence") }, ...found.map((each) => this.chip(answer.stream, each))));
    foot.append(make("p", { class: "quiet", text: told.join(" · ") }));
  }

  /* ---- moments ---- */

  /* A stretch of the stream as a button with its picture. */
  chip(stream, found) {
    const picture = found.picture_ms ?? null, time = clock(found.start_ms) === clock(found.end_ms) ? clock(found.start_ms) : `${clock(found.start_ms)} – ${clock(found.end_ms)}`;
    const thumb = make("span", { class: "thumb", "aria-hidden": "true" }, icon(NO_PICTURE));
    const why = t(`why_${found.why}`), title = [why, found.text].filter(Boolean).join(": ");
    const moment = { stream, id: found.caption ?? null, start_ms: found.start_ms, end_ms: found.end_ms, text: found.text ?? "", facts: [] };
    if (picture !== null) {
      moment.picture_ms = picture;
      this.load(thumb, moment);
    }
    return make("li", {}, make("button", { type: "button", title, onclick: () => this.onMoment(moment) },
      thumb, make("span", { class: "time", text: time }), make("span", { class: "unseen", text: title })));
  }

  async load(thumb, moment) {
    let path;
    try {
      path = await signed(framePath(moment), "read", moment.stream);
    } catch {
      return;
    }
    const image = make("img", { alt: "", decoding: "async", loading: "lazy" });
    image.addEventListener("error", () => image.remove());
    image.src = path;
    thumb.append(image);
  }

  /* A standing question has come true. */
  tell(stream, fired) {
    const talk = this.talks.get(stream);
    if (!talk) return;
    const words = t("watchFired", fired.question, clock(fired.end_ms));
    const moment = { ...fired, picture_ms: Math.round((fired.start_ms + fired.end_ms) / 2), why: "fired" };
    this.add(talk, make("li", { class: "fired" }, make("p", { text: words }), make("ul", { class: "evidence" }, this.chip(stream, moment))));
  }

  translate() {
    for (const [stream, { node }] of this.talks) if (stream !== this.stream) translate(node);
    this.showModel();
  }
}
