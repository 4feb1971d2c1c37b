/* What the parts of the API share. */
#ifndef MNK_API_PRIV_H
#define MNK_API_PRIV_H

#include "api/api.h"

/* ---- auth.c: who asks ---- */

typedef enum {
  MNK_SCOPE_NONE = 0, /* anyone */
  MNK_SCOPE_INGEST = 1 << 0,
  MNK_SCOPE_READ = 1 << 1,
  MNK_SCOPE_ASK = 1 << 2,
  MNK_SCOPE_ADMIN = 1 << 3,
} MnkScope;

/* A key of the file, or the one that stands for everyone when there are none. Lives as long as its
 * keyring or until the last reference goes. */
typedef struct {
  gint refs;
  char *name;
  guint scopes;
  guint streams_max; /* 0: no limit of its own, as below */
  double fps_max;    /* frames pushed per second, all streams of the key together */
  guint64 bytes_per_s;
  guint64 tokens_per_day; /* of language models */
  /* in use */
  guint streams;
  double fps_bucket, bytes_bucket;
  gint64 bucket_us, day;
  guint64 tokens_today;
  char *hash;       /* as in the file; "" for everyone */
  gboolean revoked; /* gone from the file: takes no more frames or streams */
} MnkKey;
MnkKey *mnk_key_ref(MnkKey *key);
void mnk_key_unref(MnkKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkKey, mnk_key_unref)
/* Takes one frame of these bytes from the key's quotas. FALSE with the limit's name and figure
 * (MNK_STATUS_ERROR 429, or 403 for a key that was revoked). now_us: monotonic. */
gboolean mnk_key_take_frame(MnkKey *key, gsize bytes, gint64 now_us, GError **error);
gboolean mnk_key_take_stream(MnkKey *key, GError **error);
void mnk_key_give_stream(MnkKey *key);
/* now_us: wall time, as a day is one of the calendar (UTC). */
gboolean mnk_key_has_tokens(MnkKey *key, gint64 now_us);
void mnk_key_spend_tokens(MnkKey *key, guint64 tokens, gint64 now_us);

typedef struct _MnkAuth MnkAuth;
/* keys_path NULL: no keys, everyone may do everything. */
MnkAuth *mnk_auth_new(const char *keys_path, GError **error);
void mnk_auth_free(MnkAuth *auth);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkAuth, mnk_auth_free)
gboolean mnk_auth_reload(MnkAuth *auth, const char *keys_path, GError **error);
gboolean mnk_auth_has_keys(const MnkAuth *auth);
/* The key of this name, for streams that go on after a restart; NULL: gone. Owned by the caller. */
MnkKey *mnk_auth_find(MnkAuth *auth, const char *name);
/* The key behind a request (header, or a token for this stream; stream NULL: a token for any), with
 * the scope wanted. NULL: refused, *status is 401, 403 or 429 (too many wrong keys from this
 * address), and the error says why. Owned by the caller. Compares in constant time. */
MnkKey *mnk_auth_check(MnkAuth *auth, MnkRequest *request, MnkScope scope, const char *stream,
                       guint *status, GError **error);
/* HMAC-SHA-256 over scope, stream, key and expiry, with a secret made at the start. */
char *mnk_auth_make_token(MnkAuth *auth, const MnkKey *key, MnkScope scope, const char *stream,
                          gint64 expires_us);
/* The Origin check: absent, our own, or listed. *allow: the value for
 * Access-Control-Allow-Origin or NULL. */
gboolean mnk_auth_origin_ok(const char *allow_origins, MnkRequest *request, const char **allow);

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
typedef struct _MnkCall MnkCall;
void mnk_error_write(const MnkCall *call, const GError *error, GString *out);

/* ---- routes.c: one table checks requests, finds handlers and writes the OpenAPI file ---- */

