/* Answers: their life and their form as JSON. */
#include "ask/ask_priv.h"

#include <math.h>

enum { SCORE_DECIMALS = 4, TIME_DECIMALS = 1 };

void mnk_answer_free(MnkAnswer *answer) {
  if (!answer)
    return;
  g_free(answer->id);
  g_free(answer->stream);
  g_free(answer->question);
  g_free(answer->text);
  g_free(answer->conversation);
  g_free(answer->backend);
  g_free(answer->model);
  g_free(answer->router);
  g_free(answer->finish);
  g_clear_pointer(&answer->evidence, g_ptr_array_unref);
  g_free(answer);
}

static void add_int_or_null(MnkJsonWriter *w, const char *key, gint64 value) {
  if (value >= 0)
    mnk_json_add_int(w, key, value);
  else
    mnk_json_add_null(w, key);
}

/* Ids of streams are letters, digits, '-' and '_'. */
static void add_picture(MnkJsonWriter *w, const char *stream, gint64 picture_ms) {
  g_autofree char *path =
      g_strdup_printf("/v1/streams/%s/frames/%" G_GINT64_FORMAT ".jpg", stream, picture_ms);
  mnk_json_add_string(w, "picture", picture_ms >= 0 ? path : NULL);
}

static void write_evidence(MnkJsonWriter *w, const char *stream,
                           const MnkAnswerEvidence *evidence) {
  mnk_json_begin_object(w, NULL);
  mnk_json_add_int(w, "start_ms", evidence->start_ms);
  mnk_json_add_int(w, "end_ms", evidence->end_ms);
  mnk_json_add_double(w, "score", evidence->score, SCORE_DECIMALS); /* NAN: null */
  mnk_json_add_string(w, "why", evidence->why);
  add_int_or_null(w, "picture_ms", evidence->picture_ms);
  add_picture(w, stream, evidence->picture_ms);
  mnk_json_add_string(w, "caption", evidence->caption);
  mnk_json_add_string(w, "text", evidence->text);
  mnk_json_add_int(w, "tokens", evidence->tokens);
  mnk_json_end_object(w);
}

static void write_usage(MnkJsonWriter *w, const MnkAnswer *answer) {
  mnk_json_begin_object(w, "usage");
  mnk_json_add_int(w, "prompt_tokens", (gint64)answer->prompt_tokens);
  mnk_json_add_int(w, "visual_tokens", (gint64)answer->visual_tokens);
  mnk_json_add_int(w, "cached_tokens", (gint64)answer->cached_tokens);
  mnk_json_add_int(w, "answer_tokens", (gint64)answer->answer_tokens);
  mnk_json_end_object(w);
}

static void write_times(MnkJsonWriter *w, const MnkAnswer *answer) {
  mnk_json_begin_object(w, "times");
  mnk_json_add_double(w, "log_ms", answer->log_ms, TIME_DECIMALS);
  mnk_json_add_double(w, "wait_ms", answer->wait_ms, TIME_DECIMALS);
  mnk_json_add_double(w, "route_ms", answer->route_ms, TIME_DECIMALS);
  mnk_json_add_double(w, "prompt_ms", answer->prompt_ms, TIME_DECIMALS);
  mnk_json_add_double(w, "first_ms", answer->first_ms, TIME_DECIMALS);
  mnk_json_add_double(w, "answer_ms", answer->answer_ms, TIME_DECIMALS);
  mnk_json_add_double(w, "total_ms", answer->total_ms, TIME_DECIMALS);
  mnk_json_end_object(w);
}

void mnk_answer_write(const MnkAnswer *answer, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "id", answer->id);
  mnk_json_add_string(&w, "stream", answer->stream);
  mnk_json_add_string(&w, "question", answer->question);
  mnk_json_add_string(&w, "text", answer->text);
  mnk_json_add_string(&w, "conversation", answer->conversation);
  mnk_json_add_string(&w, "backend", answer->backend);
  mnk_json_add_string(&w, "model", answer->model);
  mnk_json_add_string(&w, "router", answer->router);
  mnk_json_add_bool(&w, "history", answer->history);
  mnk_json_add_string(&w, "finish", answer->finish);
  add_int_or_null(&w, "asked_ms", answer->asked_ms);
  mnk_json_begin_array(&w, "evidence");
  for (guint i = 0; i < answer->evidence->len; i++)
    write_evidence(&w, answer->stream, answer->evidence->pdata[i]);
  mnk_json_end_array(&w);
  write_usage(&w, answer);
  write_times(&w, answer);
  mnk_json_end_object(&w);
}

/* Stretches that touch are one. */
char *mnk_answer_intervals(const MnkAnswer *answer) {
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < answer->evidence->len;) {
    const MnkAnswerEvidence *first = answer->evidence->pdata[i];
    gint64 end_ms = first->end_ms;
    for (i++; i < answer->evidence->len; i++) {
      const MnkAnswerEvidence *next = answer->evidence->pdata[i];
      if (next->start_ms > end_ms)
        break;
      end_ms = MAX(end_ms, next->end_ms);
    }
    g_autofree char *interval = mnk_interval_text(first->start_ms, end_ms);
    g_string_append_printf(out, "%s%s", out->len > 0 ? ", " : "", interval);
  }
  return g_string_free(out, FALSE);
}
