/* GGUF versions 2 and 3, little-endian: header, key-values, tensor table. Layout as in the format's
 * description in the ggml project (docs/gguf.md). */
#include "wire/probe.h"

#include "base/base.h"

#include <stdarg.h>
#include <string.h>

enum {
  TYPE_UINT8,
  TYPE_INT8,
  TYPE_UINT16,
  TYPE_INT16,
  TYPE_UINT32,
  TYPE_INT32,
  TYPE_FLOAT32,
  TYPE_BOOL,
  TYPE_STRING,
  TYPE_ARRAY,
  TYPE_UINT64,
  TYPE_INT64,
  TYPE_FLOAT64,
  TYPE_N,
};

enum {
  MAX_KEY = 65535,
  MAX_NESTING = 2,
  MAX_DIMS = 4,
  MIN_KEY_VALUE = 8 + 4 + 1,  /* key's length, type, the smallest value */
  MIN_TENSOR = 8 + 4 + 4 + 8, /* name's length, dims, type, offset */
  MIN_ARRAY = 4 + 8,          /* type, count */
  MAX_LISTED = 65536,         /* values of an array that are looked at */
  DEFAULT_ALIGNMENT = 32,
};

/* Bytes of one value; of strings and arrays the least. */
static const guint8 type_sizes[TYPE_N] = {1, 1, 2, 2, 4, 4, 4, 1, 8, MIN_ARRAY, 8, 8, 8};

/* Tensors are stored in blocks: how many values one has, and how many bytes. By ggml's type; those
 * that are gone or came later have none, and nothing is known of their size. */
static const struct {
  guint16 values, bytes;
} blocks[] = {
    [0] = {1, 4},      [1] = {1, 2},      [2] = {32, 18},    [3] = {32, 20},    [6] = {32, 22},
    [7] = {32, 24},    [8] = {32, 34},    [9] = {32, 36},    [10] = {256, 84},  [11] = {256, 110},
    [12] = {256, 144}, [13] = {256, 176}, [14] = {256, 210}, [15] = {256, 292}, [16] = {256, 66},
    [17] = {256, 74},  [18] = {256, 98},  [19] = {256, 50},  [20] = {32, 18},   [21] = {256, 110},
    [22] = {256, 82},  [23] = {256, 136}, [24] = {1, 1},     [25] = {1, 2},     [26] = {1, 4},
    [27] = {1, 8},     [28] = {1, 8},     [29] = {256, 56},  [30] = {1, 2},     [34] = {256, 54},
    [35] = {256, 66},  [39] = {32, 17},   [40] = {64, 36},   [41] = {128, 18},  [42] = {64, 18},
};

/* A read fails either because the file is damaged (*error is set) or because the bytes given end
 * before the file does (ran_out), which is no fault of the file. */
typedef struct {
  const guint8 *bytes;
  gsize length;
  guint64 file_size;
  gsize at;
  gboolean ran_out;
  guint64 alignment;
  guint64 data_end; /* of the tensors so far, counted from where their data starts */
  MnkGgufInfo *info;
  GError **error;
} Reader;

typedef struct {
  const char *text; /* not terminated */
  gsize length;
} Span;

static gboolean G_GNUC_PRINTF(2, 3) fail(Reader *r, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(r->error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "GGUF: %s at byte %" G_GSIZE_FORMAT, what,
              r->at);
  return FALSE;
}

/* ---- Bytes ---- */

/* The next n bytes, borrowed, or NULL. */
static const guint8 *take(Reader *r, guint64 n) {
  if (n > r->file_size - r->at) {
    fail(r, "%" G_GUINT64_FORMAT " bytes run past the end of the file", n);
    return NULL;
  }
  if (n > r->length - r->at) {
    r->ran_out = TRUE;
    return NULL;
  }
  const guint8 *bytes = r->bytes + r->at;
  r->at += (gsize)n;
  return bytes;
}

static guint64 little_endian(const guint8 *bytes, guint n) {
  guint64 value = 0;
  for (guint i = 0; i < n; i++)
    value |= (guint64)bytes[i] << (8 * i);
  return value;
}

static gboolean read_uint(Reader *r, guint size, guint64 *out) {
  const guint8 *bytes = take(r, size);
  if (bytes)
    *out = little_endian(bytes, size);
  return bytes != NULL;
}

