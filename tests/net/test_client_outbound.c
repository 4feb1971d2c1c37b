/* Where the HTTP client may connect to: each URL is asked for under the default policy, when no
 * connection may come of it, and under one that lists loopback, when exactly those may come that
 * lead there.
 *
 * This program answers libcurl's questions for names, and watches its connect calls: nothing leaves
 * the machine. The canary listens on every address of it. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "client.h"

/* ---- The world as libcurl sees it ---- */

static gint attempts_inside; /* atomic: connects to addresses that are not public */
static gint rebinds;         /* atomic: how often rebind.test was asked for */
static gint gate_open;       /* atomic: slow.test is answered when it is */
static gint at_gate;         /* atomic: threads that wait for it */

static gboolean is_loopback(const struct sockaddr *address) {
  if (address->sa_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(gconstpointer)address;
    return g_ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(gconstpointer)address)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

/* In the place of the C library's, for all libraries of this program. */
__attribute__((visibility("default"))) int connect(int fd, __CONST_SOCKADDR_ARG to,
                                                   socklen_t length) {
  const struct sockaddr *address = to.__sockaddr__;
  if (address->sa_family == AF_INET || address->sa_family == AF_INET6) {
    if (mnk_address_classify(address, length) != MNK_ADDRESS_PUBLIC)
      g_atomic_int_inc(&attempts_inside);
    if (!is_loopback(address)) {
      errno = ENETUNREACH;
      return -1;
    }
  }
  return (int)syscall(SYS_connect, fd, address, length);
}

static const struct {
  const char *name;
  const char *addresses[3];
} names[] = {
    {"localhost", {"127.0.0.1", "::1"}},
    {"ip6-localhost", {"::1"}},
    {"loopback.test", {"127.0.0.1"}},
    {"slow.test", {"127.0.0.1"}},
    {"127.0.0.1.nip.test", {"127.0.0.1"}},
    {"other.test", {"127.3.2.1"}},
    {"v6.test", {"::1"}},
    {"mapped.test", {"::ffff:127.0.0.1"}},
    {"first-private.test", {"10.0.0.1", "127.0.0.1"}},
    {"first-public.test", {"8.8.8.8", "127.0.0.1"}},
    {"private.test", {"192.168.0.1"}},
    {"metadata.test", {"169.254.169.254"}},
    {"zero.test", {"0.0.0.0"}},
    {"zero6.test", {"::"}},
    {"nat64.test", {"64:ff9b::7f00:1"}},
    {"six-to-four.test", {"2002:7f00:1::1"}},
    {"compatible.test", {"::127.0.0.1"}},
    {"unique-local.test", {"fd00::1"}},
    {"link-local.test", {"fe80::1"}},
};

static void wait_at_gate(void) {
  g_atomic_int_inc(&at_gate);
  while (!g_atomic_int_get(&gate_open))
    g_usleep(1000);
  g_atomic_int_add(&at_gate, -1);
}

typedef int Resolve(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static const char *const *addresses_of(const char *name) {
  static const char *const rebound[2][2] = {{"8.8.8.8"}, {"127.0.0.1"}};
  gsize length = strlen(name);
  if (length > 0 && name[length - 1] == '.')
    length--;
  if (strncmp(name, "slow.test", length) == 0)
    wait_at_gate();
  if (strncmp(name, "rebind.test", length) == 0)
    return rebound[g_atomic_int_add(&rebinds, 1) % 2];
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    if (strlen(names[i].name) == length && g_ascii_strncasecmp(names[i].name, name, length) == 0)
      return names[i].addresses;
  return NULL;
}

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **result) {
  Resolve *resolve;
  *(void **)&resolve = dlsym(RTLD_NEXT, "getaddrinfo");
  struct addrinfo numeric = hints ? *hints : (struct addrinfo){0};
  numeric.ai_flags = AI_NUMERICHOST;
  if (!name || resolve(name, service, &numeric, result) == 0)
    return name ? 0 : resolve(name, service, hints, result);
  const char *const *addresses = addresses_of(name);
  struct addrinfo **end = result;
  *result = NULL;
  for (guint i = 0; addresses && addresses[i]; i++)
    if (resolve(addresses[i], service, &numeric, end) == 0)
      while (*end)
        end = &(*end)->ai_next;
  return *result ? 0 : EAI_NONAME;
}

/* ---- The canary ---- */

static guint canary_port;
static guint canary_sings;

static gboolean sing(GSocketService *service, GSocketConnection *connection, GObject *source,
                     gpointer user) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  canary_sings++;
  GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(connection));
  g_output_stream_write_all(out, answer, strlen(answer), NULL, NULL, NULL);
  return FALSE;
}

