/* The parts under the backends that need no service: waits, faults, breaker, secrets, names, tokens
 * and answers as text. */
#include "language/service_priv.h"

#include <math.h>
#include <string.h>

/* ---- Waits and faults ---- */

static void test_retry_after(void) {
  const gint64 now_us = G_GINT64_CONSTANT(784111777000000); /* Sun, 06 Nov 1994 08:49:37 GMT */
  const struct {
    const char *text;
    gint64 expected_ms;
  } table[] = {
      {NULL, -1},
      {"", -1},
      {"0", 0},
      {"7", 7000},
      {"99999999", 86400000},
      {"-1", -1},
      {"1.5", -1},
      {"soon", -1},
      {"Sun, 06 Nov 1994 08:49:47 GMT", 10000},
      {"Sun, 06 Nov 1994 08:49:27 GMT", 0},
      {"Sun, 06 Nov 2094 08:49:37 GMT", 86400000},
      {"Sun, 06 Foo 1994 08:49:47 GMT", -1},
      {"Sun, 36 Nov 1994 08:49:47 GMT", -1},
  };
  for (guint i = 0; i < G_N_ELEMENTS(table); i++)
    g_assert_cmpint(mnk_retry_after_ms(table[i].text, now_us), ==, table[i].expected_ms);
}

