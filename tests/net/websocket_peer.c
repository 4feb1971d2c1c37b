#include "websocket_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/websocket_priv.h"

#define MORE " bytes of a frame"

enum { PATIENCE_US = 60 * G_USEC_PER_SEC };

const MnkWebSocketConfig quiet_config = {
    .message_max = 8 << 20, .backlog_max = 16 << 20, .close_ms = 60000, .pongs_missed = 2};

void frame_free(Frame *frame) {
  g_byte_array_unref(frame->payload);
  g_free(frame);
}

/* ---- Scripts ---- */

typedef struct {
  guint opcode;
  gboolean fin, flip_mask, wide, widest;
  guint8 reserved;
  guint64 more;
  GByteArray *payload;
} Spec;

static void append_payload(GByteArray *out, const char *text, gsize length) {
  for (const char *end = text + length; text < end;) {
    guint8 byte = (guint8)*text;
    if (*text == '#') {
      char *after;
      gsize n = (gsize)g_ascii_strtoull(text + 1, &after, 10);
      gsize at = out->len;
      g_byte_array_set_size(out, (guint)(at + n));
      if (n > 0)
        memset(out->data + at, '*', n);
      text = after;
      continue;
    }
    if (*text == '%') {
      byte = (guint8)(g_ascii_xdigit_value(text[1]) << 4 | g_ascii_xdigit_value(text[2]));
      text += 2;
    }
    g_byte_array_append(out, &byte, 1);
    text++;
  }
}

static void append_close(GByteArray *out, const char *text, gsize length) {
  char *after = NULL;
  if (length == 0)
    return;
  guint code = (guint)g_ascii_strtoull(text, &after, 10);
  guint8 bytes[2] = {(guint8)(code >> 8), (guint8)code};
  if (after == text) { /* a body as it is */
    append_payload(out, text, length);
    return;
  }
  g_byte_array_append(out, bytes, 2);
  if (after < text + length && *after == ',')
    append_payload(out, after + 1, (gsize)(text + length - after - 1));
}

static guint read_opcode(const char **at) {
  static const struct {
    const char *name;
    guint opcode;
  } names[] = {{"text", 1}, {"bin", 2}, {"cont", 0}, {"close", 8}, {"ping", 9}, {"pong", 10}};
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    if (g_str_has_prefix(*at, names[i].name)) {
      *at += strlen(names[i].name);
      return names[i].opcode;
    }
  char *after;
  g_assert_true(g_str_has_prefix(*at, "op"));
  guint opcode = (guint)g_ascii_strtoull(*at + 2, &after, 10);
  *at = after;
  return opcode;
}

static Spec read_spec(const char *token) {
  Spec spec = {.fin = TRUE, .payload = g_byte_array_new()};
  spec.opcode = read_opcode(&token);
  for (; *token != ':'; token++) {
    if (*token == '-')
      spec.fin = FALSE;
    else if (*token == '!')
      spec.flip_mask = TRUE;
    else if (*token == 'w')
      spec.wide = TRUE;
    else if (*token == 'W')
      spec.widest = TRUE;
    else if (*token >= '1' && *token <= '3')
      spec.reserved |= (guint8)(0x80 >> (*token - '0'));
    else if (*token == '+') {
      char *after;
      spec.more = g_ascii_strtoull(token + 1, &after, 10);
      token = after - 1;
    } else
      g_error("%s is no frame", token);
  }
  if (spec.opcode == MNK_WS_CLOSE)
    append_close(spec.payload, token + 1, strlen(token + 1));
  else
    append_payload(spec.payload, token + 1, strlen(token + 1));
  return spec;
}

