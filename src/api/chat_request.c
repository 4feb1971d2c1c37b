/* Requests of the chat interface: which stream, what is asked, and what was said before. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <string.h>

enum { SYSTEM_MAX = 16384 };

static const char STREAM_SCHEME[] = "stream:";

void mnk_chat_clear(MnkChat *chat) {
  g_clear_pointer(&chat->stream, g_free);
  g_clear_pointer(&chat->url, g_free);
  g_clear_pointer(&chat->question, g_free);
  g_clear_pointer(&chat->system, g_free);
  for (guint i = 0; chat->turns != NULL && i < chat->turns->len; i++) {
    MnkTurnOfTalk *turn = &g_array_index(chat->turns, MnkTurnOfTalk, i);
    g_free(turn->question);
    g_free(turn->answer);
  }
  g_clear_pointer(&chat->turns, g_array_unref);
  g_clear_pointer(&chat->model, g_free);
  g_clear_pointer(&chat->how, mnk_json_free);
}

/* ---- parts of a message ---- */

/* What one message says. */
typedef struct {
  GString *text;
  char *stream, *url; /* the last that it names */
  char *place;        /* messages[1].content[0] */
} Message;

static void message_clear(Message *message) {
  g_string_free(message->text, TRUE);
  g_free(message->stream);
  g_free(message->url);
  g_free(message->place);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Message, message_clear)

G_GNUC_PRINTF(3, 4)
static gboolean refuse(GError **error, const Message *message, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *what = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%s %s", message->place, what);
  return FALSE;
}

static gboolean take_stream(Message *message, const char *id, GError **error) {
  if (!mnk_stream_id_is_valid(id))
    return refuse(error, message, "names no stream: an id has 1 to 64 letters, digits, '-', '_'");
  g_free(message->stream);
  message->stream = g_strdup(id);
  g_clear_pointer(&message->url, g_free);
  return TRUE;
}

static gboolean take_url(Message *message, const char *url, GError **error) {
  if (g_str_has_prefix(url, STREAM_SCHEME))
    return take_stream(message, url + strlen(STREAM_SCHEME), error);
  if (g_str_has_prefix(url, "data:"))
    return refuse(error, message,
                  "holds a whole video, which is not taken here; POST /v1/uploads takes it, and "
                  "upload:NAME names it then");
  g_free(message->url);
  message->url = g_strdup(url);
  g_clear_pointer(&message->stream, g_free);
  return TRUE;
}

static const char *inner(const MnkJsonValue *part, const char *type, const char *member) {
  return mnk_json_string(mnk_json_get(mnk_json_get(part, type), member), NULL);
}

static gboolean read_part(Message *message, const MnkJsonValue *part, GError **error) {
  const char *type = mnk_json_string(mnk_json_get(part, "type"), "");
  gboolean is_text = g_str_equal(type, "text") || g_str_equal(type, "refusal");
  if (is_text) {
    const char *text = mnk_json_string(mnk_json_get(part, type), NULL);
    if (text == NULL)
      return refuse(error, message, "has no member %s", type);
    g_string_append_printf(message->text, "%s%s", message->text->len > 0 ? "\n" : "", text);
    return TRUE;
  }
  if (g_str_equal(type, "video_stream")) {
    const char *id = inner(part, type, "id");
    return id != NULL ? take_stream(message, id, error)
                      : refuse(error, message, "must have video_stream.id, a stream's id");
  }
  if (g_str_equal(type, "video_url")) {
    const char *url = inner(part, type, "url");
    return url != NULL ? take_url(message, url, error)
                       : refuse(error, message, "must have video_url.url, an address");
  }
  if (g_str_equal(type, "image_url"))
    return refuse(error, message,
                  "is a picture; questions here are about video: name a stream by video_stream or "
                  "video_url");
  g_autofree char *safe = mnk_text_escape(type);
  return refuse(error, message,
                "has the type \"%.64s\"; text, video_stream and video_url are known", safe);
}

static gboolean read_content(Message *message, const MnkJsonValue *content, guint index,
                             GError **error) {
  MnkJsonType type = mnk_json_type(content);
  if (type == MNK_JSON_STRING)
    g_string_append(message->text, mnk_json_string(content, ""));
  if (type == MNK_JSON_STRING || type == MNK_JSON_NULL)
    return TRUE;
  if (type != MNK_JSON_ARRAY)
    return refuse(error, message, "must be text or a list of parts");
  for (guint i = 0; i < mnk_json_size(content); i++) {
    g_free(message->place);
    message->place = g_strdup_printf("messages[%u].content[%u]", index, i);
    if (!read_part(message, mnk_json_at(content, i), error))
      return FALSE;
  }
  return TRUE;
}

/* ---- the talk ---- */

typedef enum { SYSTEM, USER, ASSISTANT, TOOL } Role;

static gboolean read_role(const Message *message, const MnkJsonValue *value, Role *role,
                          GError **error) {
  static const struct {
    const char *name;
    Role role;
  } ROLES[] = {{"system", SYSTEM},       {"developer", SYSTEM}, {"user", USER},
               {"assistant", ASSISTANT}, {"tool", TOOL},        {"function", TOOL}};
  const char *name = mnk_json_string(mnk_json_get(value, "role"), "");
  for (guint i = 0; i < G_N_ELEMENTS(ROLES); i++)
    if (g_str_equal(name, ROLES[i].name)) {
      *role = ROLES[i].role;
      return TRUE;
    }
  return refuse(error, message, "must have the role system, developer, user, assistant or tool");
}

