#include "base/service.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* FALSE: no address that a socket can have. */
static gboolean read_address(const char *name, struct sockaddr_un *address, socklen_t *length) {
  gsize n = strlen(name);
  if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof address->sun_path)
    return FALSE;
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path, name, n);
  if (name[0] == '@')
    address->sun_path[0] = '\0';
  /* A name in the abstract namespace is all of its bytes: it has no end mark. */
  *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '@' ? 0 : 1));
  return TRUE;
}

gboolean mnk_notify_service(const char *state) {
  const char *name = g_getenv("NOTIFY_SOCKET");
  struct sockaddr_un address;
  socklen_t length;
  if (name == NULL || !read_address(name, &address, &length))
    return FALSE;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return FALSE;
  gsize n = strlen(state);
  ssize_t sent = sendto(fd, state, n, MSG_NOSIGNAL, (const struct sockaddr *)&address, length);
  close(fd);
  return sent == (ssize_t)n;
}

/* Whole positive numbers only. */
static guint64 read_number(const char *variable) {
  guint64 value = 0;
  const char *text = g_getenv(variable);
  if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT64, &value, NULL))
    return 0;
  return value;
}

gint64 mnk_service_watchdog_us(void) {
  if (g_getenv("WATCHDOG_PID") != NULL && read_number("WATCHDOG_PID") != (guint64)getpid())
    return 0;
  return (gint64)read_number("WATCHDOG_USEC");
}
