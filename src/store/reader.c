/* Reading: streams, captions by time, by seq and by words, pictures. */
#include "store_priv.h"

#include "base/base.h"

#include <string.h>

#define CAPTION_COLUMNS                                                                            \
  "s.id, c.id, c.start_ms, c.end_ms, c.final, c.backend, c.lang, c.text, c.facts, c.seq, "         \
  "c.picture_ms"
enum { N_CAPTION_COLUMNS = 11 };

/* Rows whose stream was removed are nobody's, and not seen. */
#define FROM_CAPTIONS " FROM captions c JOIN streams s ON s.number = c.owner "

/* ?2: from, ?3: to or negative (?1 is the stream, ?4 the limit). An interval without length
 * overlaps where it begins. */
#define OVERLAPS                                                                                   \
  "(?3 < 0 OR c.start_ms < ?3) "                                                                   \
  "AND (c.end_ms > ?2 OR (c.start_ms = c.end_ms AND c.start_ms >= ?2))"

/* The first of them in an index by time: none is longer than the longest. */
#define FROM_THE_FIRST(of) "c.start_ms >= ?2 - (SELECT max(longest_ms) FROM streams" of ") AND "

/* Words around the first match that a search shows. */
#define SNIPPET_WORDS "60"

void mnk_stream_row_free(MnkStreamRow *row) {
  if (row == NULL)
    return;
  g_free(row->id);
  g_free(row->source);
  g_free(row->spec);
  g_free(row);
}

void mnk_search_hit_free(MnkSearchHit *hit) {
  if (hit == NULL)
    return;
  mnk_caption_free(hit->caption);
  g_free(hit->snippet);
  g_free(hit);
}

static char *column_text(sqlite3_stmt *stmt, int column) {
  const char *text = (const char *)sqlite3_column_text(stmt, column);
  return g_strdup(text != NULL ? text : "");
}

static void warn_of_facts(const MnkCaption *caption, const GError *error) {
  mnk_warning("store", caption->stream, "event=bad-facts caption=%s error=\"%s\"", caption->id,
              error->message);
}

static void read_fact(MnkCaption *caption, const MnkJsonValue *value) {
  g_autoptr(GError) error = NULL;
  MnkFact *fact = mnk_fact_read_json(value, &error);
  if (fact != NULL)
    g_ptr_array_add(caption->facts, fact);
  else
    warn_of_facts(caption, error);
}

/* A fact that cannot be read costs itself, not the caption. */
static void read_facts(MnkCaption *caption, const char *text) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkJson) json = mnk_json_parse(text, strlen(text), NULL, &error);
  if (json == NULL) {
    warn_of_facts(caption, error);
    return;
  }
  const MnkJsonValue *array = mnk_json_root(json);
  for (guint i = 0; i < mnk_json_size(array); i++)
    read_fact(caption, mnk_json_at(array, i));
}

static MnkCaption *read_caption(sqlite3_stmt *stmt) {
  MnkCaption *caption = mnk_caption_new();
  g_autofree char *facts = column_text(stmt, 8);
  caption->stream = column_text(stmt, 0);
  caption->id = column_text(stmt, 1);
  caption->start_ms = sqlite3_column_int64(stmt, 2);
  caption->end_ms = sqlite3_column_int64(stmt, 3);
  caption->final = sqlite3_column_int(stmt, 4) != 0;
  caption->backend = column_text(stmt, 5);
  caption->lang = column_text(stmt, 6);
  caption->text = column_text(stmt, 7);
  caption->seq = (guint64)sqlite3_column_int64(stmt, 9);
  caption->picture_ms = sqlite3_column_int64(stmt, 10);
  read_facts(caption, facts);
  return caption;
}

static void bind_filter(sqlite3_stmt *stmt, const MnkStoreFilter *filter) {
  sqlite3_bind_text(stmt, 1, filter->stream, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, filter->from_ms);
  sqlite3_bind_int64(stmt, 3, filter->to_ms);
  sqlite3_bind_int64(stmt, 4, filter->limit);
}

/* One row as one element. */
typedef gpointer (*ReadRow)(sqlite3_stmt *stmt);

static GPtrArray *read_rows(sqlite3 *db, sqlite3_stmt *stmt, ReadRow read_row,
                            GDestroyNotify free_row, GError **error) {
  g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(free_row);
  int code;
  while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
    g_ptr_array_add(rows, read_row(stmt));
  if (code != SQLITE_DONE) {
    mnk_db_fail(db, error);
    return NULL;
  }
  return g_steal_pointer(&rows);
}

