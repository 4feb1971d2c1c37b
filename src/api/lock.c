/* One server for one data folder: two would go on with the same streams, under the same ids. */
#include "api/core_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/file.h>
#include <unistd.h>

static int lock_file(const char *path, GError **error) {
  g_autofree char *folder = g_path_get_dirname(path);
  if (g_mkdir_with_parents(folder, 0700) != 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "%s cannot be made: %s", folder,
                g_strerror(errno));
    return -1;
  }
  /* workers must not hold it: they outlive a killed server by a moment */
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
    return fd;
  int why = errno;
  if (fd >= 0)
    close(fd);
  if (fd >= 0 && why == EWOULDBLOCK)
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE,
                "another server runs on the same data: it holds %s", path);
  else
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "%s cannot be locked: %s", path,
                g_strerror(why));
  return -1;
}

gboolean mnk_api_lock(MnkApi *api, GError **error) {
  g_autofree char *folder = mnk_api_data_dir(api->settings);
  g_autofree char *db = mnk_api_db_path(api->settings);
  g_autofree char *of_uploads = g_build_filename(folder, "serve.lock", NULL);
  g_autofree char *of_timeline = g_strconcat(db, ".lock", NULL);
  api->locks[0] = lock_file(of_uploads, error);
  if (api->locks[0] >= 0)
    api->locks[1] = lock_file(of_timeline, error);
  return api->locks[0] >= 0 && api->locks[1] >= 0;
}

/* The files stay: to remove one that another server has just opened would let in a third. */
void mnk_api_unlock(MnkApi *api) {
  for (guint i = 0; i < G_N_ELEMENTS(api->locks); i++)
    if (api->locks[i] >= 0)
      close(api->locks[i]);
}
