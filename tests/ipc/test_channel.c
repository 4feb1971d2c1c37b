/* Channel: what is sent arrives; whatever else arrives ends it without harm. */
#include "ipc/ipc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* A channel and, at its other end, another channel or a bare socket. */
typedef struct {
  MnkChannel *here;
  MnkChannel *there;
  int bare;
} Pair;

static void pair_make(Pair *pair, gboolean bare) {
  int fds[2];
  g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  pair->here = mnk_channel_new(fds[0]);
  pair->there = bare ? NULL : mnk_channel_new(fds[1]);
  pair->bare = bare ? fds[1] : -1;
}

static void pair_clear(Pair *pair) {
  mnk_channel_free(pair->here);
  mnk_channel_free(pair->there);
  if (pair->bare >= 0)
    close(pair->bare);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

static guint count_descriptors(void) {
  guint n = 0;
  for (int fd = 0; fd < 1024; fd++)
    n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

/* A header as on the wire, then a payload. */
static GByteArray *raw_message(guint32 length, guint16 type, guint16 n_fds, const char *payload) {
  const guint32 stream = 7;
  GByteArray *bytes = g_byte_array_new();
  g_byte_array_append(bytes, (const guint8 *)&length, 4);
  g_byte_array_append(bytes, (const guint8 *)&type, 2);
  g_byte_array_append(bytes, (const guint8 *)&n_fds, 2);
  g_byte_array_append(bytes, (const guint8 *)&stream, 4);
  g_byte_array_append(bytes, (const guint8 *)payload, (guint)strlen(payload));
  return bytes;
}

static void write_with_fds(int to, const guint8 *bytes, gsize n, guint n_fds) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * 16)];
  } control = {0};
  struct iovec part = {(void *)bytes, n};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (n_fds > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
    for (guint i = 0; i < n_fds; i++) {
      int fd = 2;
      memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  g_assert_cmpint(sendmsg(to, &message, MSG_NOSIGNAL), ==, (gssize)n);
}

static void assert_ends(MnkChannel *channel, MnkErrorCode code) {
  for (int i = 0; i < 2; i++) { /* an error stays */
    g_autoptr(GError) error = NULL;
    g_assert_null(mnk_channel_receive(channel, 1000, &error));
    g_assert_error(error, MNK_ERROR, (int)code);
  }
}

static void test_round_trip(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, FALSE);
  for (guint type = 0; type < 100; type++) {
    if (!mnk_message_type_is_known(type))
      continue;
    g_autoptr(GError) error = NULL;
    g_assert_true(mnk_channel_send(pair.here, type, type * 3, "abc", type % 4, -1, -1, &error));
    g_autoptr(MnkMessage) message = mnk_channel_receive(pair.there, 0, &error);
    g_assert_no_error(error);
    g_assert_nonnull(message);
    g_assert_cmpint((int)message->type, ==, (int)type);
    g_assert_cmpuint(message->stream, ==, type * 3);
    gsize length;
    const char *payload = g_bytes_get_data(message->payload, &length);
    g_assert_cmpmem(payload, length, "abc", type % 4);
    g_assert_cmpint(message->fd, ==, -1);
  }
}

static void test_nothing_is_no_error(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, FALSE);
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_channel_receive(pair.there, 0, &error));
  g_assert_no_error(error);
  g_assert_null(mnk_channel_receive(pair.there, 5, &error));
  g_assert_no_error(error);
}

typedef struct {
  MnkChannel *channel;
  guint stream, n;
  gsize length;
  int fd;
} Sender;

static gpointer send_many(gpointer data) {
  const Sender *sender = data;
  g_autofree char *payload = g_malloc(sender->length);
  memset(payload, 'a' + (int)sender->stream, sender->length);
  for (guint i = 0; i < sender->n; i++)
    g_assert_true(mnk_channel_send(sender->channel, MNK_MSG_OBSERVATION, sender->stream, payload,
                                   sender->length, sender->fd, -1, NULL));
  return NULL;
}