/* Not with the code that is under test. */
static void append_frame(GByteArray *out, const Spec *spec, gboolean masked) {
  static const guint8 mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  guint64 length = spec->payload->len + spec->more;
  guint8 head[14] = {(guint8)((spec->fin ? 0x80 : 0) | spec->reserved | spec->opcode)};
  guint n = 2, bytes = spec->widest     ? 8
                       : spec->wide     ? 2
                       : length < 126   ? 0
                       : length < 65536 ? 2
                                        : 8;
  masked = masked != spec->flip_mask;
  head[1] = (guint8)((masked ? 0x80 : 0) | (bytes == 8 ? 127 : bytes == 2 ? 126 : length));
  for (guint i = 0; i < bytes; i++)
    head[n++] = (guint8)(length >> 8 * (bytes - 1 - i));
  if (masked)
    memcpy(head + n, mask, 4);
  n += masked ? 4 : 0;
  g_byte_array_append(out, head, n);
  gsize at = out->len;
  g_byte_array_append(out, spec->payload->data, spec->payload->len);
  for (gsize i = 0; masked && i < spec->payload->len; i++)
    out->data[at + i] ^= mask[i % 4];
}

GByteArray *script_bytes(const char *script, gboolean masked) {
  GByteArray *out = g_byte_array_new();
  g_auto(GStrv) tokens = g_strsplit(script, " ", -1);
  for (guint i = 0; tokens[i]; i++) {
    if (!*tokens[i])
      continue;
    if (g_str_has_prefix(tokens[i], "raw:")) {
      for (const char *hex = tokens[i] + 4; *hex; hex += 2) {
        guint8 byte = (guint8)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
        g_byte_array_append(out, &byte, 1);
      }
      continue;
    }
    Spec spec = read_spec(tokens[i]);
    append_frame(out, &spec, masked);
    g_byte_array_unref(spec.payload);
  }
  return out;
}

/* ---- Comparing ---- */

static void show(GString *out, guint opcode, gboolean fin, const guint8 *bytes, gsize length) {
  static const char *const names[] = {"cont", "text", "bin",   "op3",  "op4", "op5",
                                      "op6",  "op7",  "close", "ping", "pong"};
  g_assert_cmpuint(opcode, <, G_N_ELEMENTS(names));
  g_string_append_printf(out, "%s%s%s:", out->len ? " " : "", names[opcode], fin ? "" : "-");
  if (opcode == MNK_WS_CLOSE) {
    if (length >= 2)
      g_string_append_printf(out, "%u", (guint)bytes[0] << 8 | bytes[1]);
    return;
  }
  if (length > 200) {
    g_autofree char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes, length);
    g_string_append_printf(out, "(%" G_GSIZE_FORMAT " bytes, %.16s)", length, sum);
    return;
  }
  for (gsize i = 0; i < length; i++)
    if (g_ascii_isgraph(bytes[i]) && bytes[i] != '%')
      g_string_append_c(out, (char)bytes[i]);
    else
      g_string_append_printf(out, "%%%02x", bytes[i]);
}

char *script_expected(const char *script) {
  GString *out = g_string_new(NULL);
  g_auto(GStrv) tokens = g_strsplit(script, " ", -1);
  for (guint i = 0; tokens[i]; i++) {
    if (!*tokens[i])
      continue;
    if (g_str_equal(tokens[i], "eof")) {
      g_string_append_printf(out, "%seof", out->len ? " " : "");
      continue;
    }
    Spec spec = read_spec(tokens[i]);
    show(out, spec.opcode, spec.fin, spec.payload->data, spec.payload->len);
    g_byte_array_unref(spec.payload);
  }
  return g_string_free(out, FALSE);
}

