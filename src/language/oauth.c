/* Authorisation: a fixed header, or tokens of a service account that are renewed before they
 * expire. */
#include "language/remote_priv.h"
#include "wire/wire.h"

#include <string.h>

enum {
  SECRET_BYTES = 16384,
  ACCOUNT_FILE_BYTES = 65536,
  TOKEN_REPLY_BYTES = 65536,
  HIDE_RUN = 8, /* so many characters of a secret in a row are hidden */
};
/* A token is renewed this long before its end, or a tenth of its life if that is less. */
static const gint64 RENEW_EARLY_S = 300;

typedef struct {
  MnkAuthorised done;
  gpointer user;
} Waiting;

struct _MnkOauth {
  char *header; /* NULL: none is needed, or no token is there yet */
  char *secret; /* the part of it that nobody may see */
  MnkAccount *account;
  /* Of an account: */
  char *token_url;
  MnkReach reach;
  gint64 renew_us; /* monotonic: from then on the token is as good as gone */
  MnkHttpCall *call;
  GArray *waiting; /* of Waiting */
  gboolean *gone;  /* set when this is freed while the waiting are told */
};

/* Printable ASCII alone: nothing that could end a header and begin another. */
static gboolean is_header_value(const char *text) {
  for (const char *p = text; *p; p++)
    if (*p < 0x21 || *p > 0x7e)
      return FALSE;
  return *text && strlen(text) <= SECRET_BYTES;
}

static void hide(char **secret) {
  if (*secret)
    explicit_bzero(*secret, strlen(*secret));
  g_clear_pointer(secret, g_free);
}

static MnkOauth *auth_new(void) {
  MnkOauth *auth = g_new0(MnkOauth, 1);
  auth->waiting = g_array_new(FALSE, FALSE, sizeof(Waiting));
  return auth;
}

MnkOauth *mnk_oauth_new_fixed(const char *prefix, const char *secret, GError **error) {
  g_autoptr(MnkOauth) auth = auth_new();
  if (!secret)
    return g_steal_pointer(&auth);
  auth->secret = g_strstrip(g_strdup(secret));
  if (!is_header_value(auth->secret)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "the key is empty, or holds spaces or characters that no key has");
    return NULL;
  }
  auth->header = g_strconcat(prefix, auth->secret, NULL);
  return g_steal_pointer(&auth);
}

MnkOauth *mnk_oauth_new_account(const char *path, const char *token_url, const MnkReach *reach,
                                char **project, GError **error) {
  g_autoptr(MnkOauth) auth = auth_new();
  g_autofree char *text = NULL;
  gsize length = 0;
  g_autoptr(GError) cause = NULL;
  if (!g_file_get_contents(path, &text, &length, &cause)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "the service account's key cannot be read: %s",
                cause->message);
    return NULL;
  }
  if (length <= ACCOUNT_FILE_BYTES)
    auth->account = mnk_account_read(text, length, &cause);
  explicit_bzero(text, length);
  if (!auth->account) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "%s is no service account's key: %s", path,
                cause ? cause->message : "it is too large");
    return NULL;
  }
  auth->token_url = g_strdup(token_url ? token_url : mnk_account_token_uri(auth->account));
  auth->reach = *reach;
  *project = g_strdup(mnk_account_project(auth->account));
  return g_steal_pointer(&auth);
}

void mnk_oauth_free(MnkOauth *auth) {
  if (!auth)
    return;
  if (auth->gone)
    *auth->gone = TRUE;
  if (auth->call)
    mnk_http_call_cancel(auth->call);
  hide(&auth->header);
  hide(&auth->secret);
  mnk_account_free(auth->account);
  g_free(auth->token_url);
  g_array_unref(auth->waiting);
  g_free(auth);
}

/* ---- Tokens ---- */

/* Each waiting one is told once. From within it may ask again, cancel others, or free all this. */
static void tell_waiting(MnkOauth *auth, const MnkFault *fault) {
  g_autofree char *header = g_strdup(auth->header);
  gboolean gone = FALSE;
  auth->gone = &gone;
  for (guint left = auth->waiting->len; !gone && left > 0 && auth->waiting->len > 0; left--) {
    Waiting next = g_array_index(auth->waiting, Waiting, 0);
    g_array_remove_index(auth->waiting, 0);
    next.done(fault ? NULL : header, fault, next.user);
  }
  if (!gone)
    auth->gone = NULL;
}

static gboolean read_token(MnkOauth *auth, const char *body, gsize length, GError **error) {
  g_autoptr(MnkJson) json = mnk_json_parse(body, length, NULL, error);
  const MnkJsonValue *root = json ? mnk_json_root(json) : NULL;
  const char *token = NULL;
  double life_s = 0;
  if (!root ||
      !mnk_json_get_string(root, "access_token", MNK_JSON_REQUIRED, SECRET_BYTES, &token, error) ||
      !mnk_json_get_double(root, "expires_in", MNK_JSON_REQUIRED, 1, 86400 * 365, &life_s, error))
    return FALSE;
  if (!is_header_value(token)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the token holds characters that none has");
    return FALSE;
  }
  hide(&auth->header);
  hide(&auth->secret);
  auth->secret = g_strdup(token);
  auth->header = g_strconcat("Authorization: Bearer ", token, NULL);
  double early_s = MIN((double)RENEW_EARLY_S, life_s / 10);
  auth->renew_us = g_get_monotonic_time() + (gint64)((life_s - early_s) * G_USEC_PER_SEC);
  return TRUE;
}

