/* Perception as a whole: the stub, missing and damaged models, and real models on real pictures
 * where set-up has put them. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "models/models.h"
#include "vision/vision.h"

#define HINT "run ./dev setup"

static MnkFrame *flat_frame(int width, int height, guint8 r, guint8 g, guint8 b) {
  g_autofree guint8 *rgb = g_malloc((gsize)width * height * 3);

  for (int i = 0; i < width * height; i++) {
    rgb[3 * i] = r;
    rgb[3 * i + 1] = g;
    rgb[3 * i + 2] = b;
  }
  return mnk_frame_new_rgb(rgb, width, height, width * 3, 0);
}

/* ---- Stub ---- */

static void test_stub(void) {
  MnkPerceptionConfig config = {.parts = MNK_PART_ALL, .stub = TRUE, .threads = 1};
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkPerception) perception = mnk_perception_new(&config, &error);
  g_autoptr(MnkFrame) frame = flat_frame(64, 36, 230, 20, 20);
  MnkObservation obs = {.seq = 7, .n_faces = 3};
  guint n;

  g_assert_no_error(error);
  g_assert_cmpuint(mnk_perception_parts(perception), ==, MNK_PART_ALL);
  g_assert_true(mnk_perception_warm(perception, MNK_PART_ALL, &error));
  g_assert_true(mnk_perception_look(perception, frame, TRUE, &obs, &error));
  g_assert_cmpuint(obs.seq, ==, 7);
  g_assert_cmpuint(obs.n_labels, ==, 1);
  g_assert_cmpstr(obs.labels[0].name, ==, "strawberry");
  g_assert_cmpuint(obs.n_faces, ==, 0);
  g_assert_cmpfloat(obs.contrast, <, 0.01);
  g_assert_cmpfloat(obs.luma, >, 0.2);
  g_assert_cmpfloat(obs.luma, <, 0.3);
  const float *features = mnk_perception_features(perception, &n);
  g_assert_cmpuint(n, ==, 48);
  for (guint i = 0; i < n; i++)
    g_assert_cmpfloat_with_epsilon(features[i], i % 3 ? 20 / 255.0f : 230 / 255.0f, 0.001f);
}