/* The one row that there may be; NULL without an error: there is none. */
static gpointer read_one(sqlite3 *db, sqlite3_stmt *stmt, ReadRow read_row, GError **error) {
  int code = sqlite3_step(stmt);
  if (code == SQLITE_ROW)
    return read_row(stmt);
  if (code != SQLITE_DONE)
    mnk_db_fail(db, error);
  return NULL;
}

/* ---- Streams ---- */

#define STREAM_ROWS                                                                                \
  "SELECT id, source, spec, created_us, resume, captions, start_ms, end_ms, last_seq, "            \
  "highest_number + 1 FROM streams "

static gpointer read_stream_row(sqlite3_stmt *stmt) {
  MnkStreamRow *row = g_new0(MnkStreamRow, 1);
  row->id = column_text(stmt, 0);
  row->source = column_text(stmt, 1);
  row->spec = column_text(stmt, 2);
  row->created_us = sqlite3_column_int64(stmt, 3);
  row->resume = sqlite3_column_int(stmt, 4) != 0;
  row->captions = (guint64)sqlite3_column_int64(stmt, 5);
  row->start_ms = sqlite3_column_int64(stmt, 6);
  row->end_ms = sqlite3_column_int64(stmt, 7);
  row->last_seq = (guint64)sqlite3_column_int64(stmt, 8);
  row->next_number = (guint64)sqlite3_column_int64(stmt, 9);
  return row;
}

GPtrArray *mnk_db_streams(sqlite3 *db, GError **error) {
  g_autoptr(sqlite3_stmt) stmt =
      mnk_db_prepare(db, STREAM_ROWS "ORDER BY created_us DESC, id", error);
  if (stmt == NULL)
    return NULL;
  return read_rows(db, stmt, read_stream_row, (GDestroyNotify)mnk_stream_row_free, error);
}

MnkStreamRow *mnk_db_stream(sqlite3 *db, const char *id, GError **error) {
  g_autoptr(sqlite3_stmt) stmt = mnk_db_prepare(db, STREAM_ROWS "WHERE id = ?1", error);
  if (stmt == NULL)
    return NULL;
  sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC);
  return read_one(db, stmt, read_stream_row, error);
}

/* ---- Captions by time and by seq ---- */

static gpointer read_caption_row(sqlite3_stmt *stmt) {
  return read_caption(stmt);
}

GPtrArray *mnk_db_captions(sqlite3 *db, const MnkStoreFilter *filter, GError **error) {
  static const char of_all[] = "SELECT " CAPTION_COLUMNS FROM_CAPTIONS "WHERE " FROM_THE_FIRST("")
      OVERLAPS " ORDER BY c.start_ms, c.end_ms, c.number LIMIT ?4";
  static const char of_one[] = "SELECT " CAPTION_COLUMNS FROM_CAPTIONS
                               "WHERE s.id = ?1 AND " FROM_THE_FIRST(" WHERE id = ?1") OVERLAPS
      " ORDER BY c.start_ms, c.end_ms, c.number LIMIT ?4";
  g_autoptr(sqlite3_stmt) stmt =
      mnk_db_prepare(db, filter->stream != NULL ? of_one : of_all, error);
  if (stmt == NULL)
    return NULL;
  bind_filter(stmt, filter);
  return read_rows(db, stmt, read_caption_row, (GDestroyNotify)mnk_caption_free, error);
}

GPtrArray *mnk_db_captions_since(sqlite3 *db, const char *stream, guint64 seq, guint limit,
                                 GError **error) {
  static const char sql[] = "SELECT " CAPTION_COLUMNS FROM_CAPTIONS
                            "WHERE s.id = ?1 AND c.seq > ?2 ORDER BY c.seq, c.number LIMIT ?3";
  g_autoptr(sqlite3_stmt) stmt = mnk_db_prepare(db, sql, error);
  if (stmt == NULL)
    return NULL;
  sqlite3_bind_text(stmt, 1, stream, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, (gint64)MIN(seq, (guint64)G_MAXINT64));
  sqlite3_bind_int64(stmt, 3, limit);
  return read_rows(db, stmt, read_caption_row, (GDestroyNotify)mnk_caption_free, error);
}

MnkCaption *mnk_db_caption(sqlite3 *db, gint64 number, GError **error) {
  static const char sql[] = "SELECT " CAPTION_COLUMNS FROM_CAPTIONS "WHERE c.number = ?1";
  g_autoptr(sqlite3_stmt) stmt = mnk_db_prepare(db, sql, error);
  if (stmt == NULL)
    return NULL;
  sqlite3_bind_int64(stmt, 1, number);
  return read_one(db, stmt, read_caption_row, error);
}