static void test_fault_read(void) {
  const struct {
    guint status;
    const char *body, *retry_after;
    MnkFaultKind kind;
    gint64 retry_after_ms;
    const char *message;
  } table[] = {
      {503, "", NULL, MNK_FAULT_PASSING, -1, "HTTP 503"},
      {500, "<html>x</html>", NULL, MNK_FAULT_PASSING, -1, "HTTP 500"},
      {429, "{\"error\":{\"message\":\"slow\"}}", "3", MNK_FAULT_PASSING, 3000, "HTTP 429: slow"},
      {429, "{\"error\":{\"details\":[{\"retryDelay\":\"2.5s\"}]}}", "1", MNK_FAULT_PASSING, 2500,
       "HTTP 429"},
      {429, "{\"error\":{\"details\":[{\"retryDelay\":\"-1s\"},{\"retryDelay\":\"x\"},7]}}", NULL,
       MNK_FAULT_PASSING, -1, "HTTP 429"},
      {400, "[{\"error\":{\"message\":\"a\\u001b[31m\\nb\"}}]", NULL, MNK_FAULT_REQUEST, -1,
       "HTTP 400: a b"},
      {400, "{\"error\":{\"message\":\"m\",\"details\":[{\"reason\":\"API_KEY_INVALID\"}]}}", NULL,
       MNK_FAULT_LASTING, -1, "HTTP 400: m"},
      {400, "{\"error\":{\"message\":\"m\",\"status\":\"FAILED_PRECONDITION\"}}", NULL,
       MNK_FAULT_LASTING, -1, "HTTP 400: m"},
      {422, "{\"detail\":\"bad field\"}", NULL, MNK_FAULT_REQUEST, -1, "HTTP 422: bad field"},
      {404, "{\"error\":\"model 'x' not found\"}", NULL, MNK_FAULT_LASTING, -1,
       "HTTP 404: model 'x' not found"},
      {400, "{\"error\":\"invalid_grant\",\"error_description\":\"expired\"}", NULL,
       MNK_FAULT_REQUEST, -1, "HTTP 400: expired"},
      {403, "{\"message\":{\"a\":1}}", NULL, MNK_FAULT_LASTING, -1, "HTTP 403"},
      {302, "", NULL, MNK_FAULT_LASTING, -1, "HTTP 302, a redirect, and none is followed"},
      {529, "{\"error\":{\"message\":\"overloaded\"}}", NULL, MNK_FAULT_PASSING, -1,
       "HTTP 529: overloaded"},
      {501, "", NULL, MNK_FAULT_REQUEST, -1, "HTTP 501"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autoptr(MnkFault) fault = mnk_fault_read(table[i].status, table[i].body,
                                               strlen(table[i].body), table[i].retry_after, 0);
    g_assert_cmpstr(fault->message, ==, table[i].message);
    g_assert_cmpint(fault->kind, ==, table[i].kind);
    g_assert_cmpint(fault->retry_after_ms, ==, table[i].retry_after_ms);
    g_assert_cmpuint(fault->status, ==, table[i].status);
  }
}

static void test_fault_is_short(void) {
  g_autoptr(GString) body = g_string_new("{\"error\":{\"message\":\"");
  for (guint i = 0; i < 10000; i++)
    g_string_append(body, "x");
  g_string_append(body, "\"}}");
  g_autoptr(MnkFault) fault = mnk_fault_read(500, body->str, body->len, NULL, 0);
  g_assert_cmpuint(strlen(fault->message), ==, strlen("HTTP 500: ") + 300);
}

/* ---- Breaker ---- */

static void test_breaker(void) {
  MnkBreaker breaker = {.limit = 3, .pause_us = 100};
  for (gint64 now = 0; now < 3; now++) {
    g_assert_cmpint(mnk_breaker_ask(&breaker, now), ==, MNK_BREAKER_GO);
    mnk_breaker_failed(&breaker, now);
  }
  g_assert_true(mnk_breaker_is_open(&breaker, 3));
  mnk_breaker_failed(&breaker, 50); /* one that was under way: the pause is as long as before */
  g_assert_cmpint(mnk_breaker_ask(&breaker, 101), ==, MNK_BREAKER_REFUSED);
  g_assert_cmpint(mnk_breaker_ask(&breaker, 102), ==, MNK_BREAKER_TRIAL);
  g_assert_cmpint(mnk_breaker_ask(&breaker, 103), ==, MNK_BREAKER_REFUSED);
  mnk_breaker_failed(&breaker, 110);
  g_assert_cmpint(mnk_breaker_ask(&breaker, 209), ==, MNK_BREAKER_REFUSED);
  g_assert_cmpint(mnk_breaker_ask(&breaker, 210), ==, MNK_BREAKER_TRIAL);
  mnk_breaker_abandon(&breaker);
  g_assert_cmpint(mnk_breaker_ask(&breaker, 211), ==, MNK_BREAKER_TRIAL);
  mnk_breaker_good(&breaker);
  g_assert_cmpint(mnk_breaker_ask(&breaker, 212), ==, MNK_BREAKER_GO);
  g_assert_cmpuint(breaker.failures, ==, 0);
}

/* Answers of no use are counted apart: a service that can be reached does not clear them. */
static void test_breaker_bad(void) {
  MnkBreaker breaker = {.limit = 2, .pause_us = 100};
  mnk_breaker_bad(&breaker, 0);
  mnk_breaker_reached(&breaker);
  g_assert_false(mnk_breaker_is_open(&breaker, 1));
  mnk_breaker_bad(&breaker, 1);
  g_assert_true(mnk_breaker_is_open(&breaker, 2));
  g_assert_cmpint(mnk_breaker_ask(&breaker, 101), ==, MNK_BREAKER_TRIAL);
  mnk_breaker_reached(&breaker);
  mnk_breaker_bad(&breaker, 102);
  g_assert_true(mnk_breaker_is_open(&breaker, 103));
}

/* ---- Secrets, URLs, names ---- */

static void test_redact(void) {
  static const char secret[] = "AIzaSyA-0123456789abcdefghij";
  g_autoptr(MnkOauth) auth = mnk_oauth_new_fixed("x-goog-api-key: ", secret, NULL);
  const struct {
    const char *text, *expected;
  } table[] = {
      {"nothing", "nothing"},
      {"", ""},
      {"AIzaSyA-0123456789abcdefghij", "[hidden]"},
      {"key AIzaSyA-0123456789abcdefghij!", "key [hidden]!"},
      {"AIzaSyA-012*****ghij", "[hidden]*****ghij"},
      {"456789abcd and 56789ab", "[hidden] and 56789ab"}, /* seven characters tell little */
      {"AIzaSyA-AIzaSyA-", "[hidden][hidden]"},
      {"犬456789abcd犬", "犬[hidden]犬"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autofree char *shown = mnk_oauth_redact(auth, table[i].text);
    g_assert_cmpstr(shown, ==, table[i].expected);
  }
  g_autoptr(MnkOauth) brief = mnk_oauth_new_fixed("k: ", "abc", NULL);
  g_autofree char *shown = mnk_oauth_redact(brief, "xabcx ab");
  g_assert_cmpstr(shown, ==, "x[hidden]x ab");
  g_autoptr(MnkOauth) none = mnk_oauth_new_fixed("k: ", NULL, NULL);
  g_autofree char *same = mnk_oauth_redact(none, "text");
  g_assert_cmpstr(same, ==, "text");
}

static void test_base_url(void) {
  const struct {
    const char *text, *expected;
  } table[] = {
      {"http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"},
      {" https://api.example.com/v1/ ", "https://api.example.com/v1"},
      {"http://[::1]:9//", "http://[::1]:9"},
      {"ftp://x", NULL},
      {"x", NULL},
      {"http://u@x", NULL},
      {"http://x/?a", NULL},
      {"http://x/#a", NULL},
      {"http://x y/", NULL},
  };
  for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *url = mnk_remote_base_url(table[i].text, MNK_OPT_OPENAI_URL, &error);
    g_assert_cmpstr(url, ==, table[i].expected);
    if (!url)
      g_assert_true(g_str_has_prefix(error->message, "--openai-url: "));
  }
}

static void test_vertex_url(void) {
  const struct {
    const char *location, *expected;
  } table[] = {
      {"us-central1", "https://us-central1-aiplatform.googleapis.com"},
      {"global", "https://aiplatform.googleapis.com"},
      {"eu", "https://aiplatform.eu.rep.googleapis.com"},
      {"evil.example/", NULL},
      {"evil.example", NULL},
      {"a@b", NULL},
      {"", NULL},
  };
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autofree char *url = mnk_vertex_base_url(settings, table[i].location, NULL);
    g_assert_cmpstr(url, ==, table[i].expected);
  }
}

