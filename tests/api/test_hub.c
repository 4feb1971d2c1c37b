/* Readers of a stream's events: formatting once, replay, and the seam between replay and live, with
 * a real store behind. */
#include "api/hub_priv.h"

#include <glib/gstdio.h>
#include <string.h>

static const char STREAM[] = "street";

/* ---- a store and a hub ---- */

typedef struct {
  char *folder, *path;
  MnkStore *store;
  MnkHub *hub;
  guint64 seq;
} Bench;

static void bench_init(Bench *bench) {
  *bench = (Bench){0};
  bench->folder = g_dir_make_tmp("manako-hub-XXXXXX", NULL);
  bench->path = g_build_filename(bench->folder, "timeline.db", NULL);
  g_autoptr(GError) error = NULL;
  bench->store = mnk_store_open(bench->path, MNK_STORE_WRITE, &error);
  g_assert_no_error(error);
  MnkStreamRecord record = {.id = STREAM, .source = "push", .spec = "{}", .created_us = 1};
  mnk_store_put_stream(bench->store, &record, FALSE, NULL, NULL);
  bench->hub = mnk_hub_new(bench->store, STREAM);
}

static void bench_clear(Bench *bench) {
  mnk_hub_unref(bench->hub);
  mnk_store_close(bench->store);
  const char *const tails[] = {"", "-wal", "-shm"};
  for (guint i = 0; i < G_N_ELEMENTS(tails); i++) {
    g_autofree char *name = g_strconcat(bench->path, tails[i], NULL);
    g_unlink(name);
  }
  g_rmdir(bench->folder);
  g_free(bench->folder);
  g_free(bench->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bench, bench_clear)

static MnkCaption *make_caption(guint64 number, guint64 seq) {
  MnkCaption *caption = mnk_caption_new();
  caption->stream = g_strdup(STREAM);
  caption->id = g_strdup_printf("%" G_GUINT64_FORMAT, number);
  caption->seq = seq;
  caption->start_ms = (gint64)number * 1000;
  caption->end_ms = caption->start_ms + 900;
  caption->final = TRUE;
  caption->backend = g_strdup("template");
  caption->lang = g_strdup("en");
  caption->text = g_strdup_printf("Caption %" G_GUINT64_FORMAT " --> <b>&\n\n", seq);
  return caption;
}

static void keep_caption(Bench *bench, guint64 number) {
  g_autoptr(MnkCaption) caption = make_caption(number, ++bench->seq);
  mnk_store_put_caption(bench->store, caption, NULL, NULL);
}

static void keep_many(Bench *bench, guint n) {
  for (guint i = 0; i < n; i++)
    keep_caption(bench, bench->seq + 1);
  g_assert_true(mnk_store_flush(bench->store, NULL));
}

/* As the captioner does it: after the commit. */
static void committed(const GError *error, gpointer user) {
  MnkCaption *caption = ((gpointer *)user)[0];
  mnk_hub_caption(((gpointer *)user)[1], caption, error == NULL, NULL);
  mnk_caption_free(caption);
  g_free(user);
}

static void tell(Bench *bench, guint64 number) {
  MnkCaption *caption = make_caption(number, ++bench->seq);
  gpointer *pair = g_new(gpointer, 2);
  pair[0] = caption;
  pair[1] = bench->hub;
  mnk_store_put_caption(bench->store, caption, committed, pair);
}

static void tell_lost(Bench *bench, guint64 number) {
  g_autoptr(MnkCaption) caption = make_caption(number, ++bench->seq);
  mnk_hub_caption(bench->hub, caption, FALSE, NULL);
}

static void tell_state(Bench *bench) {
  mnk_hub_event(bench->hub, MNK_EVENT_STATE, g_string_new("{}"));
}

static void tell_watch(Bench *bench, guint number) {
  GString *data = g_string_new(NULL);
  g_string_printf(data, "{\"id\":\"w\",\"number\":%u}", number);
  mnk_hub_event(bench->hub, MNK_EVENT_WATCH, data);
}

/* ---- a reader ---- */

typedef struct {
  MnkReader *reader;
  GArray *seqs;
  GArray *watches;  /* numbers of those that came */
  GPtrArray *bytes; /* of GBytes: what was sent, as SSE */
  guint room;       /* events that it still takes */
  gboolean keen;    /* takes all as soon as it is live */
  guint states, byes, cuts, ends;
} Fake;

static gboolean fake_send(MnkEvent *event, gpointer user) {
  Fake *fake = user;
  if (fake->room == 0 && !(fake->keen && mnk_reader_is_live(fake->reader)))
    return FALSE;
  if (fake->room > 0)
    fake->room--;
  if (event->kind == MNK_EVENT_CAPTION)
    g_array_append_val(fake->seqs, event->seq);
  if (event->kind == MNK_EVENT_WATCH) {
    g_autoptr(MnkJson) json = mnk_json_parse(event->data->str, event->data->len, NULL, NULL);
    gint64 number = mnk_json_int(mnk_json_get(mnk_json_root(json), "number"), -1);
    g_array_append_val(fake->watches, number);
  }
  fake->states += event->kind == MNK_EVENT_STATE;
  fake->byes += event->kind == MNK_EVENT_BYE;
  g_ptr_array_add(fake->bytes, g_bytes_ref(mnk_event_bytes(event, MNK_FORM_SSE)));
  return TRUE;
}

static void fake_cut(gpointer user) {
  Fake *fake = user;
  fake->reader = NULL;
  fake->cuts++;
}

static void fake_end(gpointer user) {
  Fake *fake = user;
  fake->reader = NULL;
  fake->ends++;
}

static void fake_init(Fake *fake, Bench *bench, gint64 since, guint room) {
  static const MnkReaderEvents EVENTS = {fake_send, fake_cut, fake_end};
  *fake = (Fake){.room = room};
  fake->seqs = g_array_new(FALSE, FALSE, sizeof(guint64));
  fake->watches = g_array_new(FALSE, FALSE, sizeof(gint64));
  fake->bytes = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  fake->reader = mnk_reader_new(bench->hub, MNK_EVENT_ALL, since, &EVENTS, fake);
  mnk_reader_start(fake->reader);
}

static void fake_clear(Fake *fake) {
  mnk_reader_free(fake->reader);
  g_array_unref(fake->seqs);
  g_array_unref(fake->watches);
  g_ptr_array_unref(fake->bytes);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fake, fake_clear)

/* One turn of the loop, or a short rest. */
static void turn(void) {
  if (!g_main_context_iteration(NULL, FALSE))
    g_usleep(500);
}

static void wait_for(Fake *fake, guint n) {
  gint64 until_us = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
  while (fake->seqs->len < n && g_get_monotonic_time() < until_us)
    turn();
  g_assert_cmpuint(fake->seqs->len, ==, n);
}

static void wait_live(Fake *fake) {
  gint64 until_us = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
  while (fake->reader != NULL && !mnk_reader_is_live(fake->reader) &&
         g_get_monotonic_time() < until_us)
    turn();
  g_assert_true(fake->reader != NULL && mnk_reader_is_live(fake->reader));
}

/* All that waits is done. */
static void settle(Bench *bench) {
  g_assert_true(mnk_store_flush(bench->store, NULL));
  for (guint quiet = 0; quiet < 20;) {
    if (g_main_context_iteration(NULL, FALSE)) {
      quiet = 0;
    } else {
      quiet++;
      g_usleep(1000);
    }
  }
}

static void expect(const Fake *fake, guint64 first, guint64 last) {
  g_assert_cmpuint(fake->seqs->len, ==, last - first + 1);
  for (guint i = 0; i < fake->seqs->len; i++)
    g_assert_cmpuint(g_array_index(fake->seqs, guint64, i), ==, first + i);
}

/* ---- cases ---- */

static void test_formats(void) {
  g_autoptr(MnkCaption) caption = make_caption(7, 12);
  g_autoptr(MnkEvent) event = mnk_event_new_caption(caption, FALSE, "[{\"frame_index\":3}]");
  const char *sse = g_bytes_get_data(mnk_event_bytes(event, MNK_FORM_SSE), NULL);
  g_assert_true(g_str_has_prefix(sse, "event: caption\nid: 12\ndata: {") ||
                g_str_has_prefix(sse, "id: 12\nevent: caption\ndata: {"));
  gsize length = 0;
  const char *text = g_bytes_get_data(mnk_event_bytes(event, MNK_FORM_TEXT), &length);
  g_autoptr(MnkJson) json = mnk_json_parse(text, length, NULL, NULL);
  const MnkJsonValue *root = mnk_json_root(json), *data = mnk_json_get(root, "data");
  g_assert_cmpstr(mnk_json_string(mnk_json_get(root, "event"), NULL), ==, "caption");
  g_assert_cmpint(mnk_json_int(mnk_json_get(root, "id"), 0), ==, 12);
  g_assert_false(mnk_json_bool(mnk_json_get(data, "durable"), TRUE));
  g_assert_cmpint(mnk_json_int(mnk_json_get(data, "seq"), 0), ==, 12);
  const char *push = g_bytes_get_data(mnk_event_bytes(event, MNK_FORM_PUSH), &length);
  g_autoptr(MnkJson) message = mnk_json_parse(push, length, NULL, NULL);
  root = mnk_json_root(message), data = mnk_json_get(root, "data");
  g_assert_cmpstr(mnk_json_string(mnk_json_get(root, "type"), NULL), ==, "caption");
  g_assert_cmpstr(mnk_json_string(mnk_json_get(root, "id"), NULL), ==, "7");
  g_assert_cmpint(mnk_json_int(mnk_json_get(root, "start_ms"), 0), ==, 7000);
  g_assert_cmpint(mnk_json_int(mnk_json_get(root, "end_ms"), 0), ==, 7900);
  g_assert_true(mnk_json_bool(mnk_json_get(root, "final"), FALSE));
  const MnkJsonValue *item = mnk_json_at(mnk_json_get(data, "memory_summary"), 0);
  g_assert_cmpint(mnk_json_int(mnk_json_get(item, "frame_index"), 0), ==, 3);
  g_assert_cmpstr(mnk_json_string(mnk_json_get(data, "text"), NULL), ==, caption->text);
}

/* One event to many readers is one piece of memory. */
static void test_once(void) {
  g_auto(Bench) bench;
  g_auto(Fake) a = {0}, b = {0};
  bench_init(&bench);
  mnk_hub_open(bench.hub, 0);
  fake_init(&a, &bench, 0, 100);
  fake_init(&b, &bench, 0, 100);
  tell(&bench, 1);
  wait_for(&a, 1);
  tell_state(&bench);
  g_assert_cmpuint(a.bytes->len, ==, 2);
  g_assert_true(g_ptr_array_index(a.bytes, 0) == g_ptr_array_index(b.bytes, 0));
  g_assert_true(g_ptr_array_index(a.bytes, 1) == g_ptr_array_index(b.bytes, 1));
  g_assert_cmpuint(mnk_hub_readers(bench.hub, MNK_EVENT_STATE), ==, 2);
}

static void test_replay(void) {
  g_auto(Bench) bench;
  g_auto(Fake) all = {0}, some = {0}, newest = {0}, beyond = {0}, none = {0};
  bench_init(&bench);
  keep_many(&bench, 300);
  mnk_hub_open(bench.hub, 300);
  fake_init(&all, &bench, 0, 1000);
  fake_init(&some, &bench, 123, 1000);
  fake_init(&newest, &bench, -1, 1000);
  fake_init(&beyond, &bench, 4711, 1000);
  fake_init(&none, &bench, 300, 1000);
  wait_live(&all);
  wait_live(&some);
  wait_live(&newest);
  wait_live(&beyond);
  g_assert_true(mnk_reader_is_live(none.reader));
  tell(&bench, 301);
  wait_for(&all, 301);
  expect(&all, 1, 301);
  expect(&some, 124, 301);
  expect(&newest, 251, 301);
  expect(&beyond, 251, 301);
  expect(&none, 301, 301);
}

/* Readers that come before it is known what the store has. */
static void test_opened_later(void) {
  g_auto(Bench) bench;
  g_auto(Fake) fake = {0};
  bench_init(&bench);
  keep_many(&bench, 70);
  fake_init(&fake, &bench, -1, 1000);
  settle(&bench);
  g_assert_cmpuint(fake.seqs->len, ==, 0);
  mnk_hub_open(bench.hub, 70);
  wait_live(&fake);
  expect(&fake, 21, 70);
}

/* Captions are committed, readers come at any position, read by fits and starts and go, in a random
 * order: each gets every caption above its position once, in order. */
static void seam_with(guint32 seed) {
  enum { READERS = 6, CAPTIONS = 400 };
  g_auto(Bench) bench;
  Fake fakes[READERS] = {0};
  guint64 since[READERS];
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  bench_init(&bench);
  keep_many(&bench, 100);
  mnk_hub_open(bench.hub, 100);
  guint joined = 0;
  while (bench.seq < CAPTIONS || joined < READERS) {
    if (bench.seq < CAPTIONS)
      tell(&bench, bench.seq + 1);
    if (joined < READERS && g_rand_int_range(rand, 0, 40) == 0) {
      since[joined] = (guint64)g_rand_int_range(rand, 0, (gint32)mnk_hub_last_seq(bench.hub) + 1);
      fake_init(&fakes[joined], &bench, (gint64)since[joined], 7);
      fakes[joined++].keen = TRUE;
    }
    for (guint i = 0; i < joined; i++) {
      /* those behind get a little room now and then */
      if (mnk_reader_is_live(fakes[i].reader) || g_rand_int_range(rand, 0, 3) > 0)
        continue;
      fakes[i].room = (guint)g_rand_int_range(rand, 1, 20);
      mnk_reader_continue(fakes[i].reader);
    }
    for (gint turns = g_rand_int_range(rand, 0, 4); turns > 0; turns--)
      g_main_context_iteration(NULL, FALSE);
  }
  settle(&bench);
  for (guint i = 0; i < READERS; i++) {
    while (!mnk_reader_is_live(fakes[i].reader)) {
      fakes[i].room = 1000;
      mnk_reader_continue(fakes[i].reader);
      g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpuint(fakes[i].cuts, ==, 0);
    expect(&fakes[i], since[i] + 1, CAPTIONS);
    fake_clear(&fakes[i]);
  }
}

static void test_seam(void) {
  for (guint32 seed = 1; seed <= 30; seed++)
    seam_with(seed);
}

/* A caption is in the store a moment before it is told: a reader may meet it there first. */
static void test_read_before_told(void) {
  g_auto(Bench) bench = {0};
  bench_init(&bench);
  keep_many(&bench, 5);
  mnk_hub_open(bench.hub, 3);
  g_auto(Fake) fake = {0};
  fake_init(&fake, &bench, 0, G_MAXUINT);
  wait_live(&fake);
  expect(&fake, 1, 5);
  for (guint64 seq = 4; seq <= 6; seq++) {
    g_autoptr(MnkCaption) caption = make_caption(seq, seq);
    mnk_hub_caption(bench.hub, caption, TRUE, NULL);
  }
  expect(&fake, 1, 6);
}

/* What the store could not keep is told once, live and to one that is behind. */
static void test_lost(void) {
  g_auto(Bench) bench;
  g_auto(Fake) live = {0}, late = {0}, later = {0};
  bench_init(&bench);
  mnk_hub_open(bench.hub, 0);
  fake_init(&live, &bench, 0, 1000);
  tell(&bench, 1);
  wait_for(&live, 1);
  tell_lost(&bench, 2);
  tell(&bench, 3);
  wait_for(&live, 3);
  fake_init(&late, &bench, 0, 1000);
  wait_live(&late);
  expect(&late, 1, 3);
  tell_lost(&bench, 4);
  tell(&bench, 5);
  wait_for(&live, 5);
  fake_init(&later, &bench, 3, 1000);
  wait_live(&later);
  expect(&later, 4, 5);
  expect(&live, 1, 5);
  expect(&late, 1, 5);
}

/* More captions than wait for anyone pass by while the store is read: it is read again. */
static void test_overflow(void) {
  g_auto(Bench) bench;
  g_auto(Fake) fake = {0}, blocked = {0};
  bench_init(&bench);
  keep_many(&bench, 5);
  mnk_hub_open(bench.hub, 5);
  fake_init(&fake, &bench, 0, 1000);
  g_usleep(50000); /* what the reading thread has read by now is short, and waits for this one */
  fake_init(&blocked, &bench, 0, 2);
  for (guint i = 0; i < 400; i++) {
    g_autoptr(MnkCaption) caption = make_caption(bench.seq + 1, bench.seq + 1);
    keep_caption(&bench, bench.seq + 1);
    mnk_hub_caption(bench.hub, caption, TRUE, NULL);
  }
  settle(&bench);
  expect(&fake, 1, 405);
  expect(&blocked, 1, 2);
  blocked.room = 1000;
  mnk_reader_continue(blocked.reader);
  settle(&bench);
  expect(&blocked, 1, 405);
}

static void test_told_again(void) {
  g_auto(Bench) bench;
  g_auto(Fake) live = {0}, late = {0};
  bench_init(&bench);
  mnk_hub_open(bench.hub, 0);
  fake_init(&live, &bench, 0, 1000);
  tell(&bench, 1);
  wait_for(&live, 1);
  tell_lost(&bench, 2);
  tell(&bench, 2); /* seq 3 is caption 2 again */
  wait_for(&live, 3);
  fake_init(&late, &bench, 1, 1000);
  wait_live(&late);
  expect(&late, 3, 3);
}

static void test_slow(void) {
  g_auto(Bench) bench;
  g_auto(Fake) slow = {0}, fine = {0}, behind = {0};
  bench_init(&bench);
  keep_many(&bench, 10);
  mnk_hub_open(bench.hub, 10);
  fake_init(&slow, &bench, 10, 1);
  fake_init(&fine, &bench, 10, 100);
  fake_init(&behind, &bench, 0, 3);
  settle(&bench);
  tell(&bench, 11);
  tell(&bench, 12);
  wait_for(&fine, 2);
  tell_state(&bench);
  g_assert_cmpuint(slow.cuts, ==, 1);
  g_assert_null(slow.reader);
  expect(&slow, 11, 11);
  g_assert_cmpuint(fine.states, ==, 1);
  /* one that is behind waits for room, and hears of nothing but captions */
  g_assert_cmpuint(behind.cuts, ==, 0);
  expect(&behind, 1, 3);
  behind.room = 100;
  mnk_reader_continue(behind.reader);
  settle(&bench);
  expect(&behind, 1, 12);
  g_assert_cmpuint(behind.states, ==, 0);
}

static void test_end(void) {
  g_auto(Bench) bench;
  g_auto(Fake) live = {0}, behind = {0}, late = {0};
  bench_init(&bench);
  keep_many(&bench, 5);
  mnk_hub_open(bench.hub, 5);
  fake_init(&live, &bench, 5, 100);
  fake_init(&behind, &bench, 0, 2);
  settle(&bench);
  mnk_hub_end(bench.hub, "over");
  mnk_hub_end(bench.hub, "over again");
  g_assert_cmpuint(live.ends, ==, 1);
  g_assert_cmpuint(live.byes, ==, 1);
  g_assert_cmpuint(behind.ends, ==, 0);
  behind.room = 100;
  mnk_reader_continue(behind.reader);
  expect(&behind, 1, 5);
  g_assert_cmpuint(behind.ends, ==, 1);
  fake_init(&late, &bench, 3, 100);
  settle(&bench);
  expect(&late, 4, 5);
  g_assert_cmpuint(late.byes, ==, 1);
  g_assert_cmpuint(late.ends, ==, 1);
}

/* A reader that goes while the store is read for it. */
static void test_gone(void) {
  g_auto(Bench) bench;
  g_auto(Fake) fake = {0};
  bench_init(&bench);
  keep_many(&bench, 5);
  mnk_hub_open(bench.hub, 5);
  fake_init(&fake, &bench, 0, 100);
  mnk_reader_free(g_steal_pointer(&fake.reader));
  settle(&bench);
  g_assert_cmpuint(fake.seqs->len, ==, 0);
  g_assert_cmpuint(mnk_hub_readers(bench.hub, MNK_EVENT_ALL), ==, 0);
}

static void expect_watches(const Fake *fake, gint64 first, gint64 last) {
  g_assert_cmpint(fake->watches->len, ==, last - first + 1);
  for (guint i = 0; i < fake->watches->len; i++)
    g_assert_cmpint(g_array_index(fake->watches, gint64, i), ==, first + i);
}

static void test_watch_formats(void) {
  g_autoptr(MnkEvent) event =
      mnk_event_new(MNK_EVENT_WATCH, g_string_new("{\"id\":\"w\",\"number\":3}"));
  const char *sse = g_bytes_get_data(mnk_event_bytes(event, MNK_FORM_SSE), NULL);
  g_assert_true(g_str_has_prefix(sse, "event: watch\ndata: {\"id\":\"w\",\"number\":3}\n\n"));
  gsize length = 0;
  const char *push = g_bytes_get_data(mnk_event_bytes(event, MNK_FORM_PUSH), &length);
  g_autofree char *text = g_strndup(push, length);
  g_assert_cmpstr(text, ==, "{\"type\":\"watch\",\"id\":\"w\",\"number\":3}");
}

/* Those that are live get a watch at once; one that comes later gets what came since its captions,
 * after these. */
static void test_watches(void) {
  g_auto(Bench) bench;
  g_auto(Fake) live = {0}, all = {0}, since = {0}, none = {0}, slow = {0};
  bench_init(&bench);
  keep_many(&bench, 3);
  mnk_hub_open(bench.hub, 3);
  fake_init(&live, &bench, 3, 1000);
  g_assert_true(mnk_reader_is_live(live.reader));
  tell_watch(&bench, 1);
  g_assert_cmpuint(live.watches->len, ==, 1);
  tell(&bench, 4);
  wait_for(&live, 1);
  tell_watch(&bench, 2);
  tell_watch(&bench, 3);
  tell(&bench, 5);
  wait_for(&live, 2);
  fake_init(&all, &bench, 0, 1000);
  fake_init(&since, &bench, 4, 1000);
  fake_init(&none, &bench, 5, 1000);
  fake_init(&slow, &bench, 0, 0);
  wait_live(&all);
  wait_live(&since);
  settle(&bench);
  expect_watches(&live, 1, 3);
  expect(&all, 1, 5);
  expect_watches(&all, 1, 3);
  expect_watches(&since, 2, 3);
  g_assert_cmpuint(none.watches->len, ==, 0);
  tell_watch(&bench, 4); /* while one is behind */
  while (!mnk_reader_is_live(slow.reader)) {
    slow.room = 1;
    mnk_reader_continue(slow.reader);
    turn();
  }
  expect(&slow, 1, 5);
  expect_watches(&slow, 1, 4);
  expect_watches(&live, 1, 4);
}

static void test_watches_are_bounded(void) {
  g_auto(Bench) bench;
  g_auto(Fake) fake = {0};
  bench_init(&bench);
  mnk_hub_open(bench.hub, 0);
  for (guint i = 1; i <= 100; i++)
    tell_watch(&bench, i);
  fake_init(&fake, &bench, -1, 1000);
  expect_watches(&fake, 69, 100);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/hub/formats", test_formats);
  g_test_add_func("/hub/formatted-once", test_once);
  g_test_add_func("/hub/replay", test_replay);
  g_test_add_func("/hub/opened-later", test_opened_later);
  g_test_add_func("/hub/seam", test_seam);
  g_test_add_func("/hub/read-before-told", test_read_before_told);
  g_test_add_func("/hub/lost", test_lost);
  g_test_add_func("/hub/overflow", test_overflow);
  g_test_add_func("/hub/told-again", test_told_again);
  g_test_add_func("/hub/slow", test_slow);
  g_test_add_func("/hub/end", test_end);
  g_test_add_func("/hub/gone", test_gone);
  g_test_add_func("/hub/watch-formats", test_watch_formats);
  g_test_add_func("/hub/watches", test_watches);
  g_test_add_func("/hub/watches-bounded", test_watches_are_bounded);
  return g_test_run();
}
