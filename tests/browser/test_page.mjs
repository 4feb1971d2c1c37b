/* The page in a real browser, against real servers with the stub model. */

import fs from "node:fs";
import { execFileSync } from "node:child_process";
import { equal, faultServer, main, ok, Server, until } from "./harness.mjs";
import { lowContrast, Page, smallTargets } from "./pages.mjs";

const cases = {};
const KEY = "test-key-0123456789-abcdefghijklmnop";

/* ---- a stream ---- */

cases["captions arrive, in order, and are the server's own"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url());
  await page.picture();
  const before = (await page.someCaptions(3)).length;
  await page.wait((n) => document.querySelectorAll("#captions li").length > n, before);
  const shown = await page.captions();
  const { captions } = await plain.get("/v1/streams/film/captions");
  const told = new Map(captions.map((c) => [`film/${c.id}`, c.text]));
  for (const { key, text } of shown) equal(text, told.get(key), key);
  const starts = await page.tab.evaluate(() => [...document.querySelectorAll("#captions li")].map((node) => Number(node.dataset.start)));
  equal(starts, [...starts].sort((a, b) => a - b), "order of time");
  equal(await page.$("#streams").inputValue(), "film");
  await page.wait(() => document.querySelector("#captions .thumb img")?.naturalWidth > 0);
  await page.wait(() => document.getElementById("now-text").textContent.length > 3);
  await page.wait(() => document.getElementById("chips").children.length > 0);
  await page.shot("stream-light");
  await page.close();
};

cases["the list follows its end unless the reader has scrolled up"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url(), { size: [1280, 420] });
  const atEnd = () => {
    const list = document.getElementById("captions");
    return list.scrollHeight > list.clientHeight + 100 && list.scrollHeight - list.scrollTop - list.clientHeight < 4;
  };
  const n = (await page.someCaptions(5)).length;
  await page.wait(atEnd);
  await page.wait((count) => document.querySelectorAll("#captions li").length > count, n);
  await page.wait(atEnd);
  await page.$("#captions").hover();
  await page.tab.mouse.wheel(0, -4000);
  await page.wait(() => document.getElementById("captions").scrollTop < 5);
  await page.$("#missed").waitFor();
  ok(await page.tab.evaluate(() => document.getElementById("captions").scrollTop < 5), "stays where the reader is");
  await page.$("#missed").click();
  await page.wait(atEnd);
  equal(await page.$("#missed").isVisible(), false);
  await page.close();
};

cases["a caption's moment, and back to live"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url());
  await page.picture();
  await page.someCaptions(2);
  const first = page.$("#captions li").first();
  const words = await first.locator(".words").textContent();
  await first.locator("button").click();
  await page.wait(() => document.getElementById("moment").naturalWidth > 0 && !document.getElementById("moment").hidden);
  equal(await page.$("#now-text").textContent(), words);
  equal(await page.$("#moment").getAttribute("alt"), words);
  equal(await first.locator("button").getAttribute("aria-current"), "true");
  equal(await page.$("#clock").getAttribute("class"), "clock");
  await page.shot("moment");
  await page.$("#back-to-live").click();
  await page.wait(() => document.getElementById("moment").hidden && document.getElementById("clock").classList.contains("is-live"));
  equal(await page.$("[aria-current]").count(), 0);
  await page.close();
};

/* Boxes come from models; here they come from events of the test's own, beside the true pictures. */
function withBoxes(tab) {
  const caption = { type: "caption", stream: "film", id: "7", seq: 1, start_ms: 1000, end_ms: 2000, picture_ms: 1500, final: true, backend: "template", lang: "en",
    text: "A car.", facts: [{ kind: "object", name: "car", score: 0.9, count: 1, box: [0.5, 0.5, 0.25, 0.25], start_ms: 1000, end_ms: 2000 }] };
  const seen = { objects: [{ name: "person", score: 0.9, box: { x: 0.25, y: 0.5, w: 0.125, h: 0.25 } }], texts: [{ text: "TAXI", score: 0.9, box: { x: 0.8, y: 0.02, w: 0.1, h: 0.1 } }],
    faces: [{ name: "face", score: 0.9, box: { x: 0.3, y: 0.5, w: 0.05, h: 0.1 } }], labels: [] };
  const lines = [`event: caption\nid: 1\ndata: ${JSON.stringify(caption)}\n\n`];
  for (let pts = 100000; pts < 1000000; pts += 1000) lines.push(`event: seen\ndata: ${JSON.stringify({ pts_ms: pts, ...seen })}\n\n`);
  lines.push(`event: seen\ndata: ${JSON.stringify({ pts_ms: 0, ...seen })}\n\n`);
  for (let pts = 500; pts < 500000; pts += 500) lines.push(`event: seen\ndata: ${JSON.stringify({ pts_ms: pts, ...seen })}\n\n`);
  return tab.route(/\/v1\/streams\/film\/events/, (route) => route.fulfill({ contentType: "text/event-stream", body: lines.join("") }));
}

