/* What needs no model: messages, grammars, which files are meant, which frame goes first. */
#include "local/client_priv.h"
#include "local/worker_priv.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>

static MnkJson *parse(const GString *text) {
  g_autoptr(GError) error = NULL;
  MnkJson *json = mnk_json_parse(text->str, text->len, NULL, &error);
  g_assert_no_error(error);
  return json;
}

/* ---- Messages ---- */

static void test_call(void) {
  g_autoptr(GString) text = g_string_new(NULL), again = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  MnkModelCall call, read;
  mnk_model_call_init(&call);
  call.number = 7;
  call.question = g_strdup("what \"is\" </script> this?");
  call.log = g_strdup("0:01 a\n");
  call.lang = g_strdup("ja");
  call.router = MNK_ROUTER_CROSS_ATTN;
  call.margin = 0.02F;
  call.seed = 4294967295U;
  call.deadline_us = G_MAXINT64;
  mnk_model_call_add_turn(&call, "a", "b");
  MnkModelPlace place = {3, -5};
  g_array_append_val(call.frames, place);
  mnk_model_call_write(&call, text);
  g_autoptr(MnkJson) json = parse(text);
  g_assert_true(mnk_model_call_read(mnk_json_root(json), &read, &error));
  g_assert_no_error(error);
  g_assert_cmpstr(read.question, ==, call.question);
  g_assert_true(memcmp(&read.margin, &call.margin, sizeof read.margin) == 0);
  mnk_model_call_write(&read, again);
  g_assert_cmpstr(again->str, ==, text->str);
  mnk_model_call_clear(&read);
  mnk_model_call_clear(&call);
}

static void test_answer(void) {
  g_autoptr(GString) text = g_string_new(NULL), again = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  MnkModelAnswer answer, read;
  mnk_model_answer_init(&answer);
  answer.number = 9;
  answer.answer.text = g_strdup("red");
  answer.answer.finish = g_strdup("stop");
  answer.answer.router = MNK_ROUTER_RECENT;
  answer.answer.first_ms = 12.5;
  MnkEvidence evidence[] = {{0, 1000, NAN, "recent", 16}, {-4, 2000, 0.25F, "neighbour", 4}};
  g_array_append_vals(answer.answer.evidence, evidence, 2);
  mnk_model_answer_write(&answer, text);
  g_autoptr(MnkJson) json = parse(text);
  g_assert_true(mnk_model_answer_read(mnk_json_root(json), &read, &error));
  g_assert_cmpuint(read.answer.evidence->len, ==, 2);
  g_assert_true(isnan(read.probability));
  g_assert_true(isnan(g_array_index(read.answer.evidence, MnkEvidence, 0).score));
  g_assert_cmpstr(g_array_index(read.answer.evidence, MnkEvidence, 1).why, ==, "neighbour");
  mnk_model_answer_write(&read, again);
  g_assert_cmpstr(again->str, ==, text->str);
  mnk_model_answer_clear(&read);

  g_string_truncate(text, 0);
  answer.error = g_error_new(MNK_ERROR, MNK_ERROR_LIMIT, "too long");
  mnk_model_answer_write(&answer, text);
  g_autoptr(MnkJson) failed = parse(text);
  g_assert_true(mnk_model_answer_read(mnk_json_root(failed), &read, &error));
  g_assert_error(read.error, MNK_ERROR, MNK_ERROR_LIMIT);
  mnk_model_answer_clear(&read);
  mnk_model_answer_clear(&answer);
}

