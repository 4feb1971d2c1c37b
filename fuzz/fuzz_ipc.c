/* A peer that writes anything, in pieces of any size, with descriptors anywhere. What comes out are
 * the bytes that went in, message by message, and no descriptor stays open.
 *
 * The input is a list of writes: a byte with the number of descriptors (2 bits) and the length of
 * the piece (6 bits), then the piece. */
#include "fuzz.h"

#include "ipc/ipc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 12, MAX_FDS = 3 };

static gboolean write_piece(int to, const guint8 *bytes, gsize length, guint n_fds, int gift) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
  } control = {0};
  struct iovec part = {(void *)bytes, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (n_fds > 0) {
    const int fds[MAX_FDS] = {gift, gift, gift};
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * n_fds);
  }
  return sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (gssize)length;
}

/* Takes the message's bytes off what was written. */
static void check_message(const MnkMessage *message, GByteArray *written) {
  gsize length;
  const void *payload = g_bytes_get_data(message->payload, &length);
  guint16 type = (guint16)message->type, n_fds = message->fd >= 0;
  guint32 length32 = (guint32)length;
  g_assert(mnk_message_type_is_known(type) && length <= MNK_MESSAGE_MAX);
  g_assert(written->len >= HEADER + length);
  g_assert(memcmp(written->data, &length32, 4) == 0 && memcmp(written->data + 4, &type, 2) == 0 &&
           memcmp(written->data + 6, &n_fds, 2) == 0 &&
           memcmp(written->data + 8, &message->stream, 4) == 0);
  g_assert(length == 0 || memcmp(written->data + HEADER, payload, length) == 0);
  g_byte_array_remove_range(written, 0, (guint)(HEADER + length));
}

/* FALSE when the channel has ended. */
static gboolean receive_all(MnkChannel *channel, GByteArray *written) {
  for (;;) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkMessage) message = mnk_channel_receive(channel, 0, &error);
    if (!message)
      return error == NULL;
    check_message(message, written);
  }
}

static int lowest_free_descriptor(void) {
  int fd = dup(0);
  close(fd);
  return fd;
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  int before = lowest_free_descriptor(), fds[2];
  g_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  g_autoptr(GByteArray) written = g_byte_array_new();
  MnkChannel *channel = mnk_channel_new(fds[0]);
  int gift = open("/dev/null", O_RDONLY | O_CLOEXEC);
  gboolean open = TRUE;
  while (open && size > 1) {
    gsize length = MIN((gsize)(data[0] >> 2) + 1, size - 1);
    g_byte_array_append(written, data + 1, (guint)length);
    open =
        write_piece(fds[1], data + 1, length, data[0] & 3, gift) && receive_all(channel, written);
    data += 1 + length;
    size -= 1 + length;
  }
  close(fds[1]);
  close(gift);
  g_assert(!open || !receive_all(channel, written));
  mnk_channel_free(channel);
  g_assert(lowest_free_descriptor() == before);
  return 0;
}
