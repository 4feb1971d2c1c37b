/* Pairs of files by their headers: what they are, and that each kind of wrong one is refused with a
 * sentence that says what is wrong. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "tiny.h"
#include "vlm/families_priv.h"
#include "vlm/footprint_priv.h"

/* ---- Good pairs ---- */

static const struct {
  const char *family, *architecture, *projector;
  MnkVlmFamily kind;
  guint dim, layers;
  guint64 kv_bytes;
} pairs[] = {
    {"qwen25vl", "qwen2vl", "qwen2.5vl_merger", MNK_VLM_QWEN, 128, 2, 512},
    {"smolvlm", "llama", "idefics3", MNK_VLM_SMOLVLM, 128, 2, 512},
    {"gemma3", "gemma3", "gemma3", MNK_VLM_GEMMA, 128, 6, 1536},
    {"colour", "qwen2vl", "qwen2.5vl_merger", MNK_VLM_QWEN, 128, 2, 1024},
};

static void test_pairs(void) {
  g_autoptr(GHashTable) hashes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
    g_auto(TinyPair) pair = {0};
    tiny_pair(&pair, pairs[i].family);
    MnkVlmFiles files, alone;
    g_autoptr(GError) error = NULL;
    mnk_vlm_inspect(pair.model, pair.mmproj, 4096, &files, &error);
    g_assert_no_error(error);
    g_assert_cmpint(files.family, ==, pairs[i].kind);
    g_assert_cmpstr(files.architecture, ==, pairs[i].architecture);
    g_assert_cmpstr(files.projector, ==, pairs[i].projector);
    g_assert_cmpuint(files.dim, ==, pairs[i].dim);
    g_assert_cmpuint(files.layers, ==, pairs[i].layers);
    g_assert_cmpuint(files.kv_bytes, ==, pairs[i].kv_bytes);
    g_assert_cmpuint(files.needed, >, files.model_bytes + files.projector_bytes);
    g_assert_cmpuint(strlen(files.hash), ==, 64);
    g_assert_true(g_hash_table_add(hashes, g_strdup(files.hash)));

    mnk_vlm_inspect(pair.model, NULL, 4096, &alone, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(alone.projector_bytes, ==, 0);
    g_assert_cmpuint(alone.needed, <, files.needed);
    g_assert_true(g_hash_table_add(hashes, g_strdup(alone.hash)));
  }
}

/* ---- Wrong ones ---- */

typedef struct {
  char *folder, *model, *mmproj, *other; /* other: a file of the case's own */
} Place;

static void place_init(Place *place) {
  g_autoptr(GError) error = NULL;
  place->folder = g_dir_make_tmp("manako-vlm-XXXXXX", &error);
  g_assert_no_error(error);
  place->model = tiny_path("qwen25vl", "model.gguf");
  place->mmproj = tiny_path("qwen25vl", "mmproj.gguf");
  place->other = g_build_filename(place->folder, "other.gguf", NULL);
}

static void place_clear(Place *place) {
  g_remove(place->other);
  g_rmdir(place->folder);
  g_free(place->folder);
  g_free(place->model);
  g_free(place->mmproj);
  g_free(place->other);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Place, place_clear)

/* Both ways to the file say the same, and name it. */
static void expect(const char *model, const char *mmproj, const char *named, MnkErrorCode code,
                   const char *what) {
  MnkVlmFiles files;
  MnkVlmConfig config;
  g_autoptr(GError) error = NULL, load_error = NULL;
  g_assert_false(mnk_vlm_inspect(model, mmproj, 4096, &files, &error));
  g_assert_error(error, MNK_ERROR, (gint)code);
  if (!strstr(error->message, named) || !strstr(error->message, what))
    g_error("\"%s\" does not say \"%s\" of %s", error->message, what, named);
  mnk_vlm_config_init(&config);
  config.model = model;
  config.mmproj = mmproj;
  config.context = 4096;
  g_assert_null(mnk_vlm_load(&config, &load_error));
  g_assert_error(load_error, MNK_ERROR, (gint)code);
  g_assert_cmpstr(load_error->message, ==, error->message);
}

static void expect_both(const Place *place, MnkErrorCode code, const char *what) {
  expect(place->other, place->mmproj, place->other, code, what);
  expect(place->model, place->other, place->other, code, what);
}

static void put(const Place *place, const void *bytes, gsize size) {
  FILE *file = g_fopen(place->other, "wb");
  g_assert_nonnull(file);
  g_assert_cmpuint(size == 0 ? 0 : fwrite(bytes, 1, size, file), ==, size);
  g_assert_cmpint(fclose(file), ==, 0);
}