static GSocketService *canary_new(void) {
  GSocketService *service = g_socket_service_new();
  g_autoptr(GInetAddress) all = g_inet_address_new_any(G_SOCKET_FAMILY_IPV6);
  g_autoptr(GSocketAddress) address = g_inet_socket_address_new(all, 0);
  g_autoptr(GSocketAddress) bound = NULL;
  g_autoptr(GError) error = NULL;
  g_socket_listener_add_address(G_SOCKET_LISTENER(service), address, G_SOCKET_TYPE_STREAM,
                                G_SOCKET_PROTOCOL_TCP, NULL, &bound, &error);
  g_assert_no_error(error);
  canary_port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
  g_signal_connect(service, "incoming", G_CALLBACK(sing), NULL);
  return service;
}

/* ---- URLs ---- */

/* $ stands for the canary's port. leads: to the canary, once loopback is listed. */
static const struct {
  const char *url;
  gboolean leads;
} urls[] = {
    /* every notation of a number */
    {"http://127.0.0.1:$/", TRUE},
    {"http://127.1:$/", TRUE},
    {"http://127.0.1:$/", TRUE},
    {"http://2130706433:$/", TRUE},
    {"http://017700000001:$/", TRUE},
    {"http://0x7f000001:$/", TRUE},
    {"http://0X7F000001:$/", TRUE},
    {"http://0x7f.1:$/", TRUE},
    {"http://0x7f.0.1:$/", TRUE},
    {"http://0x7f.0x0.0x0.0x1:$/", TRUE},
    {"http://0177.1:$/", TRUE},
    {"http://0177.0.0.1:$/", TRUE},
    {"http://00000177.00.00.01:$/", TRUE},
    {"http://127.0x1:$/", TRUE},
    {"http://127.0.0.0x1:$/", TRUE},
    {"http://127.0.0.1.:$/", TRUE},
    {"http://127.1.:$/", TRUE},
    {"http://2130706433.:$/", TRUE},
    {"http://127.255.255.254:$/", TRUE},
    {"http://127.127.127.127:$/", TRUE},
    {"http://127.16777214:$/", TRUE},
    {"http://0177.0377.0377.0376:$/", TRUE},
    {"http://0:$/", FALSE},
    {"http://00:$/", FALSE},
    {"http://0x0:$/", FALSE},
    {"http://0.0:$/", FALSE},
    {"http://0.0.0.0:$/", FALSE},
    {"http://0.0.0.1:$/", FALSE},
    {"http://10.0.0.1:$/", FALSE},
    {"http://172.16.0.1:$/", FALSE},
    {"http://192.168.1:$/", FALSE},
    {"http://3232235521:$/", FALSE},
    {"http://100.64.0.1:$/", FALSE},
    {"http://169.254.169.254/latest/meta-data/", FALSE},
    {"http://2852039166/", FALSE},
    {"http://0xa9fea9fe/", FALSE},
    {"http://0251.0376.0251.0376/", FALSE},
    {"http://169.254.43518/", FALSE},
    {"http://100.100.100.200/", FALSE},
    {"http://168.63.129.16/", FALSE},
    {"http://192.0.0.192/", FALSE},
    {"http://192.0.2.1:$/", FALSE},
    {"http://198.18.0.1:$/", FALSE},
    {"http://224.0.0.1:$/", FALSE},
    {"http://240.0.0.1:$/", FALSE},
    {"http://255.255.255.255:$/", FALSE},
    {"http://127.0.0.256:$/", FALSE},
    {"http://127.0.0.1.1:$/", FALSE},
    {"http://127..1:$/", FALSE},
    {"http://127.0.0.1..:$/", FALSE},
    {"http://.127.0.0.1:$/", FALSE},
    {"http://4294967297:$/", FALSE},
    {"http://6425673729:$/", FALSE},
    {"http://0x17f000001:$/", FALSE},
    {"http://127.0.0.08:$/", FALSE},
    {"http://0x7g.1:$/", FALSE},
    {"http://-127.0.0.1:$/", FALSE},
    {"http://+127.0.0.1:$/", FALSE},
    {"http://1e3.1:$/", FALSE},
    {"http://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1:$/", FALSE},
    {"http://127\xe3\x80\x82"
     "0\xe3\x80\x82"
     "0\xe3\x80\x82"
     "1:$/",
     FALSE},
    {"http://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1:$/", FALSE},
    {"http://\xd9\xa1\xd9\xa2\xd9\xa7.0.0.1:$/", FALSE},
    {"http://\xe2\x93\x81ocalhost:$/", FALSE},

    /* IPv6, and IPv4 within it */
    {"http://[::1]:$/", TRUE},
    {"http://[0:0:0:0:0:0:0:1]:$/", TRUE},
    {"http://[0000:0000:0000:0000:0000:0000:0000:0001]:$/", TRUE},
    {"http://[::0.0.0.1]:$/", TRUE},
    {"http://[::ffff:127.0.0.1]:$/", TRUE},
    {"http://[::FFFF:7F00:1]:$/", TRUE},
    {"http://[0:0:0:0:0:ffff:127.0.0.1]:$/", TRUE},
    {"http://[::ffff:127.9.9.9]:$/", TRUE},
    {"http://[::]:$/", FALSE},
    {"http://[0::0]:$/", FALSE},
    {"http://[::ffff:0.0.0.0]:$/", FALSE},
    {"http://[::127.0.0.1]:$/", FALSE},
    {"http://[::7f00:1]:$/", FALSE},
    {"http://[::ffff:0:127.0.0.1]:$/", FALSE},
    {"http://[2002:7f00:1::]:$/", FALSE},
    {"http://[2002:7f00:1::7f00:1]:$/", FALSE},
    {"http://[64:ff9b::127.0.0.1]:$/", FALSE},
    {"http://[64:ff9b::7f00:1]:$/", FALSE},
    {"http://[64:ff9b:1::7f00:1]:$/", FALSE},
    {"http://[2001:0:7f00:1::f7f7:f7f7]:$/", FALSE},
    {"http://[2001:0:808:808::80ff:fffe]:$/", FALSE},
    {"http://[::ffff:169.254.169.254]/", FALSE},
    {"http://[::ffff:a9fe:a9fe]/", FALSE},
    {"http://[2002:a9fe:a9fe::]/", FALSE},
    {"http://[64:ff9b::a9fe:a9fe]/", FALSE},
    {"http://[fd00:ec2::254]/", FALSE},
    {"http://[::ffff:10.0.0.1]:$/", FALSE},
    {"http://[::10.0.0.1]:$/", FALSE},
    {"http://[2002:a00:1::]:$/", FALSE},
    {"http://[fc00::1]:$/", FALSE},
    {"http://[fd12:3456::1]:$/", FALSE},
    {"http://[fe80::1]:$/", FALSE},
    {"http://[fec0::1]:$/", FALSE},
    {"http://[ff02::1]:$/", FALSE},
    {"http://[2001:db8::1]:$/", FALSE},
    {"http://[100::1]:$/", FALSE},
    {"http://[fe80::1%25lo]:$/", FALSE},
    {"http://[::1%25lo]:$/", FALSE},
    {"http://[::1%lo]:$/", FALSE},
    {"http://[::1%251]:$/", FALSE},
    {"http://[127.0.0.1]:$/", FALSE},
    {"http://[::127.1]:$/", FALSE},
    {"http://[::1:$/", FALSE},
    {"http://::1:$/", FALSE},
    {"http://[::1].:$/", FALSE},
    {"http://[::1]8.8.8.8:$/", FALSE},
    {"http://[v1.x]:$/", FALSE},

    /* users */
    {"http://8.8.8.8@127.0.0.1:$/", TRUE},
    {"http://8.8.8.8:80@127.0.0.1:$/", TRUE},
    {"http://8.8.8.8%2f@127.0.0.1:$/", TRUE},
    {"http://me:pw@localhost:$/", TRUE},
    {"http://@127.0.0.1:$/", TRUE},
    {"http://:@127.0.0.1:$/", TRUE},
    {"http://127.0.0.1:$@8.8.8.8/", FALSE},
    {"http://a@b@127.0.0.1:$/", FALSE},
    {"http://8.8.8.8@@127.0.0.1:$/", FALSE},
    {"http://8.8.8.8%40127.0.0.1:$/", FALSE},
    {"http://8.8.8.8#@127.0.0.1:$/", FALSE},
    {"http://8.8.8.8?@127.0.0.1:$/", FALSE},
    {"http://8.8.8.8/@127.0.0.1:$/", FALSE},
    {"http://8.8.8.8\\@127.0.0.1:$/", FALSE},
    {"http://127.0.0.1:$\\@8.8.8.8/", FALSE},
    {"http://8.8.8.8;@127.0.0.1:$/", TRUE},
    {"http://8.8.8.8,127.0.0.1:$/", FALSE},
    {"http://8.8.8.8;127.0.0.1:$/", FALSE},
    {"http://8.8.8.8&127.0.0.1:$/", FALSE},
    {"http://me:a%0d%0ab@127.0.0.1:$/", FALSE},
    {"http://me%00@127.0.0.1:$/", FALSE},

    /* names */
    {"http://localhost:$/", TRUE},
    {"http://LOCALHOST:$/", TRUE},
    {"http://localhost.:$/", TRUE},
    {"http://any.localhost:$/", TRUE},
    {"http://ip6-localhost:$/", TRUE},
    {"http://loopback.test:$/", TRUE},
    {"http://loopback.test.:$/", TRUE},
    {"http://127.0.0.1.nip.test:$/", TRUE},
    {"http://other.test:$/", TRUE},
    {"http://v6.test:$/", TRUE},
    {"http://mapped.test:$/", TRUE},
    {"http://first-private.test:$/", TRUE},
    {"http://first-public.test:$/", TRUE},
    {"http://private.test:$/", FALSE},
    {"http://metadata.test/", FALSE},
    {"http://zero.test:$/", FALSE},
    {"http://zero6.test:$/", FALSE},
    {"http://nat64.test:$/", FALSE},
    {"http://six-to-four.test:$/", FALSE},
    {"http://compatible.test:$/", FALSE},
    {"http://unique-local.test:$/", FALSE},
    {"http://link-local.test:$/", FALSE},
    {"http://unknown.test:$/", FALSE},
    {"http://localhost%00.test:$/", FALSE},
    {"http://%6cocalhost:$/", FALSE},
    {"http://127%2e0.0.1:$/", FALSE},
    {"http://localhost%2f:$/", FALSE},
    {"http://local host:$/", FALSE},
    {"http://localhost\t:$/", FALSE},
    {"http://local\xc2\xadhost:$/", FALSE},

    /* white space, line breaks, fragments, slashes */
    {" http://127.0.0.1:$/", FALSE},
    {"http://127.0.0.1:$/ ", FALSE},
    {"http://127.0.0.1:$/\r\nX: y", FALSE},
    {"http://127.0.0.1\r\n:$/", FALSE},
    {"http://127.0.0.1:$/a\nb", FALSE},
    {"ht\ntp://127.0.0.1:$/", FALSE},
    {"http://127.0.0.1:$/%0d%0aX:y", TRUE},
    {"http://127.0.0.1:$/%00", TRUE},
    {"http://127.0.0.1:$#x", TRUE},
    {"http://127.0.0.1:$?x", TRUE},
    {"http://127.0.0.1:$/#@8.8.8.8/", TRUE},
    {"http://127.0.0.1:$//8.8.8.8/", TRUE},
    {"http://127.0.0.1:$/../../x", TRUE},
    {"http:\\\\127.0.0.1:$\\", FALSE},
    {"http:/\\127.0.0.1:$/", FALSE},
    {"http:/127.0.0.1:$/", FALSE},
    {"http:127.0.0.1:$/", FALSE},
    {"http:///127.0.0.1:$/", FALSE},
    {"http:////127.0.0.1:$/", FALSE},
    {"//127.0.0.1:$/", FALSE},
    {"127.0.0.1:$", FALSE},
    {"://127.0.0.1:$/", FALSE},
    {"http://127.0.0.1:0$/", FALSE},
    {"http://127.0.0.1:+$/", FALSE},
    {"http://127.0.0.1:$:80/", FALSE},
    {"http://127.0.0.1:$x/", FALSE},
    {"http://:$/", FALSE},
    {"http://", FALSE},
    {"", FALSE},

    /* schemes */
    {"HTTP://127.0.0.1:$/", TRUE},
    {"https://127.0.0.1:$/", TRUE},
    {"file:///etc/passwd", FALSE},
    {"file://127.0.0.1:$/etc/passwd", FALSE},
    {"gopher://127.0.0.1:$/_GET%20/", FALSE},
    {"dict://127.0.0.1:$/d:x", FALSE},
    {"ftp://127.0.0.1:$/", FALSE},
    {"ftps://127.0.0.1:$/", FALSE},
    {"sftp://127.0.0.1:$/", FALSE},
    {"scp://127.0.0.1:$/", FALSE},
    {"ldap://127.0.0.1:$/", FALSE},
    {"ldaps://127.0.0.1:$/", FALSE},
    {"telnet://127.0.0.1:$/", FALSE},
    {"tftp://127.0.0.1:$/", FALSE},
    {"smb://127.0.0.1:$/", FALSE},
    {"imap://127.0.0.1:$/", FALSE},
    {"pop3://127.0.0.1:$/", FALSE},
    {"smtp://127.0.0.1:$/", FALSE},
    {"rtsp://127.0.0.1:$/", FALSE},
    {"rtmp://127.0.0.1:$/", FALSE},
    {"mqtt://127.0.0.1:$/", FALSE},
    {"ws://127.0.0.1:$/", FALSE},
    {"data:text/plain,http://127.0.0.1:$/", FALSE},
    {"javascript://127.0.0.1:$/", FALSE},
    {"jar:http://127.0.0.1:$/!/", FALSE},
    {"url:http://127.0.0.1:$/", FALSE},
    {"http+unix://127.0.0.1:$/", FALSE},
    {"httpx://127.0.0.1:$/", FALSE},
};

