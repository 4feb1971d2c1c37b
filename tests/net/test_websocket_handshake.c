#include <string.h>

#include "base/error.h"
#include "net/websocket_priv.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

/* ---- The server's side ---- */

static const struct {
  guint status;
  MnkWsUpgrade upgrade;
} requests[] = {
    /* method, Upgrade, Connection, version, key, Content-Length, Transfer-Encoding */
    {0, {"GET", "websocket", "Upgrade", "13", KEY, NULL, NULL}},
    {0, {"GET", "WebSocket", "keep-alive, Upgrade", "13", KEY, NULL, NULL}},
    {0, {"GET", "h2c, websocket", " upgrade\t", "13", KEY, "0", NULL}},
    {0, {"GET", "websocket", ",,upgrade,,", "13", "AAAAAAAAAAAAAAAAAAAAAA==", NULL, NULL}},
    {405, {"POST", "websocket", "Upgrade", "13", KEY, NULL, NULL}},
    {405, {"get", "websocket", "Upgrade", "13", KEY, NULL, NULL}},
    {405, {"HEAD", "websocket", "Upgrade", "13", KEY, NULL, NULL}},
    {426, {"GET", NULL, "Upgrade", "13", KEY, NULL, NULL}},
    {426, {"GET", "websocket", NULL, "13", KEY, NULL, NULL}},
    {426, {"GET", "", "Upgrade", "13", KEY, NULL, NULL}},
    {426, {"GET", "websocket", "", "13", KEY, NULL, NULL}},
    {426, {"GET", "websockets", "Upgrade", "13", KEY, NULL, NULL}},
    {426, {"GET", "websocket/13", "Upgrade", "13", KEY, NULL, NULL}},
    {426, {"GET", "websocket", "keep-alive", "13", KEY, NULL, NULL}},
    {426, {"GET", "websocket", "keep-alive Upgrade", "13", KEY, NULL, NULL}},
    {426, {"GET", "websocket", "Upgrade", NULL, KEY, NULL, NULL}},
    {426, {"GET", "websocket", "Upgrade", "8", KEY, NULL, NULL}},
    {426, {"GET", "websocket", "Upgrade", "14", KEY, NULL, NULL}},
    {426, {"GET", "websocket", "Upgrade", "013", KEY, NULL, NULL}},
    {426, {"GET", "websocket", "Upgrade", "13, 8", KEY, NULL, NULL}},
    {426, {"GET", "websocket", "Upgrade", "", KEY, NULL, NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", NULL, NULL, NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", "", NULL, NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ", NULL, NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ= ", NULL, NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25j", NULL, NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZTEy", NULL, NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZR==", NULL, NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", "dGhl-HNhbXBsZSBub25jZQ==", NULL, NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", KEY ", " KEY, NULL, NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", KEY, "5", NULL}},
    {400, {"GET", "websocket", "Upgrade", "13", KEY, NULL, "chunked"}},
};

static void test_requests(void) {
  for (guint i = 0; i < G_N_ELEMENTS(requests); i++) {
    const char *problem = "?";
    guint status = mnk_ws_check_upgrade(&requests[i].upgrade, &problem);
    if (status != requests[i].status)
      g_error("request %u: %u %s", i, status, problem);
    g_assert_true((problem == NULL) == (status == 0));
  }
}