static void test_names(void) {
  g_assert_true(mnk_service_name_is_valid("gemini-3.5-flash-lite", FALSE));
  g_assert_true(mnk_service_name_is_valid("tunedModels/x-1", TRUE));
  g_assert_false(mnk_service_name_is_valid("tunedModels/x-1", FALSE));
  static const char *const bad[] = {"",   "a b", "a?b",  "a#b",  "../a", "a/../b",
                                    "/a", "a/",  "a//b", "a%2e", "犬",   "a\nb"};
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
    g_assert_false(mnk_service_name_is_valid(bad[i], TRUE));
}

/* ---- Replies ---- */

typedef struct {
  const MnkDialect *dialect;
  const char *json;
  const char *text, *blocked; /* both NULL: it is no reply, or one without either */
  gboolean cut, fine;
} ReplyRow;

static const ReplyRow reply_rows[] = {
    {&mnk_dialect_gemini, "{}", NULL, NULL, FALSE, FALSE},
    {&mnk_dialect_gemini, "[]", NULL, NULL, FALSE, FALSE},
    {&mnk_dialect_gemini, "7", NULL, NULL, FALSE, FALSE},
    {&mnk_dialect_gemini, "{\"candidates\":[]}", NULL, NULL, FALSE, FALSE},
    {&mnk_dialect_gemini, "{\"candidates\":[{}]}", NULL, "an empty answer", FALSE, TRUE},
    {&mnk_dialect_gemini, "{\"candidates\":[{\"finishReason\":\"SAF\\u001b[1mETY\"}]}", NULL,
     "SAFETY", FALSE, TRUE},
    {&mnk_dialect_gemini, "{\"candidates\":[{\"finishReason\":\"MAX_TOKENS\"}]}", NULL, NULL, TRUE,
     TRUE},
    {&mnk_dialect_gemini,
     "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"},{\"text\":\"t\",\"thought\":true},"
     "{\"text\":\"b\"},{},7]}}],\"usageMetadata\":{\"promptTokenCount\":-5}}",
     "ab", NULL, FALSE, TRUE},
    {&mnk_dialect_vertex, "{\"promptFeedback\":{\"blockReason\":\"OTHER\"}}", NULL, "OTHER", FALSE,
     TRUE},
    {&mnk_dialect_openai, "{}", NULL, NULL, FALSE, FALSE},
    {&mnk_dialect_openai, "{\"choices\":[{}]}", NULL, NULL, FALSE, FALSE},
    {&mnk_dialect_openai, "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}", "a", NULL, FALSE,
     TRUE},
    {&mnk_dialect_openai, "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"no\"}}]}",
     NULL, "no", FALSE, TRUE},
    {&mnk_dialect_openai,
     "{\"choices\":[{\"message\":{\"content\":[{\"text\":\"a\"},{\"text\":\"b\"}]},"
     "\"finish_reason\":\"length\"}]}",
     "ab", NULL, TRUE, TRUE},
};

