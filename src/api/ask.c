/* POST /v1/streams/{id}/ask: a question, its answer whole or word by word. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <string.h>

typedef struct {
  MnkReply *reply;
  MnkAsking *asking;
} Talk;

static void talk_free(Talk *talk) {
  mnk_asking_free(talk->asking);
  g_free(talk);
}

static void on_piece(const char *text, gpointer user) {
  Talk *talk = user;
  g_autoptr(GString) json = g_string_new(NULL);
  MnkJsonWriter w;
  if (!mnk_reply_is_streamed(talk->reply))
    return;
  mnk_json_writer_init(&w, json);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "text", text);
  mnk_json_end_object(&w);
  mnk_reply_event(talk->reply, "token", json->str);
}

static void on_done(const MnkAnswer *answer, const GError *error, gpointer user) {
  Talk *talk = user;
  MnkReply *reply = g_steal_pointer(&talk->reply);
  g_autoptr(GString) json = g_string_new(NULL);
  if (answer != NULL)
    mnk_answer_write(answer, json);
  if (answer == NULL) {
    mnk_reply_error(reply, error);
  } else if (mnk_reply_is_streamed(reply)) {
    mnk_reply_event(reply, "answer", json->str);
    mnk_reply_end(reply);
  } else {
    mnk_reply_json(reply, 200, json);
  }
  talk_free(talk);
}

static void on_gone(gpointer user) {
  Talk *talk = user;
  mnk_reply_free(talk->reply);
  talk_free(talk);
}

static gboolean wants_events(const MnkCall *call) {
  const char *accept = mnk_request_header(call->request, "Accept");
  return mnk_json_bool(mnk_json_get(call->body, "stream"),
                       accept != NULL && strstr(accept, "text/event-stream") != NULL);
}

void mnk_handle_ask(MnkCall *call) {
  static const MnkAskEvents EVENTS = {on_piece, on_done};
  MnkQuestion question = {
      .stream = call->id,
      .question = mnk_json_string(mnk_json_get(call->body, "question"), ""),
      .conversation = mnk_json_string(mnk_json_get(call->body, "conversation"), NULL),
      .system = "",
      .how = call->body,
  };
  Talk *talk = g_new0(Talk, 1);
  talk->reply = mnk_reply_new(call, wants_events(call), on_gone, talk);
  talk->asking = mnk_asking_new(call, &question, &EVENTS, talk);
  mnk_asking_start(talk->asking);
}

/* ---- the table ---- */

static const MnkField ASK_BODY[] = {
    {.name = "question",
     .type = MNK_FIELD_STRING,
     .required = TRUE,
     .min = 1,
     .max = 1048576,
     .help = "What is asked, in any language."},
    {.name = "conversation",
     .type = MNK_FIELD_STRING,
     .min = 1,
     .max = 64,
     .help = "Of an earlier answer, to go on with. Default: a new one."},
    {.name = "stream",
     .type = MNK_FIELD_BOOL,
     .help = "The answer as server-sent events. Default: what the field Accept asks for."},
    MNK_HOW_FIELDS,
    {0},
};

static const MnkField CHAT_BODY[] = {
    {.name = "messages",
     .type = MNK_FIELD_LIST,
     .required = TRUE,
     .min = 1,
     .max = 512,
     .choices = "ChatMessage",
     .help = "The talk so far, the question last."},
    {.name = "model",
     .type = MNK_FIELD_STRING,
     .max = 256,
     .help = "One of /v1/models, or auto. Default: the best there is."},
    {.name = "stream", .type = MNK_FIELD_BOOL, .help = "The answer in pieces."},
    {.name = "stream_options",
     .type = MNK_FIELD_OBJECT,
     .help = "{\"include_usage\": true}: a last piece tells the tokens."},
    {.name = "temperature", .type = MNK_FIELD_OPTION},
    {.name = "seed", .type = MNK_FIELD_INT, .help = "The same seed gives the same answer."},
    {.name = "max_tokens", .type = MNK_FIELD_INT, .min = 1, .max = 1e9, .help = "Longest answer."},
    {.name = "max_completion_tokens",
     .type = MNK_FIELD_INT,
     .min = 1,
     .max = 1e9,
     .help = "The same."},
    {.name = "n", .type = MNK_FIELD_INT, .min = 1, .max = 1.5, .help = "1: one answer."},
    {.name = "manako",
     .type = MNK_FIELD_OBJECT,
     .choices = "ChatHow",
     .help = "How to answer, and \"stream\": the id of the stream, for clients that send text "
             "alone."},
    {0},
};

const MnkRoute mnk_routes_questions[] = {
    {"POST", "/v1/streams/{id}/ask", MNK_SCOPE_ASK, NULL, ASK_BODY, 200, "Answer",
     "Answers a question about a stream, whether it runs or has ended.", mnk_handle_ask, 0},
    {"GET", "/v1/streams/{id}/memory", MNK_SCOPE_READ, NULL, NULL, 200, "Memory",
     "What the local model remembers of a stream.", mnk_handle_memory, 0},
    {"POST", "/v1/streams/{id}/watch", MNK_SCOPE_ASK, NULL, mnk_watch_fields, 201, "Watch",
     "Tells, by an event, when something comes true.", mnk_handle_watch_add, 0},
    {"GET", "/v1/streams/{id}/watch", MNK_SCOPE_READ, NULL, NULL, 200, "Watches",
     "The standing questions of a stream.", mnk_handle_watch_list, 0},
    {"DELETE", "/v1/streams/{id}/watch/{rest}", MNK_SCOPE_ASK, NULL, NULL, 204, NULL,
     "Takes a standing question back.", mnk_handle_watch_delete, 0},
    {"GET", "/v1/models", MNK_SCOPE_ASK, NULL, NULL, 200, "Models",
     "Who answers questions here, for clients of OpenAI.", mnk_handle_models, MNK_ROUTE_OPENAI},
    {"POST", "/v1/chat/completions", MNK_SCOPE_ASK, NULL, CHAT_BODY, 200, "ChatCompletion",
     "Answers about a stream, for clients of OpenAI.", mnk_handle_chat, MNK_ROUTE_OPENAI},
    {0},
};
