/* The settings of a stream, changed live: each field is sent when it changes. Their ranges come from
 * the server's own description of its interface. */

import { $, make } from "./dom.js";
import { request } from "./api.js";
import { t } from "./i18n.js";

const SHOWN = ["prompt", "lang", "fps", "caption_max", "caption_min", "gate_mse", "frame_batch_size", "backend", "scenes", "objects", "faces", "pose", "text"];

export class Params {
  constructor(form, onError) {
    this.form = form;
    this.onError = onError;
    this.schema = null;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (event) => this.send(event.target));
  }

  async load() {
    const api = await request("GET", "/openapi.json");
    const params = api.components?.schemas?.Params ?? api.components?.schemas?.params ?? {};
    this.schema = params.properties ?? {};
  }

  async show(stream) {
    this.stream = stream.id;
    if (!this.schema) await this.load();
    this.form.replaceChildren(...SHOWN.filter((name) => this.schema[name]).map((name) => this.field(name, this.schema[name], stream.params?.[name])));
  }

  field(name, schema, value) {
    if (schema.type === "boolean") {
      const box = make("input", { type: "checkbox", name, checked: value ?? schema.default ?? false });
      return make("label", { class: "check" }, box, make("span", { text: t(name) }));
    }
    let input;
    if (schema.enum) {
      input = make("select", { name }, ...schema.enum.map((choice) => make("option", { value: choice, text: choice, selected: choice === value })));
    } else if (name === "prompt") {
      input = make("textarea", { name, rows: 2, maxlength: schema.maxLength ?? 4000 });
      input.value = value ?? "";
    } else {
      const number = schema.type === "number" || schema.type === "integer";
      input = make("input", { name, type: number ? "number" : "text", min: schema.minimum, max: schema.maximum, step: schema.type === "integer" ? 1 : "any" });
      input.value = value ?? schema.default ?? "";
    }
    return make("label", { class: name === "prompt" ? "wide" : null }, make("span", { text: t(name) }), input);
  }

  async send(input) {
    let value = input.type === "checkbox" ? input.checked : input.value;
    if (input.type === "number") value = Number(input.value);
    try {
      await request("PATCH", `/v1/streams/${this.stream}`, { params: { [input.name]: value } });
      input.classList.remove("fault");
      this.onError(null);
    } catch (error) {
      input.classList.add("fault");
      this.onError(error);
    }
  }
}
