/* The question service: who answers, with what, and every way in which a question can end. */
#include "fakes.h"

#include <math.h>
#include <string.h>

static Place place;
static MnkAsker *asker;
static FakeBackend fake;
static MnkBackend *backend;

static void setup(const char *more) {
  g_autoptr(MnkSettings) settings = fakes_settings(more);
  place_open(&place);
  place_add_stream(&place, "yard");
  place_add_caption(&place, "yard", 1, 0, 9000, "A dog runs.", TRUE);
  place_add_caption(&place, "yard", 2, 10000, 19000, "A red car comes.", TRUE);
  place_add_caption(&place, "yard", 3, 20000, 29000, "The car leaves.", TRUE);
  place_add_stream(&place, "empty");
  mnk_store_flush(place.store, NULL);
  asker = mnk_asker_new(settings, place.store);
  backend = fake_backend_new(&fake, "gemini");
  fake_local_reset();
}

static void teardown(void) {
  MnkAskerCounters counters;
  mnk_asker_counters(asker, &counters);
  g_assert_cmpuint(counters.asked, ==,
                   counters.answered + counters.failed + counters.cancelled + counters.refused +
                       mnk_asker_waiting(asker));
  g_clear_pointer(&asker, mnk_asker_free);
  g_clear_pointer(&backend, mnk_backend_free);
  fakes_settle(place.store);
  place_close(&place);
  fake_local_reset();
}

static MnkAsk *start(const MnkAskRequest *request, Ended *ended) {
  g_autoptr(GError) error = NULL;
  ended_clear(ended);
  MnkAsk *ask = mnk_ask(asker, request, &ended_events, ended, &error);
  g_assert_no_error(error);
  g_assert_nonnull(ask);
  g_assert_false(ended->ended);
  return ask;
}

static void refuse(const MnkAskRequest *request, int code) {
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_ask(asker, request, &ended_events, NULL, &error));
  g_assert_error(error, MNK_ERROR, code);
}

/* ---- Without a model ---- */

static void check_timeline_beside(gboolean has_model, const char *stream, const char *question,
                                  const char *text, const char *intervals) {
  MnkAskRequest request = fakes_request(stream, question);
  request.has_model = has_model;
  g_auto(Ended) ended = {0};
  start(&request, &ended);
  fakes_wait(&ended.ended);
  g_assert_no_error(ended.error);
  g_assert_cmpstr(ended.answer->text, ==, text);
  g_assert_cmpstr(ended.pieces->str, ==, text);
  g_assert_cmpstr(ended.intervals, ==, intervals);
  g_assert_cmpstr(ended.answer->backend, ==, "timeline");
  g_assert_cmpstr(ended.answer->model, ==, "");
  g_assert_cmpstr(ended.answer->router, ==, "");
  g_assert_cmpstr(ended.answer->finish, ==, "stop");
}

static void check_timeline(const char *stream, const char *question, const char *text,
                           const char *intervals) {
  check_timeline_beside(FALSE, stream, question, text, intervals);
}

static void test_timeline_beside_a_model(void) {
  setup("");
  check_timeline_beside(TRUE, "yard", "When did the red car come?",
                        "No language model was asked. The timeline tells of this at 0:10-0:19, "
                        "0:20-0:29, for one: \"A red car comes.\" (0:10-0:19).",
                        "0:10-0:19, 0:20-0:29");
  check_timeline_beside(
      TRUE, "empty", "犬は？",
      "言語モデルには尋ねておらず、タイムラインにこの配信の記述はまだありません。", "");
  teardown();
}

static void test_timeline(void) {
  setup("");
  check_timeline("yard", "When did the red car come?",
                 "No language model is configured. The timeline tells of this at 0:10-0:19, "
                 "0:20-0:29, for one: \"A red car comes.\" (0:10-0:19).",
                 "0:10-0:19, 0:20-0:29");
  check_timeline("yard", "Is there a \"submarine\"?",
                 "No language model is configured, and the timeline has none of the question's "
                 "words. Its newest entry: \"The car leaves.\" (0:20-0:29).",
                 "0:20-0:29");
  check_timeline("empty", "Is there a dog?",
                 "No language model is configured, and the timeline has nothing about this stream "
                 "yet.",
                 "");
  check_timeline("yard", "dog はいますか？",
                 "言語モデルが設定されていません。タイムラインでは 0:00-0:09 "
                 "に該当する記述があります。例：「A dog runs.」（0:00-0:09）",
                 "0:00-0:09");
  check_timeline("empty", "犬は？",
                 "言語モデルが設定されておらず、タイムラインにこの配信の記述はまだありません。",
                 "");
  check_timeline(
      "yard", "潜水艦は？",
      "言語モデルが設定されておらず、タイムラインに質問の語は見つかりません。最新の記述："
      "「The car leaves.」（0:20-0:29）",
      "0:20-0:29");
  MnkAskerCounters counters;
  mnk_asker_counters(asker, &counters);
  g_assert_cmpuint(counters.timeline, ==, 6);
  teardown();
}

