#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "net/conn_priv.h"

enum { JOIN_MAX = 16384 }; /* a body up to here is copied behind its head: one piece to send */

/* ---- Heads ---- */

void mnk_answer_write_head(GString *out, MnkConn *conn, guint status, const char *content_type,
                           gint64 length, const char *headers) {
  g_string_append_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\n", status,
                         mnk_http_status_reason(status), mnk_server_date(conn->server));
  if (content_type)
    g_string_append_printf(out, "Content-Type: %s\r\n", content_type);
  if (length >= 0)
    g_string_append_printf(out, "Content-Length: %" G_GINT64_FORMAT "\r\n", length);
  else if (length == MNK_LENGTH_CHUNKED)
    g_string_append(out, "Transfer-Encoding: chunked\r\n");
  if (conn->close)
    g_string_append(out, "Connection: close\r\n");
  if (headers)
    g_string_append(out, headers);
  g_string_append(out, "\r\n");
}

void mnk_answer_write_error(GString *out, guint status, const char *message, const char *field) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_begin_object(&w, "error");
  mnk_json_add_string(&w, "code", mnk_http_status_code(status));
  mnk_json_add_string(&w, "message", message);
  if (field)
    mnk_json_add_string(&w, "field", field);
  mnk_json_end_object(&w);
  mnk_json_end_object(&w);
}

static gboolean is_head(const MnkRequest *request) {
  return strcmp(request->head.method, "HEAD") == 0;
}

static gboolean status_has_body(guint status) {
  return status >= 200 && status != 204 && status != 304;
}

void mnk_request_set_answer_header(MnkRequest *request, const char *name, const char *value) {
  static const char *const ours[] = {"Connection", "Content-Length", "Date", "Transfer-Encoding",
                                     NULL};
  gboolean framing = FALSE;
  for (guint i = 0; ours[i]; i++)
    framing |= g_ascii_strcasecmp(ours[i], name) == 0;
  if (framing || !mnk_http_is_token(name, strlen(name)) ||
      !mnk_http_is_field_value(value, strlen(value))) {
    mnk_error("net", NULL, "event=bad-answer-header name=\"%s\"", name);
    return;
  }
  if (!request->answer_headers)
    request->answer_headers = g_string_new(NULL);
  g_string_append_printf(request->answer_headers, "%s: %s\r\n", name, value);
}

/* FALSE: there is an answer already, or nobody to take one. */
static gboolean answer_begin(MnkRequest *request, guint status) {
  MnkConn *conn = request->conn;
  if (request->status && conn->state == CONN_REQUEST && !request->answer_complete)
    mnk_error("net", NULL, "event=second-answer status=%u", status);
  if (request->status || request->answer_complete || conn->state != CONN_REQUEST)
    return FALSE;
  conn->close |= conn->server->draining;
  request->status = status;
  mnk_conn_touch(conn);
  return TRUE;
}

/* A whole answer: of the body nothing more is wanted. If it has come it is thrown away; what has
 * not costs the connection. */
static gboolean answer_begin_whole(MnkRequest *request, guint status) {
  if (!answer_begin(request, status))
    return FALSE;
  mnk_body_drop_buffered(request);
  request->conn->close |= !request->body_over;
  return TRUE;
}

static void answer_add_head(MnkRequest *request, const char *content_type, gint64 length,
                            GBytes *joined) {
  g_autoptr(GString) head = g_string_sized_new(512);
  mnk_answer_write_head(head, request->conn, request->status, content_type, length,
                        request->answer_headers ? request->answer_headers->str : NULL);
  if (joined)
    g_string_append_len(head, g_bytes_get_data(joined, NULL), (gssize)g_bytes_get_size(joined));
  g_autoptr(GBytes) bytes = g_string_free_to_bytes(g_steal_pointer(&head));
  mnk_output_add_bytes(&request->conn->out, bytes);
}

/* ---- Whole answers ---- */

void mnk_request_answer(MnkRequest *request, guint status, const char *content_type, GBytes *body) {
  if (!answer_begin_whole(request, status))
    return;
  gsize length = body ? g_bytes_get_size(body) : 0;
  gboolean sends = length > 0 && status_has_body(status) && !is_head(request);
  gboolean joins = sends && length <= JOIN_MAX;
  answer_add_head(request, length > 0 ? content_type : NULL,
                  status_has_body(status) ? (gint64)length : MNK_LENGTH_NONE, joins ? body : NULL);
  if (sends && !joins)
    mnk_output_add_bytes(&request->conn->out, body);
  request->answer_complete = TRUE;
}

void mnk_request_refuse(MnkRequest *request, guint status, const char *message, const char *field) {
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_answer_write_error(text, status, message, field);
  g_autoptr(GBytes) body = g_string_free_to_bytes(g_steal_pointer(&text));
  mnk_request_answer(request, status, "application/json", body);
}

/* ---- Files ---- */

typedef enum { RANGE_NONE, RANGE_GOOD, RANGE_OUTSIDE } RangeKind;

