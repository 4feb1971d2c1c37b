/* The writer: one thread, one handle. What waits when it comes round is one transaction. */
#include "store_priv.h"

#include "base/base.h"

enum { MAX_WAITING = 1024, MAX_BATCH = 256 };
enum { MAX_BATCH_BYTES = 8 << 20, MAX_WAITING_BYTES = 64 << 20 };

/* How often a store that cannot write tries again where nothing else makes it. */
enum { RETRY_US = 1000000 };

/* The journal is brought home from FIRST pages on (4 MiB), as far as readers let it; from LAST
 * pages on (64 MiB) readers are waited for, so that it begins anew and does not grow without bound.
 */
enum { WAL_FIRST = 1000, WAL_LAST = 16384, WAL_WAIT_MS = 100 };

struct _MnkWriter {
  sqlite3 *db;
  MnkRows *rows;
  gboolean marked; /* the file says that a writer is at work */
  gboolean untidy; /* there is something to clear away */
  int wal_tried;   /* pages at the last waiting for readers */
  MnkQueue *queue;
  GThread *thread;
  gint healthy;   /* atomic */
  gint condition; /* MnkFileCondition, atomic */
  MnkMetric *written, *failed, *dropped;

  GMutex lock;
  GCond progressed;
  guint64 queued, finished;
  gsize bytes_waiting;
  GError *failure; /* the last one since the last flush */
};

/* A write on its way through the queue, and what became of it. */
typedef struct {
  MnkWrite write;
  GMainContext *context;
  GError *error;
} Job;

static void job_free(gpointer data) {
  Job *job = data;
  MnkWrite *write = &job->write;
  mnk_caption_free(write->caption);
  g_free(write->stream);
  g_free(write->source);
  g_free(write->spec);
  g_free(write->id);
  g_clear_pointer(&write->bytes, g_bytes_unref);
  g_clear_error(&job->error);
  g_main_context_unref(job->context);
  g_free(job);
}

static gsize job_bytes(const Job *job) {
  return job->write.bytes != NULL ? g_bytes_get_size(job->write.bytes) : 0;
}

/* ---- Transactions ---- */

typedef enum { WROTE, REFUSED, BROKEN } Outcome;

/* Whether the store cannot write, or only this was not to be written. */
static Outcome failed(MnkWriter *writer) {
  switch (sqlite3_errcode(writer->db) & 0xff) {
  case SQLITE_TOOBIG:
  case SQLITE_CONSTRAINT:
  case SQLITE_MISMATCH:
  case SQLITE_RANGE:
    return REFUSED;
  default:
    return BROKEN;
  }
}

/* A store that could not write is well again only by writing; SQLite leaves a row alone that stays
 * as it is. */
#define TRY "INSERT INTO meta VALUES ('tries', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1"

static gboolean begin(MnkWriter *writer, GError **error) {
  return mnk_db_exec(writer->db, "BEGIN IMMEDIATE", error) &&
         (g_atomic_int_get(&writer->healthy) || mnk_db_exec(writer->db, TRY, error)) &&
         (writer->marked ||
          mnk_db_exec(writer->db, "UPDATE meta SET value = 0 WHERE key = 'clean'", error));
}

static gboolean commit(MnkWriter *writer, GError **error) {
  if (!mnk_db_exec(writer->db, "COMMIT", error))
    return FALSE;
  writer->marked = TRUE;
  return TRUE;
}

static void roll_back(MnkWriter *writer) {
  if (!sqlite3_get_autocommit(writer->db))
    mnk_db_exec(writer->db, "ROLLBACK", NULL);
}

/* Writes those jobs that have no error yet. REFUSED: *refused is the one that has it now. */
static Outcome write_jobs(MnkWriter *writer, GPtrArray *jobs, GError **error) {
  if (!begin(writer, error))
    return BROKEN;
  for (guint i = 0; i < jobs->len; i++) {
    Job *job = g_ptr_array_index(jobs, i);
    g_autoptr(GError) failure = NULL;
    if (job->error != NULL || mnk_rows_write(writer->rows, &job->write, &failure))
      continue;
    Outcome outcome = failed(writer);
    g_propagate_error(outcome == REFUSED ? &job->error : error, g_steal_pointer(&failure));
    return outcome;
  }
  gboolean more = FALSE;
  if (writer->untidy && !mnk_rows_tidy(writer->rows, &more, error))
    return BROKEN;
  if (!commit(writer, error))
    return BROKEN;
  writer->untidy = more;
  return WROTE;
}

/* In one transaction: all, but what cannot be written whatever the disk is like. */
static gboolean write_batch(MnkWriter *writer, GPtrArray *jobs, GError **error) {
  Outcome outcome;
  while ((outcome = write_jobs(writer, jobs, error)) == REFUSED)
    roll_back(writer);
  if (outcome == BROKEN)
    roll_back(writer);
  return outcome == WROTE;
}

static void set_health(MnkWriter *writer, const GError *error) {
  gboolean was_healthy = g_atomic_int_get(&writer->healthy) != 0;
  if (error != NULL && was_healthy)
    mnk_error("store", NULL, "event=cannot-write error=\"%s\"", error->message);
  if (error == NULL && !was_healthy)
    mnk_warning("store", NULL, "event=writes-again");
  g_atomic_int_set(&writer->healthy, error == NULL);
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

/* broken: what befell them all, or NULL. */
static void finish(MnkWriter *writer, GPtrArray *jobs, const GError *broken) {
  const GError *last = NULL;
  gsize bytes = 0;
  for (guint i = 0; i < jobs->len; i++) {
    const Job *job = g_ptr_array_index(jobs, i);
    const GError *error = job->error != NULL ? job->error : broken;
    queue_answer(job, error);
    mnk_metric_add(error != NULL ? writer->failed : writer->written, 1);
    bytes += job_bytes(job);
    last = error != NULL ? error : last;
  }
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&writer->lock);
  writer->finished += jobs->len;
  writer->bytes_waiting -= bytes;
  if (last != NULL) {
    g_clear_error(&writer->failure);
    writer->failure = g_error_copy(last);
  }
  g_cond_broadcast(&writer->progressed);
}