static void test_no_store(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(MnkAsker) alone = mnk_asker_new(settings, NULL);
  MnkAskRequest request = fakes_request("yard", "Is there a dog?");
  g_auto(Ended) ended = {0};
  g_assert_nonnull(mnk_ask(alone, &request, &ended_events, &ended, NULL));
  fakes_wait(&ended.ended);
  g_assert_no_error(ended.error);
  MnkAsk *ask = mnk_ask(alone, &request, &ended_events, &ended, NULL);
  mnk_ask_cancel(ask);
  g_assert_nonnull(mnk_ask(alone, &request, &ended_events, &ended, NULL)); /* freed with it */
}

/* ---- The local model ---- */

static MnkAskRequest local_request(const char *question) {
  MnkAskRequest request = fakes_request("yard", question);
  request.memory = FAKE_MEMORY;
  request.model = "tiny";
  return request;
}

static void test_local(void) {
  setup("topk=5,router=cross-attn,recent-frames=2,answer-tokens=77,max-visual-tokens=99,seed=7,"
        "gate-margin=0.5,temperature=0.75,history=always,question-timeout=30s");
  MnkAskRequest request = local_request("Where was the <|im_start|>\x1b[31mred car?\nSay.");
  request.system = "Be brief.";
  g_auto(Ended) ended = {0};
  start(&request, &ended);
  fakes_settle(place.store);
  const FakeLocalAsk *asked = fake_local(0);
  g_assert_cmpstr(asked->question, ==, "Where was the ‹|im_start¦>red car?\nSay.");
  g_assert_cmpstr(asked->lang, ==, "en");
  g_assert_cmpstr(asked->log, ==,
                  "Instructions for the answer: Be brief.\n"
                  "0:00-0:09 A dog runs.\n0:10-0:19 A red car comes.\n0:20-0:29 The car leaves.");
  g_assert_cmpuint(asked->asked.topk, ==, 5);
  g_assert_cmpint(asked->asked.router, ==, MNK_ROUTER_CROSS_ATTN);
  g_assert_cmpuint(asked->asked.recent, ==, 2);
  g_assert_cmpuint(asked->asked.tokens_max, ==, 77);
  g_assert_cmpuint(asked->asked.visual_max, ==, 99);
  g_assert_cmpuint(asked->asked.seed, ==, 7);
  g_assert_cmpint(asked->asked.history, ==, MNK_HISTORY_ALWAYS);
  g_assert_cmpfloat(asked->asked.margin, ==, 0.5);
  g_assert_cmpfloat(asked->asked.temperature, ==, 0.75);
  g_assert_cmpint(asked->asked.deadline_us, >, g_get_monotonic_time());
  g_assert_cmpint(asked->asked.deadline_us, <=, g_get_monotonic_time() + 30 * G_USEC_PER_SEC);
  fake_local_piece(0, "<think>hm</think>\nAt \x1b[");
  fake_local_piece(0, "1m0:1");
  fake_local_piece(0, "2.\n\n\xe7\x8a");
  fake_local_piece(0, "\xac");
  fake_local_answer(0, "At 0:12.");
  fakes_wait(&ended.ended);
  g_assert_no_error(ended.error);
  g_assert_cmpstr(ended.answer->text, ==, "At 0:12.\n犬");
  g_assert_cmpstr(ended.pieces->str, ==, "At 0:12.\n犬");
  g_assert_cmpstr(ended.answer->question, ==, "Where was the <|im_start|>red car?\nSay.");
  g_assert_cmpstr(ended.answer->backend, ==, "local");
  g_assert_cmpstr(ended.answer->model, ==, "tiny");
  g_assert_cmpstr(ended.answer->router, ==, "cross-attn");
  g_assert_cmpstr(ended.answer->finish, ==, "length");
  g_assert_true(ended.answer->history);
  g_assert_cmpuint(ended.answer->visual_tokens, ==, 64);
  g_assert_cmpfloat(ended.answer->prompt_ms, ==, 3);
  g_assert_cmpint(ended.answer->asked_ms, ==, 60000);
  g_assert_cmpuint(strlen(ended.answer->id), >, 20);
  teardown();
}

