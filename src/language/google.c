/* generateContent, as Gemini and Vertex have it: https://ai.google.dev/api/generate-content. Safety
 * settings and thinking are left as the service has them. */
#include "language/service_priv.h"

#include <math.h>
#include <string.h>

/* ---- The request ---- */

static void write_part(MnkJsonWriter *w, const MnkPromptPart *part) {
  mnk_json_begin_object(w, NULL);
  if (part->text) {
    mnk_json_add_string(w, "text", part->text);
  } else {
    mnk_json_begin_object(w, "inlineData");
    mnk_json_add_string(w, "mimeType", "image/jpeg");
    mnk_prompt_write_jpeg(w, "data", "", part->jpeg);
    mnk_json_end_object(w);
  }
  mnk_json_end_object(w);
}

/* More are not taken by all versions of the interface. */
enum { CANDIDATES = 5 };

static void write_generation(MnkJsonWriter *w, const MnkPrompt *prompt, gboolean graded) {
  mnk_json_begin_object(w, "generationConfig");
  mnk_json_add_double(w, "temperature", (double)prompt->temperature, 3);
  mnk_json_add_int(w, "maxOutputTokens", prompt->tokens_max);
  mnk_json_add_int(w, "candidateCount", 1);
  if (graded) {
    mnk_json_add_bool(w, "responseLogprobs", TRUE);
    mnk_json_add_int(w, "logprobs", CANDIDATES);
  }
  if (!prompt->is_free) {
    mnk_json_add_string(w, "responseMimeType", "application/json");
    mnk_prompt_write_schema(w, "responseSchema", MNK_SCHEMA_OPENAPI, prompt->n_frames);
  }
  mnk_json_end_object(w);
}

static void write_turn(MnkJsonWriter *w, const char *role, const char *text) {
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "role", role);
  mnk_json_begin_array(w, "parts");
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "text", text);
  mnk_json_end_object(w);
  mnk_json_end_array(w);
  mnk_json_end_object(w);
}

static void write_contents(MnkJsonWriter *w, const MnkPrompt *prompt) {
  mnk_json_begin_array(w, "contents");
  for (guint i = 0; i < prompt->turns->len; i++) {
    const MnkPromptTurn *turn = prompt->turns->pdata[i];
    write_turn(w, "user", turn->question);
    write_turn(w, "model", turn->answer);
  }
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "role", "user");
  mnk_json_begin_array(w, "parts");
  for (guint i = 0; i < prompt->parts->len; i++)
    write_part(w, prompt->parts->pdata[i]);
  mnk_json_end_array(w);
  mnk_json_end_object(w);
  mnk_json_end_array(w);
}

void mnk_google_write(GString *out, const MnkPrompt *prompt, const MnkRemoteBackend *service,
                      guint form) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_begin_object(&w, "systemInstruction");
  mnk_json_begin_array(&w, "parts");
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "text", prompt->system);
  mnk_json_end_object(&w);
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
  write_contents(&w, prompt);
  write_generation(&w, prompt, (form & MNK_FORM_GRADED) != 0);
  mnk_json_end_object(&w);
}

/* Not every model tells the candidates; one that does not refuses to be asked. */
gboolean mnk_google_weaken(const char *message, gboolean is_free, guint *form) {
  gboolean graded = (*form & MNK_FORM_GRADED) != 0;
  *form &= ~(guint)MNK_FORM_GRADED;
  return graded;
}

/* ---- The reply ---- */

static guint64 count(const MnkJsonValue *object, const char *key) {
  return (guint64)CLAMP(mnk_json_int(mnk_json_get(object, key), 0), 0, G_MAXINT32);
}

static void read_usage(const MnkJsonValue *root, MnkReply *reply) {
  const MnkJsonValue *usage = mnk_json_get(root, "usageMetadata");
  reply->prompt_tokens = count(usage, "promptTokenCount");
  reply->answer_tokens = count(usage, "candidatesTokenCount") + count(usage, "thoughtsTokenCount");
  reply->model = mnk_text_plain(mnk_json_string(mnk_json_get(root, "modelVersion"), ""), 128);
}

