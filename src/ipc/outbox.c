/* Outbox: what the main thread has to say, sent by a thread that may wait for the server. */
#include "ipc/ipc.h"

/* More than the answers to all that a server can have on its way: a frame's slot for each of the
 * inbox, a refusal for each stream. */
enum { MAX_WAITING = 4096 };

struct _MnkOutbox {
  MnkChannel *channel;
  MnkQueue *queue;
  GThread *thread; /* NULL: nothing has been said */
};

typedef struct {
  MnkMessageType type;
  guint32 stream;
  GBytes *text;
} Letter;

static void letter_free(gpointer data) {
  Letter *letter = data;
  g_bytes_unref(letter->text);
  g_free(letter);
}

static gpointer run(gpointer user) {
  MnkOutbox *outbox = user;
  Letter *letter;
  while ((letter = mnk_queue_pop(outbox->queue, -1)) != NULL) {
    gsize length;
    const char *text = g_bytes_get_data(letter->text, &length);
    mnk_channel_send(outbox->channel, letter->type, letter->stream, text, length, -1, -1, NULL);
    letter_free(letter);
  }
  return NULL;
}

MnkOutbox *mnk_outbox_new(MnkChannel *channel) {
  MnkOutbox *outbox = g_new0(MnkOutbox, 1);
  outbox->channel = channel;
  outbox->queue = mnk_queue_new(MAX_WAITING, MNK_QUEUE_DROP_NEWEST, letter_free);
  return outbox;
}

void mnk_outbox_free(MnkOutbox *outbox) {
  if (outbox == NULL)
    return;
  mnk_queue_close(outbox->queue);
  if (outbox->thread != NULL)
    g_thread_join(outbox->thread);
  mnk_queue_free(outbox->queue);
  g_free(outbox);
}

void mnk_outbox_send(MnkOutbox *outbox, MnkMessageType type, guint32 stream, const char *text,
                     gsize length) {
  if (outbox->thread == NULL)
    outbox->thread = g_thread_new("outbox", run, outbox);
  Letter *letter = g_new(Letter, 1);
  *letter = (Letter){type, stream, g_bytes_new(text, length)};
  if (!mnk_queue_push(outbox->queue, letter))
    mnk_warning("ipc", NULL, "event=answer-lost type=%d reason=\"the server does not read\"", type);
}
