/* The functions with which a process gives the kernel an address to reach: connect, sendto, sendmsg
 * and sendmmsg.
 *
 * libavformat resolves names and follows redirects and playlists within itself; nothing of that can
 * be judged from outside without a gap between what was judged and what is connected to. But a
 * shared library calls these functions by their names, and the dynamic linker looks a name up in
 * the executable first. So they are defined here, visible to it: each judges the address and then
 * makes the system call. What calls them with an address that may not be reached gets EACCES.
 *
 * The C library's own resolver does not come through here: it asks its name servers by internal
 * names. Sending on a socket that is connected carries no address and is not judged again. Sockets
 * of other families than IPv4 and IPv6 are none of this file's business; the sandbox leaves none.
 */
#include "media/connect_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INTERPOSED __attribute__((visibility("default")))

/* These functions have no argument in which state could come: the two variables are part of what
 * they are, as errno is. */
static gint armed; /* atomic */
static _Thread_local MnkOutbound *current;

void mnk_outbound_arm(void) {
  g_atomic_int_set(&armed, 1);
}

MnkOutbound *mnk_outbound_set(MnkOutbound *outbound) {
  MnkOutbound *before = current;
  current = outbound;
  return before;
}

static gboolean is_judged(const struct sockaddr *address, socklen_t length) {
  if (!address || length < sizeof address->sa_family)
    return FALSE;
  return address->sa_family == AF_INET || address->sa_family == AF_INET6;
}

/* FALSE with errno: not to be reached. */
static gboolean may_reach(const struct sockaddr *address, socklen_t length) {
  MnkOutbound *outbound = current;
  if (!is_judged(address, length) || (!outbound && !g_atomic_int_get(&armed)))
    return TRUE;
  if (outbound && outbound->policy) {
    GError **refused = outbound->refused ? NULL : &outbound->refused;
    if (mnk_address_policy_allows(outbound->policy, address, length, refused)) {
      outbound->allowed++;
      return TRUE;
    }
  }
  errno = EACCES;
  return FALSE;
}

/* The kernel takes an address without a family for one of IPv4 when a datagram is sent to it. */
static gboolean may_send(const void *address, socklen_t length) {
  const struct sockaddr *to = address;
  if (!to || length == 0)
    return TRUE;
  if (length >= sizeof to->sa_family && to->sa_family == AF_UNSPEC &&
      (current || g_atomic_int_get(&armed))) {
    errno = EACCES;
    return FALSE;
  }
  return may_reach(to, length);
}

INTERPOSED int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len) {
  const struct sockaddr *to = addr.__sockaddr__;
  return may_reach(to, len) ? (int)syscall(SYS_connect, fd, to, len) : -1;
}

INTERPOSED ssize_t sendto(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG addr,
                          socklen_t addr_len) {
  const struct sockaddr *to = addr.__sockaddr__;
  return may_send(to, addr_len) ? syscall(SYS_sendto, fd, buf, n, flags, to, addr_len) : -1;
}

INTERPOSED ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  gboolean may = !message || may_send(message->msg_name, message->msg_namelen);
  return may ? syscall(SYS_sendmsg, fd, message, flags) : -1;
}

INTERPOSED int sendmmsg(int fd, struct mmsghdr *messages, unsigned int n, int flags) {
  for (unsigned int i = 0; messages && i < n; i++)
    if (!may_send(messages[i].msg_hdr.msg_name, messages[i].msg_hdr.msg_namelen))
      return -1;
  return (int)syscall(SYS_sendmmsg, fd, messages, n, flags);
}
