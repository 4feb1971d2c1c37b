#include "net/http_head_priv.h"

#include <string.h>

static gboolean target_fault(MnkHttpFault *fault, const char *message) {
  *fault = (MnkHttpFault){400, message, NULL};
  return FALSE;
}

/* Percent-decodes in place. FALSE for a bad escape, NUL, or what is no UTF-8. */
static gboolean decode(char *text, gboolean plus_is_space) {
  const char *from = text;
  char *to = text;
  while (*from) {
    if (*from == '%') {
      int high = g_ascii_xdigit_value(from[1]);
      int low = high >= 0 ? g_ascii_xdigit_value(from[2]) : -1;
      if (low < 0)
        return FALSE;
      *to++ = (char)(high << 4 | low);
      from += 3;
    } else {
      *to++ = *from == '+' && plus_is_space ? ' ' : *from;
      from++;
    }
  }
  *to = '\0';
  return g_utf8_validate(text, to - text, NULL);
}

/* An encoded slash or backslash would make another path of it for whoever decodes once more or
 * once less; control characters have no place in names. */
static gboolean has_encoded_separator(const char *path) {
  for (const char *at = strchr(path, '%'); at; at = strchr(at + 1, '%'))
    if (g_ascii_strncasecmp(at, "%2f", 3) == 0 || g_ascii_strncasecmp(at, "%5c", 3) == 0)
      return TRUE;
  return FALSE;
}

static gboolean has_control(const char *text) {
  for (; *text; text++)
    if ((guchar)*text < 0x20 || *text == 0x7f)
      return TRUE;
  return FALSE;
}

static gboolean has_dot_segment(const char *path) {
  while (*path) {
    path++; /* the slash */
    gsize length = strcspn(path, "/");
    if ((length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.'))
      return TRUE;
    path += length;
  }
  return FALSE;
}

static gboolean path_parse(char *path, MnkHttpFault *fault) {
  if (has_encoded_separator(path))
    return target_fault(fault, "the path has an encoded slash or backslash");
  if (!decode(path, FALSE))
    return target_fault(fault, "the path is not percent-encoded UTF-8");
  if (has_control(path))
    return target_fault(fault, "the path has a control character");
  if (has_dot_segment(path))
    return target_fault(fault, "the path has a segment of dots");
  return TRUE;
}

static gboolean query_parse(MnkHttpHead *head, char *query, MnkHttpFault *fault) {
  MnkHttpField members[MNK_HTTP_QUERY_MAX];
  guint n = 0;
  for (char *next = query; next;) {
    char *member = next;
    next = strchr(member, '&');
    if (next)
      *next++ = '\0';
    if (!*member)
      continue;
    char *equals = strchr(member, '=');
    char *value = equals ? equals + 1 : member + strlen(member);
    if (equals)
      *equals = '\0';
    if (n == MNK_HTTP_QUERY_MAX)
      return target_fault(fault, "the query has more than 128 members");
    if (!decode(member, TRUE) || (equals && !decode(value, TRUE)))
      return target_fault(fault, "the query is not percent-encoded UTF-8");
    members[n++] = (MnkHttpField){member, equals ? value : ""};
  }
  head->query = g_memdup2(members, n * sizeof members[0]);
  head->query_n = n;
  return TRUE;
}

/* What follows "http://authority" of an absolute target: "", "/...", "?...". NULL: no such target,
 * or one for another host than the field says. */
static char *absolute_rest(char *target, const char *host) {
  gsize scheme = g_ascii_strncasecmp(target, "http://", 7) == 0    ? 7
                 : g_ascii_strncasecmp(target, "https://", 8) == 0 ? 8
                                                                   : 0;
  if (scheme == 0 || !host)
    return NULL;
  char *authority = target + scheme;
  gsize length = strcspn(authority, "/?");
  if (length != strlen(host) || g_ascii_strncasecmp(authority, host, length) != 0)
    return NULL;
  return authority + length;
}

gboolean mnk_http_target_parse(MnkHttpHead *head, char *target, const char *host,
                               MnkHttpFault *fault) {
  if (strcmp(target, "*") == 0 && g_strcmp0(head->method, "OPTIONS") == 0) {
    head->path = target;
    return TRUE;
  }
  char *path = *target == '/' ? target : absolute_rest(target, host);
  if (!path)
    return target_fault(fault, "the request target is not a path, nor an address at this host");
  char *query = strchr(path, '?');
  if (query)
    *query++ = '\0';
  head->path = *path ? path : "/";
  return (!*path || path_parse(path, fault)) && (!query || query_parse(head, query, fault));
}