/* RFC 6455, section 1.3. */
static void test_accept(void) {
  g_autofree char *accept = mnk_ws_accept(KEY);
  g_assert_cmpstr(accept, ==, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_keys(void) {
  g_autofree char *one = mnk_ws_new_key();
  g_autofree char *two = mnk_ws_new_key();
  MnkWsUpgrade upgrade = {"GET", "websocket", "Upgrade", "13", one, NULL, NULL};
  const char *problem;
  g_assert_cmpuint(mnk_ws_check_upgrade(&upgrade, &problem), ==, 0);
  g_assert_cmpstr(one, !=, two);
}

static void test_lists(void) {
  static const struct {
    const char *list, *token;
    gboolean exact, has;
  } lists[] = {
      {NULL, "a", FALSE, FALSE},    {"", "a", FALSE, FALSE},       {"a", "a", FALSE, TRUE},
      {"A", "a", FALSE, TRUE},      {"A", "a", TRUE, FALSE},       {"b, a", "a", TRUE, TRUE},
      {"b,a ,c", "a", TRUE, TRUE},  {"ab", "a", TRUE, FALSE},      {"a b", "a", TRUE, FALSE},
      {" , ,\ta", "a", TRUE, TRUE}, {"b,ab,ba", "a", TRUE, FALSE}, {"b,", "a", TRUE, FALSE},
  };
  for (guint i = 0; i < G_N_ELEMENTS(lists); i++)
    g_assert_true(mnk_ws_list_has(lists[i].list, lists[i].token, lists[i].exact) == lists[i].has);
}

/* ---- The client's side ---- */

#define GOOD "HTTP/1.1 101 Switching Protocols\r\n"
#define FIELDS "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define STATUS "the server refuses the WebSocket: "
#define NO_HTTP "the server does not answer in HTTP/1.1"
#define NO_SWITCH "the server answers 101 and does not switch to WebSocket"
#define BAD_ACCEPT "the server's Sec-WebSocket-Accept does not fit the key"
#define BAD_PROTOCOL "the server chose a protocol that was not offered"

static const struct {
  const char *head, *offered, *problem;
} answers[] = {
    {GOOD FIELDS ACCEPT "\r\n", NULL, NULL},
    {"HTTP/1.1 101\r\n" FIELDS ACCEPT "\r\n", NULL, NULL},
    {"HTTP/1.1 101 \r\n" FIELDS ACCEPT "X: y\r\n\r\n", NULL, NULL},
    {GOOD "uPGRADE:WebSocket\r\ncONNECTION:keep-alive,uPGRADE\r\n" ACCEPT "\r\n", NULL, NULL},
    {GOOD FIELDS ACCEPT "Sec-WebSocket-Protocol: b\r\n\r\n", "a, b", NULL},
    {GOOD FIELDS ACCEPT "Sec-WebSocket-Extensions: \r\n\r\n", NULL, NULL},
    {GOOD "Connection: keep-alive\r\n" FIELDS ACCEPT "\r\n", NULL, NULL},
    {"HTTP/1.1 401 Unauthorized\r\n\r\n", NULL, STATUS "401 Unauthorized"},
    {"HTTP/1.1 200 OK\r\n" FIELDS ACCEPT "\r\n", NULL, STATUS "200 OK"},
    {"HTTP/1.1 302 Found\r\nLocation: ws://other/\r\n\r\n", NULL, STATUS "302 Found"},
    {"HTTP/1.1 503 \033[31m\xff\r\n\r\n", NULL, STATUS "503  [31m\xef\xbf\xbd"},
    {"HTTP/2 101\r\n\r\n", NULL, NO_HTTP},
    {"HTTP/1.1 1010\r\n\r\n", NULL, NO_HTTP},
    {"HTTP/1.1 10\r\n\r\n", NULL, NO_HTTP},
    {"SSH-2.0\r\n\r\n", NULL, NO_HTTP},
    {"HTTP/1.\r\n\r\n", NULL, NO_HTTP},
    {"\r\n\r\n", NULL, NO_HTTP},
    {GOOD "no field\r\n" FIELDS ACCEPT "\r\n", NULL,
     "the server's answer has a line that is no header field"},
    {GOOD "Bad Name: x\r\n" FIELDS ACCEPT "\r\n", NULL,
     "the server's answer has a line that is no header field"},
    {GOOD ": x\r\n" FIELDS ACCEPT "\r\n", NULL,
     "the server's answer has a line that is no header field"},
    {GOOD "Connection: Upgrade\r\n" ACCEPT "\r\n", NULL, NO_SWITCH},
    {GOOD "Upgrade: websocket\r\n" ACCEPT "\r\n", NULL, NO_SWITCH},
    {GOOD "Upgrade: h2c\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", NULL, NO_SWITCH},
    {GOOD "Upgrade: websocket\r\nConnection: close\r\n" ACCEPT "\r\n", NULL, NO_SWITCH},
    {GOOD FIELDS "\r\n", NULL, BAD_ACCEPT},
    {GOOD FIELDS "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n\r\n", NULL, BAD_ACCEPT},
    {GOOD FIELDS ACCEPT ACCEPT "\r\n", NULL, BAD_ACCEPT},
    {GOOD FIELDS ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", NULL,
     "the server uses an extension that was not offered"},
    {GOOD FIELDS ACCEPT "Sec-WebSocket-Protocol: a\r\n\r\n", NULL, BAD_PROTOCOL},
    {GOOD FIELDS ACCEPT "Sec-WebSocket-Protocol: c\r\n\r\n", "a, b", BAD_PROTOCOL},
    {GOOD FIELDS ACCEPT "Sec-WebSocket-Protocol: A\r\n\r\n", "a, b", BAD_PROTOCOL},
    {GOOD FIELDS ACCEPT "Sec-WebSocket-Protocol: a, b\r\n\r\n", "a, b", BAD_PROTOCOL},
};

static void test_answers(void) {
  for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
    g_autoptr(GError) error = NULL;
    gsize length = strlen(answers[i].head);
    g_autofree char *exact = g_memdup2(answers[i].head, length);
    gboolean ok = mnk_ws_check_answer(exact, length, KEY, answers[i].offered, &error);
    g_assert_true(ok == (error == NULL));
    g_assert_cmpstr(error ? error->message : NULL, ==, answers[i].problem);
    gboolean lasting = strstr(answers[i].head, " 401 ") != NULL;
    gint code = lasting ? MNK_ERROR_USAGE : MNK_ERROR_SOURCE;
    g_assert_true(error == NULL || g_error_matches(error, MNK_ERROR, code));
  }
  static const char nul[] = GOOD FIELDS ACCEPT "X: \0y\r\n\r\n";
  g_assert_false(mnk_ws_check_answer(nul, sizeof nul - 1, KEY, NULL, NULL));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/websocket/handshake/requests", test_requests);
  g_test_add_func("/websocket/handshake/accept", test_accept);
  g_test_add_func("/websocket/handshake/keys", test_keys);
  g_test_add_func("/websocket/handshake/lists", test_lists);
  g_test_add_func("/websocket/handshake/answers", test_answers);
  return g_test_run();
}