static void test_largest(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, FALSE);
  Sender sender = {pair.here, 1, 1, MNK_MESSAGE_MAX, 2}; /* the descriptor goes but once */
  GThread *thread = g_thread_new("sender", send_many, &sender);
  g_autoptr(MnkMessage) message = mnk_channel_receive(pair.there, -1, NULL);
  g_thread_join(thread);
  g_assert_nonnull(message);
  g_assert_cmpuint(g_bytes_get_size(message->payload), ==, MNK_MESSAGE_MAX);
  g_assert_cmpint(message->fd, >=, 0);

  g_autofree char *more = g_malloc0(MNK_MESSAGE_MAX + 1);
  g_autoptr(GError) error = NULL;
  g_assert_false(
      mnk_channel_send(pair.here, MNK_MSG_SET, 0, more, MNK_MESSAGE_MAX + 1, -1, 0, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
}

/* Messages of several threads never mix. */
static void test_many_senders(void) {
  enum { SENDERS = 4, EACH = 50 };
  g_auto(Pair) pair = {0};
  pair_make(&pair, FALSE);
  Sender senders[SENDERS];
  GThread *threads[SENDERS];
  for (guint i = 0; i < SENDERS; i++) {
    senders[i] = (Sender){pair.here, i, EACH, 30000 * (i + 1), -1};
    threads[i] = g_thread_new("sender", send_many, &senders[i]);
  }
  guint got[SENDERS] = {0};
  for (guint i = 0; i < SENDERS * EACH; i++) {
    g_autoptr(MnkMessage) message = mnk_channel_receive(pair.there, -1, NULL);
    g_assert_nonnull(message);
    g_assert_cmpuint(message->stream, <, SENDERS);
    got[message->stream]++;
    gsize length;
    const char *bytes = g_bytes_get_data(message->payload, &length);
    g_assert_cmpuint(length, ==, senders[message->stream].length);
    for (gsize k = 0; k < length; k++)
      g_assert_true(bytes[k] == 'a' + (int)message->stream);
  }
  for (guint i = 0; i < SENDERS; i++) {
    g_thread_join(threads[i]);
    g_assert_cmpuint(got[i], ==, EACH);
  }
}

static void test_descriptor(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, FALSE);
  int memory = memfd_create("test", MFD_CLOEXEC);
  g_assert_cmpint(ftruncate(memory, 1234), ==, 0);
  /* The one before must not be given the descriptor of the one behind it. */
  g_assert_true(mnk_channel_send(pair.here, MNK_MSG_SET, 0, "{}", 2, -1, -1, NULL));
  g_assert_true(mnk_channel_send(pair.here, MNK_MSG_HELLO, 0, "{}", 2, memory, -1, NULL));
  close(memory);
  g_autoptr(MnkMessage) first = mnk_channel_receive(pair.there, 1000, NULL);
  g_autoptr(MnkMessage) second = mnk_channel_receive(pair.there, 1000, NULL);
  g_assert_cmpint(first->fd, ==, -1);
  g_assert_cmpint(second->fd, >=, 0);
  g_assert_cmpint(lseek(second->fd, 0, SEEK_END), ==, 1234);
  g_assert_cmpint(fcntl(second->fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
}

static void test_descriptor_with_no_payload(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, FALSE);
  g_assert_true(mnk_channel_send(pair.here, MNK_MSG_OPEN, 0, NULL, 0, 2, -1, NULL));
  g_autoptr(MnkMessage) message = mnk_channel_receive(pair.there, 1000, NULL);
  g_assert_cmpint(message->fd, >=, 0);
}

/* Byte by byte, with a look after each: never a message too early, never one lost. */
static void test_drip(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, TRUE);
  g_autoptr(GByteArray) bytes = raw_message(5, MNK_MSG_READY, 0, "hello");
  for (guint round = 0; round < 3; round++) {
    for (guint i = 0; i < bytes->len; i++) {
      g_autoptr(GError) error = NULL;
      g_assert_cmpint(write(pair.bare, bytes->data + i, 1), ==, 1);
      g_autoptr(MnkMessage) message = mnk_channel_receive(pair.here, 0, &error);
      g_assert_no_error(error);
      g_assert_cmpint(message != NULL, ==, i == bytes->len - 1);
    }
  }
}

