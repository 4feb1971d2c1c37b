/* chat/completions, as OpenAI has it and llama-server, vLLM, Ollama and others too:
 * https://platform.openai.com/docs/api-reference/chat. They differ in what they take besides the
 * messages; what one refuses with 400 is left out, and that is remembered. */
#include "language/service_priv.h"

#include <math.h>
#include <string.h>

/* Forms of a request: a format in the lowest two bits, and what is left out. */
enum {
  FORMAT_SCHEMA,
  FORMAT_OBJECT,
  FORMAT_NONE,
  FORMAT_MASK = 3,
  COMPLETION_TOKENS = 4, /* max_completion_tokens instead of max_tokens */
  NO_TEMPERATURE = 8,
  NO_STREAM_OPTIONS = 16,
  FEWER_CANDIDATES = 32,
};

/* For the first token: the most that the interface has, and what some servers stop at. */
enum { CANDIDATES = 20, CANDIDATES_FEWER = 5 };

static gboolean is_configured(const MnkSettings *settings) {
  return mnk_settings_string(settings, MNK_OPT_OPENAI_URL) &&
         mnk_settings_string(settings, MNK_OPT_MODEL);
}

static gboolean configure(MnkRemoteBackend *service, const MnkSettings *settings, GError **error) {
  const char *url = mnk_settings_string(settings, MNK_OPT_OPENAI_URL);
  const char *model = mnk_settings_string(settings, MNK_OPT_MODEL);
  if (!url || !model) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "openai needs %s",
                url ? "a model's name: set --model (LLM_MODEL)"
                    : "an address: set --openai-url (OPENAI_BASE_URL), as in "
                      "http://127.0.0.1:8080/v1");
    return FALSE;
  }
  g_autofree char *base = mnk_remote_base_url(url, MNK_OPT_OPENAI_URL, error);
  if (!base)
    return FALSE;
  service->auth = mnk_oauth_new_fixed("Authorization: Bearer ",
                                      mnk_settings_string(settings, MNK_OPT_OPENAI_API_KEY), error);
  if (!service->auth) {
    g_prefix_error(error, "--openai-api-key: ");
    return FALSE;
  }
  service->model = g_strdup(model);
  service->caption_url = g_strconcat(base, "/chat/completions", NULL);
  service->check_method = "GET";
  service->check_url = g_strconcat(base, "/models", NULL);
  return TRUE;
}

/* ---- The request ---- */

static void write_part(MnkJsonWriter *w, const MnkPromptPart *part) {
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "type", part->text ? "text" : "image_url");
  if (part->text) {
    mnk_json_add_string(w, "text", part->text);
  } else {
    mnk_json_begin_object(w, "image_url");
    mnk_prompt_write_jpeg(w, "url", "data:image/jpeg;base64,", part->jpeg);
    mnk_json_end_object(w);
  }
  mnk_json_end_object(w);
}

static void write_message(MnkJsonWriter *w, const char *role, const char *text) {
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "role", role);
  mnk_json_add_string(w, "content", text);
  mnk_json_end_object(w);
}

static void write_messages(MnkJsonWriter *w, const MnkPrompt *prompt) {
  mnk_json_begin_array(w, "messages");
  write_message(w, "system", prompt->system);
  for (guint i = 0; i < prompt->turns->len; i++) {
    const MnkPromptTurn *turn = prompt->turns->pdata[i];
    write_message(w, "user", turn->question);
    write_message(w, "assistant", turn->answer);
  }
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "role", "user");
  mnk_json_begin_array(w, "content");
  for (guint i = 0; i < prompt->parts->len; i++)
    write_part(w, prompt->parts->pdata[i]);
  mnk_json_end_array(w);
  mnk_json_end_object(w);
  mnk_json_end_array(w);
}

static void write_format(MnkJsonWriter *w, guint n_frames, guint format) {
  if (format == FORMAT_NONE)
    return;
  mnk_json_begin_object(w, "response_format");
  mnk_json_add_string(w, "type", format == FORMAT_SCHEMA ? "json_schema" : "json_object");
  if (format == FORMAT_SCHEMA) {
    mnk_json_begin_object(w, "json_schema");
    mnk_json_add_string(w, "name", "captions");
    mnk_json_add_bool(w, "strict", TRUE);
    mnk_prompt_write_schema(w, "schema", MNK_SCHEMA_JSON, n_frames);
    mnk_json_end_object(w);
  }
  mnk_json_end_object(w);
}