static gboolean read_string(Reader *r, Span *out) {
  guint64 length;
  if (!read_uint(r, 8, &length))
    return FALSE;
  const guint8 *bytes = take(r, length);
  if (!bytes)
    return FALSE;
  *out = (Span){(const char *)bytes, (gsize)length};
  return TRUE;
}

/* n things of at least size bytes must fit into the rest of the file. */
static gboolean check_count(Reader *r, const char *what, guint64 n, guint size) {
  if (n <= (r->file_size - r->at) / size)
    return TRUE;
  return fail(r, "%" G_GUINT64_FORMAT " %s do not fit into the file", n, what);
}

/* ---- Values ---- */

static gboolean check_type(Reader *r, guint64 type) {
  return type < TYPE_N || fail(r, "unknown value type %" G_GUINT64_FORMAT, type);
}

static gboolean skip_array(Reader *r, guint nesting) {
  guint64 type, n;
  Span ignored;
  if (nesting > MAX_NESTING)
    return fail(r, "array nested deeper than %d", MAX_NESTING);
  if (!read_uint(r, 4, &type) || !check_type(r, type) || !read_uint(r, 8, &n) ||
      !check_count(r, "array elements", n, type_sizes[type]))
    return FALSE;
  if (type != TYPE_STRING && type != TYPE_ARRAY)
    return take(r, n * type_sizes[type]) != NULL;
  for (guint64 i = 0; i < n; i++)
    if (!(type == TYPE_STRING ? read_string(r, &ignored) : skip_array(r, nesting + 1)))
      return FALSE;
  return TRUE;
}

static gboolean span_is(const Span *span, const char *text) {
  return span->length == strlen(text) && memcmp(span->text, text, span->length) == 0;
}

/* As much as there is room for, printable: what is not valid or would steer a terminal is '?'. */
static void copy_text(char *out, gsize room, const Span *from) {
  gsize at = 0, length = 0;
  while (at < from->length) {
    gssize left = (gssize)MIN(from->length - at, 8);
    gunichar c = from->text[at] ? g_utf8_get_char_validated(from->text + at, left) : 0;
    gboolean plain = c < (gunichar)-2 && g_unichar_isprint(c);
    gsize bytes = plain ? (gsize)g_unichar_to_utf8(c, NULL) : 1;
    if (length + bytes >= room)
      break;
    if (plain)
      memcpy(out + length, from->text + at, bytes);
    else
      out[length] = '?';
    at += bytes;
    length += bytes;
  }
  out[length] = '\0';
}

static void keep_string(MnkGgufInfo *info, const Span *key, const Span *value) {
  if (span_is(key, "general.architecture"))
    copy_text(info->architecture, sizeof info->architecture, value);
  else if (span_is(key, "general.name"))
    copy_text(info->name, sizeof info->name, value);
  else if (span_is(key, "general.type"))
    copy_text(info->type, sizeof info->type, value);
  else if (span_is(key, "clip.projector_type") || span_is(key, "clip.vision.projector_type"))
    copy_text(info->projector, sizeof info->projector, value);
}

/* Keys "<architecture>.<what>" and "clip.vision.<what>". */
static const struct {
  const char *what;
  gsize offset;
} numbers[] = {
    {"context_length", G_STRUCT_OFFSET(MnkGgufInfo, context_length)},
    {"embedding_length", G_STRUCT_OFFSET(MnkGgufInfo, embedding_length)},
    {"block_count", G_STRUCT_OFFSET(MnkGgufInfo, block_count)},
    {"projection_dim", G_STRUCT_OFFSET(MnkGgufInfo, projection_dim)},
    {"attention.head_count", G_STRUCT_OFFSET(MnkGgufInfo, heads)},
    {"attention.head_count_kv", G_STRUCT_OFFSET(MnkGgufInfo, heads_kv)},
    {"attention.key_length", G_STRUCT_OFFSET(MnkGgufInfo, key_length)},
    {"attention.value_length", G_STRUCT_OFFSET(MnkGgufInfo, value_length)},
    {"attention.sliding_window", G_STRUCT_OFFSET(MnkGgufInfo, window)},
    {"n_wa_pattern", G_STRUCT_OFFSET(MnkGgufInfo, window_pattern)},
    {"patch_size", G_STRUCT_OFFSET(MnkGgufInfo, patch_size)},
    {"image_size", G_STRUCT_OFFSET(MnkGgufInfo, image_size)},
};

