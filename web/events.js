/* One stream's events. The connection is made anew here rather than by EventSource itself, because a
 * token may have run out meanwhile; what was missed comes first. */

import { forgetTokens, signed, streamPath } from "./api.js";

const FIRST_WAIT = 500, LONGEST_WAIT = 8000;
const NAMES = ["caption", "running", "seen", "state", "watch", "bye"];

export class Events {
  /* handlers: caption, running, seen, state, watch, bye; lost and back when the connection goes and comes */
  constructor(stream, handlers) {
    this.stream = stream;
    this.handlers = handlers;
    this.last = null;
    this.wait = FIRST_WAIT;
    this.closed = false;
    this.open();
  }

  async open() {
    let path = streamPath(this.stream, "/events");
    if (this.last !== null) path += `?last_event_id=${this.last}`;
    try {
      path = await signed(path, "read", this.stream);
    } catch {
      this.again();
      return;
    }
    if (this.closed) return;
    const source = new EventSource(path);
    this.source = source;
    source.onopen = () => this.handlers.back?.();
    source.onerror = () => {
      forgetTokens();
      this.again();
    };
    for (const name of NAMES) source.addEventListener(name, (event) => this.take(name, event));
  }

  take(name, event) {
    if (this.closed) return;
    this.wait = FIRST_WAIT;
    if (event.lastEventId) this.last = event.lastEventId;
    let data;
    try {
      data = JSON.parse(event.data);
    } catch {
      return;
    }
    this.handlers[name]?.(data);
    if (name === "bye") this.again();
  }

  again() {
    this.source?.close();
    if (this.closed) return;
    this.handlers.lost?.();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.source?.close();
  }
}
