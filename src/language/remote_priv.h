/* A remote service as it is talked to: keys, faults, breaker, attempts. Knows nothing of captions.
 *
 * Everything lives in the thread-default main context, as net does. */
#ifndef MNK_LANGUAGE_REMOTE_PRIV_H
#define MNK_LANGUAGE_REMOTE_PRIV_H

#include "base/base.h"
#include "net/net.h"

/* ---- Timers ---- */

/* Once, later, in the thread-default context; always >= 0 ms. */
GSource *mnk_timer_new(gint64 delay_ms, GSourceFunc func, gpointer user);
/* Takes *timer, which may be NULL. */
void mnk_timer_clear(GSource **timer);

/* ---- Faults: why there is no answer ---- */

typedef enum {
  MNK_FAULT_PASSING, /* may be gone the next time: 429, 5xx, network */
  MNK_FAULT_REQUEST, /* this request is refused, another may be taken */
  MNK_FAULT_LASTING, /* nothing will be taken until somebody changes something */
} MnkFaultKind;

typedef struct {
  MnkFaultKind kind;
  MnkErrorCode code;
  guint status;          /* HTTP; 0: no reply */
  gint64 retry_after_ms; /* what the service asked for; -1: nothing */
  gboolean refused;      /* it was not asked at all */
  char *message;         /* a sentence, without secrets */
} MnkFault;

MnkFault *mnk_fault_new(MnkFaultKind kind, MnkErrorCode code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
void mnk_fault_free(MnkFault *fault);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkFault, mnk_fault_free)
/* A reply whose status is not 2xx. retry_after: the header, or NULL; now_us: wall clock. The
 * message is what the service says, as one plain line; its pages are not repeated. Pure. */
MnkFault *mnk_fault_read(guint status, const char *body, gsize length, const char *retry_after,
                         gint64 now_us);
/* No reply. */
MnkFault *mnk_fault_from_error(const GError *error);
GError *mnk_fault_to_error(const MnkFault *fault);
/* "7", "Sun, 06 Nov 1994 08:49:37 GMT" against the wall clock, in ms; -1: neither. Pure. */
gint64 mnk_retry_after_ms(const char *text, gint64 now_us);

/* ---- Breaker: when a service is left alone. Plain data ---- */

typedef struct {
  guint limit;     /* failures in a row that open it */
  gint64 pause_us; /* how long it stays open */
  guint failures;  /* attempts in a row that failed */
  guint bad;       /* answers in a row that were of no use */
  gint64 open_until_us;
  gboolean trial; /* the one attempt of a pause that is over is on its way */
} MnkBreaker;

typedef enum { MNK_BREAKER_REFUSED, MNK_BREAKER_GO, MNK_BREAKER_TRIAL } MnkBreakerAnswer;

/* TRIAL: the caller must tell how it went, or abandon it. */
MnkBreakerAnswer mnk_breaker_ask(MnkBreaker *breaker, gint64 now_us);
gboolean mnk_breaker_is_open(const MnkBreaker *breaker, gint64 now_us);
void mnk_breaker_failed(MnkBreaker *breaker, gint64 now_us);
/* The service answered; whether with any sense is told by the next two. */
void mnk_breaker_reached(MnkBreaker *breaker);
void mnk_breaker_good(MnkBreaker *breaker);
void mnk_breaker_bad(MnkBreaker *breaker, gint64 now_us);
void mnk_breaker_abandon(MnkBreaker *breaker);

/* ---- Authorisation ---- */

/* Where something is connected to, and for how long. */
typedef struct {
  MnkHttpClient *client;
  MnkAddressPolicy *policy; /* borrowed */
  gint64 connect_ms, first_byte_ms;
} MnkReach;

typedef struct _MnkOauth MnkOauth;
/* "x-goog-api-key: " and the key; secret NULL: no header at all. The secret is copied; white space
 * around it is dropped. MNK_ERROR_CONFIG when it cannot be a header's value. */
MnkOauth *mnk_oauth_new_fixed(const char *prefix, const char *secret, GError **error);
/* A Google service account: tokens are got from its token_uri (or token_url, if not NULL) with a
 * signed JWT and used until shortly before they expire. RFC 7523, RFC 7519. *project: the file's
 * project_id, or NULL; caller frees. */
MnkOauth *mnk_oauth_new_account(const char *path, const char *token_url, const MnkReach *reach,
                                char **project, GError **error);
void mnk_oauth_free(MnkOauth *auth);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkOauth, mnk_oauth_free)
/* header: "Name: value", or NULL when none is needed; a fault when no token is to be had. May come
 * from within. */
