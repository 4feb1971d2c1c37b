/* Classes of addresses, and what a list lets through. */
#include <arpa/inet.h>
#include <glib.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/error.h"
#include "wire/address.h"

typedef struct {
  struct sockaddr_storage storage;
  socklen_t length;
} Any;

static const struct sockaddr *as_sockaddr(const Any *any) {
  return (const struct sockaddr *)&any->storage;
}

static Any make(const char *text, guint16 port) {
  Any any = {0};
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = g_htons(port)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = g_htons(port)};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    memcpy(&any.storage, &v4, sizeof v4);
    any.length = sizeof v4;
  } else {
    g_assert_cmpint(inet_pton(AF_INET6, text, &v6.sin6_addr), ==, 1);
    memcpy(&any.storage, &v6, sizeof v6);
    any.length = sizeof v6;
  }
  return any;
}

/* ---- Classes ---- */

static const struct {
  const char *address, *class;
} classes[] = {
    {"8.8.8.8", "public"},
    {"1.1.1.1", "public"},
    {"9.255.255.255", "public"},
    {"11.0.0.0", "public"},
    {"100.63.255.255", "public"},
    {"100.128.0.0", "public"},
    {"126.255.255.255", "public"},
    {"128.0.0.0", "public"},
    {"169.253.255.255", "public"},
    {"169.255.0.0", "public"},
    {"172.15.255.255", "public"},
    {"172.32.0.0", "public"},
    {"192.167.255.255", "public"},
    {"192.169.0.0", "public"},
    {"198.17.255.255", "public"},
    {"198.20.0.0", "public"},
    {"223.255.255.255", "public"},
    {"0.0.0.0", "reserved"},
    {"0.255.255.255", "reserved"},
    {"10.0.0.0", "private"},
    {"10.255.255.255", "private"},
    {"100.64.0.0", "private"},
    {"100.127.255.255", "private"},
    {"100.100.100.200", "metadata"},
    {"127.0.0.0", "loopback"},
    {"127.255.255.255", "loopback"},
    {"168.63.129.16", "metadata"},
    {"169.254.0.1", "link-local"},
    {"169.254.169.254", "link-local"},
    {"172.16.0.0", "private"},
    {"172.31.255.255", "private"},
    {"192.0.0.1", "reserved"},
    {"192.0.0.192", "metadata"},
    {"192.0.2.1", "reserved"},
    {"192.88.99.1", "reserved"},
    {"192.168.0.0", "private"},
    {"192.168.255.255", "private"},
    {"198.18.0.0", "reserved"},
    {"198.19.255.255", "reserved"},
    {"198.51.100.7", "reserved"},
    {"203.0.113.7", "reserved"},
    {"224.0.0.1", "multicast"},
    {"239.255.255.255", "multicast"},
    {"240.0.0.0", "reserved"},
    {"255.255.255.255", "reserved"},
    {"2606:4700::1111", "public"},
    {"2a00:1450::1", "public"},
    {"3ffe::1", "public"},
    {"::", "reserved"},
    {"::1", "loopback"},
    {"::2", "reserved"},                /* compatible: 0.0.0.2 */
    {"::127.0.0.1", "loopback"},        /* compatible */
    {"::8.8.8.8", "public"},            /* compatible */
    {"::ffff:127.0.0.1", "loopback"},   /* mapped */
    {"::ffff:8.8.8.8", "public"},       /* mapped */
    {"::ffff:a9fe:a9fe", "link-local"}, /* mapped */
    {"::ffff:0:10.0.0.1", "private"},   /* translated */
    {"64:ff9b::7f00:1", "loopback"},    /* NAT64 */
    {"64:ff9b::808:808", "public"},     /* NAT64 */
    {"64:ff9b:1::7f00:1", "reserved"},  /* NAT64 of a site: who knows where it lies */
    {"2002:7f00:1::", "loopback"},      /* 6to4 */
    {"2002:a00:1::5", "private"},       /* 6to4 */
    {"2002:808:808::1", "public"},      /* 6to4 */
    {"2001::80ff:fffe", "loopback"},    /* Teredo: client 127.0.0.1 of server 0.0.0.0 */
    {"2001::f7f7:f7f7", "reserved"},    /* client 8.8.8.8 of server 0.0.0.0 */
    {"2001:0:808:808::80ff:fffe", "loopback"},
    {"2001:0:7f00:1::f7f7:f7f7", "loopback"},
    {"2001:0:808:808::f7f7:f7f7", "public"},
    {"2001:1::1", "reserved"},
    {"2001:2::1", "reserved"},
    {"2001:db8::1", "reserved"},
    {"2001:200::1", "public"},
    {"3fff::1", "reserved"},
    {"100::1", "reserved"},
    {"5f00::1", "reserved"},
    {"4000::1", "reserved"},
    {"fc00::1", "private"},
    {"fdff:ffff::1", "private"},
    {"fd00:ec2::254", "metadata"},
    {"fd20:ce::254", "metadata"},
    {"fd00:42::42", "metadata"},
    {"fe80::1", "link-local"},
    {"febf::1", "link-local"},
    {"fec0::1", "private"},
    {"ff02::1", "multicast"},
};

