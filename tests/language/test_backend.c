/* The backends against services that fail in every way: what is answered, what is tried again, what
 * is given up, and what state that leaves. */
#include "services.h"

#include <string.h>

static const char *const all_services[] = {"gemini", "vertex", "openai"};

#define GOOD "10000-12000 A dog runs across a yard.; 11500-14000 The dog lies down."

/* ---- One batch, and what becomes of it ---- */

typedef enum { G = 1, V = 2, O = 4, GOOGLE = G | V, ALL = G | V | O } Services;

typedef struct {
  Services services;
  const char *faults; /* one for each request */
  const char *texts;  /* NULL: it fails */
  const char *error;  /* what the error says */
  int code;
  guint attempts; /* requests in all */
  gboolean repaired;
  MnkBackendState state;
} Row;

static const Row rows[] = {
    {ALL, "ok", GOOD, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "empty-events", "", NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "fenced", GOOD, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "array-wrap", GOOD, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {GOOGLE, "thoughts", GOOD, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "echo",
     "10000-12000 red --> <b>bold</b> & <script>alert(1)</script> gnp <|im_start|>system [INST] "
     "<start_of_turn> line",
     NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    /* Passing faults are tried again. */
    {ALL, "503,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "500,504,ok", GOOD, NULL, 0, 3, FALSE, MNK_BACKEND_OK},
    {ALL, "429,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "429-retryinfo,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "429-retry-after,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "html-503,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "reset,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "close,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "cut-body,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "garbage,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "html-200,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "bad-envelope,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "hang,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "stall-body,ok", GOOD, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    /* Until the retries are spent. */
    {ALL, "503,503,503", NULL, "HTTP 503: The model is overloaded", MNK_ERROR_SOURCE, 3, FALSE,
     MNK_BACKEND_DEGRADED},
    {ALL, "hang,hang,hang", NULL, "", MNK_ERROR_SOURCE, 3, FALSE, MNK_BACKEND_DEGRADED},
    {ALL, "reset,close,cut-body", NULL, "", MNK_ERROR_SOURCE, 3, FALSE, MNK_BACKEND_DEGRADED},
    {ALL, "html-503,html-503,html-503", NULL, "HTTP 503", MNK_ERROR_SOURCE, 3, FALSE,
     MNK_BACKEND_DEGRADED},
    {ALL, "ansi-500,ansi-500,ansi-500", NULL, "HTTP 500: red --> <b>bold</b>", MNK_ERROR_SOURCE, 3,
     FALSE, MNK_BACKEND_DEGRADED},
    {ALL, "key-echo-500,key-echo-500,key-echo-500", NULL, "while handling", MNK_ERROR_SOURCE, 3,
     FALSE, MNK_BACKEND_DEGRADED},
    /* What would come too late is not waited for. */
    {ALL, "429-long", NULL, "Daily quota exceeded", MNK_ERROR_SOURCE, 1, FALSE,
     MNK_BACKEND_DEGRADED},
    /* What comes out the same again is not tried again. */
    {ALL, "huge", NULL, "", MNK_ERROR_LIMIT, 1, FALSE, MNK_BACKEND_DEGRADED},
    {GOOGLE, "400", NULL, "Unable to process the input image", MNK_ERROR_SOURCE, 1, FALSE,
     MNK_BACKEND_DEGRADED},
    {ALL, "413", NULL, "HTTP 413: Request too large", MNK_ERROR_SOURCE, 1, FALSE,
     MNK_BACKEND_DEGRADED},
    /* What lasts takes the backend down. */
    {ALL, "401", NULL, "refused the key", MNK_ERROR_CONFIG, 1, FALSE, MNK_BACKEND_DOWN},
    {ALL, "403", NULL, "refused the key", MNK_ERROR_CONFIG, 1, FALSE, MNK_BACKEND_DOWN},
    {G, "404", NULL, "does not know the model \"gemini-3.5-flash-lite\": it may be retired",
     MNK_ERROR_CONFIG, 1, FALSE, MNK_BACKEND_DOWN},
    {O, "404", NULL, "does not know the model \"test-model\"", MNK_ERROR_CONFIG, 1, FALSE,
     MNK_BACKEND_DOWN},
    {GOOGLE, "400-place", NULL, "User location is not supported", MNK_ERROR_CONFIG, 1, FALSE,
     MNK_BACKEND_DOWN},
    {ALL, "redirect", NULL, "a redirect", MNK_ERROR_CONFIG, 1, FALSE, MNK_BACKEND_DOWN},
    /* The service is well, but withholds this answer. */
    {ALL, "safety", NULL, "withholds", MNK_ERROR_BAD_INPUT, 1, FALSE, MNK_BACKEND_UNCHECKED},
    {GOOGLE, "recitation", NULL, "RECITATION", MNK_ERROR_BAD_INPUT, 1, FALSE,
     MNK_BACKEND_UNCHECKED},
    {GOOGLE, "prompt-blocked", NULL, "PROHIBITED_CONTENT", MNK_ERROR_BAD_INPUT, 1, FALSE,
     MNK_BACKEND_UNCHECKED},
    {ALL, "no-parts", NULL, "an empty answer", MNK_ERROR_BAD_INPUT, 1, FALSE,
     MNK_BACKEND_UNCHECKED},
    /* An answer of no use is mended once. */
    {ALL, "cut-json,ok", GOOD, NULL, 0, 2, TRUE, MNK_BACKEND_OK},
    {ALL, "wrong-schema,ok", GOOD, NULL, 0, 2, TRUE, MNK_BACKEND_OK},
    {ALL, "wrong-indices,ok", GOOD, NULL, 0, 2, TRUE, MNK_BACKEND_OK},
    {ALL, "not-json,ok", GOOD, NULL, 0, 2, TRUE, MNK_BACKEND_OK},
    {ALL, "max-tokens,ok", GOOD, NULL, 0, 2, TRUE, MNK_BACKEND_OK},
    {ALL, "max-tokens-empty,ok", GOOD, NULL, 0, 2, TRUE, MNK_BACKEND_OK},
    {ALL, "503,cut-json,503,ok", GOOD, NULL, 0, 4, TRUE, MNK_BACKEND_OK},
    {ALL, "cut-json,wrong-indices", NULL, "nor was its repair: events[0]", MNK_ERROR_BAD_INPUT, 2,
     FALSE, MNK_BACKEND_DEGRADED},
    {ALL, "key-in-text,key-in-text", NULL, "nor was its repair", MNK_ERROR_BAD_INPUT, 2, FALSE,
     MNK_BACKEND_DEGRADED},
    {ALL, "max-tokens,max-tokens", NULL, "cut off at 8192 tokens", MNK_ERROR_BAD_INPUT, 2, FALSE,
     MNK_BACKEND_DEGRADED},
};

static void check_row(const Row *row, const char *service) {
  g_test_message("%s: %s", service, row->faults);
  services_post("/reset", "{}");
  services_faults("generate", row->faults);
  g_autoptr(MnkBackend) backend = services_backend(service, NULL);
  g_autoptr(MnkBatch) batch = services_batch(8);
  g_auto(Ending) ending = {0};
  services_caption(backend, batch, &ending);
  if (row->texts) {
    g_assert_no_error(ending.error);
    g_assert_cmpstr(ending.texts, ==, row->texts);
    g_assert_cmpuint(ending.attempts, ==, row->attempts);
    g_assert_true(ending.repaired == row->repaired);
    g_assert_cmpuint(ending.prompt_tokens, ==, row->repaired ? 2000 : 1000);
    g_assert_cmpuint(ending.answer_tokens, ==, row->repaired ? 114 : 57);
    g_assert_cmpstr(ending.model, ==, "test-model-001");
  } else {
    g_assert_error(ending.error, MNK_ERROR, row->code);
    g_test_message("%s", ending.error->message);
    g_assert_nonnull(strstr(ending.error->message, service));
    g_assert_nonnull(strstr(ending.error->message, row->error));
  }
  g_assert_cmpint(mnk_backend_state(backend), ==, row->state);
  gboolean well = row->state == MNK_BACKEND_OK || row->state == MNK_BACKEND_UNCHECKED;
  g_assert_true((*mnk_backend_detail(backend) == '\0') == well);
  services_check_counters(backend);
  g_autoptr(MnkJson) log = services_get("/log");
  g_assert_cmpuint(services_count(log, "generate"), ==, row->attempts);
}

static void test_faults(gconstpointer service) {
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
    for (guint s = 0; s < G_N_ELEMENTS(all_services); s++)
      if ((rows[i].services & (1u << s)) && g_str_equal(all_services[s], service))
        check_row(&rows[i], service);
}

static void test_no_redirect_followed(void) {
  g_autoptr(MnkJson) state = services_get("/state");
  g_assert_cmpint(mnk_json_int(mnk_json_get(mnk_json_root(state), "canary"), -1), ==, 0);
}

/* ---- Deadlines ---- */

/* An answer that never comes, or never ends: the deadline ends it. */
static void test_deadline(void) {
  static const char *const faults[] = {"hang", "slow-body", "slow-head", "stall-body"};
  for (guint i = 0; i < G_N_ELEMENTS(faults); i++) {
    services_post("/reset", "{}");
    services_always("generate", faults[i]);
    g_autoptr(MnkBackend) backend =
        services_backend("gemini", "backend-first-byte=60s,backend-deadline=300ms");
    g_autoptr(MnkBatch) batch = services_batch(4);
    g_auto(Ending) ending = {0};
    services_caption(backend, batch, &ending);
    g_assert_error(ending.error, MNK_ERROR, MNK_ERROR_SOURCE);
    g_assert_nonnull(strstr(ending.error->message, "deadline"));
    g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_DEGRADED);
    services_check_counters(backend);
  }
}

/* The batch's own deadline, when it comes before the backend's. */
static void test_batch_deadline(void) {
  services_post("/reset", "{}");
  services_always("generate", "hang");
  g_autoptr(MnkBackend) backend = services_backend("openai", "backend-first-byte=60s");
  g_autoptr(MnkBatch) batch = services_batch(4);
  batch->deadline_us = g_get_monotonic_time() + 200000;
  g_auto(Ending) ending = {0};
  services_caption(backend, batch, &ending);
  g_assert_error(ending.error, MNK_ERROR, MNK_ERROR_SOURCE);
  batch->deadline_us = g_get_monotonic_time() - 1;
  services_caption(backend, batch, &ending);
  g_assert_error(ending.error, MNK_ERROR, MNK_ERROR_SOURCE);
  MnkBackendCounters counters;
  mnk_backend_counters(backend, &counters);
  g_assert_cmpuint(counters.failed, ==, 1);
  g_assert_cmpuint(counters.stale, ==, 1);
}

/* One at a time: what waits too long is dropped and counted, what is given up goes without a word,
 * and then the next has its turn. */
static void test_stale(void) {
  services_post("/reset", "{}");
  services_faults("generate", "hang,ok");
  g_autoptr(MnkBackend) backend =
      services_backend("gemini", "backend-first-byte=60s,backend-calls=1");
  g_autoptr(MnkBatch) batch = services_batch(4);
  g_auto(Ending) first = {0}, late = {0}, dropped = {0}, last = {0};
  mnk_backend_caption(backend, batch, services_done, &first);
  batch->deadline_us = g_get_monotonic_time() + 100000;
  mnk_backend_caption(backend, batch, services_done, &late);
  batch->deadline_us = 0;
  mnk_backend_caption(backend, batch, services_done, &dropped);
  mnk_backend_caption(backend, batch, services_done, &last);
  mnk_backend_cancel(backend, &dropped);
  services_wait(&late.ended);
  g_assert_error(late.error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_false(first.ended || last.ended);
  mnk_backend_cancel(backend, &first);
  services_wait(&last.ended);
  g_assert_no_error(last.error);
  g_assert_false(first.ended || dropped.ended);
  MnkBackendCounters counters;
  mnk_backend_counters(backend, &counters);
  g_assert_cmpuint(counters.stale, ==, 1);
  g_assert_cmpuint(counters.ok, ==, 1);
}

/* Many at once: all are answered, no more at a time than allowed. */
static void test_many(void) {
  enum { MANY = 40 };
  services_post("/reset", "{}");
  g_autoptr(MnkBackend) backend = services_backend("openai", "backend-calls=3");
  g_autoptr(MnkBatch) batch = services_batch(4);
  Ending endings[MANY] = {0};
  for (guint i = 0; i < MANY; i++)
    mnk_backend_caption(backend, batch, services_done, &endings[i]);
  for (guint i = 0; i < MANY; i++) {
    services_wait(&endings[i].ended);
    g_assert_no_error(endings[i].error);
    ending_clear(&endings[i]);
  }
  services_check_counters(backend);
}

/* ---- Breaker ---- */

static guint requests(void) {
  g_autoptr(MnkJson) log = services_get("/log");
  return services_count(log, "generate");
}

static void test_breaker(void) {
  services_post("/reset", "{}");
  services_always("generate", "503");
  g_autoptr(MnkBackend) backend =
      services_backend("gemini", "backend-breaker=3,backend-retries=0,backend-pause=300ms");
  g_autoptr(MnkBatch) batch = services_batch(4);
  g_auto(Ending) ending = {0};
  for (guint i = 0; i < 3; i++) {
    g_assert_cmpint(mnk_backend_state(backend), !=, MNK_BACKEND_DOWN);
    services_caption(backend, batch, &ending);
  }
  g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_DOWN);
  g_assert_nonnull(strstr(mnk_backend_detail(backend), "HTTP 503"));
  services_caption(backend, batch, &ending);
  g_assert_nonnull(strstr(ending.error->message, "left alone"));
  MnkBackendCounters counters;
  mnk_backend_counters(backend, &counters);
  g_assert_cmpuint(counters.failed, ==, 3);
  g_assert_cmpuint(counters.refused_by_breaker, ==, 1);
  g_assert_cmpuint(requests(), ==, 3);
  /* After the pause one tries; it fails, and the pause begins anew. */
  while (mnk_backend_state(backend) == MNK_BACKEND_DOWN)
    services_wait_ms(20);
  g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_DEGRADED);
  services_caption(backend, batch, &ending);
  g_assert_cmpuint(requests(), ==, 4);
  g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_DOWN);
  while (mnk_backend_state(backend) == MNK_BACKEND_DOWN)
    services_wait_ms(20);
  services_always("generate", "ok");
  services_caption(backend, batch, &ending);
  g_assert_no_error(ending.error);
  g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_OK);
  services_check_counters(backend);
}

