/* Keys: the file that holds them (hashed), and what each of them may use up. */
#include "api/core_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static const char HASH_PREFIX[] = "hmac-sha256:";

enum {
  KEYS_MAX = 1024,
  SALT_BYTES = 16,
  HASH_HEX = 64,
};
static const gint64 DAY_US = G_GINT64_CONSTANT(86400000000);

/* ---- scopes ---- */

static const struct {
  MnkScope scope;
  const char *name;
} scope_table[] = {
    {MNK_SCOPE_INGEST, "ingest"},
    {MNK_SCOPE_READ, "read"},
    {MNK_SCOPE_ASK, "ask"},
    {MNK_SCOPE_ADMIN, "admin"},
};

const char *mnk_scope_name(MnkScope scope) {
  for (guint i = 0; i < G_N_ELEMENTS(scope_table); i++)
    if (scope_table[i].scope == scope)
      return scope_table[i].name;
  return "none";
}

MnkScope mnk_scope_from_name(const char *name) {
  for (guint i = 0; i < G_N_ELEMENTS(scope_table); i++)
    if (strcmp(scope_table[i].name, name) == 0)
      return scope_table[i].scope;
  return MNK_SCOPE_NONE;
}

gboolean mnk_scopes_include(guint scopes, MnkScope wanted) {
  return wanted == MNK_SCOPE_NONE || (scopes & ((guint)wanted | MNK_SCOPE_ADMIN)) != 0;
}

/* ---- bytes ---- */

gboolean mnk_bytes_equal(gconstpointer a, gconstpointer b, gsize n) {
  const volatile guint8 *x = a, *y = b;
  guint8 difference = 0;
  for (gsize i = 0; i < n; i++)
    difference |= x[i] ^ y[i];
  return difference == 0;
}

void mnk_random_bytes(guint8 *bytes, gsize n) {
  gsize have = 0;
  while (have < n) {
    gssize got = getrandom(bytes + have, n - have, 0);
    if (got > 0)
      have += (gsize)got;
    else if (errno != EINTR)
      g_error("the system gives no random bytes: %s", g_strerror(errno));
  }
}

char *mnk_hex(const guint8 *bytes, gsize n) {
  static const char DIGITS[] = "0123456789abcdef";
  char *text = g_malloc(2 * n + 1);
  for (gsize i = 0; i < n; i++) {
    text[2 * i] = DIGITS[bytes[i] >> 4];
    text[2 * i + 1] = DIGITS[bytes[i] & 15];
  }
  text[2 * n] = '\0';
  return text;
}

/* RFC 4648 base32, lower case, no padding. Caller frees. */
static char *base32(const guint8 *bytes, gsize n) {
  static const char DIGITS[] = "abcdefghijklmnopqrstuvwxyz234567";
  GString *text = g_string_new(NULL);
  guint bits = 0, held = 0;
  for (gsize i = 0; i < n; i++) {
    held = held << 8 | bytes[i];
    for (bits += 8; bits >= 5; bits -= 5)
      g_string_append_c(text, DIGITS[held >> (bits - 5) & 31]);
    held &= 0xff;
  }
  if (bits > 0)
    g_string_append_c(text, DIGITS[held << (5 - bits) & 31]);
  return g_string_free(text, FALSE);
}

/* ---- hashes ---- */

char *mnk_key_hash(const char *salt, const char *text) {
  g_autofree char *hex =
      g_compute_hmac_for_string(G_CHECKSUM_SHA256, (const guint8 *)salt, strlen(salt), text, -1);
  return g_strconcat(HASH_PREFIX, salt, ":", hex, NULL);
}

/* Where the salt begins and its length; FALSE: not a hash. */
static gboolean find_salt(const char *hash, const char **salt, gsize *length) {
  gsize prefix = strlen(HASH_PREFIX);
  if (strncmp(hash, HASH_PREFIX, prefix) != 0)
    return FALSE;
  *salt = hash + prefix;
  *length = strspn(*salt, "0123456789abcdef");
  const char *hex = *salt + *length + 1;
  return *length >= SALT_BYTES && *length <= 128 && (*salt)[*length] == ':' &&
         strspn(hex, "0123456789abcdef") == HASH_HEX && hex[HASH_HEX] == '\0';
}

gboolean mnk_key_hash_fits(const char *hash, const char *text) {
  const char *salt;
  gsize length;
  if (!find_salt(hash, &salt, &length))
    return FALSE;
  g_autofree char *hex =
      g_compute_hmac_for_string(G_CHECKSUM_SHA256, (const guint8 *)salt, length, text, -1);
  return mnk_bytes_equal(hex, salt + length + 1, HASH_HEX);
}

/* ---- a key and its quotas ---- */