/* ---- Asking ---- */

static char *with_port(const char *url) {
  g_auto(GStrv) parts = g_strsplit(url, "$", -1);
  g_autofree char *port = g_strdup_printf("%u", canary_port);
  return g_strjoinv(port, parts);
}

/* Gives whether the canary sang. */
static gboolean ask(const char *text, const char *list, ClientResult *result) {
  g_autofree char *url = with_port(text);
  g_autoptr(MnkAddressPolicy) policy = mnk_address_policy_new(list, NULL);
  g_autoptr(MnkHttpClient) client = mnk_http_client_new(1);
  MnkHttpCallConfig config = client_config(url, policy);
  guint before = canary_sings;
  g_atomic_int_set(&attempts_inside, 0);
  client_start(client, &config, result);
  client_wait(result);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  return canary_sings > before;
}

static void test_url(gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  g_auto(ClientResult) refused = {0}, allowed = {0};
  g_assert_false(ask(urls[i].url, NULL, &refused));
  g_assert_nonnull(refused.error);
  g_assert_cmpint(g_atomic_int_get(&attempts_inside), ==, 0);
  g_assert_cmpint(ask(urls[i].url, "loopback", &allowed), ==, urls[i].leads);
  if (urls[i].leads && !g_str_has_prefix(urls[i].url, "https"))
    g_assert_cmpuint(allowed.status, ==, 200);
}