/* A trial that is given up frees the place for another. */
static void test_breaker_trial_cancelled(void) {
  services_post("/reset", "{}");
  services_faults("generate", "503,hang,ok");
  g_autoptr(MnkBackend) backend = services_backend(
      "gemini", "backend-breaker=1,backend-retries=0,backend-pause=20ms,backend-first-byte=60s");
  g_autoptr(MnkBatch) batch = services_batch(4);
  g_auto(Ending) ending = {0}, trial = {0};
  services_caption(backend, batch, &ending);
  while (mnk_backend_state(backend) == MNK_BACKEND_DOWN)
    services_wait_ms(5);
  mnk_backend_caption(backend, batch, services_done, &trial);
  while (requests() < 2)
    services_wait_ms(5);
  services_caption(backend, batch, &ending);
  g_assert_nonnull(ending.error); /* only one tries */
  mnk_backend_cancel(backend, &trial);
  services_caption(backend, batch, &ending);
  g_assert_no_error(ending.error);
  g_assert_false(trial.ended);
}

/* Answers of no use open it too: each costs tokens. */
static void test_breaker_bad_answers(void) {
  services_post("/reset", "{}");
  services_always("generate", "not-json");
  g_autoptr(MnkBackend) backend = services_backend("openai", "backend-breaker=2,backend-pause=60s");
  g_autoptr(MnkBatch) batch = services_batch(4);
  g_auto(Ending) ending = {0};
  services_caption(backend, batch, &ending);
  g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_DEGRADED);
  services_caption(backend, batch, &ending);
  g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_DOWN);
  services_caption(backend, batch, &ending);
  g_assert_nonnull(strstr(ending.error->message, "left alone"));
  g_assert_cmpuint(requests(), ==, 4); /* two batches, each with its repair */
  MnkBackendCounters counters;
  mnk_backend_counters(backend, &counters);
  g_assert_cmpuint(counters.repairs, ==, 2);
  g_assert_cmpuint(counters.prompt_tokens, ==, 4000);
}

