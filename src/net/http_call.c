/* One call: what libcurl is told, and what it says. */
#include "net/http_call_priv.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>

enum {
  HEAD_MAX = 64 * 1024, /* all header fields of an answer, bytes */
};

/* ---- Progress, as libcurl tells it ---- */

static void enter(MnkHttpCall *call, MnkCallStage stage) {
  call->stage = stage;
  call->stage_us = g_get_monotonic_time();
}

/* Every address that libcurl is about to connect to comes through here. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
  MnkHttpCall *call = user;
  g_clear_error(&call->refused);
  if (purpose != CURLSOCKTYPE_IPCXN ||
      !mnk_address_policy_allows(call->policy, &address->addr, address->addrlen, &call->refused))
    return CURL_SOCKET_BAD;
  call->opened++;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* A connection that was kept may have been made under another call's policy. */
static gboolean may_use(MnkHttpCall *call, const char *host, int port) {
  g_autoptr(GSocketAddress) address =
      g_inet_socket_address_new_from_string(host, (guint)CLAMP(port, 0, G_MAXUINT16));
  struct sockaddr_storage native = {0};
  if (!address || !g_socket_address_to_native(address, &native, sizeof native, NULL))
    return FALSE;
  g_clear_error(&call->refused);
  return mnk_address_policy_allows(call->policy, (struct sockaddr *)&native,
                                   (socklen_t)g_socket_address_get_native_size(address),
                                   &call->refused);
}

/* The connection stands; the request goes out next. */
static int before_request(void *user, char *host, char *own_host, int port, int own_port) {
  MnkHttpCall *call = user;
  if (!may_use(call, host, port)) {
    call->opened = 0;
    return CURL_PREREQFUNC_ABORT;
  }
  enter(call, MNK_CALL_ASKED);
  return CURL_PREREQFUNC_OK;
}

static void note_answer(MnkHttpCall *call) {
  enter(call, MNK_CALL_ANSWERED);
  if (call->reply.first_byte_us == 0)
    call->reply.first_byte_us = call->stage_us - call->started_us;
}

static gsize take_header(char *bytes, gsize size, gsize n, void *user) {
  MnkHttpCall *call = user;
  note_answer(call);
  call->head_bytes += size * n;
  if (call->head_bytes <= HEAD_MAX)
    return size * n;
  g_set_error(&call->broken, MNK_ERROR, MNK_ERROR_LIMIT,
              "%s gave an answer with a head of more than %d bytes", call->origin, HEAD_MAX);
  return 0;
}

static gsize take_body(char *bytes, gsize size, gsize n, void *user) {
  MnkHttpCall *call = user;
  note_answer(call);
  if (mnk_buffer_append(call->body, bytes, size * n))
    return size * n;
  g_set_error(&call->broken, MNK_ERROR, MNK_ERROR_LIMIT,
              "%s gave an answer of more than %" G_GSIZE_FORMAT " bytes", call->origin,
              call->response_max);
  return 0;
}

/* ---- New ---- */

static gboolean has_header(const char *const *headers, const char *name) {
  gsize length = strlen(name);
  for (guint i = 0; headers && headers[i]; i++)
    if (g_ascii_strncasecmp(headers[i], name, length) == 0 && headers[i][length] == ':')
      return TRUE;
  return FALSE;
}

static void append_header(MnkHttpCall *call, const char *header) {
  struct curl_slist *list = curl_slist_append(call->headers, header);
  if (list)
    call->headers = list;
}

static void set_headers(MnkHttpCall *call, const MnkHttpCallConfig *config) {
  for (guint i = 0; config->headers && config->headers[i]; i++) {
    if (strpbrk(config->headers[i], "\r\n")) {
      if (!call->broken)
        g_set_error(&call->broken, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                    "A header field for %s has a line break in it", call->origin);
      continue;
    }
    append_header(call, config->headers[i]);
  }
  /* libcurl would add them of its own, and wait for an answer to the first. */
  append_header(call, "Expect:");
  if (!has_header(config->headers, "Content-Type"))
    append_header(call, "Content-Type:");
  curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static void set_method(MnkHttpCall *call, const MnkHttpCallConfig *config) {
  gsize length = 0;
  const char *bytes = config->body ? g_bytes_get_data(config->body, &length) : NULL;
  gboolean post = g_str_equal(config->method, "POST") || g_str_equal(config->method, "PUT");
  if (post || bytes) {
    call->sent = config->body ? g_bytes_ref(config->body) : NULL;
    curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, bytes ? bytes : "");
  }
  if (!g_str_equal(config->method, bytes || post ? "POST" : "GET"))
    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, config->method);
}

