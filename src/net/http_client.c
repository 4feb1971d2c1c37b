/* The client's loop: libcurl says which sockets it waits for and when it wants to be called; one
 * GSource holds them all, and the calls' own deadlines. */
#include "net/http_client.h"

#include <gio/gio.h>
#include <glib-unix.h>

#include "net/http_call_priv.h"

typedef struct {
  GSource source;
  MnkHttpClient *client;
} Loop;

struct _MnkHttpClient {
  int references; /* its owner, and each dispatch that runs */
  gboolean closed;
  CURLM *multi;
  Loop *loop;
  GHashTable *sockets;     /* descriptor to its tag in the loop */
  gint64 curl_due_us;      /* monotonic; G_MAXINT64: never */
  GQueue waiting, running; /* MnkHttpCall */
  guint connections_max;
};

/* ---- The loop ---- */

static void schedule(MnkHttpClient *client) {
  gint64 due = client->curl_due_us;
  for (GList *l = client->running.head; l; l = l->next)
    due = MIN(due, mnk_http_call_due_us(l->data));
  for (GList *l = client->waiting.head; l; l = l->next)
    due = MIN(due, mnk_http_call_due_us(l->data));
  g_source_set_ready_time(&client->loop->source, due == G_MAXINT64 ? -1 : due);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *unused) {
  MnkHttpClient *client = user;
  GSource *source = &client->loop->source;
  GIOCondition condition = (what & CURL_POLL_IN ? G_IO_IN : 0) |
                           (what & CURL_POLL_OUT ? G_IO_OUT : 0) | G_IO_ERR | G_IO_HUP;
  gpointer tag = g_hash_table_lookup(client->sockets, GINT_TO_POINTER(fd));
  if (what == CURL_POLL_REMOVE) {
    if (tag)
      g_source_remove_unix_fd(source, tag);
    g_hash_table_remove(client->sockets, GINT_TO_POINTER(fd));
  } else if (tag) {
    g_source_modify_unix_fd(source, tag, condition);
  } else {
    tag = g_source_add_unix_fd(source, fd, condition);
    g_hash_table_insert(client->sockets, GINT_TO_POINTER(fd), tag);
  }
  return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *user) {
  MnkHttpClient *client = user;
  client->curl_due_us =
      timeout_ms < 0 ? G_MAXINT64 : g_get_monotonic_time() + (gint64)timeout_ms * 1000;
  return 0;
}

/* ---- Calls begin and end ---- */

static void finish(MnkHttpClient *client, MnkHttpCall *call, GError *error) {
  g_autoptr(GError) owned = error;
  GQueue *queue = call->stage == MNK_CALL_WAITING ? &client->waiting : &client->running;
  if (call->stage != MNK_CALL_WAITING)
    curl_multi_remove_handle(client->multi, call->easy);
  g_queue_remove(queue, call);
  call->done(owned ? NULL : &call->reply, owned, call->user);
  mnk_http_call_free(call);
}

static void start_waiting(MnkHttpClient *client) {
  while (client->running.length < client->connections_max && client->waiting.length > 0) {
    MnkHttpCall *call = g_queue_peek_head(&client->waiting);
    if (call->broken) /* the next turn of the loop ends it */
      return;
    g_queue_pop_head(&client->waiting);
    g_queue_push_tail(&client->running, call);
    call->stage = MNK_CALL_CONNECTING;
    call->stage_us = g_get_monotonic_time();
    curl_multi_add_handle(client->multi, call->easy);
  }
}

static void finish_completed(MnkHttpClient *client) {
  CURLMsg *message;
  int left;
  while (!client->closed && (message = curl_multi_info_read(client->multi, &left))) {
    char *call = NULL;
    CURLcode code = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
    finish(client, (MnkHttpCall *)(gpointer)call,
           mnk_http_call_conclude((MnkHttpCall *)(gpointer)call, code));
  }
}

static MnkHttpCall *find_part(GQueue *calls) {
  for (GList *l = calls->head; l; l = l->next)
    if (mnk_http_call_has_part(l->data))
      return l->data;
  return NULL;
}

/* Outside of libcurl, so that calls may be cancelled and started from within; looks anew after
 * each. */
static void tell_parts(MnkHttpClient *client) {
  MnkHttpCall *call;
  while (!client->closed && (call = find_part(&client->running)))
    mnk_http_call_tell_part(call);
}

static MnkHttpCall *find_late(GQueue *calls, gint64 now_us) {
  for (GList *l = calls->head; l; l = l->next)
    if (mnk_http_call_due_us(l->data) <= now_us)
      return l->data;
  return NULL;
}