cases["boxes lie on the picture, and can be switched off"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url(), { before: withBoxes });
  await page.picture();
  await page.wait(() => document.querySelectorAll("#boxes .box").length === 3);
  const { stage, boxes, labels } = await page.tab.evaluate(() => {
    const rect = (node) => { const r = node.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; };
    return { stage: rect(document.getElementById("stage")), boxes: [...document.querySelectorAll("#boxes .box")].map(rect),
      labels: [...document.querySelectorAll("#boxes .box span:not([hidden])")].map((node) => node.textContent) };
  });
  /* 4:3 pictures in a stage of that or another form */
  const scale = Math.min(stage[2] / 320, stage[3] / 240), w = 320 * scale, h = 240 * scale;
  const left = stage[0] + (stage[2] - w) / 2, top = stage[1] + (stage[3] - h) / 2;
  const near = (a, b) => a.every((v, i) => Math.abs(v - b[i]) < 1.5);
  ok(near(boxes[0], [left + w * 0.25, top + h * 0.5, w * 0.125, h * 0.25]), `person at ${boxes[0]} of ${stage}`);
  ok(near(boxes[2], [left + w * 0.8, top + h * 0.02, w * 0.1, h * 0.1]), `text at ${boxes[2]} of ${stage}`);
  equal(labels, ["person", "TAXI"]);
  await page.shot("boxes");
  await page.tab.keyboard.press("b");
  await page.wait(() => document.querySelectorAll("#boxes .box").length === 0);
  equal(await page.$("#show-boxes").isChecked(), false);
  await page.tab.reload();
  await page.picture();
  await page.wait(() => document.getElementById("chips").textContent.includes("person"));
  equal(await page.$("#boxes .box").count(), 0, "boxes after a reload");
  await page.$("#show-boxes").check();
  await page.wait(() => document.querySelectorAll("#boxes .box").length === 3);
  await page.close();
};

cases["the list is bounded, however long a page stays open"] = async ({ plain, browser }) => {
  const lines = [];
  for (let i = 0; i < 700; i++) {
    const caption = { type: "caption", stream: "film", id: String(i), seq: i + 1, start_ms: i * 1000, end_ms: i * 1000 + 900, final: true, backend: "template", lang: "en", text: `Caption ${i}.`, facts: [] };
    lines.push(`event: caption\nid: ${i + 1}\ndata: ${JSON.stringify(caption)}\n\n`);
  }
  const page = await Page.open({ browser }, plain.url("/#film"), {
    before: (tab) => tab.route(/\/v1\/streams\/film\/events/, (route) => route.fulfill({ contentType: "text/event-stream", body: lines.join("") })),
  });
  await page.wait(() => document.querySelector("#captions li:last-child .words")?.textContent === "Caption 699.");
  const shown = await page.captions();
  equal([shown.length, shown[0].text], [600, "Caption 100."]);
  equal(await page.$("#strip").getAttribute("aria-valuemax"), "600");
  await page.close();
};

cases["the strip shows captions along time, for pointer and keys"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url());
  await page.someCaptions(3);
  await page.picture();
  const strip = page.$("#strip"), box = await strip.boundingBox();
  await page.tab.mouse.move(box.x + 4, box.y + 10);
  const first = await page.$("#captions li .words").first().textContent();
  equal(await page.$("#strip-hint span").textContent(), first);
  await page.tab.mouse.click(box.x + 4, box.y + 10);
  await page.wait(() => document.querySelector("#captions li button").getAttribute("aria-current") === "true");
  await strip.focus();
  await page.tab.keyboard.press("ArrowRight");
  await page.wait(() => document.querySelectorAll("#captions li button")[1].getAttribute("aria-current") === "true");
  const second = await page.$("#captions li .words").nth(1).textContent();
  await page.wait((text) => document.getElementById("strip").getAttribute("aria-valuetext").endsWith(text), second);
  await page.tab.keyboard.press("l");
  await page.wait(() => document.getElementById("moment").hidden);
  await page.close();
};

