#include "client.h"

ClientServer *client_server_new(const char *options) {
  g_autofree char *script = g_test_build_filename(G_TEST_DIST, "client_server.py", NULL);
  g_autofree char *line = g_strdup_printf("python3 %s %s", script, options);
  g_auto(GStrv) argv = NULL;
  g_autoptr(GError) error = NULL;
  g_assert_true(g_shell_parse_argv(line, NULL, &argv, &error));
  GSubprocess *process =
      g_subprocess_newv((const char *const *)argv,
                        G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error);
  g_assert_no_error(error);
  g_autoptr(GDataInputStream) out = g_data_input_stream_new(g_subprocess_get_stdout_pipe(process));
  g_autofree char *port = g_data_input_stream_read_line(out, NULL, NULL, &error);
  g_assert_no_error(error);
  g_assert_nonnull(port);
  ClientServer *server = g_new0(ClientServer, 1);
  server->process = process;
  server->port = (guint)g_ascii_strtoull(port, NULL, 10);
  return server;
}

void client_server_free(ClientServer *server) {
  g_subprocess_force_exit(server->process);
  g_subprocess_wait(server->process, NULL, NULL);
  g_object_unref(server->process);
  g_free(server);
}

void client_result_clear(ClientResult *result) {
  g_clear_pointer(&result->body, g_bytes_unref);
  g_clear_pointer(&result->header, g_free);
  g_clear_error(&result->error);
  result->calls = result->status = 0;
}

MnkHttpCallConfig client_config(const char *url, const MnkAddressPolicy *policy) {
  return (MnkHttpCallConfig){
      .method = "GET",
      .url = url,
      .connect_ms = 20000,
      .first_byte_ms = 20000,
      .total_ms = 20000,
      .idle_ms = 20000,
      .response_max = 1 << 20,
      .policy = policy,
  };
}

static void take(const MnkHttpReply *reply, const GError *error, gpointer user) {
  ClientResult *result = user;
  g_assert_true((reply == NULL) != (error == NULL));
  result->calls++;
  if (error) {
    g_test_message("%s", error->message);
    result->error = g_error_copy(error);
    return;
  }
  result->status = reply->status;
  result->body = g_bytes_ref(reply->body);
  result->first_byte_us = reply->first_byte_us;
  result->total_us = reply->total_us;
  if (result->header_name)
    result->header = g_strdup(mnk_http_reply_header(reply, result->header_name));
}

void client_start(MnkHttpClient *client, const MnkHttpCallConfig *config, ClientResult *result) {
  g_assert_nonnull(mnk_http_client_call(client, config, take, result));
  g_assert_cmpuint(result->calls, ==, 0);
}

void client_wait(const ClientResult *result) {
  while (result->calls == 0)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpuint(result->calls, ==, 1);
}
