/* A question after a minute, an hour and a day. The frames of so long a stream are not looked at
 * one by one: their tokens are drawn, remembered as they would be, and handed over as a snapshot.
 */
#include <stdio.h>
#include <string.h>

#include "ask_bench.h"

enum {
  SCENE_FRAMES = 2, /* so that a minute has as many scenes as a question takes */
  FRAME_TOKENS = 64,
  VISUAL_FRAMES = 12, /* a question's share of the context */
  STEP_MS = 1000,
};

typedef struct {
  const char *name;
  guint frames; /* one a second */
  MnkLocalStream *stream;
  GArray *first_ms, *route_ms, *prompt_ms; /* of double, a round each */
  gsize snapshot, bytes;
  Asked asked;
} Span;

/* ---- A memory ---- */

static void draw(guint32 *state, float *out, gsize n, float size, gboolean add) {
  for (gsize i = 0; i < n; i++) {
    *state = *state * 1664525 + 1013904223;
    float value = ((float)(*state >> 8) * 0x1p-24F - 0.5F) * size;
    out[i] = add ? out[i] + value : value;
  }
}

static MnkKeyframes *remember(const Bench *bench, const MnkSettings *settings, guint frames,
                              guint dim) {
  MnkKeyframesConfig config;
  mnk_keyframes_config_init(&config);
  config.match_ratio = 0.7F;
  config.long_max = (guint)mnk_settings_int(settings, MNK_OPT_LONG_MAX_CLUSTERS);
  config.detail_bytes_max = (gsize)mnk_settings_int(settings, MNK_OPT_DETAIL_BUDGET);
  MnkKeyframes *keyframes = mnk_keyframes_new(&config);
  gsize n = (gsize)FRAME_TOKENS * dim;
  g_autofree float *scene = g_new(float, n), *frame = g_new(float, n);
  guint32 state = 1;
  for (guint i = 0; i < frames; i++) {
    gboolean is_new;
    if (i % SCENE_FRAMES == 0)
      draw(&state, scene, n, 1, FALSE);
    memcpy(frame, scene, n * sizeof *frame);
    draw(&state, frame, n, 0.3F, TRUE);
    g_autoptr(MnkTokens) tokens =
        mnk_tokens_new(frame, FRAME_TOKENS, dim, 8, (gint64)i * STEP_MS, NULL);
    mnk_keyframes_add(keyframes, tokens, &is_new);
  }
  return keyframes;
}

static void put(GByteArray *out, guint64 value, guint bytes) {
  guint64 little = GUINT64_TO_LE(value);
  g_byte_array_append(out, (const guint8 *)&little, bytes);
}

/* As src/local/snapshot.c writes it, without the memory of captions. */
static GBytes *snapshot_of(const MnkKeyframes *keyframes, const char *space) {
  g_autoptr(GByteArray) body = g_byte_array_new();
  GByteArray *out = g_byte_array_new();
  char fixed[64] = {0};
  memcpy(fixed, space, MIN(strlen(space), sizeof fixed));
  mnk_keyframes_save(keyframes, body);
  g_byte_array_append(out, (const guint8 *)"MNKLOCAL", 8);
  put(out, 1, 4);
  put(out, body->len, 8);
  put(out, 0, 8);
  g_byte_array_append(out, (const guint8 *)fixed, sizeof fixed);
  g_byte_array_append(out, body->data, body->len);
  return g_byte_array_free_to_bytes(out);
}

static gboolean open_span(const Bench *bench, Model *model, Span *span) {
  g_autoptr(GError) error = NULL;
  const MnkVlmFiles *files = mnk_local_files(model->local);
  g_autoptr(MnkKeyframes) keyframes = remember(bench, model->settings, span->frames, files->dim);
  g_autoptr(GBytes) snapshot = snapshot_of(keyframes, files->hash);
  span->bytes = mnk_keyframes_bytes(keyframes);
  span->snapshot = g_bytes_get_size(snapshot);
  span->first_ms = g_array_new(FALSE, FALSE, sizeof(double));
  span->route_ms = g_array_new(FALSE, FALSE, sizeof(double));
  span->prompt_ms = g_array_new(FALSE, FALSE, sizeof(double));
  span->stream = mnk_local_open(model->local, span->name, model->settings, snapshot, &error);
  if (span->stream != NULL)
    return TRUE;
  g_printerr("ask_bench: %s\n", error->message);
  return FALSE;
}

