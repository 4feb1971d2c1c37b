/* One stream's events. EventSource comes back by itself with Last-Event-ID; a new token is fetched
 * when the old one is refused, so a lost connection is made again here. */

import { signed } from "./api.js";

const FIRST_WAIT = 500, LONGEST_WAIT = 8000;

export class Events {
  /* handlers: caption, running, seen, state, bye, lost, back */
  constructor(stream, handlers) {
    this.stream = stream;
    this.handlers = handlers;
    this.last = null;
    this.wait = FIRST_WAIT;
    this.closed = false;
    this.open();
  }

  async open() {
    let path = `/v1/streams/${this.stream}/events`;
    if (this.last !== null) path += `?last_event_id=${this.last}`;
    try {
      path = await signed(path, "read", this.stream);
    } catch (error) {
      this.again(error);
      return;
    }
    if (this.closed) return;
    const source = new EventSource(path);
    this.source = source;
    source.onopen = () => {
      this.wait = FIRST_WAIT;
      this.handlers.back?.();
    };
    source.onerror = () => this.again(null);
    for (const name of ["caption", "running", "seen", "state", "bye"])
      source.addEventListener(name, (event) => this.take(name, event));
  }

  take(name, event) {
    if (event.lastEventId) this.last = event.lastEventId;
    let data;
    try {
      data = JSON.parse(event.data);
    } catch {
      return;
    }
    this.handlers[name]?.(data);
    if (name === "bye") this.again(null);
  }

  again(error) {
    this.source?.close();
    if (this.closed) return;
    this.handlers.lost?.(error);
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
