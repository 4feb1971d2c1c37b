/* Backends: the interface, which service it is, its state, and whose turn it is. */
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

static gboolean read_wish(MnkBackend *backend, const MnkSettings *settings, GError **error) {
  const char *wish = mnk_settings_string(settings, MNK_OPT_PROMPT);
  const char *path = mnk_settings_string(settings, MNK_OPT_PROMPT_FILE);
  backend->limits.wish = "";
  if (!wish && path) {
    g_autoptr(GError) cause = NULL;
    gsize length = 0;
    if (!g_file_get_contents(path, &backend->wish, &length, &cause)) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "--prompt-file: %s", cause->message);
      return FALSE;
    }
    if (length > WISH_FILE_BYTES || !g_utf8_validate(backend->wish, (gssize)length, NULL)) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                  "--prompt-file: %s must be text in UTF-8 of at most 16 KiB", path);
      return FALSE;
    }
  } else {
    backend->wish = g_strdup(wish ? wish : "");
  }
  backend->limits.wish = backend->wish;
  return TRUE;
}

static void read_limits(MnkBackend *backend, const MnkSettings *settings) {
  backend->limits.images_max = (guint)mnk_settings_int(settings, MNK_OPT_BACKEND_IMAGES);
  backend->limits.body_max = (gsize)mnk_settings_int(settings, MNK_OPT_BACKEND_BODY);
  backend->limits.tokens_max = (guint)mnk_settings_int(settings, MNK_OPT_BACKEND_TOKENS);
  backend->limits.temperature = (float)mnk_settings_double(settings, MNK_OPT_TEMPERATURE);
  backend->deadline_ms = mnk_settings_int(settings, MNK_OPT_BACKEND_DEADLINE);
  backend->calls_max = (guint)mnk_settings_int(settings, MNK_OPT_BACKEND_CALLS);
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
static void warn_of_plain_key(const MnkBackend *backend) {
  g_autoptr(MnkUrl) url = mnk_url_parse(backend->caption_url, NULL);
  if (!url || !g_str_equal(url->scheme, "http") || !mnk_oauth_has_secret(backend->auth) ||
      g_str_equal(url->host, "localhost") || g_str_equal(url->host, "::1") ||
      g_str_has_prefix(url->host, "127."))
    return;
  mnk_warning("language", NULL, "event=key-over-plain-http backend=%s host=%s",
              backend->dialect->name, url->host);
}

static gboolean configure(MnkBackend *backend, const MnkSettings *settings, MnkHttpClient *client,
                          GError **error) {
  const MnkDialect *dialect = backend->dialect;
  MnkRemoteConfig config = {.name = dialect->name, .client = client};
  mnk_remote_read_config(&config, settings);
  g_autoptr(MnkAddressPolicy) policy =
      mnk_remote_policy(settings, is_named_by_operator(settings, dialect), error);
  if (!policy)
    return FALSE;
  backend->reach = (MnkReach){client, policy, config.connect_ms, config.first_byte_ms};
  read_limits(backend, settings);
  if (!read_wish(backend, settings, error) || !dialect->configure(backend, settings, error))
    return FALSE;
  warn_of_plain_key(backend);
  backend->remote =
      mnk_remote_new(&config, g_steal_pointer(&policy), g_steal_pointer(&backend->auth));
  return TRUE;
}

gboolean mnk_backend_new(const MnkSettings *settings, MnkHttpClient *client, MnkBackend **out,
                         GError **error) {
  *out = NULL;
  const MnkDialect *dialect = choose_dialect(settings);
  if (!dialect)
    return TRUE;
  g_autoptr(MnkBackend) backend = g_new0(MnkBackend, 1);
  backend->dialect = dialect;
  backend->active = g_ptr_array_new();
  backend->checkers = mnk_backend_checkers_new();
  if (!configure(backend, settings, client, error))
    return FALSE;
  *out = g_steal_pointer(&backend);
  return TRUE;
}

static void free_call(gpointer call) {
  mnk_call_free(call);
}

void mnk_backend_free(MnkBackend *backend) {
  if (!backend)
    return;
  mnk_backend_stop_checks(backend);
  mnk_timer_clear(&backend->pump);
  g_queue_clear_full(&backend->waiting, free_call);
  g_queue_clear_full(&backend->ending, free_call);
  g_ptr_array_foreach(backend->active, (GFunc)(void (*)(void))mnk_call_free, NULL);
  g_ptr_array_unref(backend->active);
  mnk_remote_free(backend->remote);
  mnk_oauth_free(backend->auth);
  g_free(backend->model);
  g_free(backend->caption_url);
  g_free(backend->check_url);
  g_free(backend->check_body);
  g_free(backend->wish);
  g_free(backend);
}

/* ---- What is known of it ---- */

const char *mnk_backend_name(const MnkBackend *backend) {
  return backend->dialect->name;
}

const char *mnk_backend_model(const MnkBackend *backend) {
  return backend->model;
}

guint mnk_backend_images_max(const MnkBackend *backend) {
  return backend->limits.images_max;
}

const char *mnk_backend_state_name(MnkBackendState state) {
  static const char *const names[] = {"unchecked", "ok", "degraded", "down"};
  return names[state];
}

MnkBackendState mnk_backend_state(const MnkBackend *backend) {
  const MnkRemote *remote = backend->remote;
  if (remote->lasting || mnk_breaker_is_open(&remote->breaker, g_get_monotonic_time()))
    return MNK_BACKEND_DOWN;
  if (remote->last_fault)
    return MNK_BACKEND_DEGRADED;
  return backend->checked ? MNK_BACKEND_OK : MNK_BACKEND_UNCHECKED;
}

const char *mnk_backend_detail(const MnkBackend *backend) {
  const MnkRemote *remote = backend->remote;
  if (remote->lasting)
    return remote->lasting->message;
  return remote->last_fault ? remote->last_fault : "";
}

void mnk_backend_counters(const MnkBackend *backend, MnkBackendCounters *out) {
  *out = backend->counters;
}

/* ---- Turns ---- */

static gboolean on_pump(gpointer user);

static void pump_after(MnkBackend *backend, gint64 delay_ms) {
  mnk_timer_clear(&backend->pump);
  backend->pump = mnk_timer_new(delay_ms, on_pump, backend);
}

/* Why a call whose turn it is gets none; NULL: it may go, or wait. */
static MnkFault *refusal(const MnkBackend *backend, const MnkCall *call, gint64 now_us) {
  const MnkRemote *remote = backend->remote;
  MnkFault *fault = NULL;
  if (remote->lasting)
    fault = mnk_fault_new(MNK_FAULT_LASTING, remote->lasting->code, "%s", remote->lasting->message);
  else if (mnk_breaker_is_open(&remote->breaker, now_us))
    fault = mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_SOURCE,
                          "too many calls failed in a row, so it is left alone for a while (%s)",
                          remote->last_fault ? remote->last_fault : "no answer");
  else if (remote->hold_until_us > now_us && remote->hold_until_us >= mnk_call_deadline_us(call))
    fault = mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_SOURCE,
                          "it asks to be left alone until after the batch's deadline (%s)",
                          remote->last_fault ? remote->last_fault : "no answer");
  if (fault)
    fault->refused = TRUE;
  return fault;
}

