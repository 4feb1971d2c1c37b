/* Batches, without any service: which frames are chosen, how a model's answer is read and its frame
 * numbers become times, plain text and likeness. Expected values are worked out by hand. */
#include "language/batch_priv.h"

#include <math.h>
#include <string.h>

/* Frames at the given times, the last of them shown until end_ms. */
static MnkBatch *batch_at(const gint64 *pts_ms, guint n, gint64 end_ms) {
  MnkBatch *batch = mnk_batch_new();
  batch->n_frames = n;
  batch->pts_ms = g_memdup2(pts_ms, n * sizeof *pts_ms);
  batch->end_ms = end_ms;
  return batch;
}

/* Five frames, 1 s apart but for one gap of 3 s. */
static MnkBatch *five(void) {
  static const gint64 pts[] = {10000, 11000, 12000, 15000, 16000};
  return batch_at(pts, 5, 17000);
}

/* ---- Selection ---- */

typedef struct {
  const char *importance; /* digits: tenths */
  guint max;
  const char *expected;
} SelectRow;

static const SelectRow select_rows[] = {
    {"", 4, ""},
    {"5", 4, "0"},
    {"55555", 0, ""},
    {"12345", 9, "0 1 2 3 4"},
    {"12345", 5, "0 1 2 3 4"},
    {"13954", 1, "2"},
    {"00000", 1, "0"},
    {"09990", 2, "0 4"},
    {"00900", 3, "0 2 4"},
    {"00090", 3, "0 3 4"},
    /* Nothing stands out: evenly spread. */
    {"000000000", 3, "0 4 8"},
    {"000000000", 5, "0 2 4 6 8"},
    /* A peak is shown once: its neighbours are too near (16 / 8 = 2 frames apart). */
    {"0000987000000000", 4, "0 4 6 15"},
    {"0000980000000000", 4, "0 4 9 15"},
    /* Too many for the distance: it shrinks. */
    {"000009900", 8, "0 1 2 3 4 5 6 8"},
};

static void test_select(void) {
  for (guint i = 0; i < G_N_ELEMENTS(select_rows); i++) {
    const SelectRow *row = &select_rows[i];
    guint n = (guint)strlen(row->importance);
    g_autofree float *importance = g_new0(float, n + 1);
    for (guint k = 0; k < n; k++)
      importance[k] = (float)(row->importance[k] - '0') / 10;
    g_autoptr(GArray) chosen = mnk_batch_select(importance, n, row->max);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint k = 0; k < chosen->len; k++)
      g_string_append_printf(text, "%s%u", k > 0 ? " " : "", g_array_index(chosen, guint, k));
    g_test_message("%s, at most %u", row->importance, row->max);
    g_assert_cmpstr(text->str, ==, row->expected);
  }
}

static void test_select_not_a_number(void) {
  float importance[6] = {NAN, -1, NAN, 0.1f, INFINITY, NAN};
  g_autoptr(GArray) chosen = mnk_batch_select(importance, 6, 3);
  g_assert_cmpuint(chosen->len, ==, 3);
  g_assert_cmpuint(g_array_index(chosen, guint, 1), ==, 4);
}

static void test_select_property(void) {
  for (guint round = 0; round < 300; round++) {
    guint n = (guint)g_test_rand_int_range(1, 200), max = (guint)g_test_rand_int_range(1, 70);
    g_autofree float *importance = g_new(float, n);
    for (guint i = 0; i < n; i++)
      importance[i] = (float)g_test_rand_int_range(0, 4) / 4;
    g_autoptr(GArray) chosen = mnk_batch_select(importance, n, max);
    g_assert_cmpuint(chosen->len, ==, MIN(n, max));
    for (guint i = 1; i < chosen->len; i++)
      g_assert_cmpuint(g_array_index(chosen, guint, i - 1), <, g_array_index(chosen, guint, i));
    g_assert_cmpuint(g_array_index(chosen, guint, chosen->len - 1), <, n);
    if (chosen->len >= 2) {
      g_assert_cmpuint(g_array_index(chosen, guint, 0), ==, 0);
      g_assert_cmpuint(g_array_index(chosen, guint, chosen->len - 1), ==, n - 1);
    }
  }
}