static void test_replies(void) {
  for (guint i = 0; i < G_N_ELEMENTS(reply_rows); i++) {
    const ReplyRow *row = &reply_rows[i];
    g_test_message("%s", row->json);
    g_autoptr(MnkJson) json = mnk_json_parse(row->json, strlen(row->json), NULL, NULL);
    g_auto(MnkReply) reply = {0};
    g_autoptr(GError) error = NULL;
    g_assert_true(row->dialect->read(mnk_json_root(json), &reply, &error) == row->fine);
    g_assert_true((error == NULL) == row->fine);
    g_assert_cmpstr(reply.text, ==, row->text);
    g_assert_cmpstr(reply.blocked, ==, row->blocked);
    g_assert_true(reply.cut == row->cut);
    g_assert_cmpuint(reply.prompt_tokens, ==, 0);
  }
}

/* ---- Prompts ---- */

static MnkPrompt *prompt_of(const char *lang, GError **error) {
  static const guint8 jpeg[] = {0xff, 0xd8, 0xff, 0xd9};
  g_autoptr(MnkBatch) batch = mnk_batch_new();
  batch->n_frames = 3;
  batch->pts_ms = g_new0(gint64, 3);
  batch->pts_ms[1] = 1250;
  batch->pts_ms[2] = 2000;
  batch->lang = g_strdup(lang);
  MnkBatchFrame *frame = g_new0(MnkBatchFrame, 1);
  frame->index = 1;
  frame->jpeg = g_bytes_new_static(jpeg, sizeof jpeg);
  g_ptr_array_add(batch->frames, frame);
  frame = g_new0(MnkBatchFrame, 1);
  frame->index = 3; /* not of the batch */
  frame->jpeg = g_bytes_new_static(jpeg, sizeof jpeg);
  g_ptr_array_add(batch->frames, frame);
  MnkPromptLimits limits = {.images_max = 8, .body_max = 1 << 20, .tokens_max = 100};
  return mnk_prompt_new(batch, &limits, error);
}

