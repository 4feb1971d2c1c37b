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
