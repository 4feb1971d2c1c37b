/* One write as rows: streams and captions. */
#include "rows_priv.h"

#include "base/base.h"

#include <string.h>

/* A stream's row, summed up over its captions. */
typedef struct {
  gint64 owner, captions, start_ms, end_ms, longest_ms, last_seq, highest_number;
} Summary;

/* ---- Streams ---- */

/* *summary: owner 0 when there is no such stream. */
static gboolean find_stream(MnkRows *rows, const char *stream, Summary *summary, GError **error) {
  *summary = (Summary){0};
  sqlite3_stmt *find = mnk_rows_statement(rows, MNK_SQL_FIND_STREAM, error);
  if (find == NULL)
    return FALSE;
  mnk_rows_bind_text(find, 1, stream);
  MnkRowResult result = mnk_rows_first(rows, find, error);
  if (result != MNK_ROW_FOUND)
    return result == MNK_ROW_NONE;
  gint64 *const members[] = {&summary->owner,         &summary->captions,   &summary->start_ms,
                             &summary->end_ms,        &summary->longest_ms, &summary->last_seq,
                             &summary->highest_number};
  for (guint i = 0; i < G_N_ELEMENTS(members); i++)
    *members[i] = sqlite3_column_int64(find, (int)i);
  return mnk_rows_finish(rows, find, error);
}

static gboolean new_stream(MnkRows *rows, const char *stream, gint64 *owner, GError **error) {
  sqlite3_stmt *insert = mnk_rows_statement(rows, MNK_SQL_NEW_STREAM, error);
  if (insert == NULL)
    return FALSE;
  mnk_rows_bind_text(insert, 1, stream);
  sqlite3_bind_int64(insert, 2, g_get_real_time());
  MnkRowResult result = mnk_rows_first(rows, insert, error);
  if (result != MNK_ROW_FOUND)
    return FALSE;
  *owner = sqlite3_column_int64(insert, 0);
  return mnk_rows_finish(rows, insert, error);
}

static gboolean know_stream(MnkRows *rows, const char *stream, Summary *summary, GError **error) {
  return find_stream(rows, stream, summary, error) &&
         (summary->owner != 0 || new_stream(rows, stream, &summary->owner, error));
}

gboolean mnk_rows_find_stream(MnkRows *rows, const char *stream, gint64 *owner, GError **error) {
  Summary summary;
  gboolean ok = find_stream(rows, stream, &summary, error);
  *owner = summary.owner;
  return ok;
}

gboolean mnk_rows_know_stream(MnkRows *rows, const char *stream, gint64 *owner, GError **error) {
  Summary summary;
  gboolean ok = know_stream(rows, stream, &summary, error);
  *owner = summary.owner;
  return ok;
}

static gboolean sum_up(MnkRows *rows, const Summary *summary, GError **error) {
  sqlite3_stmt *update = mnk_rows_statement(rows, MNK_SQL_SUM_UP, error);
  if (update == NULL)
    return FALSE;
  const gint64 values[] = {summary->owner,         summary->captions,   summary->start_ms,
                           summary->end_ms,        summary->longest_ms, summary->last_seq,
                           summary->highest_number};
  for (guint i = 0; i < G_N_ELEMENTS(values); i++)
    sqlite3_bind_int64(update, (int)i + 1, values[i]);
  return mnk_rows_finish(rows, update, error);
}

static gboolean remove_stream(MnkRows *rows, const char *stream, GError **error) {
  sqlite3_stmt *removal = mnk_rows_statement(rows, MNK_SQL_REMOVE_STREAM, error);
  if (removal == NULL)
    return FALSE;
  mnk_rows_bind_text(removal, 1, stream);
  MnkRowResult result = mnk_rows_first(rows, removal, error);
  if (result != MNK_ROW_FOUND)
    return result == MNK_ROW_NONE;
  gint64 owner = sqlite3_column_int64(removal, 0);
  return mnk_rows_finish(rows, removal, error) &&
         mnk_rows_run(rows, MNK_SQL_NOTE_REMOVED, owner, 0, NULL, error);
}

static gboolean put_stream(MnkRows *rows, const MnkWrite *write, GError **error) {
  if (write->replace && !remove_stream(rows, write->stream, error))
    return FALSE;
  sqlite3_stmt *put = mnk_rows_statement(rows, MNK_SQL_PUT_STREAM, error);
  if (put == NULL)
    return FALSE;
  mnk_rows_bind_text(put, 1, write->stream);
  mnk_rows_bind_text(put, 2, write->source);
  mnk_rows_bind_text(put, 3, write->spec);
  sqlite3_bind_int64(put, 4, write->created_us);
  sqlite3_bind_int(put, 5, write->resume ? 1 : 0);
  return mnk_rows_finish(rows, put, error);
}

