#include "base/buffer.h"

#include <string.h>

/* The content is bytes[start, start + length): consuming moves start, and appending moves the
 * content back to the front before it asks for more memory. */
struct _MnkBuffer {
  guint8 *bytes;
  gsize start, length, allocated;
  gsize max;
};

enum { SMALLEST_ALLOCATION = 256 };

MnkBuffer *mnk_buffer_new(gsize max) {
  MnkBuffer *buffer = g_new0(MnkBuffer, 1);
  buffer->max = max;
  return buffer;
}

void mnk_buffer_free(MnkBuffer *buffer) {
  if (buffer == NULL)
    return;
  g_free(buffer->bytes);
  g_free(buffer);
}

/* Room for so many bytes in all, at the front of the allocation. */
static gboolean make_room(MnkBuffer *buffer, gsize needed) {
  if (buffer->start > 0) {
    memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->length);
    buffer->start = 0;
  }
  if (needed <= buffer->allocated)
    return TRUE;

  gsize grown = buffer->allocated > G_MAXSIZE / 2 ? needed : buffer->allocated * 2;
  gsize size = MIN(MAX(MAX(grown, needed), SMALLEST_ALLOCATION), MAX(buffer->max, needed));
  guint8 *bytes = g_try_realloc(buffer->bytes, size);
  if (bytes == NULL)
    return FALSE;
  buffer->bytes = bytes;
  buffer->allocated = size;
  return TRUE;
}

gboolean mnk_buffer_append(MnkBuffer *buffer, gconstpointer bytes, gsize length) {
  if (length > buffer->max - buffer->length)
    return FALSE;
  if (length == 0)
    return TRUE;
  gsize used = buffer->start + buffer->length;
  if (length > buffer->allocated - used && !make_room(buffer, buffer->length + length))
    return FALSE;
  memcpy(buffer->bytes + buffer->start + buffer->length, bytes, length);
  buffer->length += length;
  return TRUE;
}

void mnk_buffer_consume(MnkBuffer *buffer, gsize length) {
  g_return_if_fail(length <= buffer->length);
  buffer->start += length;
  buffer->length -= length;
  if (buffer->length == 0)
    buffer->start = 0;
}

void mnk_buffer_clear(MnkBuffer *buffer) {
  buffer->start = buffer->length = 0;
}

const guint8 *mnk_buffer_bytes(const MnkBuffer *buffer, gsize *length) {
  if (length != NULL)
    *length = buffer->length;
  return buffer->bytes != NULL ? buffer->bytes + buffer->start : (const guint8 *)"";
}

gsize mnk_buffer_length(const MnkBuffer *buffer) {
  return buffer->length;
}

gsize mnk_buffer_max(const MnkBuffer *buffer) {
  return buffer->max;
}
