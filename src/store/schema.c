/* The database's schema, as the steps that lead to it. A step that was released is never changed;
 * what is to be different becomes a new step. PRAGMA user_version counts the steps taken. */
#include "store_priv.h"

/* captions.facts is the JSON array of the caption's facts. captions_index holds folded text
 * (search_text.c) under the caption's number; matches in the sentence weigh twice those in the
 * facts' names. */
#define STEP_1                                                                                     \
  "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"        \
  "INSERT INTO meta VALUES ('clean', 1);"                                                          \
                                                                                                   \
  "CREATE TABLE streams ("                                                                         \
  "  id TEXT PRIMARY KEY,"                                                                         \
  "  source TEXT NOT NULL,"                                                                        \
  "  created_us INTEGER NOT NULL"                                                                  \
  ") STRICT, WITHOUT ROWID;"                                                                       \
                                                                                                   \
  "CREATE TABLE captions ("                                                                        \
  "  number INTEGER PRIMARY KEY,"                                                                  \
  "  stream TEXT NOT NULL,"                                                                        \
  "  id TEXT NOT NULL,"                                                                            \
  "  start_ms INTEGER NOT NULL,"                                                                   \
  "  end_ms INTEGER NOT NULL,"                                                                     \
  "  final INTEGER NOT NULL,"                                                                      \
  "  backend TEXT NOT NULL,"                                                                       \
  "  lang TEXT NOT NULL,"                                                                          \
  "  text TEXT NOT NULL,"                                                                          \
  "  facts TEXT NOT NULL,"                                                                         \
  "  UNIQUE (stream, id)"                                                                          \
  ") STRICT;"                                                                                      \
  "CREATE INDEX captions_of_stream ON captions (stream, start_ms, end_ms);"                        \
  "CREATE INDEX captions_by_start ON captions (start_ms);"                                         \
                                                                                                   \
  "CREATE VIRTUAL TABLE captions_index USING fts5 (text, names, tokenize = 'porter unicode61');"   \
  "INSERT INTO captions_index (captions_index, rank) VALUES ('rank', 'bm25(2.0, 1.0)');"

/* A stream's rows belong to its number, which is never given again: to remove a stream is to remove
 * its row and to note its number in removed; what belonged to it is nobody's from then on and goes
 * in small steps (tidy.c). A vector has its caption's number. A stream's row also sums up its
 * captions, so that a list of streams does not look at them; longest_ms is that of any caption it
 * ever had, which bounds where a caption that reaches into an interval can begin. */