/* NULL: the token is there. */
static MnkFault *take_token(MnkOauth *auth, const MnkHttpReply *reply) {
  gsize length = 0;
  const char *body = g_bytes_get_data(reply->body, &length);
  g_autoptr(GError) error = NULL;
  if (reply->status / 100 == 2)
    return read_token(auth, body, length, &error)
               ? NULL
               : mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_SOURCE, "%s", error->message);
  MnkFault *fault = mnk_fault_read(reply->status, body, length,
                                   mnk_http_reply_header(reply, "Retry-After"), g_get_real_time());
  if (fault->kind == MNK_FAULT_REQUEST) { /* 400 invalid_grant: the key is no longer good */
    fault->kind = MNK_FAULT_LASTING;
    fault->code = MNK_ERROR_CONFIG;
  }
  return fault;
}

static void on_token(const MnkHttpReply *reply, const GError *error, gpointer user) {
  MnkOauth *auth = user;
  auth->call = NULL;
  g_autoptr(MnkFault) fault = error ? mnk_fault_from_error(error) : take_token(auth, reply);
  if (fault) {
    g_autofree char *said = g_steal_pointer(&fault->message);
    fault->message = g_strconcat("no token for the service account: ", said, NULL);
  }
  tell_waiting(auth, fault);
}

static gboolean request_token(MnkOauth *auth, GError **error) {
  static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                        "Accept: application/json", NULL};
  g_autofree char *jwt = mnk_account_sign(auth->account, mnk_account_token_uri(auth->account),
                                          g_get_real_time() / G_USEC_PER_SEC, error);
  if (!jwt)
    return FALSE;
  char *form = g_strconcat(
      "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=", jwt, NULL);
  g_autoptr(GBytes) body = g_bytes_new_take(form, strlen(form));
  MnkHttpCallConfig config = {
      .method = "POST",
      .url = auth->token_url,
      .headers = headers,
      .body = body,
      .connect_ms = auth->reach.connect_ms,
      .first_byte_ms = auth->reach.first_byte_ms,
      .idle_ms = auth->reach.first_byte_ms,
      .total_ms = auth->reach.connect_ms + 2 * auth->reach.first_byte_ms,
      .response_max = TOKEN_REPLY_BYTES,
      .policy = auth->reach.policy,
  };
  auth->call = mnk_http_client_call(auth->reach.client, &config, on_token, auth);
  return TRUE;
}

void mnk_oauth_get(MnkOauth *auth, MnkAuthorised done, gpointer user) {
  if (!auth->account || (auth->header && g_get_monotonic_time() < auth->renew_us)) {
    g_autofree char *header = g_strdup(auth->header);
    done(header, NULL, user);
    return;
  }
  g_autoptr(GError) error = NULL;
  if (!auth->call && !request_token(auth, &error)) {
    g_autoptr(MnkFault) fault =
        mnk_fault_new(MNK_FAULT_LASTING, MNK_ERROR_CONFIG, "%s", error->message);
    done(NULL, fault, user);
    return;
  }
  Waiting waiting = {done, user};
  g_array_append_val(auth->waiting, waiting);
}

void mnk_oauth_cancel(MnkOauth *auth, gpointer user) {
  for (guint i = auth->waiting->len; i > 0; i--)
    if (g_array_index(auth->waiting, Waiting, i - 1).user == user)
      g_array_remove_index(auth->waiting, i - 1);
}

gboolean mnk_oauth_has_secret(const MnkOauth *auth) {
  return auth->secret || auth->account;
}

gboolean mnk_oauth_renew(MnkOauth *auth) {
  if (auth->account)
    auth->renew_us = 0;
  return auth->account != NULL;
}

/* ---- Hiding ---- */

/* How much of text is a stretch of the secret. */
static gsize common_run(const char *text, const char *secret) {
  gsize longest = 0;
  for (const char *from = secret; *from; from++) {
    gsize n = 0;
    while (from[n] && from[n] == text[n])
      n++;
    longest = MAX(longest, n);
  }
  return longest;
}

char *mnk_oauth_redact(const MnkOauth *auth, const char *text) {
  gsize whole = auth->secret ? strlen(auth->secret) : 0;
  if (whole == 0)
    return g_strdup(text);
  GString *out = g_string_new(NULL);
  for (const char *p = text; *p;) {
    gsize run = common_run(p, auth->secret);
    if (run >= MIN(whole, HIDE_RUN)) {
      g_string_append(out, "[hidden]");
      p += run;
    } else {
      g_string_append_c(out, *p++);
    }
  }
  return g_string_free(out, FALSE);
}
