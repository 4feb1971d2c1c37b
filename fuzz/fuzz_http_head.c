/* A head that is taken is one that no other reader of HTTP takes for something else: checked by
 * looking at its lines once more, in the plainest way. */
#include "fuzz.h"

#include <string.h>

#include "net/http_head_priv.h"

static guint lines_of(char **lines, const char *name) {
  guint n = 0;
  gsize length = strlen(name);
  for (char **line = lines + 1; *line; line++)
    n += g_ascii_strncasecmp(*line, name, length) == 0 && (*line)[length] == ':';
  return n;
}

static void check_lines(const MnkHttpHead *head, const char *bytes, gsize length) {
  g_assert_null(memchr(bytes, '\0', length));
  g_autofree char *text = g_strndup(bytes, length);
  g_auto(GStrv) lines = g_strsplit(text, "\r\n", -1);
  guint n = g_strv_length(lines);
  g_assert_cmpuint(n, >=, 3); /* the request line, and two empty ends */
  for (guint i = 0; i < n - 2; i++) {
    g_assert_null(strpbrk(lines[i], "\r\n"));
    g_assert_true(lines[i][0] != ' ' && lines[i][0] != '\t' && lines[i][0] != '\0');
  }
  guint lengths = lines_of(lines, "Content-Length");
  guint codings = lines_of(lines, "Transfer-Encoding");
  g_assert_cmpuint(lengths + codings, <=, 1);
  g_assert_cmpuint(head->chunked, ==, codings);
  g_assert_true(head->length == 0 || lengths == 1);
  g_assert_cmpuint(lines_of(lines, "Host"), <=, 1);
  g_assert_true(head->http_1_0 || lines_of(lines, "Host") == 1);
}

static void check_head(const MnkHttpHead *head) {
  g_assert_true(mnk_http_is_token(head->method, strlen(head->method)));
  g_assert_true(g_utf8_validate(head->path, -1, NULL));
  g_assert_true(*head->path == '/' || strcmp(head->path, "*") == 0);
  g_assert_null(strstr(head->path, "/../"));
  g_assert_false(g_str_has_suffix(head->path, "/.."));
  for (guint i = 0; i < head->fields_n; i++) {
    g_assert_true(mnk_http_is_token(head->fields[i].name, strlen(head->fields[i].name)));
    g_assert_true(mnk_http_is_field_value(head->fields[i].value, strlen(head->fields[i].value)));
    g_assert_nonnull(mnk_http_head_field(head, head->fields[i].name));
  }
  for (guint i = 0; i < head->query_n; i++) {
    g_assert_true(g_utf8_validate(head->query[i].name, -1, NULL));
    g_assert_true(g_utf8_validate(head->query[i].value, -1, NULL));
  }
}

/* The end is found at the same place however the bytes come in. */
static MnkHeadScan scan_bytewise(const char *bytes, gsize length, gsize *head_length) {
  gsize scanned = 0;
  MnkHeadScan scan = MNK_HEAD_MORE;
  for (gsize n = 1; n <= length && scan == MNK_HEAD_MORE; n++)
    scan = mnk_http_head_scan(bytes, n, &scanned, head_length);
  return scan;
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  const char *bytes = (const char *)data;
  gsize scanned = 0, length = 0, length_bytewise = 0;
  MnkHeadScan scan = mnk_http_head_scan(bytes, size, &scanned, &length);
  g_assert_cmpint(scan_bytewise(bytes, size, &length_bytewise), ==, scan);
  g_assert_cmpuint(length_bytewise, ==, length);
  if (scan != MNK_HEAD_WHOLE)
    return 0;
  MnkHttpHead head;
  MnkHttpFault fault;
  if (mnk_http_head_parse(&head, bytes, length, &fault)) {
    check_lines(&head, bytes, length);
    check_head(&head);
    mnk_http_head_clear(&head);
  } else {
    g_assert_cmpuint(fault.status, >=, 400);
    g_assert_cmpuint(strlen(fault.message), >, 0);
  }
  return 0;
}
