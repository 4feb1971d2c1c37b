/* The writer: one thread, one handle. What waits when it comes round is one transaction. */
#include "store_priv.h"

#include "base/base.h"

#include <errno.h>

enum { MAX_WAITING = 1024, MAX_BATCH = 256 };

typedef enum {
  SQL_PUT_CAPTION,
  SQL_KNOW_STREAM,
  SQL_INDEX,
  SQL_PUT_STREAM,
  SQL_REMOVE_INDEX,
  SQL_REMOVE_CAPTIONS,
  SQL_N,
} Sql;

static const char *const sql_texts[SQL_N] = {
    [SQL_PUT_CAPTION] =
        ("INSERT INTO captions (stream, id, start_ms, end_ms, final, backend, lang, text, facts) "
         "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
         "ON CONFLICT (stream, id) DO UPDATE SET start_ms = ?3, end_ms = ?4, final = ?5, "
         "backend = ?6, lang = ?7, text = ?8, facts = ?9 RETURNING number"),
    [SQL_KNOW_STREAM] =
        "INSERT OR IGNORE INTO streams (id, source, created_us) VALUES (?1, '', ?2)",
    [SQL_INDEX] = "INSERT OR REPLACE INTO captions_index (rowid, text, names) VALUES (?1, ?2, ?3)",
    [SQL_PUT_STREAM] =
        "INSERT OR REPLACE INTO streams (id, source, created_us) VALUES (?1, ?2, ?3)",
    [SQL_REMOVE_INDEX] = ("DELETE FROM captions_index WHERE rowid IN "
                          "(SELECT number FROM captions WHERE stream = ?1)"),
    [SQL_REMOVE_CAPTIONS] = "DELETE FROM captions WHERE stream = ?1",
};

struct _MnkWriter {
  sqlite3 *db;
  sqlite3_stmt *statements[SQL_N];
  gboolean marked; /* the file says that a writer is at work */
  MnkQueue *queue;
  GThread *thread;

  GMutex lock;
  GCond progressed;
  guint64 queued, finished;
  GError *failure; /* the last one since the last flush */
};

/* A write on its way through the queue. */
typedef struct {
  MnkWrite write;
  GMainContext *context;
} Job;

static void job_free(gpointer data) {
  Job *job = data;
  mnk_caption_free(job->write.caption);
  g_free(job->write.stream);
  g_free(job->write.source);
  g_main_context_unref(job->context);
  g_free(job);
}

/* ---- Statements ---- */

static sqlite3_stmt *statement(MnkWriter *writer, Sql sql, GError **error) {
  if (writer->statements[sql] == NULL)
    writer->statements[sql] = mnk_db_prepare(writer->db, sql_texts[sql], error);
  return writer->statements[sql];
}

/* Texts are borrowed up to the statement's end. */
static void bind_text(sqlite3_stmt *stmt, int place, const char *text) {
  sqlite3_bind_text(stmt, place, text != NULL ? text : "", -1, SQLITE_STATIC);
}

/* Runs the statement to its end and makes it ready for the next time; *row_id: what it returns. */
static gboolean run(MnkWriter *writer, sqlite3_stmt *stmt, gint64 *row_id, GError **error) {
  int code;
  errno = 0;
  while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
    if (row_id != NULL)
      *row_id = sqlite3_column_int64(stmt, 0);
  gboolean ok = code == SQLITE_DONE || mnk_db_fail(writer->db, error);
  sqlite3_reset(stmt);
  sqlite3_clear_bindings(stmt);
  return ok;
}

/* ---- One write ---- */

static char *facts_json(const MnkCaption *caption) {
  g_autoptr(GString) out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_array(&w, NULL);
  for (guint i = 0; i < caption->facts->len; i++)
    mnk_fact_write_json(g_ptr_array_index(caption->facts, i), &w);
  mnk_json_end_array(&w);
  return g_strdup(out->str);
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
  return g_strdup(out->str);
}

