/* Requests and answers of the chat interface. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <string.h>

static gboolean read_chat(const char *text, MnkChat *out, GError **error) {
  g_autoptr(MnkJson) json = mnk_json_parse(text, strlen(text), NULL, error);
  g_assert_nonnull(json);
  return mnk_chat_read(mnk_json_root(json), out, error);
}

#define USER(content) "{\"role\":\"user\",\"content\":" content "}"
#define PARTS(parts) USER("[" parts "]")
#define TEXT_PART "{\"type\":\"text\",\"text\":\"what?\"}"
#define STREAM_PART(id) "{\"type\":\"video_stream\",\"video_stream\":{\"id\":\"" id "\"}}"
#define URL_PART(url) "{\"type\":\"video_url\",\"video_url\":{\"url\":\"" url "\"}}"

static void test_sources(void) {
  static const struct {
    const char *messages, *more, *stream, *url;
  } CASES[] = {
      {USER("\"what?\""), "", NULL, NULL},
      {PARTS(TEXT_PART "," STREAM_PART("street")), "", "street", NULL},
      {PARTS(STREAM_PART("street") "," TEXT_PART), "", "street", NULL},
      {PARTS(TEXT_PART "," URL_PART("stream:a-b_9")), "", "a-b_9", NULL},
      {PARTS(TEXT_PART "," URL_PART("http://x/y.mp4")), "", NULL, "http://x/y.mp4"},
      /* the last one counts, wherever it stands */
      {PARTS(STREAM_PART("a") "," URL_PART("http://x/")) "," USER("\"and?\""), "", NULL,
       "http://x/"},
      {PARTS(TEXT_PART "," STREAM_PART("a")) "," PARTS(TEXT_PART "," STREAM_PART("b")), "", "b",
       NULL},
      {USER("\"what?\""), ",\"manako\":{\"stream\":\"c\"}", "c", NULL},
      {PARTS(TEXT_PART "," STREAM_PART("a")), ",\"manako\":{\"stream\":\"c\"}", "a", NULL},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autofree char *text =
        g_strdup_printf("{\"messages\":[%s]%s}", CASES[i].messages, CASES[i].more);
    g_autoptr(GError) error = NULL;
    g_auto(MnkChat) chat = {0};
    g_test_message("%s", text);
    g_assert_true(read_chat(text, &chat, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(chat.stream, ==, CASES[i].stream);
    g_assert_cmpstr(chat.url, ==, CASES[i].url);
  }
}

