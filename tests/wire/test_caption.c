/* Facts and captions: copies, JSON both ways, and what the reader refuses. */
#include "wire/caption.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

static MnkCaption *sample(void) {
  MnkCaption *caption = mnk_caption_new();
  caption->stream = g_strdup("door");
  caption->id = g_strdup("door-12");
  caption->seq = 12;
  caption->start_ms = 4000;
  caption->end_ms = 10250;
  caption->final = TRUE;
  caption->backend = g_strdup("template");
  caption->lang = g_strdup("en");
  caption->text = g_strdup("A cat walks in.");
  MnkFact *object = mnk_fact_new(MNK_FACT_OBJECT, "cat");
  object->score = 0.87654f;
  object->box = (MnkBox){0.1f, 0.25f, 0.33333f, 0.5f};
  object->start_ms = 4000;
  object->end_ms = 10000;
  MnkFact *action = mnk_fact_new(MNK_FACT_ACTION, "enters");
  action->of = g_strdup("cat");
  action->score = 1;
  action->start_ms = action->end_ms = 4000;
  g_ptr_array_add(caption->facts, object);
  g_ptr_array_add(caption->facts, action);
  return caption;
}

#define SAMPLE                                                                                     \
  "{\"type\":\"caption\",\"stream\":\"door\",\"id\":\"door-12\",\"seq\":12,\"start_ms\":4000,"     \
  "\"end_ms\":10250,\"final\":true,\"backend\":\"template\",\"lang\":\"en\","                      \
  "\"text\":\"A cat walks in.\",\"facts\":["                                                       \
  "{\"kind\":\"object\",\"name\":\"cat\",\"score\":0.877,\"count\":1,"                             \
  "\"box\":[0.1,0.25,0.3333,0.5],\"start_ms\":4000,\"end_ms\":10000},"                             \
  "{\"kind\":\"action\",\"name\":\"enters\",\"of\":\"cat\",\"score\":1,\"count\":1,"               \
  "\"box\":null,\"start_ms\":4000,\"end_ms\":4000}]}"

static MnkCaption *read_caption(const char *text, GError **error) {
  g_autoptr(MnkJson) json = mnk_json_parse(text, strlen(text), NULL, error);
  g_assert_nonnull(json);
  return mnk_caption_read_json(mnk_json_root(json), error);
}

static void test_write(void) {
  g_autoptr(MnkCaption) caption = sample();
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_caption_write_json(caption, out);
  g_assert_cmpstr(out->str, ==, SAMPLE);
}

static void test_read(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkCaption) caption = read_caption(SAMPLE, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(caption->stream, ==, "door");
  g_assert_cmpuint(caption->seq, ==, 12);
  g_assert_cmpint(caption->end_ms, ==, 10250);
  g_assert_true(caption->final);
  g_assert_cmpuint(caption->facts->len, ==, 2);
  const MnkFact *action = g_ptr_array_index(caption->facts, 1);
  g_assert_cmpint(action->kind, ==, MNK_FACT_ACTION);
  g_assert_cmpstr(action->of, ==, "cat");
  const MnkFact *object = g_ptr_array_index(caption->facts, 0);
  g_assert_null(object->of);
  g_assert_cmpfloat_with_epsilon(object->box.w, 0.3333, 1e-6);
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_caption_write_json(caption, out);
  g_assert_cmpstr(out->str, ==, SAMPLE);
}

static void test_copy(void) {
  g_autoptr(MnkCaption) caption = sample();
  g_autoptr(MnkCaption) copy = mnk_caption_copy(caption);
  g_clear_pointer(&caption, mnk_caption_free);
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_caption_write_json(copy, out);
  g_assert_cmpstr(out->str, ==, SAMPLE);
}

/* What is unset or out of range is still written so that it can be read. */
static void test_write_odd(void) {
  g_autoptr(MnkCaption) caption = mnk_caption_new();
  MnkFact *fact = mnk_fact_new(MNK_FACT_ACTION, NULL);
  fact->score = NAN;
  fact->box = (MnkBox){-1, NAN, 2, 0.5f};
  g_ptr_array_add(caption->facts, fact);
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_caption_write_json(caption, out);
  g_assert_cmpstr(out->str, ==,
                  "{\"type\":\"caption\",\"stream\":\"\",\"id\":\"\",\"start_ms\":0,\"end_ms\":0,"
                  "\"final\":false,\"backend\":\"\",\"lang\":\"\",\"text\":\"\",\"facts\":["
                  "{\"kind\":\"action\",\"name\":\"\",\"of\":\"\",\"score\":0,\"count\":1,"
                  "\"box\":[0,0,1,0.5],\"start_ms\":0,\"end_ms\":0}]}");
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkCaption) back = read_caption(out->str, &error);
  g_assert_no_error(error);
  g_assert_nonnull(back);
}

/* A box that rounding takes away is no box. */
static void test_tiny_box(void) {
  g_autoptr(MnkFact) fact = mnk_fact_new(MNK_FACT_OBJECT, "x");
  fact->box = (MnkBox){0.00004f, 0, 0.00004f, 0.00004f};
  g_autoptr(GString) out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_fact_write_json(fact, &w);
  g_assert_nonnull(strstr(out->str, "\"box\":null"));
}

