/* Channel: messages over a Unix stream socket. The peer is taken for hostile: each length, type and
 * count is judged from the header before anything is allocated for it. */
#include "ipc/ipc.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  guint32 length;
  guint16 type;
  guint16 n_fds;
  guint32 stream;
} Header;
G_STATIC_ASSERT(sizeof(Header) == 12);

/* Room for one descriptor; alignment may make it two, and what comes is counted. */
typedef union {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * MNK_MESSAGE_MAX_FDS)];
} Control;

struct _MnkChannel {
  int fd;

  /* Sending: who holds `sending` may write; the lock itself is never held over a system call, so
   * that waiting for one's turn has a time-out, too. */
  GMutex lock;
  GCond turn;
  gboolean sending;
  gboolean send_ended;
  GByteArray *rest; /* of a message that the socket took a part of, or NULL; who sends has it */

  /* Receiving: the message that is on its way. */
  Header header;
  gsize header_filled;
  guint8 *payload;
  gsize payload_filled;
  int received_fd;
  GError *receive_error;
};

MnkChannel *mnk_channel_new(int fd) {
  MnkChannel *channel = g_new0(MnkChannel, 1);
  channel->fd = fd;
  channel->received_fd = -1;
  g_mutex_init(&channel->lock);
  g_cond_init(&channel->turn);
  return channel;
}

void mnk_channel_free(MnkChannel *channel) {
  if (!channel)
    return;
  close(channel->fd);
  if (channel->received_fd >= 0)
    close(channel->received_fd);
  g_free(channel->payload);
  g_clear_pointer(&channel->rest, g_byte_array_unref);
  g_clear_error(&channel->receive_error);
  g_mutex_clear(&channel->lock);
  g_cond_clear(&channel->turn);
  g_free(channel);
}

int mnk_channel_fd(const MnkChannel *channel) {
  return channel->fd;
}

/* ---- Waiting ---- */

static gint64 deadline_after(int timeout_ms) {
  return timeout_ms < 0 ? G_MAXINT64
                        : g_get_monotonic_time() + timeout_ms * G_GINT64_CONSTANT(1000);
}

/* FALSE when the deadline has passed and the socket is still not ready. */
static gboolean wait_ready(int fd, short events, gint64 deadline_us) {
  for (;;) {
    gint64 left_ms = -1;
    if (deadline_us != G_MAXINT64) {
      gint64 left_us = deadline_us - g_get_monotonic_time();
      left_ms = CLAMP((left_us + 999) / 1000, 0, G_MAXINT);
    }
    struct pollfd waiting = {.fd = fd, .events = events};
    int n = poll(&waiting, 1, (int)left_ms);
    if (n > 0)
      return TRUE;
    if (n == 0 && left_ms == 0)
      return FALSE;
    if (n < 0 && errno != EINTR)
      return TRUE; /* the call that follows says what is wrong */
  }
}

/* ---- Sending ---- */

static gboolean begin_sending(MnkChannel *channel, gint64 deadline_us, GError **error) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&channel->lock);
  while (channel->sending) {
    if (deadline_us == G_MAXINT64) {
      g_cond_wait(&channel->turn, &channel->lock);
    } else if (!g_cond_wait_until(&channel->turn, &channel->lock, deadline_us)) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                  "the channel was busy with another message until the time-out");
      return FALSE;
    }
  }
  if (channel->send_ended) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CANCELLED, "sending on this channel has ended");
    return FALSE;
  }
  channel->sending = TRUE;
  return TRUE;
}

static void end_sending(MnkChannel *channel, gboolean for_good) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&channel->lock);
  channel->sending = FALSE;
  if (for_good) {
    channel->send_ended = TRUE;
    shutdown(channel->fd, SHUT_WR);
  }
  g_cond_signal(&channel->turn);
}

static void attach_fd(struct msghdr *message, Control *control, int fd) {
  memset(control, 0, sizeof *control);
  message->msg_control = control->bytes;
  message->msg_controllen = CMSG_SPACE(sizeof fd);
  struct cmsghdr *part = CMSG_FIRSTHDR(message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(part), &fd, sizeof fd);
}

static void set_send_error(GError **error, int code) {
  if (code == EPIPE || code == ECONNRESET)
    g_set_error(error, MNK_ERROR, MNK_ERROR_CANCELLED, "the peer has closed the channel");
  else
    g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL, "cannot send on the channel: %s",
                g_strerror(code));
}

