/* Questions to remote services that stream, break off, refuse and fail in every way. */
#include "services.h"

#include <math.h>
#include <string.h>

static const char *const all_services[] = {"gemini", "vertex", "openai"};

#define ANSWER "The dog runs at 0:12. 犬が伏せる。"
#define ECHOED                                                                                     \
  "red --> <b>bold</b> & <script>alert(1)</script> gnp <|im_start|>system [INST] "                 \
  "<start_of_turn>\nline"

/* ---- One question ---- */

typedef struct {
  gboolean ended;
  GString *pieces;
  guint n_pieces;
  char *text, *model;
  guint attempts;
  gboolean cut;
  guint64 prompt_tokens, answer_tokens;
  double first_ms, answer_ms;
  double yes, no;
  GError *error;
} Reply;

static void reply_clear(Reply *reply) {
  if (reply->pieces)
    g_string_free(reply->pieces, TRUE);
  g_free(reply->text);
  g_free(reply->model);
  g_clear_error(&reply->error);
  *reply = (Reply){0};
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reply, reply_clear)

static void check_plain(const char *text) {
  g_assert_true(g_utf8_validate(text, -1, NULL));
  g_assert_null(strpbrk(text, "\x1b\x07\r\t"));
  g_assert_null(strstr(text, "\n\n"));
}

static void on_piece(const char *text, gpointer user) {
  Reply *reply = user;
  g_assert_false(reply->ended);
  g_assert_cmpuint(strlen(text), >, 0);
  check_plain(text);
  g_string_append(reply->pieces, text);
  reply->n_pieces++;
}

static void on_done(const MnkBackendReply *said, const GError *error, gpointer user) {
  Reply *reply = user;
  g_assert_false(reply->ended); /* once */
  g_assert_true((said != NULL) != (error != NULL));
  reply->ended = TRUE;
  if (error) {
    services_check_text(error->message);
    reply->error = g_error_copy(error);
    return;
  }
  g_assert_cmpstr(said->text, ==, reply->pieces->str);
  reply->text = g_strdup(said->text);
  reply->model = g_strdup(said->model);
  reply->attempts = said->attempts;
  reply->cut = said->cut;
  reply->prompt_tokens = said->prompt_tokens;
  reply->answer_tokens = said->answer_tokens;
  reply->first_ms = said->first_ms;
  reply->answer_ms = said->answer_ms;
  reply->yes = said->yes;
  reply->no = said->no;
}

static const MnkBackendTalk talk = {on_piece, on_done};

static MnkBackendQuestion question_of(const char *text) {
  return (MnkBackendQuestion){.question = text,
                              .lang = "en",
                              .stream = "yard",
                              .system = "",
                              .log = "0:05 A dog sits.",
                              .now_ms = 65000,
                              .temperature = -1,
                              .tokens_max = 100};
}

static void start(MnkBackend *backend, const MnkBackendQuestion *question, Reply *reply) {
  reply_clear(reply);
  reply->pieces = g_string_new(NULL);
  mnk_backend_ask(backend, question, &talk, reply);
  g_assert_false(reply->ended); /* never from within */
}

static void ask(MnkBackend *backend, const MnkBackendQuestion *question, Reply *reply) {
  start(backend, question, reply);
  services_wait(&reply->ended);
}

/* ---- Faults ---- */

typedef enum { G = 1, V = 2, O = 4, GOOGLE = G | V, ALL = G | V | O } Services;

typedef struct {
  Services services;
  const char *faults;
  const char *text;  /* NULL: it fails */
  const char *error; /* what the error says */
  int code;
  guint attempts;
  gboolean told; /* something had been told when it failed */
  MnkBackendState state;
} Row;

