/* URLs: what is taken apart, what is refused, and what a log may show of one. */
#include <glib.h>
#include <string.h>

#include "base/error.h"
#include "wire/address.h"

/* ---- Taken apart ---- */

typedef struct {
  const char *text, *scheme, *user, *password, *host;
  gboolean is_address;
  guint16 port;
  const char *path;
} Parsed;

static const Parsed parsed[] = {
    {"http://example.org", "http", NULL, NULL, "example.org", FALSE, 80, "/"},
    {"HTTPS://Example.ORG/A/b?C=D#e", "https", NULL, NULL, "example.org", FALSE, 443, "/A/b?C=D"},
    {"rtsp://cam:8554/live", "rtsp", NULL, NULL, "cam", FALSE, 8554, "/live"},
    {"rtsp://cam", "rtsp", NULL, NULL, "cam", FALSE, 554, "/"},
    {"rtsps://cam/", "rtsps", NULL, NULL, "cam", FALSE, 322, "/"},
    {"ws://h/", "ws", NULL, NULL, "h", FALSE, 80, "/"},
    {"wss://h/", "wss", NULL, NULL, "h", FALSE, 443, "/"},
    {"gopher://h/", "gopher", NULL, NULL, "h", FALSE, 0, "/"},
    {"http://h:/", "http", NULL, NULL, "h", FALSE, 80, "/"},
    {"http://h?q=/@", "http", NULL, NULL, "h", FALSE, 80, "/?q=/@"},
    {"http://h#@evil/", "http", NULL, NULL, "h", FALSE, 80, "/"},
    {"http://me@h/", "http", "me", NULL, "h", FALSE, 80, "/"},
    {"http://me:@h/", "http", "me", "", "h", FALSE, 80, "/"},
    {"http://me:a%3ab%40c@h/", "http", "me", "a:b@c", "h", FALSE, 80, "/"},
    {"http://me:a:b@h:81/", "http", "me", "a:b", "h", FALSE, 81, "/"},
    {"http://127.0.0.1@h/", "http", "127.0.0.1", NULL, "h", FALSE, 80, "/"},
    {"http://h/@127.0.0.1/", "http", NULL, NULL, "h", FALSE, 80, "/@127.0.0.1/"},
    {"http://127.0.0.1/", "http", NULL, NULL, "127.0.0.1", TRUE, 80, "/"},
    {"http://127.0.0.1./", "http", NULL, NULL, "127.0.0.1", TRUE, 80, "/"},
    {"http://127.1/", "http", NULL, NULL, "127.0.0.1", TRUE, 80, "/"},
    {"http://127.0.1/", "http", NULL, NULL, "127.0.0.1", TRUE, 80, "/"},
    {"http://2130706433/", "http", NULL, NULL, "127.0.0.1", TRUE, 80, "/"},
    {"http://017700000001/", "http", NULL, NULL, "127.0.0.1", TRUE, 80, "/"},
    {"http://0x7f.1/", "http", NULL, NULL, "127.0.0.1", TRUE, 80, "/"},
    {"http://0X7F000001/", "http", NULL, NULL, "127.0.0.1", TRUE, 80, "/"},
    {"http://0177.0.0.01/", "http", NULL, NULL, "127.0.0.1", TRUE, 80, "/"},
    {"http://0/", "http", NULL, NULL, "0.0.0.0", TRUE, 80, "/"},
    {"http://[::1]/", "http", NULL, NULL, "::1", TRUE, 80, "/"},
    {"http://[0:0:0:0:0:0:0:1]:8080/", "http", NULL, NULL, "::1", TRUE, 8080, "/"},
    {"http://[::FFFF:127.0.0.1]/", "http", NULL, NULL, "::ffff:127.0.0.1", TRUE, 80, "/"},
    {"http://[2001:DB8::A]", "http", NULL, NULL, "2001:db8::a", TRUE, 80, "/"},
    {"http://localhost./", "http", NULL, NULL, "localhost.", FALSE, 80, "/"},
    {"http://1.2.3.4.example/", "http", NULL, NULL, "1.2.3.4.example", FALSE, 80, "/"},
    {"http://0x7f/", "http", NULL, NULL, "0.0.0.127", TRUE, 80, "/"},
    {"http://a_b-c.d/", "http", NULL, NULL, "a_b-c.d", FALSE, 80, "/"},
    {"http://h:65535/", "http", NULL, NULL, "h", FALSE, 65535, "/"},
};

static void test_parsed(gconstpointer data) {
  const Parsed *expected = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkUrl) url = mnk_url_parse(expected->text, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(url->scheme, ==, expected->scheme);
  g_assert_cmpstr(url->user, ==, expected->user);
  g_assert_cmpstr(url->password, ==, expected->password);
  g_assert_cmpstr(url->host, ==, expected->host);
  g_assert_cmpint(url->host_is_address, ==, expected->is_address);
  g_assert_cmpuint(url->port, ==, expected->port);
  g_assert_cmpstr(url->path, ==, expected->path);
}

/* ---- Refused ---- */

