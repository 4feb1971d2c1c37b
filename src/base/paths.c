#include "base/paths.h"

#include "base/error.h"

/* XDG base directories: a relative path in the environment is to be ignored. */
static char *base_folder(const char *own_variable, const char *xdg_variable,
                         const char *below_home) {
  const char *own = g_getenv(own_variable);
  if (own != NULL && *own != '\0')
    return g_canonicalize_filename(own, NULL);

  const char *xdg = g_getenv(xdg_variable);
  if (xdg != NULL && g_path_is_absolute(xdg))
    return g_build_filename(xdg, "manako", NULL);

  const char *home = g_getenv("HOME");
  if (home == NULL || !g_path_is_absolute(home))
    home = g_get_home_dir();
  return g_build_filename(home, below_home, "manako", NULL);
}

char *mnk_path_cache(void) {
  return base_folder("MANAKO_CACHE", "XDG_CACHE_HOME", ".cache");
}

char *mnk_path_data(void) {
  return base_folder("MANAKO_DATA", "XDG_DATA_HOME", ".local/share");
}

char *mnk_path_self(GError **error) {
  g_autoptr(GError) failure = NULL;
  char *self = g_file_read_link("/proc/self/exe", &failure);
  if (self == NULL)
    g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL, "the program's own file cannot be found (%s)",
                failure->message);
  return self;
}