MnkKey *mnk_key_new(const char *name, const char *hash, guint scopes) {
  MnkKey *key = g_new0(MnkKey, 1);
  key->refs = 1;
  key->name = g_strdup(name);
  key->hash = g_strdup(hash);
  key->scopes = scopes;
  return key;
}

MnkKey *mnk_key_ref(MnkKey *key) {
  key->refs++;
  return key;
}

void mnk_key_unref(MnkKey *key) {
  if (key == NULL || --key->refs > 0)
    return;
  g_free(key->name);
  g_free(key->hash);
  g_free(key);
}

static gboolean refuse_revoked(const MnkKey *key, GError **error) {
  if (!key->revoked)
    return FALSE;
  g_set_error(error, MNK_STATUS_ERROR, 403, "the key %s has been withdrawn", key->name);
  return TRUE;
}

/* Both buckets hold what one second allows; the first frame finds them full. */
static void refill(MnkKey *key, gint64 now_us) {
  double frames = MAX(key->fps_max, 1), bytes = (double)key->bytes_per_s;
  if (key->bucket_us == 0) {
    key->fps_bucket = frames;
    key->bytes_bucket = bytes;
  } else if (now_us > key->bucket_us) {
    double seconds = (double)(now_us - key->bucket_us) / 1e6;
    key->fps_bucket = MIN(frames, key->fps_bucket + seconds * key->fps_max);
    key->bytes_bucket = MIN(bytes, key->bytes_bucket + seconds * bytes);
  }
  key->bucket_us = MAX(now_us, key->bucket_us);
}

gboolean mnk_key_take_frame(MnkKey *key, gsize bytes, gint64 now_us, GError **error) {
  if (refuse_revoked(key, error))
    return FALSE;
  refill(key, now_us);
  if (key->fps_max > 0 && key->fps_bucket < 1) {
    g_set_error(error, MNK_STATUS_ERROR, 429, "the key %s may push %g frames per second (fps_max)",
                key->name, key->fps_max);
    return FALSE;
  }
  /* A frame larger than a second's bytes goes through too, and the seconds after pay for it. */
  if (key->bytes_per_s > 0 && key->bytes_bucket <= 0) {
    g_set_error(error, MNK_STATUS_ERROR, 429,
                "the key %s may push %" G_GUINT64_FORMAT " bytes per second (bytes_per_s)",
                key->name, key->bytes_per_s);
    return FALSE;
  }
  key->fps_bucket -= 1;
  key->bytes_bucket -= (double)bytes;
  return TRUE;
}

gboolean mnk_key_take_stream(MnkKey *key, GError **error) {
  if (refuse_revoked(key, error))
    return FALSE;
  if (key->streams_max > 0 && key->streams >= key->streams_max) {
    g_set_error(error, MNK_STATUS_ERROR, 429,
                "the key %s may have %u streams at a time (streams_max)", key->name,
                key->streams_max);
    return FALSE;
  }
  key->streams++;
  return TRUE;
}

void mnk_key_give_stream(MnkKey *key) {
  g_return_if_fail(key->streams > 0);
  key->streams--;
}

static void turn_page(MnkKey *key, gint64 now_us) {
  gint64 day = now_us / DAY_US;
  if (day == key->day)
    return;
  key->day = day;
  key->tokens_today = 0;
}

gboolean mnk_key_has_tokens(MnkKey *key, gint64 now_us) {
  turn_page(key, now_us);
  return key->tokens_per_day == 0 || key->tokens_today < key->tokens_per_day;
}

void mnk_key_spend_tokens(MnkKey *key, guint64 tokens, gint64 now_us) {
  turn_page(key, now_us);
  key->tokens_today += tokens;
}

/* ---- the file ---- */

static gboolean read_scopes(const MnkJsonValue *list, guint *scopes, GError **error) {
  for (guint i = 0; i < mnk_json_size(list); i++) {
    MnkScope scope = mnk_scope_from_name(mnk_json_string(mnk_json_at(list, i), ""));
    if (scope == MNK_SCOPE_NONE) {
      g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CONFIG,
                          "scopes must be of ingest, read, ask and admin");
      return FALSE;
    }
    *scopes |= scope;
  }
  if (*scopes != 0)
    return TRUE;
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CONFIG, "scopes is empty");
  return FALSE;
}

static gboolean check_members(const MnkJsonValue *entry, GError **error) {
  static const char *const KNOWN[] = {"name",    "hash",        "scopes",         "streams_max",
                                      "fps_max", "bytes_per_s", "tokens_per_day", NULL};
  MnkJsonIter iter = {0};
  const char *name;
  const MnkJsonValue *value;
  while (mnk_json_next(entry, &iter, &name, &value)) {
    if (g_strv_contains(KNOWN, name))
      continue;
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "there is no member \"%.64s\"", name);
    return FALSE;
  }
  return TRUE;
}

