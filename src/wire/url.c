/* URLs: RFC 3986, narrowed where parsers are known to disagree about what the host is. */
#include "wire/address.h"

#include "base/base.h"
#include "wire/utf8_priv.h"

#include <arpa/inet.h>
#include <string.h>

enum {
  MAX_LENGTH = 4096,
  MAX_HOST = 253, /* RFC 1035, 2.3.4, as text */
  MAX_LABEL = 63,
};

static const struct {
  const char *scheme;
  guint16 port;
} default_ports[] = {{"http", 80}, {"https", 443}, {"ws", 80},
                     {"wss", 443}, {"rtsp", 554},  {"rtsps", 322}};

static gboolean fail(GError **error, const char *what) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "The URL %s", what);
  return FALSE;
}

void mnk_url_free(MnkUrl *url) {
  if (!url)
    return;
  g_free(url->scheme);
  g_free(url->user);
  g_free(url->password);
  g_free(url->host);
  g_free(url->path);
  g_free(url);
}

/* ---- Characters ---- */

static gboolean check_characters(const char *text, GError **error) {
  gsize length = strlen(text);
  if (length > MAX_LENGTH)
    return fail(error, "is longer than 4,096 bytes");
  for (gsize i = 0; i < length; i++) {
    guchar c = (guchar)text[i];
    if (c <= 0x20 || c == 0x7f)
      return fail(error, "has white space or a control character in it");
    if (c >= 0x80)
      return fail(error, "has a character that is not ASCII; encode it with % or, in a host, as "
                         "punycode");
    if (c == '\\')
      return fail(error, "has a backslash in it");
  }
  return TRUE;
}

/* NULL: a broken escape, or one that stands for a control character. */
static char *decode(const char *text, gsize length) {
  g_autoptr(GString) out = g_string_sized_new(length);
  for (gsize i = 0; i < length; i++) {
    int byte = (guchar)text[i];
    if (byte == '%') {
      if (length - i < 3 || !g_ascii_isxdigit(text[i + 1]) || !g_ascii_isxdigit(text[i + 2]))
        return NULL;
      byte = g_ascii_xdigit_value(text[i + 1]) << 4 | g_ascii_xdigit_value(text[i + 2]);
      i += 2;
    }
    if (byte < 0x20 || byte == 0x7f)
      return NULL;
    g_string_append_c(out, (char)byte);
  }
  return g_string_free(g_steal_pointer(&out), FALSE);
}

/* ---- Parts ---- */

/* The text behind "scheme://", or NULL. */
static const char *scheme_end(const char *text) {
  const char *p = text;
  if (!g_ascii_isalpha(*p))
    return NULL;
  while (g_ascii_isalnum(*p) || *p == '+' || *p == '-' || *p == '.')
    p++;
  return g_str_has_prefix(p, "://") ? p + 3 : NULL;
}

static gboolean parse_user(MnkUrl *url, const char *text, gsize length, GError **error) {
  const char *colon = memchr(text, ':', length);
  gsize user = colon ? (gsize)(colon - text) : length;
  url->user = decode(text, user);
  if (colon)
    url->password = decode(colon + 1, length - user - 1);
  if (!url->user || (colon && !url->password))
    return fail(error, "has a user name or password that is not well encoded");
  return TRUE;
}

static gboolean parse_port(MnkUrl *url, const char *text, gsize length, GError **error) {
  guint port = 0;
  for (gsize i = 0; i < length; i++) {
    if (!g_ascii_isdigit(text[i]) || i >= 5)
      return fail(error, "has a port that is not a number from 1 to 65535");
    port = port * 10 + (guint)(text[i] - '0');
  }
  if (length == 0)
    return TRUE;
  if (port == 0 || port > G_MAXUINT16)
    return fail(error, "has a port that is not a number from 1 to 65535");
  url->port = (guint16)port;
  return TRUE;
}

/* Brackets and all. No zone: it names an interface of this machine. */
static gboolean parse_ipv6(MnkUrl *url, const char *text, gsize length, GError **error) {
  g_autofree char *inside = g_strndup(text + 1, length - 2);
  struct in6_addr address;
  char canonical[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET6, inside, &address) != 1 ||
      !inet_ntop(AF_INET6, &address, canonical, sizeof canonical))
    return fail(error, strchr(inside, '%') ? "has an IPv6 address with a zone"
                                           : "has brackets around what is no IPv6 address");
  url->host = g_strdup(canonical);
  url->host_is_address = TRUE;
  return TRUE;
}

static gboolean is_number(const char *label, gsize length) {
  gboolean hexadecimal = length >= 2 && label[0] == '0' && label[1] == 'x';
  if (hexadecimal)
    return strspn(label + 2, "0123456789abcdef") >= length - 2;
  return length > 0 && strspn(label, "0123456789") >= length;
}

/* What the WHATWG calls "ends in a number": what resolvers take for an address, then. */
static gboolean looks_like_ipv4(const char *host) {
  const char *end = host + strlen(host);
  const char *dot = memrchr(host, '.', (gsize)(end - host));
  const char *last = dot ? dot + 1 : host;
  return is_number(last, (gsize)(end - last));
}