/* The routes' stretches get pictures and captions; the hits stand beside them. */
static void test_local_evidence(void) {
  setup("");
  MnkAskRequest request = local_request("Does the car leave?");
  g_auto(Ended) ended = {0};
  start(&request, &ended);
  fakes_settle(place.store);
  fake_local_answer(0, "There.");
  fakes_wait(&ended.ended);
  static const struct {
    gint64 start_ms;
    const char *why, *caption;
    gint64 picture_ms;
  } rows[] = {
      {4000, "chosen", "1", 4500}, {10000, "caption", "2", 14500}, {20000, "caption", "3", 24500}};
  g_assert_cmpuint(ended.answer->evidence->len, ==, G_N_ELEMENTS(rows));
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    const MnkAnswerEvidence *one = ended.answer->evidence->pdata[i];
    g_assert_cmpint(one->start_ms, ==, rows[i].start_ms);
    g_assert_cmpstr(one->why, ==, rows[i].why);
    g_assert_cmpstr(one->caption, ==, rows[i].caption);
    g_assert_cmpint(one->picture_ms, ==, rows[i].picture_ms);
  }
  g_assert_nonnull(strstr(ended.json, "\"picture\":\"/v1/streams/yard/frames/14500.jpg\""));
  teardown();
}

/* A worker that dies before it has said anything is asked once more, not twice. */
static void test_worker_dies(void) {
  setup("");
  MnkAskRequest request = local_request("Where is the car?");
  g_auto(Ended) ended = {0};
  start(&request, &ended);
  fakes_settle(place.store);
  fake_local_fail(0, MNK_ERROR_WORKER);
  g_assert_false(ended.ended);
  g_assert_cmpuint(fake_local_count(), ==, 2);
  fake_local_answer(1, "There.");
  fakes_wait(&ended.ended);
  g_assert_cmpstr(ended.answer->text, ==, "There.");

  start(&request, &ended);
  fakes_settle(place.store);
  fake_local_fail(2, MNK_ERROR_WORKER);
  fake_local_fail(3, MNK_ERROR_WORKER);
  g_assert_error(ended.error, MNK_ERROR, MNK_ERROR_WORKER);

  start(&request, &ended);
  fakes_settle(place.store);
  fake_local_piece(4, "The");
  fake_local_fail(4, MNK_ERROR_WORKER);
  g_assert_error(ended.error, MNK_ERROR, MNK_ERROR_WORKER);
  g_assert_cmpuint(fake_local_count(), ==, 5);
  teardown();
}

/* A local model that cannot be used leaves the question to a remote one, where there is one. */
static void test_other(void) {
  setup("");
  MnkAskRequest request = local_request("Where is the car?");
  request.backend = backend;
  g_auto(Ended) ended = {0};
  start(&request, &ended);
  fakes_settle(place.store);
  fake_local_fail(0, MNK_ERROR_MODEL);
  fakes_settle(place.store);
  g_assert_cmpuint(fake_backend(&fake, 0)->times->len, >, 0);
  fake_backend_answer(&fake, 0, "There.");
  fakes_wait(&ended.ended);
  g_assert_no_error(ended.error);
  g_assert_cmpstr(ended.answer->backend, ==, "gemini");
  /* Not when the question is at fault. */
  start(&request, &ended);
  fakes_settle(place.store);
  fake_local_fail(1, MNK_ERROR_LIMIT);
  g_assert_error(ended.error, MNK_ERROR, MNK_ERROR_LIMIT);
  teardown();
}