/* A name whose address is another one when it is asked for again. */
static void test_rebinding(void) {
  g_atomic_int_set(&rebinds, 0);
  for (guint i = 0; i < 6; i++) {
    g_auto(ClientResult) result = {0};
    g_assert_false(ask("http://rebind.test:$/", NULL, &result));
    int code = i % 2 == 1 ? MNK_ERROR_LIMIT : MNK_ERROR_SOURCE;
    g_assert_error(result.error, MNK_ERROR, code);
    g_assert_cmpint(g_atomic_int_get(&attempts_inside), ==, 0);
  }
  g_assert_cmpint(g_atomic_int_get(&rebinds), >=, 6);
}

/* The loop turns while a name is being resolved. Were it to wait, the gate would never open. */
static void test_slow_name(void) {
  g_autofree char *url = with_port("http://slow.test:$/");
  g_autoptr(MnkAddressPolicy) policy = mnk_address_policy_new("loopback", NULL);
  g_autoptr(MnkHttpClient) client = mnk_http_client_new(1);
  MnkHttpCallConfig config = client_config(url, policy);
  g_auto(ClientResult) result = {0};
  g_atomic_int_set(&gate_open, 0);
  client_start(client, &config, &result);
  while (g_atomic_int_get(&at_gate) == 0)
    g_main_context_iteration(NULL, FALSE);
  g_assert_cmpuint(result.calls, ==, 0);
  g_atomic_int_set(&gate_open, 1);
  client_wait(&result);
  g_assert_no_error(result.error);
}