static gboolean put_row(MnkWriter *writer, const MnkCaption *caption, gint64 *number,
                        GError **error) {
  sqlite3_stmt *put = statement(writer, SQL_PUT_CAPTION, error);
  if (put == NULL)
    return FALSE;
  g_autofree char *facts = facts_json(caption);
  bind_text(put, 1, caption->stream);
  bind_text(put, 2, caption->id);
  sqlite3_bind_int64(put, 3, caption->start_ms);
  sqlite3_bind_int64(put, 4, caption->end_ms);
  sqlite3_bind_int(put, 5, caption->final ? 1 : 0);
  bind_text(put, 6, caption->backend);
  bind_text(put, 7, caption->lang);
  bind_text(put, 8, caption->text);
  bind_text(put, 9, facts);
  return run(writer, put, number, error);
}

static gboolean index_caption(MnkWriter *writer, const MnkCaption *caption, gint64 number,
                              GError **error) {
  sqlite3_stmt *index = statement(writer, SQL_INDEX, error);
  if (index == NULL)
    return FALSE;
  g_autofree char *names = fact_names(caption);
  g_autofree char *folded_names = mnk_search_fold(names);
  g_autofree char *folded_text = mnk_search_fold(caption->text != NULL ? caption->text : "");
  sqlite3_bind_int64(index, 1, number);
  bind_text(index, 2, folded_text);
  bind_text(index, 3, folded_names);
  return run(writer, index, NULL, error);
}

static gboolean put_caption(MnkWriter *writer, const MnkCaption *caption, GError **error) {
  sqlite3_stmt *know = statement(writer, SQL_KNOW_STREAM, error);
  if (know == NULL)
    return FALSE;
  bind_text(know, 1, caption->stream);
  sqlite3_bind_int64(know, 2, g_get_real_time());
  gint64 number = 0;
  return run(writer, know, NULL, error) && put_row(writer, caption, &number, error) &&
         index_caption(writer, caption, number, error);
}

static gboolean remove_by_stream(MnkWriter *writer, Sql sql, const char *stream, GError **error) {
  sqlite3_stmt *removal = statement(writer, sql, error);
  if (removal == NULL)
    return FALSE;
  bind_text(removal, 1, stream);
  return run(writer, removal, NULL, error);
}

static gboolean put_stream(MnkWriter *writer, const MnkWrite *write, GError **error) {
  if (write->replace && (!remove_by_stream(writer, SQL_REMOVE_INDEX, write->stream, error) ||
                         !remove_by_stream(writer, SQL_REMOVE_CAPTIONS, write->stream, error)))
    return FALSE;
  sqlite3_stmt *put = statement(writer, SQL_PUT_STREAM, error);
  if (put == NULL)
    return FALSE;
  bind_text(put, 1, write->stream);
  bind_text(put, 2, write->source);
  sqlite3_bind_int64(put, 3, write->created_us);
  return run(writer, put, NULL, error);
}

/* ---- Transactions ---- */

static gboolean write_all(MnkWriter *writer, GPtrArray *jobs, GError **error) {
  if (!writer->marked &&
      !mnk_db_exec(writer->db, "UPDATE meta SET value = 0 WHERE key = 'clean'", error))
    return FALSE;
  for (guint i = 0; i < jobs->len; i++) {
    const MnkWrite *write = &((Job *)g_ptr_array_index(jobs, i))->write;
    gboolean ok = write->caption != NULL ? put_caption(writer, write->caption, error)
                                         : put_stream(writer, write, error);
    if (!ok)
      return FALSE;
  }
  return TRUE;
}

static gboolean commit(MnkWriter *writer, GPtrArray *jobs, GError **error) {
  if (!mnk_db_exec(writer->db, "BEGIN IMMEDIATE", error))
    return FALSE;
  if (write_all(writer, jobs, error) && mnk_db_exec(writer->db, "COMMIT", error)) {
    writer->marked = TRUE;
    return TRUE;
  }
  mnk_db_exec(writer->db, "ROLLBACK", NULL);
  return FALSE;
}

/* ---- Answers ---- */

typedef struct {
  MnkStoreDone done;
  gpointer user;
  GError *error;
} Answer;