static void test_wrong_frames(void) {
  MnkPerceptionConfig config = {.parts = MNK_PART_ALL, .stub = TRUE, .threads = 1};
  g_autoptr(MnkPerception) perception = mnk_perception_new(&config, NULL);
  g_autoptr(MnkFrame) large = flat_frame(2049, 4, 0, 0, 0);
  g_autoptr(GError) error = NULL;
  MnkObservation obs = {0};

  g_assert_false(mnk_perception_look(perception, large, TRUE, &obs, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_INTERNAL);
  g_clear_error(&error);
  MnkFrame other = *large;
  other.format = MNK_FRAME_I420;
  other.width = 16;
  g_assert_false(mnk_perception_look(perception, &other, TRUE, &obs, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_INTERNAL);
}

static void test_names(void) {
  g_assert_cmpstr(mnk_part_name(MNK_PART_SCENES), ==, "scenes");
  g_assert_cmpstr(mnk_part_name(MNK_PART_OBJECTS), ==, "objects");
  g_assert_cmpstr(mnk_part_name(MNK_PART_FACES), ==, "faces");
  g_assert_cmpstr(mnk_part_name(MNK_PART_POSE), ==, "pose");
  g_assert_cmpstr(mnk_part_name(MNK_PART_TEXT), ==, "text");
}

/* ---- Without the runtime: in a child, as the environment is for the whole process ---- */

static void test_no_runtime(void) {
  if (g_test_subprocess()) {
    MnkPerceptionConfig config = {.parts = MNK_PART_ALL, .threads = 1};
    g_autoptr(GError) error = NULL;
    g_setenv("MANAKO_OPENVINO", "/nonexistent/libopenvino_c.so", TRUE);
    g_assert_null(mnk_perception_new(&config, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_MODEL);
    g_assert_nonnull(strstr(error->message, "/nonexistent/libopenvino_c.so"));
    g_clear_error(&error);
    g_autofree char *version = mnk_perception_runtime_version(&error);
    g_assert_cmpstr(version, ==, "");
    g_assert_error(error, MNK_ERROR, MNK_ERROR_MODEL);
    g_clear_error(&error);
    /* A library of another kind. */
    g_setenv("MANAKO_OPENVINO", "libm.so.6", TRUE);
    g_assert_null(mnk_perception_new(&config, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_MODEL);
    g_assert_nonnull(strstr(error->message, "ov_get_openvino_version"));
    return;
  }
  g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
  g_test_trap_assert_passed();
}

/* ---- With it ---- */

typedef struct {
  char *dir, *cache;
} Folder;

static void folder_clear(Folder *folder) {
  for (guint i = 0; folder->dir && mnk_models_at(i); i++) {
    g_autofree char *path = mnk_models_path(folder->dir, mnk_models_at(i));
    g_remove(path);
  }
  if (folder->dir)
    g_rmdir(folder->dir);
  g_free(folder->dir);
  g_free(folder->cache);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Folder, folder_clear)

static gboolean have_models(void) {
  g_autofree char *dir = mnk_models_dir(NULL);
  g_autofree char *version = mnk_perception_runtime_version(NULL);
  static const char *const names[] = {"scenes",         "objects",       "faces",
                                      "face-landmarks", "pose-detect",   "pose-landmarks",
                                      "text-detect",    "text-recognise"};

  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    if (mnk_models_check(dir, mnk_models_find(names[i]), FALSE, NULL) != MNK_MODEL_OK)
      version[0] = '\0';
  if (!version[0])
    g_test_skip("the models or their runtime are not here: " HINT);
  return version[0] != '\0';
}

static char *compiled_cache(void) {
  g_autofree char *cache = mnk_path_cache();

  return g_build_filename(cache, "compiled", NULL);
}

/* A models folder of links to the real files. */
static void folder_init(Folder *folder) {
  g_autofree char *real = mnk_models_dir(NULL);

  folder->dir = g_dir_make_tmp("manako-models-XXXXXX", NULL);
  folder->cache = compiled_cache();
  for (guint i = 0; mnk_models_at(i); i++) {
    g_autofree char *from = mnk_models_path(real, mnk_models_at(i));
    g_autofree char *to = mnk_models_path(folder->dir, mnk_models_at(i));
    if (g_file_test(from, G_FILE_TEST_EXISTS))
      g_assert_cmpint(symlink(from, to), ==, 0);
  }
}

typedef enum { GONE, TEXT_FILE, CUT_OFF, GARBAGE_OF_SAME_SIZE, DAMAGES } Damage;

static void damage(const Folder *folder, const char *name, Damage how) {
  const MnkModelEntry *entry = mnk_models_find(name);
  g_autofree char *path = mnk_models_path(folder->dir, entry);
  g_autofree char *real_dir = mnk_models_dir(NULL);
  g_autofree char *real = mnk_models_path(real_dir, entry);
  g_autofree char *bytes = NULL;
  gsize n = 0;

  g_assert_cmpint(g_remove(path), ==, 0);
  if (how == GONE)
    return;
  g_assert_true(g_file_get_contents(real, &bytes, &n, NULL));
  if (how == TEXT_FILE)
    n = (gsize)g_snprintf(bytes, n, "not a model");
  else if (how == CUT_OFF)
    n /= 2;
  else
    for (gsize i = 0; i < n; i++)
      bytes[i] = (char)(i * 7919 >> 3);
  g_assert_true(g_file_set_contents(path, bytes, (gssize)n, NULL));
}

/* One part's model is damaged: that part says so, the others see. */
static void test_damaged_model(gconstpointer data) {
  Damage how = (Damage)GPOINTER_TO_INT(data);
  g_auto(Folder) folder = {0};
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkFrame) frame = flat_frame(320, 180, 90, 120, 160);
  MnkObservation obs = {0};
  gint64 us;
  guint64 runs;

  if (!have_models())
    return;
  folder_init(&folder);
  damage(&folder, "objects", how);
  MnkPerceptionConfig config = {.models_dir = folder.dir,
                                .cache_dir = folder.cache,
                                .threads = 1,
                                .parts = MNK_PART_SCENES | MNK_PART_OBJECTS | MNK_PART_FACES};
  g_autoptr(MnkPerception) perception = mnk_perception_new(&config, &error);
  g_assert_no_error(error);
  g_assert_true(mnk_perception_look(perception, frame, TRUE, &obs, &error));
  g_assert_cmpuint(mnk_perception_parts(perception), ==, MNK_PART_ALL & ~MNK_PART_OBJECTS);
  const char *fault = mnk_perception_fault(perception, MNK_PART_OBJECTS);
  g_assert_nonnull(fault);
  g_assert_nonnull(strstr(fault, mnk_models_find("objects")->file));
  g_assert_null(strchr(fault, '\n'));
  g_assert_cmpuint(obs.n_objects, ==, 0);
  mnk_perception_times(perception, MNK_PART_SCENES, &us, &runs);
  g_assert_cmpuint(runs, ==, 1);
  mnk_perception_times(perception, MNK_PART_OBJECTS, &us, &runs);
  g_assert_cmpuint(runs, ==, 0);
  /* It stays off, and warming it alone is an error. */
  g_assert_false(mnk_perception_warm(perception, MNK_PART_OBJECTS, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_MODEL);
}

static void test_nothing_works(void) {
  g_auto(Folder) folder = {0};
  g_autoptr(GError) error = NULL;

  if (!have_models())
    return;
  folder_init(&folder);
  damage(&folder, "objects", GONE);
  MnkPerceptionConfig config = {.models_dir = folder.dir, .threads = 1, .parts = MNK_PART_OBJECTS};
  g_assert_null(mnk_perception_new(&config, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_MODEL);
  g_assert_nonnull(strstr(error->message, mnk_models_find("objects")->file));
}

/* Half of the text part's pair is damaged: the part is off as a whole and leaves nothing behind. */
static void test_half_a_part(void) {
  g_auto(Folder) folder = {0};
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkFrame) frame = flat_frame(320, 180, 90, 120, 160);
  MnkObservation obs = {0};

  if (!have_models())
    return;
  folder_init(&folder);
  damage(&folder, "text-recognise", GARBAGE_OF_SAME_SIZE);
  MnkPerceptionConfig config = {.models_dir = folder.dir,
                                .cache_dir = folder.cache,
                                .threads = 1,
                                .parts = MNK_PART_TEXT | MNK_PART_SCENES};
  g_autoptr(MnkPerception) perception = mnk_perception_new(&config, &error);
  g_assert_no_error(error);
  g_assert_true(mnk_perception_look(perception, frame, TRUE, &obs, &error));
  g_assert_nonnull(mnk_perception_fault(perception, MNK_PART_TEXT));
  g_assert_null(mnk_perception_fault(perception, MNK_PART_SCENES));
  g_assert_false(obs.text_ran);
}

static void test_damaged_cache(void) {
  g_auto(Folder) folder = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *cache = NULL;
  const char *name;
  guint files = 0;

  if (!have_models())
    return;
  folder_init(&folder);
  cache = g_dir_make_tmp("manako-cache-XXXXXX", &error);
  MnkPerceptionConfig config = {
      .models_dir = folder.dir, .cache_dir = cache, .threads = 1, .parts = MNK_PART_FACES};
  for (int round = 0; round < 2; round++) {
    g_autoptr(MnkPerception) perception = mnk_perception_new(&config, &error);
    g_assert_no_error(error);
    g_assert_true(mnk_perception_warm(perception, MNK_PART_FACES, &error));
    g_autoptr(GDir) dir = g_dir_open(cache, 0, NULL);
    while ((name = g_dir_read_name(dir))) {
      g_autofree char *path = g_build_filename(cache, name, NULL);
      g_remove(path);
      if (round == 0) {
        files++;
        g_assert_true(g_file_set_contents(path, "damaged", -1, NULL));
      }
    }
  }
  g_assert_cmpuint(files, >, 0);
  g_rmdir(cache);
}

/* ---- Real pictures ---- */

/* The first frame of a picture or video of the test data; NULL and a skip when it is not there. */
static MnkFrame *picture(const char *name) {
  g_autofree char *cache = mnk_path_cache();
  g_autofree char *path = g_build_filename(cache, "testdata", "skimage", name, NULL);
  g_autoptr(GError) error = NULL;
  int fd = g_open(path, O_RDONLY | O_CLOEXEC, 0);
  MnkSourceConfig config = {.kind = MNK_SOURCE_FILE,
                            .address = name,
                            .fd = fd,
                            .fps = 1,
                            .to_ms = -1,
                            .max_pixels = 1 << 24};
  g_autoptr(MnkFrame) frame = NULL;
  g_autoptr(MnkAudio) audio = NULL;

  if (fd < 0) {
    g_test_skip("the test pictures are not here: " HINT);
    return NULL;
  }
  g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
  g_assert_no_error(error);
  g_assert_cmpint(mnk_source_read(source, &frame, &audio, &error), ==, MNK_READ_FRAME);
  MnkFrame *rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, 960, &error);
  g_assert_no_error(error);
  return rgb;
}

static const MnkDetection *find(const MnkDetection *list, guint n, const char *name) {
  for (guint i = 0; i < n; i++)
    if (g_str_equal(list[i].name, name))
      return &list[i];
  return NULL;
}

static MnkPerception *real_perception(guint parts) {
  g_autofree char *cache = compiled_cache();
  MnkPerceptionConfig config = {.cache_dir = cache, .threads = 1, .parts = parts};
  g_autoptr(GError) error = NULL;
  MnkPerception *perception = mnk_perception_new(&config, &error);

  g_assert_no_error(error);
  return perception;
}

static gboolean look_at(const char *name, guint parts, MnkObservation *obs) {
  g_autoptr(GError) error = NULL;

  if (!have_models())
    return FALSE;
  g_autoptr(MnkFrame) frame = picture(name);
  if (!frame)
    return FALSE;
  g_autoptr(MnkPerception) perception = real_perception(parts);
  g_assert_true(mnk_perception_look(perception, frame, TRUE, obs, &error));
  g_assert_no_error(error);
  g_assert_cmpuint(mnk_perception_parts(perception), ==, MNK_PART_ALL);
  return TRUE;
}

static void test_person_with_face(void) {
  MnkObservation obs = {0};

  if (!look_at("astronaut.png", MNK_PART_OBJECTS | MNK_PART_FACES | MNK_PART_POSE, &obs))
    return;
  const MnkDetection *person = find(obs.objects, obs.n_objects, "person");
  g_assert_nonnull(person);
  g_assert_cmpfloat(person->box.x, <, 0.1);
  g_assert_cmpfloat(person->box.h, >, 0.9);
  g_assert_cmpuint(obs.n_faces, ==, 1);
  /* Round the face, which lies at 0.33..0.55 by 0.12..0.34 of the picture. */
  g_assert_cmpfloat(obs.faces[0].box.x, >, 0.28);
  g_assert_cmpfloat(obs.faces[0].box.x + obs.faces[0].box.w, <, 0.60);
  g_assert_cmpfloat(obs.faces[0].box.y, >, 0.08);
  g_assert_cmpfloat(obs.faces[0].box.y + obs.faces[0].box.h, <, 0.42);
  /* The legs are not in the picture. */
  for (guint i = 0; i < obs.n_poses; i++)
    g_assert_cmpstr(obs.poses[i].name, ==, "");
}

static void test_cat(void) {
  MnkObservation obs = {0};

  if (!look_at("chelsea.png", MNK_PART_SCENES | MNK_PART_OBJECTS | MNK_PART_FACES, &obs))
    return;
  g_assert_cmpuint(obs.n_labels, >, 0);
  g_assert_cmpstr(obs.labels[0].name, ==, "cat");
  g_assert_cmpfloat(obs.labels[0].score, >, 0.7);
  g_assert_nonnull(find(obs.objects, obs.n_objects, "cat"));
  g_assert_null(find(obs.objects, obs.n_objects, "dog"));
  g_assert_cmpuint(obs.n_faces, ==, 0);
}

static void test_text(void) {
  MnkObservation obs = {0};
  gboolean found = FALSE;

  if (!look_at("page.png", MNK_PART_TEXT, &obs))
    return;
  g_assert_true(obs.text_ran);
  for (guint i = 0; i < obs.n_texts; i++)
    found |= g_str_equal(obs.texts[i].text, "Region-based segmentation");
  g_assert_true(found);
}

static void test_text_runs_on_change_only(void) {
  g_autoptr(GError) error = NULL;
  MnkObservation obs = {0};
  gint64 us;
  guint64 runs;
  guint n;

  if (!have_models())
    return;
  g_autoptr(MnkFrame) page = picture("page.png"), blank = flat_frame(384, 191, 200, 200, 200);
  if (!page)
    return;
  g_autoptr(MnkPerception) perception = real_perception(MNK_PART_TEXT);
  for (int i = 0; i < 2; i++) {
    g_assert_true(mnk_perception_look(perception, page, FALSE, &obs, &error));
    g_assert_true(obs.text_ran == (i == 0));
    g_assert_true((obs.n_texts > 0) == (i == 0));
  }
  g_assert_true(mnk_perception_look(perception, blank, FALSE, &obs, &error));
  g_assert_true(obs.text_ran); /* the words are gone */
  g_assert_cmpuint(obs.n_texts, ==, 0);
  g_assert_true(mnk_perception_look(perception, blank, TRUE, &obs, &error));
  g_assert_true(obs.text_ran); /* a new shot is always searched */
  mnk_perception_times(perception, MNK_PART_TEXT, &us, &runs);
  g_assert_cmpuint(runs, ==, 4);
  g_assert_null(mnk_perception_features(perception, &n));
}

static void test_parts_follow_settings(void) {
  g_autoptr(GError) error = NULL;
  MnkObservation obs = {0};
  guint n;

  if (!have_models())
    return;
  g_autoptr(MnkFrame) frame = flat_frame(33, 700, 60, 60, 60);
  g_autoptr(MnkPerception) perception = real_perception(MNK_PART_SCENES);
  mnk_perception_set_parts(perception, 0);
  g_assert_true(mnk_perception_look(perception, frame, TRUE, &obs, &error));
  g_assert_null(mnk_perception_features(perception, &n));
  mnk_perception_set_parts(perception, MNK_PART_ALL); /* all, on an odd shape */
  g_assert_true(mnk_perception_look(perception, frame, TRUE, &obs, &error));
  const float *features = mnk_perception_features(perception, &n);
  g_assert_cmpuint(n, ==, 1280);
  float sum = 0;
  for (guint i = 0; i < n; i++)
    sum += features[i];
  g_assert_cmpfloat(sum, >, 0);
  g_assert_cmpuint(mnk_perception_parts(perception), ==, MNK_PART_ALL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  /* Faults are logged as warnings of our own, not GLib's; they may be. */
  mnk_log_set_level(MNK_LOG_ERROR);
  g_test_add_func("/perception/stub", test_stub);
  g_test_add_func("/perception/wrong-frames", test_wrong_frames);
  g_test_add_func("/perception/names", test_names);
  g_test_add_func("/perception/no-runtime", test_no_runtime);
  static const char *const damages[DAMAGES] = {"gone", "text", "cut-off", "garbage"};
  for (int i = 0; i < DAMAGES; i++) {
    g_autofree char *path = g_strdup_printf("/perception/damaged-model/%s", damages[i]);
    g_test_add_data_func(path, GINT_TO_POINTER(i), test_damaged_model);
  }
  g_test_add_func("/perception/nothing-works", test_nothing_works);
  g_test_add_func("/perception/half-a-part", test_half_a_part);
  g_test_add_func("/perception/damaged-cache", test_damaged_cache);
  g_test_add_func("/perception/real/person-with-face", test_person_with_face);
  g_test_add_func("/perception/real/cat", test_cat);
  g_test_add_func("/perception/real/text", test_text);
  g_test_add_func("/perception/real/text-on-change", test_text_runs_on_change_only);
  g_test_add_func("/perception/real/parts", test_parts_follow_settings);
  return g_test_run();
}
