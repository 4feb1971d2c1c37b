/* What both halves of a stream share: the contents of the messages between them. */
#ifndef MNK_STREAM_PRIV_H
#define MNK_STREAM_PRIV_H

#include "ipc/ipc.h"
#include "media/media.h"
#include "stream/stream.h"
#include "vision/vision.h"

/* ---- source.c: what the user named ---- */

typedef struct {
  MnkSourceKind kind;
  char *address;
  gboolean standard_input;
  gboolean network;
} MnkSourceName;

void mnk_source_name_clear(MnkSourceName *name);
/* Understands the name and checks what can be checked without opening a decoder. */
gboolean mnk_source_name_parse(const char *text, MnkSourceName *out, GError **error);
/* The descriptor to hand to the worker: >= 0, or -1 for what it opens by address. */
int mnk_source_name_open(const MnkSourceName *name, GError **error);
/* An API client's source against the address policy; trusted: the operator's own. */
gboolean mnk_source_name_check(const MnkSourceName *name, const MnkSettings *settings,
                               gboolean trusted, GError **error);
/* An id for a stream of this source: "city_walk" for "/videos/city walk.mp4". Caller frees. */
char *mnk_source_name_id(const MnkSourceName *name);

/* ---- setup.c: what the server tells the worker ---- */

enum {
  /* worker -> server, shared by all its streams: key frames and previews as JPEG */
  MNK_SLOTS = 64,
  MNK_SLOT_SIZE = 2 << 20, /* bytes */
  /* server -> worker: pushed JPEGs on their way */
  MNK_INBOX_SLOTS = 65, /* the first is the black box: see blackbox.c */
  MNK_INBOX_SLOT_SIZE = 4 << 20,
};

/* MNK_MSG_HELLO: what holds for the whole worker. */
typedef struct {
  char *models_dir, *cache_dir;
  char *device; /* the camera that it may open for writing; "": none */
  int threads;
  guint parts;
  gboolean stub, sandbox, network;
  guint64 max_memory;
  MnkLogLevel log_level;
} MnkWorkerSetup;

void mnk_worker_setup_init(MnkWorkerSetup *setup, const MnkSettings *settings,
                           const MnkSourceName *source);
void mnk_worker_setup_clear(MnkWorkerSetup *setup);
void mnk_worker_setup_write(const MnkWorkerSetup *setup, GString *out);
gboolean mnk_worker_setup_read(const MnkJsonValue *value, MnkWorkerSetup *out, GError **error);

/* What may change while a watch runs: a part of MNK_MSG_OPEN, and all of MNK_MSG_SET. */
typedef struct {
  double fps; /* MNK_SOURCE_PUSHED: 0 keeps every frame; else frames nearer than 1 / fps to the
                 last kept one are gated */
  double gate_mse;
  gint64 gate_max_gap_ms;
  guint parts; /* MnkPart bits that look at its frames */
  gboolean pictures;
  int picture_size;
  guint summary_dim;  /* numbers of the pooled features in each observation; 0: none */
  double preview_fps; /* 0: none; MNK_SOURCE_PUSHED: none, the server has the pictures itself */
  int preview_size;
  gboolean paused; /* nothing more is read: for a file, which waits until captions have caught up */
} MnkWatchLive;

void mnk_watch_live_init(MnkWatchLive *live, const MnkSettings *settings);
void mnk_watch_live_write(const MnkWatchLive *live, GString *out);
gboolean mnk_watch_live_read(const MnkJsonValue *value, MnkWatchLive *out, GError **error);

/* MNK_MSG_OPEN: one source and how it is looked at. */
typedef struct {
  char *stream; /* id, for the log */
  char *address;
  MnkSourceKind kind;
  MnkWatchLive live;
  gint64 from_ms, to_ms; /* to_ms < 0: to the end */
  gint64 resume_ms;      /* file: begin here in the first pass; < 0: at from_ms */
  gint64 offset_ms;      /* added to the source's times: what an earlier worker has played */
  gboolean loop, realtime, every_frame, rtsp_udp;
  gint64 timeout_ms;
  guint reconnect_max;
  char *outbound_allow; /* RTSP, HTTP: MnkSourceConfig's; NULL: public addresses only */
  guint64 max_pixels;
  gboolean cuts, camera_motion; /* MNK_SOURCE_PUSHED: no motion, and cuts by mnk_shots_apart */
  /* tests: "abort@MS", "hang@MS" once, when resume_ms < 0; "kill-loop"; "abort:STREAM"; NULL: none
   */
  char *fault;
} MnkWatchSetup;

void mnk_watch_setup_init(MnkWatchSetup *setup, const MnkSettings *settings);
void mnk_watch_setup_clear(MnkWatchSetup *setup);
void mnk_watch_setup_write(const MnkWatchSetup *setup, GString *out);
gboolean mnk_watch_setup_read(const MnkJsonValue *value, MnkWatchSetup *out, GError **error);

/* ---- workers.c: a stream's place in a worker process ---- */

typedef struct _MnkLink MnkLink;
typedef struct {
  void (*started)(gpointer user); /* the worker is up (again): open the source */
  void (*message)(MnkMessage *message, gpointer user); /* borrowed */
  void (*died)(const char *why, gboolean given_up, gpointer user);
} MnkLinkEvents;
/* Events come from the main context, not from within. */
MnkLink *mnk_link_new(MnkWorkers *workers, const MnkSourceName *source, const MnkLinkEvents *events,
                      gpointer user, GError **error);
