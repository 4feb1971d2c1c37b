/* Remote services as backends: which one it is, its state, and whose turn it is. */
#include "language/service_priv.h"

#include <string.h>

/* Batches that may wait for each request that may run; more means that the service cannot follow.
 */
enum { WAITING_PER_CALL = 64, WISH_FILE_BYTES = 16384 };

static const MnkDialect *const dialects[] = {&mnk_dialect_gemini, &mnk_dialect_vertex,
                                             &mnk_dialect_openai};

/* ---- Making one ---- */

/* NULL: the template is enough. */
static const MnkDialect *choose_dialect(const MnkSettings *settings) {
  const char *name = mnk_settings_string(settings, MNK_OPT_BACKEND);
  gboolean automatic = !name || g_str_equal(name, "auto");
  for (guint i = 0; i < G_N_ELEMENTS(dialects); i++)
    if (automatic ? dialects[i]->is_configured(settings) : g_str_equal(name, dialects[i]->name))
      return dialects[i];
  return NULL;
}

static gboolean read_wish(MnkRemoteBackend *service, const MnkSettings *settings, GError **error) {
  const char *wish = mnk_settings_string(settings, MNK_OPT_PROMPT);
  const char *path = mnk_settings_string(settings, MNK_OPT_PROMPT_FILE);
  service->limits.wish = "";
  if (!wish && path) {
    g_autoptr(GError) cause = NULL;
    gsize length = 0;
    if (!g_file_get_contents(path, &service->wish, &length, &cause)) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "--prompt-file: %s", cause->message);
      return FALSE;
    }
    if (length > WISH_FILE_BYTES || !g_utf8_validate(service->wish, (gssize)length, NULL)) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                  "--prompt-file: %s must be text in UTF-8 of at most 16 KiB", path);
      return FALSE;
    }
  } else {
    service->wish = g_strdup(wish ? wish : "");
  }
  service->limits.wish = service->wish;
  return TRUE;
}

static void read_limits(MnkRemoteBackend *service, const MnkSettings *settings) {
  service->limits.images_max = (guint)mnk_settings_int(settings, MNK_OPT_BACKEND_IMAGES);
  service->limits.body_max = (gsize)mnk_settings_int(settings, MNK_OPT_BACKEND_BODY);
  service->limits.tokens_max = (guint)mnk_settings_int(settings, MNK_OPT_BACKEND_TOKENS);
  service->limits.temperature = (float)mnk_settings_double(settings, MNK_OPT_TEMPERATURE);
  service->deadline_ms = mnk_settings_int(settings, MNK_OPT_BACKEND_DEADLINE);
  service->calls_max = (guint)mnk_settings_int(settings, MNK_OPT_BACKEND_CALLS);
}

static gboolean is_named_by_operator(const MnkSettings *settings, const MnkDialect *dialect) {
  if (dialect == &mnk_dialect_openai)
    return TRUE;
  if (dialect == &mnk_dialect_gemini)
    return mnk_settings_is_set(settings, MNK_OPT_GEMINI_URL);
  return mnk_settings_is_set(settings, MNK_OPT_VERTEX_URL) ||
         mnk_settings_is_set(settings, MNK_OPT_VERTEX_TOKEN_URL);
}

/* A key over plain HTTP can be read on the way; on this machine there is no way. */
static void warn_of_plain_key(const MnkRemoteBackend *service) {
  g_autoptr(MnkUrl) url = mnk_url_parse(service->caption_url, NULL);
  if (!url || !g_str_equal(url->scheme, "http") || !mnk_oauth_has_secret(service->auth) ||
      g_str_equal(url->host, "localhost") || g_str_equal(url->host, "::1") ||
      g_str_has_prefix(url->host, "127."))
    return;
  mnk_warning("language", NULL, "event=key-over-plain-http backend=%s host=%s",
              service->dialect->name, url->host);
}

