#include "ask_bench.h"

static gboolean on_tick(gpointer user) {
  return G_SOURCE_CONTINUE; /* the loop turns, and who waits looks again */
}

void bench_wait(Model *model, const gboolean *flag) {
  guint tick = g_timeout_add(5, on_tick, NULL);
  while (!*flag && mnk_local_state(model->local) != MNK_LOCAL_FAILED)
    g_main_context_iteration(NULL, TRUE);
  g_source_remove(tick);
}

static void on_changed(gpointer user) {
}

Model *bench_model_new(const Bench *bench) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Model) model = g_new0(Model, 1);
  g_autofree char *threads = g_strdup_printf("%d", bench->threads);
  model->settings = mnk_settings_new();
  const struct {
    MnkOptionId id;
    const char *text;
  } given[] = {
      {MNK_OPT_MODEL_PATH, bench->model},     {MNK_OPT_MMPROJ, bench->mmproj},
      {MNK_OPT_MODEL_THREADS, threads},       {MNK_OPT_MODEL_THREADS_BATCH, threads},
      {MNK_OPT_VISION_BUDGET, "1"},           {MNK_OPT_CLIP_TIMEOUT, "0"},
      {MNK_OPT_KEY_FRAME_MATCH_RATIO, "0.7"}, {MNK_OPT_VISION_QUEUE, "1000"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(given); i++)
    if (!mnk_settings_set(model->settings, given[i].id, given[i].text, &error))
      g_error("%s", error->message);
  if (!mnk_local_new(model->settings, on_changed, model, &model->local, &error)) {
    g_printerr("ask_bench: %s\n", error->message);
    return NULL;
  }
  while (mnk_local_state(model->local) != MNK_LOCAL_READY) {
    if (mnk_local_state(model->local) == MNK_LOCAL_FAILED) {
      g_printerr("ask_bench: %s\n", mnk_local_detail(model->local));
      return NULL;
    }
    g_main_context_iteration(NULL, TRUE);
  }
  return g_steal_pointer(&model);
}

void bench_model_free(Model *model) {
  if (model == NULL)
    return;
  g_clear_pointer(&model->local, mnk_local_free);
  mnk_settings_free(model->settings);
  g_free(model);
}

static void on_piece(const char *text, gpointer user) {
  Asked *asked = user;
  if (asked->first_ms == 0)
    asked->first_ms = (double)(g_get_monotonic_time() - asked->start_us) / 1000;
}

static void on_done(const MnkLocalAnswer *answer, const GError *error, gpointer user) {
  Asked *asked = user;
  asked->done = TRUE;
  asked->failed = error != NULL;
  asked->all_ms = (double)(g_get_monotonic_time() - asked->start_us) / 1000;
  if (error != NULL) {
    g_printerr("ask_bench: %s\n", error->message);
    return;
  }
  /* a word that is no text, as random models have many, comes without a piece */
  if (asked->first_ms == 0)
    asked->first_ms = asked->all_ms;
  asked->visual_tokens = answer->visual_tokens;
  asked->prompt_tokens = answer->prompt_tokens;
  asked->cached_tokens = answer->cached_tokens;
  asked->moments = answer->evidence->len;
  asked->route_ms = answer->route_ms;
  asked->prompt_ms = answer->prompt_ms;
  asked->wait_ms = answer->wait_ms;
}

void bench_ask(Model *model, MnkLocalStream *stream, const char *question, guint visual_max,
               guint tokens, Asked *asked) {
  static const MnkLocalEvents EVENTS = {.piece = on_piece, .done = on_done};
  const MnkLocalQuestion request = {
      .question = question,
      .log = "",
      .lang = "en",
      .router = MNK_ROUTER_COS_SIM_FINE,
      .topk = 8,
      .recent = 4,
      .tokens_max = tokens,
      .visual_max = visual_max,
      .history = MNK_HISTORY_ALWAYS,
      .deadline_us = g_get_monotonic_time() + (gint64)600 * G_USEC_PER_SEC,
  };
  *asked = (Asked){.start_us = g_get_monotonic_time()};
  mnk_local_ask(stream, &request, &EVENTS, asked);
}
