/* Streams and the order of captions: what is summed up, what a client has missed, what begins
 * again, what is removed; and files of the first version. */
#include "base/base.h"
#include "store/store_priv.h"
#include "support.h"

#include <string.h>

static void put_at(MnkStore *store, const char *stream, const char *id, guint64 seq,
                   gint64 start_ms, gint64 end_ms) {
  g_autoptr(MnkCaption) caption = make_caption(stream, id, start_ms, end_ms, "A dog.");
  caption->seq = seq;
  put(store, caption);
}

static void assert_since(MnkStore *store, const char *stream, guint64 seq, guint limit,
                         const char *expected) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) found = mnk_store_captions_since(store, stream, seq, limit, &error);
  g_assert_no_error(error);
  g_autofree char *ids = caption_ids(found);
  g_assert_cmpstr(ids, ==, expected);
}

static MnkStreamRow *read_stream(MnkStore *store, const char *id) {
  g_autoptr(GError) error = NULL;
  MnkStreamRow *row = mnk_store_stream(store, id, &error);
  g_assert_no_error(error);
  return row;
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkStreamRow, mnk_stream_row_free)

/* ---- Seq ---- */

static void test_since(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_at(store, "s", "a", 1, 5000, 6000);
  put_at(store, "s", "b", 2, 1000, 2000);
  put_at(store, "t", "x", 3, 0, 1);
  put_at(store, "s", "a", 3, 5000, 7000);
  put_at(store, "s", "c", 4, 0, 1);
  flush(store);
  assert_since(store, "s", 0, 10, "b a c");
  assert_since(store, "s", 2, 10, "a c");
  assert_since(store, "s", 2, 1, "a");
  assert_since(store, "s", 4, 10, "");
  assert_since(store, "s", G_MAXUINT64, 10, "");
  assert_since(store, "t", 0, 10, "x");
  assert_since(store, "none", 0, 10, "");
}

/* A caption that comes without gets the next one. */
static void test_seq_is_given(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_at(store, "s", "a", 0, 0, 1);
  put_at(store, "s", "b", 9, 1, 2);
  put_at(store, "s", "a", 0, 0, 3);
  put_at(store, "t", "a", 0, 0, 1);
  flush(store);
  g_autoptr(GPtrArray) found = mnk_store_captions_since(store, "s", 0, 10, NULL);
  g_assert_cmpuint(found->len, ==, 2);
  g_assert_cmpuint(((MnkCaption *)found->pdata[0])->seq, ==, 9);
  g_assert_cmpuint(((MnkCaption *)found->pdata[1])->seq, ==, 10);
  g_autoptr(MnkStreamRow) other = read_stream(store, "t");
  g_assert_cmpuint(other->last_seq, ==, 1);
}

/* ---- What is summed up ---- */

static void assert_summary(MnkStore *store, guint64 captions, gint64 start_ms, gint64 end_ms) {
  flush(store);
  g_autoptr(MnkStreamRow) row = read_stream(store, "s");
  g_assert_cmpuint(row->captions, ==, captions);
  g_assert_cmpint(row->start_ms, ==, start_ms);
  g_assert_cmpint(row->end_ms, ==, end_ms);
}

static void test_summary(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_stream(store, "s", "a.mp4", 1, FALSE);
  assert_summary(store, 0, 0, 0);
  put_at(store, "s", "1", 0, 3000, 5000);
  assert_summary(store, 1, 3000, 5000);
  put_at(store, "s", "2", 0, 5000, 9000);
  assert_summary(store, 2, 3000, 9000);
  put_at(store, "s", "2", 0, 5000, 9500);
  assert_summary(store, 2, 3000, 9500);
  put_at(store, "s", "2", 0, 5000, 6000);
  assert_summary(store, 2, 3000, 6000);
  put_at(store, "s", "1", 0, 4000, 5000);
  assert_summary(store, 2, 4000, 6000);
  put_at(store, "s", "3", 0, -500, -400);
  assert_summary(store, 3, -500, 6000);
  g_clear_pointer(&store, mnk_store_close);
  assert_timeline_sound(&place);
}

static void test_numbers_of_ids(void) {
  static const struct {
    const char *id;
    guint64 next;
  } cases[] = {{"c9", 1},
               {"", 1},
               {"3", 4},
               {"2", 4},
               {"12x", 4},
               {"-77", 4},
               {"007", 8},
               {" 9", 8},
               {"1.5", 8},
               {"1000000", 1000001},
               {"9999999999999999", 1000001}};
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    put_at(store, "s", cases[i].id, 0, 0, 1);
    flush(store);
    g_autoptr(MnkStreamRow) row = read_stream(store, "s");
    g_assert_cmpuint(row->next_number, ==, cases[i].next);
  }
}

