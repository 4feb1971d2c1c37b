/* Captions and streams: kept, replaced, found by time; and the answers to writes. */
#include "base/base.h"
#include "support.h"

#include <glib/gstdio.h>
#include <string.h>

static void test_round_trip(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkCaption) caption =
      make_caption("cam", "c1", 1000, 5000, "A cat – 猫 – on a \"mat\"");
  caption->final = FALSE;
  caption->seq = 7;
  add_fact(caption, MNK_FACT_OBJECT, "cat");
  MnkFact *action = mnk_fact_new(MNK_FACT_ACTION, "moves left");
  action->of = g_strdup("cat");
  action->count = 3;
  action->box = (MnkBox){0.25F, 0.5F, 0.125F, 0.5F};
  action->start_ms = 1500;
  action->end_ms = 2500;
  g_ptr_array_add(caption->facts, action);
  {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
    put(store, caption);
  }
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_READ);
  g_autoptr(GPtrArray) found = mnk_store_captions(store, NULL, 0, -1, 10, NULL);
  g_assert_cmpuint(found->len, ==, 1);
  g_autoptr(GString) before = g_string_new(NULL), after = g_string_new(NULL);
  mnk_caption_write_json(caption, before);
  mnk_caption_write_json(found->pdata[0], after);
  g_assert_cmpstr(after->str, ==, before->str);
}

static void test_replaces(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_text(store, "cam", "c1", "a dog");
  put_text(store, "other", "c1", "a dog");
  put_text(store, "cam", "c1", "a horse");
  flush(store);
  g_autoptr(GPtrArray) all = mnk_store_captions(store, "cam", 0, -1, 10, NULL);
  g_assert_cmpuint(all->len, ==, 1);
  g_assert_cmpstr(((MnkCaption *)all->pdata[0])->text, ==, "a horse");
  g_autoptr(GPtrArray) dogs = mnk_store_search(store, "dog", NULL, 0, -1, 10, NULL);
  g_assert_cmpuint(dogs->len, ==, 1);
  g_assert_cmpstr(((MnkSearchHit *)dogs->pdata[0])->caption->stream, ==, "other");
}

static void test_by_time(void) {
  static const struct {
    const char *stream;
    gint64 from_ms, to_ms;
    guint limit;
    const char *ids;
  } cases[] = {
      {"s", 0, -1, 10, "a b c d"}, {"s", 0, -1, 2, "a b"},        {"s", 0, 1000, 10, "a"},
      {"s", 1000, 2000, 10, "b"},  {"s", 999, 1001, 10, "a b"},   {"s", 2000, -1, 10, "c d"},
      {"s", 2001, -1, 10, "d"},    {"s", 2000, 2001, 10, "c d"},  {"s", 9000, -1, 10, ""},
      {"s", 0, 0, 10, ""},         {"t", 0, -1, 10, "e"},         {NULL, 0, -1, 10, "a e b c d"},
      {"none", 0, -1, 10, ""},     {"s' OR 1 --", 0, -1, 10, ""},
  };
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  static const struct {
    const char *stream, *id;
    gint64 start_ms, end_ms;
  } rows[] = {{"s", "d", 2000, 3000},
              {"s", "a", 0, 1000},
              {"s", "b", 1000, 2000},
              {"s", "c", 2000, 2000},
              {"t", "e", 500, 600}};
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MnkCaption) caption =
        make_caption(rows[i].stream, rows[i].id, rows[i].start_ms, rows[i].end_ms, "x");
    put(store, caption);
  }
  flush(store);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GPtrArray) found = mnk_store_captions(store, cases[i].stream, cases[i].from_ms,
                                                    cases[i].to_ms, cases[i].limit, NULL);
    g_autofree char *ids = caption_ids(found);
    g_assert_cmpstr(ids, ==, cases[i].ids);
  }
}

static void test_streams(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_stream(store, "old", "a.mp4", 100, FALSE);
  put_stream(store, "new", "rtsp://cam", 200, FALSE);
  g_autoptr(MnkCaption) first = make_caption("old", "1", 500, 900, "x");
  g_autoptr(MnkCaption) second = make_caption("old", "2", 100, 700, "x");
  put(store, first);
  put(store, second);
  flush(store);
  g_autoptr(GPtrArray) streams = mnk_store_streams(store, NULL);
  g_assert_cmpuint(streams->len, ==, 2);
  const MnkStreamRow *newest = streams->pdata[0], *oldest = streams->pdata[1];
  g_assert_cmpstr(newest->id, ==, "new");
  g_assert_cmpstr(newest->source, ==, "rtsp://cam");
  g_assert_cmpint(newest->created_us, ==, 200);
  g_assert_cmpuint(newest->captions, ==, 0);
  g_assert_cmpstr(oldest->id, ==, "old");
  g_assert_cmpuint(oldest->captions, ==, 2);
  g_assert_cmpint(oldest->start_ms, ==, 100);
  g_assert_cmpint(oldest->end_ms, ==, 900);
}

