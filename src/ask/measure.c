/* What the metrics tell of questions: times of each stage, tokens, how they ended. */
#include "ask/ask_priv.h"

static const double bounds_ms[] = {1,    2,    5,    10,    20,    50,    100,   250,    500,
                                   1000, 2500, 5000, 10000, 20000, 40000, 80000, 160000, 320000};

static void observe(const MnkAnswer *answer, const char *stage, double ms) {
  g_autofree char *labels = g_strdup_printf("backend=\"%s\",stage=\"%s\"", answer->backend, stage);
  mnk_metric_observe(mnk_histogram("question_ms",
                                   "Time of each stage of a question, in milliseconds", labels,
                                   bounds_ms, G_N_ELEMENTS(bounds_ms)),
                     ms);
}

static void count_tokens(const MnkAnswer *answer, const char *kind, guint64 n) {
  g_autofree char *labels = g_strdup_printf("backend=\"%s\",kind=\"%s\"", answer->backend, kind);
  mnk_metric_add(mnk_counter("question_tokens_total", "Tokens of questions", labels), (double)n);
}

void mnk_measure_answer(const MnkAnswer *answer) {
  gboolean local = g_str_equal(answer->backend, "local");
  gboolean model = !g_str_equal(answer->backend, "timeline");
  observe(answer, "log", answer->log_ms);
  observe(answer, "total", answer->total_ms);
  if (local) {
    observe(answer, "wait", answer->wait_ms);
    observe(answer, "route", answer->route_ms);
    observe(answer, "prompt", answer->prompt_ms);
    count_tokens(answer, "visual", answer->visual_tokens);
    count_tokens(answer, "cached", answer->cached_tokens);
  }
  if (model) {
    observe(answer, "first", answer->first_ms);
    observe(answer, "answer", answer->answer_ms);
    count_tokens(answer, "prompt", answer->prompt_tokens);
    count_tokens(answer, "answer", answer->answer_tokens);
  }
}

void mnk_measure_end(const char *backend, const char *outcome) {
  g_autofree char *labels = g_strdup_printf("backend=\"%s\",outcome=\"%s\"", backend, outcome);
  mnk_metric_add(
      mnk_counter("questions_total", "Questions, by who answered and how they ended", labels), 1);
}

void mnk_measure_poll(const char *outcome) {
  g_autofree char *labels = g_strdup_printf("outcome=\"%s\"", outcome);
  mnk_metric_add(
      mnk_counter("standing_polls_total", "Times that standing questions were asked", labels), 1);
}
