#include "wire/observation.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

static const MnkObservation sample = {
    .type = MNK_OBS_FRAME,
    .seq = 12,
    .epoch = 1,
    .pts_ms = 12000,
    .arrival_us = 1735689600123456,
    .step_ms = 1000,
    .change = 0.03125f,
    .luma = 0.5f,
    .contrast = 0.25f,
    .motion = {.valid = TRUE, .dx = -0.5f, .zoom = 0.125f, .inliers = 1},
    .n_labels = 1,
    .labels = {{"seashore", 0.75f}},
    .n_objects = 2,
    .objects = {{"person", 0.5f, {0.1f, 0.2f, 0.3f, 0.4f}}, {"dog", 1, {0}}},
    .n_faces = 1,
    .faces = {{"face", 0.9375f, {0, 0, 0.5f, 1}}},
    .n_poses = 1,
    .poses = {{"", 0.5f, {0}}},
    .text_ran = TRUE,
    .n_texts = 1,
    .texts = {{"EXIT \xe5\x87\xba\xe5\x8f\xa3", 0.875f, {0.5f, 0.5f, 0.25f, 0.125f}}},
    .n_summary = 3,
    .summary = {0.12344f, -2.5f, 0},
};

#define SAMPLE                                                                                     \
  "{\"type\":\"frame\",\"seq\":12,\"epoch\":1,\"pts_ms\":12000,\"arrival_us\":1735689600123456,"   \
  "\"step_ms\":1000,\"change\":0.03125,\"luma\":0.5,\"contrast\":0.25,"                            \
  "\"motion\":{\"dx\":-0.5,\"dy\":0,\"zoom\":0.125,\"rotation\":0,\"inliers\":1},"                 \
  "\"labels\":[{\"name\":\"seashore\",\"score\":0.75}],"                                           \
  "\"objects\":[{\"name\":\"person\",\"score\":0.5,\"box\":[0.1,0.2,0.3,0.4]},"                    \
  "{\"name\":\"dog\",\"score\":1,\"box\":null}],"                                                  \
  "\"faces\":[{\"name\":\"face\",\"score\":0.9375,\"box\":[0,0,0.5,1]}],"                          \
  "\"poses\":[{\"name\":\"\",\"score\":0.5,\"box\":null}],\"text_ran\":true,"                      \
  "\"texts\":[{\"text\":\"EXIT \xe5\x87\xba\xe5\x8f\xa3\",\"score\":0.875,"                        \
  "\"box\":[0.5,0.5,0.25,0.125]}],\"summary\":[0.1234,-2.5,0]}"

static gboolean read_text(const char *text, MnkObservation *out, GError **error) {
  g_autoptr(MnkJson) json = mnk_json_parse(text, strlen(text), NULL, error);
  g_assert_nonnull(json);
  return mnk_observation_read_json(mnk_json_root(json), out, error);
}

/* Written, read and written again: the same text. */
static void assert_round_trip(const MnkObservation *obs, const char *expected) {
  g_autoptr(GString) first = g_string_new(NULL), second = g_string_new(NULL);
  g_autofree MnkObservation *back = g_new(MnkObservation, 1);
  g_autoptr(GError) error = NULL;
  mnk_observation_write_json(obs, first);
  if (expected)
    g_assert_cmpstr(first->str, ==, expected);
  read_text(first->str, back, &error);
  g_assert_no_error(error);
  mnk_observation_write_json(back, second);
  g_assert_cmpstr(first->str, ==, second->str);
}

static void test_frame(void) {
  assert_round_trip(&sample, SAMPLE);
}

static void test_fields(void) {
  MnkObservation obs;
  g_assert_true(read_text(SAMPLE, &obs, NULL));
  g_assert_cmpuint(obs.seq, ==, 12);
  g_assert_true(obs.motion.valid);
  g_assert_cmpfloat(obs.motion.dx, ==, -0.5f);
  g_assert_cmpuint(obs.n_objects, ==, 2);
  g_assert_cmpstr(obs.objects[0].name, ==, "person");
  g_assert_cmpfloat(obs.objects[0].box.h, ==, 0.4f);
  g_assert_cmpfloat(obs.objects[1].box.h, ==, 0);
  g_assert_cmpstr(obs.texts[0].text, ==, sample.texts[0].text);
  g_assert_true(obs.text_ran);
  g_assert_cmpuint(obs.n_summary, ==, 3);
  g_assert_cmpfloat(obs.summary[1], ==, -2.5f);
  g_assert_cmpint(obs.cut, ==, MNK_CUT_NONE);
}

