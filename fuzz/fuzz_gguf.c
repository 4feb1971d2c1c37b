/* As a whole file, and as the start of a longer one: what is right as a whole is right as a
 * start. */
#include "fuzz.h"

#include "wire/probe.h"

#include <string.h>

static void check_text(const char *text, gsize room) {
  g_assert(memchr(text, '\0', room) != NULL);
  g_assert(g_utf8_validate(text, -1, NULL));
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  MnkGgufInfo whole, start;
  g_autoptr(GError) error = NULL;
  gboolean ok = mnk_gguf_probe(data, size, size, &whole, &error);
  gboolean ok_as_start = mnk_gguf_probe(data, size, (guint64)size + (1 << 20), &start, NULL);
  g_assert(ok == (error == NULL));
  g_assert(!ok || ok_as_start);
  g_assert(!ok || whole.data_offset == start.data_offset);
  check_text(whole.architecture, sizeof whole.architecture);
  check_text(whole.name, sizeof whole.name);
  check_text(whole.type, sizeof whole.type);
  check_text(whole.projector, sizeof whole.projector);
  return 0;
}