static gboolean deliver(gpointer data) {
  Answer *answer = data;
  answer->done(answer->error, answer->user);
  return G_SOURCE_REMOVE;
}

static void answer_free(gpointer data) {
  Answer *answer = data;
  g_clear_error(&answer->error);
  g_free(answer);
}

/* Sources of one priority run in the order in which they were attached. */
static void queue_answer(const Job *job, const GError *error) {
  if (job->write.done == NULL)
    return;
  Answer *answer = g_new0(Answer, 1);
  answer->done = job->write.done;
  answer->user = job->write.user;
  answer->error = error != NULL ? g_error_copy(error) : NULL;
  g_autoptr(GSource) source = g_idle_source_new();
  g_source_set_priority(source, G_PRIORITY_DEFAULT);
  g_source_set_callback(source, deliver, answer, answer_free);
  g_source_attach(source, job->context);
}

static void finish(MnkWriter *writer, GPtrArray *jobs, GError *error) {
  for (guint i = 0; i < jobs->len; i++)
    queue_answer(g_ptr_array_index(jobs, i), error);
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&writer->lock);
  writer->finished += jobs->len;
  if (error != NULL) {
    g_clear_error(&writer->failure);
    writer->failure = error;
  }
  g_cond_broadcast(&writer->progressed);
}

/* ---- The thread ---- */

/* The next write, waited for, and what else is there already. NULL: closed and empty. */
static GPtrArray *next_batch(MnkWriter *writer) {
  Job *job = mnk_queue_pop(writer->queue, -1);
  if (job == NULL)
    return NULL;
  GPtrArray *jobs = g_ptr_array_new_with_free_func(job_free);
  do
    g_ptr_array_add(jobs, job);
  while (jobs->len < MAX_BATCH && (job = mnk_queue_pop(writer->queue, 0)) != NULL);
  return jobs;
}

static gpointer write_until_closed(gpointer data) {
  MnkWriter *writer = data;
  GPtrArray *jobs;
  while ((jobs = next_batch(writer)) != NULL) {
    GError *error = NULL;
    if (!commit(writer, jobs, &error))
      mnk_error("store", NULL, "event=write-failed writes=%u error=\"%s\"", jobs->len,
                error->message);
    finish(writer, jobs, error);
    g_ptr_array_unref(jobs);
  }
  return NULL;
}

MnkWriter *mnk_writer_new(sqlite3 *db) {
  MnkWriter *writer = g_new0(MnkWriter, 1);
  writer->db = db;
  g_mutex_init(&writer->lock);
  g_cond_init(&writer->progressed);
  writer->queue = mnk_queue_new(MAX_WAITING, MNK_QUEUE_BLOCK, job_free);
  writer->thread = g_thread_new("store-writer", write_until_closed, writer);
  return writer;
}

void mnk_writer_free(MnkWriter *writer) {
  if (writer == NULL)
    return;
  mnk_queue_close(writer->queue);
  g_thread_join(writer->thread);
  mnk_queue_free(writer->queue);
  if (writer->marked)
    mnk_db_exec(writer->db, "UPDATE meta SET value = 1 WHERE key = 'clean'", NULL);
  for (guint i = 0; i < SQL_N; i++)
    sqlite3_finalize(writer->statements[i]);
  sqlite3_close_v2(writer->db);
  g_clear_error(&writer->failure);
  g_cond_clear(&writer->progressed);
  g_mutex_clear(&writer->lock);
  g_free(writer);
}

static void count_queued(MnkWriter *writer) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&writer->lock);
  writer->queued++;
}

void mnk_writer_queue(MnkWriter *writer, const MnkWrite *write) {
  Job *job = g_new0(Job, 1);
  job->write = *write;
  job->context = g_main_context_ref_thread_default();
  count_queued(writer);
  mnk_queue_push(writer->queue, job);
}

gboolean mnk_writer_flush(MnkWriter *writer, GError **error) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&writer->lock);
  guint64 target = writer->queued;
  while (writer->finished < target)
    g_cond_wait(&writer->progressed, &writer->lock);
  if (writer->failure == NULL)
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&writer->failure));
  return FALSE;
}