static void never(const MnkHttpReply *reply, const GError *error, gpointer user) {
  g_assert_not_reached();
}

/* Neither cancelling nor freeing waits for a name. */
static void test_slow_name_given_up(void) {
  g_autofree char *url = with_port("http://slow.test:$/");
  g_autoptr(MnkAddressPolicy) policy = mnk_address_policy_new("loopback", NULL);
  MnkHttpClient *client = mnk_http_client_new(2);
  MnkHttpCallConfig config = client_config(url, policy);
  g_auto(ClientResult) late = {0}, freed = {0};
  g_atomic_int_set(&gate_open, 0);
  MnkHttpCall *cancelled = mnk_http_client_call(client, &config, never, NULL);
  while (g_atomic_int_get(&at_gate) < 1)
    g_main_context_iteration(NULL, FALSE);
  mnk_http_call_cancel(cancelled);
  config.connect_ms = 50;
  client_start(client, &config, &late);
  client_wait(&late);
  g_assert_error(late.error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_nonnull(strstr(late.error->message, "took no connection"));
  config.connect_ms = 0;
  client_start(client, &config, &freed);
  while (g_atomic_int_get(&at_gate) < 3)
    g_main_context_iteration(NULL, FALSE);
  mnk_http_client_free(client);
  g_assert_error(freed.error, MNK_ERROR, MNK_ERROR_CANCELLED);
  g_atomic_int_set(&gate_open, 1);
  while (g_atomic_int_get(&at_gate) > 0)
    g_usleep(1000);
}

static void test_lists(void) {
  g_autofree char *port = g_strdup_printf("127.0.0.1:%u", canary_port);
  g_autofree char *other = g_strdup_printf("127.0.0.1:%u", canary_port - 1);
  const struct {
    const char *list, *url;
    gboolean leads;
  } cases[] = {
      {port, "http://127.0.0.1:$/", TRUE},      {port, "http://[::ffff:127.0.0.1]:$/", TRUE},
      {port, "http://localhost:$/", TRUE},      {port, "http://127.0.0.2:$/", FALSE},
      {port, "http://[::1]:$/", FALSE},         {other, "http://127.0.0.1:$/", FALSE},
      {"::1", "http://[::1]:$/", TRUE},         {"::1", "http://127.0.0.1:$/", FALSE},
      {"127.0.0.0/8", "http://127.1:$/", TRUE}, {"private", "http://127.1:$/", FALSE},
      {"10.0.0.0/8", "http://127.1:$/", FALSE}, {"any", "http://127.1:$/", TRUE},
      {"0.0.0.0/0", "http://[::1]:$/", FALSE},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(ClientResult) result = {0};
    g_assert_cmpint(ask(cases[i].url, cases[i].list, &result), ==, cases[i].leads);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_autoptr(GSocketService) canary = canary_new();
  for (guint i = 0; i < G_N_ELEMENTS(urls); i++) {
    g_autofree char *path = g_strdup_printf("/net/client/outbound/%u", i);
    g_test_add_data_func(path, GUINT_TO_POINTER(i), test_url);
  }
  g_test_add_func("/net/client/outbound/rebinding", test_rebinding);
  g_test_add_func("/net/client/outbound/lists", test_lists);
  g_test_add_func("/net/client/outbound/slow-name", test_slow_name);
  g_test_add_func("/net/client/outbound/slow-name-given-up", test_slow_name_given_up);
  int status = g_test_run();
  g_socket_service_stop(canary);
  g_socket_listener_close(G_SOCKET_LISTENER(canary));
  return status;
}
