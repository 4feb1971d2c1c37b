/* Where the runtime and the tools lie: set up in the cache, installed, or in the source tree. */
#include "base/base.h"
#include "models/models_priv.h"

#define OPENVINO_LIBRARY "libopenvino_c.so"

char *mnk_models_openvino_library(void) {
  const char *own = g_getenv("MANAKO_OPENVINO");
  if (own != NULL && *own != '\0')
    return g_file_test(own, G_FILE_TEST_IS_DIR) ? g_build_filename(own, OPENVINO_LIBRARY, NULL)
                                                : g_strdup(own);
  g_autofree char *cache = mnk_path_cache();
  g_autofree char *path =
      g_build_filename(cache, "runtime", "openvino", "openvino", "libs", OPENVINO_LIBRARY, NULL);
  return g_file_test(path, G_FILE_TEST_EXISTS) ? g_steal_pointer(&path)
                                               : g_strdup(OPENVINO_LIBRARY);
}

char *mnk_models_fetch_script_of(const char *program) {
  static const char *const beside[] = {"tools", "share/manako/tools"};
  g_autofree char *folder = g_path_get_dirname(program);
  g_autofree char *above = g_path_get_dirname(folder);
  for (guint i = 0; i < G_N_ELEMENTS(beside); i++) {
    g_autofree char *script = g_build_filename(above, beside[i], "fetch.py", NULL);
    if (g_file_test(script, G_FILE_TEST_IS_REGULAR))
      return g_steal_pointer(&script);
  }
  return NULL;
}

char *mnk_models_fetch_script(void) {
  g_autofree char *self = mnk_path_self(NULL);
  return self != NULL ? mnk_models_fetch_script_of(self) : NULL;
}
