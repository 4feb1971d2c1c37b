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
  DEFAULT_ALIGNMENT = 32,
};

/* Bytes of one value; of strings and arrays the least. */
static const guint8 type_sizes[TYPE_N] = {1, 1, 2, 2, 4, 4, 4, 1, 8, MIN_ARRAY, 8, 8, 8};

/* A read fails either because the file is damaged (*error is set) or because the bytes given end
 * before the file does (ran_out), which is no fault of the file. */
typedef struct {
  const guint8 *bytes;
  gsize length;
  guint64 file_size;
  gsize at;
  gboolean ran_out;
  guint64 alignment;
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

/* Where a key "<architecture>.<what>" or "clip.vision.<what>" goes; NULL: not kept. */
static guint64 *number_place(MnkGgufInfo *info, const Span *key) {
  const char *dot = g_strrstr_len(key->text, (gssize)key->length, ".");
  if (!dot)
    return NULL;
  Span prefix = {key->text, (gsize)(dot - key->text)};
  Span what = {dot + 1, key->length - prefix.length - 1};
  if (memchr(prefix.text, '.', prefix.length) && !span_is(&prefix, "clip.vision"))
    return NULL;
  if (span_is(&what, "context_length"))
    return &info->context_length;
  if (span_is(&what, "embedding_length"))
    return &info->embedding_length;
  if (span_is(&what, "block_count"))
    return &info->block_count;
  return span_is(&what, "projection_dim") ? &info->projection_dim : NULL;
}

static gboolean read_number(Reader *r, const Span *key, guint type) {
  guint size = type_sizes[type];
  guint64 value;
  if (!read_uint(r, size, &value))
    return FALSE;
  if (type == TYPE_FLOAT32 || type == TYPE_FLOAT64 || type == TYPE_BOOL)
    return TRUE;
  gboolean is_signed =
      type == TYPE_INT8 || type == TYPE_INT16 || type == TYPE_INT32 || type == TYPE_INT64;
  gboolean negative = is_signed && value >> (8 * size - 1);
  guint64 *place = number_place(r->info, key);
  if (span_is(key, "general.alignment"))
    place = &r->alignment;
  if (place && negative)
    return fail(r, "negative value of %.*s", (int)MIN(key->length, 64), key->text);
  if (place)
    *place = value;
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
    return skip_array(r, 1);
  if (type != TYPE_STRING)
    return read_number(r, &key, (guint)type);
  if (!read_string(r, &value))
    return FALSE;
  keep_string(r->info, &key, &value);
  return TRUE;
}

/* ---- File ---- */

static gboolean read_tensor(Reader *r) {
  Span name;
  guint64 dims, size, offset, type, elements = 1;
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
  }
  if (!read_uint(r, 4, &type) || !read_uint(r, 8, &offset))
    return FALSE;
  return offset <= r->file_size || fail(r, "tensor beyond the end of the file");
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
  r->info->data_offset = (gsize)data;
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