/* The frame at the beginning; its length, or 0 when it is not whole. Copies its payload. */
static gsize parse_frame(const guint8 *bytes, gsize length, gboolean masked, GByteArray *payload) {
  if (length < 2)
    return 0;
  guint wide = bytes[1] & 0x7f, n = 2, more = wide == 126 ? 2 : wide == 127 ? 8 : 0;
  guint64 size = more ? 0 : wide;
  g_assert_true(((bytes[1] & 0x80) != 0) == masked);
  g_assert_cmpuint(bytes[0] & 0x70, ==, 0);
  if (length < n + more + (masked ? 4 : 0))
    return 0;
  for (guint i = 0; i < more; i++)
    size = size << 8 | bytes[n++];
  const guint8 *mask = bytes + n;
  n += masked ? 4 : 0;
  if (length - n < size)
    return 0;
  g_byte_array_append(payload, bytes + n, (guint)size);
  for (gsize i = 0; masked && i < size; i++)
    payload->data[i] ^= mask[i % 4];
  return n + (gsize)size;
}

char *peer_seen(const Peer *peer) {
  GString *out = g_string_new(NULL);
  gsize at = 0;
  for (;;) {
    g_autoptr(GByteArray) payload = g_byte_array_new();
    const guint8 *bytes = peer->in->data + at;
    gsize n = parse_frame(bytes, peer->in->len - at, !peer->server, payload);
    if (n == 0)
      break;
    show(out, bytes[0] & 0xf, (bytes[0] & 0x80) != 0, payload->data, payload->len);
    at += n;
  }
  if (at < peer->in->len)
    g_string_append_printf(out, " %" G_GSIZE_FORMAT "%s", (gsize)peer->in->len - at, MORE);
  if (peer->ended)
    g_string_append_printf(out, "%seof", out->len ? " " : "");
  return g_string_free(out, FALSE);
}

/* ---- The session ---- */

static void on_message(MnkWebSocket *ws, gboolean text, const guint8 *bytes, gsize length,
                       gpointer user) {
  Peer *peer = user;
  peer->messages++;
  g_assert_cmpuint(bytes[length], ==, 0);
  if (text)
    g_assert_true(memchr(bytes, 0, length) ||
                  g_utf8_validate((const char *)bytes, (gssize)length, NULL));
  if (!peer->silent)
    g_assert_true(text ? mnk_websocket_send_text(ws, (const char *)bytes, length)
                       : mnk_websocket_send_binary(ws, bytes, length));
  if (peer->pause_after_message)
    mnk_websocket_pause(ws, TRUE);
  if (peer->close_in_message)
    mnk_websocket_close(ws, peer->close_in_message, "enough");
  if (peer->end_in_message)
    mnk_ws_end(ws, MNK_WS_GOING_AWAY, "the end");
}

static void on_writable(MnkWebSocket *ws, gpointer user) {
  Peer *peer = user;
  peer->writable++;
  g_assert_cmpuint(mnk_websocket_backlog(ws), ==, 0);
}

static void on_closed(MnkWebSocket *ws, guint code, const char *reason, gpointer user) {
  Peer *peer = user;
  g_assert_true(peer->ws == ws);
  g_assert_true(g_utf8_validate(reason, -1, NULL));
  peer->closed++;
  peer->closed_code = code;
  peer->closed_reason = g_strdup(reason);
  peer->ws = NULL;
}

const MnkWebSocketEvents peer_events = {
    .message = on_message, .writable = on_writable, .closed = on_closed};

Peer *peer_around(gboolean server, int fd) {
  Peer *peer = g_new0(Peer, 1);
  peer->server = server;
  peer->fd = fd;
  peer->in = g_byte_array_new();
  return peer;
}

Peer *peer_new(gboolean server, const MnkWebSocketConfig *config) {
  int fds[2];
  g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  Peer *peer = peer_around(server, fds[0]);
  peer->ws = mnk_ws_new(server, mnk_ws_fd_stream_new(fds[1], NULL, NULL), NULL, "192.0.2.1", config,
                        &peer_events, peer);
  return peer;
}

void peer_free(Peer *peer) {
  if (!peer)
    return;
  if (peer->ws)
    mnk_ws_end(peer->ws, MNK_WS_GOING_AWAY, "");
  g_assert_cmpuint(peer->closed, ==, 1);
  close(peer->fd);
  g_byte_array_unref(peer->in);
  g_free(peer->closed_reason);
  g_free(peer);
}

