/* Who asks, and whether they may. */
#include "api/core_priv.h"

#include <string.h>

enum { ADDRESSES_MAX = 4096, KEY_TEXT_MAX = 512 };
/* Wrong keys of one address: twenty at once, then one in five seconds. */
static const double FAULTS_BURST = 20, FAULTS_PER_S = 0.2;
static const guint ALL_SCOPES = MNK_SCOPE_INGEST | MNK_SCOPE_READ | MNK_SCOPE_ASK | MNK_SCOPE_ADMIN;

struct _MnkAuth {
  GPtrArray *keys;  /* of MnkKey; NULL: none are needed */
  MnkKey *everyone; /* who asks when there are none */
  guint8 secret[MNK_SECRET_BYTES];
  MnkThrottle *throttle;
};

MnkAuth *mnk_auth_new(const char *keys_path, GError **error) {
  g_autoptr(MnkAuth) auth = g_new0(MnkAuth, 1);
  auth->everyone = mnk_key_new("everyone", "", ALL_SCOPES);
  auth->throttle = mnk_throttle_new(ADDRESSES_MAX, FAULTS_BURST, FAULTS_PER_S);
  mnk_random_bytes(auth->secret, sizeof auth->secret);
  return mnk_auth_reload(auth, keys_path, error) ? g_steal_pointer(&auth) : NULL;
}

void mnk_auth_free(MnkAuth *auth) {
  if (auth == NULL)
    return;
  g_clear_pointer(&auth->keys, g_ptr_array_unref);
  mnk_key_unref(auth->everyone);
  mnk_throttle_free(auth->throttle);
  explicit_bzero(auth->secret, sizeof auth->secret);
  g_free(auth);
}

static MnkKey *find_by_name(const GPtrArray *keys, const char *name) {
  for (guint i = 0; keys != NULL && i < keys->len; i++)
    if (strcmp(((MnkKey *)keys->pdata[i])->name, name) == 0)
      return keys->pdata[i];
  return NULL;
}

/* A key that stays keeps what it has in use, so that a reload gives nobody new quotas. */
static void carry_over(GPtrArray *old, GPtrArray *new) {
  for (guint i = 0; old != NULL && i < old->len; i++) {
    MnkKey *before = old->pdata[i];
    MnkKey *now = find_by_name(new, before->name);
    if (now == NULL || strcmp(now->hash, before->hash) != 0) {
      before->revoked = TRUE;
      continue;
    }
    before->scopes = now->scopes;
    before->streams_max = now->streams_max;
    before->fps_max = now->fps_max;
    before->bytes_per_s = now->bytes_per_s;
    before->tokens_per_day = now->tokens_per_day;
    guint place;
    if (g_ptr_array_find(new, now, &place)) {
      new->pdata[place] = mnk_key_ref(before);
      mnk_key_unref(now);
    }
  }
}

gboolean mnk_auth_reload(MnkAuth *auth, const char *keys_path, GError **error) {
  g_autoptr(GPtrArray) keys = NULL;
  if (keys_path != NULL && (keys = mnk_keys_read(keys_path, error)) == NULL)
    return FALSE;
  if (keys != NULL)
    carry_over(auth->keys, keys);
  g_clear_pointer(&auth->keys, g_ptr_array_unref);
  auth->keys = g_steal_pointer(&keys);
  return TRUE;
}

MnkKey *mnk_auth_find(MnkAuth *auth, const char *name) {
  MnkKey *key = strcmp(name, auth->everyone->name) == 0 && auth->keys == NULL
                    ? auth->everyone
                    : find_by_name(auth->keys, name);
  return key != NULL ? mnk_key_ref(key) : NULL;
}

gboolean mnk_auth_has_keys(const MnkAuth *auth) {
  return auth->keys != NULL;
}

/* ---- refusals ---- */

static MnkKey *refuse(guint *status, guint with, const char *reason, GError **error,
                      const char *message) {
  g_autofree char *label = g_strdup_printf("reason=\"%s\"", reason);
  mnk_metric_add(mnk_counter("auth_refused_total", "Requests refused for want of a right", label),
                 1);
  *status = with;
  g_set_error_literal(error, MNK_STATUS_ERROR, (int)with, message);
  return NULL;
}

