#include "stream/stream_priv.h"

#define COUNT(name) {#name, G_STRUCT_OFFSET(MnkWatchCounters, name)}
static const struct {
  const char *name;
  glong offset;
} COUNTS[] = {
    COUNT(received),      COUNT(encoded),        COUNT(gated),           COUNT(late),
    COUNT(dropped),       COUNT(queued),         COUNT(decoded),         COUNT(damaged),
    COUNT(reconnects),    COUNT(dropped_behind), COUNT(dropped_damaged), COUNT(waiting_jpegs),
    COUNT(waiting_looks),
};
static const struct {
  const char *name;
  glong offset;
} SUMS[] = {COUNT(decode_ms), COUNT(look_ms), COUNT(gate_ms)};

static void add_counts(MnkJsonWriter *w, const char *key, const guint64 *counts, guint n) {
  mnk_json_begin_array(w, key);
  for (guint i = 0; i < n; i++)
    mnk_json_add_int(w, NULL, (gint64)counts[i]);
  mnk_json_end_array(w);
}

void mnk_watch_counters_write(const MnkWatchCounters *counters, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(COUNTS); i++)
    mnk_json_add_int(&w, COUNTS[i].name,
                     (gint64)G_STRUCT_MEMBER(guint64, counters, COUNTS[i].offset));
  for (guint i = 0; i < G_N_ELEMENTS(SUMS); i++)
    mnk_json_add_double(&w, SUMS[i].name, G_STRUCT_MEMBER(double, counters, SUMS[i].offset), 3);
  mnk_json_begin_array(&w, "part_ms");
  for (guint i = 0; i < G_N_ELEMENTS(counters->part_ms); i++)
    mnk_json_add_double(&w, NULL, counters->part_ms[i], 3);
  mnk_json_end_array(&w);
  add_counts(&w, "part_runs", counters->part_runs, G_N_ELEMENTS(counters->part_runs));
  add_counts(&w, "gate_counts", counters->gate_counts, MNK_GATE_BUCKETS);
  mnk_json_end_object(&w);
}

static void read_counts(const MnkJsonValue *array, guint64 *counts, guint n) {
  for (guint i = 0; i < n; i++)
    counts[i] = (guint64)MAX(mnk_json_int(mnk_json_at(array, i), 0), 0);
}

gboolean mnk_watch_counters_read(const MnkJsonValue *value, MnkWatchCounters *out, GError **error) {
  *out = (MnkWatchCounters){0};
  for (guint i = 0; i < G_N_ELEMENTS(COUNTS); i++) {
    gint64 number = 0;
    if (!mnk_json_get_int(value, COUNTS[i].name, MNK_JSON_REQUIRED, 0, G_MAXINT64, &number, error))
      return FALSE;
    G_STRUCT_MEMBER(guint64, out, COUNTS[i].offset) = (guint64)number;
  }
  for (guint i = 0; i < G_N_ELEMENTS(SUMS); i++)
    G_STRUCT_MEMBER(double, out, SUMS[i].offset) =
        mnk_json_double(mnk_json_get(value, SUMS[i].name), 0);
  for (guint i = 0; i < G_N_ELEMENTS(out->part_ms); i++)
    out->part_ms[i] = mnk_json_double(mnk_json_at(mnk_json_get(value, "part_ms"), i), 0);
  read_counts(mnk_json_get(value, "part_runs"), out->part_runs, G_N_ELEMENTS(out->part_runs));
  read_counts(mnk_json_get(value, "gate_counts"), out->gate_counts, MNK_GATE_BUCKETS);
  return TRUE;
}

void mnk_source_info_write(const MnkSourceInfo *info, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "width", info->width);
  mnk_json_add_int(&w, "height", info->height);
  mnk_json_add_int(&w, "rotation", info->rotation);
  mnk_json_add_double(&w, "fps", info->fps, 3);
  mnk_json_add_int(&w, "duration_ms", info->duration_ms);
  mnk_json_add_bool(&w, "live", info->live);
  mnk_json_add_bool(&w, "has_audio", info->has_audio);
  mnk_json_add_bool(&w, "synthetic_clock", info->synthetic_clock);
  mnk_json_add_string(&w, "codec", info->codec);
  mnk_json_add_string(&w, "container", info->container);
  mnk_json_end_object(&w);
}

void mnk_ended_write(gint64 end_ms, const GError *error, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "end_ms", end_ms);
  if (error != NULL) {
    MnkErrorCode code = error->domain == MNK_ERROR ? (MnkErrorCode)error->code : MNK_ERROR_INTERNAL;
    mnk_json_begin_object(&w, "error");
    mnk_json_add_string(&w, "code", mnk_error_code_name(code));
    mnk_json_add_string(&w, "message", error->message);
    mnk_json_end_object(&w);
  }
  mnk_json_end_object(&w);
}

gboolean mnk_ended_read(const MnkJsonValue *value, gint64 *end_ms, GError **failure,
                        GError **error) {
  const MnkJsonValue *object = NULL;
  const char *name = NULL, *message = NULL;
  *failure = NULL;
  if (!mnk_json_get_int(value, "end_ms", MNK_JSON_REQUIRED, 0, G_MAXINT64, end_ms, error) ||
      !mnk_json_get_object(value, "error", MNK_JSON_OPTIONAL, &object, error))
    return FALSE;
  if (object == NULL)
    return TRUE;
  MnkErrorCode code;
  if (!mnk_json_get_string(object, "code", MNK_JSON_REQUIRED, 64, &name, error) ||
      !mnk_json_get_string(object, "message", MNK_JSON_REQUIRED, 8192, &message, error))
    return FALSE;
  if (!mnk_error_code_from_name(name, &code))
    code = MNK_ERROR_INTERNAL;
  g_set_error_literal(failure, MNK_ERROR, (gint)code, message);
  return TRUE;
}
