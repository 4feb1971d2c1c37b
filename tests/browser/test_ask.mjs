/* Questions on the page: the talk, its evidence, standing questions, and who answers. */

import { execFileSync } from "node:child_process";
import { equal, main, ok, Server, until } from "./harness.mjs";
import { lowContrast, Page, smallTargets } from "./pages.mjs";

const cases = {};

/* ---- answers of the test's own, where a model's are wanted ---- */

const sse = (events) => events.map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join("");

const evidence = (start, more = {}) => ({ start_ms: start, end_ms: start + 1500, score: 0.3, why: "chosen", picture_ms: start + 500, picture: null, caption: null, text: null, tokens: 64, ...more });

function answerOf(question, more = {}) {
  return { id: "a-1", stream: "film", question, text: "A red one, then a green one.", conversation: "c-1", backend: "local", model: "Tiny-VLM", router: "cos_sim_fine", history: true, finish: "stop",
    asked_ms: 9000, evidence: [evidence(0), evidence(1700), evidence(6000, { why: "recent", picture_ms: 500 })], usage: { prompt_tokens: 10 }, times: { total_ms: 1234 }, ...more };
}

/* Every question is answered so; asked: bodies that were sent. */
function answering(asked, answer = answerOf) {
  return (tab) => tab.route(/\/v1\/streams\/film\/ask$/, (route) => {
    const body = route.request().postDataJSON();
    asked.push(body);
    const whole = answer(body.question);
    const tokens = whole.text.split(/(?<= )/).map((text) => ["token", { text }]);
    return route.fulfill({ contentType: "text/event-stream", body: sse([...tokens, ["answer", whole]]) });
  });
}

function withModel(state, detail = "", id = "Tiny-VLM", owner = "local") {
  return (tab) => tab.route(/\/v1\/models$/, (route) => route.fulfill({ json: { object: "list", data: [{ id, object: "model", created: 0, owned_by: owner, manako: { state, detail } }] } }));
}

async function open(world, options = {}) {
  const page = await Page.open(world, world.plain.url("/#film"), options);
  await page.someCaptions(1);
  await page.tab.keyboard.press("a");
  return page;
}

async function ask(page, question) {
  await page.$("#ask-text").fill(question);
  await page.$("#ask-text").press("Enter");
}

const lastAnswer = (page) => page.$(".turn.answer").last();

/* ---- the talk ---- */

cases["without a model the captions answer, and the page says so"] = async (world) => {
  const page = await open(world);
  await page.wait(() => document.getElementById("ask-model").textContent.includes("No language model"));
  equal(await page.tab.evaluate(() => document.activeElement.id), "ask-text");
  await page.someCaptions(2);
  const shown = await page.captions();
  const [word] = shown.map(({ text }) => text).join(" ").match(/strawberr\w+|broccoli|seashore|banana/);
  await ask(page, `where is ${word}?`);
  await page.wait(() => document.querySelector(".turn.answer:not([aria-busy]) .evidence button"));
  const words = await lastAnswer(page).locator(".words").textContent();
  ok(shown.some(({ text }) => words.includes(text.slice(0, 12))), `a caption's words in ${words}`);
  await lastAnswer(page).locator(".evidence button").first().click();
  await page.wait(() => document.getElementById("moment").naturalWidth > 0 && !document.getElementById("moment").hidden);
  await page.wait(() => document.querySelector("#captions [aria-current]"));
  await page.shot("ask-timeline");
  await page.$("#ask-text").press("Escape");
  await page.tab.keyboard.press("l");
  await page.wait(() => document.getElementById("moment").hidden);
  await page.close();
};

cases["tokens stream in, chips lead to moments, a follow-up goes on, clear begins anew"] = async (world) => {
  const asked = [];
  const page = await open(world, { before: async (tab) => { await withModel("ready")(tab); await answering(asked)(tab); } });
  await page.wait(() => document.getElementById("ask-model").textContent === "Answers: Tiny-VLM");
  await ask(page, "what was there?");
  await page.wait(() => document.querySelectorAll(".turn.answer .evidence button").length === 2);
  equal(await lastAnswer(page).locator(".words").textContent(), "A red one, then a green one.");
  ok((await lastAnswer(page).locator(".foot > p").textContent()).startsWith("Tiny-VLM · 1.2 s"));
  equal(await lastAnswer(page).locator(".evidence .time").allTextContents(), ["0:00 – 0:03", "0:06 – 0:07"], "stretches that touch are one");
  await page.wait(() => document.querySelector(".evidence img")?.naturalWidth > 0);
  await ask(page, "and then?");
  await page.wait(() => document.querySelectorAll(".turn.answer:not([aria-busy])").length === 2);
  equal(asked, [{ question: "what was there?", lang: "en" }, { question: "and then?", lang: "en", conversation: "c-1" }]);
  await page.shot("ask-talk");
  await page.$("#ask-clear").click();
  equal(await page.$(".turn").count(), 0);
  await page.$(".suggestions button").first().click();
  await page.wait(() => document.querySelectorAll(".turn.answer:not([aria-busy])").length === 1);
  equal([asked[2].question, asked[2].conversation ?? null], ["What is happening now?", null]);
  await page.close();
};