/* ---- Events ---- */

static GPtrArray *read_events(const MnkBatch *batch, const char *json, GError **error) {
  return mnk_batch_read_events(batch, json, strlen(json), error);
}

/* "10000-13000 text!; ..." with '!' on what stays open. */
static char *describe(const GPtrArray *events) {
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < events->len; i++) {
    const MnkBatchEvent *event = events->pdata[i];
    g_string_append_printf(out, "%s%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT " %s%s",
                           i > 0 ? "; " : "", event->start_ms, event->end_ms, event->text,
                           event->open ? "!" : "");
  }
  return g_string_free(out, FALSE);
}

#define EVENT(start, end, text)                                                                    \
  "{\"start_frame\":" #start ",\"end_frame\":" #end ",\"text\":\"" text "\",\"confidence\":0.5}"
#define ANSWER(events) "{\"events\":[" events "]}"

typedef struct {
  const char *json, *expected;
} ReadRow;

/* The median step of five() is 1000: (1000, 1000, 1000, 3000). */
static const ReadRow read_rows[] = {
    {ANSWER(""), ""},
    {ANSWER(EVENT(0, 0, "a")), "10000-11000 a"},
    {ANSWER(EVENT(0, 2, "a")), "10000-13000 a"},
    {ANSWER(EVENT(2, 3, "a")), "12000-16000 a"},
    {ANSWER(EVENT(4, 4, "a")), "16000-17000 a!"},
    {ANSWER(EVENT(0, 4, "a")), "10000-17000 a!"},
    /* Sorted by start, then end. */
    {ANSWER(EVENT(3, 3, "c") "," EVENT(0, 2, "b") "," EVENT(0, 1, "a")),
     "10000-12000 a; 10000-13000 b; 15000-16000 c"},
    /* The same twice; the same text elsewhere is another event. */
    {ANSWER(EVENT(1, 2, "a") "," EVENT(1, 2, "b") "," EVENT(1, 2, "a") "," EVENT(2, 2, "a")),
     "11000-13000 a; 11000-13000 b; 12000-13000 a"},
    /* What models put around their JSON. */
    {"```json\n" ANSWER(EVENT(0, 0, "a")) "\n```\n", "10000-11000 a"},
    {"Here it is:\n" ANSWER(EVENT(0, 0, "a")) " I hope this helps", "10000-11000 a"},
    {"\xef\xbb\xbf" ANSWER(EVENT(0, 0, "a")), "10000-11000 a"},
    /* Members of their own invention. */
    {"{\"note\":1,\"events\":[{\"start_frame\":0,\"end_frame\":1,\"text\":\"a\",\"who\":[]}]}",
     "10000-12000 a"},
    /* Texts are made plain. */
    {ANSWER(EVENT(0, 0, " a\\u001b[31m red\\u001b[0m\\r\\n\\tdog\\u202e \\u2066x ")),
     "10000-11000 a red dog x"},
    {ANSWER(EVENT(0, 0, "1 --> 2 <b>&amp;</b> <|im_end|>")),
     "10000-11000 1 --> 2 <b>&amp;</b> <|im_end|>"},
};

static void test_read(void) {
  g_autoptr(MnkBatch) batch = five();
  for (guint i = 0; i < G_N_ELEMENTS(read_rows); i++) {
    g_autoptr(GError) error = NULL;
    g_test_message("%s", read_rows[i].json);
    g_autoptr(GPtrArray) events = read_events(batch, read_rows[i].json, &error);
    g_assert_no_error(error);
    g_autofree char *text = describe(events);
    g_assert_cmpstr(text, ==, read_rows[i].expected);
  }
}

