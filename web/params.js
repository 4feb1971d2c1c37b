/* The settings of a stream, changed live: each field is sent when it changes. Their kinds and ranges
 * come from the server's own description of its interface. */

import { $, make, setText } from "./dom.js";
import { request, streamPath } from "./api.js";
import { t } from "./i18n.js";

const GROUPS = [
  ["groupWords", ["prompt", "lang", "backend", "caption_max", "caption_min"]],
  ["groupLook", ["fps", "gate_mse", "frame_batch_size"]],
  ["groupFind", ["objects", "faces", "text", "pose", "scenes"]],
];
const LANGUAGES = { en: "English", ja: "日本語" };
const TOLD_MS = 2000;

function kindOf(schema) {
  const types = [schema.type].flat();
  if (schema.enum) return "enum";
  return types.find((type) => ["boolean", "integer", "number"].includes(type)) ?? "string";
}

export class Params {
  /* onError(error): what happened besides wrong values */
  constructor(form, onError) {
    this.form = form;
    this.onError = onError;
    this.stream = null;
    this.schema = null;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (event) => this.send(event.target));
  }

  get open() {
    return !this.form.hidden;
  }

  async show(stream) {
    if (!this.schema) {
      const api = await request("GET", "/openapi.json");
      this.schema = api.components.schemas.Params.properties;
    }
    this.stream = stream.id;
    this.form.replaceChildren(...GROUPS.map(([title, names]) => make("fieldset", { class: title },
      make("legend", { text: t(title) }),
      ...names.filter((name) => this.schema[name]).map((name) => this.field(name, this.schema[name])))));
    this.update(stream);
    this.form.hidden = false;
  }

  hide() {
    this.form.hidden = true;
    this.stream = null;
  }

  field(name, schema) {
    const kind = kindOf(schema), id = `param-${name}`;
    const note = make("small", { id: `${id}-note`, role: "status" });
    let input;
    if (kind === "boolean") {
      input = make("input", { type: "checkbox", id, name });
      return make("label", { class: "check" }, input, make("span", { text: t(name) }), note);
    }
    if (kind === "enum") {
      input = make("select", { id, name }, ...schema.enum.map((value) => make("option", {
        value, text: name === "lang" ? LANGUAGES[value] ?? value : t(`${name}_${value}`),
      })));
    } else if (name === "prompt") {
      input = make("textarea", { id, name, rows: 2, maxlength: schema.maxLength, placeholder: t("promptHint") });
    } else if (kind === "string") {
      input = make("input", { id, name, type: "text", autocomplete: "off" });
    } else {
      input = make("input", { id, name, type: "number", inputmode: "decimal", autocomplete: "off", min: schema.minimum, max: schema.maximum, step: kind === "integer" ? 1 : "any" });
    }
    input.setAttribute("aria-describedby", note.id);
    return make("label", { class: name === "prompt" ? "wide" : null }, make("span", { text: t(name) }), input, note);
  }

  /* Others may change them too; what is being typed stays. */
  update(stream) {
    if (stream.id !== this.stream || !stream.params) return;
    for (const input of this.form.elements) {
      if (!input.name || input === document.activeElement || input.getAttribute("aria-invalid")) continue;
      const value = stream.params[input.name];
      if (input.type === "checkbox") input.checked = value === true;
      else if (input.value !== String(value ?? "")) input.value = value ?? "";
    }
  }

  async send(input) {
    let { value } = input;
    if (input.type === "checkbox") value = input.checked;
    else if (input.type === "number") value = input.value === "" ? null : Number(input.value);
    const note = $(`${input.id}-note`);
    try {
      await request("PATCH", streamPath(this.stream), { params: { [input.name]: value } });
      input.removeAttribute("aria-invalid");
      note.className = "fine";
      setText(note, t("saved"));
      clearTimeout(note.timer);
      note.timer = setTimeout(() => setText(note, ""), TOLD_MS);
    } catch (error) {
      if (error.status !== 400) {
        this.onError(error);
        return;
      }
      clearTimeout(note.timer);
      input.setAttribute("aria-invalid", "true");
      note.className = "fault";
      setText(note, error.message);
    }
  }
}