static gboolean check_identity(const char *name, const char *hash, GError **error) {
  const char *salt;
  gsize length;
  if (!mnk_stream_id_is_valid(name))
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CONFIG,
                        "name must be 1 to 64 letters, digits, '-' and '_'");
  else if (!find_salt(hash, &salt, &length))
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CONFIG,
                        "hash must be hmac-sha256:SALT:HEX, as `manako keys new` writes it");
  else
    return TRUE;
  return FALSE;
}

static MnkKey *read_entry(const MnkJsonValue *entry, GError **error) {
  const char *name = NULL, *hash = NULL;
  const MnkJsonValue *scopes = NULL;
  gint64 streams = 0, bytes = 0, tokens = 0;
  double fps = 0;
  guint mask = 0;
  if (mnk_json_type(entry) != MNK_JSON_OBJECT) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CONFIG, "it must be an object");
    return NULL;
  }
  if (!check_members(entry, error) ||
      !mnk_json_get_string(entry, "name", MNK_JSON_REQUIRED, 64, &name, error) ||
      !mnk_json_get_string(entry, "hash", MNK_JSON_REQUIRED, 512, &hash, error) ||
      !mnk_json_get_array(entry, "scopes", MNK_JSON_REQUIRED, 16, &scopes, error) ||
      !mnk_json_get_int(entry, "streams_max", MNK_JSON_OPTIONAL, 0, 10000, &streams, error) ||
      !mnk_json_get_double(entry, "fps_max", MNK_JSON_OPTIONAL, 0, 1e6, &fps, error) ||
      !mnk_json_get_int(entry, "bytes_per_s", MNK_JSON_OPTIONAL, 0, G_MAXINT64, &bytes, error) ||
      !mnk_json_get_int(entry, "tokens_per_day", MNK_JSON_OPTIONAL, 0, G_MAXINT64, &tokens,
                        error) ||
      !check_identity(name, hash, error) || !read_scopes(scopes, &mask, error))
    return NULL;
  MnkKey *key = mnk_key_new(name, hash, mask);
  key->streams_max = (guint)streams;
  key->fps_max = fps;
  key->bytes_per_s = (guint64)bytes;
  key->tokens_per_day = (guint64)tokens;
  return key;
}

static gboolean check_unique(const GPtrArray *keys, const MnkKey *key, GError **error) {
  for (guint i = 0; i < keys->len; i++) {
    const MnkKey *other = keys->pdata[i];
    if (strcmp(other->name, key->name) != 0 && strcmp(other->hash, key->hash) != 0)
      continue;
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "the key %s is there twice", key->name);
    return FALSE;
  }
  return TRUE;
}

static GPtrArray *read_entries(const MnkJsonValue *list, GError **error) {
  g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_key_unref);
  for (guint i = 0; i < mnk_json_size(list); i++) {
    g_autoptr(MnkKey) key = read_entry(mnk_json_at(list, i), error);
    if (key == NULL || !check_unique(keys, key, error)) {
      if (error != NULL)
        (*error)->code = MNK_ERROR_CONFIG;
      g_prefix_error(error, "keys[%u]: ", i);
      return NULL;
    }
    g_ptr_array_add(keys, g_steal_pointer(&key));
  }
  return g_steal_pointer(&keys);
}

GPtrArray *mnk_keys_parse(const char *text, gsize length, GError **error) {
  g_autoptr(MnkJson) json = mnk_json_parse(text, length, NULL, error);
  const MnkJsonValue *list = NULL;
  if (json == NULL)
    return NULL;
  const MnkJsonValue *root = mnk_json_root(json);
  if (!mnk_json_get_array(root, "keys", MNK_JSON_REQUIRED, KEYS_MAX, &list, error))
    return NULL;
  if (mnk_json_size(root) != 1) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CONFIG,
                        "there must be one member, \"keys\", and no other");
    return NULL;
  }
  return read_entries(list, error);
}

GPtrArray *mnk_keys_read(const char *path, GError **error) {
  g_autoptr(GError) why = NULL;
  g_autofree char *text = NULL;
  gsize length = 0;
  GPtrArray *keys = NULL;
  if (g_file_get_contents(path, &text, &length, &why))
    keys = mnk_keys_parse(text, length, &why);
  if (keys == NULL)
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "the keys cannot be read from %s: %s", path,
                why->message);
  return keys;
}

/* ---- new keys ---- */

