#include "api/core_priv.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
  char *folder, *path;
  char *reader, *pusher, *admin;
  MnkAuth *auth;
} Fixture;

static void set_up(Fixture *f, gconstpointer data) {
  GError *error = NULL;
  mnk_metrics_reset();
  f->folder = g_dir_make_tmp("manako-auth-XXXXXX", NULL);
  f->path = g_build_filename(f->folder, "keys.json", NULL);
  mnk_api_add_key(f->path, "reader", "read", &f->reader, &error);
  mnk_api_add_key(f->path, "pusher", "ingest", &f->pusher, &error);
  mnk_api_add_key(f->path, "boss", "admin", &f->admin, &error);
  f->auth = mnk_auth_new(f->path, &error);
  g_assert_no_error(error);
}

static void tear_down(Fixture *f, gconstpointer data) {
  mnk_auth_free(f->auth);
  g_unlink(f->path);
  g_rmdir(f->folder);
  g_free(f->folder);
  g_free(f->path);
  g_free(f->reader);
  g_free(f->pusher);
  g_free(f->admin);
}

static const gint64 NOW = 1000000, WALL = G_GINT64_CONSTANT(1790000000000000);

/* The status; the name of the key in *name when it was let in. */
static guint ask_at(Fixture *f, MnkCredentials credentials, gint64 now) {
  guint status;
  g_autoptr(GError) error = NULL;
  if (credentials.address == NULL)
    credentials.address = "192.0.2.1";
  g_autoptr(MnkKey) key = mnk_auth_judge(f->auth, &credentials, now, WALL, &status, &error);
  g_assert_true((key != NULL) == (status == 200));
  g_assert_true((error != NULL) == (status != 200));
  if (error != NULL)
    g_assert_error(error, MNK_STATUS_ERROR, (int)status);
  return status;
}

static guint ask(Fixture *f, MnkCredentials credentials) {
  return ask_at(f, credentials, NOW);
}

static double refused(const char *reason) {
  g_autofree char *label = g_strdup_printf("reason=\"%s\"", reason);
  return mnk_metric_value(
      mnk_counter("auth_refused_total", "Requests refused for want of a right", label));
}

static void test_scopes(Fixture *f, gconstpointer data) {
  g_assert_cmpuint(ask(f, (MnkCredentials){.key = f->reader, .scope = MNK_SCOPE_READ}), ==, 200);
  g_assert_cmpuint(ask(f, (MnkCredentials){.key = f->reader, .scope = MNK_SCOPE_INGEST}), ==, 403);
  g_assert_cmpuint(ask(f, (MnkCredentials){.key = f->reader, .scope = MNK_SCOPE_ASK}), ==, 403);
  g_assert_cmpuint(ask(f, (MnkCredentials){.key = f->reader, .scope = MNK_SCOPE_ADMIN}), ==, 403);
  g_assert_cmpuint(ask(f, (MnkCredentials){.key = f->pusher, .scope = MNK_SCOPE_INGEST}), ==, 200);
  g_assert_cmpuint(ask(f, (MnkCredentials){.key = f->pusher, .scope = MNK_SCOPE_READ}), ==, 403);
  for (guint scope = MNK_SCOPE_INGEST; scope <= MNK_SCOPE_ADMIN; scope <<= 1)
    g_assert_cmpuint(ask(f, (MnkCredentials){.key = f->admin, .scope = scope}), ==, 200);
  g_assert_cmpuint(ask(f, (MnkCredentials){.scope = MNK_SCOPE_READ}), ==, 401);
}

static void test_no_keys(void) {
  g_autoptr(MnkAuth) auth = mnk_auth_new(NULL, NULL);
  guint status;
  const MnkCredentials credentials = {
      .address = "127.0.0.1", .key = "whatever", .scope = MNK_SCOPE_ADMIN};
  g_autoptr(MnkKey) key = mnk_auth_judge(auth, &credentials, NOW, WALL, &status, NULL);
  g_assert_nonnull(key);
  g_assert_cmpstr(key->name, ==, "everyone");
  g_assert_false(mnk_auth_has_keys(auth));
}