/* ---- search ---- */

cases["search finds moments and leads to them, across streams"] = async ({ plain, browser, clip }) => {
  await plain.request("POST", "/v1/streams", { id: "other", source: `upload:${await uploaded(plain, clip)}`, params: { loop: false } });
  await until("its end", async () => (await plain.get("/v1/streams/other")).state === "ended");
  const word = (await plain.get("/v1/streams/other/captions")).captions.map((c) => c.text).join(" ").match(/strawberr\w+|broccoli|banana/)[0];
  const page = await Page.open({ browser }, plain.url("/#film"));
  await page.someCaptions(2);
  await page.tab.keyboard.press("/");
  equal(await page.tab.evaluate(() => document.activeElement.id), "query");
  await page.tab.keyboard.type(word);
  await page.wait(() => document.querySelectorAll("#hits mark").length > 0);
  equal((await page.$("#hits mark").first().textContent()).toLowerCase(), word);
  await page.shot("search");
  const hit = page.$("#hits li[data-key^='other/']").first(), words = await hit.locator(".words").textContent();
  await hit.locator("button").click();
  await page.wait(() => document.getElementById("streams").value === "other" && document.getElementById("moment").naturalWidth > 0);
  await page.wait((text) => document.getElementById("now-text").textContent === text, words);
  await page.$("#query").press("Escape");
  equal(await page.$("#results").isVisible(), false);
  await page.wait((text) => document.querySelector("#captions [aria-current] .words")?.textContent === text, words);
  await page.$("#query").fill("xylophone <script>alert(1)</script> \u202e -->");
  await page.wait(() => document.getElementById("results-title").textContent === "Nothing was found");
  await page.close();
};

async function uploaded(server, file, headers = {}) {
  const reply = await fetch(server.url("/v1/uploads"), { method: "POST", body: fs.readFileSync(file), headers: { "Content-Type": "application/octet-stream", ...headers } });
  return (await reply.json()).name;
}

/* ---- what the user brings ---- */

cases["this computer's camera gives captions; its frames are binary"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url());
  const frames = [];
  page.tab.on("websocket", (socket) => socket.on("framesent", ({ payload }) => frames.push(payload)));
  await page.$("#use-camera").click();
  await page.wait(() => document.getElementById("camera").videoWidth > 0 && !document.getElementById("camera").hidden);
  await page.wait(() => !["", "film"].includes(document.getElementById("streams").value));
  await page.someCaptions(1);
  const id = await page.$("#streams").inputValue(), stream = await plain.get(`/v1/streams/${id}`);
  equal([stream.source.kind, stream.state], ["push", "running"]);
  await until("frames", () => frames.filter((frame) => typeof frame !== "string").length > 3);
  const binary = frames.filter((frame) => typeof frame !== "string");
  equal(JSON.parse(frames[0]).type, "hello");
  for (const frame of binary) {
    equal([frame.readUInt32BE(12), frame.readUInt16BE(16)], [frame.length - 16, 0xffd8], "a frame's length and beginning");
    ok(frame.readDoubleBE(4) > 1e9, "a frame's time");
  }
  equal(await page.$("#use-camera").getAttribute("aria-pressed"), "true");
  await page.shot("camera");
  await page.$("#use-camera").click();
  await until("its end", async () => (await plain.get(`/v1/streams/${id}`)).state === "ended");
  await page.wait(() => document.getElementById("moment").naturalWidth > 0 && document.getElementById("camera").hidden);
  equal(await page.$("#use-camera").getAttribute("aria-pressed"), "false");
  await page.close();
};

cases["a file is uploaded, watched to its end, and stays to look at"] = async ({ plain, browser, clip }) => {
  const page = await Page.open({ browser }, plain.url());
  await page.someCaptions(1);
  await page.$("#file").setInputFiles(clip);
  await page.wait(() => !["", "film"].includes(document.getElementById("streams").value));
  const id = await page.$("#streams").inputValue();
  await until("its end", async () => (await plain.get(`/v1/streams/${id}`)).state === "ended");
  await page.wait(() => document.getElementById("moment").naturalWidth > 0);
  const { captions } = await plain.get(`/v1/streams/${id}/captions`);
  await page.wait((n) => document.querySelectorAll("#captions li").length === n, captions.length);
  equal(await page.$("#end").isVisible(), false);
  await page.shot("ended");
  await page.close();
};

