/* What a backend is made of: prompts, the dialects of the services, and calls. */
#ifndef MNK_LANGUAGE_SERVICE_PRIV_H
#define MNK_LANGUAGE_SERVICE_PRIV_H

#include "language/batch_priv.h"
#include "language/remote_priv.h"
#include "wire/wire.h"

/* The model of gemini and vertex when none is named; the help of --model says it too. */
#define MNK_GEMINI_MODEL "gemini-3.5-flash-lite"

/* ---- Prompts: what is asked, in no service's format ---- */

typedef struct {
  char *text;   /* or */
  GBytes *jpeg; /* a picture */
} MnkPromptPart;

typedef struct {
  char *system;
  GPtrArray *parts; /* of MnkPromptPart: pictures, each after a text with its number and time */
  guint n_frames;   /* numbers in the answer are below this */
  float temperature;
  guint tokens_max;
} MnkPrompt;

typedef struct {
  guint images_max;
  gsize body_max;
  guint tokens_max;
  float temperature;
  const char *wish; /* when the batch has none; "" for none at all */
} MnkPromptLimits;

/* MNK_ERROR_LIMIT when not one picture fits. Pure. */
MnkPrompt *mnk_prompt_new(const MnkBatch *batch, const MnkPromptLimits *limits, GError **error);
void mnk_prompt_free(MnkPrompt *prompt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkPrompt, mnk_prompt_free)
/* Asks for the same again, given what was wrong with the answer. */
void mnk_prompt_add_repair(MnkPrompt *prompt, const char *answer, const char *fault);
/* The answer's schema: of JSON Schema, or of the subset of OpenAPI 3.0 that Google takes. */
typedef enum { MNK_SCHEMA_JSON, MNK_SCHEMA_OPENAPI } MnkSchemaStyle;
void mnk_prompt_write_schema(MnkJsonWriter *w, const char *key, MnkSchemaStyle style,
                             guint n_frames);
/* A JSON string of base64 text, after the given prefix. */
void mnk_prompt_write_jpeg(MnkJsonWriter *w, const char *key, const char *prefix, GBytes *jpeg);

/* ---- Dialects ---- */

typedef struct {
  char *text;    /* the model's; NULL when there is none */
  char *blocked; /* why the service withholds it, or NULL */
  gboolean cut;  /* it ran into the limit of tokens */
  guint64 prompt_tokens, answer_tokens;
  char *model;
} MnkReply;
void mnk_reply_clear(MnkReply *reply);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MnkReply, mnk_reply_clear)

typedef struct _MnkRemoteBackend MnkRemoteBackend;

typedef struct {
  const char *name;
  /* For MNK_BACKEND "auto". */
  gboolean (*is_configured)(const MnkSettings *settings);
  /* Fills the dialect's part of the service (URLs, model, key); policy is made already. */
  gboolean (*configure)(MnkRemoteBackend *service, const MnkSettings *settings, GError **error);
  /* form: 0 is the strictest wording of a request. */
  void (*write)(GString *out, const MnkPrompt *prompt, const MnkRemoteBackend *service, guint form);
  /* FALSE: this is no reply of such a service. Pure. */
  gboolean (*read)(const MnkJsonValue *root, MnkReply *reply, GError **error);
  /* The next form to try after HTTP 400 with this message; FALSE: none. May be NULL. */
  gboolean (*weaken)(const char *message, guint *form);
  /* Judges the reply to the check; FALSE: the model cannot be used. May be NULL. */
  gboolean (*judge)(const MnkRemoteBackend *service, const MnkJsonValue *root, GError **error);
  gboolean lists_models; /* the check asks for a list, which not every such service has */
  const char *key_hint, *model_hint; /* what to set */
} MnkDialect;

extern const MnkDialect mnk_dialect_gemini, mnk_dialect_vertex, mnk_dialect_openai;

