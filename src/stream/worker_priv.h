/* The worker's half of a stream: what its files share.
 *
 *   worker.c  messages of the server
 *   watch.c   a source's life and its gate    report.c, setup.c  contents of messages
 *   watch_read.c  a source that is read       turns.c   threads that serve all watches in turn
 *   watch_push.c  frames that are handed in   looker.c  the one perception
 *   watch_look.c  what is seen                watch_tell.c  what is told of it
 *
 * Threads, and whom they wait for. The main thread receives; it never waits, not even for room on
 * the socket: what it has to say goes through the outbox. All others (a reader for each source that
 * is read, the pool that decodes pushed JPEGs, the looker) send by themselves and stand still while
 * the server does not read. So a server that waits for the worker is always heard: the main thread
 * goes on copying pushed frames out of their slots, and what they wait for without end gives way,
 * the oldest first. Neither side can wait for the other in a ring.
 *
 * Bounds. Of each watch at most MNK_WATCH_JPEGS wait for the gate, and for the looker as many
 * frames and as many duplicates as its backlog takes. A pushed frame waits as the JPEG that it came
 * as, and is decoded in full only when it is looked at, so that frames that give way cost nothing
 * more. The JPEGs of all watches together are bounded by MnkBudget. */
#ifndef MNK_STREAM_WORKER_PRIV_H
#define MNK_STREAM_WORKER_PRIV_H

#include "stream/stream_priv.h"

typedef struct _MnkWatch MnkWatch;

/* ---- turns.c ---- */

/* Threads that serve watches, each watch by one thread at a time, one piece of work a turn, so that
 * none waits behind another's queue. */
typedef struct _MnkTurns MnkTurns;
/* TRUE: there is more to do. reader: this thread's own. */
typedef gboolean (*MnkTurnFunc)(MnkWatch *watch, MnkJpegReader *reader, gboolean urgent,
                                gpointer user);

/* A watch's place with one MnkTurns: a part of the watch, zero at first. */
typedef struct {
  MnkWatch *watch;
  GList link;
  enum { MNK_TURN_IDLE, MNK_TURN_QUEUED, MNK_TURN_RUNNING, MNK_TURN_WOKEN } state;
  gboolean urgent;
} MnkTurn;

MnkTurns *mnk_turns_new(const char *name, guint threads, MnkTurnFunc func, gpointer user);
/* Waits for the threads; turns that were not taken are given up. */
void mnk_turns_free(MnkTurns *turns);
/* Holds a reference to the watch until it was served. An urgent turn comes before all others that
 * are not; it is for work that takes no time. Any thread. */
void mnk_turns_wake(MnkTurns *turns, MnkTurn *turn, gboolean urgent);

/* ---- blackbox.c ---- */

/* shared: memory that the server reads after a crash: the number of the stream in hand, 0: none. */
void mnk_blackbox_install(guint8 *shared);
void mnk_blackbox_remove(void);
/* What this thread works for from now on; 0: nothing. */
void mnk_blackbox_hold(guint32 stream);

/* ---- looker.c ---- */

typedef struct _MnkLooker MnkLooker;
MnkLooker *mnk_looker_new(const MnkPerceptionConfig *config, GError **error);
void mnk_looker_free(MnkLooker *looker);
MnkTurns *mnk_looker_turns(MnkLooker *looker);
/* MNK_MSG_READY: the parts that work, and why others do not. */
void mnk_looker_write(const MnkLooker *looker, GString *out);

/* ---- samples.c: what waits for the looker ---- */

typedef enum {
  MNK_SAMPLE_FRAME,     /* to be looked at: frame or jpeg */
  MNK_SAMPLE_DUPLICATE, /* like the one before: told without a look */
  MNK_SAMPLE_MARK,      /* everything before it has been told: number */
  MNK_SAMPLE_KINDS,
} MnkSampleKind;

