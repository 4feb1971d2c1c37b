/* The timeline: commits, and questions to a large one. store.py runs it and compares.
 *
 *   store_bench commits FILE STREAMS SECONDS   each stream puts its next caption when the last one
 *                                              is kept, with synchronous FULL
 *   store_bench fill FILE STREAMS CAPTIONS     CAPTIONS a stream, as fast as they go
 *   store_bench ask FILE RUNS                  medians of questions, in microseconds
 *   store_bench open FILE                      opening for writing, and the list of streams
 *
 * Prints one JSON line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "store/store.h"

enum { CAPTION_MS = 5000 };

static MnkStore *open_store(const char *path) {
  g_autoptr(GError) error = NULL;
  MnkStore *store = mnk_store_open(path, MNK_STORE_WRITE, &error);
  if (store == NULL)
    g_error("%s", error->message);
  return store;
}

static void flush(MnkStore *store) {
  g_autoptr(GError) error = NULL;
  if (!mnk_store_flush(store, &error))
    g_error("%s", error->message);
}

/* A caption as the template tells it, with seven facts. */
static MnkCaption *make_caption(guint stream, guint number) {
  static const char *const names[] = {"person", "car", "bicycle", "dog", "street", "STOP", "bus"};
  MnkCaption *caption = mnk_caption_new();
  caption->stream = g_strdup_printf("stream-%u", stream);
  caption->id = g_strdup_printf("%u", number);
  caption->seq = number;
  caption->start_ms = (gint64)(number - 1) * CAPTION_MS;
  caption->end_ms = caption->start_ms + CAPTION_MS;
  caption->final = TRUE;
  caption->backend = g_strdup("template");
  caption->lang = g_strdup("en");
  caption->text = g_strdup_printf("%u people and a %s on a street. A %s moves left; a sign reads "
                                  "\"STOP\".",
                                  number % 7 + 2, names[number % 4], names[number % 3]);
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    MnkFact *fact = mnk_fact_new(i == 4   ? MNK_FACT_SCENE
                                 : i == 5 ? MNK_FACT_TEXT
                                          : MNK_FACT_OBJECT,
                                 names[i]);
    fact->score = 0.5F + 0.01F * (float)(number % 50);
    fact->box = (MnkBox){0.1F, 0.2F, 0.3F, 0.4F};
    fact->start_ms = caption->start_ms;
    fact->end_ms = caption->end_ms;
    g_ptr_array_add(caption->facts, fact);
  }
  return caption;
}

static gint compare_times(gconstpointer a, gconstpointer b) {
  gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;
  return x < y ? -1 : x > y ? 1 : 0;
}

static gint64 quantile(GArray *times, double q) {
  g_array_sort(times, compare_times);
  guint i = (guint)(q * (double)(times->len - 1) + 0.5);
  return g_array_index(times, gint64, i);
}

/* ---- Commits ---- */

typedef struct {
  MnkStore *store;
  gint64 over_us;
  guint writing; /* streams whose caption is under way */
  GArray *times;
} Load;

typedef struct {
  Load *load;
  guint stream, number;
  gint64 put_us;
} Stream;

static void put_next(Stream *stream);

static void kept(const GError *error, gpointer user) {
  Stream *stream = user;
  if (error != NULL)
    g_error("%s", error->message);
  gint64 now_us = g_get_monotonic_time(), waited_us = now_us - stream->put_us;
  g_array_append_val(stream->load->times, waited_us);
  stream->load->writing--;
  if (now_us < stream->load->over_us)
    put_next(stream);
}

static void put_next(Stream *stream) {
  g_autoptr(MnkCaption) caption = make_caption(stream->stream, ++stream->number);
  stream->put_us = g_get_monotonic_time();
  stream->load->writing++;
  mnk_store_put_caption(stream->load->store, caption, kept, stream);
}

static void measure_commits(const char *path, guint n, double seconds) {
  g_autoptr(MnkStore) store = open_store(path);
  g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(gint64));
  g_autofree Stream *streams = g_new0(Stream, n);
  gint64 start_us = g_get_monotonic_time();
  Load load = {store, start_us + (gint64)(seconds * 1e6), 0, times};
  for (guint i = 0; i < n; i++) {
    streams[i] = (Stream){.load = &load, .stream = i};
    put_next(&streams[i]);
  }
  while (load.writing > 0)
    g_main_context_iteration(NULL, TRUE);
  double took = (double)(g_get_monotonic_time() - start_us) / 1e6;
  printf("{\"streams\":%u,\"commits\":%u,\"per_second\":%.0f,\"p50_us\":%" G_GINT64_FORMAT
         ",\"p99_us\":%" G_GINT64_FORMAT "}\n",
         n, times->len, times->len / took, quantile(times, 0.5), quantile(times, 0.99));
}

/* ---- A large timeline ---- */

