/* This computer's camera as a pushed stream: binary JPEG over /ws/stream, resumed when the
 * connection is lost. */

import { signed, socketAddress } from "./api.js";

const FPS = 5, LONG_SIDE = 960, QUALITY = 0.82, HEADER = 16, MOST_WAITING = 4 << 20;
const FIRST_WAIT = 300, LONGEST_WAIT = 5000;

export class Camera {
  /* handlers: opened(stream), fault(text), sent(count) */
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
      path = await signed("/ws/stream", "ingest", this.stream ?? undefined);
    } catch (error) {
      this.handlers.fault(error.message);
      return;
    }
    if (this.closed) return;
    const socket = new WebSocket(socketAddress(path));
    this.socket = socket;
    this.ready = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify(this.stream
      ? { type: "resume", stream: this.stream }
      : { type: "hello", binary: true, params: this.params }));
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onclose = () => {
      this.ready = false;
      if (this.closed) return;
      setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    };
  }

  take(message) {
    if (message.type === "hello" || message.type === "resume") {
      this.ready = true;
      this.wait = FIRST_WAIT;
      if (!this.stream) {
        this.stream = message.stream;
        this.handlers.opened(message.stream);
      }
    } else if (message.type === "error") {
      this.handlers.fault(message.detail);
    }
  }

  capture() {
    const { videoWidth: w, videoHeight: h } = this.video;
    if (!this.ready || !w || this.busy || this.socket.bufferedAmount > MOST_WAITING) return;
    const scale = Math.min(1, LONG_SIDE / Math.max(w, h));
    this.canvas.width = Math.round(w * scale);
    this.canvas.height = Math.round(h * scale);
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    const timestamp = Date.now() / 1000;
    this.busy = true;
    this.canvas.toBlob(async (blob) => {
      const jpeg = blob ? new Uint8Array(await blob.arrayBuffer()) : null;
      this.busy = false;
      if (jpeg && this.ready) this.send(timestamp, jpeg);
    }, "image/jpeg", QUALITY);
  }

  send(timestamp, jpeg) {
    const packet = new Uint8Array(HEADER + jpeg.length);
    const head = new DataView(packet.buffer);
    head.setUint32(0, this.sequence);
    head.setFloat64(4, timestamp);
    head.setUint32(12, jpeg.length);
    packet.set(jpeg, HEADER);
    this.socket.send(packet);
    this.sequence++;
    this.handlers.sent(this.sequence);
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    for (const track of this.media.getTracks()) track.stop();
    if (this.ready) this.socket.send(JSON.stringify({ type: "end" }));
    else this.socket?.close();
  }
}
