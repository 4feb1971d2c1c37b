/* A disk that fills up, becomes read-only or fails, and is well again: what was answered is there,
 * and the store heals by itself. */
#include "base/base.h"
#include "faults.h"
#include "support.h"

#include <sqlite3.h>
#include <string.h>

/* What became of one write. */
typedef struct {
  char *id;
  char *message; /* NULL: kept */
  gboolean answered;
} Fate;

static void fate_free(gpointer data) {
  Fate *fate = data;
  g_free(fate->id);
  g_free(fate->message);
  g_free(fate);
}

static void note(const GError *error, gpointer user) {
  Fate *fate = user;
  g_assert_false(fate->answered);
  fate->answered = TRUE;
  fate->message = error != NULL ? g_strdup(error->message) : NULL;
}

static Fate *try_put(MnkStore *store, GPtrArray *fates) {
  Fate *fate = g_new0(Fate, 1);
  fate->id = g_strdup_printf("%u", fates->len + 1);
  g_ptr_array_add(fates, fate);
  g_autoptr(MnkCaption) caption =
      make_caption("s", fate->id, fates->len, fates->len + 1, "A cat on a red mat.");
  mnk_store_put_caption(store, caption, note, fate);
  return fate;
}

static void wait_for(const Fate *fate) {
  while (!fate->answered)
    g_main_context_iteration(NULL, TRUE);
}

/* Each caption that was kept is there once, and each that failed is not. */
static void assert_as_told(MnkStore *store, GPtrArray *fates) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) found = mnk_store_captions(store, "s", 0, -1, G_MAXUINT, &error);
  g_assert_no_error(error);
  g_autoptr(GString) expected = g_string_new(NULL);
  for (guint i = 0; i < fates->len; i++) {
    const Fate *fate = fates->pdata[i];
    g_assert_true(fate->answered);
    if (fate->message == NULL)
      g_string_append_printf(expected, "%s%s", expected->len > 0 ? " " : "", fate->id);
  }
  g_autofree char *ids = caption_ids(found);
  g_assert_cmpstr(ids, ==, expected->str);
}

static void wait_until_healthy(MnkStore *store) {
  for (guint i = 0; i < 6000 && !mnk_store_is_healthy(store); i++)
    g_usleep(10000);
  g_assert_true(mnk_store_is_healthy(store));
}

static void check_fault(int code, const char *end) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(GPtrArray) fates = g_ptr_array_new_with_free_func(fate_free);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  wait_for(try_put(store, fates));
  g_assert_true(mnk_store_is_healthy(store));

  keep_log_quiet(TRUE);
  faults_set(code);
  for (guint i = 0; i < 3; i++) {
    Fate *fate = try_put(store, fates);
    wait_for(fate);
    g_assert_nonnull(fate->message);
    g_assert_true(g_str_has_suffix(fate->message, end));
    g_assert_false(mnk_store_is_healthy(store));
    assert_as_told(store, fates);
  }
  faults_set(SQLITE_OK);
  Fate *next = try_put(store, fates);
  wait_for(next);
  g_assert_null(next->message);
  g_assert_true(mnk_store_is_healthy(store));
  assert_as_told(store, fates);

  faults_set(code);
  wait_for(try_put(store, fates));
  faults_set(SQLITE_OK);
  wait_until_healthy(store);
  keep_log_quiet(FALSE);
  g_clear_pointer(&store, mnk_store_close);
  assert_timeline_sound(&place);
}

/* That nothing waits to be written does not make a disk well. */
static void test_stays_ill(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(GPtrArray) fates = g_ptr_array_new_with_free_func(fate_free);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  wait_for(try_put(store, fates));
  keep_log_quiet(TRUE);
  faults_set(SQLITE_FULL);
  wait_for(try_put(store, fates));
  for (guint i = 0; i < 25; i++) {
    g_assert_false(mnk_store_is_healthy(store));
    g_usleep(100000);
  }
  faults_set(SQLITE_OK);
  wait_until_healthy(store);
  keep_log_quiet(FALSE);
}

static void test_full(void) {
  check_fault(SQLITE_FULL, " cannot grow: the disk is full");
}

static void test_read_only(void) {
  check_fault(SQLITE_READONLY, " is read-only");
}

static void test_broken(void) {
  check_fault(SQLITE_IOERR_WRITE, "");
}

/* One write that fails, wherever in the work it falls: in the rows, the commit, the journal's way
 * home, the clearing away. */
static void test_anywhere(void) {
  static const int codes[] = {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC};
  keep_log_quiet(TRUE);
  g_autofree char *jpeg = g_strnfill(20000, 'j');
  g_autoptr(GBytes) picture = g_bytes_new(jpeg, 20000);
  for (guint n = 0; n < 120; n++) {
    g_auto(Place) place = {0};
    place_init(&place);
    g_autoptr(GPtrArray) fates = g_ptr_array_new_with_free_func(fate_free);
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
    mnk_store_set_picture_quota(store, 50000);
    put_text(store, "gone", "1", "A dog.");
    faults_set_once(n, codes[n % G_N_ELEMENTS(codes)]);
    for (guint i = 0; i < 8; i++) {
      mnk_store_put_picture(store, "s", i, picture);
      wait_for(try_put(store, fates));
      if (i == 3)
        mnk_store_delete_stream(store, "gone", NULL, NULL);
    }
    assert_as_told(store, fates);
    g_clear_pointer(&store, mnk_store_close);
    faults_set_once(0, SQLITE_OK);
    assert_timeline_sound(&place);
  }
  keep_log_quiet(FALSE);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  faults_install();
  g_test_add_func("/faults/full", test_full);
  g_test_add_func("/faults/read-only", test_read_only);
  g_test_add_func("/faults/broken", test_broken);
  g_test_add_func("/faults/stays-ill", test_stays_ill);
  g_test_add_func("/faults/anywhere", test_anywhere);
  return g_test_run();
}
