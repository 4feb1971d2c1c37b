/* The store: a reading handle, and for writing a writer with its own. */
#include "store_priv.h"

struct _MnkStore {
  MnkWriter *writer; /* NULL when opened for reading */
  sqlite3 *reader;
};

MnkStore *mnk_store_open(const char *path, MnkStoreMode mode, GError **error) {
  g_autoptr(sqlite3) writing = NULL;
  if (mode == MNK_STORE_WRITE && (writing = mnk_db_open(path, MNK_STORE_WRITE, error)) == NULL)
    return NULL;
  sqlite3 *reader = mnk_db_open(path, MNK_STORE_READ, error);
  if (reader == NULL)
    return NULL;
  MnkStore *store = g_new0(MnkStore, 1);
  store->reader = reader;
  if (writing != NULL)
    store->writer = mnk_writer_new(g_steal_pointer(&writing));
  return store;
}

/* The writer's handle goes last: the last one to go brings the journal home. */
void mnk_store_close(MnkStore *store) {
  if (store == NULL)
    return;
  sqlite3_close_v2(store->reader);
  mnk_writer_free(store->writer);
  g_free(store);
}

void mnk_store_put_caption(MnkStore *store, const MnkCaption *caption, MnkStoreDone done,
                           gpointer user) {
  g_return_if_fail(store->writer != NULL && caption->stream != NULL && caption->id != NULL);
  MnkWrite write = {.caption = mnk_caption_copy(caption), .done = done, .user = user};
  mnk_writer_queue(store->writer, &write);
}

void mnk_store_put_stream(MnkStore *store, const char *stream, const char *source,
                          gint64 created_us, gboolean replace, MnkStoreDone done, gpointer user) {
  g_return_if_fail(store->writer != NULL && stream != NULL);
  MnkWrite write = {.stream = g_strdup(stream),
                    .source = g_strdup(source),
                    .created_us = created_us,
                    .replace = replace,
                    .done = done,
                    .user = user};
  mnk_writer_queue(store->writer, &write);
}

gboolean mnk_store_flush(MnkStore *store, GError **error) {
  return store->writer == NULL || mnk_writer_flush(store->writer, error);
}

GPtrArray *mnk_store_streams(MnkStore *store, GError **error) {
  return mnk_db_streams(store->reader, error);
}

GPtrArray *mnk_store_captions(MnkStore *store, const char *stream, gint64 from_ms, gint64 to_ms,
                              guint limit, GError **error) {
  MnkStoreFilter filter = {stream, from_ms, to_ms, limit};
  return mnk_db_captions(store->reader, &filter, error);
}

GPtrArray *mnk_store_search(MnkStore *store, const char *query, const char *stream, gint64 from_ms,
                            gint64 to_ms, guint limit, GError **error) {
  g_autofree char *expression = mnk_search_expression(query, error);
  if (expression == NULL)
    return NULL;
  MnkStoreFilter filter = {stream, from_ms, to_ms, limit};
  return mnk_db_search(store->reader, expression, &filter, error);
}
