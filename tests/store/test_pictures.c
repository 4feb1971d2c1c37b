/* Pictures under a quota, and the nearest vectors. */
#include "base/base.h"
#include "support.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

/* A "JPEG" of one letter, so that it can be told from others. */
static void put_picture(MnkStore *store, const char *stream, gint64 pts_ms, char letter,
                        gsize size) {
  g_autofree char *text = g_strnfill(size, letter);
  g_autoptr(GBytes) jpeg = g_bytes_new(text, size);
  mnk_store_put_picture(store, stream, pts_ms, jpeg);
}

/* ' ': there is none. */
static char picture_at(MnkStore *store, const char *stream, gint64 pts_ms) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) jpeg = mnk_store_picture(store, stream, pts_ms, &error);
  if (jpeg != NULL)
    return *(const char *)g_bytes_get_data(jpeg, NULL);
  g_assert_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND);
  return ' ';
}

static char *times(MnkStore *store, const char *stream, gint64 from_ms, gint64 to_ms, guint limit) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) found = mnk_store_pictures(store, stream, from_ms, to_ms, limit, &error);
  g_assert_no_error(error);
  g_autoptr(GString) out = g_string_new(NULL);
  for (guint i = 0; i < found->len; i++)
    g_string_append_printf(out, "%s%" G_GINT64_FORMAT, i > 0 ? " " : "",
                           g_array_index(found, gint64, i));
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static void assert_times(MnkStore *store, const char *stream, gint64 from_ms, gint64 to_ms,
                         guint limit, const char *expected) {
  g_autofree char *found = times(store, stream, from_ms, to_ms, limit);
  g_assert_cmpstr(found, ==, expected);
}

static void test_pictures(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_picture(store, "s", 2000, 'b', 50000);
  put_picture(store, "s", 1000, 'a', 1);
  put_picture(store, "s", 3000, 'c', 2 << 20);
  put_picture(store, "t", 9000, 'x', 10);
  flush(store);
  g_assert_cmpint(picture_at(store, "s", 1000), ==, 'a');
  g_assert_cmpint(picture_at(store, "s", 2000), ==, 'b');
  /* the nearest one, within reach */
  g_assert_cmpint(picture_at(store, "s", 0), ==, 'a');
  g_assert_cmpint(picture_at(store, "s", 2499), ==, 'b');
  g_assert_cmpint(picture_at(store, "s", 2501), ==, 'c');
  g_assert_cmpint(picture_at(store, "s", 3000 + MNK_PICTURE_REACH_MS), ==, 'c');
  g_assert_cmpint(picture_at(store, "s", 3001 + MNK_PICTURE_REACH_MS), ==, ' ');
  g_assert_cmpint(picture_at(store, "s", -1), ==, 'c');
  g_assert_cmpint(picture_at(store, "t", -1), ==, 'x');
  g_assert_cmpint(picture_at(store, "none", -1), ==, ' ');
  assert_times(store, "s", 0, -1, 10, "1000 2000 3000");
  assert_times(store, "s", 1000, 3000, 10, "1000 2000");
  assert_times(store, "s", 1001, -1, 1, "2000");
  assert_times(store, "none", 0, -1, 10, "");

  put_picture(store, "s", 2000, 'B', 60000);
  flush(store);
  g_assert_cmpint(picture_at(store, "s", 2000), ==, 'B');
  assert_times(store, "s", 0, -1, 10, "1000 2000 3000");
  g_clear_pointer(&store, mnk_store_close);
  assert_timeline_sound(&place);
}

static void test_refused(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  keep_log_quiet(TRUE);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_picture(store, "s", 1, 'a', (2 << 20) + 1);
  g_autoptr(GBytes) nothing = g_bytes_new(NULL, 0);
  mnk_store_put_picture(store, "s", 2, nothing);
  flush(store);
  keep_log_quiet(FALSE);
  assert_times(store, "s", 0, -1, 10, "");
}

static void test_messages(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  g_autoptr(GError) newest = NULL, at = NULL;
  g_assert_null(mnk_store_picture(store, "s", -1, &newest));
  g_assert_null(mnk_store_picture(store, "s", 500, &at));
  g_assert_cmpstr(newest->message, ==, "there is no picture of \"s\"");
  g_assert_cmpstr(at->message, ==, "there is no picture of \"s\" at 500 ms");
}

/* ---- The quota ---- */