cases["a conversation that the server has forgotten begins anew"] = async (world) => {
  const asked = [];
  const page = await open(world, { before: async (tab) => {
    await answering(asked)(tab);
    await tab.route(/\/v1\/streams\/film\/ask$/, (route) => {
      if (!route.request().postDataJSON().conversation) return route.fallback();
      asked.push("forgotten");
      return route.fulfill({ status: 404, json: { error: { code: "not_found", message: "there is no such conversation" } } });
    });
  } });
  await ask(page, "one");
  await page.wait(() => document.querySelectorAll(".turn.answer:not([aria-busy])").length === 1);
  await ask(page, "two");
  await page.wait(() => document.querySelectorAll(".turn.answer:not([aria-busy])").length === 2);
  equal(asked.map((each) => each.question ?? each), ["one", "forgotten", "two"]);
  equal(await page.$(".turn .fault").count(), 0);
  page.expect("404");
  await page.close();
};

cases["errors are sentences, and an answer can be stopped"] = async (world) => {
  let kind = 0;
  const page = await open(world, { before: (tab) => tab.route(/\/v1\/streams\/film\/ask$/, (route) => {
    if (kind === 0) return route.fulfill({ status: 429, json: { error: { code: "too_many_requests", message: "the key has used up its tokens of today" } } });
    if (kind === 1) return route.fulfill({ contentType: "text/event-stream", body: sse([["token", { text: "half an " }], ["error", { error: { code: "worker", message: "the model's process has died" } }]]) });
    if (kind === 2) return route.fulfill({ contentType: "text/event-stream", body: sse([["token", { text: "cut" }]]) });
    return undefined; /* never answered */
  }) });
  const fault = async (n, text) => {
    await page.wait((count) => document.querySelectorAll(".turn.answer:not([aria-busy])").length === count, n);
    equal(await lastAnswer(page).locator(".foot").textContent(), text);
  };
  await ask(page, "a");
  await fault(1, "the key has used up its tokens of today");
  kind = 1;
  await ask(page, "b");
  await fault(2, "the model's process has died");
  equal(await lastAnswer(page).locator(".words").textContent(), "half an ");
  kind = 2;
  await ask(page, "c");
  await fault(3, "The answer was cut off");
  kind = 3;
  await ask(page, "d");
  await page.$("#ask-send.is-running").waitFor();
  equal(await page.$("#ask-send").getAttribute("aria-label"), "Stop");
  await page.shot("ask-running");
  await page.$("#ask-send").click();
  await fault(4, "Stopped");
  equal(await page.$("#ask-send").getAttribute("aria-label"), "Ask");
  page.expect("429");
  await page.close();
};

cases["hostile answers are words"] = async (world) => {
  const text = "<img src=x onerror=alert(1)> <script>alert(2)</script> --> </p>";
  const page = await open(world, { before: async (tab) => {
    await withModel("failed", "<b>no</b>", "<i>name</i>")(tab);
    await answering([], (question) => answerOf(question, { text, model: "<u>m</u>", evidence: [evidence(0, { text, why: "<x>" })] }))(tab);
  } });
  await ask(page, "<b>bold?</b>");
  await page.wait(() => document.querySelector(".turn.answer:not([aria-busy]) .evidence button"));
  equal(await lastAnswer(page).locator(".words").textContent(), text);
  equal(await page.$(".turn.question p").textContent(), "<b>bold?</b>");
  equal(await page.$("#panel-ask script, #panel-ask img[src=x], #panel-ask .turn b, #panel-ask u, #ask-model b, #ask-model i").count(), 0);
  await page.close();
};

cases["each stream has its talk"] = async (world) => {
  await world.plain.request("POST", "/v1/streams", { id: "second", source: "push" });
  const page = await open(world, { before: answering([]) });
  await ask(page, "one");
  await page.wait(() => document.querySelectorAll(".turn.answer:not([aria-busy])").length === 1);
  await page.wait(() => [...document.querySelectorAll("#streams option")].some((option) => option.value === "second"));
  await page.$("#streams").selectOption("second");
  await page.wait(() => document.querySelectorAll(".turn").length === 0);
  await page.$("#streams").selectOption("film");
  await page.wait(() => document.querySelectorAll(".turn.answer").length === 1);
  await world.plain.request("DELETE", "/v1/streams/second?captions=delete");
  await page.close();
};

