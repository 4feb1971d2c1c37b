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

/* An earlier turn of a conversation. */
typedef struct {
  char *question, *answer;
} MnkPromptTurn;

typedef struct {
  char *system;
  GPtrArray *turns; /* of MnkPromptTurn; empty for captions */
  GPtrArray *parts; /* of MnkPromptPart: pictures, each after a text with its number and time */
  gboolean is_free; /* the answer is free text, not events */
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
/* MNK_ERROR_LIMIT when its words alone are too much. Pure. */
MnkPrompt *mnk_prompt_new_question(const MnkBackendQuestion *question,
                                   const MnkPromptLimits *limits, GError **error);
void mnk_prompt_free(MnkPrompt *prompt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkPrompt, mnk_prompt_free)
/* Asks for the same again, given what was wrong with the answer. */
void mnk_prompt_add_repair(MnkPrompt *prompt, const char *answer, const char *fault);
/* For those who make prompts. Takes the text. */
MnkPrompt *mnk_prompt_new_empty(void);
void mnk_prompt_add_text(MnkPrompt *prompt, char *text);
void mnk_prompt_add_jpeg(MnkPrompt *prompt, GBytes *jpeg);
/* One line, as material: no character of it can be part of a chat template's marker once it is
 * written as JSON. Of a long text its end is kept. Caller frees. */
char *mnk_prompt_material(const char *text, gsize max);
/* Member key of at most max bytes, unless it is empty; or line by line. */
void mnk_prompt_write_material(MnkJsonWriter *w, const char *key, const char *text, gsize max);
void mnk_prompt_write_lines(MnkJsonWriter *w, const char *key, const char *text, gsize max);
/* Leaves out the least important of the frames (MnkBatchFrame) until the rest fits. */
void mnk_prompt_fit_frames(GPtrArray *frames, gsize bytes_max);
/* The answer's schema: of JSON Schema, or of the subset of OpenAPI 3.0 that Google takes. */
typedef enum { MNK_SCHEMA_JSON, MNK_SCHEMA_OPENAPI } MnkSchemaStyle;
void mnk_prompt_write_schema(MnkJsonWriter *w, const char *key, MnkSchemaStyle style,
                             guint n_frames);
/* A JSON string of base64 text, after the given prefix. */
void mnk_prompt_write_jpeg(MnkJsonWriter *w, const char *key, const char *prefix, GBytes *jpeg);

/* ---- Dialects ---- */

typedef struct {
  char *text;     /* the model's; NULL when there is none */
  char *blocked;  /* why the service withholds it, or NULL */
  gboolean cut;   /* it ran into the limit of tokens */
  gboolean ended; /* of a stream: this is the last of the text */
  guint64 prompt_tokens, answer_tokens;
  char *model;
  gboolean graded; /* the candidates for the first token are told; of these: */
  double yes, no;  /* how likely each is, from 0 to 1 */
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
  /* The same for one event of a streamed reply; text is what it adds. */
  gboolean (*read_part)(const MnkJsonValue *root, MnkReply *reply, GError **error);
  /* The next form to try after HTTP 400 with this message; FALSE: none. May be NULL. */
  gboolean (*weaken)(const char *message, gboolean is_free, guint *form);
  /* Judges the reply to the check; FALSE: the model cannot be used. May be NULL. */
  gboolean (*judge)(const MnkRemoteBackend *service, const MnkJsonValue *root, GError **error);
  gboolean lists_models; /* the check asks for a list, which not every such service has */
  const char *key_hint, *model_hint; /* what to set */
} MnkDialect;

/* Bits of all forms: the reply is not to be streamed; the candidates for its first token are
 * wanted.
 */
enum { MNK_FORM_WHOLE = 1 << 16, MNK_FORM_GRADED = 1 << 17 };

extern const MnkDialect mnk_dialect_gemini, mnk_dialect_vertex, mnk_dialect_openai;

/* Adds a candidate for the first token, with the logarithm of its probability, to the reply. */
void mnk_reply_grade(MnkReply *reply, const char *token, double log_probability);

/* Shared by gemini and vertex. */
void mnk_google_write(GString *out, const MnkPrompt *prompt, const MnkRemoteBackend *service,
                      guint form);
gboolean mnk_google_read(const MnkJsonValue *root, MnkReply *reply, GError **error);
gboolean mnk_google_read_part(const MnkJsonValue *root, MnkReply *reply, GError **error);
gboolean mnk_google_weaken(const char *message, gboolean is_free, guint *form);
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

typedef struct _MnkRemoteCall MnkRemoteCall;

typedef struct {
  guint form; /* what a service is known to take of one kind of request */
  gboolean proven;
} MnkKnownForm;

struct _MnkRemoteBackend {
  const MnkDialect *dialect;
  MnkRemote *remote;
  char *model;
  char *caption_url;
  char *stream_url; /* for answers that are streamed; NULL: the same */
  const char *check_method;
  char *check_url, *check_body; /* body NULL: none */
  MnkOauth *auth;               /* until the remote has it */
  MnkReach reach;
  MnkPromptLimits limits;
  char *wish;
  gint64 deadline_ms;
  guint calls_max;
  MnkKnownForm caption_form, question_form, poll_form;
  MnkKnownForm word_form; /* of a poll whose candidates were of no use */
  guint vain_polls;       /* in a row: the candidates were told, and neither yes nor no was one */
  GQueue waiting;         /* of MnkRemoteCall, each with its deadline */
  GQueue ending;          /* refused, and about to be told so */
  GPtrArray *active;      /* sent */
  GSource *pump;          /* looks whose turn it is */
  MnkExchange *checking;
  GError *judged;   /* what the check's reply says against the model */
  GArray *checkers; /* who waits for the check */
  GSource *probe;   /* the next check after a lasting fault */
  gboolean *gone;   /* set when this is freed while the checkers are told */
  gboolean checked; /* a check or a call has succeeded */
  MnkBackendCounters counters;
};

/* ---- Calls ---- */

typedef enum {
  MNK_REMOTE_OK,
  MNK_REMOTE_FAILED,
  MNK_REMOTE_STALE,
  MNK_REMOTE_REFUSED,
} MnkRemoteOutcome;

/* What a batch and a question do each in their way. */
typedef struct {
  const char *what; /* "batch", in log lines */
  gboolean urgent;  /* goes before those that are not */
  /* Makes call->prompt. */
  gboolean (*prepare)(MnkRemoteCall *call, GError **error);
  void (*complete)(MnkExchangeConfig *config, MnkRemoteCall *call);
  /* A 2xx body; as in MnkExchangeConfig. */
  gboolean (*accept)(MnkRemoteCall *call, const char *text, gsize length, GError **error);
  void (*judge)(MnkRemoteCall *call); /* what was accepted */
  /* Forgets and frees the call, then tells. */
  void (*fail)(MnkRemoteCall *call, MnkRemoteOutcome outcome, GError *error);
  void (*clear)(MnkRemoteCall *call);
} MnkRemoteCallKind;

struct _MnkRemoteCall {
  const MnkRemoteCallKind *kind;
  MnkRemoteBackend *service;
  gpointer user;
  char *stream;
  gint64 deadline_us;
  GSource *timer;    /* until it starts: its deadline, or its refusal */
  MnkFault *refusal; /* what the timer will tell */
  MnkPrompt *prompt;
  MnkExchange *exchange;
  MnkKnownForm *known; /* one of the service's */
  guint form;
  MnkReply reply; /* of the exchange that ended last */
  guint attempts;
  guint64 prompt_tokens, answer_tokens;
};

/* call.c */
/* deadline_us 0: the service's. */
void mnk_remote_call_init(MnkRemoteCall *call, const MnkRemoteCallKind *kind,
                          MnkRemoteBackend *service, gint64 deadline_us, gpointer user);
void mnk_remote_call_free(MnkRemoteCall *call);
void mnk_remote_call_start(MnkRemoteCall *call);
/* Ends it later, without having sent anything. Takes the fault. */
void mnk_remote_call_refuse(MnkRemoteCall *call, MnkFault *fault);
/* For the kinds. */
void mnk_remote_call_send(MnkRemoteCall *call);
void mnk_remote_call_count_tokens(MnkRemoteCall *call);
void mnk_remote_call_fail(MnkRemoteCall *call, MnkRemoteOutcome outcome, const MnkFault *fault);
/* The service is well and has answered. */
void mnk_remote_call_praise(MnkRemoteCall *call);
/* Counts it; it is no longer the service's, and to be freed. */
void mnk_remote_call_end(MnkRemoteCall *call, MnkRemoteOutcome outcome);
/* As the service names it, or as it is configured. Caller frees. */
char *mnk_remote_call_model(const MnkRemoteCall *call);

/* batch_call.c, question_call.c */
MnkRemoteCall *mnk_remote_call_new_batch(MnkRemoteBackend *service, const MnkBatch *batch,
                                         MnkBackendDone done, gpointer user);
MnkRemoteCall *mnk_remote_call_new_question(MnkRemoteBackend *service,
                                            const MnkBackendQuestion *question,
                                            const MnkBackendTalk *talk, gpointer user);

/* service.c */
extern const MnkBackendClass mnk_remote_backend_class;
/* As mnk_backend_new. */
gboolean mnk_remote_backend_new(const MnkSettings *settings, MnkHttpClient *client,
                                MnkRemoteBackend **out, GError **error);
void mnk_remote_backend_free(MnkRemoteBackend *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkRemoteBackend, mnk_remote_backend_free)
/* The call is over and no longer the service's. */
void mnk_remote_backend_forget(MnkRemoteBackend *service, MnkRemoteCall *call);
/* check.c */
void mnk_remote_backend_check(MnkRemoteBackend *service, MnkBackendChecked done, gpointer user);
/* Nothing is asked until a check succeeds. */
void mnk_remote_backend_set_lasting(MnkRemoteBackend *service, const MnkFault *fault);
/* A lasting fault with what to do about it; caller frees. */
MnkFault *mnk_remote_backend_explain(const MnkRemoteBackend *service, const MnkFault *fault);
GArray *mnk_remote_backend_checkers_new(void);
void mnk_remote_backend_stop_checks(MnkRemoteBackend *service);

#endif
