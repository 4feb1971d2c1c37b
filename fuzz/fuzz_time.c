/* Times as people write them: what is read, is written as text that reads as the same time. */
#include "fuzz.h"

#include "base/options.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  g_autofree char *text = g_strndup((const char *)data, size);
  gint64 ms = 0, again = 0;
  if (!mnk_parse_time_ms(text, &ms))
    return 0;
  g_autofree char *formatted = mnk_format_time_ms(ms);
  g_assert(mnk_parse_time_ms(formatted, &again));
  g_assert(again == ms);
  return 0;
}
