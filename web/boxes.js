/* What was seen when, and its boxes over the picture. */

import { clamp, make } from "./dom.js";
import { nameOf } from "./i18n.js";

const MOST = 1200, NEAR_MS = 700, STALE_MS = 6000, GLIDE_MS = 1600;

/* Facts write [x,y,w,h], seen events {x,y,w,h}. */
export function boxOf(box) {
  const { x, y, w, h } = Array.isArray(box) ? { x: box[0], y: box[1], w: box[2], h: box[3] } : box ?? {};
  return w > 0 && h > 0 ? { x, y, w, h } : null;
}

function overlap(a, b) {
  const w = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x);
  const h = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
  if (w <= 0 || h <= 0) return 0;
  return (w * h) / (a.w * a.h + b.w * b.h - w * h);
}

function between(a, b, part) {
  const mix = (m) => a[m] + (b[m] - a[m]) * part;
  return { x: mix("x"), y: mix("y"), w: mix("w"), h: mix("h") };
}

function marks(seen) {
  const list = (items, kind, name) => (items ?? []).flatMap((item) => {
    const box = boxOf(item.box);
    return box ? [{ kind, name: item[name] ?? "", box }] : [];
  });
  return [...list(seen.objects, "object", "name"), ...list(seen.faces, "face", "name"), ...list(seen.texts, "text", "text")];
}

/* The events of one stream, newest last, for as long as a reader may look back. */
export class Seen {
  constructor() {
    this.list = [];
  }

  clear() {
    this.list = [];
  }

  add(seen) {
    const last = this.list.at(-1);
    if (last && seen.pts_ms <= last.pts) this.list = this.list.filter((other) => other.pts < seen.pts_ms);
    this.list.push({ pts: seen.pts_ms, marks: marks(seen), seen });
    if (this.list.length > MOST) this.list.splice(0, this.list.length - MOST);
  }

  /* The usual time between two, milliseconds. */
  period() {
    const last = this.list.slice(-6);
    const steps = last.slice(1).map((at, i) => at.pts - last[i].pts).sort((a, b) => a - b);
    return steps[steps.length >> 1] ?? 500;
  }

  around(pts) {
    let after = this.list.length;
    while (after > 0 && this.list[after - 1].pts > pts) after--;
    return [this.list[after - 1], this.list[after]];
  }

  /* The boxes of the picture at pts: those before and after it, and the way between.
   * changed(pts): whether the picture is another one since then */
  at(pts, changed) {
    const [before, after] = this.around(pts);
    if (!before || changed(before.pts)) return after && after.pts - pts < NEAR_MS ? after.marks : [];
    if (!after) return pts - before.pts < STALE_MS ? before.marks : [];
    const span = after.pts - before.pts;
    if (span > GLIDE_MS) return after.pts - pts < NEAR_MS / 2 ? after.marks : before.marks;
    const part = (pts - before.pts) / span, left = new Set(after.marks), found = [];
    for (const mark of before.marks) {
      const same = [...left].filter((m) => m.kind === mark.kind && m.name === mark.name)
        .map((m) => [overlap(m.box, mark.box), m]).sort((a, b) => b[0] - a[0])[0];
      if (same && same[0] > 0.15) {
        left.delete(same[1]);
        found.push({ ...mark, box: between(mark.box, same[1].box, part) });
      } else if (part < 0.5) {
        found.push(mark);
      }
    }
    if (part >= 0.5) found.push(...left);
    return found;
  }

  /* The event nearest to pts, null when none is near. */
  near(pts) {
    const best = this.around(pts).filter(Boolean).sort((a, b) => Math.abs(a.pts - pts) - Math.abs(b.pts - pts))[0];
    return best && Math.abs(best.pts - pts) < NEAR_MS ? best : null;
  }
}

const THUMB = [16, 9], THUMBS = 128, CUT = 18, UNKNOWN_MS = 1200;

/* Remembers how pictures looked, in a few pixels, to tell whether a scene has gone since. */
export class Looks {
  constructor() {
    this.canvas = new OffscreenCanvas(...THUMB);
    this.draw = this.canvas.getContext("2d", { willReadFrequently: true });
    this.clear();
  }

  clear() {
    this.list = [];
  }

  note(pts, picture) {
    this.draw.drawImage(picture, 0, 0, ...THUMB);
    const { data } = this.draw.getImageData(0, 0, ...THUMB), luma = new Uint8Array(data.length / 4);
    for (let i = 0; i < luma.length; i++) luma[i] = (data[4 * i] * 77 + data[4 * i + 1] * 150 + data[4 * i + 2] * 29) >> 8;
    this.list.push({ pts, luma });
    if (this.list.length > THUMBS) this.list.shift();
  }

  /* Whether the newest picture is of another scene than that at pts. */
  changed(pts) {
    const now = this.list.at(-1);
    if (!now) return false;
    const then = this.list.findLast((look) => look.pts <= pts + 60);
    if (!then || pts - then.pts > 400) return now.pts - pts > UNKNOWN_MS;
    let sum = 0;
    for (let i = 0; i < now.luma.length; i++) sum += Math.abs(now.luma[i] - then.luma[i]);
    return sum / now.luma.length > CUT;
  }
}

/* What a caption's own facts say of its picture, for when nobody was watching. */
export function factMarks(caption) {
  const at = caption.picture_ms;
  return (caption.facts ?? []).flatMap((fact) => {
    const box = boxOf(fact.box);
    const covers = fact.start_ms - NEAR_MS / 2 <= at && at <= fact.end_ms + NEAR_MS / 2;
    return box && covers && ["object", "face", "text"].includes(fact.kind) ? [{ kind: fact.kind, name: fact.name, box }] : [];
  });
}

/* Draws marks into a layer that lies exactly over the picture. Nodes are used again. */
export function drawMarks(layer, list) {
  while (layer.children.length > list.length) layer.lastElementChild.remove();
  while (layer.children.length < list.length) layer.append(make("div", {}, make("span")));
  list.forEach(({ kind, name, box }, i) => {
    const node = layer.children[i], label = node.firstElementChild;
    const x = clamp(box.x, 0, 1), y = clamp(box.y, 0, 1);
    node.className = `box ${kind}${y < 0.07 ? " is-high" : ""}${x > 0.7 ? " is-right" : ""}`;
    node.style.left = `${x * 100}%`;
    node.style.top = `${y * 100}%`;
    node.style.width = `${(Math.min(box.x + box.w, 1) - x) * 100}%`;
    node.style.height = `${(Math.min(box.y + box.h, 1) - y) * 100}%`;
    const words = kind === "text" ? name : kind === "face" ? "" : nameOf(name);
    if (label.textContent !== words) label.textContent = words;
    label.hidden = !words;
  });
}