static void test_no_model_files(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  expect_both(&place, MNK_ERROR_NOT_FOUND, "cannot be opened: No such file");
  put(&place, "", 0);
  expect_both(&place, MNK_ERROR_BAD_INPUT, "is empty");
  guint8 noise[5000];
  for (guint i = 0; i < sizeof noise; i++)
    noise[i] = (guint8)(i * 131 + i / 7);
  put(&place, noise, sizeof noise);
  expect_both(&place, MNK_ERROR_BAD_INPUT, "no magic number");
  memcpy(noise, "GGUF\3\0\0\0", 8);
  put(&place, noise, sizeof noise);
  expect_both(&place, MNK_ERROR_BAD_INPUT, "is damaged");
  expect(place.folder, place.mmproj, place.folder, MNK_ERROR_BAD_INPUT, "is a folder");
  expect(place.model, place.folder, place.folder, MNK_ERROR_BAD_INPUT, "is a folder");
  expect("/dev/null", place.mmproj, "/dev/null", MNK_ERROR_BAD_INPUT, "is no regular file");
}

static void test_cut_off(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  for (guint second = 0; second < 2; second++) {
    const char *path = second ? place.mmproj : place.model;
    char *bytes = NULL;
    gsize size;
    g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    const gsize cuts[] = {4, 23, 24, 100, 4000, size / 2, size - 1};
    for (guint i = 0; i < G_N_ELEMENTS(cuts); i++) {
      put(&place, bytes, cuts[i]);
      expect(second ? place.model : place.other, second ? place.other : place.mmproj, place.other,
             MNK_ERROR_BAD_INPUT, "is damaged");
    }
    g_free(bytes);
  }
}

static void test_mismatched(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autofree char *smol = tiny_path("smolvlm", "model.gguf");
  g_autofree char *smol_tower = tiny_path("smolvlm", "mmproj.gguf");
  g_autofree char *gemma_tower = tiny_path("gemma3", "mmproj.gguf");
  expect(place.mmproj, place.mmproj, place.mmproj, MNK_ERROR_CONFIG, "is a projector (mmproj)");
  expect(place.model, place.model, place.model, MNK_ERROR_CONFIG, "is a language model (qwen2vl)");
  expect(place.model, smol_tower, smol_tower, MNK_ERROR_CONFIG, "it is for SmolVLM, and");
  expect(place.model, gemma_tower, gemma_tower, MNK_ERROR_CONFIG, "it is for Gemma 3, and");
  expect(smol, place.mmproj, place.mmproj, MNK_ERROR_CONFIG, "it is for Qwen2.5-VL, and");
}

/* ---- A text model in parts ---- */

enum { PARTS = 3 };

/* A folder with the three parts of the tiny model, to do harm to, and a fourth file. */
typedef struct {
  char *folder, *parts[PARTS], *other, *mmproj;
} Split;

static void copy(const char *from, const char *to) {
  g_autofree char *bytes = NULL;
  gsize size;
  g_assert_true(g_file_get_contents(from, &bytes, &size, NULL));
  g_assert_true(g_file_set_contents(to, bytes, (gssize)size, NULL));
}

static void split_restore(const Split *split) {
  for (guint i = 0; i < PARTS; i++) {
    g_autofree char *name = g_path_get_basename(split->parts[i]);
    g_autofree char *good = tiny_path("split", name);
    copy(good, split->parts[i]);
  }
}

static void split_init(Split *split) {
  split->folder = g_dir_make_tmp("manako-vlm-XXXXXX", NULL);
  g_assert_nonnull(split->folder);
  for (guint i = 0; i < PARTS; i++)
    split->parts[i] = g_strdup_printf("%s/model-%05u-of-00003.gguf", split->folder, i + 1);
  split->other = g_build_filename(split->folder, "other.gguf", NULL);
  split->mmproj = tiny_path("split", "mmproj.gguf");
  split_restore(split);
}

static void split_clear(Split *split) {
  for (guint i = 0; i < PARTS; i++) {
    g_remove(split->parts[i]);
    g_free(split->parts[i]);
  }
  g_remove(split->other);
  g_rmdir(split->folder);
  g_free(split->folder);
  g_free(split->other);
  g_free(split->mmproj);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Split, split_clear)

/* Rewrites a key's number of two bytes, or of four. */
static void set_number(const char *path, const char *key, guint size, guint32 value) {
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  char *found = memmem(bytes, length, key, strlen(key));
  g_assert_nonnull(found);
  guint32 little = GUINT32_TO_LE(value);
  memcpy(found + strlen(key) + 4, &little, size);
  g_assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
}

