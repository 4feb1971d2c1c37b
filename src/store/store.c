/* The store: handles for reading, a thread that reads, and for writing a writer with its own. */
#include "store_priv.h"

#include "base/base.h"

enum { MAX_PICTURE = 2 << 20, MAX_VECTOR = 8192 };

struct _MnkStore {
  MnkWriter *writer; /* NULL when opened for reading */
  MnkCheck *check;   /* NULL when none is owed */
  MnkHandles *handles;
  MnkRuns *runs; /* begun by the first run */
  GMutex lock;   /* of runs */
};

MnkStore *mnk_store_open(const char *path, MnkStoreMode mode, GError **error) {
  g_autoptr(sqlite3) writing = NULL;
  if (mode == MNK_STORE_WRITE && (writing = mnk_db_open(path, MNK_STORE_WRITE, error)) == NULL)
    return NULL;
  MnkHandles *handles = mnk_handles_new(path, error);
  if (handles == NULL)
    return NULL;
  MnkStore *store = g_new0(MnkStore, 1);
  g_mutex_init(&store->lock);
  store->handles = handles;
  if (writing == NULL)
    return store;
  gboolean owes_check = mnk_db_owes_check(writing);
  store->writer = mnk_writer_new(g_steal_pointer(&writing));
  if (owes_check)
    store->check = mnk_check_new(path, store->writer);
  return store;
}

/* The writer's handle goes last: the last one to go brings the journal home. */
void mnk_store_close(MnkStore *store) {
  if (store == NULL)
    return;
  mnk_check_free(store->check);
  mnk_runs_free(store->runs);
  mnk_handles_free(store->handles);
  mnk_writer_free(store->writer);
  g_mutex_clear(&store->lock);
  g_free(store);
}

/* ---- Writing ---- */

void mnk_store_put_caption(MnkStore *store, const MnkCaption *caption, MnkStoreDone done,
                           gpointer user) {
  g_return_if_fail(store->writer != NULL && caption->stream != NULL && caption->id != NULL);
  MnkWrite write = {
      .kind = MNK_WRITE_CAPTION, .caption = mnk_caption_copy(caption), .done = done, .user = user};
  mnk_writer_queue(store->writer, &write);
}

void mnk_store_put_stream(MnkStore *store, const MnkStreamRecord *record, gboolean replace,
                          MnkStoreDone done, gpointer user) {
  g_return_if_fail(store->writer != NULL && record->id != NULL);
  MnkWrite write = {.kind = MNK_WRITE_STREAM,
                    .stream = g_strdup(record->id),
                    .source = g_strdup(record->source),
                    .spec = g_strdup(record->spec),
                    .created_us = record->created_us,
                    .resume = record->resume,
                    .replace = replace,
                    .done = done,
                    .user = user};
  mnk_writer_queue(store->writer, &write);
}

static void queue_for_stream(MnkStore *store, MnkWriteKind kind, const char *stream,
                             MnkStoreDone done, gpointer user) {
  g_return_if_fail(store->writer != NULL && stream != NULL);
  MnkWrite write = {.kind = kind, .stream = g_strdup(stream), .done = done, .user = user};
  mnk_writer_queue(store->writer, &write);
}

void mnk_store_end_stream(MnkStore *store, const char *stream, MnkStoreDone done, gpointer user) {
  queue_for_stream(store, MNK_WRITE_END_STREAM, stream, done, user);
}

void mnk_store_delete_stream(MnkStore *store, const char *stream, MnkStoreDone done,
                             gpointer user) {
  queue_for_stream(store, MNK_WRITE_DELETE_STREAM, stream, done, user);
}

void mnk_store_put_picture(MnkStore *store, const char *stream, gint64 pts_ms, GBytes *jpeg) {
  gsize size = g_bytes_get_size(jpeg);
  g_return_if_fail(store->writer != NULL && stream != NULL && pts_ms >= 0);
  if (size == 0 || size > MAX_PICTURE) {
    mnk_warning("store", stream, "event=picture-refused bytes=%" G_GSIZE_FORMAT, size);
    return;
  }
  MnkWrite write = {.kind = MNK_WRITE_PICTURE,
                    .stream = g_strdup(stream),
                    .pts_ms = pts_ms,
                    .bytes = g_bytes_ref(jpeg)};
  mnk_writer_queue(store->writer, &write);
}

void mnk_store_set_picture_quota(MnkStore *store, guint64 bytes) {
  g_return_if_fail(store->writer != NULL);
  MnkWrite write = {.kind = MNK_WRITE_QUOTA, .bytes_max = bytes};
  mnk_writer_queue(store->writer, &write);
}

void mnk_store_put_vector(MnkStore *store, const char *stream, const char *id, const float *vector,
                          guint n) {
  g_return_if_fail(store->writer != NULL && stream != NULL && id != NULL);
  g_return_if_fail(n > 0 && n <= MAX_VECTOR);
  MnkWrite write = {.kind = MNK_WRITE_VECTOR,
                    .stream = g_strdup(stream),
                    .id = g_strdup(id),
                    .bytes = g_bytes_new(vector, n * sizeof *vector)};
  mnk_writer_queue(store->writer, &write);
}

