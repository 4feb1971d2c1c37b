/* Tokens: short-lived stand-ins for a key, for URLs that cannot carry a header. */
#include "api/core_priv.h"

#include <string.h>

static const char VERSION[] = "mt1";

enum { TOKEN_MAX = 512, FIELDS = 6, MAC_HEX = 64 };

/* Keyed by the secret of this run; the key's hash is behind a separator that no field can hold. */
static char *sign(const guint8 secret[MNK_SECRET_BYTES], const char *text, const char *key_hash) {
  g_autofree char *whole = g_strconcat(text, "\n", key_hash, NULL);
  return g_compute_hmac_for_string(G_CHECKSUM_SHA256, secret, MNK_SECRET_BYTES, whole, -1);
}

char *mnk_token_write(const guint8 secret[MNK_SECRET_BYTES], const MnkKey *key, MnkScope scope,
                      const char *stream, gint64 expires_us) {
  g_autofree char *text =
      g_strdup_printf("%s.%s.%" G_GINT64_FORMAT ".%s.%s", VERSION, mnk_scope_name(scope),
                      expires_us, key->name, stream != NULL ? stream : "");
  g_autofree char *mac = sign(secret, text, key->hash);
  return g_strconcat(text, ".", mac, NULL);
}

void mnk_token_clear(MnkToken *token) {
  g_clear_pointer(&token->key, g_free);
  g_clear_pointer(&token->stream, g_free);
  g_clear_pointer(&token->mac, g_free);
  g_clear_pointer(&token->signed_part, g_free);
}

static gboolean read_expiry(const char *text, gint64 *expires_us) {
  guint64 number;
  if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &number, NULL))
    return FALSE;
  *expires_us = (gint64)number;
  return TRUE;
}

gboolean mnk_token_read(const char *text, MnkToken *out) {
  if (strlen(text) > TOKEN_MAX)
    return FALSE;
  g_auto(GStrv) fields = g_strsplit(text, ".", FIELDS + 1);
  if (g_strv_length(fields) != FIELDS || strcmp(fields[0], VERSION) != 0)
    return FALSE;
  MnkScope scope = mnk_scope_from_name(fields[1]);
  if (scope == MNK_SCOPE_NONE || !read_expiry(fields[2], &out->expires_us) ||
      !mnk_stream_id_is_valid(fields[3]) ||
      (*fields[4] != '\0' && !mnk_stream_id_is_valid(fields[4])) || strlen(fields[5]) != MAC_HEX)
    return FALSE;
  out->scope = scope;
  out->key = g_strdup(fields[3]);
  out->stream = g_strdup(fields[4]);
  out->mac = g_strdup(fields[5]);
  out->signed_part = g_strndup(text, strlen(text) - MAC_HEX - 1);
  return TRUE;
}

gboolean mnk_token_is_signed(const MnkToken *token, const guint8 secret[MNK_SECRET_BYTES],
                             const char *key_hash) {
  g_autofree char *mac = sign(secret, token->signed_part, key_hash);
  return mnk_bytes_equal(mac, token->mac, MAC_HEX);
}