static guint64 size_of(const char *path) {
  GStatBuf st;
  g_assert_cmpint(g_stat(path, &st), ==, 0);
  return (guint64)st.st_size;
}

/* All of it is counted, wherever the table of words is. */
static void test_parts(void) {
  const struct {
    const char *split, *whole;
    guint parts;
  } models[] = {{"split", "qwen25vl", 3}, {"split-bare", "gemma3", 2}};
  for (guint i = 0; i < G_N_ELEMENTS(models); i++) {
    g_autofree char *first =
        g_strdup_printf("%s/%s/model-00001-of-%05u.gguf", g_getenv("MANAKO_TINY_MODELS"),
                        models[i].split, models[i].parts);
    g_autofree char *mmproj = tiny_path(models[i].split, "mmproj.gguf");
    g_auto(TinyPair) pair = {0};
    tiny_pair(&pair, models[i].whole);
    MnkVlmFiles files, whole;
    g_autoptr(GError) error = NULL;
    mnk_vlm_inspect(first, mmproj, 4096, &files, &error);
    g_assert_no_error(error);
    mnk_vlm_inspect(pair.model, pair.mmproj, 4096, &whole, &error);
    g_assert_no_error(error);
    guint64 bytes = 0;
    for (guint part = 1; part <= models[i].parts; part++) {
      guint own;
      g_autofree char *path = mnk_vlm_part(first, part, NULL);
      g_autofree char *again = mnk_vlm_part(path, 1, &own);
      g_assert_cmpstr(again, ==, first);
      g_assert_cmpuint(own, ==, part);
      bytes += size_of(path);
    }
    g_assert_cmpuint(files.parts, ==, models[i].parts);
    g_assert_cmpuint(whole.parts, ==, 1);
    g_assert_cmpuint(files.model_bytes, ==, bytes);
    g_assert_cmpuint(files.model_bytes, >=, whole.model_bytes);
    g_assert_cmpuint(files.needed, >=, whole.needed);
    g_assert_cmpuint(files.tensors, ==, whole.tensors);
    g_assert_cmpuint(files.parameters, ==, whole.parameters);
    g_assert_cmpuint(files.dim, ==, whole.dim);
    g_assert_cmpuint(files.kv_bytes, ==, whole.kv_bytes);
    g_assert_cmpstr(files.hash, !=, whole.hash);
  }
}

static void test_names_of_parts(void) {
  const char *const others[] = {"model.gguf",
                                "-00001-of-00002.gguf",
                                "m-0001-of-00002.gguf",
                                "m-00001-of-00002.GGUF",
                                "m-0000x-of-00002.gguf",
                                "m-00001-of-0000x.gguf",
                                "m_00001-of-00002.gguf",
                                ""};
  for (guint i = 0; i < G_N_ELEMENTS(others); i++)
    g_assert_null(mnk_vlm_part(others[i], 1, NULL));
}

static void test_a_part_that_is_not_there(void) {
  g_auto(Split) split = {0};
  split_init(&split);
  for (guint i = 1; i < PARTS; i++) {
    g_remove(split.parts[i]);
    expect(split.parts[0], split.mmproj, split.parts[i], MNK_ERROR_NOT_FOUND, "is missing");
    split_restore(&split);
  }
  expect(split.parts[2], split.mmproj, split.parts[0], MNK_ERROR_CONFIG,
         "is part 3 of 3 of a model; give its first part");
  g_remove(split.parts[0]);
  expect(split.parts[1], split.mmproj, split.parts[0], MNK_ERROR_NOT_FOUND, "whose first part");
  copy(split.parts[1], split.other);
  expect(split.other, split.mmproj, split.other, MNK_ERROR_CONFIG, "give its first part");
  split_restore(&split);
  copy(split.parts[0], split.other);
  expect(split.other, split.mmproj, split.other, MNK_ERROR_CONFIG,
         "does not end with -00001-of-00003.gguf");
}

