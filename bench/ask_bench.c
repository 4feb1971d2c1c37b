/* What a question costs: after a minute, an hour and a day of stream, beside the bare libraries,
 * with another stream or captions on the same model.
 *
 *   ask_bench --shape NAME --model FILE --mmproj FILE [--rounds N] [--threads N] PART...
 *
 * PART: long, streams, captions, bare. Called by itself as the model's worker, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask_bench.h"

enum { WIDTH = 512, HEIGHT = 384 };

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double bench_median(GArray *values) {
  if (values->len == 0)
    return 0;
  double *v = &g_array_index(values, double, 0);
  qsort(v, values->len, sizeof *v, by_value);
  return v[values->len / 2];
}

MnkFrame *bench_frame(guint32 seed, gint64 pts_ms) {
  g_autofree guint8 *rgb = g_malloc(WIDTH * HEIGHT * 3);
  guint32 state = seed * 2654435761U + 1;
  for (gsize i = 0; i < WIDTH * HEIGHT * 3; i++) {
    state = state * 1664525 + 1013904223;
    rgb[i] = (guint8)(((seed * 37 + i % 3 * 90) & 0xff) / 2 + (state >> 25));
  }
  return mnk_frame_new_rgb(rgb, WIDTH, HEIGHT, WIDTH * 3, pts_ms);
}

/* As the worker that the library starts from this program's own file. */
static int be_worker(int argc, char **argv) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GError) error = NULL;
  if (!mnk_settings_parse_args(settings, MNK_COMMAND_WORKER, argc, argv, NULL, &error)) {
    g_printerr("ask_bench: %s\n", error->message);
    return 2;
  }
  if (mnk_settings_is_set(settings, MNK_OPT_WORKER_FD))
    return mnk_local_worker_run((int)mnk_settings_int(settings, MNK_OPT_WORKER_FD));
  MnkVlmConfig config;
  mnk_vlm_config_init(&config);
  config.model = mnk_settings_string(settings, MNK_OPT_MODEL_PATH);
  config.mmproj = mnk_settings_string(settings, MNK_OPT_MMPROJ);
  config.context = (guint)mnk_settings_int(settings, MNK_OPT_MODEL_CONTEXT);
  return mnk_local_probe_run(&config);
}

static gboolean measure(const Bench *bench, const char *part) {
  if (g_str_equal(part, "long"))
    return bench_long(bench);
  if (g_str_equal(part, "streams"))
    return bench_streams(bench);
  if (g_str_equal(part, "captions"))
    return bench_captions(bench);
  return g_str_equal(part, "bare") && bench_bare(bench);
}

int main(int argc, char **argv) {
  if (argc > 1 && g_str_equal(argv[1], "worker"))
    return be_worker(argc - 2, argv + 2);
  static char *shape, *model, *mmproj, **parts;
  static int rounds = 9, threads = 1;
  static const GOptionEntry ENTRIES[] = {
      {"shape", 0, 0, G_OPTION_ARG_STRING, &shape, "Name in the figures", "NAME"},
      {"model", 0, 0, G_OPTION_ARG_FILENAME, &model, "Text model", "FILE"},
      {"mmproj", 0, 0, G_OPTION_ARG_FILENAME, &mmproj, "Projector", "FILE"},
      {"rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "Rounds of a median", "N"},
      {"threads", 0, 0, G_OPTION_ARG_INT, &threads, "Threads of the model", "N"},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &parts, NULL, "PART..."},
      {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
  };
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_autoptr(GError) error = NULL;
  g_option_context_add_main_entries(context, ENTRIES, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error) || !shape || !model || !mmproj ||
      !parts) {
    g_printerr("ask_bench: %s\n", error ? error->message : "see --help");
    return 2;
  }
  const Bench bench = {shape, model, mmproj, (guint)MAX(rounds, 1), threads};
  gboolean ok = TRUE;
  for (guint i = 0; parts[i]; i++)
    ok = measure(&bench, parts[i]) && ok;
  g_strfreev(parts);
  return ok ? 0 : 1;
}