#define STEP_2                                                                                     \
  "ALTER TABLE streams RENAME TO old_streams;"                                                     \
  "ALTER TABLE captions RENAME TO old_captions;"                                                   \
  "DROP INDEX captions_of_stream;"                                                                 \
  "DROP INDEX captions_by_start;"                                                                  \
                                                                                                   \
  "CREATE TABLE streams ("                                                                         \
  "  number INTEGER PRIMARY KEY AUTOINCREMENT,"                                                    \
  "  id TEXT NOT NULL UNIQUE,"                                                                     \
  "  source TEXT NOT NULL,"                                                                        \
  "  spec TEXT NOT NULL DEFAULT '',"                                                               \
  "  created_us INTEGER NOT NULL,"                                                                 \
  "  resume INTEGER NOT NULL DEFAULT 0,"                                                           \
  "  captions INTEGER NOT NULL DEFAULT 0,"                                                         \
  "  start_ms INTEGER NOT NULL DEFAULT 0,"                                                         \
  "  end_ms INTEGER NOT NULL DEFAULT 0,"                                                           \
  "  longest_ms INTEGER NOT NULL DEFAULT 0,"                                                       \
  "  last_seq INTEGER NOT NULL DEFAULT 0,"                                                         \
  "  highest_number INTEGER NOT NULL DEFAULT 0"                                                    \
  ") STRICT;"                                                                                      \
  "INSERT INTO streams (id, source, created_us)"                                                   \
  "  SELECT id, source, created_us FROM old_streams ORDER BY created_us, id;"                      \
  "INSERT OR IGNORE INTO streams (id, source, created_us)"                                         \
  "  SELECT DISTINCT stream, '', 0 FROM old_captions;"                                             \
                                                                                                   \
  "CREATE TABLE captions ("                                                                        \
  "  number INTEGER PRIMARY KEY,"                                                                  \
  "  owner INTEGER NOT NULL,"                                                                      \
  "  id TEXT NOT NULL,"                                                                            \
  "  seq INTEGER NOT NULL,"                                                                        \
  "  start_ms INTEGER NOT NULL,"                                                                   \
  "  end_ms INTEGER NOT NULL,"                                                                     \
  "  final INTEGER NOT NULL,"                                                                      \
  "  backend TEXT NOT NULL,"                                                                       \
  "  lang TEXT NOT NULL,"                                                                          \
  "  text TEXT NOT NULL,"                                                                          \
  "  facts TEXT NOT NULL,"                                                                         \
  "  picture_ms INTEGER NOT NULL,"                                                                 \
  "  UNIQUE (owner, id)"                                                                           \
  ") STRICT;"                                                                                      \
  "INSERT INTO captions SELECT c.number, s.number, c.id,"                                          \
  "  row_number() OVER (PARTITION BY c.stream ORDER BY c.number),"                                 \
  "  c.start_ms, c.end_ms, c.final, c.backend, c.lang, c.text, c.facts, -1"                        \
  "  FROM old_captions c JOIN streams s ON s.id = c.stream ORDER BY c.number;"                     \
  "DROP TABLE old_captions;"                                                                       \
  "DROP TABLE old_streams;"                                                                        \
  "CREATE INDEX captions_by_time ON captions (owner, start_ms, end_ms);"                           \
  "CREATE INDEX captions_by_start ON captions (start_ms, end_ms);"                                 \
  "CREATE INDEX captions_by_seq ON captions (owner, seq);"                                         \
  "UPDATE streams SET captions = c.n, start_ms = c.first, end_ms = c.last,"                        \
  "  longest_ms = c.longest, last_seq = c.n, highest_number = c.highest"                           \
  "  FROM (SELECT owner, count(*) AS n, min(start_ms) AS first, max(end_ms) AS last,"              \
  "    max(end_ms - start_ms) AS longest, max(CASE WHEN length(id) <= 15 AND id <> ''"             \
  "    AND id NOT GLOB '*[^0-9]*' THEN CAST(id AS INTEGER) ELSE 0 END) AS highest"                 \
  "    FROM captions GROUP BY owner) c WHERE c.owner = streams.number;"                            \
                                                                                                   \
  "CREATE TABLE pictures ("                                                                        \
  "  number INTEGER PRIMARY KEY,"                                                                  \
  "  owner INTEGER NOT NULL,"                                                                      \
  "  pts_ms INTEGER NOT NULL,"                                                                     \
  "  jpeg BLOB NOT NULL,"                                                                          \
  "  UNIQUE (owner, pts_ms)"                                                                       \
  ") STRICT;"                                                                                      \
  "INSERT INTO meta VALUES ('picture_bytes', 0);"                                                  \
  "CREATE TABLE vectors ("                                                                         \
  "  number INTEGER PRIMARY KEY,"                                                                  \
  "  owner INTEGER NOT NULL,"                                                                      \
  "  vector BLOB NOT NULL"                                                                         \
  ") STRICT;"                                                                                      \
  "CREATE INDEX vectors_of_stream ON vectors (owner);"                                             \
  "CREATE TABLE removed (owner INTEGER PRIMARY KEY) STRICT;"

static const char *const migrations[] = {STEP_1, STEP_2};

guint mnk_schema_version(void) {
  return G_N_ELEMENTS(migrations);
}

const char *mnk_schema_migration(guint step) {
  g_return_val_if_fail(step < G_N_ELEMENTS(migrations), NULL);
  return migrations[step];
}