static void test_local_faults(void) {
  setup("");
  MnkAskRequest request = local_request("Where is the car?");
  g_auto(Ended) ended = {0};
  start(&request, &ended);
  fakes_settle(place.store);
  fake_local_answer(0, " \n\x1b[2J");
  g_assert_error(ended.error, MNK_ERROR, MNK_ERROR_MODEL);
  /* What is wrong with an answer is no fault of the asker. */
  start(&request, &ended);
  fakes_settle(place.store);
  fake_local_fail(1, MNK_ERROR_BAD_INPUT);
  g_assert_error(ended.error, MNK_ERROR, MNK_ERROR_SOURCE);
  teardown();
}

/* ---- A remote model ---- */

static MnkAskRequest remote_request(const char *question) {
  MnkAskRequest request = fakes_request("yard", question);
  request.backend = backend;
  return request;
}

static void test_remote(void) {
  setup("");
  MnkAskRequest request = remote_request("Where was the red car?");
  request.system = "Be <|im_end|>brief.";
  g_auto(Ended) ended = {0};
  start(&request, &ended);
  fakes_settle(place.store);
  const FakeBackendAsk *asked = fake_backend(&fake, 0);
  g_assert_cmpstr(asked->question, ==, "Where was the red car?");
  g_assert_cmpstr(asked->system, ==, "Be ‹|im_end¦>brief.");
  g_assert_nonnull(strstr(asked->log, "0:10-0:19 A red car comes."));
  g_assert_cmpint(asked->asked.now_ms, ==, 60000);
  g_assert_cmpuint(asked->asked.tokens_max, ==, 0); /* the backend's */
  g_assert_cmpuint(asked->times->len, ==, 3);       /* all that there are, by time */
  g_assert_cmpint(g_array_index(asked->times, gint64, 0), ==, 4500);
  fake_backend_piece(&fake, 0, "At 0:12");
  fake_backend_piece(&fake, 0, ".");
  fake_backend_answer(&fake, 0, "At 0:12.");
  fakes_wait(&ended.ended);
  g_assert_no_error(ended.error);
  g_assert_cmpstr(ended.answer->text, ==, "At 0:12.");
  g_assert_cmpuint(ended.n_pieces, ==, 2);
  g_assert_cmpstr(ended.answer->backend, ==, "gemini");
  g_assert_cmpstr(ended.answer->model, ==, "fake-model-001");
  g_assert_cmpuint(ended.answer->prompt_tokens, ==, 1000);
  g_assert_cmpfloat(ended.answer->first_ms, ==, 7);
  g_assert_cmpuint(ended.answer->evidence->len, ==, 3);
  const MnkAnswerEvidence *hit = ended.answer->evidence->pdata[1];
  g_assert_cmpstr(hit->why, ==, "caption");
  g_assert_cmpint(hit->picture_ms, ==, 14500);
  g_assert_cmpfloat(hit->score, >, 0);

  g_autoptr(MnkSettings) bounded = fakes_settings("answer-tokens=50,lang=ja");
  request.settings = bounded;
  request.over = TRUE;
  start(&request, &ended);
  fakes_settle(place.store);
  g_assert_cmpuint(fake_backend(&fake, 1)->asked.tokens_max, ==, 50);
  g_assert_cmpint(fake_backend(&fake, 1)->asked.now_ms, ==, -1);
  fake_backend_fail(&fake, 1, MNK_ERROR_BAD_INPUT);
  g_assert_error(ended.error, MNK_ERROR, MNK_ERROR_SOURCE);
  teardown();
}

/* The local model as a backend, without a memory of the stream, is none. */
static void test_backend_local(void) {
  setup("");
  FakeBackend own = {0};
  g_autoptr(MnkBackend) local = fake_backend_new(&own, "local");
  MnkAskRequest request = fakes_request("yard", "Where is the car?");
  request.backend = local;
  g_auto(Ended) ended = {0};
  start(&request, &ended);
  fakes_wait(&ended.ended);
  g_assert_cmpstr(ended.answer->backend, ==, "timeline");
  g_assert_cmpuint(own.asks->len, ==, 0);
  teardown();
}

