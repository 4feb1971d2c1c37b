/* What decodes, encodes to the same text: there is one text for any bytes. What encodes, decodes.
 */
#include "fuzz.h"

#include "wire/base64.h"

#include <string.h>

static void decode(const char *text, gsize size) {
  gsize room = mnk_base64_max_decoded(size), length = 0, in_place_length = 0;
  g_autofree guint8 *bytes = g_malloc(room + 1); /* malloc of 0 would give NULL */
  g_autofree guint8 *in_place = g_memdup2(size ? text : "x", size ? size : 1);
  bytes[room] = 0x5a;
  gboolean ok = mnk_base64_decode(text, size, bytes, &length, NULL);
  g_assert(bytes[room] == 0x5a && length <= room);
  g_assert(ok == mnk_base64_decode((const char *)in_place, size, in_place, &in_place_length, NULL));
  if (!ok)
    return;
  g_assert(in_place_length == length && memcmp(in_place, bytes, length) == 0);
  g_autoptr(GString) again = g_string_new(NULL);
  mnk_base64_encode(bytes, length, again);
  g_assert(again->len == size && memcmp(again->str, text, size) == 0);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  decode((const char *)data, size);
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_base64_encode(data, size, text);
  decode(text->str, text->len);
  return 0;
}