gboolean mnk_store_flush(MnkStore *store, GError **error) {
  return store->writer == NULL || mnk_writer_flush(store->writer, error);
}

gboolean mnk_store_is_healthy(MnkStore *store) {
  return store->writer == NULL || mnk_writer_is_healthy(store->writer);
}

/* ---- Reading ---- */

/* A handle for the time of one question. */
typedef struct {
  MnkHandles *handles;
  sqlite3 *db; /* NULL: there is none, error set */
} Borrowed;

static Borrowed borrow(MnkStore *store, GError **error) {
  return (Borrowed){store->handles, mnk_handles_take(store->handles, error)};
}

static void give_back(Borrowed *borrowed) {
  if (borrowed->db != NULL)
    mnk_handles_put_back(borrowed->handles, borrowed->db);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Borrowed, give_back)

GPtrArray *mnk_store_streams(MnkStore *store, GError **error) {
  g_auto(Borrowed) handle = borrow(store, error);
  return handle.db != NULL ? mnk_db_streams(handle.db, error) : NULL;
}

MnkStreamRow *mnk_store_stream(MnkStore *store, const char *id, GError **error) {
  g_auto(Borrowed) handle = borrow(store, error);
  g_autoptr(GError) failure = NULL;
  MnkStreamRow *row = handle.db != NULL ? mnk_db_stream(handle.db, id, &failure) : NULL;
  if (failure != NULL)
    g_propagate_error(error, g_steal_pointer(&failure));
  else if (handle.db != NULL && row == NULL)
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "there is no stream \"%s\"", id);
  return row;
}

gboolean mnk_store_has_stream(MnkStore *store, const char *id, GError **error) {
  MnkStreamRow *row = mnk_store_stream(store, id, error);
  mnk_stream_row_free(row);
  return row != NULL;
}

GPtrArray *mnk_store_captions(MnkStore *store, const char *stream, gint64 from_ms, gint64 to_ms,
                              guint limit, GError **error) {
  MnkStoreFilter filter = {stream, from_ms, to_ms, limit};
  g_auto(Borrowed) handle = borrow(store, error);
  return handle.db != NULL ? mnk_db_captions(handle.db, &filter, error) : NULL;
}

GPtrArray *mnk_store_captions_since(MnkStore *store, const char *stream, guint64 seq, guint limit,
                                    GError **error) {
  g_auto(Borrowed) handle = borrow(store, error);
  return handle.db != NULL ? mnk_db_captions_since(handle.db, stream, seq, limit, error) : NULL;
}

GBytes *mnk_store_picture(MnkStore *store, const char *stream, gint64 pts_ms, GError **error) {
  g_auto(Borrowed) handle = borrow(store, error);
  g_autoptr(GError) failure = NULL;
  GBytes *jpeg = handle.db != NULL ? mnk_db_picture(handle.db, stream, pts_ms, &failure) : NULL;
  if (failure != NULL)
    g_propagate_error(error, g_steal_pointer(&failure));
  else if (handle.db != NULL && jpeg == NULL && pts_ms < 0)
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "there is no picture of \"%s\"", stream);
  else if (handle.db != NULL && jpeg == NULL)
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND,
                "there is no picture of \"%s\" at %" G_GINT64_FORMAT " ms", stream, pts_ms);
  return jpeg;
}

GArray *mnk_store_pictures(MnkStore *store, const char *stream, gint64 from_ms, gint64 to_ms,
                           guint limit, GError **error) {
  MnkStoreFilter filter = {stream, from_ms, to_ms, limit};
  g_auto(Borrowed) handle = borrow(store, error);
  return handle.db != NULL ? mnk_db_pictures(handle.db, &filter, error) : NULL;
}

GPtrArray *mnk_store_search(MnkStore *store, const char *query, const char *stream, gint64 from_ms,
                            gint64 to_ms, guint limit, GError **error) {
  g_autofree char *expression = mnk_search_expression(query, error);
  if (expression == NULL)
    return NULL;
  MnkStoreFilter filter = {stream, from_ms, to_ms, limit};
  g_auto(Borrowed) handle = borrow(store, error);
  return handle.db != NULL ? mnk_db_search(handle.db, expression, &filter, error) : NULL;
}

GPtrArray *mnk_store_nearest(MnkStore *store, const float *vector, guint n, const char *stream,
                             gint64 from_ms, gint64 to_ms, guint limit, GError **error) {
  g_return_val_if_fail(n > 0 && n <= MAX_VECTOR, NULL);
  MnkStoreFilter filter = {stream, from_ms, to_ms, limit};
  g_auto(Borrowed) handle = borrow(store, error);
  return handle.db != NULL ? mnk_db_nearest(handle.db, vector, n, &filter, error) : NULL;
}

static MnkRuns *ensure_runs(MnkStore *store) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
  if (store->runs == NULL)
    store->runs = mnk_runs_new(store);
  return store->runs;
}

void mnk_store_run(MnkStore *store, MnkStoreWork work, MnkStoreWorkDone done, gpointer data) {
  mnk_runs_queue(ensure_runs(store), work, done, data);
}