static MnkKey *refuse_throttled(guint *status, GError **error) {
  return refuse(status, 429, "throttled", error,
                "too many wrong keys came from this address; wait a little");
}

static MnkKey *refuse_wrong(MnkAuth *auth, const MnkCredentials *credentials, gint64 mono_us,
                            guint *status, GError **error) {
  gboolean spent = mnk_throttle_is_spent(auth->throttle, credentials->address, mono_us);
  mnk_throttle_spend(auth->throttle, credentials->address, mono_us);
  if (spent)
    return refuse_throttled(status, error);
  return refuse(status, 401, credentials->key != NULL ? "wrong_key" : "wrong_token", error,
                credentials->key != NULL ? "this key is not known"
                                         : "this token was not made here, or its key has changed");
}

static MnkKey *refuse_scope(MnkScope wanted, guint *status, GError **error) {
  g_autofree char *message =
      g_strdup_printf("the scope %s is needed for this", mnk_scope_name(wanted));
  return refuse(status, 403, "scope", error, message);
}

/* ---- keys and tokens ---- */

/* Looks at every key whatever it has found, so that time tells nothing about where or how well a
 * guess fits. */
static MnkKey *find_by_text(const MnkAuth *auth, const char *text) {
  g_autofree char *bounded = g_strndup(text, KEY_TEXT_MAX);
  MnkKey *found = NULL;
  for (guint i = 0; i < auth->keys->len; i++) {
    MnkKey *key = auth->keys->pdata[i];
    gboolean fits = mnk_key_hash_fits(key->hash, bounded);
    found = fits ? key : found;
  }
  return found;
}

static MnkKey *judge_token(MnkAuth *auth, const MnkCredentials *credentials, gint64 mono_us,
                           gint64 wall_us, guint *status, GError **error) {
  g_auto(MnkToken) token = {0};
  if (!mnk_token_read(credentials->token, &token))
    return refuse_wrong(auth, credentials, mono_us, status, error);
  MnkKey *key = find_by_name(auth->keys, token.key);
  gboolean is_signed = mnk_token_is_signed(&token, auth->secret, key != NULL ? key->hash : "");
  if (key == NULL || !is_signed)
    return refuse_wrong(auth, credentials, mono_us, status, error);
  if (wall_us >= token.expires_us)
    return refuse(status, 401, "expired", error, "this token has expired");
  if (!mnk_scopes_include(token.scope, credentials->scope) ||
      !mnk_scopes_include(key->scopes, credentials->scope))
    return refuse_scope(credentials->scope, status, error);
  if (*token.stream != '\0' && g_strcmp0(token.stream, credentials->stream) != 0)
    return refuse(status, 403, "stream", error, "this token is good for another stream");
  return mnk_key_ref(key);
}

static MnkKey *judge_key(MnkAuth *auth, const MnkCredentials *credentials, gint64 mono_us,
                         guint *status, GError **error) {
  MnkKey *key = find_by_text(auth, credentials->key);
  if (key == NULL)
    return refuse_wrong(auth, credentials, mono_us, status, error);
  if (!mnk_scopes_include(key->scopes, credentials->scope))
    return refuse_scope(credentials->scope, status, error);
  return mnk_key_ref(key);
}

MnkKey *mnk_auth_judge(MnkAuth *auth, const MnkCredentials *credentials, gint64 mono_us,
                       gint64 wall_us, guint *status, GError **error) {
  *status = 200;
  if (auth->keys == NULL)
    return mnk_key_ref(auth->everyone);
  /* Behind a proxy all clients have its address: one that guesses must not shut out the others.
   * Keys are 256 random bits; what is bounded here is work and noise. */
  if (!credentials->loopback &&
      mnk_throttle_is_spent(auth->throttle, credentials->address, mono_us))
    return refuse_throttled(status, error);
  if (credentials->key != NULL)
    return judge_key(auth, credentials, mono_us, status, error);
  if (credentials->token != NULL)
    return judge_token(auth, credentials, mono_us, wall_us, status, error);
  return refuse(status, 401, "no_key", error,
                "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY");
}

char *mnk_auth_make_token(MnkAuth *auth, const MnkKey *key, MnkScope scope, const char *stream,
                          gint64 expires_us) {
  return mnk_token_write(auth->secret, key, scope, stream, expires_us);
}
