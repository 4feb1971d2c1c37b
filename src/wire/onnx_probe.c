/* ONNX: the outer fields of its ModelProto and GraphProto (onnx.proto), read as plain protobuf. */
#include "wire/probe.h"

#include "base/base.h"

#include <string.h>

enum { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_FIXED32 = 5 };

enum {
  MODEL_IR_VERSION = 1,
  MODEL_PRODUCER_NAME = 2,
  MODEL_GRAPH = 7,
  MODEL_OPSET_IMPORT = 8,
  GRAPH_NODE = 1,
  GRAPH_INITIALIZER = 5,
  GRAPH_INPUT = 11,
  GRAPH_OUTPUT = 12,
  OPSET_DOMAIN = 1,
  OPSET_VERSION = 2,
  MAX_IR_VERSION = 1000, /* they are counted up from 1: more is another file */
};

/* One message; errors give places in the whole file. */
typedef struct {
  const guint8 *start; /* of the file */
  const guint8 *at, *end;
  GError **error;
} Reader;

typedef struct {
  guint64 number;
  guint wire;
  guint64 value;                   /* WIRE_VARINT */
  const guint8 *bytes, *bytes_end; /* WIRE_BYTES */
} Field;

static gboolean fail(const Reader *r, const char *what) {
  g_set_error(r->error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "ONNX: %s at byte %zu", what,
              (gsize)(r->at - r->start));
  return FALSE;
}

static gboolean read_varint(Reader *r, guint64 *out) {
  *out = 0;
  for (guint shift = 0; shift < 64 && r->at < r->end; shift += 7) {
    guint64 bits = *r->at & 0x7f;
    gboolean last = (*r->at & 0x80) == 0;
    if (shift == 63 && bits > 1)
      break;
    r->at++;
    *out |= bits << shift;
    if (last)
      return TRUE;
  }
  return fail(r, r->at < r->end ? "number of more than 64 bits" : "the file ends inside a number");
}

static gboolean skip(Reader *r, guint64 n) {
  if (n > (guint64)(r->end - r->at))
    return fail(r, "field longer than its message");
  r->at += n;
  return TRUE;
}

static gboolean read_field(Reader *r, Field *field) {
  guint64 tag, length;
  if (!read_varint(r, &tag))
    return FALSE;
  *field = (Field){.number = tag >> 3, .wire = (guint)(tag & 7)};
  if (field->number == 0 || field->number >> 29)
    return fail(r, "impossible field number");
  switch (field->wire) {
  case WIRE_VARINT:
    return read_varint(r, &field->value);
  case WIRE_FIXED64:
    return skip(r, 8);
  case WIRE_FIXED32:
    return skip(r, 4);
  case WIRE_BYTES:
    if (!read_varint(r, &length))
      return FALSE;
    field->bytes = r->at;
    if (!skip(r, length))
      return FALSE;
    field->bytes_end = r->at;
    return TRUE;
  default:
    return fail(r, "unknown kind of field");
  }
}

static Reader message_of(const Reader *r, const Field *field) {
  return (Reader){
      .start = r->start, .at = field->bytes, .end = field->bytes_end, .error = r->error};
}

static gboolean read_graph(Reader r, MnkOnnxInfo *info) {
  while (r.at < r.end) {
    Field field;
    if (!read_field(&r, &field))
      return FALSE;
    if (field.wire != WIRE_BYTES)
      continue;
    info->nodes += field.number == GRAPH_NODE;
    info->initializers += field.number == GRAPH_INITIALIZER;
    info->inputs += field.number == GRAPH_INPUT;
    info->outputs += field.number == GRAPH_OUTPUT;
  }
  return TRUE;
}

/* Keeps the version of ONNX's own operators, not that of an extension's. */
static gboolean read_opset(Reader r, MnkOnnxInfo *info) {
  gboolean own = TRUE;
  gint64 version = 0;
  while (r.at < r.end) {
    Field field;
    if (!read_field(&r, &field))
      return FALSE;
    gsize length = (gsize)(field.bytes_end - field.bytes);
    if (field.number == OPSET_DOMAIN && field.wire == WIRE_BYTES)
      own = length == 0 || (length == 7 && memcmp(field.bytes, "ai.onnx", 7) == 0);
    if (field.number == OPSET_VERSION && field.wire == WIRE_VARINT)
      version = (gint64)field.value;
  }
  if (own)
    info->opset = version;
  return TRUE;
}

static void keep_producer(MnkOnnxInfo *info, const Field *field) {
  gsize length = MIN((gsize)(field->bytes_end - field->bytes), sizeof info->producer - 1);
  for (gsize i = 0; i < length; i++)
    info->producer[i] = g_ascii_isprint(field->bytes[i]) ? (char)field->bytes[i] : '?';
  info->producer[length] = '\0';
}

static gboolean read_model_field(const Reader *r, const Field *field, MnkOnnxInfo *info,
                                 gboolean *has_graph) {
  if (field->number == MODEL_IR_VERSION && field->wire == WIRE_VARINT)
    info->ir_version = (gint64)field->value;
  if (field->wire != WIRE_BYTES)
    return TRUE;
  switch (field->number) {
  case MODEL_PRODUCER_NAME:
    keep_producer(info, field);
    return TRUE;
  case MODEL_OPSET_IMPORT:
    return read_opset(message_of(r, field), info);
  case MODEL_GRAPH:
    *has_graph = TRUE;
    return read_graph(message_of(r, field), info);
  default:
    return TRUE;
  }
}

gboolean mnk_onnx_probe(const guint8 *bytes, gsize length, MnkOnnxInfo *info, GError **error) {
  *info = (MnkOnnxInfo){0};
  Reader r = {.start = bytes, .at = bytes, .end = bytes + length, .error = error};
  gboolean has_graph = FALSE;
  while (r.at < r.end) {
    Field field;
    if (!read_field(&r, &field) || !read_model_field(&r, &field, info, &has_graph))
      return FALSE;
  }
  if (info->ir_version < 1 || info->ir_version > MAX_IR_VERSION)
    return fail(&r, "no IR version");
  return has_graph || fail(&r, "no graph");
}
