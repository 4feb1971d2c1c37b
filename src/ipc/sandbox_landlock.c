/* Landlock: files may be read as before, written only where said, and never run.
 * The rights are those of Documentation/userspace-api/landlock.rst; those newer than the build
 * machine's header are named here. */
#include "ipc/sandbox_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RIGHT_TRUNCATE (G_GUINT64_CONSTANT(1) << 14)     /* from ABI 3 */
#define RIGHT_DEVICE_IOCTL (G_GUINT64_CONSTANT(1) << 15) /* from ABI 5 */
#define SCOPE_ABSTRACT_SOCKET (G_GUINT64_CONSTANT(1) << 0)
#define SCOPE_SIGNAL (G_GUINT64_CONSTANT(1) << 1) /* both from ABI 6 */

static const guint64 rights_to_write_file =
    LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE | RIGHT_DEVICE_IOCTL;
static const guint64 rights_to_change_folder =
    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;
static const guint64 rights_never_given =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO;

/* As the newest kernel knows it; older ones are given its beginning. */
typedef struct {
  guint64 handled_fs;
  guint64 handled_net;
  guint64 scoped;
} Ruleset;

static guint64 rights_known(long abi) {
  guint64 rights = rights_to_write_file | rights_to_change_folder | rights_never_given;
  if (abi < 5)
    rights &= ~RIGHT_DEVICE_IOCTL;
  if (abi < 3)
    rights &= ~RIGHT_TRUNCATE;
  if (abi < 2)
    rights &= ~(guint64)LANDLOCK_ACCESS_FS_REFER;
  return rights;
}

static int make_ruleset(long abi, GError **error) {
  const Ruleset ruleset = {.handled_fs = rights_known(abi),
                           .scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL};
  gsize size = abi >= 6 ? sizeof ruleset : G_STRUCT_OFFSET(Ruleset, handled_net);
  int rules = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
  if (rules < 0)
    g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED, "the kernel refuses Landlock: %s",
                g_strerror(errno));
  return rules;
}

static gboolean allow_writing(int rules, long abi, const char *path, GError **error) {
  struct stat status;
  int place = open(path, O_PATH | O_CLOEXEC);
  if (place < 0 || fstat(place, &status) < 0) {
    int code = errno;
    if (place >= 0)
      close(place);
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "cannot let the worker write to \"%s\": %s",
                path, g_strerror(code));
    return FALSE;
  }
  guint64 rights = rights_to_write_file;
  if (S_ISDIR(status.st_mode))
    rights |= rights_to_change_folder;
  const struct landlock_path_beneath_attr rule = {.allowed_access = rights & rights_known(abi),
                                                  .parent_fd = place};
  long added = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  int code = errno;
  close(place);
  if (added < 0)
    g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED, "Landlock refuses \"%s\": %s", path,
                g_strerror(code));
  return added == 0;
}

static gboolean fill_and_enter(int rules, long abi, const char *const *writable, GError **error) {
  for (guint i = 0; writable && writable[i]; i++) {
    if (!allow_writing(rules, abi, writable[i], error))
      return FALSE;
  }
  if (!allow_writing(rules, abi, "/dev/null", error))
    return FALSE;
  if (syscall(SYS_landlock_restrict_self, rules, 0) == 0)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED, "the kernel refuses Landlock: %s",
              g_strerror(errno));
  return FALSE;
}

gboolean mnk_landlock_enter(const char *const *writable, GError **error) {
  long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) {
    mnk_info("ipc", NULL, "event=no-landlock reason=\"%s\"", g_strerror(errno));
    return TRUE;
  }
  int rules = make_ruleset(abi, error);
  if (rules < 0)
    return FALSE;
  gboolean entered = fill_and_enter(rules, abi, writable, error);
  close(rules);
  return entered;
}
