/* .env files: what is read are pairs, each name once; and written in double quotes they read as the
 * same. */
#include "fuzz.h"

#include "base/dotenv.h"

#include <string.h>

static char *quote(char **pairs) {
  g_autoptr(GString) out = g_string_new(NULL);
  for (guint i = 0; pairs[i] != NULL; i++) {
    const char *value = strchr(pairs[i], '=');
    g_assert(value != NULL && value > pairs[i]);
    g_string_append_len(out, pairs[i], value + 1 - pairs[i]);
    g_string_append_c(out, '"');
    for (const char *c = value + 1; *c != '\0'; c++)
      g_string_append_printf(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    g_string_append(out, "\"\n");
  }
  return g_string_free(g_steal_pointer(&out), FALSE);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) pairs = mnk_dotenv_parse((const char *)data, size, ".env", &error);
  g_assert((pairs == NULL) == (error != NULL));
  if (pairs == NULL)
    return 0;
  g_autofree char *text = quote(pairs);
  g_auto(GStrv) again = mnk_dotenv_parse(text, strlen(text), ".env", &error);
  g_assert_no_error(error);
  g_assert(g_strv_equal((const char *const *)pairs, (const char *const *)again));
  return 0;
}