/* One bit away, one letter more or less, other cases, the hash itself, and much too long. */
static void test_near_misses(Fixture *f, gconstpointer data) {
  const gint64 calm = 10 * G_USEC_PER_SEC;
  gint64 now = NOW;
  for (gsize i = 0; f->reader[i] != '\0'; i++) {
    g_autofree char *key = g_strdup(f->reader);
    key[i] ^= 1;
    g_assert_cmpuint(ask_at(f, (MnkCredentials){.key = key, .scope = MNK_SCOPE_READ}, now), ==,
                     401);
    now += calm;
  }
  g_autofree char *shorter = g_strndup(f->reader, strlen(f->reader) - 1);
  g_autofree char *longer = g_strconcat(f->reader, "a", NULL);
  g_autofree char *upper = g_ascii_strup(f->reader, -1);
  g_autofree char *huge = g_strnfill(100000, 'a');
  g_autofree char *spaced = g_strconcat(f->reader, " ", NULL);
  const char *const misses[] = {shorter, longer, upper, huge, spaced, "", "mk_", "*", "%"};
  for (guint i = 0; i < G_N_ELEMENTS(misses); i++, now += calm)
    g_assert_cmpuint(ask_at(f, (MnkCredentials){.key = misses[i], .scope = MNK_SCOPE_READ}, now),
                     ==, 401);
}

/* Ten thousand wrong keys from one address within a second: twenty are looked at and none fits. */
static void test_wrong_keys(Fixture *f, gconstpointer data) {
  guint wrong = 0, throttled = 0;
  for (guint i = 0; i < 10000; i++) {
    g_autofree char *key = g_strdup_printf("mk_%052u", i);
    guint status = ask_at(f, (MnkCredentials){.key = key, .scope = MNK_SCOPE_READ}, NOW + i * 100);
    wrong += status == 401;
    throttled += status == 429;
  }
  g_assert_cmpuint(wrong, ==, 20);
  g_assert_cmpuint(throttled, ==, 9980);
  g_assert_cmpfloat(refused("wrong_key"), ==, 20);
  g_assert_cmpfloat(refused("throttled"), ==, 9980);
  /* the right key has to wait too, from there; from elsewhere it does not */
  const MnkCredentials right = {.key = f->reader, .scope = MNK_SCOPE_READ};
  MnkCredentials elsewhere = right;
  elsewhere.address = "192.0.2.2";
  g_assert_cmpuint(ask_at(f, right, NOW + 1000000), ==, 429);
  g_assert_cmpuint(ask_at(f, elsewhere, NOW + 1000000), ==, 200);
  g_assert_cmpuint(ask_at(f, right, NOW + 7000000), ==, 200);
}

/* A proxy's address stands for many: who guesses there does not shut out the others. */
static void test_wrong_keys_behind_a_proxy(Fixture *f, gconstpointer data) {
  const MnkCredentials bad = {
      .address = "127.0.0.1", .loopback = TRUE, .key = "mk_no", .scope = MNK_SCOPE_READ};
  MnkCredentials good = bad;
  good.key = f->reader;
  guint throttled = 0;
  for (guint i = 0; i < 1000; i++) {
    throttled += ask(f, bad) == 429;
    g_assert_cmpuint(ask(f, good), ==, 200);
  }
  g_assert_cmpuint(throttled, ==, 980);
}