/* A worker that was taken over says anything: it is an error, and nothing leaks. */
static void test_hostile_messages(void) {
  static const char *const HOSTILE[] = {"[]",
                                        "{}",
                                        "{\"number\":-1}",
                                        "{\"number\":1,\"error\":3}",
                                        "{\"number\":1}",
                                        "{\"number\":1,\"order\":1,\"ms\":1,\"encoded\":[1,2,3]}",
                                        "{\"number\":99999999999,\"text\":\"\"}",
                                        "{\"number\":1,\"text\":null}"};
  for (guint i = 0; i < G_N_ELEMENTS(HOSTILE); i++) {
    g_autoptr(MnkJson) json = mnk_json_parse(HOSTILE[i], strlen(HOSTILE[i]), NULL, NULL);
    const MnkJsonValue *root = mnk_json_root(json);
    const char *text;
    guint number;
    MnkModelAnswer answer;
    MnkModelClipped clipped;
    MnkModelSaved saved;
    MnkModelReady ready;
    MnkModelCall call;
    MnkModelHello hello;
    MnkModelStream stream;
    MnkLocalCounters counters;
    g_assert_false(mnk_model_answer_read(root, &answer, NULL));
    g_assert_false(mnk_model_clipped_read(root, &clipped, NULL));
    g_assert_false(mnk_model_saved_read(root, &saved, NULL));
    g_assert_false(mnk_model_ready_read(root, &ready, NULL));
    g_assert_false(mnk_model_call_read(root, &call, NULL));
    g_assert_false(mnk_model_hello_read(root, &hello, NULL));
    g_assert_false(mnk_model_stream_read(root, &stream, NULL));
    g_assert_false(mnk_model_counters_read(root, &counters, NULL));
    g_assert_false(mnk_model_piece_read(root, &number, &text, NULL));
  }
}

/* ---- Captions ---- */

static void test_mend(void) {
  static const struct {
    const char *json, *mended;
  } CASES[] = {
      {"{\"events\":[{\"start_frame\":0,\"end_frame\":1,\"text\":\"a\",\"confidence\":1},{\"sta",
       "{\"events\":[{\"start_frame\":0,\"end_frame\":1,\"text\":\"a\",\"confidence\":1}]}"},
      {"{\"events\":[{\"start_frame\":0,\"end_frame\":1,\"text\":\"a } b\",\"confidence\":0.5}",
       "{\"events\":[{\"start_frame\":0,\"end_frame\":1,\"text\":\"a } b\",\"confidence\":0.5}]}"},
      {"{\"events\":[{\"start_frame\":0,\"end_frame\":1,\"text\":\"a } b\",\"confid", NULL},
      {"{\"events\":[{\"start_frame\":0,\"confidence\":0.", NULL},
      {"", NULL},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autofree char *mended = mnk_caption_mend(CASES[i].json);
    g_assert_cmpstr(mended, ==, CASES[i].mended);
  }
}

