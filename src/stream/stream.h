/* stream: the only place that knows all stages. Two halves joined by ipc:
 *
 *   worker:  source -> shots, motion, gate -> perception -> observations, pictures
 *   server:  observations -> timeline of facts -> captions -> store -> events
 *
 * A stream of the kind "push" has no source of its own: its frames are handed in as JPEG. */
#ifndef MNK_STREAM_H
#define MNK_STREAM_H

#include "base/base.h"
#include "language/language.h"
#include "store/store.h"

/* ---- Workers: the processes that hold pixels and models ---- */

/* Streams are spread over worker processes of three kinds: files and pushed frames (as many as
 * MNK_OPT_WORKERS), cameras, and the network; the last two have a sandbox that lets them do just
 * that. A process is started when its first stream comes, watched, and started again when it dies;
 * its streams go on. */
typedef struct _MnkWorkers MnkWorkers;
MnkWorkers *mnk_workers_new(const MnkSettings *settings);
/* Streams must be gone. */
void mnk_workers_free(MnkWorkers *workers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkWorkers, mnk_workers_free)

typedef struct {
  const char *kind; /* "local", "camera", "network" */
  GPid pid;         /* 0: down */
  guint streams;
  guint64 deaths;
  const char *fault; /* what a missing part of perception says, or NULL; borrowed */
} MnkWorkerState;
/* For a server: a worker that dies is started again however often it does; only a stream that was
 * in hand in three crashes within a minute is ended. Before the first stream. */
void mnk_workers_be_patient(MnkWorkers *workers);
/* Starts a local worker before the first stream needs it. */
gboolean mnk_workers_warm(MnkWorkers *workers, GError **error);
guint mnk_workers_count(const MnkWorkers *workers);
void mnk_workers_state(const MnkWorkers *workers, guint index, MnkWorkerState *out);

/* ---- A stream: the server's half ---- */

typedef struct {
  guint64 received;              /* sampled frames that the source delivered, or frames pushed */
  guint64 encoded;               /* looked at by perception */
  guint64 gated;                 /* like the last one */
  guint64 late, dropped, queued; /* received = encoded + gated + late + dropped + queued */
  guint64 dropped_behind;        /* of dropped: gave way to newer frames */
  guint64 dropped_damaged;       /* could not be decoded */
  guint64 dropped_room;          /* no room on the way to the worker */
  guint64 dropped_worker;        /* went with a worker that died */
  guint64 refused;               /* pushed and refused with an error; not in received */
  guint64 decoded;               /* all decoded pictures */
  guint64 worker_deaths, gaps, captions;
  guint64 batches, batches_stale, fallbacks, tokens; /* of a remote backend */
  double decode_ms, look_ms;                         /* CPU of decoding, wall of perception, sums */
  double part_ms[5]; /* wall of each part of perception: scenes, objects, faces, pose, text */
  guint64 part_runs[5];
} MnkStreamCounters;

/* Any of them may be NULL: what it would tell is not wanted. */
typedef struct {
  /* A caption, borrowed; when a store is given, after its commit. Running captions come with final
   * FALSE only if wanted. durable FALSE: the store could not keep it. */
  void (*caption)(const MnkCaption *caption, gboolean durable, gpointer user);
  /* The picture behind a final caption, JPEG, borrowed; only if wanted; before its caption. */
  void (*picture)(const MnkCaption *caption, gint64 pts_ms, GBytes *jpeg, gpointer user);
  /* A picture for viewers while mnk_stream_set_preview is on; width 0: as pushed. */
  void (*preview)(gint64 pts_ms, GBytes *jpeg, gpointer user);
  /* A frame to remember, JPEG, borrowed: each one that perception looked at, with how much it
   * tells, 0..1, and whether a scene begins with it. NULL: nobody remembers. */
  void (*frame)(gint64 pts_ms, GBytes *jpeg, float importance, gboolean cut, gpointer user);
  /* What was seen in one sampled frame. */
  void (*observation)(const MnkObservation *obs, gpointer user);
  /* The source is open; JSON text of its info is in *info. */
  void (*opened)(const char *info_json, gint64 duration_ms, gpointer user);
  /* How far the stream has come. */
  void (*progress)(gint64 pts_ms, gpointer user);
  /* Pushed: a batch is complete, with the seed's memory summary (JSON array text). */
  void (*batch)(const char *memory_summary_json, gpointer user);
  /* It is over; error NULL: the whole source was captioned. Comes once, last. */
  void (*ended)(const GError *error, gpointer user);
} MnkStreamEvents;