static void test_duplicate(void) {
  const MnkObservation obs = {
      .type = MNK_OBS_DUPLICATE, .seq = 3, .pts_ms = -40, .step_ms = 40, .change = 0.001f};
  assert_round_trip(&obs,
                    "{\"type\":\"duplicate\",\"seq\":3,\"epoch\":0,\"pts_ms\":-40,"
                    "\"arrival_us\":0,\"step_ms\":40,\"change\":0.001,\"luma\":0,\"contrast\":0,"
                    "\"text_ran\":false}");
}

static void test_cut(void) {
  const MnkObservation obs = {.type = MNK_OBS_CUT,
                              .cut = MNK_CUT_SOFT,
                              .cut_ms = 5000,
                              .cut_end_ms = 6200,
                              .cut_score = 0.5f};
  assert_round_trip(&obs, "{\"type\":\"cut\",\"seq\":0,\"epoch\":0,\"pts_ms\":0,\"arrival_us\":0,"
                          "\"step_ms\":0,\"change\":0,\"luma\":0,\"contrast\":0,"
                          "\"cut\":{\"kind\":\"soft\",\"start_ms\":5000,\"end_ms\":6200,"
                          "\"score\":0.5},\"text_ran\":false}");
}

/* Full in every list, every name as long as it may be. */
static void test_full(void) {
  g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
  obs->n_labels = MNK_OBS_MAX_LABELS;
  obs->n_objects = MNK_OBS_MAX_OBJECTS;
  obs->n_faces = MNK_OBS_MAX_FACES;
  obs->n_poses = MNK_OBS_MAX_POSES;
  obs->n_texts = MNK_OBS_MAX_TEXTS;
  for (guint i = 0; i < MNK_OBS_MAX_LABELS; i++)
    memset(obs->labels[i].name, 'l', MNK_OBS_NAME - 1);
  for (guint i = 0; i < MNK_OBS_MAX_OBJECTS; i++)
    memset(obs->objects[i].name, 'o', MNK_OBS_NAME - 1);
  for (guint i = 0; i < MNK_OBS_MAX_TEXTS; i++)
    memset(obs->texts[i].text, 't', MNK_OBS_TEXT - 1);
  obs->n_summary = MNK_OBS_MAX_SUMMARY;
  for (guint i = 0; i < MNK_OBS_MAX_SUMMARY; i++)
    obs->summary[i] = (float)i / 16;
  assert_round_trip(obs, NULL);
}

