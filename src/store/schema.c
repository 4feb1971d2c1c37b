/* The database's schema, as the steps that lead to it. A step that was released is never changed;
 * what is to be different becomes a new step. PRAGMA user_version counts the steps taken. */
#include "store_priv.h"

/* captions.facts is the JSON array of the caption's facts. captions_index holds folded text
 * (search_text.c) under the caption's number; matches in the sentence weigh twice those in the
 * facts' names. */
static const char *const migrations[] = {
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('clean', 1);"

    "CREATE TABLE streams ("
    "  id TEXT PRIMARY KEY,"
    "  source TEXT NOT NULL,"
    "  created_us INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE captions ("
    "  number INTEGER PRIMARY KEY,"
    "  stream TEXT NOT NULL,"
    "  id TEXT NOT NULL,"
    "  start_ms INTEGER NOT NULL,"
    "  end_ms INTEGER NOT NULL,"
    "  final INTEGER NOT NULL,"
    "  backend TEXT NOT NULL,"
    "  lang TEXT NOT NULL,"
    "  text TEXT NOT NULL,"
    "  facts TEXT NOT NULL,"
    "  UNIQUE (stream, id)"
    ") STRICT;"
    "CREATE INDEX captions_of_stream ON captions (stream, start_ms, end_ms);"
    "CREATE INDEX captions_by_start ON captions (start_ms);"

    "CREATE VIRTUAL TABLE captions_index USING fts5 (text, names, tokenize = 'porter unicode61');"
    "INSERT INTO captions_index (captions_index, rank) VALUES ('rank', 'bm25(2.0, 1.0)');",
};

guint mnk_schema_version(void) {
  return G_N_ELEMENTS(migrations);
}

const char *mnk_schema_migration(guint step) {
  g_return_val_if_fail(step < G_N_ELEMENTS(migrations), NULL);
  return migrations[step];
}