static void test_a_part_that_is_wrong(void) {
  g_auto(Split) split = {0};
  split_init(&split);
  g_autofree char *whole = tiny_path("qwen25vl", "model.gguf");
  g_autofree char *stranger = tiny_path("split-bare", "model-00002-of-00002.gguf");
  const char *first = split.parts[0], *second = split.parts[1];
  copy(split.parts[2], second);
  expect(first, split.mmproj, second, MNK_ERROR_BAD_INPUT, "is part 3 of 3, and not 2 of 3");
  copy(whole, second);
  expect(first, split.mmproj, second, MNK_ERROR_BAD_INPUT, "is no part of a model");
  copy(stranger, second);
  expect(first, split.mmproj, second, MNK_ERROR_BAD_INPUT, "is part 2 of 2, and not 2 of 3");
  set_number(second, "split.count", 2, PARTS);
  expect(first, split.mmproj, second, MNK_ERROR_BAD_INPUT, "is a part of another model");
  copy(first, second);
  set_number(second, "split.no", 2, 1);
  expect(first, split.mmproj, second, MNK_ERROR_BAD_INPUT, "the table of words");
  g_assert_cmpint(truncate(second, 5000), ==, 0);
  expect(first, split.mmproj, second, MNK_ERROR_BAD_INPUT, "is damaged");
  split_restore(&split);
  for (guint i = 0; i < PARTS; i++)
    set_number(split.parts[i], "split.tensors.count", 4, 27);
  expect(first, split.mmproj, first, MNK_ERROR_BAD_INPUT, "26 tensors together, where 27 belong");
  set_number(first, "split.count", 2, 65);
  expect(first, split.mmproj, first, MNK_ERROR_LIMIT, "65 parts, over the limit of 64");
}

/* ---- Headers made here ---- */

enum { U32 = 4, STRING = 8, ARRAY = 9 };

static void add_number(GByteArray *file, guint64 value, guint size) {
  for (guint i = 0; i < size; i++) {
    guint8 byte = (guint8)(value >> (8 * i));
    g_byte_array_append(file, &byte, 1);
  }
}

static void add_zeros(GByteArray *file, guint n) {
  while (n-- > 0)
    add_number(file, 0, 1);
}

static void add_text(GByteArray *file, const char *text) {
  add_number(file, strlen(text), 8);
  g_byte_array_append(file, (const guint8 *)text, (guint)strlen(text));
}

static void add_key(GByteArray *file, const char *key, const char *text, guint32 number) {
  add_text(file, key);
  add_number(file, text ? STRING : U32, 4);
  if (text)
    add_text(file, text);
  else
    add_number(file, number, 4);
}

typedef struct {
  guint32 width, layers, heads, head_width, vocabulary;
} Shape;

/* A text model's header, with a table of words and nothing else. */
static GByteArray *text_header(const Shape *shape) {
  GByteArray *file = g_byte_array_new();
  g_byte_array_append(file, (const guint8 *)"GGUF\3\0\0\0", 8);
  add_number(file, 1, 8);
  add_number(file, 7, 8);
  add_key(file, "general.architecture", "qwen2vl", 0);
  add_key(file, "qwen2vl.embedding_length", NULL, shape->width);
  add_key(file, "qwen2vl.block_count", NULL, shape->layers);
  add_key(file, "qwen2vl.attention.head_count", NULL, shape->heads);
  add_key(file, "qwen2vl.attention.key_length", NULL, shape->head_width);
  add_key(file, "qwen2vl.attention.value_length", NULL, shape->head_width);
  add_text(file, "tokenizer.ggml.tokens");
  add_number(file, ARRAY, 4);
  add_number(file, 0, 4);
  add_number(file, shape->vocabulary, 8);
  add_zeros(file, shape->vocabulary);
  add_text(file, "token_embd.weight");
  add_number(file, 2, 4);
  add_number(file, 64, 8);
  add_number(file, 2, 8);
  add_number(file, 0, 4);
  add_number(file, 0, 8);
  add_zeros(file, (32 - file->len % 32) % 32);
  add_zeros(file, 64 * 2 * 4);
  return file;
}

static const struct {
  const char *what;
  Shape shape;
} shapes[] = {
    {"0 layers", {64, 0, 4, 16, 2}},          {"100000 layers", {64, 100000, 4, 16, 2}},
    {"its width is 0", {0, 2, 4, 16, 2}},     {"0 attention heads", {64, 2, 0, 16, 2}},
    {"65 attention", {64, 2, 65, 16, 2}},     {"too wide", {64, 2, 4, 1 << 20, 2}},
    {"has no vocabulary", {64, 2, 4, 16, 0}}, {"table of words", {64, 2, 4, 16, 3}},
    {"table of words", {32, 2, 4, 16, 2}},
};

static void test_numbers_that_cannot_be(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
    g_autoptr(GByteArray) file = text_header(&shapes[i].shape);
    put(&place, file->data, file->len);
    expect(place.other, NULL, place.other, MNK_ERROR_BAD_INPUT, shapes[i].what);
  }
}

