/* URLs and lists of addresses: what parses, parses again from its parts as the same; a redacted one
 * holds no password. */
#include "fuzz.h"

#include "wire/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static void check_url(const char *text) {
  g_autofree char *redacted = mnk_url_redacted(text);
  g_assert(g_utf8_validate(redacted, -1, NULL));
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkUrl) url = mnk_url_parse(text, &error);
  g_assert((url == NULL) == (error != NULL));
  if (!url)
    return;
  g_assert(*url->host && url->path[0] == '/' && !strpbrk(url->host, "/\\@%[] "));
  gboolean v6 = strchr(url->host, ':') != NULL;
  g_autofree char *again = g_strdup_printf("%s://%s%s%s:%u%s", url->scheme, v6 ? "[" : "",
                                           url->host, v6 ? "]" : "", url->port, url->path);
  g_autoptr(MnkUrl) second = url->port ? mnk_url_parse(again, NULL) : NULL;
  if (!second) {
    g_assert(!url->port || strlen(again) > 4096);
    return;
  }
  g_assert(strcmp(second->host, url->host) == 0 && second->port == url->port);
  g_assert(strcmp(second->path, url->path) == 0 && second->host_is_address == url->host_is_address);
}

static void check_list(const char *text) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkAddressPolicy) policy = mnk_address_policy_new(text, &error);
  g_assert((policy == NULL) == (error != NULL));
  if (!policy || strlen(text) < 16)
    return;
  struct sockaddr_in6 address = {.sin6_family = AF_INET6};
  memcpy(&address.sin6_addr, text, 16);
  const struct sockaddr *any = (const struct sockaddr *)&address;
  if (mnk_address_classify(any, sizeof address) == MNK_ADDRESS_PUBLIC)
    g_assert(mnk_address_policy_allows(policy, any, sizeof address, NULL));
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  g_autofree char *text = g_strndup((const char *)data, size);
  check_url(text);
  check_list(text);
  return 0;
}
