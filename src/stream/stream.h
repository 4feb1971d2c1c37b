/* stream: the only place that knows all stages. Two halves joined by ipc:
 *
 *   worker:  source -> shots, motion, gate -> perception -> observations, pictures
 *   server:  observations -> timeline of facts -> template -> captions -> store -> callback */
#ifndef MNK_STREAM_H
#define MNK_STREAM_H

#include "base/base.h"
#include "language/language.h"
#include "store/store.h"

/* ---- The server's half ---- */

typedef struct {
  guint64 received;              /* sampled frames that the source delivered */
  guint64 encoded;               /* looked at by perception */
  guint64 gated;                 /* like the last one */
  guint64 late, dropped, queued; /* received = encoded + gated + late + dropped + queued */
  guint64 decoded;               /* all decoded pictures */
  guint64 worker_deaths, gaps, captions;
  double decode_ms, look_ms; /* CPU of decoding, wall of perception, sums */
  double part_ms[5]; /* wall of each part of perception: scenes, objects, faces, pose, text */
  guint64 part_runs[5];
} MnkStreamCounters;

typedef struct {
  /* A caption, borrowed; when a store is given, after its commit. Running captions come with final
   * FALSE only if wanted. durable FALSE: the store could not keep it. */
  void (*caption)(const MnkCaption *caption, gboolean durable, gpointer user);
  /* The picture behind a final caption, JPEG, borrowed; only if wanted; before its caption. */
  void (*picture)(const MnkCaption *caption, gint64 pts_ms, GBytes *jpeg, gpointer user);
  /* The source is open; JSON text of its info is in *info. */
  void (*opened)(const char *info_json, gint64 duration_ms, gpointer user);
  /* How far the stream has come. */
  void (*progress)(gint64 pts_ms, gpointer user);
  /* It is over; error NULL: the whole source was captioned. Comes once, last. */
  void (*ended)(const GError *error, gpointer user);
} MnkStreamEvents;

typedef struct _MnkStream MnkStream;

/* One source, its worker and its outputs. source: a path, "-", /dev/videoN or camera[:N],
 * rtsp://... Checks what can be checked at once (missing file, folder, empty file, unknown scheme).
 * store may be NULL; borrowed. Events come from the thread-default main context. */
MnkStream *mnk_stream_new(const MnkSettings *settings, const char *source,
                          const MnkStreamEvents *events, gpointer user, GError **error);
/* Captions go through this store, which must outlive the stream; before the start. Without one they
 * are not kept. */
void mnk_stream_set_store(MnkStream *stream, MnkStore *store);
gboolean mnk_stream_start(MnkStream *stream, GError **error);
/* Ends the worker and waits for it; free does it too. No event comes after this. */
void mnk_stream_close(MnkStream *stream);
/* Ends early: what is known is captioned, then ended comes with MNK_ERROR_CANCELLED. */
void mnk_stream_stop(MnkStream *stream);
void mnk_stream_free(MnkStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkStream, mnk_stream_free)
const char *mnk_stream_id(const MnkStream *stream);
void mnk_stream_counters(const MnkStream *stream, MnkStreamCounters *out);
GPid mnk_stream_worker_pid(const MnkStream *stream);

/* ---- The worker's half ---- */

/* Serves one connection until it is told to quit or the server is gone. Returns the exit status. */
int mnk_worker_run(int fd);

#endif