/* A timeline that cannot be read: a model is asked all the same, a search fails. */
static void test_store_fails(void) {
  setup("");
  MnkAskRequest request = local_request("Where is the car?");
  MnkAskRequest bare = fakes_request("yard", "Where is the car?");
  g_auto(Ended) ended = {0}, search = {0};
  start(&request, &ended);
  start(&bare, &search);
  g_clear_pointer(&place.store, mnk_store_close); /* jobs that wait are told that it is closed */
  while (!search.ended)
    g_main_context_iteration(NULL, TRUE);
  asker->store = NULL;
  if (search.error) /* it may have been read just before */
    g_assert_error(search.error, MNK_ERROR, MNK_ERROR_CANCELLED);
  g_assert_cmpuint(fake_local_count(), ==, 1);
  fake_local_answer(0, "There.");
  fakes_wait(&ended.ended);
  g_assert_no_error(ended.error);
  teardown();
}

/* ---- Conversations ---- */

static void answer_next(const MnkAskRequest *request, const char *text, Ended *ended) {
  guint n = fake_local_count();
  start(request, ended);
  fakes_settle(place.store);
  fake_local_answer(n, text);
  fakes_wait(&ended->ended);
  g_assert_no_error(ended->error);
}

static void test_conversation(void) {
  setup("conversation-turns=2");
  MnkAskRequest request = local_request("What is there?");
  request.owner = "ann";
  g_auto(Ended) ended = {0};
  answer_next(&request, "A dog.", &ended);
  g_autofree char *talk = g_strdup(ended.answer->conversation);
  g_assert_true(g_str_has_prefix(talk, "c-"));
  request.conversation = talk;
  request.question = "Where?";
  answer_next(&request, "In the yard.", &ended);
  g_assert_cmpstr(ended.answer->conversation, ==, talk);
  const GPtrArray *turns = fake_local(1)->turns;
  g_assert_cmpuint(turns->len, ==, 2);
  g_assert_cmpstr(turns->pdata[0], ==, "What is there?");
  g_assert_cmpstr(turns->pdata[1], ==, "A dog.");
  answer_next(&request, "In the yard.", &ended);
  answer_next(&request, "In the yard.", &ended);
  g_assert_cmpuint(fake_local(3)->turns->len, ==, 4);
  g_assert_cmpstr(fake_local(3)->turns->pdata[0], ==, "Where?");
  /* Another's, another stream's, or none. */
  request.owner = "bob";
  refuse(&request, MNK_ERROR_NOT_FOUND);
  request.owner = "ann";
  request.stream = "empty";
  refuse(&request, MNK_ERROR_NOT_FOUND);
  request.stream = "yard";
  request.conversation = "c-guessed";
  refuse(&request, MNK_ERROR_NOT_FOUND);
  /* A question that failed is no turn. */
  request.conversation = talk;
  start(&request, &ended);
  fakes_settle(place.store);
  fake_local_fail(4, MNK_ERROR_LIMIT);
  answer_next(&request, "Yes.", &ended);
  g_assert_cmpuint(fake_local(5)->turns->len, ==, 4);
  teardown();
}

static void test_brought_turns(void) {
  setup("conversation-turns=2");
  const MnkTurnOfTalk turns[] = {{(char *)"one", (char *)"1"},
                                 {(char *)"two <|im_start|>", (char *)"2"},
                                 {(char *)"three", (char *)"3\x1b[31m"}};
  MnkAskRequest request = local_request("And?");
  request.turns = turns;
  request.n_turns = G_N_ELEMENTS(turns);
  g_auto(Ended) ended = {0};
  answer_next(&request, "Yes.", &ended);
  g_assert_null(ended.answer->conversation);
  const GPtrArray *told = fake_local(0)->turns;
  g_assert_cmpuint(told->len, ==, 4);
  g_assert_cmpstr(told->pdata[0], ==, "two ‹|im_start¦>");
  g_assert_cmpstr(told->pdata[3], ==, "3");
  g_assert_cmpuint(mnk_talks_count(asker->talks), ==, 0);
  teardown();
}

/* ---- Limits ---- */

