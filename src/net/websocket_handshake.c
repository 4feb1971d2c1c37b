/* RFC 6455, sections 4.1 and 4.2, over header values. */
#include "net/websocket_priv.h"

#include <string.h>

#include "base/base.h"
#include "wire/wire.h"

enum { KEY_LENGTH = 24, KEY_BYTES = 16 };

static const char space[] = " \t";

gboolean mnk_ws_list_has(const char *list, const char *token, gboolean exact) {
  gsize wanted = strlen(token);
  while (list && *list) {
    list += strspn(list, " \t,");
    gsize length = strcspn(list, ",");
    gsize trimmed = length;
    while (trimmed > 0 && strchr(space, list[trimmed - 1]))
      trimmed--;
    if (trimmed == wanted &&
        (exact ? strncmp(list, token, wanted) == 0 : g_ascii_strncasecmp(list, token, wanted) == 0))
      return TRUE;
    list += length;
  }
  return FALSE;
}

static gboolean is_key(const char *key) {
  guint8 bytes[KEY_LENGTH];
  gsize length;
  return strlen(key) == KEY_LENGTH && mnk_base64_decode(key, KEY_LENGTH, bytes, &length, NULL) &&
         length == KEY_BYTES;
}

guint mnk_ws_check_upgrade(const MnkWsUpgrade *upgrade, const char **problem) {
  *problem = "a WebSocket is opened with GET";
  if (strcmp(upgrade->method, "GET") != 0)
    return 405;
  *problem = "this address speaks WebSocket: Connection: Upgrade and Upgrade: websocket are needed";
  if (!mnk_ws_list_has(upgrade->connection, "upgrade", FALSE) ||
      !mnk_ws_list_has(upgrade->upgrade, "websocket", FALSE))
    return 426;
  *problem = "Sec-WebSocket-Version must be 13";
  if (g_strcmp0(upgrade->version, "13") != 0)
    return 426;
  *problem = "Sec-WebSocket-Key must be 16 bytes in base64";
  if (!upgrade->key || !is_key(upgrade->key))
    return 400;
  *problem = "a request for a WebSocket has no body";
  if (upgrade->transfer_encoding || g_strcmp0(upgrade->content_length, "0") > 0)
    return 400;
  *problem = NULL;
  return 0;
}

char *mnk_ws_accept(const char *key) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  guint8 digest[20];
  gsize length = sizeof digest;
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA1);
  g_autoptr(GString) text = g_string_new(NULL);
  g_checksum_update(sum, (const guchar *)key, (gssize)strlen(key));
  g_checksum_update(sum, (const guchar *)guid, (gssize)strlen(guid));
  g_checksum_get_digest(sum, digest, &length);
  mnk_base64_encode(digest, length, text);
  return g_string_free(g_steal_pointer(&text), FALSE);
}

char *mnk_ws_new_key(void) {
  guint8 bytes[KEY_BYTES];
  GString *key = g_string_new(NULL);
  mnk_ws_random(bytes, sizeof bytes);
  mnk_base64_encode(bytes, sizeof bytes, key);
  return g_string_free(key, FALSE);
}

/* ---- The client's side ---- */

typedef struct {
  char *upgrade, *connection, *accept, *protocol, *extensions;
} Answer;

static void clear_answer(Answer *answer) {
  g_free(answer->upgrade);
  g_free(answer->connection);
  g_free(answer->accept);
  g_free(answer->protocol);
  g_free(answer->extensions);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, clear_answer)

static gboolean G_GNUC_PRINTF(2, 3) refuse(GError **error, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_SOURCE, what);
  return FALSE;
}

/* One line, cut in place. A field that comes again is joined with a comma, as HTTP has it. */
static gboolean read_field(char *line, Answer *answer) {
  const struct {
    const char *name;
    char **to;
  } wanted[] = {
      {"Upgrade", &answer->upgrade},
      {"Connection", &answer->connection},
      {"Sec-WebSocket-Accept", &answer->accept},
      {"Sec-WebSocket-Protocol", &answer->protocol},
      {"Sec-WebSocket-Extensions", &answer->extensions},
  };
  char *colon = strchr(line, ':');
  if (!colon || colon == line || strcspn(line, space) < (gsize)(colon - line))
    return FALSE;
  *colon = '\0';
  for (guint i = 0; i < G_N_ELEMENTS(wanted); i++)
    if (g_ascii_strcasecmp(line, wanted[i].name) == 0) {
      g_autofree char *before = g_steal_pointer(wanted[i].to);
      const char *value = g_strstrip(colon + 1);
      *wanted[i].to = before ? g_strconcat(before, ", ", value, NULL) : g_strdup(value);
    }
  return TRUE;
}

/* "HTTP/1.1 101 Switching Protocols" */
static gboolean check_status_line(const char *line, GError **error) {
  if (!g_str_has_prefix(line, "HTTP/1.") || !g_ascii_isdigit(line[7]) || line[8] != ' ' ||
      strspn(line + 9, "0123456789") != 3 || (line[12] != ' ' && line[12] != '\0'))
    return refuse(error, "the server does not answer in HTTP/1.1");
  if (strncmp(line + 9, "101", 3) == 0)
    return TRUE;
  static const char *const PASSING[] = {"408", "425", "429", NULL};
  g_autofree char *shown = g_utf8_make_valid(line + 9, -1);
  g_autofree char *status = g_strndup(line + 9, 3);
  g_strdelimit(shown, "\t\r\n\033", ' ');
  gboolean ours = status[0] == '4' && !g_strv_contains(PASSING, status);
  g_set_error(error, MNK_ERROR, ours ? MNK_ERROR_USAGE : MNK_ERROR_SOURCE,
              "the server refuses the WebSocket: %.80s", g_strstrip(shown));
  return FALSE;
}

gboolean mnk_ws_check_answer(const char *head, gsize length, const char *key, const char *offered,
                             GError **error) {
  g_auto(Answer) answer = {0};
  if (memchr(head, '\0', length))
    return refuse(error, "the server does not answer in HTTP/1.1");
  g_autofree char *text = g_strndup(head, length);
  g_auto(GStrv) lines = g_strsplit(text, "\r\n", -1);
  if (!check_status_line(lines[0], error))
    return FALSE;
  for (guint i = 1; lines[i] && *lines[i]; i++)
    if (!read_field(lines[i], &answer))
      return refuse(error, "the server's answer has a line that is no header field");
  if (!mnk_ws_list_has(answer.connection, "upgrade", FALSE) || !answer.upgrade ||
      g_ascii_strcasecmp(answer.upgrade, "websocket") != 0)
    return refuse(error, "the server answers 101 and does not switch to WebSocket");
  g_autofree char *expected = mnk_ws_accept(key);
  if (g_strcmp0(answer.accept, expected) != 0)
    return refuse(error, "the server's Sec-WebSocket-Accept does not fit the key");
  if (answer.extensions && *answer.extensions)
    return refuse(error, "the server uses an extension that was not offered");
  if (answer.protocol &&
      (strchr(answer.protocol, ',') || !mnk_ws_list_has(offered, answer.protocol, TRUE)))
    return refuse(error, "the server chose a protocol that was not offered");
  return TRUE;
}