typedef void (*MnkAuthorised)(const char *header, const MnkFault *fault, gpointer user);
void mnk_oauth_get(MnkOauth *auth, MnkAuthorised done, gpointer user);
void mnk_oauth_cancel(MnkOauth *auth, gpointer user);
gboolean mnk_oauth_has_secret(const MnkOauth *auth);
/* The service refused the token: FALSE when there is no other to be had. */
gboolean mnk_oauth_renew(MnkOauth *auth);
/* Secrets in text, and parts of them, become "[hidden]". */
char *mnk_oauth_redact(const MnkOauth *auth, const char *text);

/* A service account's key. */
typedef struct _MnkAccount MnkAccount;
MnkAccount *mnk_account_read(const char *json, gsize length, GError **error);
void mnk_account_free(MnkAccount *account);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkAccount, mnk_account_free)
const char *mnk_account_token_uri(const MnkAccount *account);
const char *mnk_account_project(const MnkAccount *account); /* NULL: none */
/* A JWT signed with RS256, good for an hour; caller frees. */
char *mnk_account_sign(const MnkAccount *account, const char *audience, gint64 now_s,
                       GError **error);

/* ---- The service ---- */

typedef struct {
  const char *name; /* in sentences and metrics */
  MnkHttpClient *client;
  gint64 connect_ms, first_byte_ms, backoff_ms, probe_ms;
  gsize answer_max;
  guint retries;
  guint breaker_failures;
  gint64 breaker_pause_ms;
} MnkRemoteConfig;

typedef struct {
  MnkRemoteConfig config;
  MnkAddressPolicy *policy;
  MnkOauth *auth;
  MnkBreaker breaker;
  MnkFault *lasting;    /* why nothing is asked until a check succeeds; NULL: all is well */
  char *last_fault;     /* of the last attempt that failed, NULL after one that did not */
  double retry_budget;  /* retries that may be spent now */
  gint64 hold_until_us; /* the service asked to be left alone until then */
  guint64 retries;      /* so far */
  MnkMetric *latency;
} MnkRemote;

void mnk_remote_read_config(MnkRemoteConfig *config, const MnkSettings *settings);
/* Takes policy and auth. */
MnkRemote *mnk_remote_new(const MnkRemoteConfig *config, MnkAddressPolicy *policy, MnkOauth *auth);
/* Exchanges must be gone. */
void mnk_remote_free(MnkRemote *remote);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkRemote, mnk_remote_free)
/* What failed last; NULL: nothing did. */
void mnk_remote_note(MnkRemote *remote, const char *fault);
/* Each exchange earns a part of a retry, so that a service in trouble is not drowned in them. */
void mnk_remote_earn_retry(MnkRemote *remote);
gboolean mnk_remote_spend_retry(MnkRemote *remote);

/* Checks an operator's base URL (http or https; no user, query or fragment) and drops the slash at
 * its end; the error names the option. Caller frees. */
char *mnk_remote_base_url(const char *url, MnkOptionId option, GError **error);
/* Whom a service with this URL may be reached at. Named by the operator: anywhere but the metadata
 * addresses, since URLs of services come from the configuration alone, never over the API, names in
 * private networks are the rule for local models, and redirects are not followed. Else public
 * addresses, and what --outbound-allow lists. */
MnkAddressPolicy *mnk_remote_policy(const MnkSettings *settings, gboolean named_by_operator,
                                    GError **error);

/* ---- One exchange: a request with its retries ---- */

typedef struct {
  const char *method;
  const char *url; /* copied */
  GBytes *body;    /* shared; NULL: none */
  gint64 deadline_us;
  guint retries;
  gboolean check; /* goes out although the breaker is open or a fault lasts */
  /* A 2xx body: FALSE makes it a passing fault. NULL: anything goes. */
  gboolean (*accept)(GBytes *body, gpointer user, GError **error);
  /* A stream of events is wanted: an attempt begins; and what has come of a 2xx body that is one,
   * by its type. FALSE makes it a passing fault; the exchange may be cancelled from within when
   * TRUE is returned. NULL: the whole body alone. */
  void (*begin)(gpointer user);
  gboolean (*part)(const char *bytes, gsize length, gpointer user, GError **error);
  gsize answer_max; /* 0: the service's */
  /* Once, later than the start; the exchange is gone. fault NULL: accepted. */
  void (*done)(const MnkFault *fault, guint attempts, gpointer user);
  gpointer user;
} MnkExchangeConfig;

typedef struct _MnkExchange MnkExchange;
MnkExchange *mnk_exchange_start(MnkRemote *remote, const MnkExchangeConfig *config);
/* No done comes. */
void mnk_exchange_cancel(MnkExchange *exchange);
/* What has come has been passed on: from now on nothing is tried again. */
void mnk_exchange_commit(MnkExchange *exchange);

#endif