/* ---- Questions ---- */

static void note(Span *span) {
  g_array_append_val(span->first_ms, span->asked.first_ms);
  g_array_append_val(span->route_ms, span->asked.route_ms);
  g_array_append_val(span->prompt_ms, span->asked.prompt_ms);
}

static gboolean ask_spans(const Bench *bench, Model *model, Span *spans, guint n) {
  for (guint round = 0; round <= bench->rounds; round++)
    for (guint i = 0; i < n; i++) {
      g_autofree char *question =
          g_strdup_printf("What did the %uth visitor carry to the table?", round * n + i);
      bench_ask(model, spans[i].stream, question, VISUAL_FRAMES * FRAME_TOKENS, 1, &spans[i].asked);
      bench_wait(model, &spans[i].asked.done);
      if (!spans[i].asked.done || spans[i].asked.failed)
        return FALSE;
      if (round > 0) /* the first one warms up */
        note(&spans[i]);
    }
  return TRUE;
}

static double least(const GArray *values) {
  double least = G_MAXDOUBLE;
  for (guint i = 0; i < values->len; i++)
    least = MIN(least, g_array_index(values, double, i));
  return least;
}

static void tell(const Bench *bench, Span *spans, guint n) {
  double base = bench_median(spans[0].first_ms), best = least(spans[0].first_ms);
  for (guint i = 0; i < n; i++) {
    double ms = bench_median(spans[i].first_ms);
    printf("{\"bench\":\"ask\",\"what\":\"first word\",\"shape\":\"%s\",\"after\":\"%s\","
           "\"median_ms\":%.1f,\"to_1_min\":%.3f,\"least_ms\":%.1f,\"least_to_1_min\":%.3f,\"route_"
           "ms\":%.2f,\"prompt_ms\":%.1f,\"visual_"
           "tokens\":%u,"
           "\"prompt_tokens\":%u,\"cached_tokens\":%u,\"moments\":%u,\"memory_mib\":%.1f,"
           "\"snapshot_mib\":%.1f,\"rounds\":%u}\n",
           bench->shape, spans[i].name, ms, ms / base, least(spans[i].first_ms),
           least(spans[i].first_ms) / best, bench_median(spans[i].route_ms),
           bench_median(spans[i].prompt_ms), spans[i].asked.visual_tokens,
           spans[i].asked.prompt_tokens, spans[i].asked.cached_tokens, spans[i].asked.moments,
           (double)spans[i].bytes / (1 << 20), (double)spans[i].snapshot / (1 << 20),
           bench->rounds);
  }
  fflush(stdout);
}

gboolean bench_long(const Bench *bench) {
  Span spans[] = {{.name = "1min", .frames = 60},
                  {.name = "1h", .frames = 3600},
                  {.name = "24h", .frames = 86400}};
  g_autoptr(Model) model = bench_model_new(bench);
  gboolean ok = model != NULL;
  for (guint i = 0; i < G_N_ELEMENTS(spans) && ok; i++)
    ok = open_span(bench, model, &spans[i]);
  ok = ok && ask_spans(bench, model, spans, G_N_ELEMENTS(spans));
  if (ok)
    tell(bench, spans, G_N_ELEMENTS(spans));
  for (guint i = 0; i < G_N_ELEMENTS(spans); i++) {
    g_clear_pointer(&spans[i].stream, mnk_local_close);
    g_clear_pointer(&spans[i].first_ms, g_array_unref);
    g_clear_pointer(&spans[i].route_ms, g_array_unref);
    g_clear_pointer(&spans[i].prompt_ms, g_array_unref);
  }
  return ok;
}