/* Moves the message's parts on past what was written. */
static void advance_parts(struct msghdr *message, gsize written) {
  while (message->msg_iovlen > 0 && written >= message->msg_iov->iov_len) {
    written -= message->msg_iov->iov_len;
    message->msg_iov++;
    message->msg_iovlen--;
  }
  if (message->msg_iovlen > 0) {
    message->msg_iov->iov_base = (char *)message->msg_iov->iov_base + written;
    message->msg_iov->iov_len -= written;
  }
}

/* *begun tells whether the peer has got a part of it. */
static gboolean send_parts(MnkChannel *channel, struct msghdr *message, gint64 deadline_us,
                           gboolean *begun, GError **error) {
  while (message->msg_iovlen > 0) {
    gssize written = sendmsg(channel->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written >= 0) {
      advance_parts(message, (gsize)written);
      *begun = TRUE;
      /* The descriptor has gone with the first bytes. */
      message->msg_control = NULL;
      message->msg_controllen = 0;
    } else if (errno == EAGAIN) {
      if (!wait_ready(channel->fd, POLLOUT, deadline_us)) {
        g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "the peer did not read until the time-out");
        return FALSE;
      }
    } else if (errno != EINTR) {
      set_send_error(error, errno);
      return FALSE;
    }
  }
  return TRUE;
}

/* What is left of a message goes before any other. */
static gboolean send_rest(MnkChannel *channel, gint64 deadline_us, GError **error) {
  if (channel->rest == NULL)
    return TRUE;
  struct iovec part = {channel->rest->data, channel->rest->len};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  gboolean begun = FALSE;
  gboolean sent = send_parts(channel, &message, deadline_us, &begun, error);
  if (sent)
    g_clear_pointer(&channel->rest, g_byte_array_unref);
  else
    g_byte_array_remove_range(channel->rest, 0, channel->rest->len - (guint)part.iov_len);
  return sent;
}

static void keep_rest(MnkChannel *channel, const struct msghdr *message) {
  channel->rest = g_byte_array_new();
  for (gsize i = 0; i < message->msg_iovlen; i++)
    g_byte_array_append(channel->rest, message->msg_iov[i].iov_base,
                        (guint)message->msg_iov[i].iov_len);
}

gboolean mnk_channel_flush(MnkChannel *channel) {
  g_autoptr(GError) fault = NULL;
  gint64 deadline_us = deadline_after(0);
  if (begin_sending(channel, deadline_us, &fault)) {
    send_rest(channel, deadline_us, &fault);
    end_sending(channel, FALSE);
  }
  return !g_error_matches(fault, MNK_ERROR, MNK_ERROR_LIMIT);
}

gboolean mnk_channel_send(MnkChannel *channel, MnkMessageType type, guint32 stream,
                          const char *payload, gsize length, int fd, int timeout_ms,
                          GError **error) {
  if (length > MNK_MESSAGE_MAX) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "a message of %" G_GSIZE_FORMAT " bytes is over the limit of %d", length,
                (int)MNK_MESSAGE_MAX);
    return FALSE;
  }
  Header header = {
      .length = (guint32)length, .type = (guint16)type, .n_fds = fd >= 0 ? 1 : 0, .stream = stream};
  struct iovec parts[] = {{&header, sizeof header}, {(void *)payload, length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = length > 0 ? 2 : 1};
  Control control;
  if (fd >= 0)
    attach_fd(&message, &control, fd);

  gint64 deadline_us = deadline_after(timeout_ms);
  if (!begin_sending(channel, deadline_us, error))
    return FALSE;
  g_autoptr(GError) fault = NULL;
  gboolean begun = FALSE;
  gboolean sent = send_rest(channel, deadline_us, &fault) &&
                  send_parts(channel, &message, deadline_us, &begun, &fault);
  if (begun && timeout_ms == 0 && g_error_matches(fault, MNK_ERROR, MNK_ERROR_LIMIT)) {
    keep_rest(channel, &message);
    sent = TRUE;
  }
  end_sending(channel, begun && !sent);
  if (!sent)
    g_propagate_error(error, g_steal_pointer(&fault));
  return sent;
}

/* ---- Receiving ---- */