static void test_order(void) {
  static const struct {
    const char *json, *ordered;
  } CASES[] = {
      {"{\"start_frame\":120,\"end_frame\":5,\"text\":\"a\"}",
       "{\"start_frame\":5,\"end_frame\":120,\"text\":\"a\"}"},
      {"[{\"start_frame\":0,\"end_frame\":0},{\"start_frame\":2,\"end_frame\":1}]",
       "[{\"start_frame\":0,\"end_frame\":0},{\"start_frame\":1,\"end_frame\":2}]"},
      {"{\"start_frame\":7}", "{\"start_frame\":7}"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autofree char *json = g_strdup(CASES[i].json);
    mnk_caption_order(json);
    g_assert_cmpstr(json, ==, CASES[i].ordered);
  }
}

/* The grammar's rule as a regular expression: alternatives of digits and classes. */
static GRegex *rule_regex(const char *grammar, const char *name) {
  g_autofree char *start = g_strdup_printf("\n%s ::= ", name);
  const char *at = strstr(grammar, start);
  g_assert_nonnull(at);
  at += strlen(start);
  g_autofree char *rule = g_strndup(at, (gsize)(strchr(at, '\n') - at));
  g_auto(GStrv) parts = g_strsplit(rule, "\"", -1), words = NULL;
  g_autofree char *bare = g_strjoinv("", parts);
  words = g_strsplit(bare, " ", -1);
  g_autofree char *joined = g_strjoinv("", words);
  g_autofree char *pattern = g_strdup_printf("^(?:%s)$", joined);
  return g_regex_new(pattern, 0, 0, NULL);
}

static void test_frame_numbers(void) {
  static const guint COUNTS[] = {97, 100, 101, 110, 111, 200, 999, 1000, 1001, 4096, 65536};
  for (guint i = 0; i < G_N_ELEMENTS(COUNTS); i++) {
    g_autofree char *grammar = mnk_caption_grammar(COUNTS[i]);
    g_autoptr(GRegex) regex = rule_regex(grammar, "frame");
    g_assert_nonnull(regex);
    for (guint n = 0; n < COUNTS[i] + 300; n++) {
      char text[16];
      g_snprintf(text, sizeof text, "%u", n);
      g_assert_cmpint(g_regex_match(regex, text, 0, NULL), ==, n < COUNTS[i]);
    }
    g_assert_false(g_regex_match(regex, "01", 0, NULL));
  }
}

/* ---- Questions ---- */

static void test_content(void) {
  static const struct {
    const char *question, *content;
  } CASES[] = {
      {"When did the dog jump over the red fence?", " dog jump red fence"},
      {"What is it?", " What is it"},
      {"Was the scene red before?", " Was the scene red before"},
      {"\"Quoted,\" dog's words (here)!", " Quoted dog's words"},
      {"いつ犬が跳びましたか？", " いつ犬が跳びましたか"},
      {"", ""},
      {"???", ""},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autofree char *content = mnk_question_content(CASES[i].question);
    g_assert_cmpstr(content, ==, CASES[i].content);
  }
}

/* ---- Frames ---- */

static void test_least(void) {
  MnkWaiting frames[] = {{.pts_ms = 0, .importance = 0.2F, .cut = TRUE},
                         {.pts_ms = 1, .importance = 0.5F},
                         {.pts_ms = 2, .importance = 0.2F},
                         {.pts_ms = 3, .importance = 0.2F},
                         {.pts_ms = 4, .importance = 0.9F}};
  static const gint64 EXPECTED[] = {2, 3, 1, 4, 0};
  GQueue queue = G_QUEUE_INIT;
  g_assert_null(mnk_tower_least(&queue));
  for (guint i = 0; i < G_N_ELEMENTS(frames); i++)
    g_queue_push_tail(&queue, &frames[i]);
  for (guint i = 0; i < G_N_ELEMENTS(EXPECTED); i++) {
    GList *least = mnk_tower_least(&queue);
    g_assert_cmpint(((MnkWaiting *)least->data)->pts_ms, ==, EXPECTED[i]);
    g_queue_delete_link(&queue, least);
  }
}

/* ---- Rest ---- */

/* The server's half without a worker: what that would be sent is read here. */
typedef struct {
  MnkLocal *local;
  MnkLocalStream *stream;
  MnkChannel *here, *worker;
} Half;

static void half_make(Half *half) {
  int fds[2];
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GError) error = NULL;
  g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  half->here = mnk_channel_new(fds[0]);
  half->worker = mnk_channel_new(fds[1]);
  g_assert_true(mnk_settings_set(settings, MNK_OPT_VISION_BUDGET, "0.01", NULL));
  g_assert_true(mnk_settings_set(settings, MNK_OPT_CLIP_LEN, "4", NULL));
  MnkLocal *local = half->local = mnk_local_make(settings);
  local->state = MNK_LOCAL_READY;
  mnk_sender_connect(local->sender, half->here);
  half->stream = mnk_local_open(local, "one", local->settings, NULL, &error);
  g_assert_no_error(error);
}

static void half_clear(Half *half) {
  mnk_local_close(half->stream);
  mnk_local_free(half->local);
  mnk_channel_free(half->here);
  mnk_channel_free(half->worker);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Half, half_clear)

/* How many clips the worker has been sent since. */
static guint clips_sent(Half *half) {
  guint n = 0;
  for (;;) {
    g_autoptr(MnkMessage) message = mnk_channel_receive(half->worker, 0, NULL);
    if (message == NULL)
      return n;
    n += message->type == MNK_MSG_CLIP;
  }
}

/* A clip that took an hour: the tower's rest outlasts any test. */
static void end_clip(Half *half, guint number) {
  gboolean yes[] = {TRUE, TRUE, TRUE, TRUE};
  MnkModelClipped clipped = {.number = number, .order = number, .ms = 3600e3};
  clipped.encoded = g_array_new(FALSE, FALSE, sizeof(gboolean));
  g_array_append_vals(clipped.encoded, yes, G_N_ELEMENTS(yes));
  mnk_tower_clipped(half->local->tower, half->stream, &clipped);
  g_array_unref(clipped.encoded);
}

static void on_idle(gpointer user) {
}

static void on_saved(GBytes *snapshot, const GError *error, gpointer user) {
}

/* Whoever waits for the frames does not wait for the rest, unless somebody asks; a snapshot is no
 * question. */