static void test_talk(void) {
  static const char TEXT[] =
      "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":["
      "{\"role\":\"system\",\"content\":\"Be brief.\"},"
      "{\"role\":\"assistant\",\"content\":\"Hello, what do you want to know?\"}," USER(
          "\"one\"") ","
                     "{\"role\":\"assistant\",\"content\":\"first\"},"
                     "{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"No "
                     "lists.\"}]}," USER("\"two\"") "," USER(
                         "\"more\"") ","
                                     "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
                                     "\"id\":\"x\"}]},"
                                     "{\"role\":\"tool\",\"tool_call_id\":\"x\",\"content\":\"42\"}"
                                     ","
                                     "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\","
                                     "\"text\":\"second\"},"
                                     "{\"type\":\"refusal\",\"refusal\":\"no more\"}]}," PARTS(
                                         TEXT_PART "," TEXT_PART) "]}";
  g_autoptr(GError) error = NULL;
  g_auto(MnkChat) chat = {0};
  read_chat(TEXT, &chat, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(chat.system, ==, "Be brief.\n\nNo lists.");
  g_assert_cmpstr(chat.question, ==, "what?\nwhat?");
  g_assert_cmpuint(chat.turns->len, ==, 2);
  const MnkTurnOfTalk *turns = (const MnkTurnOfTalk *)(void *)chat.turns->data;
  g_assert_cmpstr(turns[0].question, ==, "one");
  g_assert_cmpstr(turns[0].answer, ==, "first");
  g_assert_cmpstr(turns[1].question, ==, "two\nmore");
  g_assert_cmpstr(turns[1].answer, ==, "second\nno more");
  g_assert_true(chat.streamed && chat.usage);
  g_assert_cmpstr(chat.model, ==, "m");
}

static void test_refusals(void) {
  static const struct {
    const char *body, *message;
  } CASES[] = {
      {"{\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}",
       "messages must end with a question of the user"},
      {"{\"messages\":[" USER("\"x\"") ",{\"role\":\"assistant\",\"content\":\"y\"}]}",
       "messages must end with a question of the user"},
      {"{\"messages\":[" USER("\"\"") "]}", "messages must end with a question of the user"},
      {"{\"messages\":[7]}",
       "messages[0] must have the role system, developer, user, assistant or tool"},
      {"{\"messages\":[" USER("\"x\"") ",{\"role\":\"robot\",\"content\":\"y\"}]}",
       "messages[1] must have the role system, developer, user, assistant or tool"},
      {"{\"messages\":[" USER("7") "]}", "messages[0] must be text or a list of parts"},
      {"{\"messages\":[" PARTS("7") "]}",
       "messages[0].content[0] has the type \"\"; text, video_stream and video_url are known"},
      {"{\"messages\":[" PARTS(TEXT_PART ",{\"type\":\"input_audio\"}") "]}",
       "messages[0].content[1] has the type \"input_audio\"; text, video_stream and video_url are "
       "known"},
      {"{\"messages\":[" PARTS("{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}") "]}",
       "messages[0].content[0] is a picture; questions here are about video: name a stream by "
       "video_stream or video_url"},
      {"{\"messages\":[" PARTS("{\"type\":\"text\"}") "]}",
       "messages[0].content[0] has no member text"},
      {"{\"messages\":[" PARTS("{\"type\":\"video_stream\",\"video_stream\":\"x\"}") "]}",
       "messages[0].content[0] must have video_stream.id, a stream's id"},
      {"{\"messages\":[" PARTS(STREAM_PART("../x")) "]}",
       "messages[0].content[0] names no stream: an id has 1 to 64 letters, digits, '-', '_'"},
      {"{\"messages\":[" PARTS("{\"type\":\"video_url\"}") "]}",
       "messages[0].content[0] must have video_url.url, an address"},
      {"{\"messages\":[" PARTS(URL_PART("data:video/mp4;base64,AAAA")) "]}",
       "messages[0].content[0] holds a whole video, which is not taken here; POST /v1/uploads "
       "takes "
       "it, and upload:NAME names it then"},
      {"{\"messages\":[" USER("\"x\"") "],\"manako\":{\"topk\":999}}",
       "manako.topk must be a whole number from 0 to 256"},
      {"{\"messages\":[" USER("\"x\"") "],\"manako\":{\"colour\":1}}",
       "manako.colour is not a member of this body"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autoptr(GError) error = NULL;
    g_auto(MnkChat) chat = {0};
    g_assert_false(read_chat(CASES[i].body, &chat, &error));
    g_assert_cmpstr(error->message, ==, CASES[i].message);
  }
}

/* OpenAI's members and this server's own meet in one object. */
static void test_how(void) {
  static const struct {
    const char *members;
    gint64 tokens, seed;
    double temperature;
    gint64 topk;
  } CASES[] = {
      {"", -1, -1, -1, -1},
      {",\"max_tokens\":7,\"temperature\":1,\"seed\":5", 7, 5, 1, -1},
      {",\"max_tokens\":7,\"max_completion_tokens\":9,\"seed\":null", 9, -1, -1, -1},
      {",\"max_tokens\":100000000,\"temperature\":0.5,\"seed\":-1", 8192, 4294967295, 0.5, -1},
      {",\"max_tokens\":7,\"manako\":{\"answer_tokens\":3,\"topk\":2,\"stream\":\"x\"}", 3, -1, -1,
       2},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autofree char *text =
        g_strdup_printf("{\"messages\":[" USER("\"x\"") "]%s}", CASES[i].members);
    g_autoptr(GError) error = NULL;
    g_auto(MnkChat) chat = {0};
    read_chat(text, &chat, &error);
    g_assert_no_error(error);
    const MnkJsonValue *how = mnk_json_root(chat.how);
    const MnkJsonValue *heat = mnk_json_get(how, "temperature");
    g_autoptr(MnkSettings) settings = mnk_settings_new();
    g_assert_cmpint(mnk_json_int(mnk_json_get(how, "answer_tokens"), -1), ==, CASES[i].tokens);
    g_assert_cmpint(mnk_json_int(mnk_json_get(how, "seed"), -1), ==, CASES[i].seed);
    g_assert_cmpint(mnk_json_int(mnk_json_get(how, "topk"), -1), ==, CASES[i].topk);
    g_assert_cmpfloat(mnk_json_type(heat) == MNK_JSON_INT ? (double)mnk_json_int(heat, 0)
                                                          : mnk_json_double(heat, -1),
                      ==, CASES[i].temperature);
    g_assert_null(mnk_json_get(how, "stream"));
    g_assert_true(mnk_options_apply(settings, mnk_how_fields, how, &error));
  }
}

static void test_long_instructions(void) {
  g_autofree char *words = g_strnfill(16385, 'x');
  g_autofree char *text = g_strdup_printf(
      "{\"messages\":[{\"role\":\"system\",\"content\":\"%s\"}," USER("\"x\"") "]}", words);
  g_autoptr(GError) error = NULL;
  g_auto(MnkChat) chat = {0};
  g_assert_false(read_chat(text, &chat, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
}

/* Every member of a body that is an option has its range from the options table. */
static void test_fields(void) {
  const MnkField *const TABLES[] = {mnk_how_fields, mnk_chat_fields, mnk_watch_fields};
  for (guint i = 0; i < G_N_ELEMENTS(TABLES); i++)
    for (const MnkField *field = TABLES[i]; field->name != NULL; field++) {
      g_test_message("%s", field->name);
      if (field->type == MNK_FIELD_OPTION)
        g_assert_nonnull(mnk_field_option(field));
    }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/api/chat/sources", test_sources);
  g_test_add_func("/api/chat/talk", test_talk);
  g_test_add_func("/api/chat/refusals", test_refusals);
  g_test_add_func("/api/chat/how", test_how);
  g_test_add_func("/api/chat/long-instructions", test_long_instructions);
  g_test_add_func("/api/chat/fields", test_fields);
  return g_test_run();
}