/* A done may cancel or start other calls: looks anew after each. */
static void finish_late(MnkHttpClient *client) {
  gint64 now_us = g_get_monotonic_time();
  MnkHttpCall *call;
  while (!client->closed && ((call = find_late(&client->running, now_us)) ||
                             (call = find_late(&client->waiting, now_us))))
    finish(client, call, mnk_http_call_late(call));
}

static void attend_sockets(MnkHttpClient *client) {
  guint n;
  g_autofree gpointer *fds = g_hash_table_get_keys_as_array(client->sockets, &n);
  for (guint i = 0; i < n; i++) {
    gpointer tag = g_hash_table_lookup(client->sockets, fds[i]);
    GIOCondition ready = tag ? g_source_query_unix_fd(&client->loop->source, tag) : 0;
    int events = (ready & (G_IO_IN | G_IO_HUP) ? CURL_CSELECT_IN : 0) |
                 (ready & G_IO_OUT ? CURL_CSELECT_OUT : 0) |
                 (ready & G_IO_ERR ? CURL_CSELECT_ERR : 0);
    int running;
    if (events)
      curl_multi_socket_action(client->multi, GPOINTER_TO_INT(fds[i]), events, &running);
  }
}

static void unref(MnkHttpClient *client);

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer user) {
  MnkHttpClient *client = ((Loop *)source)->client;
  client->references++;
  attend_sockets(client);
  if (client->curl_due_us <= g_get_monotonic_time()) {
    int running;
    client->curl_due_us = G_MAXINT64;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  tell_parts(client);
  finish_completed(client);
  finish_late(client);
  if (!client->closed) {
    start_waiting(client);
    schedule(client);
  }
  unref(client);
  return G_SOURCE_CONTINUE;
}

/* ---- Public ---- */

static gpointer setup_once(gpointer unused) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  if (!(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS))
    mnk_warning("net", NULL,
                "event=blocking_resolver message=\"this libcurl resolves names in the "
                "calling thread\"");
  return NULL;
}

MnkHttpClient *mnk_http_client_new(guint connections_max) {
  static GOnce once = G_ONCE_INIT;
  static GSourceFuncs functions = {.dispatch = dispatch};
  g_return_val_if_fail(connections_max > 0, NULL);
  g_once(&once, setup_once, NULL);
  MnkHttpClient *client = g_new0(MnkHttpClient, 1);
  client->references = 1;
  client->connections_max = connections_max;
  client->curl_due_us = G_MAXINT64;
  client->sockets = g_hash_table_new(NULL, NULL);
  client->multi = curl_multi_init();
  g_assert(client->multi);
  curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
  curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
  curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
  curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
  curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)connections_max);
  client->loop = (Loop *)g_source_new(&functions, sizeof(Loop));
  client->loop->client = client;
  g_source_set_name(&client->loop->source, "HTTP client");
  g_source_attach(&client->loop->source, g_main_context_get_thread_default());
  return client;
}

static void unref(MnkHttpClient *client) {
  if (--client->references > 0)
    return;
  curl_multi_cleanup(client->multi);
  g_hash_table_unref(client->sockets);
  g_source_unref((GSource *)client->loop);
  g_free(client);
}

void mnk_http_client_free(MnkHttpClient *client) {
  if (!client)
    return;
  client->closed = TRUE;
  MnkHttpCall *call;
  while ((call = g_queue_peek_head(&client->running)) ||
         (call = g_queue_peek_head(&client->waiting)))
    finish(client, call, g_error_new(MNK_ERROR, MNK_ERROR_CANCELLED, "The call was cancelled"));
  g_source_destroy(&client->loop->source);
  unref(client);
}

MnkHttpCall *mnk_http_client_call(MnkHttpClient *client, const MnkHttpCallConfig *config,
                                  MnkHttpDone done, gpointer user) {
  g_return_val_if_fail(client && config && config->method && config->url && config->policy, NULL);
  if (client->closed)
    return NULL;
  MnkHttpCall *call = mnk_http_call_new(config, done, user);
  call->client = client;
  g_queue_push_tail(&client->waiting, call);
  start_waiting(client);
  schedule(client);
  return call;
}

void mnk_http_call_cancel(MnkHttpCall *call) {
  MnkHttpClient *client = call->client;
  gboolean waiting = call->stage == MNK_CALL_WAITING;
  if (!waiting)
    curl_multi_remove_handle(client->multi, call->easy);
  g_queue_remove(waiting ? &client->waiting : &client->running, call);
  mnk_http_call_free(call);
  if (!client->closed)
    start_waiting(client);
  schedule(client);
}