static void test_rest(void) {
  g_auto(Half) half = {0};
  g_autoptr(GBytes) jpeg = g_bytes_new_static("x", 1);
  half_make(&half);
  for (guint i = 0; i < 12; i++)
    mnk_local_frame(half.stream, jpeg, i * 1000, 1, FALSE);
  g_assert_cmpuint(clips_sent(&half), ==, 1);
  end_clip(&half, 1);
  g_assert_cmpuint(clips_sent(&half), ==, 0);

  const MnkLocalQuestion question = {.question = "?", .log = "", .lang = "en"};
  MnkLocalAsk *ask = mnk_local_ask(half.stream, &question, &(MnkLocalEvents){0}, NULL);
  mnk_local_save(half.stream, on_saved, NULL);
  mnk_local_when_idle(half.stream, on_idle, NULL);
  g_assert_cmpuint(clips_sent(&half), ==, 0);
  mnk_local_cancel(ask);
  g_assert_cmpuint(clips_sent(&half), ==, 2);
}

/* ---- Files ---- */

static char *make(const char *folder, const char *name) {
  char *path = g_build_filename(folder, name, NULL);
  g_assert_true(g_file_set_contents(path, "GGUF", 4, NULL));
  return path;
}

static void assert_found(const char *path, const char *mmproj, const char *model,
                         const char *projector) {
  g_autofree char *found = NULL, *other = NULL;
  g_autoptr(GError) error = NULL;
  g_assert_true(mnk_local_find(path, mmproj, &found, &other, &error));
  g_assert_cmpstr(found, ==, model);
  g_assert_cmpstr(other, ==, projector);
}

static void assert_not_found(const char *path, MnkErrorCode code) {
  char *found = NULL, *other = NULL;
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_local_find(path, NULL, &found, &other, &error));
  g_assert_error(error, MNK_ERROR, (int)code);
  g_test_message("%s", error->message);
}

static void test_find(void) {
  g_autofree char *folder = g_dir_make_tmp("manako-local-XXXXXX", NULL);
  assert_not_found("/nowhere/model.gguf", MNK_ERROR_NOT_FOUND);
  assert_not_found(folder, MNK_ERROR_NOT_FOUND);
  g_autofree char *note = make(folder, "README.md");
  g_autofree char *small = make(folder, "Small-256M-Q8_0.gguf");
  assert_not_found(folder, MNK_ERROR_NOT_FOUND);
  assert_not_found(small, MNK_ERROR_NOT_FOUND);
  g_autofree char *small_eye = make(folder, "mmproj-Small-256M-f16.gguf");
  assert_found(folder, NULL, small, small_eye);
  assert_found(small, NULL, small, small_eye);
  assert_found(small, "elsewhere.gguf", small, "elsewhere.gguf");
  g_autofree char *large = make(folder, "Large-7B-00001-of-00002.gguf");
  g_autofree char *part = make(folder, "Large-7B-00002-of-00002.gguf");
  assert_not_found(folder, MNK_ERROR_CONFIG);
  g_autofree char *large_eye = make(folder, "Large-7B-mmproj.gguf");
  assert_found(small, NULL, small, small_eye);
  assert_found(large, NULL, large, large_eye);
  g_unlink(small);
  assert_found(folder, NULL, large, large_eye);
  g_autofree char *other_eye = make(folder, "Large-7B-mmproj-2.gguf"),
                  *odd = make(folder, "odd.gguf");
  assert_not_found(odd, MNK_ERROR_CONFIG);
  const char *const all[] = {note, small_eye, large, part, large_eye, other_eye, odd};
  for (guint i = 0; i < G_N_ELEMENTS(all); i++)
    g_unlink(all[i]);
  g_rmdir(folder);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/local/messages/call", test_call);
  g_test_add_func("/local/messages/answer", test_answer);
  g_test_add_func("/local/messages/hostile", test_hostile_messages);
  g_test_add_func("/local/caption/mend", test_mend);
  g_test_add_func("/local/caption/order", test_order);
  g_test_add_func("/local/caption/frame numbers", test_frame_numbers);
  g_test_add_func("/local/question/content", test_content);
  g_test_add_func("/local/tower/least", test_least);
  g_test_add_func("/local/tower/rest", test_rest);
  g_test_add_func("/local/find", test_find);
  return g_test_run();
}