static void write_stream(MnkJsonWriter *w, gboolean streamed, gboolean with_usage) {
  mnk_json_add_bool(w, "stream", streamed);
  if (!streamed || !with_usage)
    return;
  mnk_json_begin_object(w, "stream_options");
  mnk_json_add_bool(w, "include_usage", TRUE);
  mnk_json_end_object(w);
}

static void write_request(GString *out, const MnkPrompt *prompt, const MnkRemoteBackend *service,
                          guint form) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "model", service->model);
  write_stream(&w, prompt->is_free && !(form & MNK_FORM_WHOLE), !(form & NO_STREAM_OPTIONS));
  if (!(form & NO_TEMPERATURE))
    mnk_json_add_double(&w, "temperature", (double)prompt->temperature, 3);
  mnk_json_add_int(&w, form & COMPLETION_TOKENS ? "max_completion_tokens" : "max_tokens",
                   form & MNK_FORM_GRADED ? 1 : prompt->tokens_max);
  if (form & MNK_FORM_GRADED) {
    mnk_json_add_bool(&w, "logprobs", TRUE);
    mnk_json_add_int(&w, "top_logprobs", form & FEWER_CANDIDATES ? CANDIDATES_FEWER : CANDIDATES);
  }
  if (!prompt->is_free)
    write_format(&w, prompt->n_frames, form & FORMAT_MASK);
  write_messages(&w, prompt);
  mnk_json_end_object(&w);
}

static gboolean weaken(const char *message, gboolean is_free, guint *form) {
  if (strstr(message, "max_completion_tokens") && !(*form & COMPLETION_TOKENS)) {
    *form |= COMPLETION_TOKENS;
    return TRUE;
  }
  if (strstr(message, "temperature") && !(*form & NO_TEMPERATURE)) {
    *form |= NO_TEMPERATURE;
    return TRUE;
  }
  if (*form & MNK_FORM_GRADED) {
    gboolean fewer = strstr(message, "logprobs") && !(*form & FEWER_CANDIDATES);
    *form = fewer ? *form | FEWER_CANDIDATES : *form & ~(guint)MNK_FORM_GRADED;
    return TRUE;
  }
  /* Whatever else it says: many servers do not name what they do not know. */
  if (is_free) {
    gboolean all = strstr(message, "stream") && !strstr(message, "stream_options");
    gboolean more = !(*form & (MNK_FORM_WHOLE | NO_STREAM_OPTIONS));
    *form |= NO_STREAM_OPTIONS;
    return more && !all;
  }
  if ((*form & FORMAT_MASK) == FORMAT_NONE)
    return FALSE;
  (*form)++;
  return TRUE;
}

/* ---- The reply ---- */