static void join(char **text, const char *separator, const char *more) {
  char *whole = *text == NULL ? g_strdup(more) : g_strconcat(*text, separator, more, NULL);
  g_free(*text);
  *text = whole;
}

static void end_turn(MnkChat *chat, const char *answer) {
  if (chat->question == NULL)
    return;
  MnkTurnOfTalk turn = {g_steal_pointer(&chat->question), g_strdup(answer)};
  g_array_append_val(chat->turns, turn);
}

static void take_message(MnkChat *chat, Role role, Message *message) {
  if (message->stream != NULL || message->url != NULL) {
    g_free(chat->stream);
    g_free(chat->url);
    chat->stream = g_steal_pointer(&message->stream);
    chat->url = g_steal_pointer(&message->url);
  }
  if (message->text->len == 0)
    return;
  if (role == SYSTEM)
    join(&chat->system, "\n\n", message->text->str);
  else if (role == USER)
    join(&chat->question, "\n", message->text->str);
  else if (role == ASSISTANT)
    end_turn(chat, message->text->str);
}

static gboolean read_messages(MnkChat *chat, const MnkJsonValue *list, GError **error) {
  for (guint i = 0; i < mnk_json_size(list); i++) {
    const MnkJsonValue *value = mnk_json_at(list, i);
    g_auto(Message) message = {.text = g_string_new(NULL)};
    Role role = USER;
    message.place = g_strdup_printf("messages[%u]", i);
    if (!read_role(&message, value, &role, error) ||
        !read_content(&message, mnk_json_get(value, "content"), i, error))
      return FALSE;
    take_message(chat, role, &message);
  }
  if (chat->question == NULL) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                        "messages must end with a question of the user");
    return FALSE;
  }
  if (chat->system != NULL && strlen(chat->system) > SYSTEM_MAX) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "messages have more than %d bytes of instructions (role system)", SYSTEM_MAX);
    return FALSE;
  }
  return TRUE;
}

/* ---- how to answer ---- */

const MnkField mnk_chat_fields[] = {{.name = "stream",
                                     .type = MNK_FIELD_STRING,
                                     .min = 1,
                                     .max = 64,
                                     .help = "Its id, when no content part names one."},
                                    MNK_HOW_FIELDS,
                                    {0}};

static const MnkJsonValue *first_number(const MnkJsonValue *body, const char *a, const char *b) {
  const MnkJsonValue *value = mnk_json_get(body, a);
  return mnk_json_type(value) == MNK_JSON_INT ? value : mnk_json_get(body, b);
}

/* Members of OpenAI's that have a name of their own here, unless "manako" says otherwise. */
static void write_how(const MnkJsonValue *body, const MnkJsonValue *own, GString *out) {
  gint64 longest = (gint64)mnk_option(MNK_OPT_ANSWER_TOKENS)->max;
  const MnkJsonValue *tokens = first_number(body, "max_completion_tokens", "max_tokens");
  const MnkJsonValue *temperature = mnk_json_get(body, "temperature");
  const MnkJsonValue *seed = mnk_json_get(body, "seed");
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_params_copy(own, "stream", &w);
  if (mnk_json_get(own, "answer_tokens") == NULL && mnk_json_type(tokens) == MNK_JSON_INT)
    mnk_json_add_int(&w, "answer_tokens", MIN(mnk_json_int(tokens, 0), longest));
  if (mnk_json_get(own, "temperature") == NULL && mnk_json_type(temperature) != MNK_JSON_NULL)
    mnk_json_add_double(&w, "temperature",
                        mnk_json_type(temperature) == MNK_JSON_INT
                            ? (double)mnk_json_int(temperature, 0)
                            : mnk_json_double(temperature, 0),
                        17);
  if (mnk_json_get(own, "seed") == NULL && mnk_json_type(seed) == MNK_JSON_INT)
    mnk_json_add_int(&w, "seed", (guint32)mnk_json_int(seed, 0));
  mnk_json_end_object(&w);
}

static gboolean read_how(MnkChat *chat, const MnkJsonValue *body, GError **error) {
  const MnkJsonValue *own = mnk_json_get(body, "manako");
  if (mnk_json_type(own) == MNK_JSON_NULL)
    own = NULL;
  if (own != NULL && !mnk_fields_check_body(mnk_chat_fields, own, FALSE, error)) {
    g_prefix_error_literal(error, "manako.");
    return FALSE;
  }
  const char *stream = mnk_json_string(mnk_json_get(own, "stream"), NULL);
  if (stream != NULL && chat->stream == NULL && chat->url == NULL)
    chat->stream = g_strdup(stream);
  g_autoptr(GString) text = g_string_new(NULL);
  write_how(body, own, text);
  chat->how = mnk_json_parse(text->str, text->len, NULL, error);
  return chat->how != NULL;
}

gboolean mnk_chat_read(const MnkJsonValue *body, MnkChat *out, GError **error) {
  g_auto(MnkChat) chat = {0};
  chat.turns = g_array_sized_new(TRUE, TRUE, sizeof(MnkTurnOfTalk), 1); /* there, even if empty */
  chat.model = g_strdup(mnk_json_string(mnk_json_get(body, "model"), NULL));
  chat.streamed = mnk_json_bool(mnk_json_get(body, "stream"), FALSE);
  chat.usage =
      mnk_json_bool(mnk_json_get(mnk_json_get(body, "stream_options"), "include_usage"), FALSE);
  if (!read_messages(&chat, mnk_json_get(body, "messages"), error) || !read_how(&chat, body, error))
    return FALSE;
  if (chat.system == NULL)
    chat.system = g_strdup("");
  *out = chat;
  chat = (MnkChat){0};
  return TRUE;
}