static void test_many_addresses(Fixture *f, gconstpointer data) {
  guint let_in = 0;
  for (guint i = 0; i < 100000; i++) {
    g_autofree char *address = g_strdup_printf("10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
    let_in +=
        ask(f, (MnkCredentials){.address = address, .key = "mk_no", .scope = MNK_SCOPE_READ}) ==
        401;
  }
  /* each of those remembered once, and twenty of all the others together */
  g_assert_cmpuint(let_in, ==, 4096 + 20);
}

static void test_throttle_is_bounded(void) {
  g_autoptr(MnkThrottle) throttle = mnk_throttle_new(100, 2, 1);
  for (guint i = 0; i < 10000; i++) {
    g_autofree char *address = g_strdup_printf("10.0.%u.%u", i >> 8, i & 255);
    mnk_throttle_spend(throttle, address, NOW);
  }
  g_assert_cmpuint(mnk_throttle_size(throttle), ==, 100);
  /* those that have been quiet make room */
  mnk_throttle_spend(throttle, "10.9.9.9", NOW + 60 * G_USEC_PER_SEC);
  g_assert_cmpuint(mnk_throttle_size(throttle), ==, 1);
}

static void test_one_network_of_ipv6(void) {
  g_autoptr(MnkThrottle) throttle = mnk_throttle_new(100, 2, 1);
  mnk_throttle_spend(throttle, "2001:db8:1:2::1", NOW);
  mnk_throttle_spend(throttle, "2001:db8:1:2:ffff::2", NOW);
  g_assert_true(mnk_throttle_is_spent(throttle, "2001:db8:1:2:aaaa:bbbb:cccc:dddd", NOW));
  g_assert_false(mnk_throttle_is_spent(throttle, "2001:db8:1:3::1", NOW));
}

/* ---- reload ---- */

static void test_reload_keeps_what_is_in_use(Fixture *f, gconstpointer data) {
  guint status;
  const MnkCredentials credentials = {
      .address = "192.0.2.1", .key = f->pusher, .scope = MNK_SCOPE_INGEST};
  g_autoptr(MnkKey) before = mnk_auth_judge(f->auth, &credentials, NOW, WALL, &status, NULL);
  g_assert_true(mnk_key_take_stream(before, NULL));
  g_autofree char *text = NULL;
  g_file_get_contents(f->path, &text, NULL, NULL);
  g_auto(GStrv) parts = g_strsplit(text, "\"scopes\": [\"ingest\"]", 2);
  g_autofree char *changed =
      g_strconcat(parts[0], "\"scopes\": [\"ingest\"], \"streams_max\": 1", parts[1], NULL);
  g_assert_true(g_file_set_contents(f->path, changed, -1, NULL));
  g_assert_true(mnk_auth_reload(f->auth, f->path, NULL));
  g_autoptr(MnkKey) after = mnk_auth_judge(f->auth, &credentials, NOW, WALL, &status, NULL);
  g_assert_true(before == after);
  g_assert_false(mnk_key_take_stream(after, NULL));
}

static void test_reload_revokes(Fixture *f, gconstpointer data) {
  guint status;
  const MnkCredentials credentials = {
      .address = "192.0.2.1", .key = f->pusher, .scope = MNK_SCOPE_INGEST};
  g_autoptr(MnkKey) before = mnk_auth_judge(f->auth, &credentials, NOW, WALL, &status, NULL);
  g_assert_true(g_file_set_contents(f->path, "{\"keys\":[]}", -1, NULL));
  g_assert_true(mnk_auth_reload(f->auth, f->path, NULL));
  g_assert_true(before->revoked);
  g_assert_cmpuint(ask(f, credentials), ==, 401);
  g_assert_true(mnk_auth_has_keys(f->auth));
}

static void test_bad_reload_changes_nothing(Fixture *f, gconstpointer data) {
  g_autoptr(GError) error = NULL;
  g_assert_true(g_file_set_contents(f->path, "{\"keys\":[", -1, NULL));
  g_assert_false(mnk_auth_reload(f->auth, f->path, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
  g_assert_nonnull(strstr(error->message, f->path));
  g_assert_cmpuint(ask(f, (MnkCredentials){.key = f->reader, .scope = MNK_SCOPE_READ}), ==, 200);
}

/* ---- tokens in use ---- */

static char *make_token(Fixture *f, MnkScope scope, const char *stream, gint64 expires_us) {
  guint status;
  const MnkCredentials credentials = {.address = "192.0.2.1", .key = f->reader, .scope = scope};
  g_autoptr(MnkKey) key = mnk_auth_judge(f->auth, &credentials, NOW, WALL, &status, NULL);
  g_assert_nonnull(key);
  return mnk_auth_make_token(f->auth, key, scope, stream, expires_us);
}

static void test_token(Fixture *f, gconstpointer data) {
  g_autofree char *any = make_token(f, MNK_SCOPE_READ, NULL, WALL + 1);
  g_autofree char *bound = make_token(f, MNK_SCOPE_READ, "street", WALL + 1);
  g_autofree char *expired = make_token(f, MNK_SCOPE_READ, NULL, WALL);
  g_assert_cmpuint(ask(f, (MnkCredentials){.token = any, .scope = MNK_SCOPE_READ}), ==, 200);
  g_assert_cmpuint(
      ask(f, (MnkCredentials){.token = any, .scope = MNK_SCOPE_READ, .stream = "street"}), ==, 200);
  g_assert_cmpuint(ask(f, (MnkCredentials){.token = any, .scope = MNK_SCOPE_INGEST}), ==, 403);
  g_assert_cmpuint(ask(f, (MnkCredentials){.token = expired, .scope = MNK_SCOPE_READ}), ==, 401);
  g_assert_cmpuint(
      ask(f, (MnkCredentials){.token = bound, .scope = MNK_SCOPE_READ, .stream = "street"}), ==,
      200);
  g_assert_cmpuint(
      ask(f, (MnkCredentials){.token = bound, .scope = MNK_SCOPE_READ, .stream = "other"}), ==,
      403);
  g_assert_cmpuint(ask(f, (MnkCredentials){.token = bound, .scope = MNK_SCOPE_READ}), ==, 403);
}

/* A token is good for what it was asked for, whatever its key may do besides. */
static void test_token_is_less_than_its_key(Fixture *f, gconstpointer data) {
  guint status;
  const MnkCredentials boss = {.address = "192.0.2.1", .key = f->admin, .scope = MNK_SCOPE_READ};
  g_autoptr(MnkKey) key = mnk_auth_judge(f->auth, &boss, NOW, WALL, &status, NULL);
  g_autofree char *token = mnk_auth_make_token(f->auth, key, MNK_SCOPE_READ, NULL, WALL + 1);
  g_assert_cmpuint(ask(f, (MnkCredentials){.token = token, .scope = MNK_SCOPE_READ}), ==, 200);
  g_assert_cmpuint(ask(f, (MnkCredentials){.token = token, .scope = MNK_SCOPE_INGEST}), ==, 403);
  g_assert_cmpuint(ask(f, (MnkCredentials){.token = token, .scope = MNK_SCOPE_ADMIN}), ==, 403);
}

/* Nor is it good for what its key may not do any more. */
static void test_token_loses_what_its_key_loses(Fixture *f, gconstpointer data) {
  g_autofree char *token = make_token(f, MNK_SCOPE_READ, NULL, WALL + 1);
  g_autofree char *text = NULL;
  g_file_get_contents(f->path, &text, NULL, NULL);
  g_auto(GStrv) parts = g_strsplit(text, "[\"read\"]", 2);
  g_autofree char *changed = g_strjoinv("[\"ask\"]", parts);
  g_assert_true(g_file_set_contents(f->path, changed, -1, NULL));
  g_assert_true(mnk_auth_reload(f->auth, f->path, NULL));
  g_assert_cmpuint(ask(f, (MnkCredentials){.token = token, .scope = MNK_SCOPE_READ}), ==, 403);
}

static void test_token_ends_with_its_key(Fixture *f, gconstpointer data) {
  g_autofree char *token = make_token(f, MNK_SCOPE_READ, NULL, WALL + 1);
  g_autofree char *key = NULL;
  g_assert_cmpuint(ask(f, (MnkCredentials){.token = token, .scope = MNK_SCOPE_READ}), ==, 200);
  g_unlink(f->path);
  g_assert_true(mnk_api_add_key(f->path, "reader", "read", &key, NULL));
  g_assert_true(mnk_auth_reload(f->auth, f->path, NULL));
  g_assert_cmpuint(ask(f, (MnkCredentials){.token = token, .scope = MNK_SCOPE_READ}), ==, 401);
}

static void test_token_of_another_run(Fixture *f, gconstpointer data) {
  g_autofree char *token = make_token(f, MNK_SCOPE_READ, NULL, WALL + 1);
  g_autoptr(MnkAuth) other = mnk_auth_new(f->path, NULL);
  guint status;
  const MnkCredentials credentials = {
      .address = "192.0.2.1", .token = token, .scope = MNK_SCOPE_READ};
  g_assert_null(mnk_auth_judge(other, &credentials, NOW, WALL, &status, NULL));
  g_assert_cmpuint(status, ==, 401);
}

#define ADD(name, func) g_test_add("/api/auth/" name, Fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  ADD("scopes", test_scopes);
  g_test_add_func("/api/auth/no-keys", test_no_keys);
  ADD("near-misses", test_near_misses);
  ADD("wrong-keys", test_wrong_keys);
  ADD("wrong-keys-behind-a-proxy", test_wrong_keys_behind_a_proxy);
  ADD("many-addresses", test_many_addresses);
  g_test_add_func("/api/auth/throttle-is-bounded", test_throttle_is_bounded);
  g_test_add_func("/api/auth/one-network-of-ipv6", test_one_network_of_ipv6);
  ADD("reload-keeps-what-is-in-use", test_reload_keeps_what_is_in_use);
  ADD("reload-revokes", test_reload_revokes);
  ADD("bad-reload-changes-nothing", test_bad_reload_changes_nothing);
  ADD("token", test_token);
  ADD("token-is-less-than-its-key", test_token_is_less_than_its_key);
  ADD("token-loses-what-its-key-loses", test_token_loses_what_its_key_loses);
  ADD("token-ends-with-its-key", test_token_ends_with_its_key);
  ADD("token-of-another-run", test_token_of_another_run);
  return g_test_run();
}
