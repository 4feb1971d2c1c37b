#include "api/core_priv.h"

#include <string.h>

static const guint8 SECRET[MNK_SECRET_BYTES] = {1, 2, 3};

static gboolean is_good(const char *text) {
  g_auto(MnkToken) token = {0};
  return mnk_token_read(text, &token) && mnk_token_is_signed(&token, SECRET, "hash");
}

static char *make(void) {
  g_autoptr(MnkKey) key = mnk_key_new("reader", "hash", MNK_SCOPE_READ);
  return mnk_token_write(SECRET, key, MNK_SCOPE_READ, "street", 1790000000000000);
}

static void test_round_trip(void) {
  g_autofree char *text = make();
  g_auto(MnkToken) token = {0};
  g_assert_true(mnk_token_read(text, &token));
  g_assert_cmpint(token.scope, ==, MNK_SCOPE_READ);
  g_assert_cmpint(token.expires_us, ==, 1790000000000000);
  g_assert_cmpstr(token.key, ==, "reader");
  g_assert_cmpstr(token.stream, ==, "street");
  g_assert_true(mnk_token_is_signed(&token, SECRET, "hash"));
  g_assert_false(mnk_token_is_signed(&token, SECRET, "another hash"));
  const guint8 other[MNK_SECRET_BYTES] = {1, 2, 4};
  g_assert_false(mnk_token_is_signed(&token, other, "hash"));
}

/* Every letter changed in turn, to one that the form allows where there is one. */
static void test_every_letter_counts(void) {
  g_autofree char *text = make();
  for (gsize i = 0; text[i] != '\0'; i++) {
    g_autofree char *forged = g_strdup(text);
    forged[i] = text[i] == '1' ? '2' : '1';
    g_assert_false(is_good(forged));
  }
  for (gsize i = 0; text[i] != '\0'; i++) {
    g_autofree char *cut = g_strndup(text, i);
    g_assert_false(is_good(cut));
  }
}

/* Signed parts moved over the separators must not mean the same. */
static void test_fields_do_not_run_together(void) {
  g_autoptr(MnkKey) a = mnk_key_new("ab", "hash", MNK_SCOPE_READ);
  g_autoptr(MnkKey) b = mnk_key_new("a", "hash", MNK_SCOPE_READ);
  g_autofree char *one = mnk_token_write(SECRET, a, MNK_SCOPE_READ, "c", 5);
  g_autofree char *two = mnk_token_write(SECRET, b, MNK_SCOPE_READ, "bc", 5);
  g_assert_cmpstr(strrchr(one, '.'), !=, strrchr(two, '.'));
}

static void test_forgeries(void) {
  static const char ZEROS[] = "0000000000000000000000000000000000000000000000000000000000000000";
  static const char *const HEADS[] = {
      /* the header of a JSON web token that wants no signature, and others of its kind */
      "eyJhbGciOiJub25lIn0.eyJzY29wZSI6ImFkbWluIn0.",
      "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.e30.",
      "eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uL2Rldi9udWxsIn0.e30.sig",
      "none.read.9999999999999999.reader..",
      "mt0.read.9999999999999999.reader..",
      "mt1.none.9999999999999999.reader..",
      "mt1.admin.9999999999999999.reader..",
      "mt1.read,admin.9999999999999999.reader..",
      "mt1.READ.9999999999999999.reader..",
      "mt1.read.-1.reader..",
      "mt1.read.+1.reader..",
      "mt1.read.99999999999999999999999999.reader..",
      "mt1.read.0x7fffffff.reader..",
      "mt1.read.1e15.reader..",
      "mt1.read..reader..",
      "mt1.read.9999999999999999...",
      "mt1.read.9999999999999999.../..",
      "mt1.read.9999999999999999.reader.*.",
      "mt1.read.9999999999999999.reader.street.more.",
      "mt1.read.9999999999999999.reader.",
      "",
      ".....",
      "mt1.....",
  };
  for (guint i = 0; i < G_N_ELEMENTS(HEADS); i++) {
    g_autofree char *zeros = g_strconcat(HEADS[i], ZEROS, NULL);
    g_autofree char *empty = g_strconcat(HEADS[i], "", NULL);
    g_assert_false(is_good(zeros));
    g_assert_false(is_good(empty));
  }
  g_autofree char *huge = g_strnfill(1 << 20, '.');
  g_assert_false(is_good(huge));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/api/tokens/round-trip", test_round_trip);
  g_test_add_func("/api/tokens/every-letter-counts", test_every_letter_counts);
  g_test_add_func("/api/tokens/fields-do-not-run-together", test_fields_do_not_run_together);
  g_test_add_func("/api/tokens/forgeries", test_forgeries);
  return g_test_run();
}
