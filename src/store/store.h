/* store: the timeline's database (SQLite, WAL, synchronous FULL). One writer thread owns the
 * writing handle; readers open their own. Server only. */
#ifndef MNK_STORE_H
#define MNK_STORE_H

#include "wire/wire.h"

typedef struct _MnkStore MnkStore;

typedef enum {
  MNK_STORE_READ,  /* fails with MNK_ERROR_NOT_FOUND when there is no file */
  MNK_STORE_WRITE, /* makes the file and its folder; migrates an older one, refuses a newer one */
} MnkStoreMode;

/* Errors (MNK_ERROR_STORE) name the file and say locked, read-only, full, damaged or newer. */
MnkStore *mnk_store_open(const char *path, MnkStoreMode mode, GError **error);
/* Writes what waits, then closes. */
void mnk_store_close(MnkStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkStore, mnk_store_close)

/* Called in the thread-default main context of the caller that queued the write, after its commit,
 * or with an error when it failed; in the order of the writes. */
typedef void (*MnkStoreDone)(const GError *error, gpointer user);

/* Queues; never blocks but when 1,024 writes wait. A caption with a known (stream, id) replaces the
 * old one. What waits is committed together. The caption is copied. */
void mnk_store_put_caption(MnkStore *store, const MnkCaption *caption, MnkStoreDone done,
                           gpointer user);
/* A stream begins or begins anew: its id, and where it comes from (shown by listings). Captions of
 * an earlier run with the same id are removed when replace is set. */
void mnk_store_put_stream(MnkStore *store, const char *stream, const char *source,
                          gint64 created_us, gboolean replace, MnkStoreDone done, gpointer user);
/* Waits until all that was queued is committed and all done-calls are queued; FALSE with the last
 * failure. */
gboolean mnk_store_flush(MnkStore *store, GError **error);

typedef struct {
  char *id, *source;
  gint64 created_us;
  guint64 captions;
  gint64 start_ms, end_ms; /* of its captions */
} MnkStreamRow;
void mnk_stream_row_free(MnkStreamRow *row);

/* Readers; any thread, one at a time per store. Arrays own their elements; caller unrefs. */
GPtrArray *mnk_store_streams(MnkStore *store, GError **error); /* of MnkStreamRow, newest first */
/* Captions that overlap [from_ms, to_ms) (to_ms < 0: open), in time order; stream NULL: all. */
GPtrArray *mnk_store_captions(MnkStore *store, const char *stream, gint64 from_ms, gint64 to_ms,
                              guint limit, GError **error);

typedef struct {
  MnkCaption *caption;
  double score;  /* higher is better */
  char *snippet; /* the text with matches between U+2068 and U+2069 */
} MnkSearchHit;
void mnk_search_hit_free(MnkSearchHit *hit);
/* Full text over captions' texts and facts' names, English (stemmed) and Japanese. The query is
 * plain words, all of which must occur; "quoted words" must be adjacent; nothing in it is an
 * operator. */
GPtrArray *mnk_store_search(MnkStore *store, const char *query, const char *stream, gint64 from_ms,
                            gint64 to_ms, guint limit, GError **error);

#endif