typedef enum {
  MNK_FIELD_STRING, /* max: bytes */
  MNK_FIELD_INT,
  MNK_FIELD_DOUBLE,
  MNK_FIELD_BOOL,
  MNK_FIELD_TIME,   /* "90", "1:30"; milliseconds inside */
  MNK_FIELD_ENUM,   /* choices "a|b" */
  MNK_FIELD_PARAMS, /* an object with the options table's stream parameters (MNK_COMMAND_PARAM) */
  MNK_FIELD_OPTION, /* of bodies alone, like the next: one of these parameters; choices: its name,
                       NULL: the member's */
  MNK_FIELD_OBJECT, /* choices: its schema or NULL; what is in it the handler checks */
  MNK_FIELD_LIST,   /* choices: the schema of its elements; min, max: how many */
} MnkFieldType;

/* A member of the query or of the JSON body. Tables end with a NULL name. Unknown members are
 * refused by name, but for routes of MNK_ROUTE_OPENAI. */
typedef struct {
  const char *name;
  MnkFieldType type;
  gboolean required;
  double min, max;
  const char *choices;
  const char *help;
} MnkField;

typedef struct _MnkRoute MnkRoute;

/* One request on its way through a handler. The dispatcher holds it until the request is closed; a
 * handler that answers later holds it by a reference and looks whether request is still there. The
 * request's own user pointer and closed-call belong to the dispatcher: use the ones here. */
struct _MnkCall {
  gint refs;
  MnkApi *api;
  MnkRequest *request; /* NULL once it is closed: nobody waits for the answer any more */
  const MnkRoute *route;
  MnkKey *key;     /* who asks, owned; NULL for routes of MNK_SCOPE_NONE */
  char *id, *rest; /* the path's variables; NULL when it has none */
  MnkJson *json;   /* the body, checked against the route's table; NULL: none */
  const MnkJsonValue *body;
  void (*closed)(MnkCall *call, gpointer user); /* set by a handler: the request is over */
  gpointer user;                                /* the handler's own */
  gint64 started_us;
};
MnkCall *mnk_call_ref(MnkCall *call);
void mnk_call_unref(MnkCall *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkCall, mnk_call_unref)

enum {
  MNK_ROUTE_RAW_BODY = 1 << 0, /* the handler reads the body itself */
  /* As OpenAI has it: members of the body that are unknown or null are passed over, and errors have
   * its form. */
  MNK_ROUTE_OPENAI = 1 << 1,
};

struct _MnkRoute {
  const char *method;
  const char *pattern; /* "/v1/streams/{id}/frames/{rest}" */
  MnkScope scope;
  const MnkField *query, *body; /* NULL: none */
  guint status;                 /* of success */
  /* A content type, or a schema of openapi_schemas.c; NULL: no body. */
  const char *answer;
  const char *summary;
  void (*handle)(MnkCall *call);
  guint flags; /* MNK_ROUTE_... */
};

/* Tables of the files that own the handlers, each ended by a NULL method. */
extern const MnkRoute mnk_routes_service[]; /* service.c: health, metrics, version, tokens, page */
extern const MnkRoute mnk_routes_streams[]; /* streams.c, captions.c, frames.c, search.c */
extern const MnkRoute mnk_routes_events[];  /* events.c: SSE, WebSocket, MJPEG; ws_stream.c */
extern const MnkRoute mnk_routes_uploads[]; /* uploads.c */
extern const MnkRoute mnk_routes_questions[]; /* ask.c, watches.c, remembered.c, asked.c, chat.c */

/* Members of a query as the route's table has them; the fallback when absent. */
const char *mnk_call_string(const MnkCall *call, const char *name, const char *fallback);
gint64 mnk_call_int(const MnkCall *call, const char *name, gint64 fallback); /* INT, TIME */
double mnk_call_double(const MnkCall *call, const char *name, double fallback);

/* The data folder: the option, else the user's. Caller frees. */
char *mnk_api_data_dir(const MnkSettings *settings);

/* A params object on top of settings: every member checked by the options table. live_only: those
 * that may not change while a stream runs are refused. FALSE: nothing has changed; the error begins
 * with the member's name. */
gboolean mnk_params_apply(MnkSettings *settings, const MnkJsonValue *params, gboolean live_only,
                          GError **error);
/* One of them. */
gboolean mnk_params_set(MnkSettings *settings, const char *name, const MnkJsonValue *value,
                        GError **error);
void mnk_params_write(const MnkSettings *settings, MnkJsonWriter *w, const char *key);

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