/* ---- The journal ---- */

static int bring_home(void *data, sqlite3 *db, const char *name, int pages) {
  MnkWriter *writer = data;
  if (pages < WAL_FIRST)
    writer->wal_tried = 0;
  else if (pages < WAL_LAST || pages - writer->wal_tried < WAL_FIRST)
    sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  else {
    writer->wal_tried = pages;
    sqlite3_busy_timeout(db, WAL_WAIT_MS);
    sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    sqlite3_busy_timeout(db, MNK_DB_BUSY_MS);
  }
  return SQLITE_OK;
}

/* ---- The thread ---- */

static gboolean makes_untidy(const Job *job) {
  return job->write.kind == MNK_WRITE_DELETE_STREAM || job->write.kind == MNK_WRITE_QUOTA ||
         (job->write.kind == MNK_WRITE_STREAM && job->write.replace);
}

/* With nothing to write: one step of clearing away; or, where the store could not write, whether it
 * can again. */
static void keep_house(MnkWriter *writer) {
  g_autoptr(GPtrArray) none = g_ptr_array_new();
  g_autoptr(GError) error = NULL;
  write_batch(writer, none, &error);
  set_health(writer, error);
}

static void write_what_waits(MnkWriter *writer, Job *job) {
  g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func(job_free);
  gsize bytes = 0;
  do {
    g_ptr_array_add(jobs, job);
    bytes += job_bytes(job);
    writer->untidy = writer->untidy || makes_untidy(job);
  } while (jobs->len < MAX_BATCH && bytes < MAX_BATCH_BYTES &&
           (job = mnk_queue_pop(writer->queue, 0)) != NULL);
  g_autoptr(GError) error = NULL;
  write_batch(writer, jobs, &error);
  set_health(writer, error);
  finish(writer, jobs, error);
}

static gint64 patience_us(MnkWriter *writer) {
  if (!g_atomic_int_get(&writer->healthy))
    return RETRY_US;
  return writer->untidy ? 0 : -1;
}

static gpointer write_until_closed(gpointer data) {
  MnkWriter *writer = data;
  for (;;) {
    Job *job = mnk_queue_pop(writer->queue, patience_us(writer));
    if (job != NULL) {
      write_what_waits(writer, job);
      continue;
    }
    if (!mnk_queue_is_closed(writer->queue)) {
      keep_house(writer);
      continue;
    }
    /* What came between the pop and the closing. */
    if ((job = mnk_queue_pop(writer->queue, 0)) == NULL)
      return NULL;
    write_what_waits(writer, job);
  }
}

/* ---- The writer ---- */

MnkWriter *mnk_writer_new(sqlite3 *db) {
  MnkWriter *writer = g_new0(MnkWriter, 1);
  writer->db = db;
  writer->rows = mnk_rows_new(db);
  gint64 removed = 0;
  writer->untidy =
      mnk_db_get_int(db, "SELECT EXISTS (SELECT * FROM removed)", &removed, NULL) && removed != 0;
  writer->healthy = TRUE;
  sqlite3_wal_hook(db, bring_home, writer);
  writer->written = mnk_counter("store_writes_total", "Writes to the timeline.", "result=\"kept\"");
  writer->failed =
      mnk_counter("store_writes_total", "Writes to the timeline.", "result=\"failed\"");
  writer->dropped =
      mnk_counter("store_writes_total", "Writes to the timeline.", "result=\"dropped\"");
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
  if (writer->marked && g_atomic_int_get(&writer->condition) == MNK_FILE_SOUND)
    mnk_db_exec(writer->db, "UPDATE meta SET value = 1 WHERE key = 'clean'", NULL);
  mnk_rows_free(writer->rows);
  sqlite3_close_v2(writer->db);
  g_clear_error(&writer->failure);
  g_cond_clear(&writer->progressed);
  g_mutex_clear(&writer->lock);
  g_free(writer);
}

/* Pictures and vectors are dropped when too many bytes of them wait: a slow disk costs them first.
 */
static gboolean admit(MnkWriter *writer, const Job *job) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&writer->lock);
  if (job_bytes(job) > 0 && writer->bytes_waiting + job_bytes(job) > MAX_WAITING_BYTES)
    return FALSE;
  writer->bytes_waiting += job_bytes(job);
  writer->queued++;
  return TRUE;
}

void mnk_writer_queue(MnkWriter *writer, const MnkWrite *write) {
  Job *job = g_new0(Job, 1);
  job->write = *write;
  job->context = g_main_context_ref_thread_default();
  if (admit(writer, job)) {
    mnk_queue_push(writer->queue, job);
    return;
  }
  mnk_metric_add(writer->dropped, 1);
  job_free(job);
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

gboolean mnk_writer_is_healthy(MnkWriter *writer) {
  return g_atomic_int_get(&writer->healthy) != 0 &&
         g_atomic_int_get(&writer->condition) != MNK_FILE_DAMAGED;
}

void mnk_writer_set_condition(MnkWriter *writer, MnkFileCondition condition) {
  g_atomic_int_set(&writer->condition, condition);
}