/* A long caption that began far before the interval is found in it. */
static void test_long_captions(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_at(store, "s", "long", 0, 0, 100000);
  for (guint i = 0; i < 50; i++) {
    g_autofree char *id = g_strdup_printf("%u", i);
    put_at(store, "s", id, 0, i * 1000, i * 1000 + 1000);
  }
  put_at(store, "t", "short", 0, 60000, 60001);
  flush(store);
  const char *const streams[] = {"s", NULL};
  for (guint i = 0; i < 2; i++) {
    g_autoptr(GPtrArray) found = mnk_store_captions(store, streams[i], 49000, 49500, 10, NULL);
    g_autofree char *ids = caption_ids(found);
    g_assert_cmpstr(ids, ==, "long 49");
  }
  g_autoptr(GPtrArray) none = mnk_store_captions(store, "t", 0, 60000, 10, NULL);
  g_assert_cmpuint(none->len, ==, 0);
  g_autoptr(GPtrArray) all = mnk_store_captions(store, "s", G_MININT64, G_MAXINT64, 100, NULL);
  g_assert_cmpuint(all->len, ==, 51);
}

/* ---- Beginning again, and ending ---- */

static void test_records(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
    MnkStreamRecord record = {"s", "rtsp://cam", "{\"fps\":2}", 100, TRUE};
    mnk_store_put_stream(store, &record, FALSE, NULL, NULL);
    put_at(store, "s", "1", 0, 0, 1);
  }
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  g_autoptr(MnkStreamRow) first = read_stream(store, "s");
  g_assert_cmpstr(first->source, ==, "rtsp://cam");
  g_assert_cmpstr(first->spec, ==, "{\"fps\":2}");
  g_assert_cmpint(first->created_us, ==, 100);
  g_assert_true(first->resume);

  mnk_store_end_stream(store, "s", NULL, NULL);
  mnk_store_end_stream(store, "none", NULL, NULL);
  flush(store);
  g_autoptr(MnkStreamRow) ended = read_stream(store, "s");
  g_assert_false(ended->resume);
  g_assert_cmpstr(ended->spec, ==, "{\"fps\":2}");
  g_assert_cmpuint(ended->captions, ==, 1);

  MnkStreamRecord record = {"s", "b.mp4", NULL, 200, TRUE};
  mnk_store_put_stream(store, &record, FALSE, NULL, NULL);
  flush(store);
  g_autoptr(MnkStreamRow) again = read_stream(store, "s");
  g_assert_true(again->resume);
  g_assert_cmpstr(again->source, ==, "b.mp4");
  g_assert_cmpstr(again->spec, ==, "");
  g_assert_cmpint(again->created_us, ==, 200);
  g_assert_cmpuint(again->captions, ==, 1);
}

static void test_no_stream(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_store_stream(store, "none", &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND);
  g_assert_cmpstr(error->message, ==, "there is no stream \"none\"");
}

/* ---- Removing ---- */

static void wait_until_tidy(const Place *place) {
  for (guint i = 0; i < 3000; i++) {
    g_autofree char *left = ask_sql(place->path, "SELECT count(*) FROM removed");
    if (g_str_equal(left, "0"))
      return;
    g_usleep(10000);
  }
  g_error("rows of a removed stream are left");
}

/* More than one step takes. */
static void put_much(MnkStore *store, const char *stream, guint n) {
  const float vector[] = {1, 0};
  for (guint i = 0; i < n; i++) {
    g_autofree char *id = g_strdup_printf("%u", i + 1);
    put_at(store, stream, id, 0, i, i + 1);
    mnk_store_put_vector(store, stream, id, vector, 2);
  }
  g_autofree char *jpeg = g_strnfill(1 << 20, 'j');
  g_autoptr(GBytes) picture = g_bytes_new(jpeg, 1 << 20);
  for (guint i = 0; i < 6; i++)
    mnk_store_put_picture(store, stream, i, picture);
}

static void test_delete(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_much(store, "s", 300);
  put_at(store, "t", "1", 0, 0, 1);
  flush(store);

  mnk_store_delete_stream(store, "none", NULL, NULL);
  mnk_store_delete_stream(store, "s", NULL, NULL);
  flush(store);
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_store_stream(store, "s", &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND);
  g_autoptr(GPtrArray) captions = mnk_store_captions(store, NULL, 0, -1, 1000, NULL);
  g_assert_cmpuint(captions->len, ==, 1);
  g_autoptr(GPtrArray) hits = mnk_store_search(store, "dog", NULL, 0, -1, 1000, NULL);
  g_assert_cmpuint(hits->len, ==, 1);
  g_assert_null(mnk_store_picture(store, "s", 0, NULL));
  const float vector[] = {1, 0};
  g_autoptr(GPtrArray) nearest = mnk_store_nearest(store, vector, 2, NULL, 0, -1, 9, NULL);
  g_assert_cmpuint(nearest->len, ==, 0);

  /* The id begins anew while what is old is being cleared away. */
  put_at(store, "s", "1", 0, 7, 8);
  flush(store);
  g_autoptr(MnkStreamRow) row = read_stream(store, "s");
  g_assert_cmpuint(row->captions, ==, 1);
  g_assert_cmpuint(row->last_seq, ==, 1);
  wait_until_tidy(&place);
  g_clear_pointer(&store, mnk_store_close);
  g_autofree char *left = ask_sql(place.path, "SELECT count(*) FROM captions");
  g_assert_cmpstr(left, ==, "2");
  assert_timeline_sound(&place);
}