/* libcurl gets the URL as this program has read it, so that both mean the same host. */
static void set_url(MnkHttpCall *call, const char *text) {
  g_autoptr(MnkUrl) url = mnk_url_parse(text, &call->broken);
  if (!url) {
    call->origin = mnk_url_redacted(text);
    return;
  }
  gboolean tls = g_str_equal(url->scheme, "https");
  gboolean v6 = strchr(url->host, ':') != NULL;
  g_autofree char *port = url->port != (tls ? 443 : 80) ? g_strdup_printf(":%u", url->port) : NULL;
  call->origin = g_strdup_printf("%s://%s%s%s%s", url->scheme, v6 ? "[" : "", url->host,
                                 v6 ? "]" : "", port ? port : "");
  if (!tls && !g_str_equal(url->scheme, "http")) {
    g_set_error(&call->broken, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                "%s is neither an http nor an https address", call->origin);
    return;
  }
  g_autofree char *canonical = g_strconcat(call->origin, url->path, NULL);
  curl_easy_setopt(call->easy, CURLOPT_URL, canonical);
  curl_easy_setopt(call->easy, CURLOPT_USERNAME, url->user);
  curl_easy_setopt(call->easy, CURLOPT_PASSWORD, url->password);
}

/* What a call may never do, and what it always does. */
static void set_conduct(MnkHttpCall *call) {
  CURL *easy = call->easy;
  curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->detail);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* never waits for a resolving thread */
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "manako/" MNK_VERSION);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)G_MAXINT32); /* see due_us */
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
}

MnkHttpCall *mnk_http_call_new(const MnkHttpCallConfig *config, MnkHttpDone done, gpointer user) {
  MnkHttpCall *call = g_new0(MnkHttpCall, 1);
  call->done = done;
  call->part = config->part;
  call->user = user;
  call->policy = config->policy;
  call->connect_ms = config->connect_ms;
  call->first_byte_ms = config->first_byte_ms;
  call->idle_ms = config->idle_ms;
  call->total_ms = config->total_ms;
  call->response_max = config->response_max;
  call->body = mnk_buffer_new(config->response_max);
  call->started_us = call->stage_us = g_get_monotonic_time();
  call->easy = curl_easy_init();
  g_assert(call->easy);
  set_conduct(call);
  set_url(call, config->url);
  set_headers(call, config);
  set_method(call, config);
  return call;
}

void mnk_http_call_free(MnkHttpCall *call) {
  curl_easy_cleanup(call->easy);
  curl_slist_free_all(call->headers);
  g_clear_pointer(&call->sent, g_bytes_unref);
  g_clear_pointer(&call->reply.body, g_bytes_unref);
  g_clear_pointer(&call->body, mnk_buffer_free);
  g_clear_error(&call->refused);
  g_clear_error(&call->broken);
  g_free(call->origin);
  g_free(call);
}

/* ---- Deadlines ---- */

static gint64 stage_limit_ms(const MnkHttpCall *call) {
  switch (call->stage) {
  case MNK_CALL_WAITING:
    return 0;
  case MNK_CALL_CONNECTING:
    return call->connect_ms;
  case MNK_CALL_ASKED:
    return call->first_byte_ms;
  case MNK_CALL_ANSWERED:
    return call->idle_ms;
  }
  return 0;
}

gint64 mnk_http_call_due_us(const MnkHttpCall *call) {
  if (call->broken)
    return 0;
  gint64 stage = stage_limit_ms(call);
  gint64 due = stage > 0 ? call->stage_us + stage * 1000 : G_MAXINT64;
  return call->total_ms > 0 ? MIN(due, call->started_us + call->total_ms * 1000) : due;
}