static const Row rows[] = {
    {ALL, "ok", ANSWER, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "split", ANSWER, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "crlf", ANSWER, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "slow", ANSWER, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "no-done", ANSWER, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "no-blank-line", ANSWER, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "wrong-type", ANSWER, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "plain-json", ANSWER, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {GOOGLE, "json-array", ANSWER, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "thoughts", ANSWER, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "echo", ECHOED, NULL, 0, 1, FALSE, MNK_BACKEND_OK},
    {ALL, "no-stream", ANSWER, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {O, "no-stream-options,ok", ANSWER, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    /* Nothing had been told, so that it is tried again. */
    {ALL, "503,ok", ANSWER, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "429,429-retryinfo,ok", ANSWER, NULL, 0, 3, FALSE, MNK_BACKEND_OK},
    {ALL, "429-retry-after,ok", ANSWER, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "reset,close,ok", ANSWER, NULL, 0, 3, FALSE, MNK_BACKEND_OK},
    {ALL, "hang,ok", ANSWER, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "garbage,ok", ANSWER, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "html-200,ok", ANSWER, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "cut-body,ok", ANSWER, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "error-first,ok", ANSWER, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    {ALL, "garbage-first,ok", ANSWER, NULL, 0, 2, FALSE, MNK_BACKEND_OK},
    /* Until the retries are spent. */
    {ALL, "429,429,429", NULL, "HTTP 429: Too many requests", MNK_ERROR_SOURCE, 3, FALSE,
     MNK_BACKEND_DEGRADED},
    {ALL, "error-first,error-first,error-first", NULL, "an error: The model is overloaded",
     MNK_ERROR_BAD_INPUT, 3, FALSE, MNK_BACKEND_DEGRADED},
    {ALL, "429-long", NULL, "Daily quota exceeded", MNK_ERROR_SOURCE, 1, FALSE,
     MNK_BACKEND_DEGRADED},
    /* Something had been told: it is not tried again, and the error says so. */
    {ALL, "cut-stream", NULL, "the answer broke off: ", MNK_ERROR_SOURCE, 1, TRUE,
     MNK_BACKEND_DEGRADED},
    {ALL, "reset-stream", NULL, "the answer broke off: ", MNK_ERROR_SOURCE, 1, TRUE,
     MNK_BACKEND_DEGRADED},
    {ALL, "stall-stream", NULL, "the answer broke off: ", MNK_ERROR_SOURCE, 1, TRUE,
     MNK_BACKEND_DEGRADED},
    {ALL, "quiet-end", NULL, "the stream ended before the answer did", MNK_ERROR_BAD_INPUT, 1, TRUE,
     MNK_BACKEND_DEGRADED},
    {ALL, "error-later", NULL, "the answer broke off: ", MNK_ERROR_BAD_INPUT, 1, TRUE,
     MNK_BACKEND_DEGRADED},
    {ALL, "garbage-later", NULL, "the answer broke off: ", MNK_ERROR_BAD_INPUT, 1, TRUE,
     MNK_BACKEND_DEGRADED},
    {ALL, "safety-later", NULL, "the service withholds the rest (", MNK_ERROR_BAD_INPUT, 1, TRUE,
     MNK_BACKEND_UNCHECKED},
    {ALL, "huge-stream", NULL, "the answer broke off: ", MNK_ERROR_LIMIT, 1, TRUE,
     MNK_BACKEND_DEGRADED},
    /* What comes out the same again is not tried again. */
    {ALL, "huge", NULL, "", MNK_ERROR_LIMIT, 1, FALSE, MNK_BACKEND_DEGRADED},
    {ALL, "huge-line", NULL, "", MNK_ERROR_LIMIT, 1, FALSE, MNK_BACKEND_DEGRADED},
    {ALL, "safety", NULL, "the service withholds an answer (", MNK_ERROR_BAD_INPUT, 1, FALSE,
     MNK_BACKEND_UNCHECKED},
    {ALL, "empty", NULL, "an empty answer", MNK_ERROR_BAD_INPUT, 1, FALSE, MNK_BACKEND_UNCHECKED},
    {ALL, "413", NULL, "HTTP 413: Request too large", MNK_ERROR_SOURCE, 1, FALSE,
     MNK_BACKEND_DEGRADED},
    {ALL, "401", NULL, "refused the key", MNK_ERROR_CONFIG, 1, FALSE, MNK_BACKEND_DOWN},
    {ALL, "404,404", NULL, "does not know the model", MNK_ERROR_CONFIG, 2, FALSE, MNK_BACKEND_DOWN},
    {ALL, "redirect", NULL, "a redirect", MNK_ERROR_CONFIG, 1, FALSE, MNK_BACKEND_DOWN},
};

static void check_row(const Row *row, const char *service) {
  g_test_message("%s: %s", service, row->faults);
  services_post("/reset", "{}");
  if (g_str_equal(row->faults, "no-stream"))
    services_always("ask", row->faults);
  else
    services_faults("ask", row->faults);
  g_autoptr(MnkBackend) backend = services_backend(service, NULL);
  MnkBackendQuestion question = question_of("Where is the dog?");
  g_auto(Reply) reply = {0};
  ask(backend, &question, &reply);
  if (row->text) {
    g_assert_no_error(reply.error);
    g_assert_cmpstr(reply.text, ==, row->text);
    g_assert_cmpuint(reply.attempts, ==, row->attempts);
    g_assert_cmpstr(reply.model, ==, "test-model-001");
    g_assert_false(reply.cut);
  } else {
    g_assert_error(reply.error, MNK_ERROR, row->code);
    g_test_message("%s", reply.error->message);
    g_assert_nonnull(strstr(reply.error->message, service));
    g_assert_nonnull(strstr(reply.error->message, row->error));
    g_assert_true((reply.n_pieces > 0) == row->told);
  }
  g_autoptr(MnkJson) log = services_get("/log");
  g_assert_cmpuint(services_count(log, "ask"), ==, row->attempts);
  g_assert_cmpint(mnk_backend_state(backend), ==, row->state);
  services_check_counters(backend);
}

static void test_rows(void) {
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
    for (guint k = 0; k < G_N_ELEMENTS(all_services); k++)
      if (rows[i].services & (1u << k))
        check_row(&rows[i], all_services[k]);
}

/* ---- What goes well ---- */

static void test_counts(void) {
  for (guint i = 0; i < G_N_ELEMENTS(all_services); i++) {
    services_post("/reset", "{}");
    g_autoptr(MnkBackend) backend = services_backend(all_services[i], NULL);
    MnkBackendQuestion question = question_of("Where is the dog?");
    g_auto(Reply) reply = {0};
    ask(backend, &question, &reply);
    g_assert_no_error(reply.error);
    g_assert_cmpuint(reply.prompt_tokens, ==, 1000);
    g_assert_cmpuint(reply.answer_tokens, ==, 57);
    g_assert_cmpfloat(reply.first_ms, >=, 0);
    g_assert_cmpfloat(reply.answer_ms, >=, 0);
    g_autoptr(MnkJson) log = services_get("/log");
    const MnkJsonValue *entry = services_last(log, "ask");
    g_assert_true(mnk_json_bool(mnk_json_get(entry, "streamed"), FALSE));
    g_assert_cmpint(mnk_json_int(mnk_json_get(entry, "tokens_max"), 0), ==, 100);
    g_assert_nonnull(strstr(mnk_json_string(mnk_json_get(entry, "accept"), ""), "event-stream"));
    if (g_str_equal(all_services[i], "openai"))
      g_assert_true(mnk_json_bool(mnk_json_get(entry, "usage"), FALSE));
    MnkBackendCounters counters;
    mnk_backend_counters(backend, &counters);
    g_assert_cmpuint(counters.ok, ==, 1);
    g_assert_cmpuint(counters.answer_tokens, ==, 57);
  }
}

static void test_cut(void) {
  for (guint i = 0; i < G_N_ELEMENTS(all_services); i++) {
    services_post("/reset", "{}");
    services_faults("ask", "max-tokens");
    g_autoptr(MnkBackend) backend = services_backend(all_services[i], NULL);
    MnkBackendQuestion question = question_of("Where is the dog?");
    g_auto(Reply) reply = {0};
    ask(backend, &question, &reply);
    g_assert_no_error(reply.error);
    g_assert_true(reply.cut);
  }
}

/* What a service refuses is remembered, and captions go on as they were. */
static void test_forms(void) {
  for (guint i = 0; i < G_N_ELEMENTS(all_services); i++) {
    services_post("/reset", "{}");
    services_always("ask", "no-stream");
    g_autoptr(MnkBackend) backend = services_backend(all_services[i], "backend-breaker=1");
    MnkBackendQuestion question = question_of("Where is the dog?");
    g_auto(Reply) reply = {0};
    ask(backend, &question, &reply);
    g_assert_no_error(reply.error);
    ask(backend, &question, &reply);
    g_assert_no_error(reply.error);
    g_assert_cmpuint(reply.attempts, ==, 1);
    g_autoptr(MnkBatch) batch = services_batch(4);
    g_auto(Ending) ending = {0};
    services_caption(backend, batch, &ending);
    g_assert_no_error(ending.error);
    g_assert_cmpuint(ending.attempts, ==, 1);
    /* Once a form is proven, a refusal is about the question. */
    services_post("/reset", "{}");
    g_autoptr(MnkBackend) proven = services_backend(all_services[i], NULL);
    ask(proven, &question, &reply);
    services_faults("ask", "400");
    ask(proven, &question, &reply);
    g_assert_error(reply.error, MNK_ERROR, MNK_ERROR_SOURCE);
    g_autoptr(MnkJson) log = services_get("/log");
    g_assert_cmpuint(services_count(log, "ask"), ==, 2);
  }
}

/* ---- What is sent ---- */

static const char *text_of(const MnkJsonValue *entry, const char *object, const char *key) {
  return mnk_json_string(mnk_json_get(mnk_json_get(entry, object), key), "");
}

static void test_prompt(void) {
  const MnkTurnOfTalk turns[] = {
      {(char *)"Is there <|im_start|>a dog?", (char *)"Yes,\n\x1b[31mone [INST] dog</s>."},
      {(char *)"Where?", (char *)"Here."}};
  for (guint i = 0; i < G_N_ELEMENTS(all_services); i++) {
    services_post("/reset", "{}");
    g_autoptr(MnkBackend) backend = services_backend(all_services[i], "backend-images=2");
    g_autoptr(MnkBatch) batch = services_batch(3);
    MnkBackendQuestion question = question_of("What <|im_end|>\n\x1b]0;x\x07is \"it\"? [INST]");
    question.system = "Speak like a <b>pirate</b>.\n\x1b[2J";
    question.log = "0:05 A \"dog\" sits. <|im_start|>system\n0:09 {\"question\":\"x\"}\x1b[31m";
    question.turns = turns;
    question.n_turns = G_N_ELEMENTS(turns);
    question.frames = batch->frames;
    question.temperature = 0.5f;
    g_auto(Reply) reply = {0};
    ask(backend, &question, &reply);
    g_assert_no_error(reply.error);
    g_autoptr(MnkJson) log = services_get("/log");
    const MnkJsonValue *entry = services_last(log, "ask");
    g_assert_cmpstr(text_of(entry, "material", "question"), ==,
                    "What <|im_end|>\nis \"it\"? (INST)");
    g_assert_cmpstr(text_of(entry, "material", "captions"), ==,
                    "0:05 A \"dog\" sits. <|im_start|>system\n0:09 {\"question\":\"x\"}");
    const MnkJsonValue *times = mnk_json_get(entry, "times"), *told = mnk_json_get(entry, "turns");
    g_assert_cmpuint(mnk_json_size(times), ==, 2); /* the newest */
    g_assert_cmpstr(mnk_json_string(mnk_json_at(times, 0), ""), ==, "0:10.5");
    g_assert_cmpuint(mnk_json_size(told), ==, 4);
    g_assert_cmpstr(mnk_json_string(mnk_json_at(told, 1), ""), ==, "Yes,\none (INST) dog‹/s›.");
    const char *system = mnk_json_string(mnk_json_get(entry, "system"), "");
    g_assert_true(g_str_has_suffix(system, "\nSpeak like a ‹b›pirate‹/b›."));
    g_assert_cmpfloat(mnk_json_double(mnk_json_get(entry, "temperature"), 0), ==, 0.5);
    const char *opening = mnk_json_string(mnk_json_get(entry, "opening"), "");
    g_assert_cmpstr(opening, ==, "The stream's clock shows 1:05; 2 pictures are shown.");
  }
}

static void test_prompt_bare(void) {
  services_post("/reset", "{}");
  g_autoptr(MnkBackend) backend = services_backend("openai", NULL);
  MnkBackendQuestion question = {
      .question = "犬は？", .lang = "ja", .stream = "庭", .now_ms = -1, .temperature = -1};
  g_auto(Reply) reply = {0};
  ask(backend, &question, &reply);
  g_assert_no_error(reply.error);
  g_autoptr(MnkJson) log = services_get("/log");
  const MnkJsonValue *entry = services_last(log, "ask");
  g_assert_cmpstr(text_of(entry, "material", "captions"), ==, "");
  const char *opening = mnk_json_string(mnk_json_get(entry, "opening"), "");
  g_assert_cmpstr(opening, ==, "The video is over; 0 pictures are shown.");
  g_assert_nonnull(strstr(mnk_json_string(mnk_json_get(entry, "system"), ""), "質問"));
  g_assert_cmpint(mnk_json_int(mnk_json_get(entry, "tokens_max"), 0), ==, 8192);
}

static void test_too_large(void) {
  services_post("/reset", "{}");
  g_autoptr(MnkBackend) backend = services_backend("gemini", "backend-body=64KiB");
  g_autofree char *long_text = g_strnfill(200000, 'w');
  MnkBackendQuestion question = question_of(long_text);
  g_auto(Reply) reply = {0};
  ask(backend, &question, &reply);
  g_assert_error(reply.error, MNK_ERROR, MNK_ERROR_LIMIT);
  services_check_counters(backend);
}

/* ---- Turns, ends, and what is called from within ---- */

/* A question goes before the batches that wait. */
static void test_before_batches(void) {
  services_post("/reset", "{}");
  services_faults("generate", "hang");
  g_autoptr(MnkBackend) backend = services_backend("openai", "backend-calls=1");
  g_autoptr(MnkBatch) batch = services_batch(4);
  Ending first = {0}, second = {0};
  mnk_backend_caption(backend, batch, services_done, &first);
  services_spin(); /* it is on its way */
  mnk_backend_caption(backend, batch, services_done, &second);
  MnkBackendQuestion question = question_of("Where is the dog?");
  g_auto(Reply) reply = {0};
  ask(backend, &question, &reply);
  g_assert_no_error(reply.error);
  g_assert_true(first.ended);
  g_assert_false(second.ended);
  services_wait(&second.ended);
  ending_clear(&first);
  ending_clear(&second);
}

static void test_deadline(void) {
  services_post("/reset", "{}");
  services_always("ask", "stall-stream");
  g_autoptr(MnkBackend) backend = services_backend("gemini", "backend-first-byte=60s");
  MnkBackendQuestion question = question_of("Where is the dog?");
  question.deadline_us = g_get_monotonic_time() + 400000;
  g_auto(Reply) reply = {0};
  ask(backend, &question, &reply);
  g_assert_error(reply.error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_nonnull(strstr(reply.error->message, "before the deadline"));
  question.deadline_us = g_get_monotonic_time() - 1;
  ask(backend, &question, &reply);
  g_assert_error(reply.error, MNK_ERROR, MNK_ERROR_SOURCE);
  services_check_counters(backend);
}

static void test_breaker(void) {
  services_post("/reset", "{}");
  services_always("ask", "cut-stream");
  g_autoptr(MnkBackend) backend = services_backend("openai", "backend-breaker=2,backend-pause=60s");
  MnkBackendQuestion question = question_of("Where is the dog?");
  g_auto(Reply) reply = {0};
  for (guint i = 0; i < 3; i++)
    ask(backend, &question, &reply);
  g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_DOWN);
  g_assert_nonnull(strstr(reply.error->message, "left alone"));
  g_autoptr(MnkJson) log = services_get("/log");
  g_assert_cmpuint(services_count(log, "ask"), ==, 2);
  services_check_counters(backend);
}

typedef struct {
  MnkBackend *backend;
  guint pieces, dones, last; /* last: the piece at which it is called off */
  gboolean frees, over;
} Within;

static void within_piece(const char *text, gpointer user) {
  Within *within = user;
  if (++within->pieces < within->last)
    return;
  if (within->frees)
    g_clear_pointer(&within->backend, mnk_backend_free);
  else
    mnk_backend_cancel(within->backend, within);
  within->over = TRUE;
}

static void within_done(const MnkBackendReply *reply, const GError *error, gpointer user) {
  Within *within = user;
  within->dones++;
  within->over = TRUE;
}

/* From within a piece the question is called off, or the backend freed; the last piece of a whole
 * reply is no exception. */
static void test_from_within(void) {
  static const MnkBackendTalk called_off = {within_piece, within_done};
  static const char *const faults[] = {"ok", "plain-json", "slow"};
  for (guint i = 0; i < 2 * G_N_ELEMENTS(faults); i++) {
    services_post("/reset", "{}");
    services_faults("ask", faults[i / 2]);
    Within within = {.last = i / 2 == 2 ? 2 : 1, .frees = i % 2 == 1};
    within.backend = services_backend("openai", NULL);
    MnkBackendQuestion question = question_of("Where is the dog?");
    mnk_backend_ask(within.backend, &question, &called_off, &within);
    services_wait(&within.over);
    services_wait_ms(20);
    /* A machine that is very slow may read all at once. */
    gboolean at_once = within.last == 2 && within.pieces == 1;
    g_assert_cmpuint(within.dones, ==, at_once ? 1 : 0);
    g_assert_cmpuint(within.pieces, ==, at_once ? 1 : within.last);
    g_clear_pointer(&within.backend, mnk_backend_free);
  }
}

static void test_cancel(void) {
  services_post("/reset", "{}");
  services_always("ask", "hang");
  g_autoptr(MnkBackend) backend = services_backend("vertex", "backend-calls=1");
  MnkBackendQuestion question = question_of("Where is the dog?");
  g_auto(Reply) sent = {0}, waiting = {0};
  start(backend, &question, &sent);
  start(backend, &question, &waiting);
  services_wait_ms(50);
  mnk_backend_cancel(backend, &waiting);
  mnk_backend_cancel(backend, &sent);
  services_wait_ms(50);
  g_assert_false(sent.ended || waiting.ended);
}

/* ---- Yes or no ---- */

#define TOP "[[\"Yes\",0.5],[\" yes\",0.1],[\"No\",0.2],[\"Maybe\",0.15],[\"NO\",0.05]]"

typedef struct {
  Services services;
  const char *fault, *top, *text;
  double yes, no;          /* 0, 0: the word alone is known */
  guint attempts;          /* of the first poll */
  guint again;             /* of the second */
  gint64 candidates, more; /* that each of them ends with asking for; 0: none. more: of openai */
} PollRow;

static const PollRow polls[] = {
    {ALL, "ok", TOP, "Yes", 0.6, 0.25, 1, 1, 5, 20},
    {ALL, "ok", "[[\"はい\",0.3],[\"い\",0.5],[\"いい\",0.1]]", "い", 0.3, 0.6, 1, 1, 5, 20},
    {ALL, "ok", "[[\"は\",0.7],[\"No\",0]]", "", 0.7, 0, 1, 1, 5, 20},
    {O, "few-logprobs", TOP, "Yes", 0.6, 0.25, 2, 1, 5, 5},
    /* What cannot be had is not asked for again. */
    {ALL, "silent-logprobs", TOP, "Yes, it is.", 0, 0, 2, 1, 0, 0},
    {GOOGLE, "no-logprobs", TOP, "Yes, it is.", 0, 0, 2, 1, 0, 0},
    {O, "no-logprobs", TOP, "Yes, it is.", 0, 0, 3, 1, 0, 0},
    {ALL, "unnamed-logprobs", TOP, "Yes, it is.", 0, 0, 2, 1, 0, 0},
    {ALL, "extra-logprobs", TOP, "Yes, it is.", 0, 0, 2, 1, 0, 0},
    {ALL, "ok", "[]", "Yes", 0, 0, 2, 1, 0, 0},
    /* Candidates of no use this time may be of some the next time. */
    {ALL, "ok", "[[\"<think>\",1]]", "**Yes**", 0, 0, 2, 2, 0, 0},
};

static void set_poll(const PollRow *row) {
  g_autofree char *json =
      g_strdup_printf("{\"on\":\"ask\",\"always\":\"%s\",\"top\":%s,\"text\":\"%s\"}", row->fault,
                      row->top, row->text);
  services_post("/fault", json);
}

static void check_poll(const Reply *reply, const PollRow *row, guint attempts) {
  g_assert_no_error(reply->error);
  g_assert_cmpstr(reply->text, ==, row->text);
  g_assert_cmpfloat_with_epsilon(reply->yes, row->yes, 1e-6);
  g_assert_cmpfloat_with_epsilon(reply->no, row->no, 1e-6);
  g_assert_cmpuint(reply->attempts, ==, attempts);
}

static void check_polls(const PollRow *row, const char *service) {
  g_test_message("%s: %s %s", service, row->fault, row->top);
  services_post("/reset", "{}");
  set_poll(row);
  g_autoptr(MnkBackend) backend = services_backend(service, NULL);
  MnkBackendQuestion question = question_of("Is there a dog?");
  question.yes_or_no = TRUE;
  g_auto(Reply) reply = {0};
  ask(backend, &question, &reply);
  check_poll(&reply, row, row->attempts);
  ask(backend, &question, &reply);
  check_poll(&reply, row, row->again);
  g_autoptr(MnkJson) log = services_get("/log");
  const MnkJsonValue *entry = services_last(log, "ask");
  gint64 wanted = g_str_equal(service, "openai") ? row->more : row->candidates;
  g_assert_cmpint(mnk_json_int(mnk_json_get(entry, "candidates"), -1), ==, wanted);
  g_assert_false(mnk_json_bool(mnk_json_get(entry, "streamed"), TRUE));
  services_check_counters(backend);
  /* Other questions are asked as ever. */
  question.yes_or_no = FALSE;
  services_post("/reset", "{}");
  ask(backend, &question, &reply);
  check_poll(&reply, &(PollRow){.text = ANSWER}, 1);
  g_autoptr(MnkJson) after = services_get("/log");
  entry = services_last(after, "ask");
  g_assert_cmpint(mnk_json_int(mnk_json_get(entry, "candidates"), -1), ==, 0);
  g_assert_true(mnk_json_bool(mnk_json_get(entry, "streamed"), FALSE));
}

static void test_polls(void) {
  for (guint i = 0; i < G_N_ELEMENTS(polls); i++)
    for (guint k = 0; k < G_N_ELEMENTS(all_services); k++)
      if (polls[i].services & (1u << k))
        check_polls(&polls[i], all_services[k]);
}

/* Three in a row are enough to give it up; a good one between them begins the count anew. */
static void test_vain_polls(void) {
  static const PollRow vain = {ALL, "ok", "[[\"Well\",1]]", "Yes", 0, 0, 2, 2, 0, 0};
  static const PollRow good = {ALL, "ok", TOP, "Yes", 0.6, 0.25, 1, 1, 5, 20};
  static const struct {
    const PollRow *row;
    guint attempts;
  } steps[] = {{&vain, 2}, {&vain, 2}, {&good, 1}, {&vain, 2}, {&vain, 2}, {&vain, 2}, {&vain, 1}};
  g_autoptr(MnkBackend) backend = services_backend("openai", NULL);
  MnkBackendQuestion question = question_of("Is there a dog?");
  question.yes_or_no = TRUE;
  g_auto(Reply) reply = {0};
  for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
    set_poll(steps[i].row);
    ask(backend, &question, &reply);
    check_poll(&reply, steps[i].row, steps[i].attempts);
  }
}

/* What a service withholds says nothing about the candidates. */
static void test_withheld_poll(void) {
  static const PollRow good = {ALL, "ok", TOP, "Yes", 0.6, 0.25, 1, 1, 5, 20};
  services_post("/reset", "{}");
  services_faults("ask", "safety");
  g_autoptr(MnkBackend) backend = services_backend("openai", NULL);
  MnkBackendQuestion question = question_of("Is there a dog?");
  question.yes_or_no = TRUE;
  g_auto(Reply) reply = {0};
  ask(backend, &question, &reply);
  g_assert_error(reply.error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  set_poll(&good);
  ask(backend, &question, &reply);
  check_poll(&reply, &good, 1);
}

static void test_hostile_candidates(void) {
  static const PollRow strange = {
      ALL, "ok", "[[\"Yes\",1],[\"yes\",1e300],[\"no\",1]]", "Yes", 1, 1, 1, 1, 5, 20};
  services_post("/reset", "{}");
  set_poll(&strange);
  g_autoptr(MnkBackend) backend = services_backend("gemini", NULL);
  MnkBackendQuestion question = question_of("Is there a dog?");
  question.yes_or_no = TRUE;
  g_auto(Reply) reply = {0};
  ask(backend, &question, &reply);
  check_poll(&reply, &strange, 1);
}

static void test_words(void) {
  static const struct {
    const char *text;
    double says;
  } words[] = {
      {"Yes.", 1}, {"**No**, there is not.", 0}, {"はい、います。", 1}, {"いいえ", 0}, {"いえ", 0},
      {"YES!", 1}, {"Yesterday", NAN},           {"not", NAN},          {"none", NAN}, {"", NAN},
      {"い", NAN}};
  for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
    double says = mnk_yes_or_no(words[i].text);
    g_assert_true(isnan(words[i].says) ? isnan(says) : says == words[i].says);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  services_start();
  g_test_add_func("/ask/faults", test_rows);
  g_test_add_func("/ask/counts", test_counts);
  g_test_add_func("/ask/cut", test_cut);
  g_test_add_func("/ask/forms", test_forms);
  g_test_add_func("/ask/prompt", test_prompt);
  g_test_add_func("/ask/prompt-bare", test_prompt_bare);
  g_test_add_func("/ask/too-large", test_too_large);
  g_test_add_func("/ask/before-batches", test_before_batches);
  g_test_add_func("/ask/deadline", test_deadline);
  g_test_add_func("/ask/breaker", test_breaker);
  g_test_add_func("/ask/from-within", test_from_within);
  g_test_add_func("/ask/cancel", test_cancel);
  g_test_add_func("/ask/polls", test_polls);
  g_test_add_func("/ask/polls-in-vain", test_vain_polls);
  g_test_add_func("/ask/polls-withheld", test_withheld_poll);
  g_test_add_func("/ask/polls-hostile", test_hostile_candidates);
  g_test_add_func("/ask/yes-or-no", test_words);
  int failed = g_test_run();
  services_stop();
  return failed;
}
