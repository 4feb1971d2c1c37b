#include "ipc/ipc.h"

#include <unistd.h>

gboolean mnk_message_type_is_known(guint type) {
  return (type >= MNK_MSG_HELLO && type <= MNK_MSG_CANCEL) ||
         (type >= MNK_MSG_READY && type <= MNK_MSG_RESTORED);
}

void mnk_message_free(MnkMessage *message) {
  if (message == NULL)
    return;
  g_clear_pointer(&message->payload, g_bytes_unref);
  if (message->fd >= 0)
    close(message->fd);
  g_free(message);
}

MnkJson *mnk_message_json(const MnkMessage *message, GError **error) {
  gsize length = 0;
  const char *bytes = g_bytes_get_data(message->payload, &length);
  return mnk_json_parse(bytes, length, NULL, error);
}
