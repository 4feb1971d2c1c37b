/* A page of the browser under test: what it complains of is kept, and looked at after each case. */

import path from "node:path";
import { equal, ok, PATIENCE, SHOTS } from "./harness.mjs";

/* What a server that is away makes the browser itself say. */
const AWAY = /net::ERR_(CONNECTION|EMPTY|INCOMPLETE|SOCKET)|WebSocket connection to .* failed/;

export class Page {
  static async open(world, url, { size = [1280, 800], theme = "light", lang = "en-US", away = false, before = null, touch = false } = {}) {
    const context = await world.browser.newContext({
      viewport: { width: size[0], height: size[1] }, colorScheme: theme, locale: lang, hasTouch: touch,
    });
    context.setDefaultTimeout(PATIENCE);
    const page = new Page();
    Object.assign(page, { context, faults: [], away, tab: await context.newPage() });
    await context.addInitScript(() => {
      globalThis.violations = [];
      addEventListener("securitypolicyviolation", (event) => globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    page.tab.on("console", (message) => {
      const text = `${message.text()} ${message.location().url}`;
      if (["error", "warning"].includes(message.type()) && !(page.away && AWAY.test(text))) page.faults.push(text);
    });
    page.tab.on("pageerror", (error) => page.faults.push(String(error.stack ?? error)));
    await before?.(page.tab);
    await page.tab.goto(url);
    return page;
  }

  /* The browser itself reports every refusal, handled or not. */
  expect(status) {
    this.faults = this.faults.filter((text) => !text.includes(`responded with a status of ${status}`));
  }

  /* Every case ends with it: nothing was reported. */
  async close({ violations = [] } = {}) {
    const found = await this.tab.evaluate(() => globalThis.violations);
    await this.context.close();
    equal(found, violations, "CSP violations");
    equal(this.faults, [], "what the browser's console says");
  }

  $(selector) {
    return this.tab.locator(selector);
  }

  wait(probe, argument) {
    return this.tab.waitForFunction(probe, argument, { timeout: PATIENCE, polling: 100 });
  }

  async shot(name) {
    await this.tab.screenshot({ path: path.join(SHOTS, `${name}.png`), animations: "disabled" });
  }

  captions() {
    return this.tab.evaluate(() => [...document.querySelectorAll("#captions li")].map((node) => ({
      key: node.dataset.key, text: node.querySelector(".words").textContent,
    })));
  }

  async someCaptions(n = 2) {
    await this.wait((count) => document.querySelectorAll("#captions li").length >= count, n);
    return this.captions();
  }

  async picture() {
    await this.wait(() => !document.getElementById("live").hidden && document.getElementById("live").width > 0);
  }

  async noSidewaysScroll(what) {
    const { wide, room } = await this.tab.evaluate(() => ({ wide: document.documentElement.scrollWidth, room: innerWidth }));
    ok(wide <= room, `${what}: ${wide} px wide in ${room}`);
  }
}

/* ---- run in the page ---- */

/* The contrast of every text on the page against what lies behind it, the worst first. */
export function lowContrast() {
  const channels = (colour) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const g = canvas.getContext("2d");
    g.fillStyle = colour;
    g.fillRect(0, 0, 1, 1);
    const [r, gr, b, a] = g.getImageData(0, 0, 1, 1).data;
    return [r, gr, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(channels(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim()) || node.matches("select, input:not([type=checkbox]), textarea");
    if (!own || !node.checkVisibility({ checkVisibilityCSS: true }) || node.closest("option, :disabled")) continue;
    const back = behind(node), ink = over(channels(getComputedStyle(node).color), back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${node.tagName}.${node.className} "${node.textContent.trim().slice(0, 20)}" ${ratio.toFixed(2)}`);
  }
  return found;
}

/* Controls that are too small to be hit. */
export function smallTargets() {
  return [...document.querySelectorAll("button, select, a, input, textarea, summary, [role=slider], label.switch")]
    .filter((node) => node.checkVisibility() && !node.matches("input[type=checkbox], .skip"))
    .map((node) => ({ name: node.id || node.className || node.tagName, box: node.getBoundingClientRect() }))
    .filter(({ box }) => box.width < 24 || box.height < 24)
    .map(({ name, box }) => `${name} ${Math.round(box.width)}x${Math.round(box.height)}`);
}
