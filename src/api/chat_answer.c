/* Answers of the chat interface, in the form that OpenAI's clients read. */
#include "api/questions_priv.h"

static void write_head(const MnkChatHead *head, const char *object, const MnkAnswer *answer,
                       MnkJsonWriter *w) {
  gboolean named = answer != NULL && answer->model != NULL && *answer->model != '\0';
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "id", head->id);
  mnk_json_add_string(w, "object", object);
  mnk_json_add_int(w, "created", head->created_s);
  mnk_json_add_string(w, "model", named ? answer->model : head->model);
}

static void write_usage(MnkJsonWriter *w, const MnkAnswer *answer) {
  gint64 prompt = (gint64)answer->prompt_tokens, told = (gint64)answer->answer_tokens;
  mnk_json_begin_object(w, "usage");
  mnk_json_add_int(w, "prompt_tokens", prompt);
  mnk_json_add_int(w, "completion_tokens", told);
  mnk_json_add_int(w, "total_tokens", prompt + told);
  mnk_json_begin_object(w, "prompt_tokens_details");
  mnk_json_add_int(w, "cached_tokens", (gint64)answer->cached_tokens);
  mnk_json_end_object(w);
  mnk_json_end_object(w);
}

static void write_own(MnkJsonWriter *w, const MnkAnswer *answer) {
  g_autoptr(GString) json = g_string_new(NULL);
  mnk_answer_write(answer, json);
  mnk_json_add_raw(w, "manako", json->str, json->len);
}

void mnk_chat_write_answer(const MnkChatHead *head, const MnkAnswer *answer, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  write_head(head, "chat.completion", answer, &w);
  mnk_json_begin_array(&w, "choices");
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "index", 0);
  mnk_json_begin_object(&w, "message");
  mnk_json_add_string(&w, "role", "assistant");
  mnk_json_add_string(&w, "content", answer->text);
  mnk_json_add_null(&w, "refusal");
  mnk_json_end_object(&w);
  mnk_json_add_null(&w, "logprobs");
  mnk_json_add_string(&w, "finish_reason", answer->finish);
  mnk_json_end_object(&w);
  mnk_json_end_array(&w);
  write_usage(&w, answer);
  write_own(&w, answer);
  mnk_json_end_object(&w);
}

/* ---- pieces ---- */

static void begin_choice(MnkJsonWriter *w) {
  mnk_json_begin_array(w, "choices");
  mnk_json_begin_object(w, NULL);
  mnk_json_add_int(w, "index", 0);
  mnk_json_begin_object(w, "delta");
}

static void end_choice(MnkJsonWriter *w, const char *finish) {
  mnk_json_end_object(w);
  mnk_json_add_null(w, "logprobs");
  mnk_json_add_string(w, "finish_reason", finish);
  mnk_json_end_object(w);
  mnk_json_end_array(w);
}

/* Where a piece of its own tells the tokens, the others say that they do not. */
static void end_piece(const MnkChatHead *head, MnkJsonWriter *w) {
  if (head->usage)
    mnk_json_add_null(w, "usage");
  mnk_json_end_object(w);
}

static void write_piece(const MnkChatHead *head, const char *role, const char *text, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  write_head(head, "chat.completion.chunk", NULL, &w);
  begin_choice(&w);
  if (role != NULL)
    mnk_json_add_string(&w, "role", role);
  mnk_json_add_string(&w, "content", text);
  end_choice(&w, NULL);
  end_piece(head, &w);
}

void mnk_chat_write_first(const MnkChatHead *head, GString *out) {
  write_piece(head, "assistant", "", out);
}

void mnk_chat_write_piece(const MnkChatHead *head, const char *text, GString *out) {
  write_piece(head, NULL, text, out);
}

void mnk_chat_write_last(const MnkChatHead *head, const MnkAnswer *answer, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  write_head(head, "chat.completion.chunk", NULL, &w);
  begin_choice(&w);
  end_choice(&w, answer->finish);
  write_own(&w, answer);
  end_piece(head, &w);
}

void mnk_chat_write_usage(const MnkChatHead *head, const MnkAnswer *answer, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  write_head(head, "chat.completion.chunk", NULL, &w);
  mnk_json_begin_array(&w, "choices");
  mnk_json_end_array(&w);
  write_usage(&w, answer);
  mnk_json_end_object(&w);
}
