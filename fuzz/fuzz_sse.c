/* However a stream is cut, its events are the same; what is written is read as it was. */
#include "fuzz.h"

#include <string.h>

#include "wire/sse.h"

enum { LINE_MAX_BYTES = 256 };

static void note(const char *name, const char *data, const char *id, gpointer user) {
  g_assert(g_utf8_validate(name, -1, NULL) && g_utf8_validate(data, -1, NULL));
  g_string_append_printf(user, "[%s|%s|%s]", name, data, id ? id : "-");
}

static gboolean read_pieces(const char *bytes, gsize size, gsize piece, GString *seen) {
  g_autoptr(MnkSseReader) reader = mnk_sse_reader_new(LINE_MAX_BYTES, note, seen);
  for (gsize at = 0; at < size; at += piece)
    if (!mnk_sse_reader_push(reader, bytes + at, MIN(piece, size - at), NULL))
      return FALSE;
  return TRUE;
}

static void write_and_read(const char *bytes, gsize size) {
  g_autofree char *text = g_utf8_make_valid(bytes, (gssize)MIN(size, LINE_MAX_BYTES / 4));
  if (strchr(text, '\r'))
    return; /* a carriage return comes back as a line feed */
  g_autoptr(GString) out = g_string_new(NULL);
  g_autoptr(GString) seen = g_string_new(NULL);
  g_autoptr(GString) expected = g_string_new(NULL);
  mnk_sse_write(out, 7, "caption", text);
  g_assert(read_pieces(out->str, out->len, out->len, seen));
  note("caption", text, "7", expected);
  g_assert(strcmp(seen->str, expected->str) == 0);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  const char *bytes = (const char *)data;
  g_autoptr(GString) whole = g_string_new(NULL);
  g_autoptr(GString) pieces = g_string_new(NULL);
  gsize piece = size ? data[0] % 7 + 1 : 1;
  gboolean ok = read_pieces(bytes, size, MAX(size, 1), whole);
  g_assert(ok == read_pieces(bytes, size, piece, pieces));
  g_assert(strcmp(whole->str, pieces->str) == 0);
  write_and_read(bytes, size);
  return 0;
}