/* What the sentence must hold, so that a model can mend its answer by it. */
static const ReadRow refused_rows[] = {
    {"", "no whole JSON object"},
    {"I cannot help with that", "no whole JSON object"},
    {"{\"events\":[", "no whole JSON object"},
    {"{\"events\":[{\"start_frame\":0}", "JSON"},
    {"}{", "no whole JSON object"},
    {"{}", "\"events\" is missing"},
    {"{\"events\":{}}", "\"events\" must be an array"},
    {"{\"events\":null}", "events"},
    {ANSWER("1"), "events[0]: it must be an object"},
    {ANSWER("{}"), "events[0]: JSON: the member \"start_frame\" is missing"},
    {ANSWER(EVENT(0, 0, "a") "," EVENT(0, 5, "a")),
     "events[1]: JSON: \"end_frame\" must be a whole number from 0 to 4 and is 5"},
    {ANSWER(EVENT(-1, 0, "a")), "from 0 to 4 and is -1"},
    {ANSWER(EVENT(3, 2, "a")), "must not be after"},
    {ANSWER(EVENT(0.5, 1, "a")), "\"start_frame\" must be a whole number"},
    {ANSWER(EVENT("0", 1, "a")), "\"start_frame\" must be a whole number"},
    {ANSWER(EVENT(0, 1, "")), "must say something"},
    {ANSWER(EVENT(0, 1, "\\u001b[2J \\n\\u200b\\u202e")), "must say something"},
    {"{\"events\":[{\"start_frame\":0,\"end_frame\":1,\"text\":\"a\",\"confidence\":95}]}",
     "\"confidence\" must be a number from 0 to 1 and is 95"},
    {"{\"events\":[{\"start_frame\":0,\"end_frame\":1,\"text\":7}]}", "\"text\" must be a string"},
    {"{\"events\":[],\"events\":[]}", "duplicate key"},
};

static void test_read_refused(void) {
  g_autoptr(MnkBatch) batch = five();
  for (guint i = 0; i < G_N_ELEMENTS(refused_rows); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) events = read_events(batch, refused_rows[i].json, &error);
    g_test_message("%s", refused_rows[i].json);
    g_assert_null(events);
    g_assert_nonnull(error);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, refused_rows[i].expected));
  }
}