static gboolean configure(MnkRemoteBackend *service, const MnkSettings *settings,
                          MnkHttpClient *client, GError **error) {
  const MnkDialect *dialect = service->dialect;
  MnkRemoteConfig config = {.name = dialect->name, .client = client};
  mnk_remote_read_config(&config, settings);
  g_autoptr(MnkAddressPolicy) policy =
      mnk_remote_policy(settings, is_named_by_operator(settings, dialect), error);
  if (!policy)
    return FALSE;
  service->reach = (MnkReach){client, policy, config.connect_ms, config.first_byte_ms};
  read_limits(service, settings);
  if (!read_wish(service, settings, error) || !dialect->configure(service, settings, error))
    return FALSE;
  warn_of_plain_key(service);
  service->remote =
      mnk_remote_new(&config, g_steal_pointer(&policy), g_steal_pointer(&service->auth));
  return TRUE;
}

gboolean mnk_remote_backend_new(const MnkSettings *settings, MnkHttpClient *client,
                                MnkRemoteBackend **out, GError **error) {
  *out = NULL;
  const MnkDialect *dialect = choose_dialect(settings);
  if (!dialect)
    return TRUE;
  g_autoptr(MnkRemoteBackend) service = g_new0(MnkRemoteBackend, 1);
  service->dialect = dialect;
  service->poll_form.form = MNK_FORM_WHOLE | MNK_FORM_GRADED;
  service->active = g_ptr_array_new();
  service->checkers = mnk_remote_backend_checkers_new();
  if (!configure(service, settings, client, error))
    return FALSE;
  *out = g_steal_pointer(&service);
  return TRUE;
}

static void free_call(gpointer call) {
  mnk_remote_call_free(call);
}

void mnk_remote_backend_free(MnkRemoteBackend *service) {
  if (!service)
    return;
  mnk_remote_backend_stop_checks(service);
  mnk_timer_clear(&service->pump);
  g_queue_clear_full(&service->waiting, free_call);
  g_queue_clear_full(&service->ending, free_call);
  g_ptr_array_foreach(service->active, (GFunc)(void (*)(void))mnk_remote_call_free, NULL);
  g_ptr_array_unref(service->active);
  mnk_remote_free(service->remote);
  mnk_oauth_free(service->auth);
  g_free(service->model);
  g_free(service->caption_url);
  g_free(service->stream_url);
  g_free(service->check_url);
  g_free(service->check_body);
  g_free(service->wish);
  g_free(service);
}

/* ---- What is known of it ---- */

static const char *model(gpointer self) {
  const MnkRemoteBackend *service = self;
  return service->model;
}

static guint images_max(gpointer self) {
  const MnkRemoteBackend *service = self;
  return service->limits.images_max;
}

static MnkBackendState state(gpointer self) {
  const MnkRemoteBackend *service = self;
  const MnkRemote *remote = service->remote;
  if (remote->lasting || mnk_breaker_is_open(&remote->breaker, g_get_monotonic_time()))
    return MNK_BACKEND_DOWN;
  if (remote->last_fault)
    return MNK_BACKEND_DEGRADED;
  return service->checked ? MNK_BACKEND_OK : MNK_BACKEND_UNCHECKED;
}

static const char *detail(gpointer self) {
  const MnkRemoteBackend *service = self;
  const MnkRemote *remote = service->remote;
  if (remote->lasting)
    return remote->lasting->message;
  return remote->last_fault ? remote->last_fault : "";
}

static void counters(gpointer self, MnkBackendCounters *out) {
  const MnkRemoteBackend *service = self;
  *out = service->counters;
}

/* ---- Turns ---- */

static gboolean on_pump(gpointer user);

static void pump_after(MnkRemoteBackend *service, gint64 delay_ms) {
  mnk_timer_clear(&service->pump);
  service->pump = mnk_timer_new(delay_ms, on_pump, service);
}

/* Why a call whose turn it is gets none; NULL: it may go, or wait. */
static MnkFault *refusal(const MnkRemoteBackend *service, const MnkRemoteCall *call,
                         gint64 now_us) {
  const MnkRemote *remote = service->remote;
  MnkFault *fault = NULL;
  if (remote->lasting)
    fault = mnk_fault_new(MNK_FAULT_LASTING, remote->lasting->code, "%s", remote->lasting->message);
  else if (mnk_breaker_is_open(&remote->breaker, now_us))
    fault = mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_SOURCE,
                          "too many calls failed in a row, so it is left alone for a while (%s)",
                          remote->last_fault ? remote->last_fault : "no answer");
  else if (remote->hold_until_us > now_us && remote->hold_until_us >= call->deadline_us)
    fault = mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_SOURCE,
                          "it asks to be left alone until after the %s's deadline (%s)",
                          call->kind->what, remote->last_fault ? remote->last_fault : "no answer");
  if (fault)
    fault->refused = TRUE;
  return fault;
}

