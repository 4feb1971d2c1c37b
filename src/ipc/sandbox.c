/* Sandbox: what a process that decodes hostile bytes gives up before it reads the first one. */
#include "ipc/sandbox_priv.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 512 };

static gboolean limit(int resource, rlim_t most, const char *name, GError **error) {
  struct rlimit now, wanted;
  if (getrlimit(resource, &now) == 0) {
    wanted.rlim_max = MIN(now.rlim_max, most);
    wanted.rlim_cur = MIN(now.rlim_cur, wanted.rlim_max);
    if (setrlimit(resource, &wanted) == 0)
      return TRUE;
  }
  g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL, "cannot limit the worker's %s: %s", name,
              g_strerror(errno));
  return FALSE;
}

static gboolean enter_limits(guint64 max_memory, GError **error) {
  if (max_memory > 0 && !MNK_SANITIZED && !limit(RLIMIT_DATA, max_memory, "memory", error))
    return FALSE;
  return limit(RLIMIT_CORE, 0, "core files", error) &&
         limit(RLIMIT_NOFILE, DESCRIPTORS_MAX, "open files", error);
}

/* Landlock binds a thread, not a process. ThreadSanitizer's own thread does not count. */
static gboolean check_single_thread(GError **error) {
  g_autoptr(GDir) tasks = g_dir_open("/proc/self/task", 0, NULL);
  guint n = 0;
  while (tasks && g_dir_read_name(tasks))
    n++;
  if (n <= 1 || MNK_SANITIZED)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL,
              "the sandbox must be entered before threads are started, and there are %u", n);
  return FALSE;
}

static gboolean give_up_privileges(GError **error) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
              "the kernel refuses to give up privileges: %s", g_strerror(errno));
  return FALSE;
}

gboolean mnk_sandbox_enter(const MnkSandboxConfig *config, GError **error) {
  gboolean writing = config->writable && config->writable[0];
  return check_single_thread(error) && give_up_privileges(error) &&
         mnk_landlock_enter(config->writable, error) && enter_limits(config->max_memory, error) &&
         mnk_seccomp_enter(config->network, writing, error);
}
