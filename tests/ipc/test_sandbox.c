/* Sandbox: each case runs in a forked child that enters the sandbox and makes one attempt. */
#include "ipc/sandbox_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef gboolean (*Attempt)(void);
typedef struct {
  const char *name;
  Attempt attempt;
} Case;

enum { DONE = 0, NOT_DONE = 10, NO_SANDBOX = 11 };

/* The exit status of a child that tries it under the given sandbox. */
static int try_under(const MnkSandboxConfig *config, Attempt attempt) {
  pid_t pid = fork();
  if (pid == 0) {
    g_autoptr(GError) error = NULL;
    if (!mnk_sandbox_enter(config, &error)) {
      fprintf(stderr, "# %s\n", error->message);
      _exit(NO_SANDBOX);
    }
    _exit(attempt() ? DONE : NOT_DONE);
  }
  int status;
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const MnkSandboxConfig closed_config = {0};
static const MnkSandboxConfig network_config = {.network = TRUE};

/* ---- Forbidden: an attempt that succeeds when the call is refused with EPERM ---- */

#define REFUSED(call) ((call) == -1 && errno == EPERM)

static gboolean refuses_exec(void) {
  char *argv[] = {(char *)"true", NULL};
  return REFUSED(execv("/bin/true", argv)) &&
         REFUSED(execveat(AT_FDCWD, "/bin/true", argv, argv, 0));
}

static gboolean refuses_fork(void) {
  return REFUSED(syscall(SYS_fork)) && REFUSED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static gboolean refuses_vfork(void) {
  return REFUSED(syscall(SYS_vfork));
}

static gboolean clone3_is_unknown(void) {
  return syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS;
}

static gboolean refuses_clone_of_namespaces(void) {
  return REFUSED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)) &&
         REFUSED(unshare(CLONE_NEWUSER)) && REFUSED(setns(0, 0));
}

static gboolean refuses_ptrace(void) {
  return MNK_SANITIZED || REFUSED(ptrace(PTRACE_TRACEME, 0, 0, 0));
}

static gboolean refuses_other_memory(void) {
  return REFUSED(syscall(SYS_process_vm_readv, getppid(), 0, 0, 0, 0, 0)) &&
         REFUSED(syscall(SYS_process_vm_writev, getppid(), 0, 0, 0, 0, 0)) &&
         REFUSED(syscall(SYS_process_madvise, 0, 0, 0, 0, 0));
}

static gboolean refuses_mounts(void) {
  return REFUSED(mount("none", "/", "tmpfs", 0, NULL)) && REFUSED(umount2("/", 0)) &&
         REFUSED(chroot("/")) && REFUSED(syscall(SYS_pivot_root, "/", "/")) &&
         REFUSED(syscall(SYS_open_tree, AT_FDCWD, "/", 0));
}

static gboolean refuses_kernel_doors(void) {
  return REFUSED(syscall(SYS_bpf, 0, NULL, 0)) && REFUSED(syscall(SYS_keyctl, 0, 0, 0, 0, 0)) &&
         REFUSED(syscall(SYS_add_key, 0, 0, 0, 0, 0)) &&
         REFUSED(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0)) &&
         REFUSED(syscall(SYS_userfaultfd, 0)) && REFUSED(syscall(SYS_io_uring_setup, 1, NULL)) &&
         REFUSED(syscall(SYS_init_module, NULL, 0, "")) &&
         REFUSED(syscall(SYS_reboot, 0, 0, 0, 0)) && REFUSED(personality(0xffffffff)) &&
         REFUSED(syscall(SYS_name_to_handle_at, 0, 0, 0, 0, 0));
}

static gboolean refuses_signals_to_others(void) {
  return REFUSED(kill(getppid(), 0)) && REFUSED(kill(0, 0)) && REFUSED(kill(-1, 0)) &&
         REFUSED(syscall(SYS_tgkill, getppid(), getppid(), 0)) &&
         REFUSED(syscall(SYS_tkill, getppid(), 0)) &&
         REFUSED(syscall(SYS_rt_sigqueueinfo, getppid(), 0, NULL)) &&
         REFUSED(syscall(SYS_pidfd_open, getppid(), 0)) &&
         REFUSED(syscall(SYS_pidfd_send_signal, 0, 0, 0, 0));
}

static gboolean refuses_signals_by_descriptor(void) {
  return REFUSED(fcntl(0, F_SETOWN, getppid())) && REFUSED(fcntl(0, F_SETSIG, SIGKILL)) &&
         REFUSED(ioctl(0, FIOASYNC, NULL));
}

