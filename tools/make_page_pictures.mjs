/* Makes docs/page-light.jpg and docs/page-phone.jpg: the page, watching a clip of free photographs
 * (scikit-image's data: CC0 and public domain) that the real models caption; on the phone it is asked
 * a question, which the captions answer.
 *   MANAKO=build/manako node tools/make_page_pictures.mjs PHOTOGRAPHS_FOLDER */

import path from "node:path";
import { fileURLToPath } from "node:url";
import { ffmpeg, Folder, launch, Server, until } from "../tests/browser/harness.mjs";

const PHOTOGRAPHS = ["coffee.png", "chelsea.png", "camera.png", "astronaut.png"];
const SECONDS = 5, CAPTIONS = 9;
const docs = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "docs");

const folder = new Folder(), browser = await launch();
const clip = folder.at("photographs.mp4");
const inputs = PHOTOGRAPHS.flatMap((name) => ["-loop", 1, "-t", SECONDS, "-i", path.join(process.argv[2], name)]);
const parts = PHOTOGRAPHS.map((_, i) => `[${i}:v]scale=2560:1440:force_original_aspect_ratio=increase,crop=2560:1440:x=(iw-ow)/2:y=(ih-oh)*0.08,`
  + `zoompan=z='1+0.0006*on':d=1:x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2':s=1280x720:fps=25,setsar=1,format=yuv420p[v${i}];`);
ffmpeg(...inputs, "-filter_complex", `${parts.join("")}${PHOTOGRAPHS.map((_, i) => `[v${i}]`).join("")}concat=n=${PHOTOGRAPHS.length}[v]`,
  "-map", "[v]", "-c:v", "libx264", "-crf", 18, "-g", 25, clip);

const server = await new Server(folder, "data", [clip, "--loop", "--realtime", "--fps", 2], {
  MANAKO_STUB_MODEL: "false", XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? "", HOME: process.env.HOME,
}).start();
const shots = [
  { name: "page-light.jpg", viewport: { width: 1280, height: 800 }, colorScheme: "light", scene: 3 },
  { name: "page-phone.jpg", viewport: { width: 390, height: 844 }, colorScheme: "dark", scene: 1, deviceScaleFactor: 1.5, hasTouch: true,
    question: "When was there a cat?" },
];
await until("captions", async () => (await server.get("/v1/streams/photographs")).captions >= CAPTIONS);
/* That photograph, a while after the cut to it, with its boxes. */
async function photograph(page, scene) {
  await page.waitForFunction(({ seconds, length, at }) => {
    const [minutes, rest] = document.getElementById("clock").textContent.match(/\d+/g)?.map(Number) ?? [0, 0];
    const place = (minutes * 60 + rest) % length;
    return Math.floor(place / seconds) === at && place % seconds >= 2 && document.querySelectorAll("#boxes .box").length > 0
      && document.querySelectorAll("#captions .thumb img").length > 3;
  }, { seconds: SECONDS, length: SECONDS * PHOTOGRAPHS.length, at: scene }, { timeout: 90000, polling: 50 });
}

async function ask(page, question) {
  await page.click("#tab-ask");
  await page.fill("#ask-text", question);
  await page.press("#ask-text", "Enter");
  await page.waitForFunction((n) => [...document.querySelectorAll(".turn.answer:not([aria-busy]) .evidence img")].filter((image) => image.naturalWidth > 0).length >= n, 2);
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.activeElement.blur());
  await page.evaluate(() => document.getElementById("side").scrollIntoView({ block: "end", behavior: "instant" }));
}

for (const { name, scene, question, ...options } of shots) {
  const page = await (await browser.newContext({ ...options, locale: "en-US" })).newPage();
  await page.goto(server.url());
  await photograph(page, scene);
  if (question) {
    await ask(page, question);
    await photograph(page, scene);
  }
  await page.screenshot({ path: path.join(docs, name), type: "jpeg", quality: 82 });
}
await browser.close();
await server.stop();
folder.remove();
