/* What the user must know, in words: one line for each matter, taken away when it is settled. */

import { $, icon, make, setText } from "./dom.js";
import { t } from "./i18n.js";

const lines = new Map();

/* tone: "warn" stays until it is settled or dismissed; "info" tells progress. */
export function tell(matter, text, tone = "warn") {
  let line = lines.get(matter);
  if (!line) {
    const words = make("span");
    const button = make("button", { type: "button", class: "plain round", "data-i18n-label": "dismiss", "aria-label": t("dismiss"), onclick: () => settle(matter) }, icon("m6 6 12 12M18 6 6 18"));
    line = { node: make("div", { class: "notice", role: tone === "warn" ? "alert" : "status" }, words, button), words };
    lines.set(matter, line);
    $("notices").append(line.node);
  }
  line.node.classList.toggle("info", tone === "info");
  setText(line.words, text);
}

export function settle(matter) {
  lines.get(matter)?.node.remove();
  lines.delete(matter);
}
