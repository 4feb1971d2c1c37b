/* The live picture: reads video.mjpeg part by part and shows each picture at the time when the boxes
 * that were found in it are known, so that boxes lie where things are. */

import { openBody, streamPath } from "./api.js";
import { clamp } from "./dom.js";

const FPS = 10, LARGEST = 1280;
const MOST_QUEUED = 48, HEAD_MAX = 2048, PICTURE_MAX = 16 << 20;
const FIRST_WAIT = 500, LONGEST_WAIT = 8000;
const FIRST_DELAY = 600, LONGEST_DELAY = 2500, JUMP_MS = 5000;

/* Splits a multipart body into pictures. */
export class Parts {
  constructor(take) {
    this.take = take; /* (pts_ms, Blob) */
    this.bytes = new Uint8Array(0);
  }

  static headEnd(bytes) {
    for (let i = 3; i < Math.min(bytes.length, HEAD_MAX); i++)
      if (bytes[i] === 10 && bytes[i - 1] === 13 && bytes[i - 2] === 10 && bytes[i - 3] === 13) return i + 1;
    return -1;
  }

  add(chunk) {
    const joined = new Uint8Array(this.bytes.length + chunk.length);
    joined.set(this.bytes);
    joined.set(chunk, this.bytes.length);
    this.bytes = joined;
    while (this.next());
  }

  next() {
    const start = Parts.headEnd(this.bytes);
    if (start < 0) {
      if (this.bytes.length > HEAD_MAX) throw new Error("a part has no end of its head");
      return false;
    }
    const head = new TextDecoder().decode(this.bytes.subarray(0, start));
    const number = (name) => Number(head.match(new RegExp(`^${name}: *(\\d+)`, "im"))?.[1] ?? NaN);
    const length = number("Content-Length");
    if (!(length <= PICTURE_MAX)) throw new Error("a part has no good length");
    if (this.bytes.length < start + length + 2) return false;
    this.take(number("X-Pts-Ms"), new Blob([this.bytes.subarray(start, start + length)], { type: "image/jpeg" }));
    this.bytes = this.bytes.slice(start + length + 2);
    return true;
  }
}

export class Live {
  /* shown(pts_ms): that picture is on the canvas now */
  constructor(canvas, shown) {
    this.canvas = canvas;
    this.shown = shown;
    this.stream = null;
    document.addEventListener("visibilitychange", () => this.follow());
  }

  open(stream) {
    this.close();
    this.stream = stream;
    this.wait = FIRST_WAIT;
    this.follow();
  }

  close() {
    this.stream = null;
    this.stop();
  }

  stop() {
    this.reading?.abort();
    this.reading = null;
    clearTimeout(this.retry);
    clearTimeout(this.timer);
    this.queue = [];
    this.base = null;
    this.delay = FIRST_DELAY;
    this.lags = [];
    this.any = false;
  }

  /* Nobody looks at a hidden tab. */
  follow() {
    if (this.stream === null) return;
    if (document.hidden) this.stop();
    else if (!this.reading) this.read();
  }

  async read() {
    this.stop();
    const reading = new AbortController();
    this.reading = reading;
    const size = Math.min(LARGEST, Math.ceil((this.canvas.parentElement.clientWidth * devicePixelRatio) / 160) * 160 || 640);
    const parts = new Parts((pts, blob) => {
      this.wait = FIRST_WAIT;
      this.arrived(pts, blob);
    });
    try {
      const body = await openBody(streamPath(this.stream, `/video.mjpeg?fps=${FPS}&size=${size}`), reading.signal);
      for (let step = await body.read(); !step.done; step = await body.read()) {
        if (this.reading !== reading) return;
        parts.add(step.value);
      }
    } catch {
      /* made anew below: why it broke is told by the events' connection */
    }
    if (this.reading !== reading) return;
    this.retry = setTimeout(() => this.read(), this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }

  /* ---- when to show what ---- */

  arrived(pts, blob) {
    if (Number.isNaN(pts)) pts = performance.now();
    const lead = performance.now() - pts;
    if (this.base === null || Math.abs(lead - this.base) > JUMP_MS) {
      this.base = lead;
      this.queue = [];
    }
    /* the quickest way here is the clock; it may drift */
    this.base = lead < this.base ? lead : this.base + (lead - this.base) * 0.01;
    this.delay += clamp(this.wanted() - this.delay, -15, 40);
    this.queue.push({ pts, blob });
    if (this.queue.length > MOST_QUEUED) this.queue.shift();
    if (!this.any) {
      this.any = true;
      this.paint(this.queue.shift());
    }
    this.plan();
  }

  /* What was seen at pts is known only now. */
  seen(pts, period) {
    if (this.base === null || !this.lags) return;
    this.lags.push(performance.now() - pts - this.base);
    if (this.lags.length > 12) this.lags.shift();
    this.period = period;
  }

  wanted() {
    if (this.boxes === false || !this.lags.length) return this.boxes === false ? 0 : FIRST_DELAY;
    const lag = Math.max(...this.lags) + 60;
    /* with the next ones known too, boxes can move between both */
    return clamp(lag + this.period <= LONGEST_DELAY ? lag + this.period : lag, 0, LONGEST_DELAY);
  }

  plan() {
    clearTimeout(this.timer);
    if (this.queue.length === 0) return;
    const due = this.base + this.queue[0].pts + this.delay - performance.now();
    this.timer = setTimeout(() => this.show(), Math.max(due, 0));
  }

  show() {
    const now = performance.now() - this.base - this.delay;
    let picture = null;
    while (this.queue.length && this.queue[0].pts <= now + 1) picture = this.queue.shift();
    if (picture) this.paint(picture);
    this.plan();
  }

  async paint({ pts, blob }) {
    const reading = this.reading;
    if (this.painting) return;
    this.painting = true;
    try {
      const bitmap = await createImageBitmap(blob);
      if (reading === this.reading) {
        if (this.canvas.width !== bitmap.width) this.canvas.width = bitmap.width;
        if (this.canvas.height !== bitmap.height) this.canvas.height = bitmap.height;
        this.canvas.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
        this.shown(pts);
      }
      bitmap.close();
    } catch {
      /* a damaged picture is left out */
    } finally {
      this.painting = false;
    }
  }
}