static void test_oldest_go(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  mnk_store_set_picture_quota(store, 1000);
  put_picture(store, "s", 500, 'a', 400);
  put_picture(store, "t", 100, 'b', 400);
  put_picture(store, "s", 300, 'c', 200);
  flush(store);
  assert_times(store, "s", 0, -1, 10, "300 500");
  put_picture(store, "t", 900, 'd', 1);
  flush(store);
  assert_times(store, "s", 0, -1, 10, "300");
  assert_times(store, "t", 0, -1, 10, "100 900");
  /* In another's place it takes no more than the difference, and is the youngest. */
  put_picture(store, "t", 100, 'B', 600);
  flush(store);
  assert_times(store, "s", 0, -1, 10, "300");
  assert_times(store, "t", 0, -1, 10, "100 900");
  put_picture(store, "s", 800, 'e', 700);
  flush(store);
  assert_times(store, "s", 0, -1, 10, "800");
  assert_times(store, "t", 0, -1, 10, "");
  put_picture(store, "s", 801, 'f', 1001);
  flush(store);
  assert_times(store, "s", 0, -1, 10, "");
  g_clear_pointer(&store, mnk_store_close);
  assert_timeline_sound(&place);
}

static void wait_for_bytes(const Place *place, const char *expected) {
  for (guint i = 0; i < 3000; i++) {
    g_autofree char *bytes =
        ask_sql(place->path, "SELECT value FROM meta WHERE key = 'picture_bytes'");
    if (g_str_equal(bytes, expected))
      return;
    g_usleep(10000);
  }
  g_error("the quota is not reached");
}

/* A smaller quota is reached without further writes, in several steps, and is not forgotten. */
static void test_smaller_quota(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
    for (guint i = 0; i < 15; i++)
      put_picture(store, "s", i, 'a', 1 << 20);
  }
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  mnk_store_set_picture_quota(store, 3 << 20);
  wait_for_bytes(&place, "3145728");
  assert_times(store, "s", 0, -1, 20, "12 13 14");
  mnk_store_set_picture_quota(store, 0);
  wait_for_bytes(&place, "0");
  put_picture(store, "s", 20, 'a', 10);
  flush(store);
  assert_times(store, "s", 0, -1, 20, "");
  g_clear_pointer(&store, mnk_store_close);
  assert_timeline_sound(&place);
}

/* Pages of pictures that went are used again: the file does not grow beyond the quota. */
static void test_file_is_bounded(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  MnkStore *store = open_store(&place, MNK_STORE_WRITE);
  mnk_store_set_picture_quota(store, 4 << 20);
  for (guint i = 0; i < 400; i++)
    put_picture(store, "s", i, 'a', 100000 + (i * 7919) % 100000);
  mnk_store_close(store);
  GStatBuf info;
  g_assert_cmpint(g_stat(place.path, &info), ==, 0);
  g_assert_cmpint(info.st_size, <, 8 << 20);
  assert_timeline_sound(&place);
}

/* A sum that is wrong does not keep the writer busy for ever. */
static void test_sum_heals(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
    put_picture(store, "s", 1, 'a', 1000);
  }
  run_sql(place.path, "UPDATE meta SET value = 99999 WHERE key = 'picture_bytes'");
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  mnk_store_set_picture_quota(store, 10);
  wait_for_bytes(&place, "0");
}

/* ---- Vectors ---- */

static void put_vector(MnkStore *store, const char *stream, const char *id, gint64 start_ms,
                       const float *vector, guint n) {
  g_autoptr(MnkCaption) caption = make_caption(stream, id, start_ms, start_ms + 1000, id);
  put(store, caption);
  mnk_store_put_vector(store, stream, id, vector, n);
}