/* The library that reads towers knows no parts. */
static void test_a_projector_in_parts(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(GByteArray) file = g_byte_array_new();
  g_byte_array_append(file, (const guint8 *)"GGUF\3\0\0\0", 8);
  add_number(file, 0, 8);
  add_number(file, 3, 8);
  add_key(file, "general.architecture", "clip", 0);
  add_key(file, "split.no", NULL, 0);
  add_key(file, "split.count", NULL, 2);
  put(&place, file->data, file->len);
  expect(place.model, place.other, place.other, MNK_ERROR_UNSUPPORTED,
         "is one of 2 parts of a projector");
}

static void test_too_little_memory(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(GByteArray) file = text_header(&(Shape){64, 1000, 64, 65536, 2});
  put(&place, file->data, file->len);
  MnkVlmFiles files;
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_vlm_inspect(place.other, NULL, 262144, &files, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  /* 1000 layers x 64 heads x 2 x 65536 x 2 bytes x 262144 tokens */
  g_assert_nonnull(strstr(error->message, "4398046.5 GB for a context of 262144 tokens"));
  g_assert_nonnull(strstr(error->message, " are free"));
}

/* ---- How much there is ---- */

static void test_memory(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autofree char *current = g_build_filename(place.folder, "current", NULL);
  g_autofree char *stat = g_build_filename(place.folder, "stat", NULL);
  const char *text = "MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:     250 kB\n";
  put(&place, text, strlen(text));
  g_assert_cmpuint(mnk_vlm_memory_of_machine(place.other), ==, 250 * 1024);
  g_assert_cmpuint(mnk_vlm_memory_of_machine(stat), ==, G_MAXUINT64);

  put(&place, "1000\n", 5);
  g_assert_true(g_file_set_contents(current, "900\n", -1, NULL));
  g_assert_cmpuint(mnk_vlm_memory_of_group(place.other, current, stat), ==, 100);
  g_assert_true(g_file_set_contents(stat, "anon 5\ninactive_file 300\nactive_file 50\n", -1, NULL));
  g_assert_cmpuint(mnk_vlm_memory_of_group(place.other, current, stat), ==, 450);
  g_assert_true(g_file_set_contents(current, "5000\n", -1, NULL));
  g_assert_cmpuint(mnk_vlm_memory_of_group(place.other, current, stat), ==, 0);
  put(&place, "max\n", 4);
  g_assert_cmpuint(mnk_vlm_memory_of_group(place.other, current, stat), ==, G_MAXUINT64);
  g_remove(current);
  g_remove(stat);
  g_assert_cmpuint(mnk_vlm_memory_available(), >, 1 << 20);
}

static void test_families(void) {
  g_assert_null(mnk_vlm_projector_find("ultravox"));
  const MnkVlmProjector *internvl = mnk_vlm_projector_find("internvl");
  g_assert_nonnull(internvl);
  g_assert_true(mnk_vlm_projector_fits(internvl, "qwen3"));
  g_assert_false(mnk_vlm_projector_fits(internvl, "gemma3"));
}

/* ---- Settings ---- */

static void test_settings_that_cannot_be(void) {
  for (guint i = 0; i < 8; i++) {
    g_auto(TinyPair) pair = {0};
    tiny_pair(&pair, "qwen25vl");
    guint *const fields[] = {&pair.config.context, &pair.config.sequences, &pair.config.micro_batch,
                             &pair.config.image_tokens};
    *fields[i % 4] = i < 4 ? 0 : 300000;
    g_autoptr(GError) error = NULL;
    g_assert_null(mnk_vlm_load(&pair.config, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
    g_assert_nonnull(strstr(error->message, "is not between"));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/vlm/files/pairs", test_pairs);
  g_test_add_func("/vlm/files/no-model-files", test_no_model_files);
  g_test_add_func("/vlm/files/cut-off", test_cut_off);
  g_test_add_func("/vlm/files/mismatched", test_mismatched);
  g_test_add_func("/vlm/files/parts", test_parts);
  g_test_add_func("/vlm/files/names-of-parts", test_names_of_parts);
  g_test_add_func("/vlm/files/a-part-that-is-not-there", test_a_part_that_is_not_there);
  g_test_add_func("/vlm/files/a-part-that-is-wrong", test_a_part_that_is_wrong);
  g_test_add_func("/vlm/files/numbers-that-cannot-be", test_numbers_that_cannot_be);
  g_test_add_func("/vlm/files/a-projector-in-parts", test_a_projector_in_parts);
  g_test_add_func("/vlm/files/too-little-memory", test_too_little_memory);
  g_test_add_func("/vlm/files/memory", test_memory);
  g_test_add_func("/vlm/files/families", test_families);
  g_test_add_func("/vlm/files/settings-that-cannot-be", test_settings_that_cannot_be);
  return g_test_run();
}
