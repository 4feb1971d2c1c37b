#include "cli/ask_priv.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

gboolean mnk_show_piece(MnkOutput *output, const char *text, GError **error) {
  g_autoptr(GString) safe = g_string_new(NULL);
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (c == '\n' || c == '\t' || !g_unichar_iscntrl(c))
      g_string_append_unichar(safe, c);
  }
  return mnk_output_raw(output, safe->str, safe->len, error);
}

/* ---- what it rests on ---- */

static void show_evidence(const MnkAnswerEvidence *evidence) {
  g_autofree char *start = mnk_format_time_ms((evidence->start_ms + 500) / 1000 * 1000);
  g_autofree char *end = mnk_format_time_ms((evidence->end_ms + 500) / 1000 * 1000);
  g_autofree char *score =
      isnan(evidence->score) ? g_strdup("-") : g_strdup_printf("%.3f", evidence->score);
  g_autofree char *text = mnk_text_escape(evidence->text != NULL ? evidence->text : "");
  fprintf(stderr, "  [%s - %s]  %-9s  %6s%s%s\n", start, end, evidence->why, score,
          *text != '\0' ? "  " : "", text);
}

static void show_source(const MnkAnswer *answer) {
  g_autoptr(GString) line = g_string_new(answer->backend);
  if (answer->model != NULL && *answer->model != '\0')
    g_string_append_printf(line, ", %s", answer->model);
  if (answer->router != NULL && *answer->router != '\0')
    g_string_append_printf(line, ", %s%s", answer->router, answer->history ? "" : " (no past)");
  if (answer->prompt_tokens > 0)
    g_string_append_printf(
        line,
        ", %" G_GUINT64_FORMAT " tokens read (%" G_GUINT64_FORMAT " of pictures, %" G_GUINT64_FORMAT
        " known), %" G_GUINT64_FORMAT " written",
        answer->prompt_tokens, answer->visual_tokens, answer->cached_tokens, answer->answer_tokens);
  g_string_append_printf(line, ", %.1f s", answer->total_ms / 1000);
  g_autofree char *safe = mnk_text_escape(line->str);
  fprintf(stderr, "  %s%s\n", safe,
          g_strcmp0(answer->finish, "length") == 0 ? "; cut at --answer-tokens" : "");
}

gboolean mnk_show_answer(MnkOutput *output, const MnkAnswer *answer, gboolean told,
                         GError **error) {
  if ((!told && !mnk_show_piece(output, answer->text, error)) ||
      !mnk_output_raw(output, "\n", 1, error))
    return FALSE;
  fputs(mnk_style(STDERR_FILENO, MNK_STYLE_DIM), stderr);
  for (guint i = 0; i < answer->evidence->len; i++)
    show_evidence(answer->evidence->pdata[i]);
  show_source(answer);
  fputs(mnk_style(STDERR_FILENO, MNK_STYLE_PLAIN), stderr);
  return TRUE;
}

gboolean mnk_show_json(MnkOutput *output, const MnkAnswer *answer, GError **error) {
  g_autoptr(GString) line = g_string_new(NULL);
  mnk_answer_write(answer, line);
  g_string_append_c(line, '\n');
  return mnk_output_raw(output, line->str, line->len, error);
}

/* ---- counts ---- */

static void write_local(MnkJsonWriter *w, const MnkLocal *local) {
  MnkLocalCounters c;
  mnk_local_counters(local, &c);
  mnk_json_begin_object(w, "local");
  mnk_json_add_int(w, "frames", (gint64)c.frames);
  mnk_json_add_int(w, "encoded", (gint64)c.encoded);
  mnk_json_add_int(w, "left_out", (gint64)c.left_out);
  mnk_json_add_int(w, "waiting", c.waiting);
  mnk_json_add_int(w, "clips", (gint64)c.clips);
  mnk_json_add_int(w, "questions", (gint64)c.questions);
  mnk_json_add_int(w, "deaths", (gint64)c.deaths);
  mnk_json_add_int(w, "memory_bytes", (gint64)c.memory_bytes);
  mnk_json_add_int(w, "prompt_tokens", (gint64)c.prompt_tokens);
  mnk_json_add_int(w, "visual_tokens", (gint64)c.visual_tokens);
  mnk_json_add_int(w, "cached_tokens", (gint64)c.cached_tokens);
  mnk_json_add_int(w, "answer_tokens", (gint64)c.answer_tokens);
  mnk_json_add_double(w, "encode_ms", c.encode_ms, 1);
  mnk_json_add_double(w, "remember_ms", c.remember_ms, 1);
  mnk_json_add_double(w, "route_ms", c.route_ms, 1);
  mnk_json_add_double(w, "prompt_ms", c.prompt_ms, 1);
  mnk_json_add_double(w, "answer_ms", c.answer_ms, 1);
  mnk_json_end_object(w);
}

void mnk_show_counts(MnkJsonWriter *w, const MnkAskerCounters *asked, const MnkLocal *local) {
  mnk_json_add_int(w, "asked", (gint64)asked->asked);
  mnk_json_add_int(w, "answered", (gint64)asked->answered);
  mnk_json_add_int(w, "failed", (gint64)asked->failed);
  if (local != NULL)
    write_local(w, local);
}