/* A stream that begins anew loses its captions, and the index does too; other streams do not. */
static void test_replace_stream(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  for (guint round = 0; round < 2; round++) {
    put_stream(store, "s", "a.mp4", 100, FALSE);
    put_text(store, "s", round == 0 ? "1" : "2", "a dog");
  }
  put_text(store, "t", "3", "a dog");
  flush(store);
  g_autoptr(GPtrArray) kept = mnk_store_search(store, "dog", NULL, 0, -1, 10, NULL);
  g_assert_cmpuint(kept->len, ==, 3);

  put_stream(store, "s", "b.mp4", 300, TRUE);
  put_text(store, "s", "1", "a horse");
  flush(store);
  g_autoptr(GPtrArray) dogs = mnk_store_search(store, "dog", NULL, 0, -1, 10, NULL);
  g_assert_cmpuint(dogs->len, ==, 1);
  g_autoptr(GPtrArray) left = mnk_store_captions(store, "s", 0, -1, 10, NULL);
  g_assert_cmpuint(left->len, ==, 1);
  g_autoptr(GPtrArray) streams = mnk_store_streams(store, NULL);
  g_assert_cmpuint(streams->len, ==, 2);
  g_autofree char *index = ask_sql(place.path, "SELECT count(*) FROM captions_index");
  g_assert_cmpstr(index, ==, "2");
}

/* ---- Answers ---- */

enum { WRITES = 3000 };

typedef struct {
  MnkStore *store;
  const char *path;
  GMainLoop *loop;
  GThread *thread;
  guint next;
} Witness;

typedef struct {
  Witness *witness;
  guint number;
} Expected;

static void on_done(const GError *error, gpointer user) {
  Expected *expected = user;
  Witness *witness = expected->witness;
  g_assert_no_error(error);
  g_assert_true(g_thread_self() == witness->thread);
  g_assert_cmpuint(expected->number, ==, witness->next++);
  if (witness->next == WRITES)
    g_main_loop_quit(witness->loop);
  g_free(expected);
}

/* Each thread has a context of its own and gets its answers there, in order. */
static gpointer write_and_wait(gpointer data) {
  Witness *witness = data;
  g_autoptr(GMainContext) context = g_main_context_new();
  g_main_context_push_thread_default(context);
  witness->loop = g_main_loop_new(context, FALSE);
  witness->thread = g_thread_self();
  g_autofree char *stream = g_strdup_printf("s%p", (void *)witness);
  for (guint i = 0; i < WRITES; i++) {
    g_autofree char *id = g_strdup_printf("%u", i);
    g_autoptr(MnkCaption) caption = make_caption(stream, id, i, i + 1, "x");
    Expected *expected = g_new0(Expected, 1);
    *expected = (Expected){witness, i};
    mnk_store_put_caption(witness->store, caption, on_done, expected);
  }
  g_main_loop_run(witness->loop);
  g_main_loop_unref(witness->loop);
  g_main_context_pop_thread_default(context);
  return NULL;
}

static void test_answers(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  Witness witnesses[2] = {{.store = store}, {.store = store}};
  GThread *threads[2];
  for (guint i = 0; i < 2; i++)
    threads[i] = g_thread_new("writer", write_and_wait, &witnesses[i]);
  for (guint i = 0; i < 2; i++)
    g_thread_join(threads[i]);
  g_autoptr(GPtrArray) all = mnk_store_captions(store, NULL, 0, -1, 10 * WRITES, NULL);
  g_assert_cmpuint(all->len, ==, 2 * WRITES);
}

static void count_in_file(const GError *error, gpointer user) {
  Witness *witness = user;
  g_assert_no_error(error);
  g_autofree char *count = ask_sql(witness->path, "SELECT count(*) FROM captions");
  g_assert_cmpstr(count, ==, "1");
  g_main_loop_quit(witness->loop);
}

/* When the answer comes, another program finds the caption in the file. */
static void test_answer_after_commit(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  Witness witness = {.path = place.path, .loop = g_main_loop_new(NULL, FALSE)};
  g_autoptr(MnkCaption) caption = make_caption("s", "1", 0, 1, "x");
  mnk_store_put_caption(store, caption, count_in_file, &witness);
  g_main_loop_run(witness.loop);
  g_main_loop_unref(witness.loop);
}