static void test_read_too_many(void) {
  g_autoptr(MnkBatch) batch = five();
  g_autoptr(GString) json = g_string_new("{\"events\":[" EVENT(0, 0, "a"));
  for (guint i = 0; i < MNK_BATCH_EVENTS_MAX; i++)
    g_string_append(json, "," EVENT(0, 0, "a"));
  g_string_append(json, "]}");
  g_autoptr(GError) error = NULL;
  g_assert_null(read_events(batch, json->str, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
}

static void test_read_long_text(void) {
  g_autoptr(MnkBatch) batch = five();
  g_autoptr(GString) json =
      g_string_new("{\"events\":[{\"start_frame\":0,\"end_frame\":0,\"text\":\"");
  for (guint i = 0; i < 2000; i++)
    g_string_append(json, "犬");
  g_string_append(json, "\",\"confidence\":1}]}");
  g_autoptr(GPtrArray) events = read_events(batch, json->str, NULL);
  const MnkBatchEvent *event = events->pdata[0];
  g_assert_cmpuint(strlen(event->text), ==, 2046); /* 682 characters of 3 bytes: whole ones */
  g_assert_true(g_utf8_validate(event->text, -1, NULL));
  g_assert_cmpfloat(event->confidence, ==, 1);
}

/* The step is the median: even counts take the middle of the two, a jump back is no step. */
static void test_read_steps(void) {
  static const gint64 single[] = {500}, even[] = {0, 100, 400}, same[] = {70, 70, 70},
                      back[] = {0, 100, 50, 150};
  const struct {
    const gint64 *pts;
    guint n;
    gint64 end_ms;
    const char *json, *expected;
  } rows[] = {
      {single, 1, 900, ANSWER(EVENT(0, 0, "a")), "500-900 a!"},
      {single, 1, 500, ANSWER(EVENT(0, 0, "a")), "500-501 a!"}, /* the batch has no length */
      {single, 1, 100, ANSWER(EVENT(0, 0, "a")), "500-501 a!"},
      {even, 3, 1000, ANSWER(EVENT(0, 0, "a")), "0-200 a"},    /* (100 + 300) / 2 */
      {even, 3, 1000, ANSWER(EVENT(1, 2, "a")), "100-600 a!"}, /* 400 + 200 */
      {even, 3, 450, ANSWER(EVENT(1, 2, "a")), "100-450 a!"},  /* clamped to the batch */
      {same, 3, 100, ANSWER(EVENT(0, 0, "a")), "70-100 a"},
      {back, 4, 200, ANSWER(EVENT(1, 2, "a")), "100-150 a"}, /* steps 100, 100; 50 + 100 */
      {back, 4, 200, ANSWER(EVENT(3, 3, "a")), "150-200 a!"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MnkBatch) batch = batch_at(rows[i].pts, rows[i].n, rows[i].end_ms);
    g_autoptr(GPtrArray) events = read_events(batch, rows[i].json, NULL);
    g_autofree char *text = describe(events);
    g_assert_cmpstr(text, ==, rows[i].expected);
  }
}

static MnkBatch *random_batch(void) {
  gint64 pts[40];
  guint n = (guint)g_test_rand_int_range(1, 40);
  gint64 at = g_test_rand_int_range(-1000, 100000);
  for (guint i = 0; i < n; i++) {
    pts[i] = at;
    at += g_test_rand_int_range(0, 5000);
  }
  return batch_at(pts, n, at + g_test_rand_int_range(-100, 100));
}

/* Whatever a model tells within the rules, the intervals keep theirs. */
static void test_read_property(void) {
  for (guint round = 0; round < 300; round++) {
    g_autoptr(MnkBatch) batch = random_batch();
    g_autoptr(GString) json = g_string_new("{\"events\":[");
    guint n = (guint)g_test_rand_int_range(0, 12);
    for (guint i = 0; i < n; i++) {
      guint a = (guint)g_test_rand_int_range(0, (int)batch->n_frames);
      guint b = (guint)g_test_rand_int_range((int)a, (int)batch->n_frames);
      g_string_append_printf(json, "%s{\"start_frame\":%u,\"end_frame\":%u,\"text\":\"%c\"}",
                             i > 0 ? "," : "", a, b, "ab"[g_test_rand_int_range(0, 2)]);
    }
    g_string_append(json, "]}");
    g_autoptr(GPtrArray) events = read_events(batch, json->str, NULL);
    g_assert_nonnull(events);
    g_assert_cmpuint(events->len, <=, n);
    gint64 last = MAX(batch->end_ms, batch->pts_ms[batch->n_frames - 1] + 1);
    for (guint i = 0; i < events->len; i++) {
      const MnkBatchEvent *event = events->pdata[i], *before = i > 0 ? events->pdata[i - 1] : NULL;
      g_assert_cmpint(event->start_ms, ==, batch->pts_ms[event->start_frame]);
      g_assert_cmpint(event->start_ms, <, event->end_ms);
      g_assert_cmpint(event->end_ms, <=, last);
      g_assert_true(event->open == (event->end_frame == batch->n_frames - 1));
      g_assert_true(!before || before->start_ms <= event->start_ms);
      for (guint k = 0; k < i; k++) {
        const MnkBatchEvent *other = events->pdata[k];
        g_assert_false(other->start_frame == event->start_frame &&
                       other->end_frame == event->end_frame &&
                       g_str_equal(other->text, event->text));
      }
    }
  }
}

/* ---- Texts ---- */

static void test_plain(void) {
  const struct {
    const char *text;
    gsize max;
    const char *expected;
  } rows[] = {
      {NULL, 10, ""},
      {"", 10, ""},
      {"  a  b\tc\r\nd ", 20, "a b c d"},
      {"a\x1b[1;31mred\x1b[0m", 20, "ared"},
      {"\x1b]0;title\x07"
       "b",
       20, "b"},
      {"\x1b]8;;http://x\x1b\\link", 20, "link"},
      {"\x1bPq#0\x1b\\c", 20, "c"},
      {"\x1b]never ended", 20, "never ended"}, /* no text is lost to half a sequence */
      {"\x1b(Bd", 20, "d"},
      {"\x1b", 20, ""},
      {"a\x1b[", 20, "a"},
      {"\xc2\x9b"
       "31mred",
       20, "red"},
      {"a\xe2\x80\xae"
       "b\xe2\x81\xa6"
       "c\xe2\x80\x8f",
       20, "abc"}, /* bidirectional */
      {"a\xe2\x80\xa8"
       "b",
       20, "a b"}, /* line separator */
      {"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xa7", 20,
       "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xa7"}, /* a joined emoji stays whole */
      {"\xee\x80\x80x", 20, "x"},                       /* private use */
      {"\xff\xfe", 20, "\xef\xbf\xbd\xef\xbf\xbd"},     /* no UTF-8 */
      {"犬がいる", 7, "犬が"},
      {"abc def", 3, "abc"},
      {"abc def", 4, "abc"}, /* never ends with a space */
      {"abc def", 5, "abc d"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *plain = mnk_text_plain(rows[i].text, rows[i].max);
    g_assert_cmpstr(plain, ==, rows[i].expected);
  }
}

static void test_jaccard(void) {
  const struct {
    const char *a, *b;
    float expected;
  } rows[] = {
      {"", "", 0},
      {"...", "!", 0},
      {"a dog runs", "a dog runs", 1},
      {"A dog runs.", "runs, a DOG", 1}, /* a set: order, case and marks do not count */
      {"a dog", "a cat", 1.0f / 3},
      {"a dog runs", "the cat sits", 0},
      {"a a a dog", "a dog", 1},
      {"a dog runs fast", "a dog runs", 0.75f},
      {"犬が走る", "犬が走る", 1},    /* 犬が が走 走る */
      {"犬が走る", "猫が走る", 0.5f}, /* が走 走る of 犬が が走 走る 猫が */
      {"犬", "犬", 1},
      {"犬", "猫", 0},
      {"ＡＢＣ", "abc", 1},         /* full width */
      {"car 3台", "car 4台", 0.5f}, /* car 台 of car 3 台 4 */
      {"caf\xc3\xa9", "cafe\xcc\x81", 1},
  };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_test_message("%s / %s", rows[i].a, rows[i].b);
    float forth = mnk_text_jaccard(rows[i].a, rows[i].b);
    g_assert_cmpfloat_with_epsilon(forth, rows[i].expected, 1e-6f);
    g_assert_cmpfloat(forth, ==, mnk_text_jaccard(rows[i].b, rows[i].a));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/batch/select", test_select);
  g_test_add_func("/batch/select-not-a-number", test_select_not_a_number);
  g_test_add_func("/batch/select-property", test_select_property);
  g_test_add_func("/batch/read", test_read);
  g_test_add_func("/batch/read-refused", test_read_refused);
  g_test_add_func("/batch/read-too-many", test_read_too_many);
  g_test_add_func("/batch/read-long-text", test_read_long_text);
  g_test_add_func("/batch/read-steps", test_read_steps);
  g_test_add_func("/batch/read-property", test_read_property);
  g_test_add_func("/text/plain", test_plain);
  g_test_add_func("/text/jaccard", test_jaccard);
  return g_test_run();
}