static void test_class(gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  Any any = make(classes[i].address, 80);
  MnkAddressClass class = mnk_address_classify(as_sockaddr(&any), any.length);
  g_assert_cmpstr(mnk_address_class_name(class), ==, classes[i].class);
}

static void test_other_families(void) {
  g_autoptr(MnkAddressPolicy) policy = mnk_address_policy_new("any", NULL);
  struct sockaddr_un local = {.sun_family = AF_UNIX};
  Any cut = make("8.8.8.8", 80);
  const struct {
    const struct sockaddr *address;
    socklen_t length;
  } cases[] = {{(struct sockaddr *)&local, sizeof local},
               {as_sockaddr(&cut), cut.length - 1},
               {as_sockaddr(&cut), 2}};
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(mnk_address_classify(cases[i].address, cases[i].length), ==,
                    MNK_ADDRESS_RESERVED);
    g_assert_false(mnk_address_policy_allows(policy, cases[i].address, cases[i].length, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  }
}

/* ---- Lists ---- */

static const struct {
  const char *list, *address;
  guint16 port;
  gboolean allowed;
} judged[] = {
    {NULL, "8.8.8.8", 80, TRUE},
    {"", "8.8.8.8", 80, TRUE},
    {"", "127.0.0.1", 80, FALSE},
    {"", "10.0.0.1", 80, FALSE},
    {"", "169.254.169.254", 80, FALSE},
    {"", "::ffff:127.0.0.1", 80, FALSE},
    {"", "224.0.0.1", 80, FALSE},
    {"", "0.0.0.0", 80, FALSE},
    {"loopback", "127.9.9.9", 80, TRUE},
    {"loopback", "::1", 80, TRUE},
    {"loopback", "::ffff:127.0.0.1", 80, TRUE},
    {"loopback", "10.0.0.1", 80, FALSE},
    {"loopback", "0.0.0.0", 80, FALSE},
    {"LOOPBACK,Private", "10.0.0.1", 80, TRUE},
    {"private", "fd00::1", 80, TRUE},
    {"private", "fd00:ec2::254", 80, FALSE},
    {"private", "100.64.0.1", 80, TRUE},
    {"private", "100.100.100.200", 80, FALSE},
    {"private", "127.0.0.1", 80, FALSE},
    {"any", "127.0.0.1", 80, TRUE},
    {"any", "10.0.0.1", 80, TRUE},
    {"any", "169.254.1.1", 80, TRUE},
    {"any", "224.0.0.1", 80, TRUE},
    {"any", "169.254.169.254", 80, FALSE},
    {"any", "169.254.170.2", 80, FALSE},
    {"any", "::ffff:169.254.169.254", 80, FALSE},
    {"any", "2002:a9fe:a9fe::1", 80, FALSE},
    {"any", "168.63.129.16", 80, FALSE},
    {"169.254.0.0/16", "169.254.1.1", 80, TRUE},
    {"169.254.0.0/16", "169.254.169.254", 80, FALSE},
    {"169.254.169.254", "169.254.169.254", 80, TRUE},
    {"169.254.169.254:80", "169.254.169.254", 81, FALSE},
    {"fd00:ec2::254", "fd00:ec2::254", 80, TRUE},
    {"10.1.0.0/16", "10.1.255.255", 80, TRUE},
    {"10.1.0.0/16", "10.2.0.0", 80, FALSE},
    {"10.0.0.0/9", "10.127.0.1", 80, TRUE},
    {"10.0.0.0/9", "10.128.0.1", 80, FALSE},
    {"0.0.0.0/0", "10.128.0.1", 80, TRUE},
    {"0.0.0.0/0", "fd00::1", 80, FALSE},
    {"::/0", "fd00::1", 80, TRUE},
    {"::/0", "10.0.0.1", 80, FALSE},
    {"127.0.0.1:8080", "127.0.0.1", 8080, TRUE},
    {"127.0.0.1:8080", "127.0.0.1", 8081, FALSE},
    {"127.0.0.1:8080", "::ffff:127.0.0.1", 8080, TRUE},
    {"127.0.0.1:8080", "127.0.0.2", 8080, FALSE},
    {"10.0.0.0/8:554", "10.2.3.4", 554, TRUE},
    {"10.0.0.0/8:554", "10.2.3.4", 80, FALSE},
    {"[fd00::1]:443", "fd00::1", 443, TRUE},
    {"[fd00::1]:443", "fd00::1", 80, FALSE},
    {"[fd00::1]", "fd00::1", 80, TRUE},
    {"fd00::1", "fd00::1", 80, TRUE},
    {"fd00::/8", "fd12::3", 80, TRUE},
    {"[fd00::/8]:443", "fd12::3", 443, TRUE},
    {" 10.0.0.1 ,\t10.0.0.2\n,,", "10.0.0.2", 80, TRUE},
};

static void test_judged(gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkAddressPolicy) policy = mnk_address_policy_new(judged[i].list, &error);
  g_assert_no_error(error);
  Any any = make(judged[i].address, judged[i].port);
  gboolean allowed = mnk_address_policy_allows(policy, as_sockaddr(&any), any.length, &error);
  g_assert_cmpint(allowed, ==, judged[i].allowed);
  if (!allowed)
    g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
}

