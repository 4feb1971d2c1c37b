/* Classes of addresses after the IANA registries of special-purpose IPv4 and IPv6 addresses
 * (RFC 6890), and the policy for connecting out.
 *
 * Every address is held as sixteen bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
#include "wire/address.h"

#include "base/base.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { BYTES = 16, BITS = 128, V4_AT = 12, V4_BITS = 96 };

typedef struct {
  guint8 bytes[BYTES];
} Address;

typedef struct {
  Address address;
  guint prefix; /* bits */
  guint16 port; /* 0: any */
} Network;

struct _MnkAddressPolicy {
  gint references;
  gboolean any;
  gboolean classes[MNK_ADDRESS_RESERVED + 1];
  GArray *networks; /* Network */
};

static const guint8 mapped[V4_AT] = {[10] = 0xff, [11] = 0xff};

static gboolean is_v4(const Address *address) {
  return memcmp(address->bytes, mapped, V4_AT) == 0;
}

static Address from_v4(const guint8 four[4], guint8 mask) {
  Address address;
  memcpy(address.bytes, mapped, V4_AT);
  for (int i = 0; i < 4; i++)
    address.bytes[V4_AT + i] = four[i] ^ mask;
  return address;
}

static gboolean has_prefix(const Address *address, const guint8 *prefix, guint bits) {
  guint whole = bits / 8, rest = bits % 8;
  if (memcmp(address->bytes, prefix, whole) != 0)
    return FALSE;
  return rest == 0 || ((address->bytes[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

/* ---- Classes ---- */

const char *mnk_address_class_name(MnkAddressClass address_class) {
  static const char *const names[] = {"public",   "loopback",  "private", "link-local",
                                      "metadata", "multicast", "reserved"};
  g_return_val_if_fail((guint)address_class < G_N_ELEMENTS(names), "reserved");
  return names[address_class];
}

/* The first that fits counts. */
static const struct {
  guint8 prefix[4];
  guint8 bits;
  MnkAddressClass class;
} v4_blocks[] = {
    {{100, 100, 100, 200}, 32, MNK_ADDRESS_METADATA}, /* Alibaba */
    {{168, 63, 129, 16}, 32, MNK_ADDRESS_METADATA},   /* Azure */
    {{192, 0, 0, 192}, 32, MNK_ADDRESS_METADATA},     /* Oracle */
    {{0}, 8, MNK_ADDRESS_RESERVED},
    {{10}, 8, MNK_ADDRESS_PRIVATE},
    {{100, 64}, 10, MNK_ADDRESS_PRIVATE},
    {{127}, 8, MNK_ADDRESS_LOOPBACK},
    {{169, 254}, 16, MNK_ADDRESS_LINK_LOCAL},
    {{172, 16}, 12, MNK_ADDRESS_PRIVATE},
    {{192, 0, 0}, 24, MNK_ADDRESS_RESERVED},
    {{192, 0, 2}, 24, MNK_ADDRESS_RESERVED},
    {{192, 88, 99}, 24, MNK_ADDRESS_RESERVED},
    {{192, 168}, 16, MNK_ADDRESS_PRIVATE},
    {{198, 18}, 15, MNK_ADDRESS_RESERVED},
    {{198, 51, 100}, 24, MNK_ADDRESS_RESERVED},
    {{203, 0, 113}, 24, MNK_ADDRESS_RESERVED},
    {{224}, 4, MNK_ADDRESS_MULTICAST},
    {{240}, 4, MNK_ADDRESS_RESERVED},
};

static const struct {
  guint8 prefix[BYTES];
  guint8 bits;
  MnkAddressClass class;
} v6_blocks[] = {
    {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, 128, MNK_ADDRESS_METADATA}, /* Amazon */
    {{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54}, 128, MNK_ADDRESS_METADATA}, /* Google */
    {{0xfd, 0x00, 0x00, 0x42, [15] = 0x42}, 128, MNK_ADDRESS_METADATA},       /* Scaleway */
    {{[15] = 1}, 128, MNK_ADDRESS_LOOPBACK},
    {{0xfc}, 7, MNK_ADDRESS_PRIVATE},
    {{0xfe, 0x80}, 10, MNK_ADDRESS_LINK_LOCAL},
    {{0xfe, 0xc0}, 10, MNK_ADDRESS_PRIVATE}, /* site-local, RFC 3879 */
    {{0xff}, 8, MNK_ADDRESS_MULTICAST},
    {{0x20, 0x01, 0x00}, 23, MNK_ADDRESS_RESERVED},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, MNK_ADDRESS_RESERVED},
    {{0x3f, 0xff}, 20, MNK_ADDRESS_RESERVED},
    {{0x20}, 3, MNK_ADDRESS_PUBLIC},
};

static MnkAddressClass classify_v4(const Address *address) {
  for (gsize i = 0; i < G_N_ELEMENTS(v4_blocks); i++) {
    Address block = from_v4(v4_blocks[i].prefix, 0);
    if (has_prefix(address, block.bytes, V4_BITS + v4_blocks[i].bits))
      return v4_blocks[i].class;
  }
  return MNK_ADDRESS_PUBLIC;
}

static MnkAddressClass classify_v6(const Address *address) {
  for (gsize i = 0; i < G_N_ELEMENTS(v6_blocks); i++)
    if (has_prefix(address, v6_blocks[i].prefix, v6_blocks[i].bits))
      return v6_blocks[i].class;
  return MNK_ADDRESS_RESERVED;
}

/* The IPv4 addresses that an address stands for: how many, at most two. */
static guint inner_addresses(const Address *address, Address inner[2]) {
  static const struct {
    guint8 prefix[V4_AT];
    guint8 bits;
    guint8 at; /* byte where the IPv4 address begins */
  } blocks[] = {
      {{[10] = 0xff, 0xff}, 96, 12},      /* mapped */
      {{[8] = 0xff, 0xff}, 96, 12},       /* translated, RFC 2765 */
      {{0x00, 0x64, 0xff, 0x9b}, 96, 12}, /* NAT64, RFC 6052 */
      {{0x20, 0x02}, 16, 2},              /* 6to4, RFC 3056 */
      {{0}, 96, 12},                      /* compatible, RFC 4291 */
  };
  static const guint8 teredo[4] = {0x20, 0x01}; /* RFC 4380: server, then client inverted */
  static const guint8 unspecified_or_loopback[BYTES] = {0};
  if (has_prefix(address, unspecified_or_loopback, 127))
    return 0;
  if (has_prefix(address, teredo, 32)) {
    inner[0] = from_v4(address->bytes + V4_AT, 0xff);
    inner[1] = from_v4(address->bytes + 4, 0);
    return 2;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(blocks); i++) {
    if (has_prefix(address, blocks[i].prefix, blocks[i].bits)) {
      inner[0] = from_v4(address->bytes + blocks[i].at, 0);
      return 1;
    }
  }
  return 0;
}

static MnkAddressClass classify(const Address *address) {
  Address inner[2];
  guint n = inner_addresses(address, inner);
  if (n == 0)
    return classify_v6(address);
  for (guint i = 0; i < n; i++) {
    MnkAddressClass class = classify_v4(&inner[i]);
    if (class != MNK_ADDRESS_PUBLIC)
      return class;
  }
  return MNK_ADDRESS_PUBLIC;
}

/* FALSE: another family, or cut off. */
static gboolean from_sockaddr(const struct sockaddr *from, socklen_t length, Address *address,
                              guint16 *port) {
  if (length >= sizeof(struct sockaddr_in) && from->sa_family == AF_INET) {
    struct sockaddr_in v4;
    memcpy(&v4, from, sizeof v4);
    *address = from_v4((const guint8 *)&v4.sin_addr, 0);
    *port = g_ntohs(v4.sin_port);
    return TRUE;
  }
  if (length >= sizeof(struct sockaddr_in6) && from->sa_family == AF_INET6) {
    struct sockaddr_in6 v6;
    memcpy(&v6, from, sizeof v6);
    memcpy(address->bytes, &v6.sin6_addr, BYTES);
    *port = g_ntohs(v6.sin6_port);
    return TRUE;
  }
  return FALSE;
}

MnkAddressClass mnk_address_classify(const struct sockaddr *address, socklen_t length) {
  Address parsed;
  guint16 port;
  return from_sockaddr(address, length, &parsed, &port) ? classify(&parsed) : MNK_ADDRESS_RESERVED;
}

/* ---- The list ---- */

static gboolean bad_entry(GError **error, const char *entry, const char *what) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "outbound_allow: \"%s\" %s", entry, what);
  return FALSE;
}

/* A number of at most five digits. */
static gboolean parse_number(const char *text, guint low, guint high, guint *number) {
  gsize length = strlen(text);
  if (length == 0 || length > 5 || strspn(text, "0123456789") != length)
    return FALSE;
  *number = (guint)g_ascii_strtoull(text, NULL, 10);
  return *number >= low && *number <= high;
}

/* Parts the entry into address, prefix and port; absent parts are NULL. */
static gboolean split_entry(char *text, char **prefix, char **port) {
  char *end = text;
  if (*text == '[') {
    end = strchr(text, ']');
    if (!end || (end[1] != '\0' && end[1] != ':'))
      return FALSE;
    *end++ = '\0';
    *port = *end == ':' ? end + 1 : NULL;
  } else {
    char *colon = strchr(text, ':');
    gboolean single = colon && !strchr(colon + 1, ':');
    *port = single ? colon + 1 : NULL;
    if (single)
      *colon = '\0';
  }
  char *slash = strchr(text, '/');
  *prefix = slash ? slash + 1 : NULL;
  if (slash)
    *slash = '\0';
  return TRUE;
}

static gboolean has_bits_after(const Network *network) {
  guint bits = 0;
  for (guint i = network->prefix; i < BITS; i++)
    bits |= network->address.bytes[i / 8] & (0x80U >> i % 8);
  return bits != 0;
}

static gboolean parse_network(const char *entry, Network *network, GError **error) {
  g_autofree char *text = g_strdup(entry);
  char *prefix, *port;
  guint number = 0;
  if (!split_entry(text, &prefix, &port))
    return bad_entry(error, entry, "has brackets that do not match");
  const char *host = *text == '[' ? text + 1 : text;
  guint8 four[4];
  gboolean v4 = inet_pton(AF_INET, host, four) == 1;
  if (v4)
    network->address = from_v4(four, 0);
  else if (inet_pton(AF_INET6, host, network->address.bytes) != 1)
    return bad_entry(error, entry, "is no address, no network and none of private, loopback, any");
  if (port && !parse_number(port, 1, G_MAXUINT16, &number))
    return bad_entry(error, entry, "has a port that is not a number from 1 to 65535");
  network->port = (guint16)number;
  network->prefix = BITS;
  if (prefix && !parse_number(prefix, 0, v4 ? 32 : BITS, &network->prefix))
    return bad_entry(error, entry, "has a prefix that is no number of bits");
  if (prefix && v4)
    network->prefix += V4_BITS;
  return has_bits_after(network) ? bad_entry(error, entry, "has bits set behind its prefix") : TRUE;
}

static gboolean add_entry(MnkAddressPolicy *policy, const char *entry, GError **error) {
  if (g_ascii_strcasecmp(entry, "any") == 0) {
    policy->any = TRUE;
  } else if (g_ascii_strcasecmp(entry, "private") == 0) {
    policy->classes[MNK_ADDRESS_PRIVATE] = TRUE;
  } else if (g_ascii_strcasecmp(entry, "loopback") == 0) {
    policy->classes[MNK_ADDRESS_LOOPBACK] = TRUE;
  } else {
    Network network = {0};
    if (!parse_network(entry, &network, error))
      return FALSE;
    g_array_append_val(policy->networks, network);
  }
  return TRUE;
}

MnkAddressPolicy *mnk_address_policy_new(const char *list, GError **error) {
  g_autoptr(MnkAddressPolicy) policy = g_new0(MnkAddressPolicy, 1);
  policy->references = 1;
  policy->networks = g_array_new(FALSE, FALSE, sizeof(Network));
  policy->classes[MNK_ADDRESS_PUBLIC] = TRUE;
  g_auto(GStrv) entries = g_strsplit_set(list ? list : "", ", \t\r\n", -1);
  for (guint i = 0; entries[i]; i++)
    if (*entries[i] && !add_entry(policy, entries[i], error))
      return NULL;
  return g_steal_pointer(&policy);
}

MnkAddressPolicy *mnk_address_policy_ref(MnkAddressPolicy *policy) {
  g_atomic_int_inc(&policy->references);
  return policy;
}

void mnk_address_policy_unref(MnkAddressPolicy *policy) {
  if (!policy || !g_atomic_int_dec_and_test(&policy->references))
    return;
  g_array_unref(policy->networks);
  g_free(policy);
}

/* ---- Judging ---- */

/* Where a cloud's machine asks who it is, and gets its passwords. Some lie among link-local ones.
 */
static gboolean is_metadata(const Address *address) {
  static const guint8 link_local[][4] = {
      {169, 254, 169, 254}, {169, 254, 169, 253}, {169, 254, 170, 2}, {169, 254, 170, 23}};
  if (classify(address) == MNK_ADDRESS_METADATA)
    return TRUE;
  Address inner[2];
  guint n = inner_addresses(address, inner);
  for (guint i = 0; i < n; i++)
    for (gsize j = 0; j < G_N_ELEMENTS(link_local); j++)
      if (memcmp(inner[i].bytes + V4_AT, link_local[j], 4) == 0)
        return TRUE;
  return FALSE;
}

static gboolean lists(const MnkAddressPolicy *policy, const Address *address, guint16 port,
                      guint least_prefix) {
  for (guint i = 0; i < policy->networks->len; i++) {
    const Network *network = &g_array_index(policy->networks, Network, i);
    if (network->prefix >= least_prefix && is_v4(&network->address) == is_v4(address) &&
        (network->port == 0 || network->port == port) &&
        has_prefix(address, network->address.bytes, network->prefix))
      return TRUE;
  }
  return FALSE;
}

static void complain(const Address *address, MnkAddressClass class, GError **error) {
  char text[INET6_ADDRSTRLEN] = "";
  if (is_v4(address))
    inet_ntop(AF_INET, address->bytes + V4_AT, text, sizeof text);
  else
    inet_ntop(AF_INET6, address->bytes, text, sizeof text);
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
              "%s is a %s address; outbound_allow does not list it", text,
              mnk_address_class_name(class));
}

gboolean mnk_address_policy_allows(const MnkAddressPolicy *policy, const struct sockaddr *address,
                                   socklen_t length, GError **error) {
  Address parsed;
  guint16 port;
  if (!from_sockaddr(address, length, &parsed, &port)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_LIMIT,
                        "Connections are made to IPv4 and IPv6 addresses only");
    return FALSE;
  }
  MnkAddressClass class = classify(&parsed);
  gboolean metadata = is_metadata(&parsed);
  if (!metadata && (policy->any || policy->classes[class]))
    return TRUE;
  if (lists(policy, &parsed, port, metadata ? BITS : 0))
    return TRUE;
  complain(&parsed, class, error);
  return FALSE;
}