/* What was not cleared away before the end is so after the next beginning. */
static void test_delete_goes_on(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
    put_much(store, "s", 300);
  }
  run_sql(place.path, "INSERT INTO removed SELECT number FROM streams; DELETE FROM streams");
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  wait_until_tidy(&place);
  g_clear_pointer(&store, mnk_store_close);
  g_autofree char *left = ask_sql(place.path, "SELECT (SELECT count(*) FROM captions) + "
                                              "(SELECT count(*) FROM pictures) + "
                                              "(SELECT count(*) FROM vectors)");
  g_assert_cmpstr(left, ==, "0");
  assert_timeline_sound(&place);
}

/* ---- Files of the first version ---- */

static void test_first_version(void) {
  static const char rows[] =
      "INSERT INTO streams VALUES ('s', 'a.mp4', 200), ('t', 'b.mp4', 100), ('empty', 'c', 300);"
      "INSERT INTO captions (stream, id, start_ms, end_ms, final, backend, lang, text, facts) "
      "VALUES "
      "('s', '1', 0, 1000, 1, 'template', 'en', 'A dog.', '[]'),"
      "('t', 'x', 0, 500, 1, 'template', 'en', 'A cat.', '[]'),"
      "('s', '7', 5000, 9000, 1, 'template', 'en', 'A horse.', '[]'),"
      "('s', '2', 1000, 5000, 0, 'template', 'ja', 'A bird.', '[]'),"
      "('lost', 'y', 1, 2, 1, 'template', 'en', 'A fish.', '[]');"
      "INSERT INTO captions_index (rowid, text, names) SELECT number, text, '' FROM captions";
  g_auto(Place) place = {0};
  place_init(&place);
  g_autofree char *header = g_strdup_printf("PRAGMA application_id = %d; PRAGMA user_version = 1;",
                                            MNK_STORE_APPLICATION_ID);
  g_autofree char *sql = g_strconcat(mnk_schema_migration(0), header, rows, NULL);
  run_sql(place.path, sql);

  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  assert_since(store, "s", 0, 10, "1 7 2");
  assert_since(store, "t", 0, 10, "x");
  assert_since(store, "lost", 0, 10, "y");
  g_autoptr(MnkStreamRow) row = read_stream(store, "s");
  g_assert_cmpstr(row->source, ==, "a.mp4");
  g_assert_cmpstr(row->spec, ==, "");
  g_assert_false(row->resume);
  g_assert_cmpuint(row->captions, ==, 3);
  g_assert_cmpuint(row->last_seq, ==, 3);
  g_assert_cmpuint(row->next_number, ==, 8);
  g_autoptr(GPtrArray) streams = mnk_store_streams(store, NULL);
  g_assert_cmpuint(streams->len, ==, 4);
  g_autoptr(GPtrArray) horses = mnk_store_search(store, "horses", NULL, 0, -1, 10, NULL);
  g_assert_cmpuint(horses->len, ==, 1);
  const MnkCaption *horse = ((MnkSearchHit *)horses->pdata[0])->caption;
  g_assert_cmpstr(horse->id, ==, "7");
  g_assert_cmpint(horse->end_ms, ==, 9000);
  put_at(store, "s", "8", 0, 9000, 9500);
  g_clear_pointer(&store, mnk_store_close);
  assert_timeline_sound(&place);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/streams/since", test_since);
  g_test_add_func("/streams/seq-is-given", test_seq_is_given);
  g_test_add_func("/streams/summary", test_summary);
  g_test_add_func("/streams/numbers-of-ids", test_numbers_of_ids);
  g_test_add_func("/streams/long-captions", test_long_captions);
  g_test_add_func("/streams/records", test_records);
  g_test_add_func("/streams/no-stream", test_no_stream);
  g_test_add_func("/streams/delete", test_delete);
  g_test_add_func("/streams/delete-goes-on", test_delete_goes_on);
  g_test_add_func("/streams/first-version", test_first_version);
  return g_test_run();
}
