/* seccomp: the list of system calls that a worker may make, over libseccomp. Whatever is not listed
 * fails with EPERM, which libraries take as they take any other failure. */
#include "ipc/sandbox_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

/* Names that libseccomp or the machine does not know are passed over. */
static const char *const calls_always[] = {
    /* memory; executable pages too, as OpenVINO compiles its kernels */
    "brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "mincore", "msync", "mlock",
    "munlock", "membarrier", "memfd_create", "get_mempolicy", "set_mempolicy", "mbind", "mseal",
    "map_shadow_stack",
    /* descriptors */
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev",
    "pwritev2", "lseek", "_llseek", "close", "close_range", "dup", "dup2", "dup3", "pipe", "pipe2",
    "eventfd", "eventfd2", "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6",
    "pselect6_time64", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
    "epoll_pwait2", "timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd4", "flock",
    "fadvise64", "fadvise64_64", "readahead", "fsync", "fdatasync", "ftruncate", "fallocate",
    "sendfile", "copy_file_range",
    /* looking at files */
    "stat", "stat64", "fstat", "fstat64", "lstat", "lstat64", "newfstatat", "fstatat64", "statx",
    "statfs", "statfs64", "fstatfs", "fstatfs64", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "getdents", "getdents64", "getcwd", "umask",
    /* sockets that are there already */
    "sendmsg", "recvmsg", "sendto", "recvfrom", "send", "recv", "getsockopt", "getsockname",
    "getpeername", "shutdown",
    /* threads and time */
    "futex", "futex_time64", "futex_waitv", "set_robust_list", "get_robust_list", "set_tid_address",
    "gettid", "rseq", "arch_prctl", "sched_yield", "sched_getaffinity", "sched_setaffinity",
    "sched_getparam", "sched_getscheduler", "sched_getattr", "sched_setattr",
    "sched_get_priority_max", "sched_get_priority_min", "exit", "exit_group", "restart_syscall",
    "nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "clock_gettime", "clock_gettime64",
    "clock_getres", "clock_getres_time64", "gettimeofday", "time", "times", "getcpu",
    /* signals that this process gets */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigpending",
    "rt_sigsuspend", "sigaltstack", "pause",
    /* who and where am I */
    "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid",
    "getgroups", "getpgrp", "getpgid", "getsid", "getpriority", "getrusage", "getrlimit",
    "ugetrlimit", "uname", "sysinfo", "getrandom"};

static const char *const calls_for_writing[] = {
    "open",     "openat", "creat",    "mkdir",     "mkdirat", "rmdir",    "unlink",
    "unlinkat", "rename", "renameat", "renameat2", "symlink", "symlinkat"};

/* Landlock does not watch over the modes of files, so they cannot be changed anywhere; but OpenVINO
 * takes a model that it could not make read-only in its cache for a failure. It is told that all
 * went well. */
static const char *const calls_pretended_for_writing[] = {"chmod", "fchmod", "fchmodat",
                                                          "fchmodat2"};

static const char *const calls_for_network[] = {"connect", "bind", "setsockopt", "sendmmsg",
                                                "recvmmsg"};

/* glibc has another way for each of these when the kernel does not know it. clone3 keeps its flags
 * where seccomp cannot see them, openat2 too. */
static const char *const calls_unknown[] = {"clone3", "openat2"};

typedef struct {
  const char *name;
  guint n;
  struct scmp_arg_cmp arguments[2];
} Rule;

