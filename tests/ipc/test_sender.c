/* Sender: a main context that never waits, and a worker that reads when it likes; all that was sent
 * arrives, whole and in order. */
#include "ipc/ipc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  MnkSender *sender;
  MnkChannel *here, *there;
} Pair;

static void pair_make(Pair *pair) {
  int fds[2];
  g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  pair->here = mnk_channel_new(fds[0]);
  pair->there = mnk_channel_new(fds[1]);
  pair->sender = mnk_sender_new();
  mnk_sender_connect(pair->sender, pair->here);
}

static void pair_clear(Pair *pair) {
  mnk_sender_free(pair->sender);
  mnk_channel_free(pair->here);
  mnk_channel_free(pair->there);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

static gboolean on_patience_over(gpointer data) {
  g_error("the awaited message did not come within a minute");
  return G_SOURCE_REMOVE;
}

/* What the main context sends meanwhile is read as it comes. */
static MnkMessage *receive(Pair *pair) {
  guint patience = g_timeout_add_seconds(60, on_patience_over, NULL);
  MnkMessage *message = NULL;
  while (message == NULL) {
    g_autoptr(GError) error = NULL;
    message = mnk_channel_receive(pair->there, 0, &error);
    g_assert_no_error(error);
    if (message == NULL)
      g_main_context_iteration(NULL, TRUE);
  }
  g_source_remove(patience);
  return message;
}

static void assert_message(Pair *pair, guint32 stream, char letter, gsize length, gboolean has_fd) {
  g_autoptr(MnkMessage) message = receive(pair);
  gsize got;
  const char *bytes = g_bytes_get_data(message->payload, &got);
  g_assert_cmpuint(message->stream, ==, stream);
  g_assert_cmpuint(got, ==, length);
  g_assert_cmpint(message->fd >= 0, ==, has_fd);
  for (gsize i = 0; i < length; i++)
    g_assert_true(bytes[i] == letter);
}

static void post(Pair *pair, guint32 stream, char letter, gsize length, int fd) {
  g_autofree char *text = g_malloc(length + 1);
  memset(text, letter, length);
  mnk_sender_post(pair->sender, MNK_MSG_ASK, stream, text, length, fd);
}

/* Larger than any socket's room: each is begun, and none may be cut off. */
static void test_large(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair);
  for (guint i = 0; i < 4; i++)
    post(&pair, i, (char)('a' + i), MNK_MESSAGE_MAX, i % 2 == 1 ? dup(2) : -1);
  for (guint i = 0; i < 4; i++)
    assert_message(&pair, i, (char)('a' + i), MNK_MESSAGE_MAX, i % 2 == 1);
  g_assert_false(g_main_context_pending(NULL)); /* nothing waits for room any more */
}

/* The rest of a message goes out by itself, and a short one does not slip into it. */
static void test_rest(void) {
  g_auto(Pair) pair = {0};
  pair_make(&pair);
  post(&pair, 1, 'a', MNK_MESSAGE_MAX, -1);
  g_assert_false(mnk_sender_try(pair.sender, MNK_MSG_FRAME, 2, "b", 1));
  g_assert_false(mnk_channel_send(pair.here, MNK_MSG_PING, 0, NULL, 0, -1, 0, NULL));
  assert_message(&pair, 1, 'a', MNK_MESSAGE_MAX, FALSE);
  g_assert_true(mnk_sender_try(pair.sender, MNK_MSG_FRAME, 2, "b", 1));
  assert_message(&pair, 2, 'b', 1, FALSE);
}

static void test_many_small(void) {
  enum { MANY = 5000 };
  g_auto(Pair) pair = {0};
  pair_make(&pair);
  for (guint i = 0; i < MANY; i++)
    post(&pair, i, 'a', 200, -1);
  for (guint i = 0; i < MANY; i++)
    assert_message(&pair, i, 'a', 200, FALSE);
}

/* A worker that dies with a message half read, and another one after it. */
static void test_next_worker(void) {
  g_auto(Pair) pair = {0}, next = {0};
  pair_make(&pair);
  pair_make(&next);
  post(&pair, 1, 'a', MNK_MESSAGE_MAX, dup(2));
  post(&pair, 2, 'b', MNK_MESSAGE_MAX, dup(2));
  g_clear_pointer(&pair.there, mnk_channel_free);
  while (g_main_context_iteration(NULL, FALSE))
    continue;
  post(&pair, 3, 'c', 10, -1);
  mnk_sender_connect(pair.sender, next.here);
  mnk_sender_post(pair.sender, MNK_MSG_HELLO, 4, "d", 1, -1);
  assert_message(&next, 4, 'd', 1, FALSE);
  mnk_sender_connect(pair.sender, NULL);
  post(&pair, 5, 'e', 10, dup(2));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ipc/sender/large", test_large);
  g_test_add_func("/ipc/sender/rest", test_rest);
  g_test_add_func("/ipc/sender/many-small", test_many_small);
  g_test_add_func("/ipc/sender/next-worker", test_next_worker);
  return g_test_run();
}
