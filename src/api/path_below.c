/* Files over the API: only those below one folder. */
#include "api/spec_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel follows the path and its links, and refuses the step that would leave the folder.
 * O_PATH: nothing is opened yet, so that a pipe or a device cannot do anything. */
static int open_beneath(int root, const char *path) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static gboolean is_below(const char *root, const char *path) {
  gsize length = strlen(root);
  return strncmp(root, path, length) == 0 && (path[length] == '/' || g_str_equal(root, "/"));
}

/* For kernels and sandboxes without openat2: by the names that both resolve to. */
static int open_checked(int root, const char *path) {
  g_autofree char *root_link = g_strdup_printf("/proc/self/fd/%d", root);
  g_autofree char *full = g_build_filename(root_link, path, NULL);
  char real_root[PATH_MAX], real[PATH_MAX];
  if (realpath(root_link, real_root) == NULL || realpath(full, real) == NULL)
    return -1;
  if (!is_below(real_root, real)) {
    errno = EXDEV;
    return -1;
  }
  return open(real, O_PATH | O_CLOEXEC | O_NOFOLLOW);
}

static int open_below(const char *root_path, const char *path) {
  int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0)
    return -1;
  int fd = open_beneath(root, path);
  if (fd < 0 && (errno == ENOSYS || errno == EPERM))
    fd = open_checked(root, path);
  int why = errno;
  close(root);
  errno = why;
  return fd;
}

static gboolean check_regular(int fd, const char *shown, GError **error) {
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "source %s is not a file", shown);
  return FALSE;
}

char *mnk_path_below(const char *root, const char *path, GError **error) {
  const char *within = path;
  if (g_path_is_absolute(path) && is_below(root, path))
    within = path + strlen(root);
  while (within != path && *within == '/')
    within++;
  int fd = *within == '\0' ? -1 : open_below(root, within);
  if (fd < 0) {
    gboolean outside = *within != '\0' && (errno == EXDEV || errno == ELOOP);
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "source %s %s", path,
                outside ? "is not below the folder that --files-root names"
                        : "is not a file in the folder that --files-root names");
    return NULL;
  }
  g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
  char real[PATH_MAX];
  char *result = NULL;
  if (check_regular(fd, path, error)) {
    if (realpath(link, real) != NULL)
      result = g_strdup(real);
    else
      g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "source %s: %s", path, g_strerror(errno));
  }
  close(fd);
  return result;
}
