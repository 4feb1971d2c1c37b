/* The server's half: what its files share.
 *
 *   client.c   the model's life: probe, process, state   probe.c    the trial in a child
 *   stream.c   streams, their snapshots                  tower.c    which frames are looked at,
 * when ask.c      calls: questions, captions, polls         backend.c  captions as a backend find.c
 * which files are meant
 *
 * Frames wait here, not in the worker: it gets clips, one or two at a time, and says when each is
 * done. So a worker that dies loses nothing that was not in its hands, and what is left out is
 * decided in one place. All of it is of one thread, the one of the main context. */
#ifndef MNK_LOCAL_CLIENT_PRIV_H
#define MNK_LOCAL_CLIENT_PRIV_H

#include "local/messages_priv.h"

#include <gio/gio.h>

typedef struct _MnkProbe MnkProbe;
typedef struct _MnkTower MnkTower;
typedef struct _MnkCall MnkCall;

/* ---- Sources of the main context; each is destroyed by its owner ---- */

/* ms 0: when idle. Caller destroys with mnk_local_drop_source. */
GSource *mnk_local_timer(GMainContext *context, gint64 ms, GSourceFunc func, gpointer user);
void mnk_local_drop_source(GSource **source);

/* ---- probe.c ---- */

/* error NULL: the files can be used. Once, later. */
typedef void (*MnkProbed)(const GError *error, gpointer user);
MnkProbe *mnk_probe_new(const MnkSettings *settings, const char *model, const char *mmproj,
                        MnkProbed probed, gpointer user, GError **error);
/* Ends the child; nothing is told any more. */
void mnk_probe_free(MnkProbe *probe);

/* ---- client.c ---- */

struct _MnkLocal {
  MnkSettings *settings;
  void (*changed)(gpointer user);
  gpointer user;
  GMainContext *context;
  GSource *change_source, *tick_source;
  char *model, *mmproj;
  MnkVlmFiles files;
  MnkLocalState state;
  char *detail;
  MnkProbe *probe;
  MnkSupervisor *supervisor;
  MnkSender *sender;
  MnkModelReady ready;
  GHashTable *by_id, *by_number; /* of MnkLocalStream; owned by whoever opened them */
  guint32 next_stream;
  GHashTable *calls; /* number -> MnkCall */
  guint32 next_call;
  MnkTower *tower;
  MnkLocalCounters before, now; /* of workers and streams before, and of this worker */
  GCancellable *closing;        /* cancelled: this is gone */
};

/* Never waits. Lost while the worker is not ready. */
void mnk_local_post(MnkLocal *local, MnkMessageType type, guint32 stream, const GString *text,
                    int fd);
/* Kills the worker, which starts anew. */
void mnk_local_kill(MnkLocal *local, const char *why);

/* One that has no files and no process yet. Freed by mnk_local_free(). */
MnkLocal *mnk_local_make(const MnkSettings *settings);

/* ---- tower.c: frames that wait, and clips on their way ---- */

typedef struct {
  gint64 pts_ms;
  GBytes *jpeg;
  float importance;
  gboolean cut;
  gint64 given_us;
  guint deaths;   /* of workers that had it in hand */
  gboolean again; /* it was encoded once: a restarted worker needs it, and it is not counted */
  guint64 order;  /* of the clip that it was encoded in */
  gsize *held;    /* the tower's sum of bytes */
} MnkWaiting;

/* A stream's part of it. */
typedef struct {
  GQueue waiting; /* of MnkWaiting, by time */
  GQueue again;   /* encoded since the snapshot, but not by this worker; before all others */
  GQueue since;   /* encoded since the snapshot, by this worker */
  guint64 frames, encoded, left_out;
  guint in_hand; /* frames of clips on their way that count */
  gint64 served_us;
  gboolean hurry; /* clips need not be full */
  GArray *recent; /* of gint64: times of the frames encoded last */
} MnkTowerStream;

MnkTower *mnk_tower_new(MnkLocal *local);
void mnk_tower_free(MnkTower *tower);
void mnk_tower_stream_init(MnkTowerStream *part);
/* What waits is left out. */
void mnk_tower_stream_clear(MnkTowerStream *part);
void mnk_tower_give(MnkTower *tower, MnkLocalStream *stream, GBytes *jpeg, gint64 pts_ms,
                    float importance, gboolean cut);