cases["what is no video is told in words"] = async ({ plain, browser, folder }) => {
  fs.writeFileSync(folder.at("no-video.mp4"), "this is no video");
  const page = await Page.open({ browser }, plain.url());
  await page.someCaptions(1);
  await page.$("#file").setInputFiles(folder.at("no-video.mp4"));
  await page.wait(() => /\w+ .*\w+/.test(document.querySelector(".notice:not(.info), #empty:not([hidden]) p")?.textContent ?? "")
    && !["", "film"].includes(document.getElementById("streams").value));
  const id = await page.$("#streams").inputValue(), { error } = await plain.get(`/v1/streams/${id}`);
  ok(!error.message.includes("/"), `no folder of the server in: ${error.message}`);
  await page.wait((message) => document.getElementById("empty").textContent.includes(message), error.message);
  await page.shot("failed");
  await page.close({});
};

/* ---- settings ---- */

cases["a change of a setting is live; a wrong value shows the server's sentence"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url("/#film"));
  await page.someCaptions(1);
  await page.$("#open-params").click();
  await page.$("#param-caption_max").waitFor();
  equal(await page.$("#param-fps").inputValue(), "2");
  await page.$("#param-caption_max").fill("4");
  await page.$("#param-caption_max").press("Tab");
  await until("caption_max", async () => (await plain.get("/v1/streams/film")).params.caption_max === 4);
  await page.$("#param-lang").selectOption("ja");
  await until("lang", async () => (await plain.get("/v1/streams/film")).params.lang === "ja");
  await page.wait(() => document.querySelector("#captions .words[lang=ja]"));
  await page.$("#param-faces").uncheck();
  await until("faces", async () => (await plain.get("/v1/streams/film")).params.faces === false);
  await page.$("#param-prompt").fill("only <b>cars</b> --> \"please\"");
  await page.$("#param-fps").fill("1000");
  await until("prompt", async () => (await plain.get("/v1/streams/film")).params.prompt === "only <b>cars</b> --> \"please\"");
  await page.$("#param-fps").press("Tab");
  await page.wait(() => document.getElementById("param-fps-note").textContent.length > 10);
  const { body } = await plain.request("PATCH", "/v1/streams/film", { params: { fps: 1000 } });
  equal(await page.$("#param-fps-note").textContent(), body.error.message);
  equal(await page.$("#param-fps").getAttribute("aria-invalid"), "true");
  await page.shot("settings");
  await page.$("#param-fps").fill("4");
  await page.$("#param-fps").press("Tab");
  await page.wait(() => !document.getElementById("param-fps").hasAttribute("aria-invalid"));
  equal((await plain.get("/v1/streams/film")).params.fps, 4);
  await plain.request("PATCH", "/v1/streams/film", { params: { lang: "en", fps: 2 } });
  await page.wait(() => document.getElementById("param-lang").value === "en" && document.getElementById("param-fps").value === "2");
  page.expect("400");
  await page.close();
};

/* ---- language, theme, size ---- */

cases["English and Japanese"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url("/#film"), { lang: "ja-JP" });
  await page.someCaptions(1);
  equal(await page.tab.evaluate(() => document.documentElement.lang), "ja");
  equal((await page.$("#use-file").textContent()).trim(), "ファイル…");
  await page.wait(() => document.getElementById("backend").textContent === "内蔵の字幕");
  await page.$("#open-params").click();
  await page.$("#param-fps").waitFor();
  const left = await page.tab.evaluate(() => [...document.querySelectorAll("[data-i18n], #params label > span, #counts, #now-time")].map((node) => node.textContent)
    .filter((text) => /[a-z]{3}/.test(text) && !/^(Manako|API)/.test(text)));
  equal(left, [], "English words");
  await page.shot("japanese");
  await page.$("#language").click();
  equal(await page.tab.evaluate(() => document.documentElement.lang), "en");
  equal((await page.$("#use-file").textContent()).trim(), "A file…");
  equal(await page.$("#backend").textContent(), "Built-in captions");
  await page.tab.reload();
  await page.someCaptions(1);
  equal((await page.$("#use-file").textContent()).trim(), "A file…");
  await page.close();
};