static gboolean on_pump(gpointer user) {
  MnkRemoteBackend *service = user;
  mnk_timer_clear(&service->pump);
  gint64 now_us = g_get_monotonic_time();
  while (!g_queue_is_empty(&service->waiting)) {
    MnkRemoteCall *call = g_queue_peek_head(&service->waiting);
    MnkFault *fault = refusal(service, call, now_us);
    if (fault) {
      g_queue_push_tail(&service->ending, g_queue_pop_head(&service->waiting));
      mnk_remote_call_refuse(call, fault);
      continue;
    }
    if (service->active->len >= service->calls_max)
      break;
    if (service->remote->hold_until_us > now_us) {
      pump_after(service, (service->remote->hold_until_us - now_us) / 1000 + 1);
      break;
    }
    g_ptr_array_add(service->active, g_queue_pop_head(&service->waiting));
    mnk_remote_call_start(call);
  }
  return G_SOURCE_REMOVE;
}

void mnk_remote_backend_forget(MnkRemoteBackend *service, MnkRemoteCall *call) {
  if (!g_ptr_array_remove_fast(service->active, call) && !g_queue_remove(&service->waiting, call))
    g_queue_remove(&service->ending, call);
  pump_after(service, 0);
}

/* Behind those that are as urgent. */
static void queue_call(MnkRemoteBackend *service, MnkRemoteCall *call) {
  GList *before = service->waiting.head;
  while (before && (!call->kind->urgent || ((const MnkRemoteCall *)before->data)->kind->urgent))
    before = before->next;
  g_queue_insert_before(&service->waiting, before, call);
}

static void take_call(MnkRemoteBackend *service, MnkRemoteCall *call) {
  guint waiting = g_queue_get_length(&service->waiting);
  service->counters.calls++;
  if (waiting >= WAITING_PER_CALL * service->calls_max) {
    MnkFault *fault = mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_LIMIT,
                                    "%u requests wait for it already", waiting);
    fault->refused = TRUE;
    g_queue_push_tail(&service->ending, call);
    mnk_remote_call_refuse(call, fault);
    return;
  }
  queue_call(service, call);
  pump_after(service, 0);
}

static void caption(gpointer self, const MnkBatch *batch, MnkBackendDone done, gpointer user) {
  take_call(self, mnk_remote_call_new_batch(self, batch, done, user));
}

static void ask(gpointer self, const MnkBackendQuestion *question, const MnkBackendTalk *talk,
                gpointer user) {
  take_call(self, mnk_remote_call_new_question(self, question, talk, user));
}

static void cancel_queued(GQueue *queue, gpointer user) {
  for (GList *link = queue->head; link;) {
    GList *next = link->next;
    MnkRemoteCall *call = link->data;
    if (call->user == user) {
      g_queue_delete_link(queue, link);
      mnk_remote_call_free(call);
    }
    link = next;
  }
}

static void cancel(gpointer self, gpointer user) {
  MnkRemoteBackend *service = self;
  cancel_queued(&service->waiting, user);
  cancel_queued(&service->ending, user);
  for (guint i = service->active->len; i > 0; i--) {
    MnkRemoteCall *call = service->active->pdata[i - 1];
    if (call->user != user)
      continue;
    g_ptr_array_remove_index(service->active, i - 1);
    mnk_remote_call_free(call);
  }
  pump_after(service, 0);
}

/* ---- The class ---- */

static void check(gpointer self, MnkBackendChecked done, gpointer user) {
  mnk_remote_backend_check(self, done, user);
}

static void free_service(gpointer self) {
  mnk_remote_backend_free(self);
}

/* Its name is the dialect's. */
const MnkBackendClass mnk_remote_backend_class = {
    .caption = caption,
    .ask = ask,
    .cancel = cancel,
    .check = check,
    .state = state,
    .detail = detail,
    .model = model,
    .images_max = images_max,
    .counters = counters,
    .free = free_service,
};