/* A storm of 503s costs few retries more than the budget. */
static void test_retry_budget(void) {
  services_post("/reset", "{}");
  services_always("generate", "503");
  g_autoptr(MnkBackend) backend =
      services_backend("gemini", "backend-breaker=1000,backend-retries=10");
  g_autoptr(MnkBatch) batch = services_batch(4);
  g_auto(Ending) ending = {0};
  for (guint i = 0; i < 20; i++)
    services_caption(backend, batch, &ending);
  MnkBackendCounters counters;
  mnk_backend_counters(backend, &counters);
  g_assert_cmpuint(counters.retries, >=, 10);
  g_assert_cmpuint(counters.retries, <=, 12); /* 10, and a tenth of 20 */
  g_assert_cmpuint(requests(), ==, 20 + counters.retries);
}

/* ---- Lasting faults end when the service takes the model again ---- */

static void test_probe(void) {
  services_post("/reset", "{}");
  services_faults("generate", "404");
  services_faults("check", "404,503,ok");
  g_autoptr(MnkBackend) backend =
      services_backend("vertex", "backend-probe=20ms,backend-retries=0");
  g_autoptr(MnkBatch) batch = services_batch(4);
  g_auto(Ending) ending = {0};
  services_caption(backend, batch, &ending);
  g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_DOWN);
  services_caption(backend, batch, &ending);
  g_assert_error(ending.error, MNK_ERROR, MNK_ERROR_CONFIG);
  while (mnk_backend_state(backend) == MNK_BACKEND_DOWN)
    services_wait_ms(5);
  g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_OK);
  services_caption(backend, batch, &ending);
  g_assert_no_error(ending.error);
  g_autoptr(MnkJson) log = services_get("/log");
  g_assert_cmpuint(services_count(log, "check"), ==, 3);
  g_assert_cmpuint(services_count(log, "generate"), ==, 2);
  MnkBackendCounters counters;
  mnk_backend_counters(backend, &counters);
  g_assert_cmpuint(counters.refused_by_breaker, ==, 1);
}