/* Shared by gemini and vertex. */
void mnk_google_write(GString *out, const MnkPrompt *prompt, const MnkRemoteBackend *service,
                      guint form);
gboolean mnk_google_read(const MnkJsonValue *root, MnkReply *reply, GError **error);
/* The base URL of Vertex at a location, or the one that the operator names. Caller frees. */
char *mnk_vertex_base_url(const MnkSettings *settings, const char *location, GError **error);
/* The bearer token of the settings, or their service account. *project: as for an account. */
MnkOauth *mnk_vertex_auth(const MnkSettings *settings, const MnkReach *reach, char **project,
                          GError **error);
/* Letters, digits and "-._:@", no ".."; with '/' between such names where paths is TRUE. */
gboolean mnk_service_name_is_valid(const char *name, gboolean paths);

/* The predictions of an endpoint, n of them, each a GArray of float of unit length in vectors. What
 * models return varies: [..], [[..]], {"values":[..]}, {"embeddings":{"values":[..]}}. Pure. */
gboolean mnk_embeddings_read(const char *body, gsize length, guint n, GPtrArray *vectors,
                             GError **error);

/* ---- A remote service as a backend ---- */

typedef struct _MnkCall MnkCall;

struct _MnkRemoteBackend {
  const MnkDialect *dialect;
  MnkRemote *remote;
  char *model;
  char *caption_url;
  const char *check_method;
  char *check_url, *check_body; /* body NULL: none */
  MnkOauth *auth;               /* until the remote has it */
  MnkReach reach;
  MnkPromptLimits limits;
  char *wish;
  gint64 deadline_ms;
  guint calls_max;
  guint form; /* of requests: what the service is known to take */
  gboolean form_proven;
  GQueue waiting;    /* of MnkCall, each with its deadline */
  GQueue ending;     /* refused, and about to be told so */
  GPtrArray *active; /* sent */
  GSource *pump;     /* looks whose turn it is */
  MnkExchange *checking;
  GError *judged;   /* what the check's reply says against the model */
  GArray *checkers; /* who waits for the check */
  GSource *probe;   /* the next check after a lasting fault */
  gboolean *gone;   /* set when this is freed while the checkers are told */
  gboolean checked; /* a check or a call has succeeded */
  MnkBackendCounters counters;
};

/* call.c */
MnkCall *mnk_call_new(MnkRemoteBackend *service, const MnkBatch *batch, MnkBackendDone done,
                      gpointer user);
void mnk_call_free(MnkCall *call);
gboolean mnk_call_is_of(const MnkCall *call, gpointer user);
gint64 mnk_call_deadline_us(const MnkCall *call);
void mnk_call_start(MnkCall *call);
/* Ends it later, without having sent anything. Takes the fault. */
void mnk_call_refuse(MnkCall *call, MnkFault *fault);
/* service.c */
extern const MnkBackendClass mnk_remote_backend_class;
/* As mnk_backend_new. */
gboolean mnk_remote_backend_new(const MnkSettings *settings, MnkHttpClient *client,
                                MnkRemoteBackend **out, GError **error);
void mnk_remote_backend_free(MnkRemoteBackend *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkRemoteBackend, mnk_remote_backend_free)
/* The call is over and no longer the service's. */
void mnk_remote_backend_forget(MnkRemoteBackend *service, MnkCall *call);
/* check.c */
void mnk_remote_backend_check(MnkRemoteBackend *service, MnkBackendChecked done, gpointer user);
/* Nothing is asked until a check succeeds. */
void mnk_remote_backend_set_lasting(MnkRemoteBackend *service, const MnkFault *fault);
/* A lasting fault with what to do about it; caller frees. */
MnkFault *mnk_remote_backend_explain(const MnkRemoteBackend *service, const MnkFault *fault);
GArray *mnk_remote_backend_checkers_new(void);
void mnk_remote_backend_stop_checks(MnkRemoteBackend *service);

#endif
