/* What the metrics tell of the local model: the way of its frames, times of each stage, tokens. */
#include "api/core_priv.h"

static void frames(const MnkLocalCounters *c) {
  static const char HELP[] = "Frames given to the local model, by what became of them.";
  mnk_raise_counter("model_frames_total", HELP, "fate=\"encoded\"", (double)c->encoded);
  mnk_raise_counter("model_frames_total", HELP, "fate=\"left_out\"", (double)c->left_out);
  mnk_metric_set(mnk_gauge("model_frames_waiting", "Frames that wait for its tower.", NULL),
                 c->waiting);
  mnk_metric_set(mnk_gauge("model_pressure", "How far its tower lags, 0 to 100.", NULL),
                 c->pressure);
}

static void stages(const MnkLocalCounters *c) {
  static const char HELP[] = "Time that each stage of the local model took, in milliseconds.";
  const struct {
    const char *labels;
    double ms;
  } stages[] = {
      {"stage=\"encode\"", c->encode_ms}, {"stage=\"remember\"", c->remember_ms},
      {"stage=\"route\"", c->route_ms},   {"stage=\"prompt\"", c->prompt_ms},
      {"stage=\"answer\"", c->answer_ms},
  };
  for (guint i = 0; i < G_N_ELEMENTS(stages); i++)
    mnk_raise_counter("model_ms_total", HELP, stages[i].labels, stages[i].ms);
}

static void jobs(const MnkLocalCounters *c) {
  static const char HELP[] = "Jobs of the local model, by kind.";
  mnk_raise_counter("model_jobs_total", HELP, "kind=\"question\"", (double)c->questions);
  mnk_raise_counter("model_jobs_total", HELP, "kind=\"watch\"", (double)c->watches);
  mnk_raise_counter("model_jobs_total", HELP, "kind=\"caption\"", (double)c->captions);
  mnk_raise_counter("model_jobs_interrupted_total", "Times that a job made way for another.", NULL,
                    (double)c->interrupted);
  mnk_raise_counter("model_jobs_failed_total", "Jobs that ended with an error.", NULL,
                    (double)c->failed);
}

static void tokens(const MnkLocalCounters *c) {
  static const char HELP[] = "Tokens of the local model, by kind.";
  mnk_raise_counter("model_tokens_total", HELP, "kind=\"prompt\"", (double)c->prompt_tokens);
  mnk_raise_counter("model_tokens_total", HELP, "kind=\"visual\"", (double)c->visual_tokens);
  mnk_raise_counter("model_tokens_total", HELP, "kind=\"cached\"", (double)c->cached_tokens);
  mnk_raise_counter("model_tokens_total", HELP, "kind=\"answer\"", (double)c->answer_tokens);
}

void mnk_model_metrics(const MnkLocal *local) {
  if (local == NULL)
    return;
  MnkLocalCounters counters;
  mnk_local_counters(local, &counters);
  frames(&counters);
  stages(&counters);
  jobs(&counters);
  tokens(&counters);
  mnk_raise_counter("model_deaths_total", "Deaths of the model's worker.", NULL,
                    (double)counters.deaths);
  mnk_metric_set(mnk_gauge("memory_bytes", "Bytes of all streams' memories.", NULL),
                 (double)counters.memory_bytes);
}
