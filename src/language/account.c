/* A Google service account: its key file, and the JWT (RFC 7519, RS256) by which it asks for a
 * token (RFC 7523). */
#include "language/remote_priv.h"
#include "wire/wire.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

enum { FIELD_BYTES = 2048, KEY_BYTES = 16384, JWT_LIFE_S = 3600 };
static const char SCOPE[] = "https://www.googleapis.com/auth/cloud-platform";

struct _MnkAccount {
  char *email, *key_id, *token_uri, *project;
  EVP_PKEY *key;
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)

void mnk_account_free(MnkAccount *account) {
  if (!account)
    return;
  g_free(account->email);
  g_free(account->key_id);
  g_free(account->token_uri);
  g_free(account->project);
  EVP_PKEY_free(account->key);
  g_free(account);
}

/* A key that wants a pass phrase is refused, never asked about on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *user) {
  return -1;
}

static gboolean read_key(MnkAccount *account, const char *pem, GError **error) {
  g_autoptr(BIO) bio = BIO_new_mem_buf(pem, (int)strlen(pem));
  account->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
  ERR_clear_error();
  if (account->key && EVP_PKEY_is_a(account->key, "RSA"))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "its private_key is no RSA key in PEM");
  return FALSE;
}

MnkAccount *mnk_account_read(const char *json, gsize length, GError **error) {
  g_autoptr(MnkAccount) account = g_new0(MnkAccount, 1);
  g_autoptr(MnkJson) document = mnk_json_parse(json, length, NULL, error);
  const MnkJsonValue *root = document ? mnk_json_root(document) : NULL;
  const char *type = NULL, *email = NULL, *id = NULL, *uri = NULL, *project = NULL, *pem = NULL;
  if (!root || !mnk_json_get_string(root, "type", MNK_JSON_REQUIRED, FIELD_BYTES, &type, error))
    return NULL;
  if (!g_str_equal(type, "service_account")) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "its type must be service_account and is something else");
    return NULL;
  }
  if (!mnk_json_get_string(root, "client_email", MNK_JSON_REQUIRED, FIELD_BYTES, &email, error) ||
      !mnk_json_get_string(root, "private_key", MNK_JSON_REQUIRED, KEY_BYTES, &pem, error) ||
      !mnk_json_get_string(root, "token_uri", MNK_JSON_REQUIRED, FIELD_BYTES, &uri, error) ||
      !mnk_json_get_string(root, "private_key_id", MNK_JSON_OPTIONAL, FIELD_BYTES, &id, error) ||
      !mnk_json_get_string(root, "project_id", MNK_JSON_OPTIONAL, FIELD_BYTES, &project, error) ||
      !read_key(account, pem, error))
    return NULL;
  account->email = g_strdup(email);
  account->key_id = g_strdup(id);
  account->token_uri = g_strdup(uri);
  account->project = g_strdup(project);
  return g_steal_pointer(&account);
}

const char *mnk_account_token_uri(const MnkAccount *account) {
  return account->token_uri;
}

const char *mnk_account_project(const MnkAccount *account) {
  return account->project;
}

/* ---- JWT ---- */

/* Base64 in the alphabet for URLs, without padding (RFC 4648, section 5). */
static void append_base64url(GString *out, const guint8 *bytes, gsize length) {
  gsize start = out->len;
  mnk_base64_encode(bytes, length, out);
  while (out->len > start && out->str[out->len - 1] == '=')
    g_string_truncate(out, out->len - 1);
  for (gsize i = start; i < out->len; i++)
    out->str[i] = out->str[i] == '+' ? '-' : out->str[i] == '/' ? '_' : out->str[i];
}

static void append_json(GString *out, const GString *json) {
  append_base64url(out, (const guint8 *)json->str, json->len);
}

static void append_claims(GString *out, const MnkAccount *account, const char *audience,
                          gint64 now_s) {
  g_autoptr(GString) header = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, header);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "alg", "RS256");
  mnk_json_add_string(&w, "typ", "JWT");
  if (account->key_id)
    mnk_json_add_string(&w, "kid", account->key_id);
  mnk_json_end_object(&w);
  append_json(out, header);
  g_string_append_c(out, '.');
  g_autoptr(GString) claims = g_string_new(NULL);
  mnk_json_writer_init(&w, claims);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "iss", account->email);
  mnk_json_add_string(&w, "scope", SCOPE);
  mnk_json_add_string(&w, "aud", audience);
  mnk_json_add_int(&w, "iat", now_s);
  mnk_json_add_int(&w, "exp", now_s + JWT_LIFE_S);
  mnk_json_end_object(&w);
  append_json(out, claims);
}

char *mnk_account_sign(const MnkAccount *account, const char *audience, gint64 now_s,
                       GError **error) {
  g_autoptr(GString) jwt = g_string_new(NULL);
  append_claims(jwt, account, audience, now_s);
  g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
  size_t length = 0;
  const guint8 *text = (const guint8 *)jwt->str;
  if (context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, account->key) == 1 &&
      EVP_DigestSign(context, NULL, &length, text, jwt->len) == 1) {
    g_autofree guint8 *signature = g_malloc(length);
    if (EVP_DigestSign(context, signature, &length, text, jwt->len) == 1) {
      g_string_append_c(jwt, '.');
      append_base64url(jwt, signature, length);
      return g_string_free(g_steal_pointer(&jwt), FALSE);
    }
  }
  ERR_clear_error();
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "the service account's key cannot sign");
  return NULL;
}
