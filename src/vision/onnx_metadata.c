/* The metadata of an ONNX file, by a walk over the protobuf's outer fields: nothing is unpacked. */
#include <string.h>

#include "base/base.h"
#include "vision/text_priv.h"

enum {
  WIRE_VARINT = 0,
  WIRE_FIXED64 = 1,
  WIRE_BYTES = 2,
  WIRE_FIXED32 = 5,
  MODEL_METADATA = 14, /* ModelProto.metadata_props */
  ENTRY_KEY = 1,       /* StringStringEntryProto */
  ENTRY_VALUE = 2,
};

typedef struct {
  const guint8 *at, *end;
} Reader;

typedef struct {
  guint64 number;
  Reader bytes; /* of a field of bytes; else empty */
} Field;

static gboolean read_varint(Reader *r, guint64 *value) {
  *value = 0;
  for (int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
    guint8 byte = *r->at++;
    *value |= (guint64)(byte & 0x7f) << shift;
    if (!(byte & 0x80))
      return TRUE;
  }
  return FALSE;
}

static gboolean skip(Reader *r, guint64 n) {
  if (n > (guint64)(r->end - r->at))
    return FALSE;
  r->at += n;
  return TRUE;
}

static gboolean read_field(Reader *r, Field *field) {
  guint64 tag, n = 0;

  if (!read_varint(r, &tag))
    return FALSE;
  field->number = tag >> 3;
  field->bytes = (Reader){r->at, r->at};
  switch (tag & 7) {
  case WIRE_VARINT:
    return read_varint(r, &n);
  case WIRE_FIXED64:
    return skip(r, 8);
  case WIRE_FIXED32:
    return skip(r, 4);
  case WIRE_BYTES:
    if (!read_varint(r, &n))
      return FALSE;
    field->bytes.at = r->at;
    if (!skip(r, n))
      return FALSE;
    field->bytes.end = r->at;
    return TRUE;
  default:
    return FALSE;
  }
}

static gsize left(const Reader *r) {
  return (gsize)(r->end - r->at);
}

/* The value of an entry with this key, NULL for another key or a damaged entry. */
static char *entry_value(Reader entry, const char *key) {
  Reader name = {NULL, NULL}, value = {NULL, NULL};
  Field field;

  while (left(&entry) > 0) {
    if (!read_field(&entry, &field))
      return NULL;
    if (field.number == ENTRY_KEY)
      name = field.bytes;
    else if (field.number == ENTRY_VALUE)
      value = field.bytes;
  }
  if (!value.at || left(&name) != strlen(key) || memcmp(name.at, key, left(&name)) != 0)
    return NULL;
  return g_strndup((const char *)value.at, left(&value));
}

char *mnk_onnx_metadata(const guint8 *bytes, gsize length, const char *key, GError **error) {
  Reader model = {bytes, bytes + length};
  Field field;

  while (left(&model) > 0) {
    if (!read_field(&model, &field)) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL,
                  "the model is damaged at byte %" G_GSIZE_FORMAT, (gsize)(model.at - bytes));
      return NULL;
    }
    if (field.number != MODEL_METADATA)
      continue;
    char *value = entry_value(field.bytes, key);
    if (value)
      return value;
  }
  g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL, "the model has no metadata \"%s\"", key);
  return NULL;
}

MnkCharset *mnk_charset_from_onnx(const char *path, GError **error) {
  g_autoptr(GError) why = NULL;
  g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &why);
  g_autofree char *lines = NULL;

  if (file)
    lines = mnk_onnx_metadata((const guint8 *)g_mapped_file_get_contents(file),
                              g_mapped_file_get_length(file), "character", &why);
  if (!lines) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL, "no character table in %s: %s", path,
                why->message);
    return NULL;
  }
  return mnk_charset_from_lines(lines);
}