static gboolean refuses_terminal_input(void) {
  return REFUSED(ioctl(0, TIOCSTI, "x")) && REFUSED(ioctl(0, 0x541c /* TIOCLINUX */, "x")) &&
         REFUSED(ioctl(0, 0x5606 /* VT_ACTIVATE */, 1));
}

/* With the high half set, which the kernel does not look at. */
static gboolean refuses_terminal_input_disguised(void) {
  return REFUSED(syscall(SYS_ioctl, 0, 0x100000000UL | TIOCSTI, "x"));
}

static gboolean refuses_outliving_the_server(void) {
  return MNK_SANITIZED ||
         (REFUSED(prctl(PR_SET_PDEATHSIG, 0)) && REFUSED(prctl(PR_SET_PTRACER, 1)));
}

static gboolean refuses_raising_limits(void) {
  const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  return REFUSED(setrlimit(RLIMIT_CORE, &none)) &&
         REFUSED(syscall(SYS_prlimit64, getppid(), RLIMIT_CORE, &none, NULL));
}

static gboolean refuses_changing_who_it_is(void) {
  return REFUSED(setuid(0)) && REFUSED(setgid(0)) && REFUSED(setsid()) && REFUSED(chmod("/", 0));
}

static gboolean refuses_network(void) {
  const struct sockaddr_in address = {.sin_family = AF_INET};
  return REFUSED(socket(AF_INET, SOCK_STREAM, 0)) && REFUSED(socket(AF_INET6, SOCK_DGRAM, 0)) &&
         REFUSED(socket(AF_NETLINK, SOCK_RAW, 0)) && REFUSED(socket(AF_UNIX, SOCK_STREAM, 0)) &&
         REFUSED(connect(0, (const struct sockaddr *)&address, sizeof address));
}

static gboolean refuses_odd_sockets(void) {
  int pair[2];
  return REFUSED(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)) &&
         REFUSED(socket(AF_UNIX, SOCK_STREAM, 0)) && REFUSED(socket(AF_PACKET, SOCK_RAW, 0)) &&
         REFUSED(socket(AF_VSOCK, SOCK_STREAM, 0)) &&
         REFUSED(socket(AF_NETLINK, SOCK_RAW, 9 /* audit */)) && REFUSED(socket(AF_ALG, 5, 0)) &&
         REFUSED(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)) && REFUSED(listen(0, 1)) &&
         REFUSED(accept(0, NULL, NULL));
}

static gboolean refuses_all_writing(void) {
  g_autofree char *path = g_build_filename(g_get_tmp_dir(), "manako-sandbox-test", NULL);
  return REFUSED(open(path, O_WRONLY)) && REFUSED(open(path, O_RDWR)) &&
         REFUSED(open(path, O_RDONLY | O_CREAT, 0600)) && REFUSED(open(path, O_RDONLY | O_TRUNC)) &&
         REFUSED(open(g_get_tmp_dir(), O_TMPFILE | O_WRONLY, 0600)) && REFUSED(creat(path, 0600)) &&
         REFUSED(unlink(path)) && REFUSED(mkdir(path, 0700)) && REFUSED(rename(path, "/x")) &&
         REFUSED(symlink("/", path)) && REFUSED(mknod(path, S_IFIFO, 0)) &&
         REFUSED(truncate(path, 0));
}

static const Case forbidden[] = {
    {"exec", refuses_exec},
    {"fork", refuses_fork},
    {"vfork", refuses_vfork},
    {"clone3-is-unknown", clone3_is_unknown},
    {"namespaces", refuses_clone_of_namespaces},
    {"ptrace", refuses_ptrace},
    {"other-memory", refuses_other_memory},
    {"mounts", refuses_mounts},
    {"kernel-doors", refuses_kernel_doors},
    {"signals-to-others", refuses_signals_to_others},
    {"signals-by-descriptor", refuses_signals_by_descriptor},
    {"terminal-input", refuses_terminal_input},
    {"terminal-input-disguised", refuses_terminal_input_disguised},
    {"outliving-the-server", refuses_outliving_the_server},
    {"raising-limits", refuses_raising_limits},
    {"changing-who-it-is", refuses_changing_who_it_is},
    {"writing", refuses_all_writing},
};

/* ---- Allowed ---- */

static gpointer work(gpointer data) {
  g_autofree char *block = g_malloc0(1 << 16);
  prctl(PR_SET_NAME, "worker");
  g_usleep(1000);
  return g_thread_self();
}

