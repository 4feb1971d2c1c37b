#include "api/core_priv.h"

#include <glib/gstdio.h>
#include <string.h>

#define SALT "000102030405060708090a0b0c0d0e0f"

static GPtrArray *parse(const char *text, GError **error) {
  return mnk_keys_parse(text, strlen(text), error);
}

static void test_hash(void) {
  g_autofree char *hash = mnk_key_hash(SALT, "mk_x");
  g_assert_true(g_str_has_prefix(hash, "hmac-sha256:" SALT ":"));
  g_assert_cmpuint(strlen(hash), ==, strlen("hmac-sha256:" SALT ":") + 64);
  g_assert_true(mnk_key_hash_fits(hash, "mk_x"));
  g_assert_false(mnk_key_hash_fits(hash, "mk_X"));
  g_assert_false(mnk_key_hash_fits(hash, "mk_"));
  g_assert_false(mnk_key_hash_fits(hash, "mk_xx"));
  g_assert_false(mnk_key_hash_fits(hash, ""));
  g_assert_false(mnk_key_hash_fits("plain:mk_x", "mk_x"));
  g_assert_false(mnk_key_hash_fits("mk_x", "mk_x"));
}

/* The value comes from the hmac module of Python. */
static void test_hash_value(void) {
  g_autofree char *hash = mnk_key_hash(SALT, "mk_test");
  g_assert_cmpstr(hash, ==,
                  "hmac-sha256:" SALT
                  ":835cc59853aee52d52feb1a71b01070f5ad7266fea4386bd05837760f3ee0a10");
}

static void test_equal(void) {
  g_assert_true(mnk_bytes_equal("abc", "abc", 3));
  g_assert_false(mnk_bytes_equal("abc", "abd", 3));
  g_assert_false(mnk_bytes_equal("xbc", "abc", 3));
  g_assert_true(mnk_bytes_equal("a", "b", 0));
}

