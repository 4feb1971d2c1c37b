/* GGUF files, put together value by value. */
#include "wire/probe.h"

#include "base/error.h"

#include "guard.h"

/* Two tensors: four by four floats, and one. */
enum { DATA = 64 + 4 };

enum { U8 = 0, U32 = 4, I32 = 5, F32 = 6, STRING = 8, ARRAY = 9, U64 = 10, I64 = 11 };

static void add_uint(GByteArray *file, guint64 value, guint size) {
  for (guint i = 0; i < size; i++) {
    guint8 byte = (guint8)(value >> (8 * i));
    g_byte_array_append(file, &byte, 1);
  }
}

static void add_string(GByteArray *file, const char *text) {
  add_uint(file, strlen(text), 8);
  g_byte_array_append(file, (const guint8 *)text, (guint)strlen(text));
}

static GByteArray *file_new(guint32 version, guint64 tensors, guint64 keys) {
  GByteArray *file = g_byte_array_new();
  g_byte_array_append(file, (const guint8 *)"GGUF", 4);
  add_uint(file, version, 4);
  add_uint(file, tensors, 8);
  add_uint(file, keys, 8);
  return file;
}

static void add_string_key(GByteArray *file, const char *key, const char *value) {
  add_string(file, key);
  add_uint(file, STRING, 4);
  add_string(file, value);
}

static void add_uint_key(GByteArray *file, const char *key, guint type, guint64 value, guint size) {
  add_string(file, key);
  add_uint(file, type, 4);
  add_uint(file, value, size);
}

static void add_array_key(GByteArray *file, const char *key, guint type, guint64 n) {
  add_string(file, key);
  add_uint(file, ARRAY, 4);
  add_uint(file, type, 4);
  add_uint(file, n, 8);
}

static void add_tensor(GByteArray *file, const char *name, guint dims, guint64 size,
                       guint64 offset) {
  add_string(file, name);
  add_uint(file, dims, 4);
  for (guint i = 0; i < dims; i++)
    add_uint(file, size, 8);
  add_uint(file, 0, 4);
  add_uint(file, offset, 8);
}

/* A small model with every kind of value. */
static GByteArray *model(guint32 version) {
  GByteArray *file = file_new(version, 2, 10);
  add_string_key(file, "general.architecture", "llama");
  add_string_key(file, "general.name", "Tiny \x1b[31m \xe7\x9c\xbc");
  add_string_key(file, "general.type", "model");
  add_uint_key(file, "llama.context_length", U32, 4096, 4);
  add_uint_key(file, "llama.embedding_length", U64, 2048, 8);
  add_uint_key(file, "llama.block_count", I32, 22, 4);
  add_uint_key(file, "llama.rope.freq_base", F32, 0x461c4000, 4);
  add_uint_key(file, "general.alignment", U32, 64, 4);
  add_array_key(file, "tokenizer.ggml.tokens", STRING, 2);
  add_string(file, "<s>");
  add_string(file, "");
  add_array_key(file, "nested", ARRAY, 2);
  add_uint(file, U8, 4);
  add_uint(file, 3, 8);
  add_uint(file, 0x010203, 3);
  add_uint(file, STRING, 4);
  add_uint(file, 1, 8);
  add_string(file, "x");
  add_tensor(file, "token_embd.weight", 2, 4, 0);
  add_tensor(file, "output.weight", 0, 0, 64);
  while (file->len % 64)
    add_uint(file, 0, 1);
  add_uint(file, 0, DATA);
  return file;
}

static gboolean probe(const GByteArray *file, MnkGgufInfo *info, GError **error) {
  return mnk_gguf_probe(file->data, file->len, file->len, info, error);
}