static gboolean on_pump(gpointer user) {
  MnkBackend *backend = user;
  mnk_timer_clear(&backend->pump);
  gint64 now_us = g_get_monotonic_time();
  while (!g_queue_is_empty(&backend->waiting)) {
    MnkCall *call = g_queue_peek_head(&backend->waiting);
    MnkFault *fault = refusal(backend, call, now_us);
    if (fault) {
      g_queue_push_tail(&backend->ending, g_queue_pop_head(&backend->waiting));
      mnk_call_refuse(call, fault);
      continue;
    }
    if (backend->active->len >= backend->calls_max)
      break;
    if (backend->remote->hold_until_us > now_us) {
      pump_after(backend, (backend->remote->hold_until_us - now_us) / 1000 + 1);
      break;
    }
    g_ptr_array_add(backend->active, g_queue_pop_head(&backend->waiting));
    mnk_call_start(call);
  }
  return G_SOURCE_REMOVE;
}

void mnk_backend_forget(MnkBackend *backend, MnkCall *call) {
  if (!g_ptr_array_remove_fast(backend->active, call) && !g_queue_remove(&backend->waiting, call))
    g_queue_remove(&backend->ending, call);
  pump_after(backend, 0);
}

void mnk_backend_caption(MnkBackend *backend, const MnkBatch *batch, MnkBackendDone done,
                         gpointer user) {
  MnkCall *call = mnk_call_new(backend, batch, done, user);
  backend->counters.calls++;
  if (g_queue_get_length(&backend->waiting) >= WAITING_PER_CALL * backend->calls_max) {
    MnkFault *fault =
        mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_LIMIT, "%u batches wait for it already",
                      g_queue_get_length(&backend->waiting));
    fault->refused = TRUE;
    g_queue_push_tail(&backend->ending, call);
    mnk_call_refuse(call, fault);
    return;
  }
  g_queue_push_tail(&backend->waiting, call);
  pump_after(backend, 0);
}

static void cancel_queued(GQueue *queue, gpointer user) {
  for (GList *link = queue->head; link;) {
    GList *next = link->next;
    MnkCall *call = link->data;
    if (mnk_call_is_of(call, user)) {
      g_queue_delete_link(queue, link);
      mnk_call_free(call);
    }
    link = next;
  }
}

void mnk_backend_cancel(MnkBackend *backend, gpointer user) {
  cancel_queued(&backend->waiting, user);
  cancel_queued(&backend->ending, user);
  for (guint i = backend->active->len; i > 0; i--) {
    MnkCall *call = backend->active->pdata[i - 1];
    if (!mnk_call_is_of(call, user))
      continue;
    g_ptr_array_remove_index(backend->active, i - 1);
    mnk_call_free(call);
  }
  pump_after(backend, 0);
}
