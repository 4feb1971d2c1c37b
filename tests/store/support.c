#include "support.h"

#include "base/base.h"

#include <glib/gstdio.h>
#include <sqlite3.h>
#include <string.h>

void place_init(Place *place) {
  g_autoptr(GError) error = NULL;
  place->folder = g_dir_make_tmp("manako-XXXXXX", &error);
  g_assert_no_error(error);
  place->path = g_build_filename(place->folder, "timeline.db", NULL);
}

void place_clear(Place *place) {
  g_autoptr(GDir) folder = g_dir_open(place->folder, 0, NULL);
  for (const char *name; folder != NULL && (name = g_dir_read_name(folder)) != NULL;) {
    g_autofree char *path = g_build_filename(place->folder, name, NULL);
    g_remove(path);
  }
  g_rmdir(place->folder);
  g_clear_pointer(&place->folder, g_free);
  g_clear_pointer(&place->path, g_free);
}

MnkStore *open_store(const Place *place, MnkStoreMode mode) {
  g_autoptr(GError) error = NULL;
  MnkStore *store = mnk_store_open(place->path, mode, &error);
  g_assert_no_error(error);
  return store;
}

char *open_failure(const Place *place, MnkStoreMode mode) {
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_store_open(place->path, mode, &error));
  g_assert_true(error->domain == MNK_ERROR);
  g_auto(GStrv) parts = g_strsplit(error->message, place->path, -1);
  return g_strjoinv("@", parts);
}

MnkCaption *make_caption(const char *stream, const char *id, gint64 start_ms, gint64 end_ms,
                         const char *text) {
  MnkCaption *caption = mnk_caption_new();
  caption->stream = g_strdup(stream);
  caption->id = g_strdup(id);
  caption->start_ms = start_ms;
  caption->end_ms = end_ms;
  caption->final = TRUE;
  caption->backend = g_strdup("template");
  caption->lang = g_strdup("en");
  caption->text = g_strdup(text);
  return caption;
}

void add_fact(MnkCaption *caption, MnkFactKind kind, const char *name) {
  MnkFact *fact = mnk_fact_new(kind, name);
  fact->score = 0.5F;
  fact->start_ms = caption->start_ms;
  fact->end_ms = caption->end_ms;
  g_ptr_array_add(caption->facts, fact);
}

void put(MnkStore *store, const MnkCaption *caption) {
  mnk_store_put_caption(store, caption, NULL, NULL);
}

void put_text(MnkStore *store, const char *stream, const char *id, const char *text) {
  g_autoptr(MnkCaption) caption = make_caption(stream, id, 0, 1000, text);
  put(store, caption);
}

void put_stream(MnkStore *store, const char *id, const char *source, gint64 created_us,
                gboolean replace) {
  MnkStreamRecord record = {.id = id, .source = source, .spec = "", .created_us = created_us};
  mnk_store_put_stream(store, &record, replace, NULL, NULL);
}

void flush(MnkStore *store) {
  g_autoptr(GError) error = NULL;
  mnk_store_flush(store, &error);
  g_assert_no_error(error);
}

static void discard(const char *line, gpointer user) {
}

void keep_log_quiet(gboolean quiet) {
  mnk_log_set_sink(quiet ? discard : NULL, NULL);
}

char *caption_ids(GPtrArray *captions) {
  g_autoptr(GString) out = g_string_new(NULL);
  for (guint i = 0; i < captions->len; i++) {
    const MnkCaption *caption = g_ptr_array_index(captions, i);
    g_string_append_printf(out, "%s%s", i > 0 ? " " : "", caption->id);
  }
  return g_strdup(out->str);
}

static int keep_first(gpointer first, int columns, char **values, char **names) {
  char **answer = first;
  if (*answer == NULL)
    *answer = g_strdup(values[0]);
  return 0;
}

char *ask_sql(const char *path, const char *sql) {
  sqlite3 *db = NULL;
  char *answer = NULL;
  g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_exec(db, sql, keep_first, &answer, NULL), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);
  return answer;
}

void run_sql(const char *path, const char *sql) {
  g_free(ask_sql(path, sql));
}

void assert_timeline_sound(const Place *place) {
  static const struct {
    const char *sql, *answer;
  } cases[] = {
      {"PRAGMA integrity_check", "ok"},
      {"INSERT INTO captions_index (captions_index) VALUES ('integrity-check')", NULL},
      {"SELECT (SELECT count(*) FROM captions) = (SELECT count(*) FROM captions_index)", "1"},
      {"SELECT count(*) FROM (SELECT rowid FROM captions_index EXCEPT SELECT number FROM captions)",
       "0"},
      /* Nobody's rows are known to be that. */
      {"SELECT count(*) FROM (SELECT owner FROM captions UNION SELECT owner FROM pictures UNION "
       "SELECT owner FROM vectors EXCEPT SELECT number FROM streams EXCEPT "
       "SELECT owner FROM removed)",
       "0"},
      {"SELECT count(*) FROM (SELECT number FROM vectors EXCEPT SELECT number FROM captions)", "0"},
      {"SELECT value = (SELECT coalesce(sum(length(jpeg)), 0) FROM pictures) FROM meta "
       "WHERE key = 'picture_bytes'",
       "1"},
      {"SELECT count(*) FROM streams s LEFT JOIN (SELECT owner, count(*) AS n, min(start_ms) AS "
       "first, max(end_ms) AS last, max(end_ms - start_ms) AS longest, max(seq) AS seq "
       "FROM captions GROUP BY owner) c ON c.owner = s.number WHERE s.captions <> coalesce(c.n, 0) "
       "OR s.start_ms <> coalesce(c.first, 0) OR s.end_ms <> coalesce(c.last, 0) "
       "OR s.longest_ms < coalesce(c.longest, 0) OR s.last_seq <> coalesce(c.seq, 0)",
       "0"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *answer = ask_sql(place->path, cases[i].sql);
    if (g_strcmp0(answer, cases[i].answer) != 0)
      g_error("%s: %s", cases[i].sql, answer);
  }
}