static char *nearest(MnkStore *store, const float *vector, const char *stream, gint64 from_ms,
                     gint64 to_ms, guint limit) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) hits =
      mnk_store_nearest(store, vector, 2, stream, from_ms, to_ms, limit, &error);
  g_assert_no_error(error);
  g_autoptr(GString) out = g_string_new(NULL);
  for (guint i = 0; i < hits->len; i++) {
    const MnkSearchHit *hit = hits->pdata[i];
    g_assert_cmpstr(hit->snippet, ==, hit->caption->text);
    g_string_append_printf(out, "%s%s %.2f", i > 0 ? ", " : "", hit->caption->id, hit->score);
  }
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static void test_nearest(void) {
  static const float right[] = {1, 0}, up[] = {0, 1}, left[] = {-1, 0}, slant[] = {0.6F, 0.8F};
  static const float deep[] = {1, 0, 0};
  static const struct {
    const char *stream;
    gint64 from_ms, to_ms;
    guint limit;
    const char *expected;
  } cases[] = {
      {NULL, 0, -1, 10, "a 1.00, e 1.00, d 0.60, b 0.00, c -1.00"},
      {NULL, 0, -1, 2, "a 1.00, e 1.00"},
      {NULL, 0, -1, 0, ""},
      {"s", 0, -1, 10, "a 1.00, d 0.60, b 0.00, c -1.00"},
      {"s", 1500, -1, 10, "d 0.60, b 0.00, c -1.00"},
      {"s", 0, 2000, 10, "a 1.00, b 0.00"},
      {"t", 0, -1, 10, "e 1.00"},
      {"none", 0, -1, 10, ""},
  };
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_vector(store, "s", "a", 0, right, 2);
  put_vector(store, "s", "b", 1000, up, 2);
  put_vector(store, "s", "c", 2000, left, 2);
  put_vector(store, "s", "d", 3000, slant, 2);
  put_vector(store, "t", "e", 0, right, 2);
  put_vector(store, "t", "other model", 0, deep, 3);
  mnk_store_put_vector(store, "s", "no caption", right, 2);
  mnk_store_put_vector(store, "no stream", "1", right, 2);
  flush(store);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *found =
        nearest(store, right, cases[i].stream, cases[i].from_ms, cases[i].to_ms, cases[i].limit);
    g_assert_cmpstr(found, ==, cases[i].expected);
  }

  /* Told again in other words, it means something else; until that is known, nothing. */
  put_text(store, "s", "a", "a");
  mnk_store_put_vector(store, "s", "b", left, 2);
  flush(store);
  g_autofree char *after = nearest(store, right, "s", 0, -1, 10);
  g_assert_cmpstr(after, ==, "d 0.60, b -1.00, c -1.00");
  g_clear_pointer(&store, mnk_store_close);
  assert_timeline_sound(&place);
}

enum { MANY = 5000, N = 8, BEST = 37 };

static gint compare_scores(gconstpointer a, gconstpointer b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x > y ? -1 : x < y ? 1 : 0;
}

/* Over several stretches: the same as looking at all of them at once. */
static void test_nearest_of_many(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  float question[N];
  for (guint i = 0; i < N; i++)
    question[i] = (float)g_test_rand_double_range(-1, 1);
  double length = 0;
  for (guint i = 0; i < N; i++)
    length += (double)question[i] * (double)question[i];
  g_autoptr(GArray) scores = g_array_new(FALSE, FALSE, sizeof(double));
  for (guint k = 0; k < MANY; k++) {
    float vector[N];
    double dot = 0, square = 0;
    for (guint i = 0; i < N; i++) {
      vector[i] = (float)g_test_rand_double_range(-1, 1);
      dot += (double)vector[i] * (double)question[i];
      square += (double)vector[i] * (double)vector[i];
    }
    double score = dot / (sqrt(length) * sqrt(square));
    g_array_append_val(scores, score);
    g_autofree char *id = g_strdup_printf("%u", k);
    put_vector(store, k % 2 != 0 ? "odd" : "even", id, k, vector, N);
  }
  flush(store);
  g_array_sort(scores, compare_scores);
  g_autoptr(GPtrArray) hits = mnk_store_nearest(store, question, N, NULL, 0, -1, BEST, NULL);
  g_assert_cmpuint(hits->len, ==, BEST);
  for (guint i = 0; i < BEST; i++) {
    double found = ((const MnkSearchHit *)hits->pdata[i])->score;
    g_assert_cmpfloat_with_epsilon(found, g_array_index(scores, double, i), 1e-9);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/pictures/pictures", test_pictures);
  g_test_add_func("/pictures/refused", test_refused);
  g_test_add_func("/pictures/messages", test_messages);
  g_test_add_func("/pictures/oldest-go", test_oldest_go);
  g_test_add_func("/pictures/smaller-quota", test_smaller_quota);
  g_test_add_func("/pictures/file-is-bounded", test_file_is_bounded);
  g_test_add_func("/pictures/sum-heals", test_sum_heals);
  g_test_add_func("/pictures/nearest", test_nearest);
  g_test_add_func("/pictures/nearest-of-many", test_nearest_of_many);
  return g_test_run();
}