static void test_model(void) {
  for (guint32 version = 2; version <= 3; version++) {
    g_autoptr(GByteArray) file = model(version);
    MnkGgufInfo info;
    g_autoptr(GError) error = NULL;
    probe(file, &info, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(info.version, ==, version);
    g_assert_cmpuint(info.tensors, ==, 2);
    g_assert_cmpuint(info.parameters, ==, 4 * 4 + 1);
    g_assert_cmpuint(info.keys, ==, 10);
    g_assert_cmpstr(info.architecture, ==, "llama");
    g_assert_cmpstr(info.name, ==, "Tiny ?[31m \xe7\x9c\xbc");
    g_assert_cmpstr(info.type, ==, "model");
    g_assert_cmpstr(info.projector, ==, "");
    g_assert_cmpuint(info.context_length, ==, 4096);
    g_assert_cmpuint(info.embedding_length, ==, 2048);
    g_assert_cmpuint(info.block_count, ==, 22);
    g_assert_cmpuint(info.projection_dim, ==, 0);
    g_assert_cmpuint(info.data_offset, ==, file->len - DATA);
    g_assert_cmpuint(info.vocabulary, ==, 2);
    g_assert_cmpuint(info.embedding_offset, ==, info.data_offset);
    g_assert_cmpuint(info.embedding_columns, ==, 4);
    g_assert_cmpuint(info.embedding_rows, ==, 4);
  }
}

static void test_projector(void) {
  g_autoptr(GByteArray) file = file_new(3, 0, 6);
  add_string_key(file, "general.architecture", "clip");
  add_string_key(file, "clip.projector_type", "qwen2vl_merger");
  add_uint_key(file, "clip.vision.embedding_length", U32, 1280, 4);
  add_uint_key(file, "clip.vision.projection_dim", U32, 1536, 4);
  add_uint_key(file, "clip.vision.block_count", U32, 32, 4);
  add_uint_key(file, "clip.audio.block_count", U32, 7, 4);
  MnkGgufInfo info;
  g_assert_true(probe(file, &info, NULL));
  g_assert_cmpstr(info.projector, ==, "qwen2vl_merger");
  g_assert_cmpuint(info.embedding_length, ==, 1280);
  g_assert_cmpuint(info.projection_dim, ==, 1536);
  g_assert_cmpuint(info.block_count, ==, 32);
}

/* Numbers of which each layer has its own count by the greatest; floats and others are passed by.
 */
static void test_numbers(void) {
  g_autoptr(GByteArray) file = file_new(3, 0, 9);
  add_array_key(file, "lfm2.attention.head_count_kv", I32, 3);
  add_uint(file, 0, 4);
  add_uint(file, 8, 4);
  add_uint(file, 4, 4);
  add_uint_key(file, "lfm2.attention.head_count", U32, 16, 4);
  add_array_key(file, "lfm2.attention.key_length", F32, 1);
  add_uint(file, 0x3f800000, 4);
  add_uint_key(file, "lfm2.block_count", F32, 0x3f800000, 4);
  add_uint_key(file, "clip.has_vision_encoder", 7, 1, 1);
  add_uint_key(file, "clip.vision.patch_size", U32, 14, 4);
  add_uint_key(file, "split.no", 2, 1, 2);
  add_uint_key(file, "split.count", 2, 3, 2);
  add_uint_key(file, "split.tensors.count", 5, 291, 4);
  MnkGgufInfo info;
  g_autoptr(GError) error = NULL;
  probe(file, &info, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(info.heads_kv, ==, 8);
  g_assert_cmpuint(info.heads, ==, 16);
  g_assert_cmpuint(info.key_length, ==, 0);
  g_assert_cmpuint(info.block_count, ==, 0);
  g_assert_true(info.vision);
  g_assert_cmpuint(info.patch_size, ==, 14);
  g_assert_cmpuint(info.split_no, ==, 1);
  g_assert_cmpuint(info.splits, ==, 3);
  g_assert_cmpuint(info.split_tensors, ==, 291);
}

/* A prefix of a longer file is read as far as it goes; the same bytes as a whole file are
 * damaged. */
static void test_prefixes(void) {
  g_autoptr(GByteArray) file = model(3);
  gsize table_end = file->len - DATA;
  Guard guard = guard_new(file->len);
  while (file->data[table_end - 1] == 0)
    table_end--;
  for (gsize n = 0; n < file->len; n++) {
    const guint8 *bytes = guard_copy(&guard, file->data, n);
    MnkGgufInfo info;
    gboolean as_prefix = mnk_gguf_probe(bytes, n, file->len, &info, NULL);
    g_assert_cmpint(as_prefix, ==, n >= 4);
    if (n < table_end)
      g_assert_cmpuint(info.data_offset, ==, 0);
    gboolean whole = mnk_gguf_probe(bytes, n, n, &info, NULL);
    g_assert_cmpint(whole, ==, n == file->len);
  }
  guard_free(&guard);
}

/* ---- Damage ---- */

static GByteArray *bad_magic(void) {
  GByteArray *file = model(3);
  file->data[0] = 'g';
  return file;
}
static GByteArray *version_1(void) {
  return file_new(1, 0, 0);
}
static GByteArray *big_endian(void) {
  return file_new(0x03000000, 0, 0);
}
static GByteArray *many_keys(void) {
  return file_new(3, 0, G_GUINT64_CONSTANT(1) << 60);
}
static GByteArray *many_tensors(void) {
  return file_new(3, G_MAXUINT64, 0);
}
static GByteArray *long_key(void) {
  GByteArray *file = file_new(3, 0, 1);
  add_uint(file, G_MAXUINT64, 8);
  add_uint(file, 0, 16);
  return file;
}
static GByteArray *key_not_utf8(void) {
  GByteArray *file = file_new(3, 0, 1);
  add_uint_key(file, "\xff", U32, 1, 4);
  return file;
}
static GByteArray *unknown_type(void) {
  GByteArray *file = file_new(3, 0, 1);
  add_uint_key(file, "a", 13, 1, 8);
  return file;
}
static GByteArray *array_too_long(void) {
  GByteArray *file = file_new(3, 0, 1);
  add_array_key(file, "a", U64, G_GUINT64_CONSTANT(1) << 61);
  return file;
}
static GByteArray *array_of_unknown(void) {
  GByteArray *file = file_new(3, 0, 1);
  add_array_key(file, "a", 99, 0);
  return file;
}
static GByteArray *array_nested_deep(void) {
  GByteArray *file = file_new(3, 0, 1);
  add_array_key(file, "a", ARRAY, 1);
  for (guint i = 0; i < 100; i++) {
    add_uint(file, ARRAY, 4);
    add_uint(file, 1, 8);
  }
  return file;
}
static GByteArray *negative_length(void) {
  GByteArray *file = file_new(3, 0, 1);
  add_uint_key(file, "llama.context_length", I32, 0xffffffff, 4);
  return file;
}
static GByteArray *alignment_zero(void) {
  GByteArray *file = file_new(3, 0, 1);
  add_uint_key(file, "general.alignment", U32, 0, 4);
  return file;
}
static GByteArray *alignment_odd(void) {
  GByteArray *file = file_new(3, 0, 1);
  add_uint_key(file, "general.alignment", U32, 48, 4);
  return file;
}
static GByteArray *five_dims(void) {
  GByteArray *file = file_new(3, 1, 0);
  add_tensor(file, "t", 5, 1, 0);
  return file;
}
static GByteArray *tensor_overflow(void) {
  GByteArray *file = file_new(3, 1, 0);
  add_tensor(file, "t", 4, G_GUINT64_CONSTANT(1) << 32, 0);
  return file;
}
static GByteArray *tensor_beyond(void) {
  GByteArray *file = file_new(3, 1, 0);
  add_tensor(file, "t", 1, 1, 1000000);
  return file;
}
static GByteArray *tensor_cut(void) {
  GByteArray *file = file_new(3, 1, 0);
  add_tensor(file, "t", 2, 4, 0);
  add_uint(file, 0, 64 + 5);
  return file;
}
static GByteArray *data_beyond(void) {
  GByteArray *file = file_new(3, 1, 1);
  add_uint_key(file, "general.alignment", U32, 4096, 4);
  add_tensor(file, "t", 1, 1, 0);
  return file;
}

static const struct {
  const char *name;
  GByteArray *(*make)(void);
  MnkErrorCode code;
  const char *message;
} damage[] = {
    {"magic", bad_magic, MNK_ERROR_BAD_INPUT, "GGUF: no magic number at byte 0"},
    {"version-1", version_1, MNK_ERROR_UNSUPPORTED, "GGUF: version 1, not 2 or 3"},
    {"big-endian", big_endian, MNK_ERROR_UNSUPPORTED,
     "GGUF: version 50331648 (big-endian), not 2 or 3"},
    {"many-keys", many_keys, MNK_ERROR_BAD_INPUT,
     "GGUF: 1152921504606846976 key-values do not fit into the file at byte 24"},
    {"many-tensors", many_tensors, MNK_ERROR_BAD_INPUT,
     "GGUF: 18446744073709551615 tensors do not fit into the file at byte 24"},
    {"long-key", long_key, MNK_ERROR_BAD_INPUT,
     "GGUF: 18446744073709551615 bytes run past the end of the file at byte 32"},
    {"key-not-utf8", key_not_utf8, MNK_ERROR_BAD_INPUT, "GGUF: bad key at byte 33"},
    {"unknown-type", unknown_type, MNK_ERROR_BAD_INPUT, "GGUF: unknown value type 13 at byte 37"},
    {"array-too-long", array_too_long, MNK_ERROR_BAD_INPUT,
     "GGUF: 2305843009213693952 array elements do not fit into the file at byte 49"},
    {"array-of-unknown", array_of_unknown, MNK_ERROR_BAD_INPUT,
     "GGUF: unknown value type 99 at byte 41"},
    {"array-nested-deep", array_nested_deep, MNK_ERROR_BAD_INPUT,
     "GGUF: array nested deeper than 2 at byte 61"},
    {"negative-length", negative_length, MNK_ERROR_BAD_INPUT,
     "GGUF: negative value of llama.context_length at byte 60"},
    {"alignment-zero", alignment_zero, MNK_ERROR_BAD_INPUT,
     "GGUF: alignment that is no power of two at byte 57"},
    {"alignment-odd", alignment_odd, MNK_ERROR_BAD_INPUT,
     "GGUF: alignment that is no power of two at byte 57"},
    {"five-dims", five_dims, MNK_ERROR_BAD_INPUT, "GGUF: tensor of 5 dimensions at byte 37"},
    {"tensor-overflow", tensor_overflow, MNK_ERROR_BAD_INPUT,
     "GGUF: tensor of more than 63 bits of elements at byte 53"},
    {"tensor-beyond", tensor_beyond, MNK_ERROR_BAD_INPUT,
     "GGUF: tensor t runs past the end of the file, which is cut off or damaged at byte 57"},
    {"tensor-cut", tensor_cut, MNK_ERROR_BAD_INPUT,
     "GGUF: the file is cut off: it has 134 bytes where 160 belong at byte 65"},
    {"data-beyond", data_beyond, MNK_ERROR_BAD_INPUT,
     "GGUF: tensor data beyond the end of the file at byte 90"},
};

static void test_damage(gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  g_autoptr(GByteArray) file = damage[i].make();
  MnkGgufInfo info;
  g_autoptr(GError) error = NULL;
  g_assert_false(probe(file, &info, &error));
  g_assert_error(error, MNK_ERROR, (gint)damage[i].code);
  g_assert_cmpstr(error->message, ==, damage[i].message);
  g_assert_false(probe(file, &info, NULL));
}

static void test_text_cut(void) {
  g_autoptr(GByteArray) file = file_new(3, 0, 2);
  g_autofree char *fitting = g_strnfill(61, 'a');
  g_autofree char *over = g_strconcat(fitting, "\xe7\x9c\xbc", NULL);
  add_string_key(file, "general.architecture", over);
  add_string_key(file, "general.type", "\xff\xc2\x9b\xe2\x80\xae");
  MnkGgufInfo info;
  g_assert_true(probe(file, &info, NULL));
  g_assert_cmpstr(info.architecture, ==, fitting);
  g_assert_cmpstr(info.type, ==, "??????");
}

/* Each byte set to each of some values, as a whole file: no crash, and texts that end. */
static void test_flipped(void) {
  static const guint8 values[] = {0, 1, 8, 9, 0x7f, 0x80, 0xff};
  g_autoptr(GByteArray) file = model(3);
  Guard guard = guard_new(file->len);
  for (gsize at = 0; at < file->len; at++)
    for (guint v = 0; v < G_N_ELEMENTS(values); v++) {
      guint8 *bytes = guard_copy(&guard, file->data, file->len);
      bytes[at] = values[v];
      MnkGgufInfo info;
      mnk_gguf_probe(bytes, file->len, file->len, &info, NULL);
      g_assert_true(g_utf8_validate(info.name, -1, NULL));
    }
  guard_free(&guard);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/wire/gguf/model", test_model);
  g_test_add_func("/wire/gguf/projector", test_projector);
  g_test_add_func("/wire/gguf/numbers", test_numbers);
  g_test_add_func("/wire/gguf/prefixes", test_prefixes);
  for (guint i = 0; i < G_N_ELEMENTS(damage); i++) {
    g_autofree char *path = g_strdup_printf("/wire/gguf/damage/%s", damage[i].name);
    g_test_add_data_func(path, GUINT_TO_POINTER(i), test_damage);
  }
  g_test_add_func("/wire/gguf/text-cut", test_text_cut);
  g_test_add_func("/wire/gguf/flipped", test_flipped);
  return g_test_run();
}