/* Two messages, cut in two at each place, with a look in between. */
static void test_cut(void) {
  g_autoptr(GByteArray) bytes = raw_message(5, MNK_MSG_READY, 0, "hello");
  guint one = bytes->len;
  g_autoptr(GByteArray) twice = g_byte_array_new();
  g_byte_array_append(twice, bytes->data, one);
  g_byte_array_append(twice, bytes->data, one);
  for (guint cut = 1; cut < twice->len; cut++) {
    g_auto(Pair) pair = {0};
    pair_make(&pair, TRUE);
    g_assert_cmpint(write(pair.bare, twice->data, cut), ==, cut);
    g_autoptr(MnkMessage) early = mnk_channel_receive(pair.here, 0, NULL);
    g_assert_cmpint(early != NULL, ==, cut >= one);
    g_assert_cmpint(write(pair.bare, twice->data + cut, twice->len - cut), ==, twice->len - cut);
    for (guint left = early ? 1 : 2; left > 0; left--) {
      g_autoptr(MnkMessage) message = mnk_channel_receive(pair.here, 0, NULL);
      g_assert_nonnull(message);
      gsize length;
      const void *payload = g_bytes_get_data(message->payload, &length);
      g_assert_cmpmem(payload, length, "hello", 5);
    }
  }
}

/* Peer death at each byte of a message. */
static void test_truncated(void) {
  g_autoptr(GByteArray) bytes = raw_message(5, MNK_MSG_READY, 0, "hello");
  for (guint length = 0; length < bytes->len; length++) {
    g_auto(Pair) pair = {0};
    pair_make(&pair, TRUE);
    g_assert_cmpint(write(pair.bare, bytes->data, length), ==, length);
    close(pair.bare);
    pair.bare = -1;
    assert_ends(pair.here, MNK_ERROR_CANCELLED);
  }
}

static void test_whole_before_the_end(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, TRUE);
  g_autoptr(GByteArray) bytes = raw_message(5, MNK_MSG_READY, 0, "hello");
  g_assert_cmpint(write(pair.bare, bytes->data, bytes->len), ==, bytes->len);
  close(pair.bare);
  pair.bare = -1;
  g_autoptr(MnkMessage) message = mnk_channel_receive(pair.here, 0, NULL);
  g_assert_nonnull(message);
  assert_ends(pair.here, MNK_ERROR_CANCELLED);
}

static void test_bad_headers(void) {
  const struct {
    guint32 length;
    guint16 type, n_fds;
  } cases[] = {
      {MNK_MESSAGE_MAX + 1, MNK_MSG_READY, 0},
      {G_MAXUINT32, MNK_MSG_READY, 0},
      {0x80000000U, MNK_MSG_READY, 0},
      {1, 0, 0},
      {1, MNK_MSG_CANCEL + 1, 0},
      {1, MNK_MSG_READY - 1, 0},
      {1, MNK_MSG_RESTORED + 1, 0},
      {1, G_MAXUINT16, 0},
      {1, MNK_MSG_READY, 2},
      {1, MNK_MSG_READY, G_MAXUINT16},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Pair) pair = {0};
    pair_make(&pair, TRUE);
    /* The header alone is enough to be refused. */
    g_autoptr(GByteArray) bytes = raw_message(cases[i].length, cases[i].type, cases[i].n_fds, "");
    g_assert_cmpint(write(pair.bare, bytes->data, bytes->len), ==, bytes->len);
    assert_ends(pair.here, MNK_ERROR_BAD_INPUT);
  }
}

/* More, fewer or other descriptors than announced: refused, and none stays open. */
static void test_smuggled_descriptors(void) {
  const struct {
    guint announced, in_header, in_payload;
  } cases[] = {{0, 1, 0},  {0, 0, 1}, {0, 2, 0}, {0, 16, 0}, {1, 2, 0}, {1, 3, 0},
               {1, 16, 0}, {1, 0, 0}, {1, 1, 1}, {1, 0, 2},  {1, 1, 16}};
  guint before = count_descriptors();
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Pair) pair = {0};
    pair_make(&pair, TRUE);
    g_autoptr(GByteArray) bytes =
        raw_message(5, MNK_MSG_READY, (guint16)cases[i].announced, "hello");
    write_with_fds(pair.bare, bytes->data, 12, cases[i].in_header);
    write_with_fds(pair.bare, bytes->data + 12, 5, cases[i].in_payload);
    assert_ends(pair.here, MNK_ERROR_BAD_INPUT);
    g_clear_pointer(&pair.here, mnk_channel_free);
    close(pair.bare);
    pair.bare = -1;
    g_assert_cmpuint(count_descriptors(), ==, before);
  }
}