/* ---- Going away ---- */

static void free_within(const MnkBackendAnswer *answer, const GError *error, gpointer user) {
  MnkBackend **backend = user;
  g_clear_pointer(backend, mnk_backend_free);
}

static void test_free(void) {
  services_post("/reset", "{}");
  services_faults("generate", "hang,hang,503,ok");
  g_autoptr(MnkBatch) batch = services_batch(4);
  g_auto(Ending) ending = {0};
  MnkBackend *backend = services_backend("gemini", "backend-calls=1");
  mnk_backend_caption(backend, batch, services_done, &ending);
  mnk_backend_caption(backend, batch, services_done, &ending);
  mnk_backend_free(backend); /* before anything was sent */
  backend = services_backend("gemini", "backend-calls=1");
  mnk_backend_caption(backend, batch, services_done, &ending);
  mnk_backend_caption(backend, batch, services_done, &ending);
  while (requests() < 1)
    services_wait_ms(5);
  mnk_backend_free(backend); /* with one under way and one waiting */
  static const char *const more[] = {"backend-retries=0", "backend-retries=3"};
  for (guint i = 0; i < G_N_ELEMENTS(more); i++) { /* from within a failure, and an answer */
    backend = services_backend("gemini", more[i]);
    mnk_backend_caption(backend, batch, free_within, &backend);
    mnk_backend_caption(backend, batch, free_within, &backend);
    while (backend)
      services_wait_ms(5);
  }
  services_wait_ms(50);
  g_assert_false(ending.ended);
}

