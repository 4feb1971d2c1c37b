/* This computer's camera as a pushed stream: binary JPEG over /ws/stream, resumed when the
 * connection is lost. */

import { forgetTokens, idFor, signed, socketAddress } from "./api.js";

const FPS = 5, LONG_SIDE = 960, QUALITY = 0.82, HEADER = 16, MOST_WAITING = 4 << 20;
const FIRST_WAIT = 300, LONGEST_WAIT = 5000, LAST_WORD_MS = 3000;

/* One frame as a message: id, timestamp, length in network order, then the JPEG. */
export function packet(sequence, timestamp, jpeg) {
  const bytes = new Uint8Array(HEADER + jpeg.length);
  const head = new DataView(bytes.buffer);
  head.setUint32(0, sequence);
  head.setFloat64(4, timestamp);
  head.setUint32(12, jpeg.length);
  bytes.set(jpeg, HEADER);
  return bytes;
}

export class Camera {
  /* handlers: opened(stream), fault(text), fine() */
  static async open(video, params, handlers) {
    const media = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 } }, audio: false });
    return new Camera(media, video, params, handlers);
  }

  constructor(media, video, params, handlers) {
    this.media = media;
    this.video = video;
    this.params = params;
    this.handlers = handlers;
    this.canvas = document.createElement("canvas");
    this.stream = null;
    this.sequence = 0;
    this.wait = FIRST_WAIT;
    this.closed = false;
    this.connect();
    this.timer = setInterval(() => this.capture(), 1000 / FPS);
  }

  async connect() {
    let path;
    try {
      path = await signed("/ws/stream", "ingest");
    } catch (error) {
      this.handlers.fault(error.message);
      this.again();
      return;
    }
    if (this.closed) return;
    const socket = new WebSocket(socketAddress(path));
    this.socket = socket;
    this.ready = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify(this.stream
      ? { type: "resume", stream: this.stream }
      : { type: "hello", binary: true, stream: `${idFor("camera")}-${Math.random().toString(36).slice(2, 6)}`, params: this.params }));
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onclose = () => {
      this.ready = false;
      forgetTokens();
      this.again();
    };
  }

  again() {
    if (this.closed) return;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(), this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }

  take(message) {
    if (message.type === "hello" || message.type === "resume") {
      this.ready = true;
      this.wait = FIRST_WAIT;
      this.handlers.fine();
      if (this.stream === message.stream) return;
      this.stream = message.stream;
      this.handlers.opened(message.stream);
    } else if (message.type === "error") {
      /* a stream that is no longer known is begun anew */
      if (!this.ready && this.stream) {
        this.stream = null;
        this.socket.close();
      }
      this.handlers.fault(message.detail);
    }
  }

  capture() {
    const { videoWidth: w, videoHeight: h } = this.video;
    if (!this.ready || !w || this.busy || this.socket.bufferedAmount > MOST_WAITING) return;
    const scale = Math.min(1, LONG_SIDE / Math.max(w, h));
    this.canvas.width = Math.round(w * scale);
    this.canvas.height = Math.round(h * scale);
    this.canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    /* a clock that never jumps back */
    const timestamp = (performance.timeOrigin + performance.now()) / 1000;
    this.busy = true;
    this.canvas.toBlob(async (blob) => {
      const jpeg = blob ? new Uint8Array(await blob.arrayBuffer()) : null;
      this.busy = false;
      if (jpeg && this.ready && !this.closed) this.socket.send(packet(this.sequence++, timestamp, jpeg));
    }, "image/jpeg", QUALITY);
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    clearTimeout(this.retry);
    for (const track of this.media.getTracks()) track.stop();
    const { socket } = this;
    if (this.ready) {
      socket.send(JSON.stringify({ type: "end" }));
      setTimeout(() => socket.close(), LAST_WORD_MS);
    } else {
      socket?.close();
    }
  }
}