typedef struct _MnkStream MnkStream;

/* The source of a pushed stream. */
#define MNK_SOURCE_PUSH "push"

typedef struct {
  MnkWorkers *workers; /* borrowed; outlives the stream */
  const char *id;      /* NULL: made from the source's name */
  const char *source;  /* MNK_SOURCE_PUSH, a path, "-", /dev/videoN, camera[:N], rtsp://, http:// */
  const MnkSettings *settings; /* copied: the stream's own parameters */
  MnkStore *store;             /* NULL: captions are not kept; borrowed */
  MnkBackend *backend;         /* NULL: the template tells; borrowed */
  gboolean keep_pictures;      /* key frames go into the store beside their captions */
  gboolean trusted;            /* the operator's own source: no address policy */
  /* Going on after a restart of the program: numbers and times count on from here. */
  gboolean resume;
  guint64 next_number, next_seq;
  gint64 next_ms;
  double time_zero; /* pushed: the timestamp that is 0 ms; 0: the first frame's */
} MnkStreamConfig;

/* Checks what can be checked at once (id, missing file, folder, empty file, unknown scheme, an
 * address that the policy forbids). Events come from the thread-default main context, never from
 * within a call. */
MnkStream *mnk_stream_new(const MnkStreamConfig *config, const MnkStreamEvents *events,
                          gpointer user, GError **error);
gboolean mnk_stream_start(MnkStream *stream, GError **error);
/* Ends early: what is known is captioned, then ended comes with MNK_ERROR_CANCELLED. */
void mnk_stream_stop(MnkStream *stream);
/* Gives it up without a word. No event comes after this. */
void mnk_stream_free(MnkStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkStream, mnk_stream_free)
const char *mnk_stream_id(const MnkStream *stream);
gboolean mnk_stream_id_is_valid(const char *id);
void mnk_stream_counters(const MnkStream *stream, MnkStreamCounters *out);
GPid mnk_stream_worker_pid(const MnkStream *stream);
gint64 mnk_stream_clock_ms(const MnkStream *stream); /* < 0: nothing seen yet */

double mnk_stream_time_zero(const MnkStream *stream);

/* Takes over the LIVE options of settings while the stream runs. */
gboolean mnk_stream_set(MnkStream *stream, const MnkSettings *settings, GError **error);
/* The caption that is being built is told about once a second, with final FALSE. */
void mnk_stream_want_running(MnkStream *stream, gboolean wanted);
/* Pictures for viewers: at most fps a second (0: none), long side at most size. */
void mnk_stream_set_preview(MnkStream *stream, double fps, int size);

/* ---- Pushed frames ---- */

typedef struct {
  const guint8 *jpeg; /* borrowed */
  gsize length;
  gint64 index;     /* the client's number, -1: none */
  double timestamp; /* seconds, the client's clock; later than the frame before */
  gint64 arrival_us;
} MnkPushFrame;

/* Probes the header and hands the bytes to the worker; never blocks. FALSE: refused, the error
 * names what was wrong (not a JPEG, too large, too many pixels, timestamp); the stream goes on.
 * *buffered: frames since the last batch, this one included. */
gboolean mnk_stream_push(MnkStream *stream, const MnkPushFrame *frame, guint *buffered,
                         GError **error);
/* What is buffered is captioned now. */
void mnk_stream_flush(MnkStream *stream);

/* ---- The worker's half ---- */

/* Serves one connection until it is told to quit or the server is gone. Returns the exit status. */
int mnk_worker_run(int fd);

#endif