static void test_metrics(void) {
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_metrics_write(text);
  static const char *const lines[] = {
      "manako_backend_calls_total{backend=\"gemini\",outcome=\"ok\"}",
      "manako_backend_calls_total{backend=\"openai\",outcome=\"failed\"}",
      "manako_backend_calls_total{backend=\"gemini\",outcome=\"stale\"}",
      "manako_backend_calls_total{backend=\"vertex\",outcome=\"refused\"}",
      "manako_backend_tokens_total{backend=\"gemini\",kind=\"prompt\"}",
      "manako_backend_latency_ms_count{backend=\"vertex\"}",
  };
  for (guint i = 0; i < G_N_ELEMENTS(lines); i++)
    g_assert_nonnull(strstr(text->str, lines[i]));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  services_start();
  for (guint i = 0; i < G_N_ELEMENTS(all_services); i++) {
    g_autofree char *name = g_strconcat("/backend/faults-of-", all_services[i], NULL);
    g_test_add_data_func(name, all_services[i], test_faults);
  }
  g_test_add_func("/backend/no-redirect-followed", test_no_redirect_followed);
  g_test_add_func("/backend/deadline", test_deadline);
  g_test_add_func("/backend/batch-deadline", test_batch_deadline);
  g_test_add_func("/backend/stale", test_stale);
  g_test_add_func("/backend/many", test_many);
  g_test_add_func("/backend/breaker", test_breaker);
  g_test_add_func("/backend/breaker-trial-cancelled", test_breaker_trial_cancelled);
  g_test_add_func("/backend/breaker-bad-answers", test_breaker_bad_answers);
  g_test_add_func("/backend/retry-budget", test_retry_budget);
  g_test_add_func("/backend/probe", test_probe);
  g_test_add_func("/backend/free", test_free);
  g_test_add_func("/backend/metrics", test_metrics);
  int failed = g_test_run();
  services_stop();
  return failed;
}
