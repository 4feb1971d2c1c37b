/* POST /v1/chat/completions: questions about streams for clients of OpenAI. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <string.h>

typedef struct {
  MnkCall *call; /* borrowed: the reply holds it */
  MnkReply *reply;
  MnkChat chat;
  MnkChatHead head;
  MnkVideoWait *video; /* NULL: none is waited for */
  MnkAsking *asking;   /* NULL: not begun */
  gboolean begun;      /* the first piece has gone out */
} Talk;

static void talk_free(Talk *talk) {
  if (talk->video != NULL)
    mnk_video_cancel(talk->video);
  mnk_asking_free(talk->asking);
  mnk_chat_clear(&talk->chat);
  g_free(talk);
}

static void fail(Talk *talk, const GError *error) {
  mnk_reply_error(g_steal_pointer(&talk->reply), error);
  talk_free(talk);
}

/* ---- the answer ---- */

static void send_piece(Talk *talk, const char *text) {
  g_autoptr(GString) json = g_string_new(NULL);
  if (!talk->begun) {
    talk->begun = TRUE;
    mnk_chat_write_first(&talk->head, json);
    mnk_reply_event(talk->reply, NULL, json->str);
    g_string_truncate(json, 0);
  }
  if (*text == '\0')
    return;
  mnk_chat_write_piece(&talk->head, text, json);
  mnk_reply_event(talk->reply, NULL, json->str);
}

static void on_piece(const char *text, gpointer user) {
  Talk *talk = user;
  if (mnk_reply_is_streamed(talk->reply))
    send_piece(talk, text);
}

static void send_end(Talk *talk, const MnkAnswer *answer) {
  g_autoptr(GString) json = g_string_new(NULL);
  send_piece(talk, "");
  mnk_chat_write_last(&talk->head, answer, json);
  mnk_reply_event(talk->reply, NULL, json->str);
  if (talk->head.usage) {
    g_string_truncate(json, 0);
    mnk_chat_write_usage(&talk->head, answer, json);
    mnk_reply_event(talk->reply, NULL, json->str);
  }
  mnk_reply_event(talk->reply, NULL, "[DONE]");
  mnk_reply_end(g_steal_pointer(&talk->reply));
}

static void on_done(const MnkAnswer *answer, const GError *error, gpointer user) {
  Talk *talk = user;
  if (answer == NULL) {
    fail(talk, error);
    return;
  }
  if (mnk_reply_is_streamed(talk->reply)) {
    send_end(talk, answer);
  } else {
    g_autoptr(GString) json = g_string_new(NULL);
    mnk_chat_write_answer(&talk->head, answer, json);
    mnk_reply_json(g_steal_pointer(&talk->reply), 200, json);
  }
  talk_free(talk);
}

/* ---- the question ---- */

static void put(Talk *talk, const char *stream) {
  static const MnkAskEvents EVENTS = {on_piece, on_done};
  const MnkChat *chat = &talk->chat;
  guint most = (guint)mnk_settings_int(talk->call->api->settings, MNK_OPT_CONVERSATION_TURNS);
  guint n = MIN(chat->turns->len, most);
  MnkQuestion question = {
      .stream = stream,
      .question = chat->question,
      .system = chat->system,
      .turns = (const MnkTurnOfTalk *)(void *)chat->turns->data + (chat->turns->len - n),
      .n_turns = n,
      .model = chat->model,
      .how = mnk_json_root(chat->how),
  };
  talk->asking = mnk_asking_new(talk->call, &question, &EVENTS, talk);
  mnk_asking_start(talk->asking);
}

static void on_watched(const char *stream, const GError *error, gpointer user) {
  Talk *talk = user;
  talk->video = NULL;
  if (stream != NULL)
    put(talk, stream);
  else
    fail(talk, error);
}

/* Which stream is meant when none is named: the one that runs, if it is the only one. */
static const char *only_stream(MnkApi *api, GError **error) {
  g_autoptr(GPtrArray) list = mnk_registry_list(api->registry);
  if (list->len == 1)
    return ((const MnkEntry *)g_ptr_array_index(list, 0))->id;
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
              "messages name no stream, and %u run: a content part of the type video_stream or "
              "video_url names one",
              list->len);
  return NULL;
}

static void start(Talk *talk) {
  MnkApi *api = talk->call->api;
  g_autoptr(GError) error = NULL;
  MnkAsked asked = MNK_ASKED_BEST;
  if (!mnk_may_ask(api, talk->call->key, talk->chat.question, &error) ||
      !mnk_asked_find(api, talk->chat.model, &asked, &error)) {
    fail(talk, error);
    return;
  }
  talk->head.model = mnk_asked_name(api, asked);
  if (talk->chat.url != NULL) {
    talk->video = mnk_video_watch(talk->call, talk->chat.url, on_watched, talk, &error);
    if (talk->video == NULL)
      fail(talk, error);
    return;
  }
  const char *stream = talk->chat.stream != NULL ? talk->chat.stream : only_stream(api, &error);
  if (stream != NULL)
    put(talk, stream);
  else
    fail(talk, error);
}

static void on_gone(gpointer user) {
  Talk *talk = user;
  mnk_reply_free(g_steal_pointer(&talk->reply));
  talk_free(talk);
}

void mnk_handle_chat(MnkCall *call) {
  g_autoptr(GError) error = NULL;
  Talk *talk = g_new0(Talk, 1);
  if (!mnk_chat_read(call->body, &talk->chat, &error)) {
    mnk_answer_gerror(call->request, error);
    talk_free(talk);
    return;
  }
  g_autofree char *id = mnk_random_id("chatcmpl");
  g_strlcpy(talk->head.id, id, sizeof talk->head.id);
  talk->head.created_s = mnk_clock_wall_us(mnk_clock_system()) / G_USEC_PER_SEC;
  talk->head.usage = talk->chat.usage;
  talk->call = call;
  talk->reply = mnk_reply_new(call, talk->chat.streamed, on_gone, talk);
  start(talk);
}
