/* The two halves of the side: captions and questions. On a wide screen both are seen, else one of
 * them, chosen by tabs. */

import { $ } from "./dom.js";

const NAMES = ["captions", "ask"];

export class Panels {
  /* onShow(name): it can be seen now */
  constructor(onShow) {
    this.onShow = onShow;
    for (const name of NAMES) this.tab(name).addEventListener("click", () => this.show(name));
    $("side").firstElementChild.addEventListener("keydown", (event) => this.key(event));
    this.show("captions");
  }

  tab(name) {
    return $(`tab-${name}`);
  }

  isSeen(name) {
    return $(`panel-${name}`).checkVisibility();
  }

  show(name) {
    $("side").dataset.panel = name;
    for (const each of NAMES) {
      this.tab(each).setAttribute("aria-selected", String(each === name));
      this.tab(each).tabIndex = each === name ? 0 : -1;
    }
    this.onShow(name);
  }

  /* As tabs have it: arrows move between them. */
  key(event) {
    if (!["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const next = NAMES.find((name) => $("side").dataset.panel !== name);
    const name = { Home: NAMES[0], End: NAMES.at(-1) }[event.key] ?? next;
    this.show(name);
    this.tab(name).focus();
  }
}