static void test_prompt(void) {
  g_autoptr(MnkPrompt) prompt = prompt_of("en", NULL);
  g_assert_cmpuint(prompt->parts->len, ==, 3);
  const MnkPromptPart *head = prompt->parts->pdata[0], *stamp = prompt->parts->pdata[1];
  g_assert_cmpstr(head->text, ==,
                  "The stretch has 3 frames, numbered 0 to 2, over 2.00 s; 1 of them are shown.\n"
                  "Material: {}");
  g_assert_cmpstr(stamp->text, ==, "Frame 1, 1.25 s:");
  g_assert_nonnull(((const MnkPromptPart *)prompt->parts->pdata[2])->jpeg);
  g_autoptr(MnkPrompt) japanese = prompt_of("ja", NULL);
  g_assert_nonnull(strstr(japanese->system, "日本語"));
  g_assert_null(strstr(prompt->system, "日本語"));
}

static void test_prompt_repair(void) {
  g_autoptr(MnkPrompt) prompt = prompt_of("en", NULL);
  mnk_prompt_add_repair(prompt, "{\"events\":\n[<|im_end|>", "events[0]: \"text\" is missing");
  const MnkPromptPart *last = prompt->parts->pdata[prompt->parts->len - 1];
  g_assert_nonnull(strstr(last->text,
                          "{\"your_answer\":\"{\\\"events\\\": (\\u003c|im_end|\\u003e\","
                          "\"fault\":\"events(0): \\\"text\\\" is missing\"}"));
}

/* Numbers of frames are bounded by the schema, where the service makes a grammar of it. */
static void test_schema(void) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_prompt_write_schema(&w, NULL, MNK_SCHEMA_JSON, 32);
  g_assert_nonnull(
      strstr(text->str, "\"end_frame\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":31}"));
  g_assert_nonnull(
      strstr(text->str, "\"confidence\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1}"));
}

/* ---- Embeddings ---- */

static void test_embeddings(void) {
  static const char body[] = "{\"predictions\":[[3,4],[[0,-2]],{\"values\":[1e-3,0]},"
                             "{\"embeddings\":{\"values\":[0,7]}}]}";
  static const float expected[][2] = {{0.6f, 0.8f}, {0, -1}, {1, 0}, {0, 1}};
  g_autoptr(GPtrArray) vectors = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
  g_autoptr(GError) error = NULL;
  g_assert_true(mnk_embeddings_read(body, strlen(body), 4, vectors, &error));
  for (guint i = 0; i < 4; i++)
    for (guint k = 0; k < 2; k++)
      g_assert_cmpfloat_with_epsilon(g_array_index((GArray *)vectors->pdata[i], float, k),
                                     expected[i][k], 1e-6f);
  static const char *const bad[] = {"{}",
                                    "[]",
                                    "{\"predictions\":{}}",
                                    "{\"predictions\":[]}",
                                    "{\"predictions\":[[]]}",
                                    "{\"predictions\":[7]}",
                                    "{\"predictions\":[[0,0]]}",
                                    "{\"predictions\":[[1,null]]}",
                                    "{\"predictions\":[[[1,2],[3,4]]]}",
                                    "{\"predictions\":[[1e308,1e308]]}"};
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_clear_error(&error);
    g_assert_false(mnk_embeddings_read(bad[i], strlen(bad[i]), 1, vectors, &error));
    g_assert_nonnull(error);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/remote/retry-after", test_retry_after);
  g_test_add_func("/remote/fault-read", test_fault_read);
  g_test_add_func("/remote/fault-is-short", test_fault_is_short);
  g_test_add_func("/remote/breaker", test_breaker);
  g_test_add_func("/remote/breaker-bad", test_breaker_bad);
  g_test_add_func("/remote/redact", test_redact);
  g_test_add_func("/remote/base-url", test_base_url);
  g_test_add_func("/remote/vertex-url", test_vertex_url);
  g_test_add_func("/remote/names", test_names);
  g_test_add_func("/remote/replies", test_replies);
  g_test_add_func("/remote/prompt", test_prompt);
  g_test_add_func("/remote/prompt-repair", test_prompt_repair);
  g_test_add_func("/remote/schema", test_schema);
  g_test_add_func("/remote/embeddings", test_embeddings);
  return g_test_run();
}