/* "ingest,read" as "\"ingest\",\"read\"". */
static gboolean write_scopes(const char *scopes, GString *out, GError **error) {
  g_auto(GStrv) names = g_strsplit(scopes, ",", -1);
  guint seen = 0;
  if (names[0] == NULL) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                        "a key needs a scope of ingest, read, ask and admin");
    return FALSE;
  }
  for (guint i = 0; names[i] != NULL; i++) {
    MnkScope scope = mnk_scope_from_name(g_strstrip(names[i]));
    if (scope == MNK_SCOPE_NONE) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
                  "there is no scope \"%.64s\"; scopes are ingest, read, ask and admin", names[i]);
      return FALSE;
    }
    if (!(seen & (guint)scope))
      g_string_append_printf(out, "%s\"%s\"", seen != 0 ? "," : "", names[i]);
    seen |= scope;
  }
  return TRUE;
}

gboolean mnk_api_make_key(const char *name, const char *scopes, char **key, char **line,
                          GError **error) {
  guint8 bytes[MNK_SECRET_BYTES], salt_bytes[SALT_BYTES];
  g_autoptr(GString) list = g_string_new(NULL);
  if (!mnk_stream_id_is_valid(name)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                        "a key's name is 1 to 64 letters, digits, '-' and '_'");
    return FALSE;
  }
  if (!write_scopes(scopes, list, error))
    return FALSE;
  mnk_random_bytes(bytes, sizeof bytes);
  mnk_random_bytes(salt_bytes, sizeof salt_bytes);
  g_autofree char *body = base32(bytes, sizeof bytes);
  g_autofree char *salt = mnk_hex(salt_bytes, sizeof salt_bytes);
  *key = g_strconcat("mk_", body, NULL);
  g_autofree char *hash = mnk_key_hash(salt, *key);
  *line = g_strdup_printf("{\"name\": \"%s\", \"hash\": \"%s\", \"scopes\": [%s]}", name, hash,
                          list->str);
  explicit_bzero(bytes, sizeof bytes);
  return TRUE;
}

/* The file with one more line. What its owner wrote is kept as it stands: the text is known to be
 * sound and to hold the list alone, so the list ends at the last bracket. */
static char *insert_line(const char *text, gboolean first, const char *line) {
  const char *end = strrchr(text, ']');
  const char *last = end;
  while (last > text && g_ascii_isspace(last[-1]))
    last--;
  g_autofree char *head = g_strndup(text, (gsize)(last - text));
  return g_strconcat(head, first ? "\n  " : ",\n  ", line, "\n", end, NULL);
}

gboolean mnk_api_add_key(const char *path, const char *name, const char *scopes, char **key,
                         GError **error) {
  g_autofree char *text = g_strdup("{\"keys\": [\n]}\n");
  g_autofree char *line = NULL, *made = NULL;
  g_autoptr(GPtrArray) keys = NULL;
  g_autoptr(GError) why = NULL;
  if (g_file_test(path, G_FILE_TEST_EXISTS)) {
    if ((keys = mnk_keys_read(path, error)) == NULL)
      return FALSE;
    g_free(text);
    text = NULL;
    if (!g_file_get_contents(path, &text, NULL, error))
      return FALSE;
  }
  for (guint i = 0; keys != NULL && i < keys->len; i++)
    if (strcmp(((MnkKey *)keys->pdata[i])->name, name) == 0) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "there is a key %s already in %s", name, path);
      return FALSE;
    }
  if (!mnk_api_make_key(name, scopes, &made, &line, error))
    return FALSE;
  g_autofree char *grown = insert_line(text, keys == NULL || keys->len == 0, line);
  if (!g_file_set_contents_full(path, grown, -1,
                                G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600,
                                &why)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_OUTPUT, "the keys cannot be written: %s", why->message);
    return FALSE;
  }
  *key = g_steal_pointer(&made);
  return TRUE;
}

gboolean mnk_api_list_keys(const char *path, GString *out, GError **error) {
  g_autoptr(GPtrArray) keys = mnk_keys_read(path, error);
  if (keys == NULL)
    return FALSE;
  for (guint i = 0; i < keys->len; i++) {
    const MnkKey *key = keys->pdata[i];
    g_autoptr(GString) scopes = g_string_new(NULL);
    for (guint s = 0; s < G_N_ELEMENTS(scope_table); s++)
      if (key->scopes & (guint)scope_table[s].scope)
        g_string_append_printf(scopes, "%s%s", scopes->len > 0 ? "," : "", scope_table[s].name);
    g_string_append_printf(out, "%-24s %-24s", key->name, scopes->str);
    if (key->streams_max > 0)
      g_string_append_printf(out, "  %u streams", key->streams_max);
    if (key->fps_max > 0)
      g_string_append_printf(out, "  %g frames/s", key->fps_max);
    if (key->bytes_per_s > 0)
      g_string_append_printf(out, "  %" G_GUINT64_FORMAT " bytes/s", key->bytes_per_s);
    if (key->tokens_per_day > 0)
      g_string_append_printf(out, "  %" G_GUINT64_FORMAT " tokens/day", key->tokens_per_day);
    g_string_append_c(out, '\n');
  }
  return TRUE;
}
