/* A watch, inside: one source in the worker. Its frames come from its own thread (watch_read.c) or
 * by the pool's turns (watch_push.c), pass its gate, and wait for the looker (watch_look.c). */
#ifndef MNK_STREAM_WATCH_PRIV_H
#define MNK_STREAM_WATCH_PRIV_H

#include "stream/worker_priv.h"

typedef struct _MnkReading MnkReading;
typedef struct _MnkPushing MnkPushing;

/* What happened between frames, ready to be told: a shot boundary, or a gap. */
typedef struct {
  gint64 at_ms;
  MnkMessageType type;
  GString *text;
} MnkWatchEvent;
void mnk_watch_event_free(gpointer data);

struct _MnkWatch {
  gint refs; /* atomic: the worker's, and one for each turn */
  MnkWatchSetup setup;
  guint32 number;
  const MnkWorkplace *place;
  gint stop;                    /* atomic: end early, or the server is gone */
  gint coming;                  /* atomic: more may come to the gate */
  gint ended;                   /* atomic: ENDED has been sent */
  MnkTurn look_turn, pool_turn; /* guarded by the turns */
  MnkBacklog *backlog;
  MnkReading *reading; /* NULL: frames are handed in */
  MnkPushing *pushing; /* NULL: a source is read */

  /* Of who brings frames: the reading thread, or the pool's turn. */
  MnkGate *gate;
  guint64 seq;
  gint live_seen;
  gint64 end_ms;    /* where the source ends as far as is known */
  GError *failure;  /* why it ended; NULL: it was all */
  MnkQueue *events; /* of MnkWatchEvent; NULL: none come */

  /* Of the looker. */
  MnkWatchEvent *next_event; /* taken from the queue, lies after the last frame looked at */
  gboolean shot_began;

  gint asked; /* atomic: the next frame is accepted in any case */

  GMutex lock; /* of what follows */
  GCond go_on; /* live.paused or stop is another one */
  MnkWatchLive live;
  gint live_number; /* atomic: counts changes of live */
  MnkWatchCounters counters;

  GMutex telling; /* from reading the counters to sending them, so that they never go back */
  char *told;     /* the counters as they were last told */

  gint counters_due; /* atomic */
  gint64 told_us;    /* of the main thread */
};

/* ---- watch.c ---- */

/* What holds now. */
MnkWatchLive mnk_watch_live(MnkWatch *watch);
/* While nothing is to be read; not longer than until the watch is stopped. */
void mnk_watch_wait_while_paused(MnkWatch *watch);
/* Passes a thumbnail (NULL: there is none, accept) through the gate, fills in what the gate knows
 * of the sample, and counts. */
MnkGateVerdict mnk_watch_judge(MnkWatch *watch, const guint8 *thumb, MnkSample *sample);
/* Lets it wait for the looker; takes it. */
void mnk_watch_queue(MnkWatch *watch, MnkSample *sample);
void mnk_watch_wake_looker(MnkWatch *watch);
/* A frame that cannot be decoded. */
void mnk_watch_damaged(MnkWatch *watch, const GError *error);
/* Nothing more comes to the gate. */
void mnk_watch_no_more(MnkWatch *watch);

/* ---- watch_read.c ---- */

MnkReading *mnk_reading_new(MnkWatch *watch, int fd);
/* Waits for the thread; stop must be set and the backlog closed. */
void mnk_reading_join(MnkReading *reading);
void mnk_reading_free(MnkReading *reading);

/* ---- watch_push.c ---- */

MnkPushing *mnk_pushing_new(void);
void mnk_pushing_free(MnkPushing *pushing);
/* Nothing more is handed in: when what waits is done, the watch has no more. */
void mnk_pushing_close(MnkWatch *watch);
void mnk_pushing_mark(MnkWatch *watch, gint64 number);
/* The pool's turn: one frame. TRUE: more wait. */
gboolean mnk_pushing_decode(MnkWatch *watch, MnkJpegReader *reader);
guint mnk_pushing_waiting(MnkPushing *pushing);

/* ---- watch_tell.c: each may wait for the server ---- */

void mnk_watch_send(MnkWatch *watch, MnkMessageType type, const GString *text);
void mnk_watch_tell_observation(MnkWatch *watch, const MnkObservation *obs);
/* A picture through a slot: PICTURE or PREVIEW. FALSE: there was no free slot, or it does not fit.
 */
gboolean mnk_watch_tell_picture(MnkWatch *watch, MnkMessageType type, gint64 pts_ms,
                                const guint8 *jpeg, gsize length);
/* always: even if nothing has changed. */
void mnk_watch_tell_counters(MnkWatch *watch, gboolean always);
void mnk_watch_tell_marked(MnkWatch *watch, gint64 number);
void mnk_watch_tell_ended(MnkWatch *watch);

#endif