for (const theme of ["light", "dark"])
  cases[`contrast and targets in the ${theme} theme`] = async ({ plain, browser }) => {
    const page = await Page.open({ browser }, plain.url("/#film"), { theme, size: [1280, 1000] });
    await page.picture();
    await page.someCaptions(2);
    await page.$("#open-params").click();
    await page.$("#param-fps").waitFor();
    await page.$("#param-fps").fill("0");
    await page.$("#param-fps").press("Tab");
    await page.wait(() => document.getElementById("param-fps-note").textContent.length > 10);
    await page.$("#captions li button").first().click();
    await page.tab.mouse.move(0, 0);
    equal(await page.tab.evaluate(lowContrast), [], "contrast below 4.5");
    equal(await page.tab.evaluate(smallTargets), [], "targets below 24 px");
    await page.$("#query").fill("strawberry");
    await page.wait(() => document.querySelectorAll("#hits mark").length > 0);
    equal(await page.tab.evaluate(lowContrast), [], "contrast of hits below 4.5");
    const back = await page.tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.shot(`theme-${theme}`);
    await page.$("#theme").click();
    await page.wait((before) => getComputedStyle(document.body).backgroundColor !== before, back);
    await page.tab.reload();
    ok(await page.tab.evaluate((before) => getComputedStyle(document.body).backgroundColor !== before, back), "theme after a reload");
    page.expect("400");
    await page.close();
  };

for (const [width, height] of [[390, 844], [320, 568], [768, 1024], [1280, 800], [1920, 1080]])
  cases[`${width} x ${height} has no sideways scroll`] = async ({ plain, browser }) => {
    const page = await Page.open({ browser }, plain.url("/#film"), { size: [width, height], theme: width < 500 ? "dark" : "light" });
    await page.picture();
    await page.someCaptions(2);
    await page.shot(`size-${width}`);
    await page.noSidewaysScroll("the page");
    await page.$("#open-params").click();
    await page.$("#param-fps").waitFor();
    await page.noSidewaysScroll("with settings");
    await page.$("#language").click();
    await page.noSidewaysScroll("in Japanese");
    await page.shot(`size-${width}-settings`);
    await page.$("#query").fill("strawberry");
    await page.wait(() => document.querySelectorAll("#hits li").length > 0);
    await page.noSidewaysScroll("with hits");
    await page.close();
  };

/* ---- keys of the keyboard ---- */

cases["all by keyboard"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url("/#film"));
  await page.picture();
  await page.someCaptions(3);
  const focused = () => page.tab.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.closest("li")?.dataset.key);
  const order = [];
  for (let i = 0; i < 13; i++) {
    await page.tab.keyboard.press("Tab");
    order.push(await focused());
    const ring = await page.tab.evaluate(() => document.activeElement.matches("#query") || getComputedStyle(document.activeElement).outlineStyle !== "none");
    ok(ring, `a visible focus on ${order.at(-1)}`);
  }
  equal(order.slice(0, 11), ["skip", "brand", "streams", "use-camera", "use-file", "language", "theme", "strip", "show-boxes", "open-params", "end"], "order of Tab");
  equal(order.slice(11), ["tab-captions", "query"]);
  await page.$("#theme").focus();
  const keys = async () => page.tab.evaluate(() => document.activeElement.closest("li")?.dataset.key ?? null);
  await page.tab.keyboard.press("j");
  const first = (await page.captions())[0].key;
  equal(await keys(), first);
  await page.tab.keyboard.press("j");
  const second = await keys();
  ok(second && second !== first, "j moves on");
  await page.tab.keyboard.press("k");
  equal(await keys(), first);
  await page.tab.keyboard.press("Enter");
  await page.wait(() => document.getElementById("moment").naturalWidth > 0);
  await page.tab.keyboard.press("l");
  await page.wait(() => document.getElementById("moment").hidden);
  await page.tab.keyboard.press("b");
  equal(await page.$("#show-boxes").isChecked(), false);
  await page.tab.keyboard.press("b");
  equal(await page.$("#show-boxes").isChecked(), true);
  await page.tab.keyboard.press("/");
  await page.tab.keyboard.type("jklb");
  equal(await page.$("#query").inputValue(), "jklb", "keys are words in the search");
  await page.tab.keyboard.press("Escape");
  equal(await page.$("#query").inputValue(), "");
  await page.$("#open-params").press("Enter");
  await page.$("#param-fps").waitFor();
  equal(await page.$("#open-params").getAttribute("aria-expanded"), "true");
  await page.close();
};

