/* Sender: messages to a worker from a main context that must not wait for it. */
#include "ipc/ipc.h"

#include <glib-unix.h>
#include <unistd.h>

enum { MAX_PENDING = 8192 }; /* messages; a worker that lets so many wait is as good as dead */

typedef struct {
  MnkMessageType type;
  guint32 stream;
  GBytes *text;
  int fd; /* -1: none; owned */
} Pending;

struct _MnkSender {
  GMainContext *context;
  MnkChannel *channel;
  GQueue pending;
  GSource *room; /* waits for room on the socket; NULL: nothing is to be sent */
};

static void pending_free(gpointer data) {
  Pending *pending = data;
  if (pending->fd >= 0)
    close(pending->fd);
  g_bytes_unref(pending->text);
  g_free(pending);
}

MnkSender *mnk_sender_new(void) {
  MnkSender *sender = g_new0(MnkSender, 1);
  sender->context = g_main_context_ref_thread_default();
  g_queue_init(&sender->pending);
  return sender;
}

static void stop_waiting(MnkSender *sender) {
  GSource *room = g_steal_pointer(&sender->room);
  if (room == NULL)
    return;
  g_source_destroy(room);
  g_source_unref(room);
}

void mnk_sender_connect(MnkSender *sender, MnkChannel *channel) {
  stop_waiting(sender);
  g_queue_clear_full(&sender->pending, pending_free);
  sender->channel = channel;
}

void mnk_sender_free(MnkSender *sender) {
  if (sender == NULL)
    return;
  mnk_sender_connect(sender, NULL);
  g_main_context_unref(sender->context);
  g_free(sender);
}

/* Any failure but a full socket is a peer that has gone: the supervisor sees it, too. */
static gboolean write_now(MnkSender *sender, MnkMessageType type, guint32 stream, const char *text,
                          gsize length, int fd) {
  g_autoptr(GError) error = NULL;
  return mnk_channel_send(sender->channel, type, stream, text, length, fd, 0, &error) ||
         !g_error_matches(error, MNK_ERROR, MNK_ERROR_LIMIT);
}

static gboolean on_room(int socket, GIOCondition condition, gpointer user) {
  MnkSender *sender = user;
  Pending *next;
  while ((next = g_queue_peek_head(&sender->pending)) != NULL) {
    gsize length;
    const char *text = g_bytes_get_data(next->text, &length);
    if (!write_now(sender, next->type, next->stream, text, length, next->fd))
      return G_SOURCE_CONTINUE;
    pending_free(g_queue_pop_head(&sender->pending));
  }
  if (!mnk_channel_flush(sender->channel))
    return G_SOURCE_CONTINUE;
  stop_waiting(sender);
  return G_SOURCE_REMOVE;
}

static void wait_for_room(MnkSender *sender) {
  if (sender->room != NULL)
    return;
  sender->room = g_unix_fd_source_new(mnk_channel_fd(sender->channel), G_IO_OUT);
  g_source_set_callback(sender->room, G_SOURCE_FUNC(on_room), sender, NULL);
  g_source_attach(sender->room, sender->context);
}

/* Of a long message a part may be left. */
static gboolean try_now(MnkSender *sender, MnkMessageType type, guint32 stream, const char *text,
                        gsize length, int fd) {
  if (sender->pending.length > 0 || !write_now(sender, type, stream, text, length, fd))
    return FALSE;
  if (!mnk_channel_flush(sender->channel))
    wait_for_room(sender);
  return TRUE;
}

void mnk_sender_post(MnkSender *sender, MnkMessageType type, guint32 stream, const char *text,
                     gsize length, int fd) {
  gboolean can_wait = sender->channel != NULL && sender->pending.length < MAX_PENDING;
  if (can_wait && !try_now(sender, type, stream, text, length, fd)) {
    Pending pending = {type, stream, g_bytes_new(text, length), fd};
    g_queue_push_tail(&sender->pending, g_memdup2(&pending, sizeof pending));
    wait_for_room(sender);
  } else if (fd >= 0) {
    close(fd);
  }
}

gboolean mnk_sender_try(MnkSender *sender, MnkMessageType type, guint32 stream, const char *text,
                        gsize length) {
  return sender->channel != NULL && try_now(sender, type, stream, text, length, -1);
}
