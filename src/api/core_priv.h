/* What the core of the API keeps to itself: keys, tokens, origins, matching, checks, parts. */
#ifndef MNK_API_CORE_PRIV_H
#define MNK_API_CORE_PRIV_H

#include "api/api_priv.h"

/* ---- keys.c ---- */

enum { MNK_SECRET_BYTES = 32 };

/* Reads the file of keys; of MnkKey. Errors (MNK_ERROR_CONFIG) name the file and the member. */
GPtrArray *mnk_keys_read(const char *path, GError **error);
GPtrArray *mnk_keys_parse(const char *text, gsize length, GError **error);
/* "hmac-sha256:SALT:HEX" of a key: HMAC-SHA-256 over the key's text, under the salt's text. Caller
 * frees. */
char *mnk_key_hash(const char *salt, const char *text);
/* Whether the text is the key behind a hash. Equal work for every text of one length. */
gboolean mnk_key_hash_fits(const char *hash, const char *text);
/* In time that depends on n alone. */
gboolean mnk_bytes_equal(gconstpointer a, gconstpointer b, gsize n);
void mnk_random_bytes(guint8 *bytes, gsize n);
/* Caller frees. */
char *mnk_hex(const guint8 *bytes, gsize n);

const char *mnk_scope_name(MnkScope scope);
/* MNK_SCOPE_NONE: there is no scope of that name. */
MnkScope mnk_scope_from_name(const char *name);
gboolean mnk_scopes_include(guint scopes, MnkScope wanted);
MnkKey *mnk_key_new(const char *name, const char *hash, guint scopes);

/* ---- tokens.c ---- */

/* "mt1.SCOPE.EXPIRES_US.KEY.STREAM.MAC": no algorithm is named, so none can be chosen. */
typedef struct {
  MnkScope scope;
  gint64 expires_us;
  char *key, *stream; /* stream "": any */
  char *mac;
  char *signed_part;
} MnkToken;
void mnk_token_clear(MnkToken *token);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MnkToken, mnk_token_clear)
/* The key's hash goes into the signature: a key that is made anew under its name ends the tokens of
 * the old one. Caller frees. */
char *mnk_token_write(const guint8 secret[MNK_SECRET_BYTES], const MnkKey *key, MnkScope scope,
                      const char *stream, gint64 expires_us);
/* The form alone. */
gboolean mnk_token_read(const char *text, MnkToken *out);
gboolean mnk_token_is_signed(const MnkToken *token, const guint8 secret[MNK_SECRET_BYTES],
                             const char *key_hash);

/* ---- throttle.c: how often an address may be wrong ---- */

typedef struct _MnkThrottle MnkThrottle;
/* Each address may be wrong burst times at once and per_s times a second from then on. Beyond
 * addresses_max addresses, all others share one allowance. IPv6 addresses count by their /64. */
MnkThrottle *mnk_throttle_new(guint addresses_max, double burst, double per_s);
void mnk_throttle_free(MnkThrottle *throttle);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkThrottle, mnk_throttle_free)
gboolean mnk_throttle_is_spent(MnkThrottle *throttle, const char *address, gint64 now_us);
void mnk_throttle_spend(MnkThrottle *throttle, const char *address, gint64 now_us);
guint mnk_throttle_size(const MnkThrottle *throttle);

/* ---- auth.c ---- */

typedef struct {
  const char *address;     /* who asks, for the throttle */
  gboolean loopback;       /* a proxy may stand there: its other clients are not shut out */
  const char *key, *token; /* NULL: not given */
  MnkScope scope;
  const char *stream; /* what is asked for; NULL: none in particular */
} MnkCredentials;
/* mnk_auth_check without a request. */
MnkKey *mnk_auth_judge(MnkAuth *auth, const MnkCredentials *credentials, gint64 mono_us,
                       gint64 wall_us, guint *status, GError **error);
/* As mnk_auth_check, by header alone: a token makes no tokens. */
MnkKey *mnk_auth_check_header(MnkAuth *auth, MnkRequest *request, MnkScope scope, guint *status,
                              GError **error);

/* ---- origin.c ---- */

/* allow_origins: "https://a.example, http://b.example:8080" or "*"; NULL: none. host: the request's
 * Host field. *allow: see mnk_auth_origin_ok; origin itself or a constant. */
gboolean mnk_origin_is_allowed(const char *allow_origins, const char *origin, const char *host,
                               const char **allow);
