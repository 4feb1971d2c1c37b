/* A server and raw clients in one thread: the client's waiting turns the server's loop. */
#ifndef MNK_TESTS_HTTP_SUPPORT_H
#define MNK_TESTS_HTTP_SUPPORT_H

#include "net/net.h"

/* Small limits, and deadlines that no test runs into by accident. */
extern const MnkHttpConfig test_config;

typedef struct {
  MnkHttpServer *server;
  GPtrArray *seen; /* "METHOD path" of each request that reached the handler */
  guint closed;    /* requests that were told to be over */
  MnkRequestFunc func;
  gpointer user;
} TestServer;

/* func NULL: reads the body whole (64 KiB at most) and answers 200 with it. */
TestServer *test_server_new(const MnkHttpConfig *config, MnkRequestFunc func, gpointer user);
void test_server_free(TestServer *test);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestServer, test_server_free)
TestServer *test_server_of(MnkRequest *request);
void test_answer_text(MnkRequest *request, guint status, const char *text);

typedef struct {
  int fd;
  GString *got;
  gboolean ended; /* the server has closed, or reset */
} TestClient;

TestClient *test_client_new(const TestServer *test);
/* From this address of this machine. */
TestClient *test_client_new_to(const TestServer *test, const char *address);
void test_client_free(TestClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestClient, test_client_free)
/* FALSE: the server closed before it took all. */
gboolean test_client_send(TestClient *client, const char *bytes, gsize length);
void test_client_send_text(TestClient *client, const char *text);
void test_client_finish_sending(TestClient *client);
/* Takes what is there into got. */
void test_client_take(TestClient *client);
/* Until got holds text; the test fails when the connection ends before. */
void test_client_wait_for(TestClient *client, const char *text);
void test_client_wait_end(TestClient *client);
/* The first answer in got, which is cut off from it: its status, and its body when asked. Fails
 * when there is no whole one. 0: got is empty. */
guint test_client_answer(TestClient *client, gboolean to_head, char **headers, char **body);

/* Turns the loop until *flag. */
void test_turn_until(const gboolean *flag);
void test_turn(guint times);
guint test_count_fds(void);

#endif
