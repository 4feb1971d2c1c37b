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
/* A stream begins or begins anew. Captions and pictures of an earlier run with the same id are
 * removed when replace is set. */
typedef struct {
  const char *id, *source; /* source: shown by listings, so without secrets */
  const char *spec;        /* JSON of what is needed to begin it again, "" for nothing */
  gint64 created_us;
  gboolean resume; /* to be begun again when the program starts */
} MnkStreamRecord;
void mnk_store_put_stream(MnkStore *store, const MnkStreamRecord *record, gboolean replace,
                          MnkStoreDone done, gpointer user);
/* It is over (or was deleted) and is not to begin again. */
void mnk_store_end_stream(MnkStore *store, const char *stream, MnkStoreDone done, gpointer user);
/* With all of its captions and pictures. */
void mnk_store_delete_stream(MnkStore *store, const char *stream, MnkStoreDone done, gpointer user);

/* The picture behind a caption, JPEG of at most 2 MiB. When all pictures together pass the quota
 * (mnk_store_set_picture_quota, bytes), the oldest ones go. */
void mnk_store_put_picture(MnkStore *store, const char *stream, gint64 pts_ms, GBytes *jpeg);
void mnk_store_set_picture_quota(MnkStore *store, guint64 bytes);
/* The embedding of a caption's text, n floats of unit length. */
void mnk_store_put_vector(MnkStore *store, const char *stream, const char *id, const float *vector,
                          guint n);
/* Waits until all that was queued is committed and all done-calls are queued; FALSE with the last
 * failure. */
gboolean mnk_store_flush(MnkStore *store, GError **error);

typedef struct {
  char *id, *source, *spec;
  gint64 created_us;
  gboolean resume;
  guint64 captions;
  gint64 start_ms, end_ms; /* of its captions */
  guint64 last_seq;        /* highest seq of its captions; 0: none */
  guint64 next_number;     /* one more than the highest whole number among its captions' ids */
} MnkStreamRow;
void mnk_stream_row_free(MnkStreamRow *row);

/* Readers; any thread, safe beside each other and the writer. They may take long: the server calls
 * them by mnk_store_run. Arrays own their elements; caller unrefs. */
GPtrArray *mnk_store_streams(MnkStore *store, GError **error); /* of MnkStreamRow, newest first */
/* NULL with MNK_ERROR_NOT_FOUND. */
MnkStreamRow *mnk_store_stream(MnkStore *store, const char *id, GError **error);
gboolean mnk_store_has_stream(MnkStore *store, const char *id, GError **error);
/* Captions that overlap [from_ms, to_ms) (to_ms < 0: open), in time order; stream NULL: all. */
GPtrArray *mnk_store_captions(MnkStore *store, const char *stream, gint64 from_ms, gint64 to_ms,
                              guint limit, GError **error);
/* Captions of a stream with a seq above this one, by seq: what a client that was away has missed.
 */
GPtrArray *mnk_store_captions_since(MnkStore *store, const char *stream, guint64 seq, guint limit,
                                    GError **error);
enum { MNK_PICTURE_REACH_MS = 15000 };
/* The picture nearest to pts_ms, within reach of it; NULL with MNK_ERROR_NOT_FOUND. pts_ms < 0: the
 * newest. */
GBytes *mnk_store_picture(MnkStore *store, const char *stream, gint64 pts_ms, GError **error);
/* Times of a stream's pictures within [from_ms, to_ms), rising; of gint64. */
GArray *mnk_store_pictures(MnkStore *store, const char *stream, gint64 from_ms, gint64 to_ms,
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
/* By likeness of meaning: captions whose vectors are nearest to this one; of MnkSearchHit, the
 * score is the cosine. */
GPtrArray *mnk_store_nearest(MnkStore *store, const float *vector, guint n, const char *stream,
                             gint64 from_ms, gint64 to_ms, guint limit, GError **error);

/* Runs work on the store's reading thread, then done in the caller's thread-default main context
 * with what work returned and its error. Up to 256 wait; more are answered with MNK_ERROR_LIMIT. */
typedef gpointer (*MnkStoreWork)(MnkStore *store, gpointer data, GError **error);
typedef void (*MnkStoreWorkDone)(gpointer result, const GError *error, gpointer data);
void mnk_store_run(MnkStore *store, MnkStoreWork work, MnkStoreWorkDone done, gpointer data);

/* TRUE while the last write could be kept. A store that cannot write (disk full, read-only) tries
 * again by itself, at the latest with the next write. */
gboolean mnk_store_is_healthy(MnkStore *store);

#endif