static const struct {
  const char *text, *part;
} refused[] = {
    {"", "does not begin with a scheme"},
    {"/etc/passwd", "does not begin with a scheme"},
    {"example.org/", "does not begin with a scheme"},
    {"http:/example.org/", "does not begin with a scheme"},
    {"http:example.org", "does not begin with a scheme"},
    {"//example.org/", "does not begin with a scheme"},
    {"1http://h/", "does not begin with a scheme"},
    {"http://", "has no host"},
    {"http:///x", "has no host"},
    {"http://?x", "has no host"},
    {"http://:80/", "has no host"},
    {"http://me@/", "has no host"},
    {"http://h/a b", "white space"},
    {" http://h/", "white space"},
    {"http://h/\r\nX: y", "white space"},
    {"http://h\t/", "white space"},
    {"http://h/\x7f", "white space"},
    {"http://h\\@evil/", "backslash"},
    {"http:\\\\h/", "backslash"},
    {"http://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/", "not ASCII"},
    {"http://127\xe3\x80\x82"
     "0.0.1/",
     "not ASCII"},
    {"http://h/\xff", "not ASCII"},
    {"http://a@b@h/", "more than one @"},
    {"http://a%zz:b@h/", "not well encoded"},
    {"http://a:b%0d%0a@h/", "not well encoded"},
    {"http://a%00@h/", "not well encoded"},
    {"http://a%4", "character that no host name has"},
    {"http://a%2@h/", "not well encoded"},
    {"http://%31%32%37.0.0.1/", "character that no host name has"},
    {"http://h%00.evil/", "character that no host name has"},
    {"http://a..b/", "empty label"},
    {"http://.a/", "empty label"},
    {"http://./", "empty label"},
    {"http://127.0.0.1../", "empty label"},
    {"http://h:0/", "port"},
    {"http://h:65536/", "port"},
    {"http://h:000080/", "port"},
    {"http://h:80a/", "port"},
    {"http://h:-1/", "port"},
    {"http://h:80:81/", "port"},
    {"http://256.0.0.1/", "no IPv4 address"},
    {"http://1.2.3.4.5/", "no IPv4 address"},
    {"http://4294967296/", "no IPv4 address"},
    {"http://08/", "no IPv4 address"},
    {"http://example.1/", "no IPv4 address"},
    {"http://0x/", "no IPv4 address"},
    {"http://[::1/", "closing one"},
    {"http://[::1]x/", "something other than a port"},
    {"http://[::g]/", "no IPv6 address"},
    {"http://[]/", "no IPv6 address"},
    {"http://[127.0.0.1]/", "no IPv6 address"},
    {"http://[fe80::1%25lo]/", "with a zone"},
    {"http://[::1%lo]/", "with a zone"},
    {"http://a]/", "character that no host name has"},
    {"http://a<b/", "character that no host name has"},
};

static void test_refused(gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkUrl) url = mnk_url_parse(refused[i].text, &error);
  g_assert_null(url);
  g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  g_test_message("%s", error->message);
  g_assert_nonnull(strstr(error->message, refused[i].part));
}

static void test_lengths(void) {
  g_autofree char *label = g_strnfill(63, 'a');
  g_autofree char *longer = g_strnfill(64, 'a');
  g_autofree char *path = g_strnfill(4096 - 9, 'p');
  const struct {
    char *text;
    gboolean good;
  } cases[] = {
      {g_strdup_printf("http://%s/", label), TRUE},
      {g_strdup_printf("http://%s/", longer), FALSE},
      {g_strdup_printf("http://%s.%s.%s.%.61s/", label, label, label, label), TRUE},
      {g_strdup_printf("http://%s.%s.%s.%.62s/", label, label, label, label), FALSE},
      {g_strdup_printf("http://h/%s", path), TRUE},
      {g_strdup_printf("http://h/%sp", path), FALSE},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(MnkUrl) url = mnk_url_parse(cases[i].text, NULL);
    g_assert_cmpint(url != NULL, ==, cases[i].good);
    g_free(cases[i].text);
  }
}

/* ---- Redacted ---- */

static const struct {
  const char *text, *expected;
} redacted[] = {
    {"http://h/a", "http://h/a"},
    {"http://me:secret@h:80/a", "http://h:80/a"},
    {"http://h/@me", "http://h/@me"},
    {"http://h/a?key=secret", "http://h/a?key=***"},
    {"http://h/a?key=secret&b=c;d", "http://h/a?key=***&b=***&***"},
    {"http://h/a?secret", "http://h/a?***"},
    {"http://h/a?x=1#token=secret", "http://h/a?x=***"},
    {"http://h/a#secret", "http://h/a"},
    {"http://a:secret@b:secret@h/", "http://h/"},
    {"http://a:sec/ret@h/x", "http://h/x"},
    {"http://a:sec?ret@h/x", "http://h/x"},
    {"http://a:sec ret@h/x", "http://h/x"},
    {"me:secret@h/x", "h/x"},
    {"http://h/\x1b[31m\r\nx", "http://h/?[31m??x"},
    {"http://h/\xff", "http://h/\xef\xbf\xbd"},
    {"", ""},
    {"http://", "http://"},
};

static void test_redacted(gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  g_autofree char *text = mnk_url_redacted(redacted[i].text);
  g_assert_cmpstr(text, ==, redacted[i].expected);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(parsed); i++) {
    g_autofree char *path = g_strdup_printf("/wire/url/parsed/%u", i);
    g_test_add_data_func(path, &parsed[i], test_parsed);
  }
  for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
    g_autofree char *path = g_strdup_printf("/wire/url/refused/%u", i);
    g_test_add_data_func(path, GUINT_TO_POINTER(i), test_refused);
  }
  g_test_add_func("/wire/url/lengths", test_lengths);
  for (guint i = 0; i < G_N_ELEMENTS(redacted); i++) {
    g_autofree char *path = g_strdup_printf("/wire/url/redacted/%u", i);
    g_test_add_data_func(path, GUINT_TO_POINTER(i), test_redacted);
  }
  return g_test_run();
}
