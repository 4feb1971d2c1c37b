/* Captions as WebVTT, SRT and lines for a terminal. */
#include "wire/caption.h"

#include "utf8_priv.h"

#include "base/base.h"

#include <string.h>

typedef enum { FORMAT_VTT, FORMAT_SRT } CueFormat;

/* HH:MM:SS.mmm; hours may have more digits. A cue cannot start before 0. */
static void append_time(GString *out, gint64 ms, char point) {
  ms = MAX(ms, 0);
  g_string_append_printf(out,
                         "%02" G_GINT64_FORMAT ":%02" G_GINT64_FORMAT ":%02" G_GINT64_FORMAT
                         "%c%03" G_GINT64_FORMAT,
                         ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, point, ms % 1000);
}

/* Both formats want an end after the start. */
static void append_interval(GString *out, const MnkCaption *caption, char point,
                            const char *between) {
  gint64 start = MAX(caption->start_ms, 0);
  append_time(out, start, point);
  g_string_append(out, between);
  append_time(out, MAX(caption->end_ms, start + 1), point);
}

/* One character of a cue. WebVTT has escapes. SRT has none, and players read tags in it: the marks
 * that look like them stand in. */
static void append_cue_character(GString *out, gunichar c, gunichar next, CueFormat format) {
  if (c == '<')
    g_string_append(out, format == FORMAT_VTT ? "&lt;" : "\xe2\x80\xb9");
  else if (c == '>')
    g_string_append(out, format == FORMAT_VTT ? "&gt;" : "\xe2\x80\xba");
  else if (c == '&' && format == FORMAT_VTT)
    g_string_append(out, "&amp;");
  else if (c == '{' && next == '\\' && format == FORMAT_SRT)
    g_string_append_c(out, '(');
  else if (g_unichar_iscntrl(c))
    g_string_append_c(out, ' ');
  else
    g_string_append_unichar(out, c);
}

/* The lines that have anything in them, each with line_end behind it. */
static void append_cue_text(GString *out, const char *text, CueFormat format,
                            const char *line_end) {
  g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
  g_auto(GStrv) lines = g_strsplit_set(valid, "\r\n", -1);
  for (char **line = lines; *line; line++) {
    if (*g_strstrip(*line) == '\0')
      continue;
    for (const char *at = *line; *at; at = mnk_utf8_next(at))
      append_cue_character(out, g_utf8_get_char(at), g_utf8_get_char(mnk_utf8_next(at)), format);
    g_string_append(out, line_end);
  }
}

/* As append_cue_text, but all on one line. */
static void append_cue_words(GString *out, const char *text, CueFormat format) {
  gsize start = out->len;
  append_cue_text(out, text, format, " ");
  if (out->len > start)
    g_string_truncate(out, out->len - 1);
}

static const char *gap_reason(const MnkCaption *caption) {
  for (guint i = 0; i < caption->facts->len; i++) {
    const MnkFact *fact = g_ptr_array_index(caption->facts, i);
    if (fact->kind == MNK_FACT_GAP && fact->name)
      return fact->name;
  }
  return "";
}

void mnk_vtt_write_header(GString *out, const char *lang) {
  g_string_append(out, "WEBVTT\n");
  gboolean is_tag =
      lang && *lang && strspn(lang, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-") == strlen(lang);
  if (is_tag)
    g_string_append_printf(out, "Language: %s\n", lang);
  g_string_append_c(out, '\n');
}

void mnk_vtt_write_cue(GString *out, const MnkCaption *caption) {
  if (mnk_caption_is_gap(caption)) {
    g_string_append(out, "NOTE not seen: ");
    append_interval(out, caption, '.', " to ");
    g_string_append_c(out, ' ');
    append_cue_words(out, gap_reason(caption), FORMAT_VTT);
    g_string_append(out, "\n\n");
    return;
  }
  gsize start = out->len;
  append_cue_words(out, caption->id, FORMAT_VTT);
  if (out->len > start)
    g_string_append_c(out, '\n');
  append_interval(out, caption, '.', " --> ");
  g_string_append_c(out, '\n');
  append_cue_text(out, caption->text, FORMAT_VTT, "\n");
  g_string_append_c(out, '\n');
}

void mnk_srt_write_cue(GString *out, guint number, const MnkCaption *caption) {
  if (mnk_caption_is_gap(caption))
    return;
  g_string_append_printf(out, "%u\r\n", number);
  append_interval(out, caption, ',', " --> ");
  g_string_append(out, "\r\n");
  append_cue_text(out, caption->text, FORMAT_SRT, "\r\n");
  g_string_append(out, "\r\n");
}

static gint64 rounded(gint64 ms, gint64 step) {
  return (MAX(ms, 0) + step / 2) / step * step;
}

/* 0:04, 1:02:03, or 0:04.5 in steps of less than a second; rounded, so that neighbours still meet.
 */
static void append_clock(GString *out, gint64 ms, gint64 step) {
  gint64 at = rounded(ms, step), s = at / 1000;
  if (s >= 3600)
    g_string_append_printf(out, "%" G_GINT64_FORMAT ":%02" G_GINT64_FORMAT, s / 3600, s / 60 % 60);
  else
    g_string_append_printf(out, "%" G_GINT64_FORMAT, s / 60);
  g_string_append_printf(out, ":%02" G_GINT64_FORMAT, s % 60);
  if (step < 1000)
    g_string_append_printf(out, ".%" G_GINT64_FORMAT, at / 100 % 10);
}

/* Whole seconds, but tenths for an interval that would look empty. */
static gint64 clock_step(const MnkCaption *caption) {
  gboolean empty = rounded(caption->start_ms, 1000) == rounded(caption->end_ms, 1000);
  return empty && rounded(caption->start_ms, 100) != rounded(caption->end_ms, 100) ? 100 : 1000;
}

/* Safe for a terminal, on one line. */
static void append_terminal_text(GString *out, const char *text) {
  g_autofree char *line = g_strdup(text);
  g_autofree char *escaped = mnk_text_escape(g_strdelimit(line, "\r\n\t", ' '));
  g_string_append(out, escaped);
}

void mnk_text_write_line(GString *out, const MnkCaption *caption) {
  g_string_append_c(out, '[');
  gint64 step = clock_step(caption);
  append_clock(out, caption->start_ms, step);
  g_string_append(out, " - ");
  append_clock(out, caption->end_ms, step);
  g_string_append(out, "]  ");
  if (caption->text && *caption->text) {
    append_terminal_text(out, caption->text);
  } else if (mnk_caption_is_gap(caption)) {
    g_string_append(out, "(not seen: ");
    append_terminal_text(out, gap_reason(caption));
    g_string_append_c(out, ')');
  }
  g_string_append_c(out, '\n');
}