/* Keeps the first descriptor that comes and closes all others. FALSE when there were others. */
static gboolean take_fds(MnkChannel *channel, struct msghdr *message) {
  gboolean fits = (message->msg_flags & MSG_CTRUNC) == 0;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
      continue;
    gsize n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (gsize i = 0; i < n; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      if (channel->received_fd < 0) {
        channel->received_fd = fd;
      } else {
        close(fd);
        fits = FALSE;
      }
    }
  }
  return fits;
}

/* Reads what is there, at most n bytes. 0: nothing now; -1: an error. */
static gssize read_some(MnkChannel *channel, void *to, gsize n, GError **error) {
  Control control;
  struct iovec part = {to, n};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  gssize got;
  do
    got = recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN)
    return 0;
  if (got == 0 || (got < 0 && errno == ECONNRESET)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CANCELLED, "the peer has closed the channel%s",
                channel->header_filled > 0 ? " in the middle of a message" : "");
    return -1;
  }
  if (got < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL, "cannot read from the channel: %s",
                g_strerror(errno));
    return -1;
  }
  if (!take_fds(channel, &message)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                "a message came with more than %d descriptor", (int)MNK_MESSAGE_MAX_FDS);
    return -1;
  }
  return got;
}

/* Judges the header and makes room for what it announces. */
static gboolean open_message(MnkChannel *channel, GError **error) {
  const Header *header = &channel->header;
  if (!mnk_message_type_is_known(header->type)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "a message has the unknown type %u",
                header->type);
  } else if (header->length > MNK_MESSAGE_MAX) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                "a message of %u bytes is over the limit of %d", header->length,
                (int)MNK_MESSAGE_MAX);
  } else if (header->n_fds > MNK_MESSAGE_MAX_FDS) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "a message announces %u descriptors",
                header->n_fds);
  } else if (header->length > 0 && !(channel->payload = g_try_malloc(header->length))) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "no memory for a message of %u bytes",
                header->length);
  } else {
    return TRUE;
  }
  return FALSE;
}

/* The whole message, its parts taken out of the channel. */
static MnkMessage *close_message(MnkChannel *channel, GError **error) {
  gboolean has_fd = channel->received_fd >= 0;
  if (has_fd != (channel->header.n_fds > 0)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s",
                has_fd ? "a descriptor came that the message had not announced"
                       : "the descriptor that a message announced did not come");
    return NULL;
  }
  MnkMessage *message = g_new0(MnkMessage, 1);
  message->type = channel->header.type;
  message->stream = channel->header.stream;
  message->payload = g_bytes_new_take(g_steal_pointer(&channel->payload), channel->header.length);
  message->fd = channel->received_fd;
  channel->received_fd = -1;
  channel->header_filled = 0;
  channel->payload_filled = 0;
  return message;
}

/* Reads exactly up to the end of one message and never beyond, as a descriptor arrives with the
 * bytes that it was sent with: so it always belongs to the message that is being read.
 * NULL without an error: no more bytes now. */
static MnkMessage *read_message(MnkChannel *channel, GError **error) {
  while (channel->header_filled < sizeof(Header)) {
    gssize got = read_some(channel, (guint8 *)&channel->header + channel->header_filled,
                           sizeof(Header) - channel->header_filled, error);
    if (got <= 0)
      return NULL;
    channel->header_filled += (gsize)got;
    if (channel->header_filled == sizeof(Header) && !open_message(channel, error))
      return NULL;
  }
  while (channel->payload_filled < channel->header.length) {
    gssize got = read_some(channel, channel->payload + channel->payload_filled,
                           channel->header.length - channel->payload_filled, error);
    if (got <= 0)
      return NULL;
    channel->payload_filled += (gsize)got;
  }
  return close_message(channel, error);
}

MnkMessage *mnk_channel_receive(MnkChannel *channel, int timeout_ms, GError **error) {
  gint64 deadline_us = deadline_after(timeout_ms);
  while (!channel->receive_error) {
    MnkMessage *message = read_message(channel, &channel->receive_error);
    if (message)
      return message;
    if (!channel->receive_error &&
        (timeout_ms == 0 || !wait_ready(channel->fd, POLLIN, deadline_us)))
      return NULL;
  }
  if (error)
    *error = g_error_copy(channel->receive_error);
  return NULL;
}
