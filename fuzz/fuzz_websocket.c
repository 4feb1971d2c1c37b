/* However the bytes are cut, the same messages come and the same fault is found; and wslay, where
 * it is there, reads the same messages out of what has no fault.
 *
 * The first byte says whether frames are masked and how the rest is cut. */
#include "fuzz.h"

#include <string.h>
#include <wslay/wslay.h>

#include "net/websocket_priv.h"

enum { MESSAGE_MAX = 3000 };

typedef struct {
  GString *seen;
  gboolean closed;
} Seen;

static void note(GString *seen, guint opcode, const guint8 *bytes, gsize length) {
  g_string_append_printf(seen, "[%u ", opcode);
  g_string_append_len(seen, (const char *)bytes, (gssize)length);
  g_string_append_c(seen, ']');
}

static gboolean on_message(gboolean text, const guint8 *bytes, gsize length, gpointer user) {
  g_assert(length <= MESSAGE_MAX && bytes[length] == 0);
  g_assert(!text || memchr(bytes, 0, length) ||
           g_utf8_validate((const char *)bytes, (gssize)length, NULL));
  note(((Seen *)user)->seen, text ? MNK_WS_TEXT : MNK_WS_BINARY, bytes, length);
  return TRUE;
}

static gboolean on_control(guint opcode, const guint8 *bytes, gsize length, gpointer user) {
  Seen *seen = user;
  g_assert(length <= MNK_WS_CONTROL_MAX && bytes[length] == 0);
  note(seen->seen, opcode, bytes, length);
  guint code;
  if (opcode == MNK_WS_CLOSE)
    (void)mnk_ws_read_close(bytes, length, &code);
  seen->closed = opcode == MNK_WS_CLOSE;
  return !seen->closed;
}

/* Ends at a fault or a close frame. */
static guint read_pieces(const guint8 *data, gsize size, gsize piece, gboolean masked, Seen *seen) {
  static const MnkWsReaderEvents events = {.message = on_message, .control = on_control};
  g_autoptr(MnkWsReader) reader = mnk_ws_reader_new(masked, MESSAGE_MAX, &events, seen);
  MnkWsFault fault = {0};
  for (gsize at = 0; at < size && !fault.code && !seen->closed;) {
    gsize n = MIN(piece, size - at);
    g_autofree guint8 *bytes = g_malloc(n + 1);
    memcpy(bytes, data + at, n);
    bytes[n] = 0xa5;
    gsize taken = mnk_ws_reader_take(reader, bytes, n, &fault);
    g_assert(bytes[n] == 0xa5 && taken <= n);
    g_assert(taken == n || fault.code || seen->closed);
    at += n;
  }
  return fault.code;
}

/* ---- wslay ---- */

typedef struct {
  const guint8 *data;
  gsize size;
  GString *seen;
} Other;

static ssize_t other_receive(wslay_event_context_ptr context, uint8_t *to, size_t room, int flags,
                             void *user) {
  Other *other = user;
  gsize n = MIN(room, other->size);
  if (n == 0) {
    wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
    return -1;
  }
  memcpy(to, other->data, n);
  other->data += n;
  other->size -= n;
  return (ssize_t)n;
}

static void other_message(wslay_event_context_ptr context,
                          const struct wslay_event_on_msg_recv_arg *message, void *user) {
  note(((Other *)user)->seen, message->opcode, message->msg, message->msg_length);
}

static void compare(const guint8 *data, gsize size, gboolean masked, const GString *expected) {
  static const struct wslay_event_callbacks callbacks = {.recv_callback = other_receive,
                                                         .on_msg_recv_callback = other_message};
  g_autoptr(GString) seen = g_string_new(NULL);
  Other other = {data, size, seen};
  wslay_event_context_ptr context;
  if (masked)
    g_assert(wslay_event_context_server_init(&context, &callbacks, &other) == 0);
  else
    g_assert(wslay_event_context_client_init(&context, &callbacks, &other) == 0);
  g_assert(wslay_event_recv(context) == 0);
  g_assert(g_string_equal(seen, expected));
  wslay_event_context_free(context);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  if (size == 0)
    return 0;
  gboolean masked = data[0] & 1;
  gsize piece = data[0] / 2 + 1;
  g_autoptr(GString) whole = g_string_new(NULL);
  g_autoptr(GString) pieces = g_string_new(NULL);
  Seen first = {.seen = whole}, second = {.seen = pieces};
  guint fault = read_pieces(data + 1, size - 1, size, masked, &first);
  g_assert(fault == read_pieces(data + 1, size - 1, piece, masked, &second));
  g_assert(g_string_equal(whole, pieces) && first.closed == second.closed);
  if (!fault && !first.closed)
    compare(data + 1, size - 1, masked, whole);
  return 0;
}