/* ---- who answers ---- */

cases["the state of the model is told"] = async (world) => {
  let model = withModel("trying");
  const page = await open(world, { before: (tab) => tab.route(/\/v1\/models$/, (route) => model({ route: (_, answer) => answer(route) })) });
  const told = (text, tone) => page.wait(([words, name]) => document.getElementById("ask-model").textContent === words && document.getElementById("ask-model").className === `ask-model is-${name}`, [text, tone]);
  await told("Tiny-VLM is being tried…", "busy");
  for (const [state, text, tone] of [["loading", "Tiny-VLM is loading…", "busy"], ["away", "Tiny-VLM has died and is started again…", "busy"], ["failed", "Tiny-VLM cannot be used: the file is truncated", "bad"], ["ready", "Answers: Tiny-VLM", "good"]]) {
    model = withModel(state, state === "failed" ? "the file is truncated" : "");
    await told(text, tone);
    await page.shot(`model-${state}`);
  }
  model = withModel("down", "it answers 503", "gemini-x", "gemini");
  await told("gemini-x is slow or failing: it answers 503", "bad");
  await page.close();
};

cases["a key that may not ask is told so"] = async ({ locked, key, browser }) => {
  const page = await Page.open({ browser }, locked.url("/#film"), { before: (tab) => tab.addInitScript((given) => sessionStorage.setItem("key", given), key) });
  await page.someCaptions(1);
  await page.$("#tab-ask").click();
  await page.wait(() => document.getElementById("ask-model").textContent.includes("may not ask"));
  equal(await page.$("#ask-text").isDisabled(), true);
  page.expect("403");
  await page.close();
};

/* ---- standing questions ---- */

/* A list that the page changes, and an event when the test says so. */
function standing(list, events) {
  return async (tab) => {
    await tab.route(/\/v1\/streams\/film\/watch(\/.*)?$/, (route) => {
      const request = route.request();
      if (request.method() === "GET") return route.fulfill({ json: { watches: list } });
      if (request.method() === "DELETE") {
        list.splice(list.findIndex(({ id }) => request.url().endsWith(id)), 1);
        return route.fulfill({ status: 204 });
      }
      const watch = { id: `w-${list.length}`, watch_s: 1, threshold: 0.6, cooldown_s: 10, lang: "en", polls: 3, failures: 0, fired: 0, probability: 0.25, polled_ms: 2000, fired_ms: null, fault: null, ...request.postDataJSON() };
      list.push(watch);
      return route.fulfill({ status: 201, json: watch });
    });
    if (!events) return;
    await tab.route(/\/v1\/streams\/film\/events/, (route) => route.fulfill({ contentType: "text/event-stream", body: events() }));
  };
}

cases["standing questions: added, shown, removed"] = async (world) => {
  const list = [];
  const page = await open(world, { before: standing(list) });
  await page.$("#watches summary").click();
  await page.$("#watch-text").fill("a <b>red</b> one");
  await page.$("#watch-text").press("Enter");
  await page.wait(() => document.querySelectorAll("#watch-list li").length === 1);
  equal(await page.$("#watch-list li p").textContent(), "a <b>red</b> one");
  equal(await page.$("#watch-list .meter").getAttribute("aria-valuenow"), "0.25");
  equal(await page.$("#watch-list small").textContent(), "25 %");
  equal(await page.$("#watch-count").textContent(), "1");
  Object.assign(list[0], { probability: 0.9, fired: 2, fired_ms: 61000 });
  await page.wait(() => document.querySelector("#watch-list small").textContent === "90 % · came true 2 times, last at 1:01");
  await page.wait(() => document.querySelector("#watch-list .meter").classList.contains("is-true"));
  await page.shot("standing");
  await page.$("#watch-list button").click();
  await page.wait(() => document.querySelectorAll("#watch-list li").length === 0);
  await page.close();
};

cases["without a model a standing question is refused with the server's sentence"] = async (world) => {
  const page = await open(world);
  await page.$("#watches summary").click();
  await page.$("#watch-text").fill("a person");
  await page.$("#watch-text").press("Enter");
  await page.wait(() => document.getElementById("watch-fault").textContent.length > 10);
  const { status, body } = await world.plain.request("POST", "/v1/streams/film/watch", { question: "a person" });
  equal([status, await page.$("#watch-fault").textContent()], [409, body.error.message]);
  page.expect("409");
  await page.close();
};