static void count_answers(const GError *error, gpointer user) {
  (*(guint *)user)++;
}

/* Answers outlive the store. */
static void test_close_writes(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  guint answers = 0;
  MnkStore *store = open_store(&place, MNK_STORE_WRITE);
  for (guint i = 0; i < 500; i++) {
    g_autofree char *id = g_strdup_printf("%u", i);
    g_autoptr(MnkCaption) caption = make_caption("s", id, i, i, "x");
    mnk_store_put_caption(store, caption, count_answers, &answers);
  }
  mnk_store_close(store);
  g_assert_cmpuint(answers, ==, 0);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_assert_cmpuint(answers, ==, 500);
  g_autofree char *count = ask_sql(place.path, "SELECT count(*) FROM captions");
  g_assert_cmpstr(count, ==, "500");
  g_autofree char *journal = g_strconcat(place.path, "-wal", NULL);
  g_assert_false(g_file_test(journal, G_FILE_TEST_EXISTS));
}

static void test_settings_of_file(void) {
  static const struct {
    const char *sql, *answer;
  } cases[] = {{"PRAGMA journal_mode", "wal"},
               {"PRAGMA application_id", "1296976719"},
               {"PRAGMA user_version", "2"},
               {"PRAGMA integrity_check", "ok"},
               {"SELECT value FROM meta WHERE key = 'clean'", "1"}};
  g_auto(Place) place = {0};
  place_init(&place);
  MnkStore *store = open_store(&place, MNK_STORE_WRITE);
  put_text(store, "s", "1", "x");
  flush(store);
  g_autofree char *dirty = ask_sql(place.path, "SELECT value FROM meta WHERE key = 'clean'");
  g_assert_cmpstr(dirty, ==, "0");
  mnk_store_close(store);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *answer = ask_sql(place.path, cases[i].sql);
    g_assert_cmpstr(answer, ==, cases[i].answer);
  }
  GStatBuf info;
  g_assert_cmpint(g_stat(place.path, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 0777, ==, 0600);
}

static void test_makes_folder(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autofree char *below = g_build_filename(place.folder, "a", NULL);
  g_autofree char *deep = g_build_filename(below, "b", NULL);
  g_autofree char *path = g_build_filename(deep, "timeline.db", NULL);
  MnkStore *store = mnk_store_open(path, MNK_STORE_WRITE, NULL);
  g_assert_nonnull(store);
  mnk_store_close(store);
  g_assert_cmpint(g_remove(path), ==, 0);
  g_assert_cmpint(g_rmdir(deep), ==, 0);
  g_assert_cmpint(g_rmdir(below), ==, 0);
}

/* A fact that this program cannot read does not hide its caption. */
static void test_bad_facts(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  MnkStore *store = open_store(&place, MNK_STORE_WRITE);
  g_autoptr(MnkCaption) caption = make_caption("s", "1", 0, 1, "x");
  add_fact(caption, MNK_FACT_OBJECT, "cat");
  put(store, caption);
  put_text(store, "s", "2", "y");
  mnk_store_close(store);
  run_sql(place.path, "UPDATE captions SET facts = replace(facts, '[', '[{\"kind\":\"new\"},') "
                      "WHERE id = '1'; UPDATE captions SET facts = '{' WHERE id = '2'");
  keep_log_quiet(TRUE);
  g_autoptr(MnkStore) reading = open_store(&place, MNK_STORE_READ);
  g_autoptr(GPtrArray) found = mnk_store_captions(reading, NULL, 0, -1, 10, NULL);
  g_autofree char *ids = caption_ids(found);
  g_assert_cmpstr(ids, ==, "1 2");
  g_assert_cmpuint(((MnkCaption *)found->pdata[0])->facts->len, ==, 1);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/timeline/round-trip", test_round_trip);
  g_test_add_func("/timeline/replaces", test_replaces);
  g_test_add_func("/timeline/by-time", test_by_time);
  g_test_add_func("/timeline/streams", test_streams);
  g_test_add_func("/timeline/replace-stream", test_replace_stream);
  g_test_add_func("/timeline/answers", test_answers);
  g_test_add_func("/timeline/answer-after-commit", test_answer_after_commit);
  g_test_add_func("/timeline/close-writes", test_close_writes);
  g_test_add_func("/timeline/settings-of-file", test_settings_of_file);
  g_test_add_func("/timeline/makes-folder", test_makes_folder);
  g_test_add_func("/timeline/bad-facts", test_bad_facts);
  return g_test_run();
}