cases["a screen reader is told of new captions, and everything has a name"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url("/#film"));
  await page.someCaptions(1);
  await page.wait(() => document.getElementById("announce").textContent.length > 3);
  const nameless = await page.tab.evaluate(() => [...document.querySelectorAll("button, select, input, textarea, a, canvas[tabindex], section")]
    .filter((node) => node.checkVisibility() && node.type !== "file")
    .filter((node) => !(node.ariaLabel || node.textContent.trim() || node.labels?.length))
    .map((node) => node.outerHTML.slice(0, 80)));
  equal(nameless, [], "controls without a name");
  await page.close();
};

/* ---- hostile words ---- */

cases["hostile words are words"] = async ({ hostile, browser }) => {
  const page = await Page.open({ browser }, hostile.url(), { before: (tab) => tab.on("dialog", (dialog) => { page.faults.push("a dialog opened"); dialog.dismiss(); }) });
  await page.wait(() => document.body.textContent.includes("<script>alert(1)</script>"));
  const [{ text }] = (await page.captions()).filter((c) => c.text.includes("script"));
  for (const part of ["-->", "<b>bold</b>", "<script>alert(1)</script>"]) ok(text.includes(part), `${part} in ${JSON.stringify(text)}`);
  ok(!/[\x00-\x08\x0b-\x1f]/.test(text), "no control characters");
  equal(await page.$("#captions script, #captions b, #now script, #strip-hint script").count(), 0);
  await page.wait(() => /openai|OpenAI/.test(document.getElementById("backend").textContent));
  await page.shot("hostile");
  await page.close();
};

cases["an injected script does not run; the policy reports nothing else"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url());
  await page.someCaptions(1);
  equal(await page.tab.evaluate(() => globalThis.violations), []);
  await page.tab.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "globalThis.injected = true";
    document.body.append(script);
    const image = document.createElement("img");
    image.setAttribute("onerror", "globalThis.injected = true");
    image.src = "/icon.svg?none";
    document.body.append(image);
  });
  await page.wait(() => globalThis.violations.length >= 1);
  equal(await page.tab.evaluate(() => globalThis.injected ?? null), null);
  page.faults = page.faults.filter((text) => !text.includes("Content Security Policy"));
  const found = await page.tab.evaluate(() => globalThis.violations);
  ok(found.every((line) => line.startsWith("script-src")), found);
  await page.close({ violations: found });
};

/* ---- the backend ---- */

cases["a backend that fails is named"] = async ({ browser, folder }) => {
  const remote = await faultServer();
  const server = await new Server(folder, "failing", [folder.at("film.mp4"), "--loop", "--realtime", "--fps", 2, "--backend", "openai", "--openai-url", `${remote.url}/v1`,
    "--model", "fault-503", "--frame-batch-size", 4], { OPENAI_API_KEY: KEY }).start();
  try {
    const page = await Page.open({ browser }, server.url());
    await page.wait(() => document.getElementById("backend").className !== "badge");
    await page.wait(() => document.getElementById("backend").title.length > 5);
    await page.shot("backend-failing");
    await page.close();
  } finally {
    await server.stop();
    remote.stop();
  }
};

/* ---- keys of the server ---- */

cases["a server with keys asks for one, and tokens serve the rest"] = async ({ locked, key, browser }) => {
  const page = await Page.open({ browser }, locked.url());
  await page.$("#ask-key").waitFor();
  await page.shot("key");
  await page.$("#key").fill("wrong");
  await page.$("#ask-key button[value=ok]").click();
  await page.wait(() => document.getElementById("key-fault").textContent.length > 5);
  await page.$("#key").fill(key);
  await page.$("#key").press("Enter");
  await page.picture();
  await page.someCaptions(2);
  await page.wait(() => document.querySelector("#captions .thumb img")?.naturalWidth > 0);
  await page.$("#captions li button").first().click();
  await page.wait(() => document.getElementById("moment").naturalWidth > 0);
  const spoken = await page.tab.evaluate(() => performance.getEntriesByType("resource").map((entry) => entry.name).join("\n"));
  ok(!spoken.includes(key), "the key is in no address");
  page.expect("401");
  await page.close();
};

