/* Addresses and URLs as text and bytes, and the policy for connecting out. Pure: nothing is
 * resolved here; who connects asks about the address that it is about to connect to. */
#ifndef MNK_WIRE_ADDRESS_H
#define MNK_WIRE_ADDRESS_H

#include <glib.h>
#include <sys/socket.h>

/* ---- URLs ---- */

typedef struct {
  char *scheme;          /* lower case */
  char *user, *password; /* decoded; NULL: absent */
  char *host;            /* lower case, an IPv6 literal without brackets */
  gboolean host_is_address;
  guint16 port; /* the scheme's own when absent; 0: unknown */
  char *path;   /* as written, begins with '/', with query, without fragment */
} MnkUrl;
/* RFC 3986 with the strictness of the WHATWG where they differ in what a host is: no white space or
 * control characters, no backslash, no empty host, a host that looks like a number in any notation
 * (0x7f.1, 2130706433, 017700000001) is the IPv4 address that inet_aton makes of it. At most 4,096
 * bytes. */
MnkUrl *mnk_url_parse(const char *text, GError **error);
void mnk_url_free(MnkUrl *url);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkUrl, mnk_url_free)
/* For logs and answers: without user and password, and with the values of query members hidden.
 * Caller frees. */
char *mnk_url_redacted(const char *text);

/* ---- Classes of addresses ---- */

typedef enum {
  MNK_ADDRESS_PUBLIC,
  MNK_ADDRESS_LOOPBACK,
  MNK_ADDRESS_PRIVATE,    /* RFC 1918, RFC 4193, carrier NAT */
  MNK_ADDRESS_LINK_LOCAL, /* with it the clouds' metadata address */
  MNK_ADDRESS_METADATA,   /* metadata addresses that lie elsewhere */
  MNK_ADDRESS_MULTICAST,
  MNK_ADDRESS_RESERVED, /* unspecified, documentation, benchmarks, broadcast, future use */
} MnkAddressClass;
const char *mnk_address_class_name(MnkAddressClass address_class);
/* IPv4 inside IPv6 (mapped, compatible, 6to4, Teredo, NAT64) is judged as what it holds. Families
 * other than INET and INET6 are reserved. */
MnkAddressClass mnk_address_classify(const struct sockaddr *address, socklen_t length);

/* ---- Policy: public addresses, and what the operator lists ---- */

typedef struct _MnkAddressPolicy MnkAddressPolicy;
/* list: "10.1.0.0/16, 127.0.0.1:8080, [fd00::1]:443, private, loopback, any", NULL or "": public
 * addresses only. Metadata addresses must be named themselves. */
MnkAddressPolicy *mnk_address_policy_new(const char *list, GError **error);
MnkAddressPolicy *mnk_address_policy_ref(MnkAddressPolicy *policy);
void mnk_address_policy_unref(MnkAddressPolicy *policy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkAddressPolicy, mnk_address_policy_unref)
/* FALSE with MNK_ERROR_LIMIT: "127.0.0.1 is a loopback address; outbound_allow does not list it".
 */
gboolean mnk_address_policy_allows(const MnkAddressPolicy *policy, const struct sockaddr *address,
                                   socklen_t length, GError **error);

#endif
