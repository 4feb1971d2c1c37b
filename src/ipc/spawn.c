/* Spawn: fork and exec of a worker. posix_spawn has no way to set PR_SET_PDEATHSIG. */
#include "ipc/spawn_priv.h"

#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  CHILD_SOCKET = 3,
  CHILD_STATUS = 4, /* close-on-exec: its end tells the parent that exec has succeeded */
  CHILD_FIRST_CLOSED = 5,
  OUT_OF_THE_WAY = 16,
};

/* What of the environment a worker gets: where things lie and how libraries behave. Keys of
 * services are in the environment, too, and are none of its business. A name that ends in '_' is a
 * prefix. */
static const char KEPT[] =
    "ASAN_ G_ GCOV_ GLIBC_ HOME LANG LC_ LD_ LLVM_ LSAN_ MALLOC_ MANAKO_CACHE "
    "MANAKO_MODELS MANAKO_OPENVINO NO_COLOR OMP_ PATH TMPDIR TSAN_ TZ UBSAN_ "
    "XDG_";

typedef struct {
  char *path;
  char **argv, **environment;
  pid_t parent;
  gboolean has_stderr;
  int null;
  int socket[2]; /* ours, the child's */
  int status[2];
} Plan;

static void plan_clear(Plan *plan) {
  g_free(plan->path);
  g_strfreev(plan->argv);
  g_strfreev(plan->environment);
  const int fds[] = {plan->null, plan->socket[0], plan->socket[1], plan->status[0],
                     plan->status[1]};
  for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
    if (fds[i] >= 0)
      close(fds[i]);
  }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Plan, plan_clear)

static gboolean is_kept(const char *pair, char *const *names) {
  for (; *names != NULL; names++) {
    gsize n = strlen(*names);
    if (strncmp(pair, *names, n) == 0 && (g_str_has_suffix(*names, "_") || pair[n] == '='))
      return TRUE;
  }
  return FALSE;
}

char **mnk_worker_environment(void) {
  g_auto(GStrv) all = g_get_environ(), names = g_strsplit(KEPT, " ", -1);
  g_autoptr(GStrvBuilder) kept = g_strv_builder_new();
  for (char **pair = all; *pair != NULL; pair++)
    if (is_kept(*pair, names))
      g_strv_builder_add(kept, *pair);
  return g_strv_builder_end(kept);
}

static gboolean plan_make(Plan *plan, const char *const *argv, GError **error) {
  plan->path = g_find_program_in_path(argv[0]);
  if (!plan->path) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_WORKER, "there is no program \"%s\" for the worker",
                argv[0]);
    return FALSE;
  }
  g_autoptr(GPtrArray) words = g_ptr_array_new();
  for (guint i = 0; argv[i]; i++)
    g_ptr_array_add(words, g_strdup(argv[i]));
  g_ptr_array_add(words, g_strdup("--fd"));
  g_ptr_array_add(words, g_strdup_printf("%d", CHILD_SOCKET));
  g_ptr_array_add(words, NULL);
  plan->argv = (char **)g_ptr_array_steal(words, NULL);
  plan->environment = mnk_worker_environment();
  plan->parent = getpid();
  /* Asked before new descriptors can take its place. */
  plan->has_stderr = fcntl(2, F_GETFD) >= 0;

  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plan->socket) < 0 ||
      pipe2(plan->status, O_CLOEXEC) < 0 ||
      (plan->null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_WORKER, "no descriptors for a worker: %s",
                g_strerror(errno));
    return FALSE;
  }
  return TRUE;
}

/* ---- In the child: async-signal-safe calls only, another thread may have held any lock ---- */

/* Copies out of the way first: each of the descriptors may lie where another has to go. */
static gboolean copy_descriptors(const Plan *plan, int *null, int *channel, int *status) {
  *null = fcntl(plan->null, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
  *channel = fcntl(plan->socket[1], F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
  *status = fcntl(plan->status[1], F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
  return *null >= 0 && *channel >= 0 && *status >= 0;
}

static void close_others(void) {
  if (close_range(CHILD_FIRST_CLOSED, ~0U, 0) == 0)
    return;
  /* Before Linux 5.9, or forbidden by a container. */
  struct rlimit limit = {.rlim_cur = 65536};
  getrlimit(RLIMIT_NOFILE, &limit);
  for (rlim_t fd = CHILD_FIRST_CLOSED; fd < MIN(limit.rlim_cur, 1 << 20); fd++)
    close((int)fd);
}

static void reset_signals(void) {
  const struct sigaction normal = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; number++)
    sigaction(number, &normal, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

G_NORETURN static void fail_child(int status) {
  int code = errno;
  gssize written G_GNUC_UNUSED = write(status, &code, sizeof code);
  _exit(127);
}

G_NORETURN static void become_worker(const Plan *plan) {
  /* A parent that died before the prctl is seen by the other test. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != plan->parent)
    _exit(127);
  setsid();
  int null, channel, status;
  if (!copy_descriptors(plan, &null, &channel, &status))
    fail_child(plan->status[1]);
  if (dup2(null, 0) < 0 || (!plan->has_stderr && dup2(null, 2) < 0) || dup2(2, 1) < 0 ||
      dup2(channel, CHILD_SOCKET) < 0 || dup3(status, CHILD_STATUS, O_CLOEXEC) < 0)
    fail_child(status);
  close_others();
  reset_signals();
  execve(plan->path, plan->argv, plan->environment);
  fail_child(CHILD_STATUS);
}

/* ---- In the parent ---- */

static pid_t fork_worker(const Plan *plan) {
  /* No handler of ours may run in the child. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = fork();
  if (pid == 0)
    become_worker(plan);
  int code = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = code;
  return pid;
}

/* 0 when the child has become its program, else its errno. */
static int exec_result(int status) {
  int code = 0;
  gssize got;
  do
    got = read(status, &code, sizeof code);
  while (got < 0 && errno == EINTR);
  return got == 0 ? 0 : got == sizeof code ? code : EIO;
}

static void close_end(int *fd) {
  close(*fd);
  *fd = -1;
}

GPid mnk_spawn_worker(const char *const *argv, int *socket, GError **error) {
  g_auto(Plan) plan = {.null = -1, .socket = {-1, -1}, .status = {-1, -1}};
  if (!plan_make(&plan, argv, error))
    return 0;
  pid_t pid = fork_worker(&plan);
  int code = pid < 0 ? errno : 0;
  if (pid > 0) {
    close_end(&plan.status[1]);
    code = exec_result(plan.status[0]);
    if (code != 0)
      waitpid(pid, NULL, 0);
  }
  if (code != 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_WORKER, "cannot run \"%s\" as the worker: %s", argv[0],
                g_strerror(code));
    return 0;
  }
  *socket = plan.socket[0];
  plan.socket[0] = -1;
  return pid;
}