typedef struct {
  MnkSampleKind kind;
  guint64 seq;
  guint32 epoch;
  gint64 pts_ms, arrival_us, step_ms;
  float change;
  MnkCameraMotion motion;
  MnkFrame *frame; /* RGB, at picture_size */
  GBytes *jpeg;
  gint64 number;
  gboolean cut; /* of a pushed frame: a new shot begins with it */
  float cut_score;
} MnkSample;
void mnk_sample_free(MnkSample *sample);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkSample, mnk_sample_free)

/* In order. A full backlog makes the pusher wait, or gives up its oldest sample of the same kind.
 * Of marks, which come from the main thread, none is lost: in a full backlog a new one takes the
 * place of the newest, as it says more. */
typedef struct _MnkBacklog MnkBacklog;
MnkBacklog *mnk_backlog_new(guint max_frames, gboolean wait);
void mnk_backlog_free(MnkBacklog *backlog);
/* Takes the sample. The number of samples that gave way, this one among them when it is closed. */
guint mnk_backlog_push(MnkBacklog *backlog, MnkSample *sample);
/* From the next push on; at least 1. */
void mnk_backlog_set_max(MnkBacklog *backlog, guint max_frames);
/* The oldest; NULL when there is none, or when it is a frame and frames are not wanted. */
MnkSample *mnk_backlog_pop(MnkBacklog *backlog, gboolean frames);
guint mnk_backlog_count(MnkBacklog *backlog, MnkSampleKind kind);
gboolean mnk_backlog_is_empty(MnkBacklog *backlog);
/* Nothing goes in any more; wakes who waits. */
void mnk_backlog_close(MnkBacklog *backlog);

/* ---- watch_push.c: pushed JPEGs of all watches together ---- */

enum {
  MNK_WATCH_JPEGS = 4, /* of one watch, waiting for the gate */
  MNK_BUDGET_KIB = 256 << 10,
};
typedef struct {
  gint kib; /* atomic */
} MnkBudget;
/* So much waits that of each watch the newest frame alone may: older ones would come too late. */
gboolean mnk_budget_is_tight(const MnkBudget *budget);

/* ---- watch.c ---- */

/* What all watches share; outlives them. */
typedef struct {
  MnkChannel *channel;
  MnkSlots *slots;
  MnkTurns *pool; /* decodes pushed frames, and tells counters */
  MnkLooker *looker;
  MnkBudget *budget;
} MnkWorkplace;

/* Takes fd. A source that is read gets a thread of its own. */
MnkWatch *mnk_watch_new(const MnkWatchSetup *setup, guint32 number, int fd,
                        const MnkWorkplace *workplace);
/* Ends the source early; what waits is still looked at. None of these waits. */
void mnk_watch_stop(MnkWatch *watch);
void mnk_watch_set(MnkWatch *watch, const MnkWatchLive *live);
void mnk_watch_mark(MnkWatch *watch, gint64 number);
/* Copies the bytes of a frame that is handed in. */
void mnk_watch_push(MnkWatch *watch, const guint8 *jpeg, gsize length, gint64 pts_ms,
                    gint64 arrival_us);
/* Has its counters told when they have changed and a second has passed. */
void mnk_watch_tick(MnkWatch *watch, gint64 now_us);
gboolean mnk_watch_is_over(MnkWatch *watch);
guint32 mnk_watch_number(const MnkWatch *watch);
/* Stops, waits for its thread, gives up the reference that mnk_watch_new returned. */
void mnk_watch_free(MnkWatch *watch);
MnkWatch *mnk_watch_ref(MnkWatch *watch);
void mnk_watch_unref(MnkWatch *watch);

/* The turns: of the looker, and of the pool. */
gboolean mnk_watch_look(MnkWatch *watch, MnkPerception *perception, MnkJpegReader *reader,
                        gboolean urgent, gboolean other_before);
gboolean mnk_watch_decode(MnkWatch *watch, MnkJpegReader *reader, gboolean urgent, gpointer user);

#endif