static void fill(const char *path, guint streams, guint captions) {
  g_autoptr(MnkStore) store = open_store(path);
  gint64 start_us = g_get_monotonic_time();
  for (guint i = 0; i < captions; i++)
    for (guint s = 0; s < streams; s++) {
      g_autoptr(MnkCaption) caption = make_caption(s, i + 1);
      mnk_store_put_caption(store, caption, NULL, NULL);
    }
  flush(store);
  double took = (double)(g_get_monotonic_time() - start_us) / 1e6;
  printf("{\"captions\":%u,\"per_second\":%.0f}\n", streams * captions, streams * captions / took);
}

typedef struct {
  MnkStore *store;
  guint streams;
  gint64 end_ms;
} Asked;

typedef guint (*Question)(const Asked *asked, GRand *random);

static guint count(GPtrArray *rows) {
  if (rows == NULL)
    g_error("a question was not answered");
  guint n = rows->len;
  g_ptr_array_unref(rows);
  return n;
}

static char *any_stream(const Asked *asked, GRand *random) {
  return g_strdup_printf("stream-%d", g_rand_int_range(random, 0, (gint32)asked->streams));
}

/* Five minutes of one stream: 60 captions. */
static guint ask_range(const Asked *asked, GRand *random) {
  g_autofree char *stream = any_stream(asked, random);
  gint64 from_ms = (gint64)(g_rand_double(random) * (double)asked->end_ms);
  return count(mnk_store_captions(asked->store, stream, from_ms, from_ms + 300000, 100, NULL));
}

static guint ask_range_of_all(const Asked *asked, GRand *random) {
  gint64 from_ms = (gint64)(g_rand_double(random) * (double)asked->end_ms);
  return count(mnk_store_captions(asked->store, NULL, from_ms, from_ms + 300000, 100, NULL));
}

static guint ask_since(const Asked *asked, GRand *random) {
  g_autofree char *stream = any_stream(asked, random);
  guint64 last = (guint64)(asked->end_ms / CAPTION_MS);
  return count(mnk_store_captions_since(asked->store, stream, last - 50, 100, NULL));
}

static guint ask_words(const Asked *asked, GRand *random) {
  g_autofree char *stream = any_stream(asked, random);
  return count(mnk_store_search(asked->store, "\"8 people\" dog", stream, 0, -1, 20, NULL));
}

static guint ask_streams(const Asked *asked, GRand *random) {
  return count(mnk_store_streams(asked->store, NULL));
}

static void measure_question(const Asked *asked, const char *name, Question question, guint runs,
                             gboolean last) {
  g_autoptr(GRand) random = g_rand_new_with_seed(7);
  g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(gint64));
  guint rows = 0;
  for (guint i = 0; i < runs; i++) {
    gint64 start_us = g_get_monotonic_time();
    rows = question(asked, random);
    gint64 took_us = g_get_monotonic_time() - start_us;
    g_array_append_val(times, took_us);
  }
  printf("\"%s\":{\"rows\":%u,\"p50_us\":%" G_GINT64_FORMAT ",\"p99_us\":%" G_GINT64_FORMAT "}%s",
         name, rows, quantile(times, 0.5), quantile(times, 0.99), last ? "}\n" : ",");
}

static void ask(const char *path, guint runs) {
  g_autoptr(MnkStore) store = mnk_store_open(path, MNK_STORE_READ, NULL);
  g_autoptr(GPtrArray) streams = mnk_store_streams(store, NULL);
  const MnkStreamRow *row = streams->pdata[0];
  Asked asked = {store, streams->len, row->end_ms};
  fputs("{", stdout);
  measure_question(&asked, "range", ask_range, runs, FALSE);
  measure_question(&asked, "range_of_all", ask_range_of_all, runs, FALSE);
  measure_question(&asked, "since", ask_since, runs, FALSE);
  measure_question(&asked, "words", ask_words, MIN(runs, 20), FALSE);
  measure_question(&asked, "streams", ask_streams, runs, TRUE);
}

static void measure_open(const char *path) {
  gint64 start_us = g_get_monotonic_time();
  MnkStore *store = open_store(path);
  g_autoptr(GPtrArray) streams = mnk_store_streams(store, NULL);
  gint64 took_us = g_get_monotonic_time() - start_us;
  printf("{\"streams\":%u,\"open_us\":%" G_GINT64_FORMAT "}\n", streams->len, took_us);
  mnk_store_close(store);
}

int main(int argc, char **argv) {
  if (argc == 5 && g_str_equal(argv[1], "commits"))
    measure_commits(argv[2], (guint)strtoul(argv[3], NULL, 10), strtod(argv[4], NULL));
  else if (argc == 5 && g_str_equal(argv[1], "fill"))
    fill(argv[2], (guint)strtoul(argv[3], NULL, 10), (guint)strtoul(argv[4], NULL, 10));
  else if (argc == 4 && g_str_equal(argv[1], "ask"))
    ask(argv[2], (guint)strtoul(argv[3], NULL, 10));
  else if (argc == 3 && g_str_equal(argv[1], "open"))
    measure_open(argv[2]);
  else {
    fputs("usage: store_bench commits FILE STREAMS SECONDS | fill FILE STREAMS CAPTIONS | "
          "ask FILE RUNS | open FILE\n",
          stderr);
    return 2;
  }
  return 0;
}