static gboolean end_stream(MnkRows *rows, const char *stream, GError **error) {
  sqlite3_stmt *end = mnk_rows_statement(rows, MNK_SQL_END_STREAM, error);
  if (end == NULL)
    return FALSE;
  mnk_rows_bind_text(end, 1, stream);
  return mnk_rows_finish(rows, end, error);
}

/* ---- Captions as texts ---- */

static char *facts_json(const MnkCaption *caption) {
  g_autoptr(GString) out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_array(&w, NULL);
  for (guint i = 0; i < caption->facts->len; i++)
    mnk_fact_write_json(g_ptr_array_index(caption->facts, i), &w);
  mnk_json_end_array(&w);
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static gboolean is_searched(const MnkFact *fact) {
  return fact->kind == MNK_FACT_OBJECT || fact->kind == MNK_FACT_SCENE ||
         fact->kind == MNK_FACT_TEXT || fact->kind == MNK_FACT_ACTION;
}

/* The names of what can be searched for, one a line; an action stands behind its subject. */
static char *fact_names(const MnkCaption *caption) {
  g_autoptr(GString) out = g_string_new(NULL);
  for (guint i = 0; i < caption->facts->len; i++) {
    const MnkFact *fact = g_ptr_array_index(caption->facts, i);
    if (!is_searched(fact))
      continue;
    if (fact->of != NULL)
      g_string_append_printf(out, "%s ", fact->of);
    g_string_append_printf(out, "%s\n", fact->name != NULL ? fact->name : "");
  }
  return g_string_free(g_steal_pointer(&out), FALSE);
}

/* ---- Captions ---- */

typedef struct {
  gint64 number, start_ms, end_ms; /* number 0: there is none */
} Before;

static gboolean find_caption(MnkRows *rows, gint64 owner, const char *id, Before *before,
                             GError **error) {
  *before = (Before){0};
  sqlite3_stmt *find = mnk_rows_statement(rows, MNK_SQL_FIND_CAPTION, error);
  if (find == NULL)
    return FALSE;
  sqlite3_bind_int64(find, 1, owner);
  mnk_rows_bind_text(find, 2, id);
  MnkRowResult result = mnk_rows_first(rows, find, error);
  if (result != MNK_ROW_FOUND)
    return result == MNK_ROW_NONE;
  *before = (Before){sqlite3_column_int64(find, 0), sqlite3_column_int64(find, 1),
                     sqlite3_column_int64(find, 2)};
  return mnk_rows_finish(rows, find, error);
}

gboolean mnk_rows_find_caption(MnkRows *rows, gint64 owner, const char *id, gint64 *number,
                               GError **error) {
  Before before;
  gboolean ok = find_caption(rows, owner, id, &before, error);
  *number = before.number;
  return ok;
}

static gboolean put_row(MnkRows *rows, const Summary *summary, const MnkCaption *caption,
                        Before *place, GError **error) {
  sqlite3_stmt *put = mnk_rows_statement(
      rows, place->number != 0 ? MNK_SQL_CHANGE_CAPTION : MNK_SQL_NEW_CAPTION, error);
  if (put == NULL)
    return FALSE;
  g_autofree char *facts = facts_json(caption);
  sqlite3_bind_int64(put, 1, summary->owner);
  mnk_rows_bind_text(put, 2, caption->id);
  sqlite3_bind_int64(put, 3, (gint64)caption->seq);
  sqlite3_bind_int64(put, 4, caption->start_ms);
  sqlite3_bind_int64(put, 5, caption->end_ms);
  sqlite3_bind_int(put, 6, caption->final ? 1 : 0);
  mnk_rows_bind_text(put, 7, caption->backend);
  mnk_rows_bind_text(put, 8, caption->lang);
  mnk_rows_bind_text(put, 9, caption->text);
  mnk_rows_bind_text(put, 10, facts);
  sqlite3_bind_int64(put, 11, caption->picture_ms);
  if (mnk_rows_first(rows, put, error) != MNK_ROW_FOUND)
    return FALSE;
  place->number = sqlite3_column_int64(put, 0);
  return mnk_rows_finish(rows, put, error);
}

static gboolean index_caption(MnkRows *rows, MnkSql sql, const MnkCaption *caption, gint64 number,
                              GError **error) {
  sqlite3_stmt *index = mnk_rows_statement(rows, sql, error);
  if (index == NULL)
    return FALSE;
  g_autofree char *names = fact_names(caption);
  g_autofree char *folded_names = mnk_search_fold(names);
  g_autofree char *folded_text = mnk_search_fold(caption->text != NULL ? caption->text : "");
  sqlite3_bind_int64(index, 1, number);
  mnk_rows_bind_text(index, 2, folded_text);
  mnk_rows_bind_text(index, 3, folded_names);
  return mnk_rows_finish(rows, index, error);
}

/* 0: the id is no whole number of at most 15 digits. */
static gint64 number_of_id(const char *id) {
  gsize length = strlen(id);
  if (length == 0 || length > 15 || strspn(id, "0123456789") != length)
    return 0;
  return g_ascii_strtoll(id, NULL, 10);
}

static gboolean measure_extent(MnkRows *rows, Summary *summary, GError **error) {
  sqlite3_stmt *extent = mnk_rows_statement(rows, MNK_SQL_EXTENT, error);
  if (extent == NULL)
    return FALSE;
  sqlite3_bind_int64(extent, 1, summary->owner);
  if (mnk_rows_first(rows, extent, error) != MNK_ROW_FOUND)
    return FALSE;
  summary->start_ms = sqlite3_column_int64(extent, 0);
  summary->end_ms = sqlite3_column_int64(extent, 1);
  return mnk_rows_finish(rows, extent, error);
}

/* A caption that took its stream's end (or beginning) back has all of them looked at again. */
static gboolean add_to_summary(MnkRows *rows, Summary *summary, const MnkCaption *caption,
                               const Before *before, GError **error) {
  gboolean is_first = summary->captions == 0;
  gboolean shrank =
      before->number != 0 &&
      ((before->start_ms == summary->start_ms && caption->start_ms > before->start_ms) ||
       (before->end_ms == summary->end_ms && caption->end_ms < before->end_ms));
  summary->captions += before->number == 0 ? 1 : 0;
  summary->start_ms = is_first ? caption->start_ms : MIN(summary->start_ms, caption->start_ms);
  summary->end_ms = is_first ? caption->end_ms : MAX(summary->end_ms, caption->end_ms);
  summary->longest_ms = MAX(summary->longest_ms, caption->end_ms - caption->start_ms);
  summary->last_seq = MAX(summary->last_seq, (gint64)caption->seq);
  summary->highest_number = MAX(summary->highest_number, number_of_id(caption->id));
  return (!shrank || measure_extent(rows, summary, error)) && sum_up(rows, summary, error);
}

static gboolean put_caption(MnkRows *rows, MnkCaption *caption, GError **error) {
  Summary summary;
  Before before;
  if (!know_stream(rows, caption->stream, &summary, error) ||
      !find_caption(rows, summary.owner, caption->id, &before, error))
    return FALSE;
  if (caption->seq == 0)
    caption->seq = (guint64)summary.last_seq + 1;
  Before place = before;
  if (!put_row(rows, &summary, caption, &place, error))
    return FALSE;
  gboolean is_new = before.number == 0;
  /* The words have changed: the old ones' meaning goes. */
  if (!is_new && !mnk_rows_run(rows, MNK_SQL_TAKE_VECTOR, place.number, 0, NULL, error))
    return FALSE;
  return index_caption(rows, is_new ? MNK_SQL_NEW_INDEX : MNK_SQL_CHANGE_INDEX, caption,
                       place.number, error) &&
         add_to_summary(rows, &summary, caption, &before, error);
}

/* ---- One write ---- */

gboolean mnk_rows_write(MnkRows *rows, const MnkWrite *write, GError **error) {
  switch (write->kind) {
  case MNK_WRITE_CAPTION:
    return put_caption(rows, write->caption, error);
  case MNK_WRITE_STREAM:
    return put_stream(rows, write, error);
  case MNK_WRITE_END_STREAM:
    return end_stream(rows, write->stream, error);
  case MNK_WRITE_DELETE_STREAM:
    return remove_stream(rows, write->stream, error);
  case MNK_WRITE_PICTURE:
    return mnk_rows_put_picture(rows, write, error);
  case MNK_WRITE_VECTOR:
    return mnk_rows_put_vector(rows, write, error);
  case MNK_WRITE_QUOTA:
    rows->picture_quota = write->bytes_max;
    return TRUE;
  }
  g_return_val_if_reached(FALSE);
}