static void test_make(void) {
  g_autofree char *key = NULL, *line = NULL, *other = NULL, *other_line = NULL;
  g_autoptr(GError) error = NULL;
  g_assert_true(mnk_api_make_key("door", "ingest, read,read", &key, &line, &error));
  g_assert_no_error(error);
  g_assert_true(mnk_api_make_key("door", "read", &other, &other_line, NULL));
  g_assert_true(g_str_has_prefix(key, "mk_"));
  g_assert_cmpuint(strlen(key), ==, 3 + 52);
  g_assert_cmpstr(key, !=, other);
  g_assert_null(strstr(line, key + 3));
  g_autofree char *file = g_strdup_printf("{\"keys\": [%s]}", line);
  g_autoptr(GPtrArray) keys = parse(file, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(keys->len, ==, 1);
  const MnkKey *read = keys->pdata[0];
  g_assert_cmpstr(read->name, ==, "door");
  g_assert_cmpuint(read->scopes, ==, MNK_SCOPE_INGEST | MNK_SCOPE_READ);
  g_assert_true(mnk_key_hash_fits(read->hash, key));
}

static void test_make_refused(void) {
  static const char *const CASES[][2] = {
      {"", "read"}, {"a b", "read"}, {"../x", "read"}, {"a\"", "read"},
      {"a", ""},    {"a", "write"},  {"a", "read,"},   {"a", "READ"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autofree char *key = NULL, *line = NULL;
    g_autoptr(GError) error = NULL;
    g_assert_false(mnk_api_make_key(CASES[i][0], CASES[i][1], &key, &line, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_USAGE);
    g_assert_null(key);
  }
}

#define HASH "hmac-sha256:" SALT ":0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_limits(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) keys =
      parse("{\"keys\":[{\"name\":\"a\",\"hash\":\"" HASH "\",\"scopes\":[\"admin\"],"
            "\"streams_max\":3,\"fps_max\":2.5,\"bytes_per_s\":5000000000,\"tokens_per_day\":7}]}",
            &error);
  g_assert_no_error(error);
  const MnkKey *key = keys->pdata[0];
  g_assert_cmpuint(key->streams_max, ==, 3);
  g_assert_cmpfloat(key->fps_max, ==, 2.5);
  g_assert_cmpuint(key->bytes_per_s, ==, 5000000000u);
  g_assert_cmpuint(key->tokens_per_day, ==, 7);
}

static void test_file_refused(void) {
  static const struct {
    const char *text, *why;
  } CASES[] = {
      {"", NULL},
      {"[]", NULL},
      {"{}", "keys"},
      {"{\"keys\":{}}", "keys"},
      {"{\"keys\":[],\"more\":1}", "no other"},
      {"{\"keys\":[1]}", "keys[0]: it must be an object"},
      {"{\"keys\":[{}]}", "keys[0]: JSON: the member \"name\" is missing"},
      {"{\"keys\":[{\"name\":\"a\"}]}", "hash"},
      {"{\"keys\":[{\"name\":\"a\",\"hash\":\"x\",\"scopes\":[\"read\"]}]}", "hash must be"},
      {"{\"keys\":[{\"name\":\"a\",\"hash\":\"" HASH "\"}]}", "scopes"},
      {"{\"keys\":[{\"name\":\"a\",\"hash\":\"" HASH "\",\"scopes\":[]}]}", "scopes is empty"},
      {"{\"keys\":[{\"name\":\"a\",\"hash\":\"" HASH "\",\"scopes\":[\"root\"]}]}", "scopes must"},
      {"{\"keys\":[{\"name\":\"a b\",\"hash\":\"" HASH "\",\"scopes\":[\"read\"]}]}", "name must"},
      {"{\"keys\":[{\"name\":\"a\",\"hash\":\"" HASH "\",\"scopes\":[\"read\"],\"fps\":1}]}",
       "no member \"fps\""},
      {"{\"keys\":[{\"name\":\"a\",\"hash\":\"" HASH "\",\"scopes\":[\"read\"],\"fps_max\":-1}]}",
       "fps_max"},
      {"{\"keys\":[{\"name\":\"a\",\"hash\":\"" HASH "\",\"scopes\":[\"read\"]},"
       "{\"name\":\"a\",\"hash\":\"" HASH "\",\"scopes\":[\"read\"]}]}",
       "keys[1]: the key a is there twice"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(parse(CASES[i].text, &error));
    g_assert_nonnull(error);
    g_test_message("%s", error->message);
    if (CASES[i].why != NULL)
      g_assert_nonnull(strstr(error->message, CASES[i].why));
  }
}

static void test_add(void) {
  g_autofree char *folder = g_dir_make_tmp("manako-keys-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(folder, "keys.json", NULL);
  g_autofree char *first = NULL, *second = NULL, *again = NULL;
  g_autoptr(GError) error = NULL;
  GStatBuf info;
  g_assert_true(mnk_api_add_key(path, "one", "read", &first, &error));
  g_assert_true(mnk_api_add_key(path, "two", "admin", &second, &error));
  g_assert_no_error(error);
  g_assert_false(mnk_api_add_key(path, "one", "read", &again, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_USAGE);
  g_clear_error(&error);
  g_assert_cmpint(g_stat(path, &info), ==, 0);
  g_assert_cmpuint(info.st_mode & 0777, ==, 0600);
  g_autoptr(GPtrArray) keys = mnk_keys_read(path, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(keys->len, ==, 2);
  g_assert_true(mnk_key_hash_fits(((MnkKey *)keys->pdata[1])->hash, second));
  g_autoptr(GString) list = g_string_new(NULL);
  g_assert_true(mnk_api_list_keys(path, list, &error));
  g_assert_nonnull(strstr(list->str, "one"));
  g_assert_nonnull(strstr(list->str, "admin"));
  g_assert_null(strstr(list->str, first));
  g_unlink(path);
  g_rmdir(folder);
}

/* ---- quotas ---- */

static void test_frames(void) {
  g_autoptr(MnkKey) key = mnk_key_new("a", "", MNK_SCOPE_INGEST);
  g_autoptr(GError) error = NULL;
  key->fps_max = 2;
  gint64 now = 1000000;
  g_assert_true(mnk_key_take_frame(key, 1, now, NULL));
  g_assert_true(mnk_key_take_frame(key, 1, now, NULL));
  g_assert_false(mnk_key_take_frame(key, 1, now, &error));
  g_assert_error(error, MNK_STATUS_ERROR, 429);
  g_assert_nonnull(strstr(error->message, "2 frames per second"));
  g_assert_false(mnk_key_take_frame(key, 1, now + 499000, NULL));
  g_assert_true(mnk_key_take_frame(key, 1, now + 500000, NULL));
  /* an hour of rest saves up one second, no more */
  now += G_GINT64_CONSTANT(3600000000);
  g_assert_true(mnk_key_take_frame(key, 1, now, NULL));
  g_assert_true(mnk_key_take_frame(key, 1, now, NULL));
  g_assert_false(mnk_key_take_frame(key, 1, now, NULL));
  /* a clock that goes back gives nothing */
  g_assert_false(mnk_key_take_frame(key, 1, now - 5000000, NULL));
  g_assert_false(mnk_key_take_frame(key, 1, now, NULL));
}

static void test_slow_frames(void) {
  g_autoptr(MnkKey) key = mnk_key_new("a", "", MNK_SCOPE_INGEST);
  guint taken = 0;
  key->fps_max = 0.5;
  for (guint i = 0; i < 100; i++)
    taken += mnk_key_take_frame(key, 1, 1 + (gint64)i * 100000, NULL);
  g_assert_cmpuint(taken, ==, 5);
}

static void test_bytes(void) {
  g_autoptr(MnkKey) key = mnk_key_new("a", "", MNK_SCOPE_INGEST);
  g_autoptr(GError) error = NULL;
  key->bytes_per_s = 1000;
  gint64 now = 1;
  g_assert_true(mnk_key_take_frame(key, 3000, now, NULL)); /* larger than a second's bytes */
  g_assert_false(mnk_key_take_frame(key, 1, now + 1900000, &error));
  g_assert_nonnull(strstr(error->message, "bytes_per_s"));
  g_assert_true(mnk_key_take_frame(key, 1, now + 2100000, NULL));
}

static void test_no_limits(void) {
  g_autoptr(MnkKey) key = mnk_key_new("a", "", MNK_SCOPE_INGEST);
  for (guint i = 0; i < 10000; i++)
    g_assert_true(mnk_key_take_frame(key, 1 << 20, 5, NULL));
  for (guint i = 0; i < 1000; i++)
    g_assert_true(mnk_key_take_stream(key, NULL));
  mnk_key_spend_tokens(key, G_MAXUINT32, 1);
  g_assert_true(mnk_key_has_tokens(key, 1));
}

static void test_streams(void) {
  g_autoptr(MnkKey) key = mnk_key_new("a", "", MNK_SCOPE_INGEST);
  g_autoptr(GError) error = NULL;
  key->streams_max = 2;
  g_assert_true(mnk_key_take_stream(key, NULL));
  g_assert_true(mnk_key_take_stream(key, NULL));
  g_assert_false(mnk_key_take_stream(key, &error));
  g_assert_error(error, MNK_STATUS_ERROR, 429);
  mnk_key_give_stream(key);
  g_assert_true(mnk_key_take_stream(key, NULL));
}

static void test_tokens_per_day(void) {
  g_autoptr(MnkKey) key = mnk_key_new("a", "", MNK_SCOPE_INGEST);
  gint64 noon = G_GINT64_CONSTANT(86400000000) * 20000 + G_GINT64_CONSTANT(43200000000);
  key->tokens_per_day = 100;
  g_assert_true(mnk_key_has_tokens(key, noon));
  mnk_key_spend_tokens(key, 99, noon);
  g_assert_true(mnk_key_has_tokens(key, noon));
  mnk_key_spend_tokens(key, 50, noon);
  g_assert_false(mnk_key_has_tokens(key, noon));
  g_assert_true(mnk_key_has_tokens(key, noon + G_GINT64_CONSTANT(43200000000)));
}

static void test_revoked(void) {
  g_autoptr(MnkKey) key = mnk_key_new("a", "", MNK_SCOPE_INGEST);
  g_autoptr(GError) error = NULL;
  key->revoked = TRUE;
  g_assert_false(mnk_key_take_stream(key, NULL));
  g_assert_false(mnk_key_take_frame(key, 1, 1, &error));
  g_assert_error(error, MNK_STATUS_ERROR, 403);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/api/keys/hash", test_hash);
  g_test_add_func("/api/keys/hash-value", test_hash_value);
  g_test_add_func("/api/keys/equal", test_equal);
  g_test_add_func("/api/keys/make", test_make);
  g_test_add_func("/api/keys/make-refused", test_make_refused);
  g_test_add_func("/api/keys/limits", test_limits);
  g_test_add_func("/api/keys/file-refused", test_file_refused);
  g_test_add_func("/api/keys/add", test_add);
  g_test_add_func("/api/keys/frames", test_frames);
  g_test_add_func("/api/keys/slow-frames", test_slow_frames);
  g_test_add_func("/api/keys/bytes", test_bytes);
  g_test_add_func("/api/keys/no-limits", test_no_limits);
  g_test_add_func("/api/keys/streams", test_streams);
  g_test_add_func("/api/keys/tokens-per-day", test_tokens_per_day);
  g_test_add_func("/api/keys/revoked", test_revoked);
  return g_test_run();
}