static void test_kinds(void) {
  for (guint kind = 0; kind < MNK_FACT_N; kind++) {
    g_autoptr(MnkFact) fact = mnk_fact_new((MnkFactKind)kind, "x");
    g_autoptr(GString) out = g_string_new(NULL);
    MnkJsonWriter w;
    mnk_json_writer_init(&w, out);
    mnk_fact_write_json(fact, &w);
    g_autoptr(MnkJson) json = mnk_json_parse(out->str, out->len, NULL, NULL);
    g_autoptr(MnkFact) back = mnk_fact_read_json(mnk_json_root(json), NULL);
    g_assert_nonnull(back);
    g_assert_cmpint(back->kind, ==, kind);
  }
  g_assert_cmpstr(mnk_fact_kind_name(MNK_FACT_N), ==, "unknown");
}

static void test_gap(void) {
  g_autoptr(MnkCaption) caption = sample();
  g_assert_false(mnk_caption_is_gap(caption));
  g_ptr_array_add(caption->facts, mnk_fact_new(MNK_FACT_GAP, "worker restarted"));
  g_assert_true(mnk_caption_is_gap(caption));
}

/* One replacement in the sample, and what the reader then says. */
static const struct {
  const char *from, *to, *message;
} refused[] = {
    {"\"type\":\"caption\",", "", "JSON: the member \"type\" is missing"},
    {"\"caption\"", "\"answer\"", "JSON: \"type\" must be \"caption\""},
    {"\"stream\":\"door\",", "", "JSON: the member \"stream\" is missing"},
    {"\"id\":\"door-12\"", "\"id\":12", "JSON: \"id\" must be a string and is a whole number"},
    {"\"seq\":12", "\"seq\":-1",
     "JSON: \"seq\" must be a whole number from 0 to 9007199254740992 and is -1"},
    {"\"end_ms\":10250", "\"end_ms\":3999",
     "JSON: \"end_ms\" must be a whole number from 4000 to 9007199254740992 and is 3999"},
    {"\"final\":true", "\"final\":1",
     "JSON: \"final\" must be true or false and is a whole number"},
    {"\"facts\":[", "\"facts\":[0,", "JSON: the member \"kind\" is missing"},
    {"\"kind\":\"object\"", "\"kind\":\"objects\"", "JSON: \"kind\" must be a kind of fact"},
    {"\"score\":0.877", "\"score\":1.5", "JSON: \"score\" must be a number from 0 to 1 and is 1.5"},
    {"\"count\":1", "\"count\":-1",
     "JSON: \"count\" must be a whole number from 0 to 1000000 and is -1"},
    {"[0.1,0.25,0.3333,0.5]", "[0.1,0.25,0.3333]",
     "JSON: \"box\" must be an array of 4 numbers from 0 to 1"},
    {"[0.1,0.25,0.3333,0.5]", "[0.1,0.25,0.3333,1.01]",
     "JSON: \"box\" must be an array of 4 numbers from 0 to 1"},
    {"[0.1,0.25,0.3333,0.5]", "[0.1,0.25,\"1\",1]",
     "JSON: \"box\" must be an array of 4 numbers from 0 to 1"},
    {"[0.1,0.25,0.3333,0.5]", "[0,0,0,0,0]",
     "JSON: \"box\" must be an array of at most 4 elements and has 5"},
    {"[0.1,0.25,0.3333,0.5]", "7", "JSON: \"box\" must be an array and is a whole number"},
    {"\"of\":\"cat\",", "", "JSON: the member \"of\" is missing"},
};

static void test_refused(void) {
  for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
    g_autoptr(GString) text = g_string_new(SAMPLE);
    g_assert_cmpuint(g_string_replace(text, refused[i].from, refused[i].to, 1), ==, 1);
    g_autoptr(GError) error = NULL;
    g_assert_null(read_caption(text->str, &error));
    g_assert_cmpstr(error->message, ==, refused[i].message);
  }
}

static void test_limits(void) {
  static const struct {
    const char *from;
    gsize length;
    const char *message;
  } cases[] = {
      {"A cat walks in.", 16384, NULL},
      {"A cat walks in.", 16385, "at most 16384 bytes"},
      {"door-12", 512, NULL},
      {"door-12", 513, "at most 512 bytes"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *filler = g_strnfill(cases[i].length, 'x');
    g_autoptr(GString) text = g_string_new(SAMPLE);
    g_string_replace(text, cases[i].from, filler, 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkCaption) caption = read_caption(text->str, &error);
    g_assert_cmpint(caption != NULL, ==, cases[i].message == NULL);
    if (!caption) {
      g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
      g_assert_nonnull(strstr(error->message, cases[i].message));
    }
  }
}

static void test_fact_limit(void) {
  g_autoptr(MnkCaption) caption = mnk_caption_new();
  for (guint n = 1; n <= 257; n++) {
    g_ptr_array_add(caption->facts, mnk_fact_new(MNK_FACT_SCENE, "beach"));
    if (n < 256)
      continue;
    g_autoptr(GString) out = g_string_new(NULL);
    mnk_caption_write_json(caption, out);
    g_autoptr(MnkCaption) back = read_caption(out->str, NULL);
    g_assert_cmpint(back != NULL, ==, n == 256);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/wire/caption/write", test_write);
  g_test_add_func("/wire/caption/read", test_read);
  g_test_add_func("/wire/caption/copy", test_copy);
  g_test_add_func("/wire/caption/write-odd", test_write_odd);
  g_test_add_func("/wire/caption/tiny-box", test_tiny_box);
  g_test_add_func("/wire/caption/kinds", test_kinds);
  g_test_add_func("/wire/caption/gap", test_gap);
  g_test_add_func("/wire/caption/refused", test_refused);
  g_test_add_func("/wire/caption/limits", test_limits);
  g_test_add_func("/wire/caption/fact-limit", test_fact_limit);
  return g_test_run();
}
