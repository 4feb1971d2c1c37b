/* The server's half of a stream: what its files share.
 *
 *   stream.c  life, settings, restarts       intake.c  messages of the worker
 *   push.c    frames handed in, batches      teller.c, captioner.c  captions
 *   feeder.c  frames to remember */
#ifndef MNK_STREAM_SERVER_PRIV_H
#define MNK_STREAM_SERVER_PRIV_H

#include "stream/stream_priv.h"

struct _MnkPusher;
typedef struct _MnkPusher MnkPusher;
typedef struct _MnkFeeder MnkFeeder;

struct _MnkStream {
  char *id, *source_text;
  MnkSettings *settings;
  MnkSourceName source;
  MnkWatchSetup setup;
  MnkWorkers *workers;
  MnkStore *store;
  MnkBackend *backend;
  gboolean resume;
  MnkStreamEvents events;
  gpointer user;

  MnkLink *link;
  MnkTimeline *timeline;
  MnkCaptioner *captioner;
  MnkTeller *teller;    /* NULL: the template alone */
  MnkPusher *pusher;    /* NULL: it has a source of its own */
  MnkFeeder *feeder;    /* NULL: nobody remembers */
  GHashTable *pictures; /* pts (gint64 *) -> GBytes: of the running scene */
  guint64 scene_number; /* of the scene told last */
  gboolean scene_told;

  MnkWatchCounters counters, before; /* of this worker; of those that died */
  guint64 deaths, gaps, dropped_worker;
  gint64 duration_ms; /* of the file; < 0: unknown */
  gint64 seen_ms;     /* the newest observation; < 0: none yet */
  gint64 seen_end_ms; /* how far it reaches */
  gint64 told_end_ms; /* pushed: what was told at a decode point reaches until here */
  gint64 seen_mono_us, seen_arrival_us;
  char *away_why; /* nothing was seen for a while: the next observation tells how long */
  gboolean keep_pictures, wants_pictures, want_running, stopping, hurried, source_over;
  gint64 running_us; /* when the running caption was told last */
  GError *failure;   /* how the source ended */
  guint stop_timer, end_timer;
};

/* ---- stream.c ---- */

/* The source has ended, failure NULL: whole; takes failure. */
void mnk_stream_source_over(MnkStream *stream, gint64 end_ms, GError *failure);
/* A decode point: what runs is told. */
void mnk_stream_decode(MnkStream *stream);

/* ---- intake.c ---- */

void mnk_stream_intake(MnkStream *stream, MnkMessage *message);
void mnk_stream_add_counters(MnkWatchCounters *sum, const MnkWatchCounters *other);
/* Nothing was seen from the last observation until now. */
void mnk_stream_mark_gap(MnkStream *stream, gint64 until_ms);

/* ---- feeder.c ---- */

/* How much a frame tells, 0..1: something large that is new, many things, text. Pure. */
float mnk_importance_of(const MnkObservation *obs);
MnkFeeder *mnk_feeder_new(MnkStream *stream);
void mnk_feeder_free(MnkFeeder *feeder);
void mnk_feeder_picture(MnkFeeder *feeder, gint64 pts_ms, GBytes *jpeg);
void mnk_feeder_observe(MnkFeeder *feeder, const MnkObservation *obs);

/* ---- push.c ---- */

MnkPusher *mnk_pusher_new(MnkStream *stream, gint64 next_ms, double time_zero);
void mnk_pusher_free(MnkPusher *pusher);
void mnk_pusher_observe(MnkPusher *pusher, const MnkObservation *obs);
/* The worker has told all that was sent before a mark. */
void mnk_pusher_marked(MnkPusher *pusher, guint64 number);
/* The worker died: its frames went with it; marks that it owed are met. */
void mnk_pusher_died(MnkPusher *pusher);
/* received, queued and what was dropped on this side. */
void mnk_pusher_count(const MnkPusher *pusher, MnkStreamCounters *out);
/* Between the sender's last two frames; 0: not known. */
gint64 mnk_pusher_interval_ms(const MnkPusher *pusher);
double mnk_pusher_time_zero(const MnkPusher *pusher);

#endif