/* Closes the stream in the worker. */
void mnk_link_free(MnkLink *link);
/* Never waits; takes fd (-1: none). */
void mnk_link_send(MnkLink *link, MnkMessageType type, const char *text, gsize length, int fd);
gboolean mnk_link_is_up(const MnkLink *link);
GPid mnk_link_pid(const MnkLink *link);
/* A pushed frame. FALSE: there is no room on the way, or no worker. */
gboolean mnk_link_push(MnkLink *link, const guint8 *jpeg, gsize length, gint64 pts_ms,
                       gint64 arrival_us);
/* Copies out what a PICTURE or PREVIEW message names, and frees its slot. */
GBytes *mnk_link_picture(MnkLink *link, const MnkJsonValue *value, gint64 *pts_ms, GError **error);

/* ---- report.c: what the worker tells the server besides observations ---- */

enum { MNK_GATE_BUCKETS = 16 }; /* mnk_latency_bounds_n, and what is over the last bound */

/* All since the watch began, for this watch alone. */
typedef struct {
  guint64 received, encoded, gated, late, dropped, queued, decoded, damaged, reconnects;
  guint64 dropped_behind, dropped_damaged; /* of dropped */
  guint64 waiting_jpegs, waiting_looks;    /* of queued: for the gate, and for perception */
  double decode_ms, look_ms;
  double part_ms[5]; /* by bit of MnkPart */
  guint64 part_runs[5];
  double gate_ms; /* from arrival to the gate's verdict, summed, and by bucket (each alone) */
  guint64 gate_counts[MNK_GATE_BUCKETS];
} MnkWatchCounters;

void mnk_watch_counters_write(const MnkWatchCounters *counters, GString *out);
gboolean mnk_watch_counters_read(const MnkJsonValue *value, MnkWatchCounters *out, GError **error);
void mnk_source_info_write(const MnkSourceInfo *info, GString *out);
/* MNK_MSG_ENDED; error NULL: the whole source was read. */
void mnk_ended_write(gint64 end_ms, const GError *error, GString *out);
/* TRUE with *failure (caller frees) or NULL; FALSE with an error when it cannot be read. */
gboolean mnk_ended_read(const MnkJsonValue *value, gint64 *end_ms, GError **failure,
                        GError **error);

/* ---- captioner.c: numbers and commits captions ---- */

typedef struct _MnkCaptioner MnkCaptioner;
typedef struct {
  /* A final caption after its commit, or a running one. Borrowed. */
  void (*caption)(const MnkCaption *caption, gboolean durable, gpointer user);
  /* The picture to keep beside a caption, borrowed, or NULL. */
  GBytes *(*picture)(const MnkCaption *caption, gint64 *pts_ms, gpointer user);
} MnkCaptionerEvents;
/* store may be NULL. */
MnkCaptioner *mnk_captioner_new(const char *stream, MnkLang lang, MnkStore *store,
                                const MnkCaptionerEvents *events, gpointer user);
void mnk_captioner_free(MnkCaptioner *captioner);
void mnk_captioner_go_on(MnkCaptioner *captioner, guint64 next_number, guint64 next_seq);
void mnk_captioner_set_lang(MnkCaptioner *captioner, MnkLang lang);
/* The template's caption for a scene, without id; owned by the caller. */
MnkCaption *mnk_captioner_caption_of(MnkCaptioner *captioner, const MnkScene *scene);
/* Takes a final caption: gives it its id and seq, or lengthens the one before when it says the
 * same, and commits it. */
void mnk_captioner_tell(MnkCaptioner *captioner, MnkCaption *caption, gboolean after_cut);
/* The last caption holds until end_ms. */
void mnk_captioner_lengthen(MnkCaptioner *captioner, gint64 end_ms);
/* Takes a caption that is still being built: told with the id that it will have, not kept. */
void mnk_captioner_show(MnkCaptioner *captioner, MnkCaption *caption, gboolean after_cut);
guint64 mnk_captioner_count(const MnkCaptioner *captioner);
/* Captions that wait for their commit. */
guint mnk_captioner_waiting(const MnkCaptioner *captioner);

/* ---- teller.c: captions by a remote backend ---- */

typedef struct _MnkTeller MnkTeller;
typedef struct {
  guint64 batches, stale, fallbacks, tokens;
} MnkTellerCounters;
MnkTeller *mnk_teller_new(const char *stream, MnkCaptioner *captioner, MnkBackend *backend,
                          const MnkSettings *settings);
void mnk_teller_free(MnkTeller *teller);
void mnk_teller_set(MnkTeller *teller, const MnkSettings *settings);
/* Each round gets its answer, however long others wait: for a source that can wait, too. moved: the
 * number of rounds that wait is another one; also called from within. */
void mnk_teller_be_patient(MnkTeller *teller, void (*moved)(gpointer user), gpointer user);
/* Rounds that were gathered and are not told yet. */
guint mnk_teller_waiting(const MnkTeller *teller);
/* A picture comes before the observation of its frame. */
void mnk_teller_picture(MnkTeller *teller, gint64 pts_ms, GBytes *jpeg);
void mnk_teller_observe(MnkTeller *teller, const MnkObservation *obs);
/* What the template says of a scene, in case; takes the caption. */
void mnk_teller_scene(MnkTeller *teller, MnkCaption *caption, gboolean after_cut);
/* A decode point: what was gathered becomes a request. */
void mnk_teller_decode(MnkTeller *teller, gint64 end_ms);
guint mnk_teller_gathered(const MnkTeller *teller);
/* Nothing more comes: what is held open is told when all rounds are. */
void mnk_teller_finish(MnkTeller *teller);
/* Waits for no answer any more. */
void mnk_teller_hurry(MnkTeller *teller);
gboolean mnk_teller_is_busy(const MnkTeller *teller);
void mnk_teller_counters(const MnkTeller *teller, MnkTellerCounters *out);

#endif