/* ---- The raw end ---- */

static void take_in(Peer *peer) {
  guint8 bytes[65536];
  while (!peer->ended) {
    gssize n = recv(peer->fd, bytes, sizeof bytes, 0);
    if (n > 0) {
      g_byte_array_append(peer->in, bytes, (guint)n);
      continue;
    }
    if (n < 0 && errno == EAGAIN)
      return;
    peer->ended = TRUE; /* or a reset */
  }
}

void peer_turn(Peer *peer) {
  g_main_context_iteration(NULL, FALSE);
  take_in(peer);
}

void run_until(Peer *peer, Condition condition, gpointer user, const char *what) {
  gint64 start = g_get_monotonic_time();
  while (!condition(user)) {
    if (!g_main_context_iteration(NULL, FALSE))
      g_usleep(200);
    take_in(peer);
    if (g_get_monotonic_time() - start > PATIENCE_US) {
      g_autofree char *seen = peer_seen(peer);
      g_error("waiting in vain for %s; seen: %s", what, seen);
    }
  }
}

void peer_send_bytes(Peer *peer, const guint8 *bytes, gsize length, gsize piece) {
  for (gsize at = 0; at < length;) {
    gsize n = MIN(piece ? piece : length, length - at);
    gssize sent = send(peer->fd, bytes + at, n, MSG_NOSIGNAL);
    if (sent > 0)
      at += (gsize)sent;
    else if (errno != EAGAIN)
      return; /* the session has ended it: what it said is looked at */
    if (piece || sent < 0)
      peer_turn(peer);
  }
}

void peer_send(Peer *peer, const char *script, gsize piece) {
  gsize length = strlen(script);
  gboolean cut = g_str_has_suffix(script, "cut:");
  g_autofree char *frames = g_strndup(script, length - (cut ? 4 : 0));
  g_autoptr(GByteArray) bytes = script_bytes(frames, peer->server);
  peer_send_bytes(peer, bytes->data, bytes->len, piece);
  if (cut)
    shutdown(peer->fd, SHUT_WR);
}

typedef struct {
  Peer *peer;
  char *expected;
  gsize enough; /* bytes of all whole frames expected, of which close reasons are left out */
} Wait;

/* Something else has come, or the end: no use in waiting. */
static gboolean matches_or_cannot(gpointer user) {
  const Wait *wait = user;
  if (wait->peer->in->len < wait->enough && !wait->peer->ended)
    return FALSE;
  g_autofree char *seen = peer_seen(wait->peer);
  if (wait->peer->ended || g_str_equal(seen, wait->expected))
    return TRUE;
  return !g_str_has_suffix(seen, MORE) && !g_str_has_prefix(wait->expected, seen);
}

void peer_expect(Peer *peer, const char *script) {
  g_autofree char *expected = script_expected(script);
  Wait wait = {.peer = peer, .expected = expected};
  g_auto(GStrv) tokens = g_strsplit(script, " ", -1);
  for (guint i = 0; tokens[i]; i++)
    if (*tokens[i] && !g_str_equal(tokens[i], "eof")) {
      Spec spec = read_spec(tokens[i]);
      wait.enough += 2 + spec.payload->len;
      g_byte_array_unref(spec.payload);
    }
  run_until(peer, matches_or_cannot, &wait, expected);
  g_autofree char *seen = peer_seen(peer);
  g_assert_cmpstr(seen, ==, expected);
}

static gboolean is_closed(gpointer user) {
  return ((Peer *)user)->closed > 0;
}

void peer_expect_closed(Peer *peer, guint code) {
  run_until(peer, is_closed, peer, "closed");
  g_assert_cmpuint(peer->closed_code, ==, code);
  g_assert_cmpuint(peer->closed, ==, 1);
}
