/* A configuration file: read, or refused with an error that names the file. */
#include "fuzz.h"

#include "base/options.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  int fd = memfd_create("config", MFD_CLOEXEC);
  g_assert(fd >= 0);
  g_assert(write(fd, data, size) == (gssize)size);
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GError) error = NULL;
  gboolean ok = mnk_settings_load_yaml(settings, path, &error);
  close(fd);
  g_assert(ok == (error == NULL));
  g_assert(ok || strstr(error->message, path) != NULL);
  return 0;
}