/* ---- Pictures ---- */

static gpointer read_picture(sqlite3_stmt *stmt) {
  return g_bytes_new(sqlite3_column_blob(stmt, 0), (gsize)sqlite3_column_bytes(stmt, 0));
}

GBytes *mnk_db_picture(sqlite3 *db, const char *stream, gint64 pts_ms, GError **error) {
  static const char newest[] = "SELECT p.jpeg FROM pictures p JOIN streams s ON s.number = p.owner "
                               "WHERE s.id = ?1 AND ?2 < 0 ORDER BY p.pts_ms DESC LIMIT 1";
  static const char nearest[] =
      "WITH o AS (SELECT number FROM streams WHERE id = ?1) "
      "SELECT jpeg FROM ("
      "  SELECT * FROM (SELECT jpeg, pts_ms FROM pictures WHERE owner = (SELECT number FROM o)"
      "    AND pts_ms BETWEEN ?2 - ?3 AND ?2 ORDER BY pts_ms DESC LIMIT 1)"
      "  UNION ALL"
      "  SELECT * FROM (SELECT jpeg, pts_ms FROM pictures WHERE owner = (SELECT number FROM o)"
      "    AND pts_ms BETWEEN ?2 AND ?2 + ?3 ORDER BY pts_ms LIMIT 1)"
      ") ORDER BY abs(pts_ms - ?2) LIMIT 1";
  g_autoptr(sqlite3_stmt) stmt = mnk_db_prepare(db, pts_ms < 0 ? newest : nearest, error);
  if (stmt == NULL)
    return NULL;
  sqlite3_bind_text(stmt, 1, stream, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, pts_ms);
  if (pts_ms >= 0)
    sqlite3_bind_int64(stmt, 3, MNK_PICTURE_REACH_MS);
  return read_one(db, stmt, read_picture, error);
}

GArray *mnk_db_pictures(sqlite3 *db, const MnkStoreFilter *filter, GError **error) {
  static const char sql[] =
      "SELECT p.pts_ms FROM pictures p JOIN streams s ON s.number = p.owner WHERE s.id = ?1 "
      "AND p.pts_ms >= ?2 AND (?3 < 0 OR p.pts_ms < ?3) ORDER BY p.pts_ms LIMIT ?4";
  g_autoptr(sqlite3_stmt) stmt = mnk_db_prepare(db, sql, error);
  if (stmt == NULL)
    return NULL;
  bind_filter(stmt, filter);
  g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(gint64));
  int code;
  while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
    gint64 pts_ms = sqlite3_column_int64(stmt, 0);
    g_array_append_val(times, pts_ms);
  }
  if (code != SQLITE_DONE) {
    mnk_db_fail(db, error);
    return NULL;
  }
  return g_steal_pointer(&times);
}

/* ---- Captions by words ---- */

static gpointer read_hit(sqlite3_stmt *stmt) {
  MnkSearchHit *hit = g_new0(MnkSearchHit, 1);
  hit->caption = read_caption(stmt);
  hit->score = -sqlite3_column_double(stmt, N_CAPTION_COLUMNS);
  g_autofree char *folded = column_text(stmt, N_CAPTION_COLUMNS + 1);
  hit->snippet = mnk_search_unfold(folded);
  return hit;
}

/* The index gives its rows in the order of their rank, so that only those are looked at that are
 * answered with. */
GPtrArray *mnk_db_search(sqlite3 *db, const char *expression, const MnkStoreFilter *filter,
                         GError **error) {
  static const char sql[] =
      "SELECT " CAPTION_COLUMNS ", i.rank, "
      "snippet(captions_index, 0, char(0x2068), char(0x2069), char(0x2026), " SNIPPET_WORDS ") "
      "FROM captions_index i CROSS JOIN captions c ON c.number = i.rowid "
      "CROSS JOIN streams s ON s.number = c.owner "
      "WHERE captions_index MATCH ?5 AND (?1 IS NULL OR s.id = ?1) AND " OVERLAPS
      " ORDER BY i.rank LIMIT ?4";
  g_autoptr(sqlite3_stmt) stmt = mnk_db_prepare(db, sql, error);
  if (stmt == NULL)
    return NULL;
  bind_filter(stmt, filter);
  sqlite3_bind_text(stmt, 5, expression, -1, SQLITE_STATIC);
  return read_rows(db, stmt, read_hit, (GDestroyNotify)mnk_search_hit_free, error);
}