/* Where a key's number goes; NULL: not kept. */
static guint64 *number_place(Reader *r, const Span *key) {
  static const char vision[] = "clip.vision.";
  if (span_is(key, "general.alignment"))
    return &r->alignment;
  if (span_is(key, "split.count"))
    return &r->info->splits;
  if (span_is(key, "split.no"))
    return &r->info->split_no;
  if (span_is(key, "split.tensors.count"))
    return &r->info->split_tensors;
  const char *dot = memchr(key->text, '.', key->length);
  if (!dot)
    return NULL;
  gsize prefix = (gsize)(dot - key->text) + 1;
  if (key->length > strlen(vision) && memcmp(key->text, vision, strlen(vision)) == 0)
    prefix = strlen(vision);
  Span what = {key->text + prefix, key->length - prefix};
  for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
    if (span_is(&what, numbers[i].what))
      return G_STRUCT_MEMBER_P(r->info, numbers[i].offset);
  return NULL;
}

static gboolean is_integer(guint64 type) {
  return type != TYPE_FLOAT32 && type != TYPE_FLOAT64 && type != TYPE_BOOL && type < TYPE_N &&
         type != TYPE_STRING && type != TYPE_ARRAY;
}

/* One integer of a key; the greatest when there are several. */
static gboolean read_integer(Reader *r, const Span *key, guint type, guint64 *place) {
  guint size = type_sizes[type];
  guint64 value;
  if (!read_uint(r, size, &value))
    return FALSE;
  gboolean is_signed =
      type == TYPE_INT8 || type == TYPE_INT16 || type == TYPE_INT32 || type == TYPE_INT64;
  if (is_signed && value >> (8 * size - 1)) {
    char shown[64];
    copy_text(shown, sizeof shown, key);
    return fail(r, "negative value of %s", shown);
  }
  *place = MAX(*place, value);
  return TRUE;
}

static gboolean read_number(Reader *r, const Span *key, guint type) {
  guint64 *place = number_place(r, key), value;
  if (place && is_integer(type)) {
    *place = 0;
    return read_integer(r, key, type, place);
  }
  if (!read_uint(r, type_sizes[type], &value))
    return FALSE;
  if (type == TYPE_BOOL && span_is(key, "clip.has_vision_encoder"))
    r->info->vision = value != 0;
  return TRUE;
}

/* An array is skipped, but for its length or its numbers where they are kept. */
static gboolean read_array(Reader *r, const Span *key) {
  gsize start = r->at;
  guint64 *place = number_place(r, key), type, n;
  if (!read_uint(r, 4, &type) || !read_uint(r, 8, &n))
    return FALSE;
  if (span_is(key, "tokenizer.ggml.tokens"))
    r->info->vocabulary = n;
  if (!place || !is_integer(type) || n > MAX_LISTED) {
    r->at = start;
    return skip_array(r, 1);
  }
  *place = 0;
  for (guint64 i = 0; i < n; i++)
    if (!read_integer(r, key, (guint)type, place))
      return FALSE;
  return TRUE;
}

static gboolean read_key_value(Reader *r) {
  guint64 type;
  Span key, value;
  if (!read_string(r, &key))
    return FALSE;
  if (key.length > MAX_KEY || !g_utf8_validate_len(key.text, key.length, NULL))
    return fail(r, "bad key");
  if (!read_uint(r, 4, &type) || !check_type(r, type))
    return FALSE;
  if (type == TYPE_ARRAY)
    return read_array(r, &key);
  if (type != TYPE_STRING)
    return read_number(r, &key, (guint)type);
  if (!read_string(r, &value))
    return FALSE;
  keep_string(r->info, &key, &value);
  return TRUE;
}

/* ---- File ---- */

/* Rows of blocks; 0: of a type that nothing is known of. */
static guint64 tensor_bytes(guint64 type, guint64 row, guint64 elements) {
  if (type >= G_N_ELEMENTS(blocks) || blocks[type].values == 0 || row % blocks[type].values != 0)
    return 0;
  guint64 bytes;
  if (!g_uint64_checked_mul(&bytes, elements / blocks[type].values, blocks[type].bytes))
    return G_MAXUINT64;
  return bytes;
}

