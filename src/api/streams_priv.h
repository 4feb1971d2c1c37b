/* Streams as resources: what is behind the registry. */
#ifndef MNK_API_STREAMS_PRIV_H
#define MNK_API_STREAMS_PRIV_H

#include "api/hub_priv.h"
#include "api/spec_priv.h"

/* ---- entry.c ---- */

typedef enum {
  MNK_STATE_STARTING,
  MNK_STATE_RUNNING,
  MNK_STATE_WAITING, /* a pushed stream whose client is away */
  MNK_STATE_ENDED,
  MNK_STATE_FAILED,
} MnkEntryState;

typedef struct _MnkViewers MnkViewers;

struct _MnkEntry {
  gint refs;
  MnkApi *api;
  char *id;
  MnkSpec spec;
  MnkSettings *settings;
  MnkKey *key;            /* who pays, owned; NULL: the operator */
  MnkStream *stream;      /* NULL before its row was read and after its end */
  MnkLocalStream *memory; /* borrowed while it runs; NULL: none */
  gint64 kept_ms;         /* time of the newest frame that was kept for it; < 0: none */
  MnkHub *hub;
  MnkViewers *viewers;
  GPtrArray *watches; /* standing questions, see watches.c; NULL: none */

  MnkEntryState state;
  MnkBackendState backend_told; /* with the last state event */
  GError *failure;
  gboolean stopping;
  gboolean replace; /* captions of an earlier run go, unless that was cut off */
  gint64 created_us, duration_ms;
  guint64 captions_before;    /* of earlier runs of this stream */
  guint64 tokens;             /* of a language model: charged to the key so far */
  gboolean out_of_tokens;     /* the key has none left today: the template tells */
  guint64 refused;            /* frames that never came to the stream */
  MnkStreamCounters counters; /* the last, once the stream is gone */
  gint64 clock_ms;            /* likewise */
  char *video;                /* JSON of the opened source; NULL: unknown */
  char *summary;              /* memory_summary of the newest batch, JSON; NULL: none */
  gpointer client;            /* of a pushed stream: its connection; NULL: away */
  void (*evict)(gpointer client);
  void (*ready)(gpointer client);
  guint wait_timer, free_timer;
  GQueue when_ended; /* of MnkWhenEnded */

  /* seen */
  GString *seen; /* waits for its turn; NULL: none does */
  gint64 seen_us;
  guint seen_timer;
};

/* Takes what spec points to. */
MnkEntry *mnk_entry_new(MnkApi *api, const char *id, MnkSpec *spec, const MnkSettings *settings,
                        MnkKey *key);
MnkEntry *mnk_entry_ref(MnkEntry *entry);
void mnk_entry_unref(MnkEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkEntry, mnk_entry_unref)
/* row: what the store has of it, NULL: nothing. */
gboolean mnk_entry_begin(MnkEntry *entry, const MnkStreamRow *row, GError **error);
/* Captions what is known, then it ends. */
void mnk_entry_stop(MnkEntry *entry);
/* It could not begin, or is over. */
void mnk_entry_end(MnkEntry *entry, const GError *error);
gboolean mnk_entry_is_over(const MnkEntry *entry);
typedef void (*MnkEntryFunc)(MnkEntry *entry, gpointer user);
/* Once, when it is over; at once if it is. */
void mnk_entry_when_ended(MnkEntry *entry, MnkEntryFunc func, gpointer user);
void mnk_entry_forget_when_ended(MnkEntry *entry, gpointer user);
/* Whether the server can caption by the backend that settings ask for. */
gboolean mnk_entry_has_backend(MnkApi *api, const MnkSettings *settings, GError **error);
/* Takes over settings; the live ones hold from now on. Tells readers and the store. */
gboolean mnk_entry_set(MnkEntry *entry, const MnkSettings *settings, GError **error);
/* Its record in the store, after a change of what is needed to begin it again. */
void mnk_entry_keep(MnkEntry *entry);
/* Charges what a language model took to the key; without tokens the template tells. */
void mnk_entry_charge(MnkEntry *entry);
/* A pushed stream's client comes. One that is there already is an error, or with take_over is told
 * to go by its evict: a client that comes back may be sooner than the news that its connection is
 * lost. FALSE: it is another key's stream, not a pushed one, over, or taken. */