static gboolean check_labels(const char *host, GError **error) {
  gsize label = 0;
  for (const char *p = host; *p; p++) {
    if (*p == '.') {
      if (label == 0)
        return fail(error, "has a host with an empty label");
      label = 0;
    } else if (g_ascii_isalnum(*p) || *p == '-' || *p == '_') {
      label++;
    } else {
      return fail(error, "has a host with a character that no host name has");
    }
    if (label > MAX_LABEL)
      return fail(error, "has a host with a label of more than 63 characters");
  }
  return TRUE;
}

static gboolean parse_name(MnkUrl *url, const char *text, gsize length, GError **error) {
  if (length > MAX_HOST)
    return fail(error, "has a host of more than 253 characters");
  g_autofree char *host = g_ascii_strdown(text, (gssize)length);
  if (!check_labels(host, error))
    return FALSE;
  gsize bare = length > 0 && host[length - 1] == '.' ? length - 1 : length;
  g_autofree char *without_dot = g_strndup(host, bare);
  if (!looks_like_ipv4(without_dot)) {
    url->host = g_steal_pointer(&host);
    return TRUE;
  }
  struct in_addr address;
  char canonical[INET_ADDRSTRLEN];
  if (!inet_aton(without_dot, &address) ||
      !inet_ntop(AF_INET, &address, canonical, sizeof canonical))
    return fail(error, "has a host that ends in a number and is no IPv4 address");
  url->host = g_strdup(canonical);
  url->host_is_address = TRUE;
  return TRUE;
}

static gboolean parse_authority(MnkUrl *url, const char *text, gsize length, GError **error) {
  const char *at = memchr(text, '@', length);
  if (at) {
    gsize user = (gsize)(at - text);
    if (!parse_user(url, text, user, error))
      return FALSE;
    text += user + 1;
    length -= user + 1;
    if (memchr(text, '@', length))
      return fail(error, "has more than one @ before its host; encode those in the password as "
                         "%40");
  }
  gboolean bracket = length > 0 && text[0] == '[';
  const char *end = bracket ? memchr(text, ']', length) : memchr(text, ':', length);
  if (bracket && !end)
    return fail(error, "has an opening bracket without a closing one");
  gsize host = end ? (gsize)(end - text) + (bracket ? 1 : 0) : length;
  if (host == 0)
    return fail(error, "has no host");
  if (host < length && text[host] != ':')
    return fail(error, "has something other than a port behind its host");
  if (host < length && !parse_port(url, text + host + 1, length - host - 1, error))
    return FALSE;
  return bracket ? parse_ipv6(url, text, host, error) : parse_name(url, text, host, error);
}

MnkUrl *mnk_url_parse(const char *text, GError **error) {
  g_return_val_if_fail(text, NULL);
  if (!check_characters(text, error))
    return NULL;
  const char *authority = scheme_end(text);
  if (!authority) {
    fail(error, "does not begin with a scheme such as https://");
    return NULL;
  }
  g_autoptr(MnkUrl) url = g_new0(MnkUrl, 1);
  url->scheme = g_ascii_strdown(text, authority - text - 3);
  for (gsize i = 0; i < G_N_ELEMENTS(default_ports); i++)
    if (g_str_equal(url->scheme, default_ports[i].scheme))
      url->port = default_ports[i].port;
  gsize length = strcspn(authority, "/?#");
  if (!parse_authority(url, authority, length, error))
    return NULL;
  const char *path = authority + length;
  gsize path_length = strcspn(path, "#");
  url->path = g_strdup_printf("%s%.*s", *path == '/' ? "" : "/", (int)path_length, path);
  return g_steal_pointer(&url);
}

/* ---- Redaction ---- */

static void append_printable(GString *out, const char *text, gsize length) {
  g_autofree char *copy = g_strndup(text, length);
  g_autofree char *valid = g_utf8_make_valid(copy, -1);
  for (const char *p = valid; *p; p = mnk_utf8_next(p)) {
    gunichar c = g_utf8_get_char(p);
    g_string_append_unichar(out, g_unichar_isprint(c) ? c : '?');
  }
}

static void append_query(GString *out, const char *query) {
  g_auto(GStrv) members = g_strsplit_set(query, "&;", -1);
  for (guint i = 0; members[i]; i++) {
    const char *equals = strchr(members[i], '=');
    g_string_append_c(out, i ? '&' : '?');
    if (equals)
      append_printable(out, members[i], (gsize)(equals - members[i]) + 1);
    g_string_append(out, "***");
  }
}

char *mnk_url_redacted(const char *text) {
  g_return_val_if_fail(text, NULL);
  g_autoptr(MnkUrl) url = mnk_url_parse(text, NULL);
  g_autofree char *bounded = g_strndup(text, MAX_LENGTH);
  g_autoptr(GString) out = g_string_new(NULL);
  const char *rest = scheme_end(bounded);
  if (rest)
    g_string_append_len(out, bounded, rest - bounded);
  else
    rest = bounded;
  /* Where the text is no URL, nobody knows where a password in it ends. */
  gsize reach = url ? strcspn(rest, "/?#") : strlen(rest);
  const char *at = memrchr(rest, '@', reach);
  if (at)
    rest = at + 1;
  gsize path = strcspn(rest, "?#");
  append_printable(out, rest, path);
  if (rest[path] == '?') {
    g_autofree char *query = g_strndup(rest + path + 1, strcspn(rest + path + 1, "#"));
    append_query(out, query);
  }
  return g_string_free(g_steal_pointer(&out), FALSE);
}
