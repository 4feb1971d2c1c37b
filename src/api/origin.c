/* Origins of pages, names of hosts, and where the server may be bound. */
#include "api/core_priv.h"

#include <string.h>

/* What follows "scheme://", NULL when that is not how it begins. */
static const char *authority_of(const char *origin, const char **default_port) {
  static const struct {
    const char *prefix, *port;
  } SCHEMES[] = {{"http://", ":80"}, {"https://", ":443"}};
  for (guint i = 0; i < G_N_ELEMENTS(SCHEMES); i++) {
    gsize length = strlen(SCHEMES[i].prefix);
    if (g_ascii_strncasecmp(origin, SCHEMES[i].prefix, length) != 0)
      continue;
    *default_port = SCHEMES[i].port;
    return origin + length;
  }
  return NULL;
}

/* Browsers leave a scheme's own port out of Origin; proxies may put it into Host. A proxy in front
 * may speak https while this server hears http, so the scheme itself is not compared. */
static gboolean is_same_host(const char *origin, const char *host) {
  const char *default_port = NULL;
  const char *authority = authority_of(origin, &default_port);
  if (authority == NULL || *authority == '\0')
    return FALSE;
  if (g_ascii_strcasecmp(authority, host) == 0)
    return TRUE;
  g_autofree char *with_port = g_strconcat(authority, default_port, NULL);
  return g_ascii_strcasecmp(with_port, host) == 0;
}

gboolean mnk_origin_is_allowed(const char *allow_origins, const char *origin, const char *host,
                               const char **allow) {
  *allow = NULL;
  if (host != NULL && is_same_host(origin, host))
    return TRUE;
  if (allow_origins == NULL)
    return FALSE;
  g_auto(GStrv) list = g_strsplit(allow_origins, ",", -1);
  for (guint i = 0; list[i] != NULL && *allow == NULL; i++) {
    const char *entry = g_strstrip(list[i]);
    if (strcmp(entry, "*") == 0)
      *allow = "*";
    else if (*entry != '\0' && strcmp(entry, "null") != 0 && g_ascii_strcasecmp(entry, origin) == 0)
      *allow = origin;
  }
  return *allow != NULL;
}

gboolean mnk_address_is_loopback(const char *address) {
  g_autoptr(GInetAddress) inet = g_inet_address_new_from_string(address);
  return inet != NULL && g_inet_address_get_is_loopback(inet);
}

/* "name", "name:port" or "[address]:port" without the port. Caller frees; NULL: not a host. */
static char *host_without_port(const char *host) {
  const char *end;
  if (*host == '[') {
    end = strchr(host, ']');
    if (end == NULL || (end[1] != '\0' && end[1] != ':'))
      return NULL;
    return g_strndup(host + 1, (gsize)(end - host - 1));
  }
  end = host + strcspn(host, ":");
  if (*end == ':' && end[1 + strspn(end + 1, "0123456789")] != '\0')
    return NULL;
  return g_strndup(host, (gsize)(end - host));
}

gboolean mnk_host_is_local(const char *host, const char *bound) {
  g_autofree char *name = host_without_port(host);
  if (name == NULL || *name == '\0')
    return FALSE;
  return g_ascii_strcasecmp(name, "localhost") == 0 || g_ascii_strcasecmp(name, bound) == 0 ||
         mnk_address_is_loopback(name);
}

gboolean mnk_bind_is_safe(const MnkSettings *settings, GError **error) {
  const char *host = mnk_settings_string(settings, MNK_OPT_HOST);
  if (mnk_address_is_loopback(host) || mnk_settings_bool(settings, MNK_OPT_ALLOW_PUBLIC) ||
      mnk_settings_is_set(settings, MNK_OPT_KEYS))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
              "listening on %s without keys would let everyone who reaches it do everything: make "
              "keys with `manako keys new` and name their file with --keys, or say --allow-public",
              host);
  return FALSE;
}
