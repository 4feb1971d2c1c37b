#include "cli/cli.h"
#include "store/store.h"

#include <stdio.h>
#include <unistd.h>

/* The part of the timeline that is asked for. */
typedef struct {
  const char *stream;
  gint64 from_ms, to_ms;
  guint limit;
} Range;

static Range range_of(const MnkSettings *settings) {
  return (Range){
      .stream = mnk_settings_string(settings, MNK_OPT_STREAM),
      .from_ms = mnk_settings_is_set(settings, MNK_OPT_FROM)
                     ? mnk_settings_int(settings, MNK_OPT_FROM)
                     : 0,
      .to_ms =
          mnk_settings_is_set(settings, MNK_OPT_TO) ? mnk_settings_int(settings, MNK_OPT_TO) : -1,
      .limit = (guint)mnk_settings_int(settings, MNK_OPT_LIMIT),
  };
}

static MnkStore *open_store(const MnkSettings *settings, GError **error) {
  g_autofree char *path = mnk_cli_db_path(settings);
  return mnk_store_open(path, MNK_STORE_READ, error);
}

/* Whole seconds, as captions are listed. Caller frees. */
static char *clock_text(gint64 ms) {
  return mnk_format_time_ms((ms + 500) / 1000 * 1000);
}

/* ---- captions ---- */

static gboolean list_streams(MnkStore *store, MnkOutput *output, GError **error) {
  g_autoptr(GPtrArray) rows = mnk_store_streams(store, error);
  if (rows == NULL)
    return FALSE;
  g_autoptr(GString) out = g_string_new(NULL);
  if (rows->len == 0)
    g_string_append(out, "The timeline is empty.\n");
  for (guint i = 0; i < rows->len; i++) {
    const MnkStreamRow *row = rows->pdata[i];
    g_autofree char *start = clock_text(row->start_ms);
    g_autofree char *end = clock_text(row->end_ms);
    g_autofree char *source = mnk_text_escape(row->source);
    g_string_append_printf(out, "%-24s %6" G_GUINT64_FORMAT " captions  %s - %s  %s\n", row->id,
                           row->captions, start, end, source);
  }
  return mnk_output_raw(output, out->str, out->len, error);
}

static gboolean run_captions(const MnkSettings *settings, char **rest, GError **error) {
  Range range = range_of(settings);
  g_autoptr(MnkStore) store = open_store(settings, error);
  g_autoptr(MnkOutput) output = store != NULL ? mnk_output_open(settings, error) : NULL;
  if (output == NULL)
    return FALSE;
  if (rest[0] != NULL)
    range.stream = rest[0];
  if (range.stream == NULL)
    return list_streams(store, output, error) && mnk_output_close(output, error);
  g_autoptr(GPtrArray) captions =
      mnk_store_captions(store, range.stream, range.from_ms, range.to_ms, range.limit, error);
  if (captions == NULL)
    return FALSE;
  if (captions->len == 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "there are no captions of a stream %s there",
                range.stream);
    return FALSE;
  }
  for (guint i = 0; i < captions->len; i++)
    if (!mnk_output_write(output, captions->pdata[i], error))
      return FALSE;
  return mnk_output_close(output, error);
}

const MnkCommand mnk_command_captions = {
    .name = "captions",
    .set = MNK_COMMAND_CAPTIONS,
    .arguments = "[STREAM]",
    .summary = "Show the captions of a stream, or list the streams",
    .min_rest = 0,
    .max_rest = 1,
    .run = run_captions,
};

/* ---- search ---- */

/* The marks around a match become bold on a terminal and vanish elsewhere. */
static void append_snippet(GString *out, const char *snippet) {
  for (const char *p = snippet; *p != '\0'; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (c == 0x2068)
      g_string_append(out, mnk_style(STDOUT_FILENO, MNK_STYLE_BOLD));
    else if (c == 0x2069)
      g_string_append(out, mnk_style(STDOUT_FILENO, MNK_STYLE_PLAIN));
    else if (g_unichar_iscntrl(c))
      g_string_append_c(out, ' ');
    else
      g_string_append_unichar(out, c);
  }
}

static void write_hit(GString *out, const MnkSearchHit *hit) {
  g_autofree char *start = clock_text(hit->caption->start_ms);
  g_autofree char *end = clock_text(hit->caption->end_ms);
  g_string_append_printf(out, "%s [%s - %s]  ", hit->caption->stream, start, end);
  append_snippet(out, hit->snippet);
  g_string_append_c(out, '\n');
}

static gboolean write_hits(const MnkSettings *settings, MnkOutput *output, const GPtrArray *hits,
                           GError **error) {
  gboolean text = mnk_settings_int(settings, MNK_OPT_FORMAT) == MNK_FORMAT_TEXT;
  for (guint i = 0; i < hits->len; i++) {
    const MnkSearchHit *hit = hits->pdata[i];
    g_autoptr(GString) out = g_string_new(NULL);
    if (text)
      write_hit(out, hit);
    if (text ? !mnk_output_raw(output, out->str, out->len, error)
             : !mnk_output_write(output, hit->caption, error))
      return FALSE;
  }
  return mnk_output_close(output, error);
}

static gboolean run_search(const MnkSettings *settings, char **rest, GError **error) {
  Range range = range_of(settings);
  g_autofree char *query = g_strjoinv(" ", rest);
  g_autoptr(MnkStore) store = open_store(settings, error);
  g_autoptr(MnkOutput) output = store != NULL ? mnk_output_open(settings, error) : NULL;
  if (output == NULL)
    return FALSE;
  g_autoptr(GPtrArray) hits =
      mnk_store_search(store, query, range.stream, range.from_ms, range.to_ms, range.limit, error);
  if (hits == NULL)
    return FALSE;
  if (hits->len == 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "nothing in the timeline matches \"%s\"",
                query);
    return FALSE;
  }
  return write_hits(settings, output, hits, error);
}

const MnkCommand mnk_command_search = {
    .name = "search",
    .set = MNK_COMMAND_SEARCH,
    .arguments = "WORDS...",
    .summary = "Find captions by their words",
    .details =
        "All words must occur; \"words in quotes\" must stand together. English words match their "
        "other forms, Japanese is found without spaces.",
    .min_rest = 1,
    .max_rest = 64,
    .run = run_search,
};
