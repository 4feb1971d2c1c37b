/* Streams as JSON. */
#include "api/streams_priv.h"

#include <string.h>

static const char *state_name(MnkEntryState state) {
  static const char *const NAMES[] = {"starting", "running", "waiting", "ended", "failed"};
  return NAMES[state];
}

void mnk_entry_counters(const MnkEntry *entry, MnkStreamCounters *out) {
  if (entry->stream == NULL || mnk_entry_is_over(entry)) {
    *out = entry->counters;
    return;
  }
  mnk_stream_counters(entry->stream, out);
  out->refused += entry->refused;
}

static void write_source(MnkJsonWriter *w, MnkSpecKind kind, const char *address) {
  mnk_json_begin_object(w, "source");
  mnk_json_add_string(w, "kind", mnk_spec_kind_name(kind));
  mnk_json_add_string(w, "address", address);
  mnk_json_end_object(w);
}

char *mnk_spec_shown(const MnkSpec *spec, const char *message) {
  GString *text = g_string_new(message);
  if (spec->open != NULL && *spec->open != '\0')
    g_string_replace(text, spec->open, spec->shown, 0);
  return g_string_free(text, FALSE);
}

static void write_failure(MnkJsonWriter *w, const MnkSpec *spec, const GError *failure) {
  if (failure == NULL) {
    mnk_json_add_null(w, "error");
    return;
  }
  MnkErrorCode code =
      failure->domain == MNK_ERROR ? (MnkErrorCode)failure->code : MNK_ERROR_INTERNAL;
  g_autofree char *message = mnk_spec_shown(spec, failure->message);
  mnk_json_begin_object(w, "error");
  mnk_json_add_string(w, "code", mnk_error_code_name(code));
  mnk_json_add_string(w, "message", message);
  mnk_json_end_object(w);
}

static void write_backend(MnkJsonWriter *w, const MnkEntry *entry) {
  const MnkBackend *backend = entry->api->backend;
  const char *wish = mnk_settings_string(entry->settings, MNK_OPT_BACKEND);
  gboolean plain = backend == NULL || g_strcmp0(wish, "template") == 0;
  if (!plain && entry->out_of_tokens) {
    mnk_json_begin_object(w, "backend");
    mnk_json_add_string(w, "name", "template");
    mnk_json_add_string(w, "state", "degraded");
    mnk_json_add_string(w, "detail", "the key's tokens of today are used up");
    mnk_json_end_object(w);
    return;
  }
  mnk_json_begin_object(w, "backend");
  mnk_json_add_string(w, "name", plain ? "template" : mnk_backend_name(backend));
  mnk_json_add_string(w, "state",
                      plain ? "ok" : mnk_backend_state_name(mnk_backend_state(backend)));
  mnk_json_add_string(w, "detail", plain ? "" : mnk_backend_detail(backend));
  mnk_json_end_object(w);
}

static void write_video(MnkJsonWriter *w, const MnkEntry *entry) {
  const char *text = entry->video != NULL ? entry->video : "{}";
  g_autoptr(MnkJson) json = mnk_json_parse(text, strlen(text), NULL, NULL);
  const MnkJsonValue *info = json != NULL ? mnk_json_root(json) : NULL;
  if (mnk_json_get(info, "width") == NULL) {
    mnk_json_add_null(w, "video");
    return;
  }
  mnk_json_begin_object(w, "video");
  mnk_json_add_int(w, "width", mnk_json_int(mnk_json_get(info, "width"), 0));
  mnk_json_add_int(w, "height", mnk_json_int(mnk_json_get(info, "height"), 0));
  mnk_json_add_double(w, "fps", mnk_json_double(mnk_json_get(info, "fps"), 0), 3);
  mnk_json_add_string(w, "codec", mnk_json_string(mnk_json_get(info, "codec"), ""));
  mnk_json_end_object(w);
}

static void write_count(MnkJsonWriter *w, const char *key, guint64 count) {
  mnk_json_add_int(w, key, (gint64)count);
}

static void write_counters(MnkJsonWriter *w, const MnkStreamCounters *c) {
  mnk_json_begin_object(w, "counters");
  write_count(w, "received", c->received);
  write_count(w, "encoded", c->encoded);
  write_count(w, "gated", c->gated);
  write_count(w, "late", c->late);
  write_count(w, "queued", c->queued);
  write_count(w, "dropped", c->dropped);
  mnk_json_begin_object(w, "dropped_by");
  write_count(w, "behind", c->dropped_behind);
  write_count(w, "damaged", c->dropped_damaged);
  write_count(w, "room", c->dropped_room);
  write_count(w, "worker", c->dropped_worker);
  mnk_json_end_object(w);
  write_count(w, "refused", c->refused);
  write_count(w, "worker_deaths", c->worker_deaths);
  write_count(w, "gaps", c->gaps);
  write_count(w, "batches", c->batches);
  write_count(w, "batches_stale", c->batches_stale);
  write_count(w, "fallbacks", c->fallbacks);
  mnk_json_end_object(w);
}