/* What the model says; its thoughts are not part of it. NULL: nothing. */
static char *read_parts(const MnkJsonValue *candidate) {
  const MnkJsonValue *parts = mnk_json_get(mnk_json_get(candidate, "content"), "parts");
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < mnk_json_size(parts); i++) {
    const MnkJsonValue *part = mnk_json_at(parts, i);
    if (!mnk_json_bool(mnk_json_get(part, "thought"), FALSE))
      g_string_append(text, mnk_json_string(mnk_json_get(part, "text"), ""));
  }
  return text->len > 0 ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

static void read_candidates(const MnkJsonValue *candidate, MnkReply *reply) {
  const MnkJsonValue *steps =
      mnk_json_get(mnk_json_get(candidate, "logprobsResult"), "topCandidates");
  const MnkJsonValue *top = mnk_json_get(mnk_json_at(steps, 0), "candidates");
  for (guint i = 0; i < mnk_json_size(top); i++) {
    const MnkJsonValue *token = mnk_json_at(top, i);
    mnk_reply_grade(reply, mnk_json_string(mnk_json_get(token, "token"), ""),
                    mnk_json_double(mnk_json_get(token, "logProbability"), NAN));
  }
}

gboolean mnk_google_read(const MnkJsonValue *root, MnkReply *reply, GError **error) {
  if (mnk_json_type(root) == MNK_JSON_ARRAY) /* as streaming servers wrap it */
    root = mnk_json_at(root, 0);
  const MnkJsonValue *candidate = mnk_json_at(mnk_json_get(root, "candidates"), 0);
  const MnkJsonValue *feedback = mnk_json_get(root, "promptFeedback");
  const char *block = mnk_json_string(mnk_json_get(feedback, "blockReason"), NULL);
  if (!candidate && !block) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                "the reply has neither candidates nor a promptFeedback");
    return FALSE;
  }
  read_usage(root, reply);
  const char *finish = mnk_json_string(mnk_json_get(candidate, "finishReason"), "STOP");
  reply->cut = g_str_equal(finish, "MAX_TOKENS");
  reply->text = read_parts(candidate);
  read_candidates(candidate, reply);
  gboolean ended = reply->cut || g_str_equal(finish, "STOP");
  if (!reply->text && !reply->cut)
    reply->blocked = mnk_text_plain(block ? block : ended ? "an empty answer" : finish, 64);
  return TRUE;
}

/* One part of a stream may have nothing but counts. */
gboolean mnk_google_read_part(const MnkJsonValue *root, MnkReply *reply, GError **error) {
  const MnkJsonValue *said = mnk_json_get(mnk_json_get(root, "error"), "message");
  if (said || mnk_json_type(root) != MNK_JSON_OBJECT) {
    g_autofree char *plain = mnk_text_plain(mnk_json_string(said, ""), 300);
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the stream has %s%s",
                said ? "an error: " : "something else than objects", plain);
    return FALSE;
  }
  const MnkJsonValue *candidate = mnk_json_at(mnk_json_get(root, "candidates"), 0);
  const MnkJsonValue *feedback = mnk_json_get(root, "promptFeedback");
  const char *block = mnk_json_string(mnk_json_get(feedback, "blockReason"), NULL);
  const char *finish = mnk_json_string(mnk_json_get(candidate, "finishReason"), NULL);
  read_usage(root, reply);
  reply->text = read_parts(candidate);
  reply->cut = finish && g_str_equal(finish, "MAX_TOKENS");
  reply->ended = finish != NULL;
  if (block || (finish && !reply->cut && !g_str_equal(finish, "STOP")))
    reply->blocked = mnk_text_plain(block ? block : finish, 64);
  return TRUE;
}