static gboolean runs_threads(void) {
  GThread *threads[8];
  for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
    if (!(threads[i] = g_thread_try_new("worker", work, NULL, NULL)))
      return FALSE;
  }
  for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
    if (!g_thread_join(threads[i]))
      return FALSE;
  }
  return TRUE;
}

static void count(gpointer item, gpointer user) {
  g_atomic_int_inc((gint *)user);
}

G_GNUC_UNUSED static gboolean runs_thread_pools(void) {
  gint n = 0;
  GThreadPool *pool = g_thread_pool_new(count, &n, 4, FALSE, NULL);
  for (guint i = 1; i <= 100; i++)
    g_thread_pool_push(pool, GUINT_TO_POINTER(i), NULL);
  g_thread_pool_free(pool, FALSE, TRUE);
  return g_atomic_int_get(&n) == 100;
}

static gboolean maps_memory(void) {
  guint8 *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED)
    return FALSE;
  code[0] = 0xc3;
  g_autofree char *large = g_try_malloc(64 << 20);
  return large && mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0 && munmap(code, 4096) == 0;
}

static gboolean reads_files(void) {
  g_autofree char *text = NULL;
  g_autoptr(GDir) folder = g_dir_open("/", 0, NULL);
  struct stat status;
  return g_file_get_contents("/proc/self/status", &text, NULL, NULL) && folder &&
         g_dir_read_name(folder) && stat("/", &status) == 0 && access("/", R_OK) == 0;
}

static gboolean maps_files(void) {
  g_autoptr(GMappedFile) file = g_mapped_file_new("/proc/self/exe", FALSE, NULL);
  return file && g_mapped_file_get_length(file) > 4 && g_mapped_file_get_contents(file)[1] == 'E';
}

static gboolean shares_slots(void) {
  g_autoptr(MnkSlots) ours = mnk_slots_new(4, 100000, NULL);
  g_autoptr(MnkSlots) theirs =
      ours ? mnk_slots_map(dup(mnk_slots_fd(ours)), 4, 100000, NULL) : NULL;
  return theirs && mnk_slots_acquire(theirs) >= 0;
}

static gboolean talks_on_its_channel(void) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    return FALSE;
  g_autoptr(MnkChannel) here = mnk_channel_new(fds[0]);
  g_autoptr(MnkChannel) there = mnk_channel_new(fds[1]);
  if (!mnk_channel_send(here, MNK_MSG_OPEN, 1, "{}", 2, 2, 100, NULL))
    return FALSE;
  g_autoptr(MnkMessage) message = mnk_channel_receive(there, 100, NULL);
  return message && message->fd >= 0;
}

static gboolean turns_a_main_loop(void) {
  g_autoptr(GMainContext) context = g_main_context_new();
  g_main_context_iteration(context, FALSE);
  return TRUE;
}

static gboolean tells_time_and_chance(void) {
  cpu_set_t cpus;
  guint8 bytes[16];
  struct rlimit limit;
  return g_get_real_time() > 0 && getentropy(bytes, sizeof bytes) == 0 &&
         sched_getaffinity(0, sizeof cpus, &cpus) == 0 &&
         sched_setaffinity(0, sizeof cpus, &cpus) == 0 && sysconf(_SC_NPROCESSORS_ONLN) > 0 &&
         getrlimit(RLIMIT_STACK, &limit) == 0;
}

/* No camera here: what matters is that the request reaches the kernel. */
static gboolean asks_cameras(void) {
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return ioctl(null, _IOR('V', 0, char[104]), NULL) == -1 && errno == ENOTTY &&
         ioctl(null, _IOWR('V', 5, char[208]), NULL) == -1 && errno == ENOTTY &&
         ioctl(null, _IOW('V', 18, int), NULL) == -1 && errno == ENOTTY;
}

static gboolean has_no_core_files(void) {
  struct rlimit core, files;
  return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 &&
         getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max <= 512;
}

static const Case allowed[] = {
    {"threads", runs_threads},
#ifndef __SANITIZE_THREAD__ /* it cannot see what orders the work inside GLib's pool */
    {"thread-pools", runs_thread_pools},
#endif
    {"memory", maps_memory},
    {"reading-files", reads_files},
    {"mapping-files", maps_files},
    {"slots", shares_slots},
    {"channel", talks_on_its_channel},
    {"main-loop", turns_a_main_loop},
    {"time-and-chance", tells_time_and_chance},
    {"cameras", asks_cameras},
    {"limits", has_no_core_files},
};

static void test_case(gconstpointer data) {
  const Case *one = data;
  g_assert_cmpint(try_under(&closed_config, one->attempt), ==, DONE);
}