void mnk_entry_write(MnkEntry *entry, GString *out) {
  MnkStreamCounters counters;
  mnk_entry_counters(entry, &counters);
  gint64 clock_ms = entry->stream != NULL ? mnk_stream_clock_ms(entry->stream) : entry->clock_ms;
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "id", entry->id);
  write_source(&w, entry->spec.kind, entry->spec.shown);
  mnk_json_add_string(&w, "state", state_name(entry->state));
  write_failure(&w, &entry->spec, entry->failure);
  mnk_json_add_int(&w, "created_us", entry->created_us);
  mnk_json_add_int(&w, "clock_ms", MAX(clock_ms, 0));
  if (entry->duration_ms >= 0)
    mnk_json_add_int(&w, "duration_ms", entry->duration_ms);
  else
    mnk_json_add_null(&w, "duration_ms");
  write_count(&w, "last_seq", mnk_hub_last_seq(entry->hub));
  write_count(&w, "captions", entry->captions_before + counters.captions);
  mnk_params_write(entry->settings, &w, "params");
  mnk_json_add_int(&w, "viewers",
                   mnk_hub_readers(entry->hub, MNK_EVENT_STATE) +
                       mnk_viewers_count(entry->viewers));
  write_backend(&w, entry);
  write_video(&w, entry);
  write_counters(&w, &counters);
  mnk_json_end_object(&w);
}

/* What kind of source a stored spec names. */
static MnkSpecKind kind_of(const char *spec) {
  g_autoptr(MnkJson) json = mnk_json_parse(spec, strlen(spec), NULL, NULL);
  const MnkJsonValue *root = json != NULL ? mnk_json_root(json) : NULL;
  const char *source = mnk_json_string(mnk_json_get(root, "source"), "");
  return mnk_spec_kind(source);
}

void mnk_row_write(const MnkStreamRow *row, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "id", row->id);
  write_source(&w, kind_of(row->spec != NULL ? row->spec : ""), row->source);
  mnk_json_add_string(&w, "state", state_name(MNK_STATE_ENDED));
  mnk_json_add_null(&w, "error");
  mnk_json_add_int(&w, "created_us", row->created_us);
  mnk_json_add_int(&w, "clock_ms", row->end_ms);
  mnk_json_add_null(&w, "duration_ms");
  write_count(&w, "last_seq", row->last_seq);
  write_count(&w, "captions", row->captions);
  mnk_json_add_int(&w, "viewers", 0);
  mnk_json_end_object(&w);
}

/* ---- seen ---- */

static void write_box(MnkJsonWriter *w, const MnkBox *box) {
  mnk_json_begin_object(w, "box");
  mnk_json_add_double(w, "x", (double)box->x, 4);
  mnk_json_add_double(w, "y", (double)box->y, 4);
  mnk_json_add_double(w, "w", (double)box->w, 4);
  mnk_json_add_double(w, "h", (double)box->h, 4);
  mnk_json_end_object(w);
}

static void write_found(MnkJsonWriter *w, const char *key, const char *name, float score,
                        const MnkBox *box) {
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, key, name);
  mnk_json_add_double(w, "score", (double)score, 3);
  if (box != NULL)
    write_box(w, box);
  mnk_json_end_object(w);
}

GString *mnk_seen_write(const MnkObservation *obs) {
  GString *out = g_string_sized_new(512);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "pts_ms", obs->pts_ms);
  mnk_json_begin_array(&w, "objects");
  for (guint i = 0; i < obs->n_objects; i++)
    write_found(&w, "name", obs->objects[i].name, obs->objects[i].score, &obs->objects[i].box);
  mnk_json_end_array(&w);
  mnk_json_begin_array(&w, "faces");
  for (guint i = 0; i < obs->n_faces; i++)
    write_found(&w, "name", obs->faces[i].name, obs->faces[i].score, &obs->faces[i].box);
  mnk_json_end_array(&w);
  mnk_json_begin_array(&w, "texts");
  for (guint i = 0; i < obs->n_texts; i++)
    write_found(&w, "text", obs->texts[i].text, obs->texts[i].score, &obs->texts[i].box);
  mnk_json_end_array(&w);
  mnk_json_begin_array(&w, "labels");
  for (guint i = 0; i < obs->n_labels; i++)
    write_found(&w, "name", obs->labels[i].name, obs->labels[i].score, NULL);
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
  return out;
}