static void test_sentence(void) {
  static const struct {
    const char *address, *sentence;
  } cases[] = {
      {"127.0.0.1", "127.0.0.1 is a loopback address; outbound_allow does not list it"},
      {"::ffff:10.0.0.1", "10.0.0.1 is a private address; outbound_allow does not list it"},
      {"fe80::1", "fe80::1 is a link-local address; outbound_allow does not list it"},
  };
  g_autoptr(MnkAddressPolicy) policy = mnk_address_policy_new(NULL, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    Any any = make(cases[i].address, 80);
    g_assert_false(mnk_address_policy_allows(policy, as_sockaddr(&any), any.length, &error));
    g_assert_cmpstr(error->message, ==, cases[i].sentence);
  }
}

static void test_bad_lists(void) {
  static const char *const lists[] = {"example.org",  "10.0.0",      "10.0.0.0/33", "10.0.0.0/",
                                      "10.0.0.0/-1",  "10.0.0.1/8",  "fd00::/129",  "[fd00::1",
                                      "[fd00::1]x",   "127.0.0.1:0", "127.0.0.1:",  "1.2.3.4:99999",
                                      "127.0.0.1:8x", "*",           "loopback!",   "0x7f.1",
                                      "fe80::1%lo",   "fd00::1/64",  "[10.0.0.1]x", "10.0.0.0/8/8"};
  for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *list = g_strdup_printf("loopback, %s", lists[i]);
    g_autoptr(MnkAddressPolicy) policy = mnk_address_policy_new(list, &error);
    g_assert_null(policy);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, lists[i]));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(classes); i++) {
    g_autofree char *path = g_strdup_printf("/wire/address/class/%s", classes[i].address);
    g_test_add_data_func(path, GUINT_TO_POINTER(i), test_class);
  }
  g_test_add_func("/wire/address/other-families", test_other_families);
  for (guint i = 0; i < G_N_ELEMENTS(judged); i++) {
    g_autofree char *path = g_strdup_printf("/wire/address/judged/%u", i);
    g_test_add_data_func(path, GUINT_TO_POINTER(i), test_judged);
  }
  g_test_add_func("/wire/address/sentence", test_sentence);
  g_test_add_func("/wire/address/bad-lists", test_bad_lists);
  return g_test_run();
}