/* Whether a Host field names this machine as one that is bound to loopback: a loopback address,
 * localhost, or the address bound to. Any port: tunnels have their own. */
gboolean mnk_host_is_local(const char *host, const char *bound);
gboolean mnk_address_is_loopback(const char *address);
/* MNK_ERROR_CONFIG when the address may not be bound without keys. */
gboolean mnk_bind_is_safe(const MnkSettings *settings, GError **error);

/* ---- match.c ---- */

/* A path of the wire against a pattern. *id and *rest: set on TRUE, caller frees. */
gboolean mnk_route_matches(const char *pattern, const char *path, char **id, char **rest);
typedef struct {
  const MnkRoute *route; /* NULL: none with this method */
  char *id, *rest;
  GString *allow; /* methods of the path, for Allow; NULL: there is no such path */
} MnkMatch;
void mnk_match_clear(MnkMatch *match);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MnkMatch, mnk_match_clear)
void mnk_match_find(const MnkRoute *const *tables, const char *method, const char *path,
                    MnkMatch *out);

/* ---- fields.c: queries and bodies by their tables ---- */

/* Errors are MNK_ERROR_USAGE and begin with the member's name. */
const MnkField *mnk_field_find(const MnkField *table, const char *name);
/* Of MNK_FIELD_OPTION. */
const MnkOption *mnk_field_option(const MnkField *field);
/* Members of the object that the table has as options go into settings. */
gboolean mnk_options_apply(MnkSettings *settings, const MnkField *table, const MnkJsonValue *object,
                           GError **error);
gboolean mnk_field_check_text(const MnkField *field, const char *text, GError **error);
gboolean mnk_field_check_json(const MnkField *field, const MnkJsonValue *value, GError **error);
/* open: members that are unknown or null are passed over. */
gboolean mnk_fields_check_body(const MnkField *table, const MnkJsonValue *body, gboolean open,
                               GError **error);
/* The member that an error of the route is about: "q", "params.fps"; NULL: none. Caller frees. */
char *mnk_field_of_message(const MnkRoute *route, const char *message);

/* ---- params.c ---- */

/* The option behind a member of params, NULL when it is none. */
const MnkOption *mnk_params_option(const char *name);
gboolean mnk_params_fits(const MnkOption *option, const MnkJsonValue *value);
/* "true or false", "a number from 0.01 to 60". Caller frees. */
char *mnk_params_expected(const MnkOption *option);

/* ---- lock.c ---- */

/* Of the data folder and the timeline, until the end. */
gboolean mnk_api_lock(MnkApi *api, GError **error);
void mnk_api_unlock(MnkApi *api);

/* ---- routes.c ---- */

extern const MnkRoute *const mnk_route_tables[]; /* NULL-terminated */
/* MnkRequestFunc; user: MnkApi. */
void mnk_routes_handle(MnkRequest *request, gpointer user);
/* The streams of before run again: calls that came meanwhile are served. */
void mnk_routes_streams_are_back(MnkApi *api);

/* ---- openapi_schemas.c ---- */

void mnk_openapi_write_schemas(MnkJsonWriter *w);
gboolean mnk_openapi_has_schema(const char *name);

/* ---- service.c: health, metrics, version ---- */

MnkService *mnk_service_new(MnkApi *api);
void mnk_service_free(MnkService *service);
/* Something that /healthz tells has changed. */
void mnk_service_touch(MnkService *service);
/* process.c: figures of this process into the metrics. */
void mnk_process_metrics(void);
/* A counter that something else counts, up to its total. */
void mnk_raise_counter(const char *name, const char *help, const char *labels, double total);
/* model_metrics.c: the local model's; NULL: none. */
void mnk_model_metrics(const MnkLocal *local);

/* ---- pages.c ---- */

/* Answers with a file of the page; FALSE when there is none of that path. */
gboolean mnk_pages_answer(MnkRequest *request, const char *path);

/* ---- uploads.c ---- */

/* Makes the folder, removes what was left half-written, counts what is there. */
MnkUploads *mnk_uploads_new(const char *folder, GError **error);
void mnk_uploads_free(MnkUploads *uploads);
gboolean mnk_upload_name_is_valid(const char *name);
char *mnk_uploads_find(MnkUploads *uploads, const char *name, GError **error);

/* ---- api.c ---- */

/* The timeline's file: the option, or timeline.db in the data folder. Caller frees. */
char *mnk_api_db_path(const MnkSettings *settings);

#endif