/* ---- Ends that are not an exit status of ours ---- */

static gboolean aborts(void) {
  abort();
}

static void test_abort(void) {
  g_assert_cmpint(try_under(&closed_config, aborts), ==, 128 + SIGABRT);
}

/* The whole way out, with LeakSanitizer's check where the build has it. */
static gboolean exits(void) {
  exit(DONE);
}

static void test_exit(void) {
  g_assert_cmpint(try_under(&closed_config, exits), ==, DONE);
}

/* ---- Network ---- */

static void test_no_network(void) {
  g_assert_cmpint(try_under(&closed_config, refuses_network), ==, DONE);
}

/* To a port of loopback where nobody listens: refused by the peer, not by the sandbox. */
static gboolean uses_network(void) {
  const struct sockaddr_in nowhere = {
      .sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int one = 1;
  int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int udp = socket(AF_INET, SOCK_DGRAM, 0);
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
  return tcp >= 0 && udp >= 0 && netlink >= 0 &&
         setsockopt(tcp, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one) == 0 &&
         connect(tcp, (const struct sockaddr *)&nowhere, sizeof nowhere) == -1 && errno != EPERM &&
         bind(udp, (const struct sockaddr *)&any, sizeof any) == 0;
}

static void test_network(void) {
  g_assert_cmpint(try_under(&network_config, uses_network), ==, DONE);
  g_assert_cmpint(try_under(&network_config, refuses_odd_sockets), ==, DONE);
  g_assert_cmpint(try_under(&network_config, refuses_exec), ==, DONE);
  g_assert_cmpint(try_under(&network_config, refuses_all_writing), ==, DONE);
}

/* ---- Writing ---- */

static char *folder; /* of the case; the children find it here */
static char *outside;

static gboolean writes_inside(void) {
  g_autofree char *below = g_build_filename(folder, "below", NULL);
  g_autofree char *file = g_build_filename(below, "file", NULL);
  g_autofree char *moved = g_build_filename(folder, "moved", NULL);
  g_autofree char *text = NULL;
  return g_mkdir(below, 0700) == 0 && g_file_set_contents(file, "model", -1, NULL) &&
         g_rename(file, moved) == 0 && g_file_get_contents(moved, &text, NULL, NULL) &&
         g_str_equal(text, "model") && g_unlink(moved) == 0 && g_rmdir(below) == 0 &&
         open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0;
}

#define DENIED(call) ((call) == -1 && (errno == EACCES || errno == EPERM || errno == EXDEV))

static gboolean writes_nowhere_else(void) {
  g_autofree char *other = g_build_filename(outside, "other", NULL);
  g_autofree char *there = g_build_filename(outside, "there", NULL);
  g_autofree char *link = g_build_filename(folder, "link", NULL);
  return DENIED(open(there, O_WRONLY)) && DENIED(open(there, O_RDONLY | O_TRUNC)) &&
         DENIED(open(other, O_WRONLY | O_CREAT, 0600)) && DENIED(unlink(there)) &&
         DENIED(mkdir(other, 0700)) && DENIED(rename(there, other)) && symlink(there, link) == 0 &&
         DENIED(open(link, O_WRONLY)) && unlink(link) == 0 &&
         open(there, O_RDONLY | O_CLOEXEC) >= 0 && refuses_exec();
}

/* As OpenVINO does with its cache: it must not fail, and must not change a file either. */
static gboolean pretends_to_change_modes(void) {
  g_autofree char *there = g_build_filename(outside, "there", NULL);
  int fd = open(there, O_RDONLY | O_CLOEXEC);
  struct stat before, after;
  return fstat(fd, &before) == 0 && chmod(there, 04777) == 0 && fchmod(fd, 04777) == 0 &&
         fchmodat(AT_FDCWD, there, 04777, 0) == 0 && fstat(fd, &after) == 0 &&
         before.st_mode == after.st_mode;
}

static gboolean has_landlock(void) {
  return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

static void test_writable(void) {
  folder = g_dir_make_tmp("manako-sandbox-XXXXXX", NULL);
  outside = g_dir_make_tmp("manako-sandbox-XXXXXX", NULL);
  g_autofree char *there = g_build_filename(outside, "there", NULL);
  g_assert_true(g_file_set_contents(there, "", -1, NULL));
  const char *writable[] = {folder, NULL};
  const MnkSandboxConfig config = {.writable = writable};
  g_assert_cmpint(try_under(&config, writes_inside), ==, DONE);
  g_assert_cmpint(try_under(&config, pretends_to_change_modes), ==, DONE);
  if (has_landlock())
    g_assert_cmpint(try_under(&config, writes_nowhere_else), ==, DONE);
  else
    g_test_message("no Landlock here: writing outside is left to the files' permissions");
  g_unlink(there);
  g_rmdir(outside);
  g_rmdir(folder);
  g_clear_pointer(&folder, g_free);
  g_clear_pointer(&outside, g_free);
}

static gboolean writes_the_file(void) {
  g_autofree char *beside = g_strconcat(folder, ".beside", NULL);
  int fd = open(folder, O_RDWR | O_TRUNC | O_CLOEXEC);
  return fd >= 0 && write(fd, "x", 1) == 1 &&
         (!has_landlock() || DENIED(open(beside, O_WRONLY | O_CREAT, 0600)));
}

/* A single file, as a camera's device is one. */
static void test_writable_file(void) {
  int fd = g_file_open_tmp("manako-sandbox-XXXXXX", &folder, NULL);
  const char *writable[] = {folder, NULL};
  const MnkSandboxConfig config = {.writable = writable};
  g_assert_cmpint(try_under(&config, writes_the_file), ==, DONE);
  close(fd);
  g_unlink(folder);
  g_clear_pointer(&folder, g_free);
}

/* Asked of a child, since it cannot be left. */
static gboolean second_entry_fails(void) {
  g_autoptr(GError) error = NULL;
  return !mnk_sandbox_enter(&closed_config, &error) && error != NULL;
}

static void test_no_way_in_again(void) {
  g_assert_cmpint(try_under(&closed_config, second_entry_fails), ==, DONE);
}

static void test_missing_writable(void) {
  const char *writable[] = {"/nonexistent/cache", NULL};
  const MnkSandboxConfig config = {.writable = writable};
  pid_t pid = fork();
  if (pid == 0) {
    g_autoptr(GError) error = NULL;
    gboolean entered = mnk_sandbox_enter(&config, &error);
    _exit(!entered && g_error_matches(error, MNK_ERROR, MNK_ERROR_NOT_FOUND) ? DONE : NOT_DONE);
  }
  int status;
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_cmpint(WEXITSTATUS(status), ==, has_landlock() ? DONE : NOT_DONE);
}

/* ---- Memory ---- */

static gboolean cannot_take_too_much(void) {
  g_autofree char *fits = g_try_malloc(16 << 20);
  g_autofree char *too_much = g_try_malloc(1 << 30);
  return fits && !too_much;
}

static void test_memory(void) {
  if (MNK_SANITIZED) {
    g_test_skip("the sanitizer's shadow memory counts as data");
    return;
  }
  const MnkSandboxConfig config = {.max_memory = 256 << 20};
  g_assert_cmpint(try_under(&config, cannot_take_too_much), ==, DONE);
}

/* ---- Threads that were there before ---- */

static gpointer wait_for_ever(gpointer data) {
  for (;;)
    pause();
  return NULL;
}

static void test_late(void) {
  if (MNK_SANITIZED) {
    g_test_skip("the sanitizer has threads of its own");
    return;
  }
  pid_t pid = fork();
  if (pid == 0) {
    g_thread_unref(g_thread_new("early", wait_for_ever, NULL));
    _exit(second_entry_fails() ? DONE : NOT_DONE);
  }
  int status;
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_cmpint(WEXITSTATUS(status), ==, DONE);
}

static void add_cases(const char *group, const Case *cases, guint n) {
  for (guint i = 0; i < n; i++) {
    g_autofree char *path = g_strdup_printf("/ipc/sandbox/%s/%s", group, cases[i].name);
    g_test_add_data_func(path, &cases[i], test_case);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  add_cases("forbidden", forbidden, G_N_ELEMENTS(forbidden));
  add_cases("allowed", allowed, G_N_ELEMENTS(allowed));
  g_test_add_func("/ipc/sandbox/abort", test_abort);
  g_test_add_func("/ipc/sandbox/exit", test_exit);
  g_test_add_func("/ipc/sandbox/no-network", test_no_network);
  g_test_add_func("/ipc/sandbox/network", test_network);
  g_test_add_func("/ipc/sandbox/writable", test_writable);
  g_test_add_func("/ipc/sandbox/writable-file", test_writable_file);
  g_test_add_func("/ipc/sandbox/missing-writable", test_missing_writable);
  g_test_add_func("/ipc/sandbox/no-way-in-again", test_no_way_in_again);
  g_test_add_func("/ipc/sandbox/memory", test_memory);
  g_test_add_func("/ipc/sandbox/late", test_late);
  return g_test_run();
}