/* A descriptor is kept when the message is never finished, and closed with the channel. */
static void test_descriptor_of_unfinished(void) {
  guint before = count_descriptors();
  {
    g_auto(Pair) pair = {0};
    pair_make(&pair, TRUE);
    g_autoptr(GByteArray) bytes = raw_message(5, MNK_MSG_READY, 1, "hell");
    write_with_fds(pair.bare, bytes->data, bytes->len, 1);
    g_assert_null(mnk_channel_receive(pair.here, 0, NULL));
  }
  g_assert_cmpuint(count_descriptors(), ==, before);
}

/* A peer that does not read: small messages fail whole, and all that was sent arrives whole. */
static void test_slow_reader(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, FALSE);
  g_autoptr(GError) error = NULL;
  guint sent = 0;
  char text[64] = "small";
  while (mnk_channel_send(pair.here, MNK_MSG_SET, sent, text, sizeof text, -1, 10, &error))
    sent++;
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  g_assert_cmpuint(sent, >, 10);
  for (guint i = 0; i < sent; i++) {
    g_autoptr(MnkMessage) message = mnk_channel_receive(pair.there, 0, NULL);
    g_assert_nonnull(message);
    g_assert_cmpuint(message->stream, ==, i);
  }
  g_assert_true(mnk_channel_send(pair.here, MNK_MSG_SET, 1, "a", 1, -1, 0, NULL));
}

/* A time-out in mid-message ends the sending, and the reader learns it. */
static void test_slow_reader_in_mid_message(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, FALSE);
  g_autoptr(GError) error = NULL;
  g_autofree char *large = g_malloc0(MNK_MESSAGE_MAX);
  g_assert_false(
      mnk_channel_send(pair.here, MNK_MSG_SET, 0, large, MNK_MESSAGE_MAX, -1, 10, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  g_clear_error(&error);
  g_assert_false(mnk_channel_send(pair.here, MNK_MSG_PING, 0, NULL, 0, -1, -1, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_CANCELLED);
  assert_ends(pair.there, MNK_ERROR_CANCELLED);
}

/* No SIGPIPE. */
static void test_send_to_the_dead(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, TRUE);
  close(pair.bare);
  pair.bare = -1;
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_channel_send(pair.here, MNK_MSG_PING, 0, NULL, 0, -1, -1, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_CANCELLED);
}

static void test_peer_dies_with_unread_messages(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair, FALSE);
  g_assert_true(mnk_channel_send(pair.here, MNK_MSG_PING, 0, NULL, 0, -1, 0, NULL));
  g_assert_true(mnk_channel_send(pair.there, MNK_MSG_ENDED, 0, "{}", 2, -1, 0, NULL));
  g_clear_pointer(&pair.there, mnk_channel_free);
  g_autoptr(MnkMessage) last = mnk_channel_receive(pair.here, 0, NULL);
  g_assert_nonnull(last);
  assert_ends(pair.here, MNK_ERROR_CANCELLED);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ipc/channel/round-trip", test_round_trip);
  g_test_add_func("/ipc/channel/nothing-is-no-error", test_nothing_is_no_error);
  g_test_add_func("/ipc/channel/largest", test_largest);
  g_test_add_func("/ipc/channel/many-senders", test_many_senders);
  g_test_add_func("/ipc/channel/descriptor", test_descriptor);
  g_test_add_func("/ipc/channel/descriptor-with-no-payload", test_descriptor_with_no_payload);
  g_test_add_func("/ipc/channel/drip", test_drip);
  g_test_add_func("/ipc/channel/cut", test_cut);
  g_test_add_func("/ipc/channel/truncated", test_truncated);
  g_test_add_func("/ipc/channel/whole-before-the-end", test_whole_before_the_end);
  g_test_add_func("/ipc/channel/bad-headers", test_bad_headers);
  g_test_add_func("/ipc/channel/smuggled-descriptors", test_smuggled_descriptors);
  g_test_add_func("/ipc/channel/descriptor-of-unfinished", test_descriptor_of_unfinished);
  g_test_add_func("/ipc/channel/slow-reader", test_slow_reader);
  g_test_add_func("/ipc/channel/slow-reader-in-mid-message", test_slow_reader_in_mid_message);
  g_test_add_func("/ipc/channel/send-to-the-dead", test_send_to_the_dead);
  g_test_add_func("/ipc/channel/peer-dies-with-unread-messages",
                  test_peer_dies_with_unread_messages);
  return g_test_run();
}