/* Frames that a call needs, whether they were given before or not: sent at once. */
void mnk_tower_demand(MnkTower *tower, MnkLocalStream *stream, const GPtrArray *frames);
void mnk_tower_clipped(MnkTower *tower, MnkLocalStream *stream, const MnkModelClipped *clipped);
/* A snapshot holds all clips up to this one. */
void mnk_tower_saved(MnkTowerStream *part, guint64 order);
/* The worker is gone: what was in its hands waits again. */
void mnk_tower_lost(MnkTower *tower);
/* The stream is gone, or begins anew: clips on their way are no longer its own. */
void mnk_tower_forget(MnkTower *tower, MnkLocalStream *stream);
void mnk_tower_kick(MnkTower *tower); /* something has changed */
gboolean mnk_tower_is_overdue(const MnkTower *tower, gint64 now_us);
guint mnk_tower_waiting(const MnkTowerStream *part);
/* Which of the waiting frames tells least: importance and cuts count first, then age. Pure. */
GList *mnk_tower_least(const GQueue *waiting);

/* ---- stream.c ---- */

struct _MnkLocalStream {
  MnkLocal *local;
  char *id;
  guint32 number;
  MnkSettings *settings;
  GBytes *snapshot;      /* the last one; NULL: none */
  gboolean opened;       /* by this worker */
  GCancellable *opening; /* a snapshot is being written for it; NULL: none is */
  MnkTowerStream tower;
  MnkLocalMemory memory;
  GArray *idlers; /* of who waits until nothing waits */
  GSource *idle_source;
};

/* The worker is ready: opens the stream there, with its snapshot. */
void mnk_stream_open(MnkLocalStream *stream);
void mnk_stream_lost(MnkLocalStream *stream);
void mnk_stream_check_idle(MnkLocalStream *stream);
void mnk_stream_saved(MnkLocal *local, const MnkModelSaved *saved);
/* An empty memory file; -1 with an error. */
int mnk_memfd_new(const char *name, GError **error);
/* Appends to it; a file that cannot be written is closed, and *fd is -1. */
gboolean mnk_memfd_write(int *fd, const void *bytes, gsize length, GError **error);

/* ---- ask.c ---- */

typedef enum { MNK_CALL_ASK, MNK_CALL_LIKELY, MNK_CALL_CAPTION, MNK_CALL_SAVE } MnkCallKind;

struct _MnkCall {
  MnkLocal *local;
  MnkLocalStream *stream; /* NULL: it is gone, and the call ends */
  MnkCallKind kind;
  guint number;
  gboolean sent;
  MnkModelCall what; /* not of a save */
  gint64 deadline_us;
  int fd;            /* of a save: the memory file */
  GPtrArray *frames; /* of a caption: MnkBatchFrame, owned; NULL: none */
  MnkLocalEvents events;
  MnkLocalLikely likely;
  MnkLocalSaved saved;
  void (*caption)(const MnkModelAnswer *answer, const GError *error, gpointer user);
  gpointer user;
  GDestroyNotify release; /* of user, when the call is over; NULL: it is not ours */
  GSource *end_source;
  GError *end_error;
};

MnkCall *mnk_call_new(MnkLocal *local, MnkLocalStream *stream, MnkCallKind kind, gpointer user);
/* Sends it when the worker is ready, else later; ends it when that can never be. */
void mnk_call_start(MnkCall *call);
/* A question's call: takes it up, and starts it. */
void mnk_call_ask(MnkCall *call, const MnkLocalQuestion *question);
/* Ends it later with the error (taken). */
void mnk_call_fail(MnkCall *call, GError *error);
/* No event any more. */
void mnk_call_drop(MnkCall *call);
void mnk_calls_ready(MnkLocal *local, MnkLocalStream *stream);
/* stream NULL: all. sent_only: those that wait to be sent go on waiting. */
void mnk_calls_fail(MnkLocal *local, MnkLocalStream *stream, gboolean sent_only, GError *error);
/* Whether anybody waits for what the decoder says: a snapshot does not. */
gboolean mnk_calls_need_words(const MnkLocal *local);
void mnk_calls_drop_all(MnkLocal *local);
void mnk_calls_tick(MnkLocal *local, gint64 now_us);
void mnk_calls_piece(MnkLocal *local, const MnkJsonValue *value);
void mnk_calls_answer(MnkLocal *local, const MnkJsonValue *value);

#endif