cases["one that comes true is seen, once, wherever the user looks"] = async (world) => {
  const fired = { id: "w-1", stream: "film", question: "is it red?", number: 1, start_ms: 1000, end_ms: 2000, probability: 0.91 };
  let told = "";
  const page = await Page.open(world, world.plain.url("/#film"), { before: standing([], () => `retry: 1000\n\n${told}`) });
  await page.wait(() => document.getElementById("streams").value === "film");
  await page.tab.waitForTimeout(1800); /* what comes at once is replayed, and no news */
  told = sse([["watch", fired], ["watch", fired]]);
  await page.tab.waitForTimeout(100);
  await page.$("#tab-ask").click();
  await page.wait(() => document.querySelectorAll(".fired").length > 0);
  equal(await page.$(".fired").count(), 1);
  equal(await page.$(".fired > p").textContent(), "Came true at 0:02: is it red?");
  await page.tab.waitForTimeout(1500);
  equal(await page.$(".fired").count(), 1, "told again after a new connection");
  await page.$(".fired .evidence button").click();
  await page.wait(() => document.getElementById("clock").textContent.trim() === "0:01");
  await page.close();
};

/* ---- the panel ---- */

cases["tabs by keyboard, and both halves where there is room"] = async (world) => {
  const page = await Page.open(world, world.plain.url("/#film"));
  await page.someCaptions(1);
  await page.$("#tab-captions").focus();
  await page.tab.keyboard.press("ArrowRight");
  equal(await page.tab.evaluate(() => document.activeElement.id), "tab-ask");
  equal([await page.$("#panel-ask").isVisible(), await page.$("#panel-captions").isVisible()], [true, false]);
  await page.tab.keyboard.press("/");
  equal([await page.$("#panel-captions").isVisible(), await page.tab.evaluate(() => document.activeElement.id)], [true, "query"]);
  await page.tab.keyboard.press("Escape");
  await page.$("#theme").focus();
  await page.tab.keyboard.press("a");
  await page.tab.keyboard.type("ajkl/b");
  equal(await page.$("#ask-text").inputValue(), "ajkl/b", "keys are words in a question");
  await page.$("#ask-text").press("Shift+Enter");
  equal(await page.$(".turn").count(), 0, "another line, not a question");
  await page.tab.setViewportSize({ width: 1680, height: 950 });
  await page.wait(() => ["panel-ask", "panel-captions"].every((id) => document.getElementById(id).checkVisibility()));
  equal(await page.$(".tabs").isVisible(), false);
  await page.shot("ask-wide");
  await page.close();
};

for (const [width, height, theme, lang] of [[390, 844, "dark", "ja-JP"], [320, 568, "light", "en-US"], [1280, 800, "dark", "en-US"]])
  cases[`a talk at ${width} x ${height}`] = async (world) => {
    const many = Array.from({ length: 16 }, (_, i) => evidence(i * 4000, { picture_ms: 500 }));
    const page = await open(world, { size: [width, height], theme, lang, before: async (tab) => { await withModel("ready")(tab); await standing([])(tab); await answering([], (question) => answerOf(question, { evidence: many, text: "word ".repeat(80) }))(tab); } });
    await ask(page, "averyveryverylongwordthatmustbebrokensomewhere".repeat(3));
    await page.wait(() => document.querySelectorAll(".evidence button").length === 16);
    await page.$("#watches summary").click();
    await page.$("#watch-text").fill("is it red?");
    await page.$("#watch-text").press("Enter");
    await page.wait(() => document.querySelectorAll("#watch-list li").length === 1);
    await page.noSidewaysScroll("with a talk");
    await page.tab.mouse.move(0, 0);
    equal(await page.tab.evaluate(lowContrast), [], "contrast below 4.5");
    equal(await page.tab.evaluate(smallTargets), [], "targets below 24 px");
    if (lang === "ja-JP") {
      const left = await page.tab.evaluate(() => [...document.querySelectorAll("#panel-ask [data-i18n], #panel-ask .foot > p, #ask-model")].map((node) => node.textContent).filter((text) => /[a-z]{3}/.test(text.replace("Tiny-VLM", ""))));
      equal(left, [], "English words");
    }
    await page.shot(`ask-${width}`);
    await page.close();
  };

await main(cases, async (world) => {
  const { folder } = world;
  const live = [folder.clip("film.mp4"), "--loop", "--realtime", "--fps", 2, "--caption-max", 3];
  world.plain = await new Server(folder, "plain", live).start();
  const env = { ...process.env, MANAKO_KEYS: "" };
  world.key = execFileSync(process.env.MANAKO, ["keys", "new", "page", "--scopes", "read,ingest", "--keys", folder.at("keys.json")], { env, stdio: ["ignore", "pipe", "ignore"] }).toString().trim();
  world.locked = await new Server(folder, "locked", [...live, "--keys", folder.at("keys.json")]).start();
  await until("captions", async () => (await world.plain.get("/v1/streams/film/captions")).captions.length > 0);
}, async ({ plain, locked }) => {
  await plain.stop();
  await locked.stop();
});