GError *mnk_http_call_late(const MnkHttpCall *call) {
  static const char *const whats[] = {
      [MNK_CALL_CONNECTING] = "took no connection",
      [MNK_CALL_ASKED] = "began no answer",
      [MNK_CALL_ANSWERED] = "sent nothing more of its answer",
  };
  if (call->broken)
    return g_error_copy(call->broken);
  gint64 stage = stage_limit_ms(call);
  gint64 now = g_get_monotonic_time();
  if (stage > 0 && call->stage_us + stage * 1000 <= now)
    return g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s %s within %.3g s", call->origin,
                       whats[call->stage], (double)stage / 1000);
  return g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s gave no whole answer within %.3g s",
                     call->origin, (double)call->total_ms / 1000);
}

/* ---- Parts ---- */

gboolean mnk_http_call_has_part(const MnkHttpCall *call) {
  return call->part && mnk_buffer_length(call->body) > call->told;
}

void mnk_http_call_tell_part(MnkHttpCall *call) {
  gsize length = 0, told = call->told;
  const guint8 *bytes = mnk_buffer_bytes(call->body, &length);
  long status = 0;
  curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
  call->reply.status = (guint)status;
  call->told = length;
  call->part(&call->reply, (const char *)bytes + told, length - told, call->user);
}

/* ---- The end ---- */

static GError *unreachable(const MnkHttpCall *call) {
  long reason = 0;
  curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &reason);
  if (call->refused && call->opened == 0)
    return g_error_copy(call->refused);
  if (reason == ECONNREFUSED)
    return g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s refused the connection", call->origin);
  return g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s cannot be reached%s%s", call->origin,
                     reason ? ": " : "", reason ? g_strerror((int)reason) : "");
}

static const char *what_failed(CURLcode code) {
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
    return "has a name that cannot be resolved";
  case CURLE_GOT_NOTHING:
  case CURLE_PARTIAL_FILE:
  case CURLE_RECV_ERROR:
  case CURLE_SEND_ERROR:
    return "closed the connection before its answer was whole";
  case CURLE_UNSUPPORTED_PROTOCOL:
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_BAD_CONTENT_ENCODING:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM:
    return "gave an answer that is not HTTP";
  case CURLE_SSL_CONNECT_ERROR:
    return "does not speak TLS as it should";
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_INVALIDCERTSTATUS:
    return "has a certificate that cannot be trusted";
  default:
    return NULL;
  }
}

static GError *explain(const MnkHttpCall *call, CURLcode code) {
  if (call->broken)
    return g_error_copy(call->broken);
  if (code == CURLE_COULDNT_CONNECT || code == CURLE_ABORTED_BY_CALLBACK)
    return unreachable(call);
  const char *what = what_failed(code);
  gboolean certificate = code == CURLE_PEER_FAILED_VERIFICATION && *call->detail;
  if (!what)
    return g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s cannot be asked: %s", call->origin,
                       curl_easy_strerror(code));
  return g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s %s%s%s", call->origin, what,
                     certificate ? ": " : "", certificate ? call->detail : "");
}

GError *mnk_http_call_conclude(MnkHttpCall *call, CURLcode code) {
  if (code != CURLE_OK || call->broken)
    return explain(call, code);
  long status = 0;
  curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
  gsize length = 0;
  MnkBuffer *body = g_steal_pointer(&call->body);
  const guint8 *bytes = mnk_buffer_bytes(body, &length);
  call->reply.status = (guint)status;
  call->reply.body =
      g_bytes_new_with_free_func(bytes, length, (GDestroyNotify)mnk_buffer_free, body);
  call->reply.total_us = g_get_monotonic_time() - call->started_us;
  return NULL;
}

const char *mnk_http_reply_header(const MnkHttpReply *reply, const char *name) {
  const MnkHttpCall *call = (const MnkHttpCall *)reply;
  struct curl_header *header = NULL;
  CURLHcode code = curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header);
  /* libcurl leaves the line's end in an empty value. */
  return code == CURLHE_OK ? header->value + strspn(header->value, " \t\r\n") : NULL;
}