/* What a reader would refuse does not leave the writer. */
static void test_write_odd(void) {
  g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
  MnkObservation back;
  obs->change = NAN;
  obs->luma = 7;
  obs->motion = (MnkCameraMotion){TRUE, INFINITY, -INFINITY, NAN, 0, -1};
  obs->n_objects = 1000;
  obs->n_summary = 1000;
  obs->summary[0] = NAN;
  obs->summary[1] = INFINITY;
  obs->n_texts = 2;
  memset(obs->texts[0].text, 'a', MNK_OBS_TEXT); /* no NUL */
  g_strlcpy(obs->texts[1].text,
            "a\x1b[31m\nb\xff\xc2\x85"
            "c\xe7\x9c",
            MNK_OBS_TEXT);
  g_autoptr(GString) out = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  mnk_observation_write_json(obs, out);
  read_text(out->str, &back, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(strlen(back.texts[0].text), ==, MNK_OBS_TEXT - 1);
  g_assert_cmpstr(back.texts[1].text, ==, "a[31mbc");
  g_assert_cmpuint(back.n_objects, ==, MNK_OBS_MAX_OBJECTS);
  g_assert_cmpuint(back.n_summary, ==, MNK_OBS_MAX_SUMMARY);
  g_assert_cmpfloat(back.summary[0], ==, 0);
  g_assert_cmpfloat(back.summary[1], ==, 1e6f);
  g_assert_cmpfloat(back.luma, ==, 1);
  g_assert_cmpfloat(back.motion.dx, ==, 1e6f);
}

static const struct {
  const char *from, *to, *message;
} refused[] = {
    {"\"frame\"", "\"scene\"", "JSON: \"type\" must be one of frame, duplicate, cut"},
    {"\"frame\"", "\"cut\"", "JSON: the member \"cut\" is missing"},
    {"\"seq\":12", "\"seq\":-1", "JSON: \"seq\" must be a whole number from 0"},
    {"\"epoch\":1", "\"epoch\":4294967296", "JSON: \"epoch\" must be a whole number from 0"},
    {"\"pts_ms\":12000,", "", "JSON: the member \"pts_ms\" is missing"},
    {"\"step_ms\":1000", "\"step_ms\":-1", "JSON: \"step_ms\" must be"},
    {"\"change\":0.03125", "\"change\":1e9", "JSON: \"change\" must be a number from -1e+06"},
    {"\"luma\":0.5", "\"luma\":1.5", "JSON: \"luma\" must be a number from 0 to 1"},
    {"\"dy\":0,", "", "JSON: the member \"dy\" is missing"},
    {"\"motion\":{", "\"cut\":{\"kind\":\"fade\"},\"motion\":{",
     "JSON: \"kind\" must be one of none, hard, soft"},
    {"\"motion\":{", "\"cut\":{\"kind\":\"hard\",\"start_ms\":2,\"end_ms\":1},\"motion\":{",
     "JSON: \"end_ms\" must be"},
    {"\"inliers\":1", "\"inliers\":2", "JSON: \"inliers\" must be"},
    {"\"labels\":[", "\"labels\":[1,", "JSON: the member \"name\" is missing"},
    {"\"labels\":[", "\"labels\":[0,0,0,0,0,0,0,0,",
     "JSON: \"labels\" must be an array of at most 8 elements and has 9"},
    {"\"poses\":[", "\"poses\":[0,0,0,0,", "JSON: \"poses\" must be an array of at most 4"},
    {"\"seashore\"", "\"sea\\u001bshore\"",
     "JSON: \"name\" must be text without control characters"},
    {"-2.5,0]", "\"-2.5\",0]", "JSON: \"summary\" must hold numbers from -1e+06 to 1e+06"},
    {"-2.5,0]", "-2.5,1e7]", "JSON: \"summary\" must hold numbers from -1e+06 to 1e+06"},
    {"[0.1234,-2.5,0]", "1", "JSON: \"summary\" must be an array"},
    {"EXIT ", "EXIT\\n", "JSON: \"text\" must be text without control characters"},
    {"\"score\":0.9375", "\"score\":-0.1", "JSON: \"score\" must be"},
    {"[0,0,0.5,1]", "[0,0,0.5,1.1]", "JSON: \"box\" must be an array of 4 numbers"},
    {"\"seashore\"", "\"0123456789012345678901234567890123456789012345678901234567890123\"",
     "JSON: \"name\" must be a string of at most 63 bytes and has 64"},
};

static void test_refused(void) {
  for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
    g_autoptr(GString) text = g_string_new(SAMPLE);
    MnkObservation obs;
    g_assert_cmpuint(g_string_replace(text, refused[i].from, refused[i].to, 1), ==, 1);
    g_autoptr(GError) error = NULL;
    g_assert_false(read_text(text->str, &obs, &error));
    if (!g_str_has_prefix(error->message, refused[i].message))
      g_assert_cmpstr(error->message, ==, refused[i].message);
  }
}

static void test_long_summary(void) {
  g_autoptr(GString) text = g_string_new(SAMPLE), numbers = g_string_new("\"summary\":[0");
  for (guint i = 0; i < MNK_OBS_MAX_SUMMARY; i++)
    g_string_append(numbers, ",0");
  MnkObservation obs;
  g_autoptr(GError) error = NULL;
  g_assert_cmpuint(g_string_replace(text, "\"summary\":[0.1234,-2.5,0", numbers->str, 1), ==, 1);
  g_assert_false(read_text(text->str, &obs, &error));
  g_assert_cmpstr(error->message, ==,
                  "JSON: \"summary\" must be an array of at most 256 elements and has 257");
}

static void test_not_an_object(void) {
  const char *const texts[] = {"[]", "1", "null", "\"frame\"", "{}"};
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    MnkObservation obs;
    g_autoptr(GError) error = NULL;
    g_assert_false(read_text(texts[i], &obs, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/wire/observation/frame", test_frame);
  g_test_add_func("/wire/observation/fields", test_fields);
  g_test_add_func("/wire/observation/duplicate", test_duplicate);
  g_test_add_func("/wire/observation/cut", test_cut);
  g_test_add_func("/wire/observation/full", test_full);
  g_test_add_func("/wire/observation/write-odd", test_write_odd);
  g_test_add_func("/wire/observation/refused", test_refused);
  g_test_add_func("/wire/observation/long-summary", test_long_summary);
  g_test_add_func("/wire/observation/not-an-object", test_not_an_object);
  return g_test_run();
}