typedef struct {
  gpointer client;
  void (*evict)(gpointer client);
  void (*ready)(gpointer client); /* the stream takes frames, if it did not before */
  MnkKey *key;
  gboolean take_over;
} MnkAttach;
gboolean mnk_entry_attach(MnkEntry *entry, const MnkAttach *attach, GError **error);
void mnk_entry_detach(MnkEntry *entry, gpointer client);
void mnk_entry_tell_state(MnkEntry *entry);
/* Readers or viewers have come or gone: what the stream is asked for follows. */
void mnk_entry_audience(MnkEntry *entry);
/* One JPEG of the client; see mnk_stream_push. */
gboolean mnk_entry_push(MnkEntry *entry, const MnkPushFrame *frame, guint *buffered,
                        GError **error);

/* ---- entry_json.c ---- */

void mnk_entry_counters(const MnkEntry *entry, MnkStreamCounters *out);
/* A stream as docs/api.md shows it. */
void mnk_entry_write(MnkEntry *entry, GString *out);
/* One of the timeline that does not run. */
void mnk_row_write(const MnkStreamRow *row, GString *out);
/* A sentence about what was opened, without the folders of this machine. Caller frees. */
char *mnk_spec_shown(const MnkSpec *spec, const char *message);
/* What an observation shows, as the data of a `seen` event. */
GString *mnk_seen_write(const MnkObservation *obs);

/* ---- registry.c ---- */

enum { MNK_ENDED_MAX = 128, MNK_LIST_MAX = 1000 };

typedef struct {
  const char *id;
  MnkSpec *spec; /* taken, whatever comes of it */
  const MnkSettings *settings;
  MnkKey *key;             /* NULL: the operator */
  const MnkStreamRow *row; /* what the store has; NULL: nothing */
  gboolean unknown;        /* row is to be read first; the stream begins later */
} MnkBegin;
/* The entry is borrowed. */
MnkEntry *mnk_registry_begin(MnkRegistry *registry, const MnkBegin *begin, GError **error);
/* Room for one more stream; MNK_STATUS_ERROR 503 when there is none. */
gboolean mnk_registry_has_room(MnkRegistry *registry, GError **error);
/* The id that a source's name gives, and checks what a stream can check at once. NULL with an
 * error; caller frees. */
char *mnk_registry_stem(MnkRegistry *registry, const MnkSpec *spec, const MnkSettings *settings,
                        GError **error);
/* "stem-" and random letters, known to nobody. Caller frees. */
char *mnk_random_id(const char *stem);
/* What is known of one that has ended, whatever has reached the disk: the last words as
 * mnk_entry_write had them, NULL once forgotten; ids, newest first. */
const GString *mnk_registry_ended(MnkRegistry *registry, const char *id);
/* The spec of a row, or of what has ended since it was written. Never NULL. */
const char *mnk_registry_spec(MnkRegistry *registry, const MnkStreamRow *row);
/* row, or, where the store has none of one that has ended, *bare with its id. NULL: not known. id
 * is borrowed by *bare. */
const MnkStreamRow *mnk_registry_row(MnkRegistry *registry, char *id, const MnkStreamRow *row,
                                     MnkStreamRow *bare);
