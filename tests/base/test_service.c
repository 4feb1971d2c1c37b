/* What a service manager is told: sockets by path and in the abstract namespace, and none. */
#include "base/base.h"

#include <glib/gstdio.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A manager's socket; '@' first: in the abstract namespace. */
static int listen_at(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, name, strlen(name));
  gsize length = offsetof(struct sockaddr_un, sun_path) + strlen(name);
  if (name[0] == '@')
    address.sun_path[0] = '\0';
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(bind(fd, (struct sockaddr *)&address, (socklen_t)length), ==, 0);
  return fd;
}

static void assert_told(const char *name) {
  int fd = listen_at(name);
  g_setenv("NOTIFY_SOCKET", name, TRUE);
  char message[64] = {0};
  g_assert_true(mnk_notify_service("READY=1\nSTATUS=here"));
  g_assert_cmpint(recv(fd, message, sizeof message, MSG_DONTWAIT), ==, 19);
  g_assert_cmpstr(message, ==, "READY=1\nSTATUS=here");
  close(fd);
  g_assert_false(mnk_notify_service("STOPPING=1"));
  g_unsetenv("NOTIFY_SOCKET");
}

static void test_path(void) {
  g_autofree char *folder = g_dir_make_tmp("manako-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(folder, "notify", NULL);
  assert_told(path);
  g_remove(path);
  g_rmdir(folder);
}

static void test_abstract(void) {
  g_autofree char *name = g_strdup_printf("@manako-test-%d-%u", getpid(), g_test_rand_int());
  assert_told(name);
}

static void test_nobody(void) {
  g_autofree char *long_name = g_strnfill(200, 'x');
  long_name[0] = '/';
  const char *names[] = {"", "/", "@", "relative", "vsock:2:1234", "/nowhere/at/all", long_name};
  g_unsetenv("NOTIFY_SOCKET");
  g_assert_false(mnk_notify_service("READY=1"));
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_setenv("NOTIFY_SOCKET", names[i], TRUE);
    g_assert_false(mnk_notify_service("READY=1"));
  }
  g_unsetenv("NOTIFY_SOCKET");
}

/* A manager that does not read costs no waiting. */
static void test_full(void) {
  g_autofree char *name = g_strdup_printf("@manako-full-%d-%u", getpid(), g_test_rand_int());
  int fd = listen_at(name);
  g_setenv("NOTIFY_SOCKET", name, TRUE);
  guint taken = 0;
  while (taken < 100000 && mnk_notify_service("WATCHDOG=1"))
    taken++;
  g_assert_cmpuint(taken, <, 100000);
  g_unsetenv("NOTIFY_SOCKET");
  close(fd);
}

static void test_watchdog(void) {
  g_autofree char *self = g_strdup_printf("%d", getpid());
  const struct {
    const char *interval, *pid;
    gint64 expected;
  } cases[] = {
      {"15000000", NULL, 15000000},
      {"15000000", self, 15000000},
      {"15000000", "1", 0},
      {"15000000", "x", 0},
      {NULL, self, 0},
      {"0", NULL, 0},
      {"-1", NULL, 0},
      {"15s", NULL, 0},
      {"", NULL, 0},
      {"99999999999999999999", NULL, 0},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_unsetenv("WATCHDOG_USEC");
    g_unsetenv("WATCHDOG_PID");
    if (cases[i].interval != NULL)
      g_setenv("WATCHDOG_USEC", cases[i].interval, TRUE);
    if (cases[i].pid != NULL)
      g_setenv("WATCHDOG_PID", cases[i].pid, TRUE);
    g_assert_cmpint(mnk_service_watchdog_us(), ==, cases[i].expected);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/service/path", test_path);
  g_test_add_func("/service/abstract", test_abstract);
  g_test_add_func("/service/nobody", test_nobody);
  g_test_add_func("/service/full", test_full);
  g_test_add_func("/service/watchdog", test_watchdog);
  return g_test_run();
}