/* "bytes=FIRST-LAST", "bytes=FIRST-", "bytes=-LENGTH". Anything else, several ranges too, may be
 * ignored (RFC 9110 14.2), and is. */
static RangeKind range_parse(const char *text, guint64 size, guint64 *first, guint64 *last) {
  if (!text || g_ascii_strncasecmp(text, "bytes=", 6) != 0)
    return RANGE_NONE;
  const char *from = text + 6;
  gsize from_n = strspn(from, "0123456789");
  const char *to = from + from_n + 1;
  gsize to_n = from[from_n] == '-' ? strspn(to, "0123456789") : 0;
  if (from[from_n] != '-' || to[to_n] != '\0' || from_n + to_n == 0 || from_n > 18 || to_n > 18)
    return RANGE_NONE;
  guint64 a = g_ascii_strtoull(from, NULL, 10), b = g_ascii_strtoull(to, NULL, 10);
  if (from_n && to_n && b < a)
    return RANGE_NONE;
  if (from_n == 0) {
    *first = size - MIN(b, size);
    *last = size - 1;
    return b > 0 && size > 0 ? RANGE_GOOD : RANGE_OUTSIDE;
  }
  *first = a;
  *last = to_n ? MIN(b, size - 1) : size - 1;
  return a < size ? RANGE_GOOD : RANGE_OUTSIDE;
}

/* A member of If-None-Match, compared weakly: with or without W/. */
static gboolean etag_is_listed(const char *list, const char *quoted) {
  while (list && *list) {
    list += strspn(list, ", \t");
    if (*list == '*')
      return TRUE;
    if (g_str_has_prefix(list, "W/"))
      list += 2;
    if (*list != '"')
      return FALSE;
    const char *end = strchr(list + 1, '"');
    if (!end)
      return FALSE;
    gsize length = (gsize)(end - list) + 1;
    if (length == strlen(quoted) && strncmp(list, quoted, length) == 0)
      return TRUE;
    list = end + 1;
  }
  return FALSE;
}

static gboolean file_is_unchanged(MnkRequest *request, const char *quoted) {
  return quoted && etag_is_listed(mnk_request_header(request, "If-None-Match"), quoted);
}

static RangeKind file_range(const MnkRequest *request, const char *quoted, guint64 size,
                            guint64 *first, guint64 *last) {
  const char *condition = mnk_request_header(request, "If-Range");
  if (condition && g_strcmp0(condition, quoted) != 0)
    return RANGE_NONE;
  return range_parse(mnk_request_header(request, "Range"), size, first, last);
}

static void answer_outside(MnkRequest *request, guint64 size) {
  g_autofree char *range = g_strdup_printf("bytes */%" G_GUINT64_FORMAT, size);
  mnk_request_set_answer_header(request, "Content-Range", range);
  mnk_request_refuse(request, 416, "the range lies behind the file's end", "Range");
}

void mnk_request_answer_file(MnkRequest *request, int fd, guint64 size, const char *content_type,
                             const char *etag) {
  guint64 first = 0, last = size - 1;
  g_autofree char *quoted = etag ? g_strdup_printf(*etag == '"' ? "%s" : "\"%s\"", etag) : NULL;
  if (quoted)
    mnk_request_set_answer_header(request, "ETag", quoted);
  mnk_request_set_answer_header(request, "Accept-Ranges", "bytes");
  gboolean unchanged = file_is_unchanged(request, quoted);
  RangeKind range = unchanged ? RANGE_NONE : file_range(request, quoted, size, &first, &last);
  if (range == RANGE_OUTSIDE) {
    answer_outside(request, size);
    close(fd);
    return;
  }
  if (range == RANGE_GOOD) {
    g_autofree char *text = g_strdup_printf(
        "bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, first, last, size);
    mnk_request_set_answer_header(request, "Content-Range", text);
  }
  guint status = unchanged ? 304 : range == RANGE_GOOD ? 206 : 200;
  guint64 length = range == RANGE_GOOD ? last - first + 1 : size;
  if (!answer_begin_whole(request, status)) {
    close(fd);
    return;
  }
  answer_add_head(request, unchanged ? NULL : content_type,
                  unchanged ? MNK_LENGTH_NONE : (gint64)length, NULL);
  if (unchanged || length == 0 || is_head(request))
    close(fd);
  else
    mnk_output_add_file(&request->conn->out, fd, first, length);
  request->answer_complete = TRUE;
}

/* ---- Answers that grow ---- */

MnkWriter *mnk_request_answer_stream(MnkRequest *request, guint status, const char *content_type,
                                     gsize backlog_max, const MnkWriterEvents *events,
                                     gpointer user) {
  if (!answer_begin(request, status))
    return NULL;
  gboolean chunked = !request->head.http_1_0;
  if (!chunked)
    request->conn->close = TRUE;
  answer_add_head(request, content_type, chunked ? MNK_LENGTH_CHUNKED : MNK_LENGTH_UNTIL_CLOSE,
                  NULL);
  request->writer = mnk_answer_writer_new(request, backlog_max, events, user);
  if (is_head(request))
    request->answer_complete = TRUE;
  return request->writer;
}