/* A string, or parts of {"type":"text","text"}. NULL: nothing. */
static char *read_content(const MnkJsonValue *content) {
  g_autoptr(GString) text = g_string_new(mnk_json_string(content, ""));
  for (guint i = 0; i < mnk_json_size(content); i++) {
    const MnkJsonValue *part = mnk_json_at(content, i);
    g_string_append(text, mnk_json_string(mnk_json_get(part, "text"), ""));
  }
  return text->len > 0 ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

static guint64 count(const MnkJsonValue *object, const char *key) {
  return (guint64)CLAMP(mnk_json_int(mnk_json_get(object, key), 0), 0, G_MAXINT32);
}

/* Some that stand between say 200 although the service behind them failed. */
static char *read_error(const MnkJsonValue *root) {
  const MnkJsonValue *error = mnk_json_get(root, "error");
  const MnkJsonValue *said = mnk_json_get(error, "message");
  return mnk_text_plain(mnk_json_string(said ? said : error, ""), 300);
}

static void read_candidates(const MnkJsonValue *choice, MnkReply *reply) {
  const MnkJsonValue *tokens = mnk_json_get(mnk_json_get(choice, "logprobs"), "content");
  const MnkJsonValue *top = mnk_json_get(mnk_json_at(tokens, 0), "top_logprobs");
  for (guint i = 0; i < mnk_json_size(top); i++) {
    const MnkJsonValue *candidate = mnk_json_at(top, i);
    mnk_reply_grade(reply, mnk_json_string(mnk_json_get(candidate, "token"), ""),
                    mnk_json_double(mnk_json_get(candidate, "logprob"), NAN));
  }
}

static gboolean read_reply(const MnkJsonValue *root, MnkReply *reply, GError **error) {
  const MnkJsonValue *choice = mnk_json_at(mnk_json_get(root, "choices"), 0);
  const MnkJsonValue *message = mnk_json_get(choice, "message");
  if (mnk_json_type(message) != MNK_JSON_OBJECT) {
    g_autofree char *plain = read_error(root);
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the reply has no choices[0].message%s%s",
                *plain ? ": " : "", plain);
    return FALSE;
  }
  const MnkJsonValue *usage = mnk_json_get(root, "usage");
  reply->prompt_tokens = count(usage, "prompt_tokens");
  reply->answer_tokens = count(usage, "completion_tokens");
  reply->model = mnk_text_plain(mnk_json_string(mnk_json_get(root, "model"), ""), 128);
  const char *finish = mnk_json_string(mnk_json_get(choice, "finish_reason"), "stop");
  const char *refusal = mnk_json_string(mnk_json_get(message, "refusal"), "");
  reply->cut = g_str_equal(finish, "length");
  reply->text = read_content(mnk_json_get(message, "content"));
  read_candidates(choice, reply);
  if (!reply->text && !reply->cut)
    reply->blocked = mnk_text_plain(*refusal                      ? refusal
                                    : g_str_equal(finish, "stop") ? "an empty answer"
                                                                  : finish,
                                    200);
  return TRUE;
}

/* The last part has counts and no choices. */
static gboolean read_part(const MnkJsonValue *root, MnkReply *reply, GError **error) {
  gboolean object = mnk_json_type(root) == MNK_JSON_OBJECT;
  MnkJsonType error_type = mnk_json_type(mnk_json_get(root, "error"));
  if (!object || error_type == MNK_JSON_OBJECT || error_type == MNK_JSON_STRING) {
    g_autofree char *plain = read_error(root);
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the stream has %s%s",
                object ? "an error: " : "something else than objects", plain);
    return FALSE;
  }
  const MnkJsonValue *choice = mnk_json_at(mnk_json_get(root, "choices"), 0);
  const MnkJsonValue *delta = mnk_json_get(choice, "delta");
  const MnkJsonValue *usage = mnk_json_get(root, "usage");
  const char *finish = mnk_json_string(mnk_json_get(choice, "finish_reason"), NULL);
  const char *refusal = mnk_json_string(mnk_json_get(delta, "refusal"), "");
  reply->prompt_tokens = count(usage, "prompt_tokens");
  reply->answer_tokens = count(usage, "completion_tokens");
  reply->model = mnk_text_plain(mnk_json_string(mnk_json_get(root, "model"), ""), 128);
  reply->text = read_content(mnk_json_get(delta, "content"));
  reply->ended = finish != NULL;
  reply->cut = finish && g_str_equal(finish, "length");
  if (*refusal || (finish && g_str_equal(finish, "content_filter")))
    reply->blocked = mnk_text_plain(*refusal ? refusal : finish, 200);
  return TRUE;
}

/* ---- The check ---- */

/* A service that lists models, but not this one, may still know it by an alias. */
static gboolean judge(const MnkRemoteBackend *service, const MnkJsonValue *root, GError **error) {
  const MnkJsonValue *list = mnk_json_get(root, "data");
  if (mnk_json_size(list) == 0)
    return TRUE;
  for (guint i = 0; i < mnk_json_size(list); i++) {
    const MnkJsonValue *id = mnk_json_get(mnk_json_at(list, i), "id");
    if (g_str_equal(mnk_json_string(id, ""), service->model))
      return TRUE;
  }
  mnk_warning("language", NULL, "event=model-not-listed backend=openai model=\"%s\"",
              service->model);
  return TRUE;
}

const MnkDialect mnk_dialect_openai = {
    .name = "openai",
    .is_configured = is_configured,
    .configure = configure,
    .write = write_request,
    .read = read_reply,
    .read_part = read_part,
    .weaken = weaken,
    .judge = judge,
    .lists_models = TRUE,
    .key_hint = "set OPENAI_API_KEY to a key that it takes",
    .model_hint = "set --model to one that it serves, and --openai-url to its base, which mostly "
                  "ends in /v1",
};