cases["tokens that have run out are renewed"] = async ({ locked, key, browser }) => {
  const page = await Page.open({ browser }, locked.url(), {
    before: (tab) => tab.addInitScript((given) => sessionStorage.setItem("key", given), key),
  });
  const asked = [];
  page.tab.on("request", (request) => { if (request.url().endsWith("/v1/tokens")) asked.push(request); });
  await page.someCaptions(2);
  /* the server's tokens live for a second here */
  await page.tab.waitForTimeout(1500);
  await page.$("#captions li button").first().click();
  await page.wait(() => document.getElementById("moment").naturalWidth > 0);
  ok(asked.length >= 2, `tokens asked for: ${asked.length}`);
  await page.close();
};

/* ---- coming back ---- */

cases["a hidden tab reads no pictures, and comes back"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url("/#film"));
  await page.picture();
  const hide = (hidden) => page.tab.evaluate((value) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => value });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  const viewers = async () => (await plain.get("/v1/streams/film")).viewers;
  await until("both readers", async () => (await viewers()) === 2);
  await hide(true);
  await until("the events alone", async () => (await viewers()) === 1);
  await hide(false);
  await until("both again", async () => (await viewers()) === 2);
  await page.close();
};

cases["a stream can be ended, after a question"] = async ({ plain, browser, clip }) => {
  await plain.request("POST", "/v1/streams", { id: "short-lived", source: `upload:${await uploaded(plain, clip)}`, params: { realtime: true, loop: true } });
  const page = await Page.open({ browser }, plain.url("/#short-lived"));
  await page.someCaptions(1);
  await page.$("#end").click();
  await page.$("#ask-end").waitFor();
  await page.shot("end");
  await page.tab.keyboard.press("Escape");
  equal((await plain.get("/v1/streams/short-lived")).state, "running");
  await page.$("#end").click();
  await page.$("#ask-end button[value=ok]").click();
  await until("its end", async () => (await plain.get("/v1/streams/short-lived")).state === "ended");
  await page.wait(() => !document.getElementById("end").checkVisibility());
  await page.close();
};

cases["a server without streams says what can be done"] = async ({ locked, browser, folder }) => {
  const server = await new Server(folder, "nothing", []).start();
  try {
    const page = await Page.open({ browser }, server.url());
    await page.wait(() => document.getElementById("empty").textContent.includes("camera"));
    equal(await page.$("#streams option").textContent(), "No streams yet");
    await page.shot("no-streams");
    await page.close();
  } finally {
    await server.stop();
  }
};

cases["a server that is killed and started again is found again"] = async ({ plain, browser }) => {
  const page = await Page.open({ browser }, plain.url("/#film"), { away: true });
  await page.picture();
  await page.someCaptions(2);
  await plain.kill();
  await page.$(".notice").first().waitFor();
  await page.shot("away");
  await plain.start();
  await page.wait(() => document.querySelectorAll(".notice").length === 0);
  const { captions } = await plain.get("/v1/streams/film/captions");
  await until("a caption of the new run", async () => {
    const shown = await page.captions();
    const all = (await plain.get("/v1/streams/film/captions")).captions;
    return all.length > captions.length && shown.some(({ key }) => key === `film/${all.at(-1).id}`);
  });
  await page.picture();
  const keys = (await page.captions()).map(({ key }) => key);
  equal(keys.length, new Set(keys).size, "nothing twice");
  await page.close();
};

await main(cases, async (world) => {
  const { folder } = world;
  world.clip = folder.clip("clip.mp4", ["red", "green", "yellow"], 2);
  const film = folder.clip("film.mp4");
  const live = [film, "--loop", "--realtime", "--fps", 2, "--caption-max", 3];
  world.plain = await new Server(folder, "plain", live).start();
  const env = { ...process.env, MANAKO_KEYS: "" };
  world.key = execFileSync(process.env.MANAKO, ["keys", "new", "page", "--scopes", "read,ingest", "--keys", folder.at("keys.json")], { env, stdio: ["ignore", "pipe", "ignore"] }).toString().trim();
  world.locked = await new Server(folder, "locked", [...live, "--keys", folder.at("keys.json"), "--token-ttl", 1]).start();
  world.remote = await faultServer();
  world.hostile = await new Server(folder, "hostile", [...live, "--backend", "openai", "--openai-url", `${world.remote.url}/v1`, "--model", "fault-echo", "--frame-batch-size", 4],
    { OPENAI_API_KEY: KEY }).start();
}, async ({ plain, locked, hostile, remote }) => {
  await plain.stop();
  await locked.stop();
  await hostile.stop();
  remote.stop();
});