#define MASKED(argument, mask, value) {argument, SCMP_CMP_MASKED_EQ, mask, value}
/* Of an int the kernel looks at the lower half only; so do we. */
#define INT_IS(argument, value) MASKED(argument, 0xffffffffU, (guint32)(value))
#define WHEN(name, ...)                                                                            \
  {                                                                                                \
    name, 1, {                                                                                     \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }
#define WHEN_BOTH(name, ...)                                                                       \
  {                                                                                                \
    name, 2, {                                                                                     \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

/* V4L2's requests: type 'V' with a direction. Without one they are the virtual terminal's. */
#define V4L2_MASK (0xc0000000U | 0xff00U)
#define V4L2(direction) MASKED(1, V4L2_MASK, ((guint64)(direction) << 30) | ((guint64)'V' << 8))

static const Rule rules_always[] = {
    WHEN("clone", MASKED(0, CLONE_THREAD, CLONE_THREAD)),
    /* fcntl without what makes the kernel send signals to a chosen process */
    WHEN("fcntl", INT_IS(1, F_DUPFD)),
    WHEN("fcntl", INT_IS(1, F_DUPFD_CLOEXEC)),
    WHEN("fcntl", INT_IS(1, F_GETFD)),
    WHEN("fcntl", INT_IS(1, F_SETFD)),
    WHEN("fcntl", INT_IS(1, F_GETFL)),
    WHEN("fcntl", INT_IS(1, F_SETFL)),
    WHEN("fcntl", INT_IS(1, F_GETLK)),
    WHEN("fcntl", INT_IS(1, F_SETLK)),
    WHEN("fcntl", INT_IS(1, F_SETLKW)),
    WHEN("fcntl", INT_IS(1, F_OFD_GETLK)),
    WHEN("fcntl", INT_IS(1, F_OFD_SETLK)),
    WHEN("fcntl", INT_IS(1, F_OFD_SETLKW)),
    WHEN("fcntl", INT_IS(1, F_GETPIPE_SZ)),
    WHEN("fcntl", INT_IS(1, F_SETPIPE_SZ)),
    WHEN("fcntl", INT_IS(1, F_ADD_SEALS)),
    WHEN("fcntl", INT_IS(1, F_GET_SEALS)),
    /* ioctl without TIOCSTI and the like */
    WHEN("ioctl", V4L2(1)),
    WHEN("ioctl", V4L2(2)),
    WHEN("ioctl", V4L2(3)),
    WHEN("ioctl", INT_IS(1, TCGETS)),
    WHEN("ioctl", INT_IS(1, TIOCGWINSZ)),
    WHEN("ioctl", INT_IS(1, FIONREAD)),
    WHEN("ioctl", INT_IS(1, FIONBIO)),
    WHEN("ioctl", INT_IS(1, FIOCLEX)),
    WHEN("ioctl", INT_IS(1, FIONCLEX)),
    /* prctl without PR_SET_PDEATHSIG: the worker must not outlive its server */
    WHEN("prctl", INT_IS(0, PR_SET_NAME)),
    WHEN("prctl", INT_IS(0, PR_GET_NAME)),
    WHEN("prctl", INT_IS(0, PR_SET_VMA)),
    WHEN("prctl", INT_IS(0, PR_SET_TIMERSLACK)),
    WHEN("prctl", INT_IS(0, PR_GET_TIMERSLACK)),
    WHEN("prctl", INT_IS(0, PR_CAPBSET_READ)),
    WHEN("prctl", INT_IS(0, PR_GET_NO_NEW_PRIVS)),
    WHEN("prctl", INT_IS(0, PR_GET_SECCOMP)),
    WHEN("prctl", INT_IS(0, PR_GET_DUMPABLE)),
    /* limits are read, not set */
    WHEN("prlimit64", {2, SCMP_CMP_EQ, 0, 0}),
    WHEN_BOTH("socketpair", INT_IS(0, AF_UNIX), MASKED(1, 0xf, SOCK_STREAM)),
};

/* LeakSanitizer's check at exit traces the process from a clone of it. */
static const Rule rules_for_sanitizers[] = {WHEN("clone", MASKED(0, CLONE_VM, CLONE_VM)),
                                            {.name = "ptrace"},
                                            {.name = "wait4"},
                                            {.name = "prctl"}};

#define OPEN_TO_WRITE (O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))
static const Rule rules_for_reading[] = {
    WHEN("open", MASKED(1, OPEN_TO_WRITE, O_RDONLY)),
    WHEN("openat", MASKED(2, OPEN_TO_WRITE, O_RDONLY)),
};

/* No AF_UNIX: a listening socket of another service would be a way out. */
static const Rule rules_for_network[] = {
    WHEN_BOTH("socket", INT_IS(0, AF_INET), MASKED(1, 0xf, SOCK_STREAM)),
    WHEN_BOTH("socket", INT_IS(0, AF_INET), MASKED(1, 0xf, SOCK_DGRAM)),
    WHEN_BOTH("socket", INT_IS(0, AF_INET6), MASKED(1, 0xf, SOCK_STREAM)),
    WHEN_BOTH("socket", INT_IS(0, AF_INET6), MASKED(1, 0xf, SOCK_DGRAM)),
    WHEN_BOTH("socket", INT_IS(0, AF_NETLINK), INT_IS(2, NETLINK_ROUTE)),
};

/* Negative numbers are calls of other machines. Returns 0 or a negative errno. */
static int add(scmp_filter_ctx filter, guint32 action, const Rule *rule) {
  int number = seccomp_syscall_resolve_name(rule->name);
  return number < 0 ? 0 : seccomp_rule_add_array(filter, action, number, rule->n, rule->arguments);
}

static int add_rules(scmp_filter_ctx filter, const Rule *rules, gsize n) {
  int result = 0;
  for (gsize i = 0; i < n && result == 0; i++)
    result = add(filter, SCMP_ACT_ALLOW, &rules[i]);
  return result;
}

static int add_calls(scmp_filter_ctx filter, guint32 action, const char *const *names, gsize n) {
  int result = 0;
  for (gsize i = 0; i < n && result == 0; i++)
    result = add(filter, action, &(Rule){.name = names[i]});
  return result;
}

/* Signals to this process itself, by abort() and raise(). */
static int add_own_signals(scmp_filter_ctx filter) {
  const Rule rules[] = {WHEN("tgkill", INT_IS(0, getpid())), WHEN("kill", INT_IS(0, getpid()))};
  return add_rules(filter, rules, G_N_ELEMENTS(rules));
}

#define ADD_RULES(filter, table) add_rules(filter, table, G_N_ELEMENTS(table))
#define ADD_CALLS(filter, action, table) add_calls(filter, action, table, G_N_ELEMENTS(table))

static int fill(scmp_filter_ctx filter, gboolean network, gboolean writing) {
  int result = ADD_CALLS(filter, SCMP_ACT_ALLOW, calls_always);
  if (result == 0)
    result = ADD_CALLS(filter, SCMP_ACT_ERRNO(ENOSYS), calls_unknown);
  if (result == 0)
    result = ADD_RULES(filter, rules_always);
  if (result == 0)
    result = add_own_signals(filter);
  if (result == 0)
    result = writing ? ADD_CALLS(filter, SCMP_ACT_ALLOW, calls_for_writing)
                     : ADD_RULES(filter, rules_for_reading);
  if (result == 0 && writing)
    result = ADD_CALLS(filter, SCMP_ACT_ERRNO(0), calls_pretended_for_writing);
  if (result == 0 && network)
    result = ADD_CALLS(filter, SCMP_ACT_ALLOW, calls_for_network);
  if (result == 0 && network)
    result = ADD_RULES(filter, rules_for_network);
  if (result == 0 && MNK_SANITIZED)
    result = ADD_RULES(filter, rules_for_sanitizers);
  return result;
}

gboolean mnk_seccomp_enter(gboolean network, gboolean writing, GError **error) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  int result = -ENOMEM;
  if (filter) {
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    result = fill(filter, network, writing);
    if (result == 0)
      result = seccomp_load(filter);
    seccomp_release(filter);
  }
  if (result == 0)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
              "the kernel or the container does not let the worker confine itself with seccomp: %s",
              g_strerror(-result));
  return FALSE;
}