static void test_refused(void) {
  setup("question-max=64,questions-waiting=2");
  g_autofree char *long_text = g_strnfill(65, 'w');
  static const char *const bad[] = {"", "  \n", "\x1b[31m", "\xff\xfe", "caf\xe9"};
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    MnkAskRequest request = local_request(bad[i]);
    refuse(&request, MNK_ERROR_BAD_INPUT);
  }
  MnkAskRequest request = local_request(long_text);
  refuse(&request, MNK_ERROR_LIMIT);
  long_text[64] = '\0';
  g_auto(Ended) first = {0}, second = {0};
  start(&request, &first);
  MnkAsk *ask = start(&request, &second);
  g_assert_cmpuint(mnk_asker_waiting(asker), ==, 2);
  refuse(&request, MNK_ERROR_LIMIT);
  mnk_ask_cancel(ask);
  g_assert_cmpuint(mnk_asker_waiting(asker), ==, 1);
  g_auto(Ended) third = {0};
  start(&request, &third);
  MnkAskerCounters counters;
  mnk_asker_counters(asker, &counters);
  g_assert_cmpuint(counters.refused, ==, G_N_ELEMENTS(bad) + 2);
  g_assert_cmpuint(counters.cancelled, ==, 1);
  teardown();
}

/* Options of the service may change while it runs. */
static void test_set(void) {
  setup("");
  g_autoptr(MnkSettings) settings = fakes_settings("questions-waiting=1");
  mnk_asker_set(asker, settings);
  MnkAskRequest request = local_request("Where?");
  g_auto(Ended) ended = {0};
  start(&request, &ended);
  refuse(&request, MNK_ERROR_LIMIT);
  teardown();
}

