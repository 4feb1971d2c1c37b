#include "net/http_head_priv.h"

#include <string.h>

/* Fields of which a second one would leave open which counts. */
static const char *const single_fields[] = {
    "authorization",
    "content-length",
    "content-type",
    "expect",
    "host",
    "last-event-id",
    "origin",
    "range",
    "sec-websocket-key",
    "sec-websocket-version",
    "transfer-encoding",
    "x-api-key",
};

static gboolean fault_set(MnkHttpFault *fault, guint status, const char *message,
                          const char *field) {
  *fault = (MnkHttpFault){status, message, field};
  return FALSE;
}

/* ---- Characters ---- */

static gboolean is_token_char(char c) {
  return g_ascii_isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

gboolean mnk_http_is_token(const char *text, gsize length) {
  for (gsize i = 0; i < length; i++)
    if (!is_token_char(text[i]))
      return FALSE;
  return length > 0;
}

gboolean mnk_http_is_field_value(const char *text, gsize length) {
  for (gsize i = 0; i < length; i++)
    if (((guchar)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
      return FALSE;
  return TRUE;
}

gboolean mnk_http_has_token(const char *list, const char *token) {
  gsize wanted = strlen(token);
  while (list && *list) {
    list += strspn(list, ", \t");
    gsize length = strcspn(list, ",");
    gsize end = length;
    while (end > 0 && (list[end - 1] == ' ' || list[end - 1] == '\t'))
      end--;
    if (end == wanted && g_ascii_strncasecmp(list, token, wanted) == 0)
      return TRUE;
    list += length;
  }
  return FALSE;
}

gboolean mnk_http_host_is_valid(const char *host) {
  const char *end;
  if (*host == '[') {
    gsize inside = strspn(host + 1, "0123456789abcdefABCDEF:.");
    if (inside < 2 || host[1 + inside] != ']')
      return FALSE;
    end = host + inside + 2;
  } else {
    end = host;
    while (g_ascii_isalnum(*end) || *end == '.' || *end == '-' || *end == '_' || *end == '~')
      end++;
    if (end == host)
      return FALSE;
  }
  if (*end == '\0')
    return TRUE;
  gsize digits = strspn(end + 1, "0123456789");
  return *end == ':' && digits <= 5 && end[1 + digits] == '\0';
}

/* ---- The end of a head ---- */

MnkHeadScan mnk_http_head_scan(const char *bytes, gsize length, gsize *scanned,
                               gsize *head_length) {
  if (length > 0 && !is_token_char(bytes[0]))
    return MNK_HEAD_BAD; /* a TLS hello, for one, has no line end to wait for */
  while (*scanned < length) {
    const char *feed = memchr(bytes + *scanned, '\n', length - *scanned);
    if (!feed)
      break;
    gsize at = (gsize)(feed - bytes);
    *scanned = at + 1;
    if (at == 0 || bytes[at - 1] != '\r')
      return MNK_HEAD_BAD;
    if (at >= 3 && bytes[at - 2] == '\n') {
      *head_length = at + 1;
      return MNK_HEAD_WHOLE;
    }
  }
  *scanned = length;
  return MNK_HEAD_MORE;
}

/* ---- Fields ---- */

static MnkHttpField *field_find(const MnkHttpHead *head, const char *name) {
  for (guint i = 0; i < head->fields_n; i++)
    if (g_ascii_strcasecmp(head->fields[i].name, name) == 0)
      return &head->fields[i];
  return NULL;
}

const char *mnk_http_head_field(const MnkHttpHead *head, const char *name) {
  const MnkHttpField *field = field_find(head, name);
  return field ? field->value : NULL;
}

static const char *single_field(const char *name) {
  for (gsize i = 0; i < G_N_ELEMENTS(single_fields); i++)
    if (g_ascii_strcasecmp(single_fields[i], name) == 0)
      return single_fields[i];
  return NULL;
}

static gboolean field_add(MnkHttpHead *head, const char *name, const char *value,
                          MnkHttpFault *fault) {
  MnkHttpField *before = field_find(head, name);
  if (before) {
    const char *single = single_field(name);
    if (single)
      return fault_set(fault, 400, "a header field that may come once came twice", single);
    char *joined = g_strconcat(before->value, ", ", value, NULL);
    head->joined = g_slist_prepend(head->joined, joined);
    before->value = joined;
    return TRUE;
  }
  if (head->fields_n == MNK_HTTP_FIELDS_MAX)
    return fault_set(fault, 431, "the request has more than 128 header fields", NULL);
  head->fields[head->fields_n++] = (MnkHttpField){name, value};
  return TRUE;
}

/* line: without its CR LF, writable there. */
static gboolean field_parse(MnkHttpHead *head, char *line, gsize length, MnkHttpFault *fault) {
  char *colon = memchr(line, ':', length);
  /* A folded line begins with white space and a name before " :" ends with it: no tokens. */
  if (!colon || !mnk_http_is_token(line, (gsize)(colon - line)))
    return fault_set(fault, 400, "a header line is not a name, a colon and a value", NULL);
  char *value = colon + 1, *end = line + length;
  while (value < end && (*value == ' ' || *value == '\t'))
    value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
    end--;
  if (!mnk_http_is_field_value(value, (gsize)(end - value)))
    return fault_set(fault, 400, "a header field has a control character", NULL);
  *colon = '\0';
  *end = '\0';
  return field_add(head, line, value, fault);
}

/* ---- What the fields say about the connection and the body ---- */

static gboolean head_length_parse(MnkHttpHead *head, const char *text, MnkHttpFault *fault) {
  gsize digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 18 || text[digits] != '\0')
    return fault_set(fault, 400, "Content-Length is not one whole number", "Content-Length");
  head->length = g_ascii_strtoull(text, NULL, 10);
  return TRUE;
}

static gboolean head_framing(MnkHttpHead *head, MnkHttpFault *fault) {
  const char *length = mnk_http_head_field(head, "Content-Length");
  const char *coding = mnk_http_head_field(head, "Transfer-Encoding");
  if (!coding)
    return !length || head_length_parse(head, length, fault);
  if (length)
    return fault_set(fault, 400, "Content-Length and Transfer-Encoding contradict each other",
                     "Transfer-Encoding");
  if (head->http_1_0)
    return fault_set(fault, 400, "HTTP/1.0 has no Transfer-Encoding", "Transfer-Encoding");
  if (g_ascii_strcasecmp(coding, "chunked") != 0)
    return fault_set(fault, 501, "no transfer coding but chunked is understood",
                     "Transfer-Encoding");
  head->chunked = TRUE;
  return TRUE;
}

static gboolean head_meaning(MnkHttpHead *head, MnkHttpFault *fault) {
  const char *host = mnk_http_head_field(head, "Host");
  if (!host && !head->http_1_0)
    return fault_set(fault, 400, "the Host field is missing", "Host");
  if (host && !mnk_http_host_is_valid(host))
    return fault_set(fault, 400, "Host is not a name or address with an optional port", "Host");
  if (!head_framing(head, fault))
    return FALSE;
  head->keep_alive =
      !head->http_1_0 && !mnk_http_has_token(mnk_http_head_field(head, "Connection"), "close");
  const char *expect = mnk_http_head_field(head, "Expect");
  if (expect && g_ascii_strcasecmp(expect, "100-continue") != 0)
    return fault_set(fault, 417, "nothing but 100-continue can be expected", "Expect");
  head->expects_continue = expect && !head->http_1_0 && (head->chunked || head->length > 0);
  return TRUE;
}

/* ---- The request line ---- */

static gboolean version_parse(MnkHttpHead *head, const char *text, gsize length,
                              MnkHttpFault *fault) {
  if (length != 8 || memcmp(text, "HTTP/", 5) != 0 || !g_ascii_isdigit(text[5]) || text[6] != '.' ||
      !g_ascii_isdigit(text[7]))
    return fault_set(fault, 400, "the request line does not end with HTTP/1.1", NULL);
  if (text[5] != '1' || text[7] > '1')
    return fault_set(fault, 505, "HTTP/1.1 and HTTP/1.0 are spoken here", NULL);
  head->http_1_0 = text[7] == '0';
  return TRUE;
}

/* Leaves the target, NUL-terminated, in *target: it is judged when Host is known. */
static gboolean request_line_parse(MnkHttpHead *head, char *line, gsize length, char **target,
                                   MnkHttpFault *fault) {
  char *end = line + length;
  char *space = memchr(line, ' ', length);
  char *last = space ? memchr(space + 1, ' ', (gsize)(end - space - 1)) : NULL;
  if (!last)
    return fault_set(fault, 400, "the request line is not a method, a target and HTTP/1.1", NULL);
  gsize method = (gsize)(space - line);
  if (!mnk_http_is_token(line, method) || method > MNK_HTTP_METHOD_MAX)
    return fault_set(fault, 400, "the method is not a short word", NULL);
  if (!version_parse(head, last + 1, (gsize)(end - last - 1), fault))
    return FALSE;
  for (const char *c = space + 1; c < last; c++)
    if (*c <= 0x20 || *c >= 0x7f || strchr("#\"<>\\", *c))
      return fault_set(fault, 400, "the request target has a character that must be encoded", NULL);
  *space = '\0';
  *last = '\0';
  head->method = line;
  *target = space + 1;
  if (strcmp(line, "CONNECT") == 0 || strcmp(line, "TRACE") == 0)
    return fault_set(fault, 501, "CONNECT and TRACE are not served", NULL);
  return TRUE;
}

static gboolean head_parse_lines(MnkHttpHead *head, char *text, gsize length, MnkHttpFault *fault) {
  char *target = NULL;
  char *line = text, *end = text + length - 2; /* the empty line is left out */
  while (line < end) {
    char *feed = memchr(line, '\n', (gsize)(end - line));
    if (!feed || feed == line || feed[-1] != '\r')
      return fault_set(fault, 400, "a line of the head does not end with CR LF", NULL);
    gsize n = (gsize)(feed - line) - 1;
    gboolean good = target ? field_parse(head, line, n, fault)
                           : request_line_parse(head, line, n, &target, fault);
    if (!good)
      return FALSE;
    line = feed + 1;
  }
  if (!target)
    return fault_set(fault, 400, "the request line is missing", NULL);
  return head_meaning(head, fault) &&
         mnk_http_target_parse(head, target, mnk_http_head_field(head, "Host"), fault);
}

gboolean mnk_http_head_parse(MnkHttpHead *head, const char *bytes, gsize length,
                             MnkHttpFault *fault) {
  MnkHttpField fields[MNK_HTTP_FIELDS_MAX];
  MnkHttpHead parsed = {.fields = fields};
  if (length < 4)
    return fault_set(fault, 400, "the request line is missing", NULL);
  parsed.text = g_malloc(length + 1);
  memcpy(parsed.text, bytes, length);
  parsed.text[length] = '\0';
  gboolean good = head_parse_lines(&parsed, parsed.text, length, fault);
  parsed.fields = good ? g_memdup2(fields, parsed.fields_n * sizeof fields[0]) : NULL;
  if (good)
    *head = parsed;
  else
    mnk_http_head_clear(&parsed);
  return good;
}

void mnk_http_head_clear(MnkHttpHead *head) {
  g_free(head->fields);
  g_free(head->query);
  g_free(head->text);
  g_slist_free_full(head->joined, g_free);
  *head = (MnkHttpHead){0};
}