static void keep_tensor(MnkGgufInfo *info, const Span *name, guint64 type, guint64 offset,
                        const guint64 shape[MAX_DIMS]) {
  if (span_is(name, "v.patch_embd.weight") && shape[2] == 3)
    info->patch_columns = shape[0];
  if (span_is(name, "v.position_embd.weight"))
    info->patch_places = shape[1];
  if (!span_is(name, "token_embd.weight"))
    return;
  info->embedding_type = (guint32)type;
  info->embedding_offset = offset;
  info->embedding_columns = shape[0];
  info->embedding_rows = shape[1];
}

static gboolean read_tensor(Reader *r) {
  Span name;
  guint64 dims, size, offset, type, elements = 1, shape[MAX_DIMS] = {1, 1, 1, 1};
  if (!read_string(r, &name) || !read_uint(r, 4, &dims))
    return FALSE;
  if (dims > MAX_DIMS)
    return fail(r, "tensor of %" G_GUINT64_FORMAT " dimensions", dims);
  for (guint64 i = 0; i < dims; i++) {
    if (!read_uint(r, 8, &size))
      return FALSE;
    if (size > G_MAXINT64 || !g_uint64_checked_mul(&elements, elements, size) ||
        elements > G_MAXINT64)
      return fail(r, "tensor of more than 63 bits of elements");
    shape[i] = size;
  }
  if (!read_uint(r, 4, &type) || !read_uint(r, 8, &offset))
    return FALSE;
  guint64 bytes = tensor_bytes(type, shape[0], elements);
  if (offset > r->file_size || bytes > r->file_size - offset) {
    char shown[64];
    copy_text(shown, sizeof shown, &name);
    return fail(r, "tensor %s runs past the end of the file, which is cut off or damaged", shown);
  }
  r->data_end = MAX(r->data_end, offset + bytes);
  if (!g_uint64_checked_add(&r->info->parameters, r->info->parameters, elements))
    r->info->parameters = G_MAXUINT64;
  keep_tensor(r->info, &name, type, offset, shape);
  return TRUE;
}

static gboolean read_header(Reader *r) {
  const guint8 *magic = take(r, 4);
  if (!magic || memcmp(magic, "GGUF", 4) != 0) {
    g_clear_error(r->error);
    r->ran_out = FALSE;
    r->at = 0;
    return fail(r, "no magic number");
  }
  guint64 version;
  if (!read_uint(r, 4, &version))
    return FALSE;
  if (version != 2 && version != 3) {
    g_set_error(r->error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
                "GGUF: version %" G_GUINT64_FORMAT "%s, not 2 or 3", version,
                version & 0xffff ? "" : " (big-endian)");
    return FALSE;
  }
  r->info->version = (guint32)version;
  return read_uint(r, 8, &r->info->tensors) && read_uint(r, 8, &r->info->keys) &&
         check_count(r, "key-values", r->info->keys, MIN_KEY_VALUE) &&
         check_count(r, "tensors", r->info->tensors, MIN_TENSOR);
}

static gboolean read_file(Reader *r) {
  if (!read_header(r))
    return FALSE;
  for (guint64 i = 0; i < r->info->keys; i++)
    if (!read_key_value(r))
      return FALSE;
  if (r->alignment == 0 || (r->alignment & (r->alignment - 1)) != 0 || r->alignment > G_MAXINT32)
    return fail(r, "alignment that is no power of two");
  for (guint64 i = 0; i < r->info->tensors; i++)
    if (!read_tensor(r))
      return FALSE;
  guint64 data = (r->at + r->alignment - 1) / r->alignment * r->alignment;
  if (r->info->tensors > 0 && data > r->file_size)
    return fail(r, "tensor data beyond the end of the file");
  if (r->data_end > r->file_size - MIN(data, r->file_size))
    return fail(r,
                "the file is cut off: it has %" G_GUINT64_FORMAT " bytes where %" G_GUINT64_FORMAT
                " belong",
                r->file_size, data + r->data_end);
  r->info->data_offset = (gsize)data;
  if (r->info->embedding_columns > 0)
    r->info->embedding_offset += data;
  return TRUE;
}

gboolean mnk_gguf_probe(const guint8 *bytes, gsize length, guint64 file_size, MnkGgufInfo *info,
                        GError **error) {
  *info = (MnkGgufInfo){0};
  Reader r = {.bytes = bytes, .length = length, .info = info, .error = error};
  r.file_size = MAX(file_size, length);
  r.alignment = DEFAULT_ALIGNMENT;
  /* The bytes ended before the table did, and the file goes on: what was read stands. */
  return read_file(&r) || r.ran_out;
}