/* It runs, or has ended: known, whatever the store has heard of it. */
gboolean mnk_registry_knows(MnkRegistry *registry, const char *id);
GPtrArray *mnk_registry_ended_ids(MnkRegistry *registry);
void mnk_registry_forget(MnkRegistry *registry, const char *id);
/* Running ones, newest first; borrowed elements, caller unrefs. */
GPtrArray *mnk_registry_list(MnkRegistry *registry);
/* An entry that is over goes; called by the entry. */
void mnk_registry_drop(MnkRegistry *registry, MnkEntry *entry);
/* What streams have that were given no parameters. */
const MnkSettings *mnk_registry_base(MnkRegistry *registry);
/* Captions whose vectors are on their way. */
GQueue *mnk_registry_embeds(MnkRegistry *registry);
/* Scratch memory of at least this size for decoding, shared by all; NULL: no memory. */
guint8 *mnk_registry_scratch(MnkRegistry *registry, gsize size);

/* ---- embed.c: vectors of captions ---- */

void mnk_embed_caption(MnkEntry *entry, const MnkCaption *caption);
void mnk_embeds_cancel(MnkRegistry *registry, MnkEmbedder *embedder);

/* ---- search.c ---- */

/* Both lists of MnkSearchHit, best first, as one; by_words is changed and returned. */
GPtrArray *mnk_search_fuse(GPtrArray *by_words, GPtrArray *by_meaning, guint limit);

/* ---- watches.c: standing questions ---- */

/* The stream has come so far; scene: a new one begins. */
void mnk_watches_advance(MnkEntry *entry, gint64 now_ms, gboolean scene);
void mnk_watches_clear(MnkEntry *entry);
/* What is needed to begin them again (NULL: there are none; caller frees), and back from the
 * stream's record. */
char *mnk_watches_text(const MnkEntry *entry);
void mnk_watches_restore(MnkEntry *entry, const char *spec);

/* ---- viewers.c: live pictures ---- */

MnkViewers *mnk_viewers_new(MnkEntry *entry);
void mnk_viewers_free(MnkViewers *viewers);
guint mnk_viewers_count(const MnkViewers *viewers);
/* Each part tells the picture's time in its header X-Pts-Ms. */
void mnk_viewers_show(MnkViewers *viewers, gint64 pts_ms, GBytes *jpeg);
/* The newest picture that was shown or kept, NULL: none. Borrowed. */
GBytes *mnk_viewers_latest(const MnkViewers *viewers);
void mnk_viewers_keep(MnkViewers *viewers, gint64 pts_ms, GBytes *jpeg);
/* Nothing more comes. */
void mnk_viewers_end(MnkViewers *viewers);
void mnk_viewers_add(MnkViewers *viewers, MnkRequest *request, double fps, int size);

/* ---- handlers ---- */

void mnk_handle_streams_add(MnkCall *call);
void mnk_handle_streams_list(MnkCall *call);
void mnk_handle_stream_get(MnkCall *call);
void mnk_handle_stream_patch(MnkCall *call);
void mnk_handle_stream_delete(MnkCall *call);
void mnk_handle_captions(MnkCall *call);
void mnk_handle_frames(MnkCall *call);
void mnk_handle_frame(MnkCall *call);
void mnk_handle_mjpeg(MnkCall *call);
void mnk_handle_search(MnkCall *call);
void mnk_handle_events(MnkCall *call);
void mnk_handle_ws_events(MnkCall *call);
void mnk_handle_ws_stream(MnkCall *call);

/* Limits of a WebSocket by the options. */
void mnk_ws_config(const MnkSettings *settings, MnkWebSocketConfig *out);
/* Looks a stream up in the store for a call, when none of that id runs. func: row NULL with an
 * error; not called when the request has closed meanwhile. */
typedef void (*MnkRowFunc)(MnkCall *call, const MnkStreamRow *row, const GError *error);
void mnk_call_with_row(MnkCall *call, const char *id, MnkRowFunc func);
/* Runs work on the store's reading thread, then done. done comes also when the request has closed
 * (then call->request is NULL), and frees data and result. */
typedef void (*MnkCallDone)(MnkCall *call, gpointer result, const GError *error, gpointer data);
void mnk_call_run(MnkCall *call, MnkStoreWork work, MnkCallDone done, gpointer data);

#endif