static void test_deadline(void) {
  setup("question-timeout=1s");
  MnkAskRequest request = local_request("Where is the car?");
  g_auto(Ended) ended = {0};
  start(&request, &ended);
  fakes_settle(place.store);
  fakes_wait(&ended.ended); /* it says nothing */
  g_assert_error(ended.error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_nonnull(strstr(ended.error->message, "within the 1 s"));
  g_assert_true(fake_local(0)->cancelled);
  teardown();
}

/* ---- Called off ---- */

static void test_cancel(void) {
  setup("");
  MnkAskRequest requests[] = {fakes_request("yard", "Where is the car?"),
                              local_request("Where is the car?"),
                              remote_request("Where is the car?")};
  for (guint i = 0; i < G_N_ELEMENTS(requests); i++) {
    g_auto(Ended) ended = {0};
    mnk_ask_cancel(start(&requests[i], &ended)); /* while the store is asked */
    fakes_settle(place.store);
    g_assert_false(ended.ended);
    MnkAsk *ask = start(&requests[i], &ended);
    if (i == 0) { /* it answers by itself */
      mnk_ask_cancel(ask);
      continue;
    }
    fakes_settle(place.store);
    mnk_ask_cancel(ask);
    g_assert_true(i == 1 ? fake_local(0)->cancelled : fake_backend(&fake, 0)->cancelled);
    fakes_settle(place.store);
    g_assert_false(ended.ended);
  }
  g_auto(Ended) joining = {0};
  MnkAsk *ask = start(&requests[1], &joining);
  fakes_settle(place.store);
  fake_local_answer(1, "There.");
  mnk_ask_cancel(ask); /* while its evidence is joined */
  fakes_settle(place.store);
  g_assert_false(joining.ended);
  teardown();
}

typedef struct {
  MnkAsk *ask;
  gboolean frees_asker, on_piece, ended;
  guint pieces;
} Within;

static void end_within(Within *within) {
  if (within->frees_asker)
    g_clear_pointer(&asker, mnk_asker_free);
  else if (within->on_piece)
    mnk_ask_cancel(within->ask);
}

static void within_piece(const char *text, gpointer user) {
  Within *within = user;
  within->pieces++;
  if (within->on_piece)
    end_within(within);
}

static void within_done(const MnkAnswer *answer, const GError *error, gpointer user) {
  Within *within = user;
  within->ended = TRUE;
  if (!within->on_piece)
    end_within(within);
}

/* From within a piece or the end a question is called off, or the whole service freed. */
static void test_from_within(void) {
  static const MnkAskEvents events = {within_piece, within_done};
  for (guint i = 0; i < 12; i++) {
    setup("");
    Within within = {.frees_asker = i % 2 == 1, .on_piece = i / 2 % 2 == 1};
    MnkAskRequest requests[] = {fakes_request("yard", "Where is the car?"),
                                local_request("Where is the car?"),
                                remote_request("Where is the car?")};
    g_auto(Ended) other = {0};
    start(&requests[1], &other); /* goes down with the service, without a word */
    within.ask = mnk_ask(asker, &requests[i / 4], &events, &within, NULL);
    fakes_settle(place.store);
    if (i / 4 == 1) {
      if (within.on_piece)
        fake_local_piece(1, "There.");
      else
        fake_local_answer(1, "There.");
    } else if (i / 4 == 2) {
      if (within.on_piece)
        fake_backend_piece(&fake, 0, "There.");
      else
        fake_backend_answer(&fake, 0, "There.");
    }
    fakes_settle(place.store);
    g_assert_cmpuint(within.pieces, ==, 1);
    g_assert_true(within.ended == !within.on_piece);
    g_assert_false(other.ended);
    if (!asker) {
      g_autoptr(MnkSettings) settings = mnk_settings_new();
      asker = mnk_asker_new(settings, place.store);
    }
    teardown();
  }
}

/* The stream's memory goes while it is asked about. */
static void test_forget(void) {
  setup("");
  MnkAskRequest request = local_request("Where is the car?");
  MnkAskRequest plain = fakes_request("yard", "Where is the car?");
  g_auto(Ended) gathering = {0}, asking = {0}, other = {0};
  start(&request, &asking);
  fakes_settle(place.store);
  start(&request, &gathering);
  start(&plain, &other);
  mnk_asker_forget(asker, "street");
  g_assert_false(fake_local(0)->cancelled);
  mnk_asker_forget(asker, "yard");
  mnk_asker_forget(asker, "yard");
  g_assert_true(fake_local(0)->cancelled);
  g_assert_false(asking.ended); /* later */
  fakes_settle(place.store);
  g_assert_error(asking.error, MNK_ERROR, MNK_ERROR_NOT_FOUND);
  g_assert_error(gathering.error, MNK_ERROR, MNK_ERROR_NOT_FOUND);
  g_assert_cmpuint(fake_local_count(), ==, 1);
  g_assert_no_error(other.error);
  g_assert_true(other.ended);
  teardown();
}

static void test_metrics(void) {
  mnk_metrics_reset();
  setup("");
  g_auto(Ended) ended = {0};
  MnkAskRequest request = local_request("Where is the car?");
  answer_next(&request, "There.", &ended);
  MnkAskRequest plain = fakes_request("yard", "Where is the car?");
  start(&plain, &ended);
  fakes_wait(&ended.ended);
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_metrics_write(text);
  static const char *const lines[] = {
      "manako_questions_total{backend=\"local\",outcome=\"answered\"} 1\n",
      "manako_questions_total{backend=\"timeline\",outcome=\"answered\"} 1\n",
      "manako_question_ms_count{backend=\"local\",stage=\"route\"} 1\n",
      "manako_question_ms_count{backend=\"local\",stage=\"first\"} 1\n",
      "manako_question_ms_count{backend=\"timeline\",stage=\"log\"} 1\n",
      "manako_question_tokens_total{backend=\"local\",kind=\"visual\"} 64\n",
      "manako_question_tokens_total{backend=\"local\",kind=\"answer\"} 5\n",
  };
  for (guint i = 0; i < G_N_ELEMENTS(lines); i++)
    if (!strstr(text->str, lines[i]))
      g_error("no line %sin %s", lines[i], text->str);
  teardown();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/asker/timeline", test_timeline);
  g_test_add_func("/asker/timeline-beside-a-model", test_timeline_beside_a_model);
  g_test_add_func("/asker/no-store", test_no_store);
  g_test_add_func("/asker/local", test_local);
  g_test_add_func("/asker/local-evidence", test_local_evidence);
  g_test_add_func("/asker/worker-dies", test_worker_dies);
  g_test_add_func("/asker/other", test_other);
  g_test_add_func("/asker/local-faults", test_local_faults);
  g_test_add_func("/asker/remote", test_remote);
  g_test_add_func("/asker/backend-local", test_backend_local);
  g_test_add_func("/asker/store-fails", test_store_fails);
  g_test_add_func("/asker/conversation", test_conversation);
  g_test_add_func("/asker/brought-turns", test_brought_turns);
  g_test_add_func("/asker/refused", test_refused);
  g_test_add_func("/asker/set", test_set);
  g_test_add_func("/asker/deadline", test_deadline);
  g_test_add_func("/asker/cancel", test_cancel);
  g_test_add_func("/asker/from-within", test_from_within);
  g_test_add_func("/asker/forget", test_forget);
  g_test_add_func("/asker/metrics", test_metrics);
  return g_test_run();
}
