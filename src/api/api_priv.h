/* What the parts of the API share. */
#ifndef MNK_API_PRIV_H
#define MNK_API_PRIV_H

#include "api/api.h"
#include "api/auth_priv.h"
#include "api/route_priv.h"

/* ---- answer.c: answers ---- */

/* Errors whose code is an HTTP status: 401, 403, 404, 405, 409, 413, 429, 503. */
#define MNK_STATUS_ERROR (mnk_status_error_quark())
GQuark mnk_status_error_quark(void);

void mnk_answer_json(MnkRequest *request, guint status, const GString *json);
void mnk_answer_error(MnkRequest *request, guint status, const char *code, const char *message,
                      const char *field);
/* Status and code of a GError (MNK_STATUS_ERROR, MNK_ERROR); a message that begins with the name of
 * a member of the route's tables gives the field. 429 and 503 carry Retry-After. */
void mnk_answer_gerror(MnkRequest *request, const GError *error);

/* The body of such an answer, for events. */
void mnk_error_write(const MnkCall *call, const GError *error, GString *out);

/* ---- The parts; api.c owns them ---- */

typedef struct _MnkRegistry MnkRegistry; /* registry.c: the streams */
typedef struct _MnkUploads MnkUploads;   /* uploads.c */
typedef struct _MnkService MnkService;   /* service.c */
typedef struct _MnkMemories MnkMemories; /* memories.c */
typedef struct _MnkVideos MnkVideos;     /* videos.c */

struct _MnkApi {
  MnkSettings *settings;
  MnkAuth *auth;
  MnkStore *store;
  MnkHttpClient *client;
  MnkLocal *local;       /* NULL: no local model is configured */
  MnkMemories *memories; /* NULL without it */
  MnkBackend *backend;   /* NULL: the template alone */
  MnkAsker *asker;
  MnkEmbedder *embedder; /* NULL: none */
  MnkAddressPolicy *outbound;
  MnkWorkers *workers;
  MnkRegistry *registry;
  MnkUploads *uploads;
  MnkVideos *videos; /* NULL until the first is asked about */
  MnkService *service;
  MnkHttpServer *http;
  GHashTable *sessions; /* of MnkSession: open connections to /ws/stream */
  gboolean starting, draining;
  void (*on_caption)(const MnkCaption *caption, gpointer user);
  gpointer on_caption_user;
  void (*on_started)(const GError *error, gpointer user);
  gpointer on_started_user;
  guint start_timer, drain_timer;
  gint64 linger_ms;
  gboolean resumed, backend_asked;
  int locks[2]; /* files; -1: not held */
  GQueue early; /* of MnkCall, owned: they came before the streams were back */
  void (*drained)(gpointer user);
  gpointer drained_user;
};

/* ---- registry.c ---- */

typedef struct _MnkEntry MnkEntry; /* one stream as a resource, with its readers */

MnkRegistry *mnk_registry_new(MnkApi *api);
void mnk_registry_free(MnkRegistry *registry);
/* Begins the streams that the store says are to be resumed. Asynchronous; done once. */
void mnk_registry_resume(MnkRegistry *registry, void (*done)(gpointer user), gpointer user);
guint mnk_registry_size(const MnkRegistry *registry);
MnkEntry *mnk_registry_find(MnkRegistry *registry, const char *id); /* NULL: none runs */
/* key: who pays; borrowed, NULL for the operator. trusted: any source. params may be NULL. Errors
 * carry the HTTP status that fits. */
MnkEntry *mnk_registry_add(MnkRegistry *registry, const char *id, const char *source,
                           const MnkJsonValue *params, MnkKey *key, gboolean trusted,
                           GError **error);
void mnk_registry_remove(MnkRegistry *registry, MnkEntry *entry);
/* Every stream is captioned to its end; done when all have ended or after timeout_ms. */
void mnk_registry_drain(MnkRegistry *registry, gint64 timeout_ms, void (*done)(gpointer user),
                        gpointer user);
void mnk_registry_write_metrics(MnkRegistry *registry); /* per-stream sums into the registry */
/* Something that every state event tells has changed. */
void mnk_registry_tell_states(MnkRegistry *registry);
/* LIVE options have changed. */
void mnk_registry_reload(MnkRegistry *registry);

/* ---- memories.c: what the local model remembers of each stream ---- */

MnkMemories *mnk_memories_new(MnkApi *api, GError **error);
/* What is not saved is lost. */
void mnk_memories_free(MnkMemories *memories);
/* A stream begins; again: with what it remembered before, else with nothing. Borrowed, until the
 * memory is forgotten. NULL: it has none (here and below, memories may be NULL). */
MnkLocalStream *mnk_memories_begin(MnkMemories *memories, const char *id,
                                   const MnkSettings *settings, gboolean again);
/* It has ended: its memory is kept for questions, until others of its kind need the place. */
void mnk_memories_rest(MnkMemories *memories, const char *id);
/* Of a stream that runs or has ended; NULL: none. */
MnkLocalStream *mnk_memories_find(MnkMemories *memories, const char *id);
/* Its file, too. */
void mnk_memories_forget(MnkMemories *memories, const char *id);
/* Asks for all that has changed; are_saving: until it lies on the disk. */
void mnk_memories_save(MnkMemories *memories);
gboolean mnk_memories_are_saving(const MnkMemories *memories);

/* ---- ws_stream.c ---- */

/* Closes connections to /ws/stream that are still open: the program is about to end. */
void mnk_sessions_go_away(MnkApi *api);

/* ---- uploads.c ---- */

/* The path of an upload, NULL with MNK_ERROR_NOT_FOUND. Caller frees. */
char *mnk_upload_path(MnkApi *api, const char *name, GError **error);

#endif
