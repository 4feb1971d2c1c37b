/* Remote services: what all exchanges with one share. */
#include "language/remote_priv.h"
#include "wire/wire.h"

#include <string.h>

/* Retries that may be spent at once, and what each exchange earns: in the long run a tenth of them
 * may be tried again, so that a service in trouble is not drowned in retries. */
static const double RETRY_BUDGET = 10;

static const double latency_bounds_ms[] = {50,   100,  250,   500,   1000,  2000,
                                           4000, 8000, 15000, 30000, 60000, 120000};

/* ---- Timers ---- */

GSource *mnk_timer_new(gint64 delay_ms, GSourceFunc func, gpointer user) {
  GSource *timer = g_timeout_source_new((guint)CLAMP(delay_ms, 0, G_MAXINT));
  g_source_set_callback(timer, func, user, NULL);
  g_source_attach(timer, g_main_context_get_thread_default());
  return timer;
}

void mnk_timer_clear(GSource **timer) {
  if (!*timer)
    return;
  g_source_destroy(*timer);
  g_clear_pointer(timer, g_source_unref);
}

/* ---- Configuration ---- */

void mnk_remote_read_config(MnkRemoteConfig *config, const MnkSettings *settings) {
  config->connect_ms = mnk_settings_int(settings, MNK_OPT_BACKEND_CONNECT);
  config->first_byte_ms = mnk_settings_int(settings, MNK_OPT_BACKEND_FIRST_BYTE);
  config->backoff_ms = mnk_settings_int(settings, MNK_OPT_BACKEND_BACKOFF);
  config->probe_ms = mnk_settings_int(settings, MNK_OPT_BACKEND_PROBE);
  config->answer_max = (gsize)mnk_settings_int(settings, MNK_OPT_BACKEND_ANSWER);
  config->retries = (guint)mnk_settings_int(settings, MNK_OPT_BACKEND_RETRIES);
  config->breaker_failures = (guint)mnk_settings_int(settings, MNK_OPT_BACKEND_BREAKER);
  config->breaker_pause_ms = mnk_settings_int(settings, MNK_OPT_BACKEND_PAUSE);
}

static const char *url_fault(const char *text, const MnkUrl *url) {
  if (!g_str_equal(url->scheme, "http") && !g_str_equal(url->scheme, "https"))
    return "must begin with http:// or https://";
  if (url->user || url->password)
    return "must not hold a user or password";
  if (strpbrk(text, "?#"))
    return "must not have a query or fragment";
  return NULL;
}

char *mnk_remote_base_url(const char *url, MnkOptionId option, GError **error) {
  g_autoptr(GError) cause = NULL;
  g_autofree char *trimmed = g_strstrip(g_strdup(url));
  g_autoptr(MnkUrl) parsed = mnk_url_parse(trimmed, &cause);
  const char *fault = parsed ? url_fault(trimmed, parsed) : cause->message;
  if (fault) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "--%s: %s", mnk_option(option)->name, fault);
    return NULL;
  }
  for (gsize n = strlen(trimmed); n > 0 && trimmed[n - 1] == '/'; n--)
    trimmed[n - 1] = '\0';
  return g_steal_pointer(&trimmed);
}

MnkAddressPolicy *mnk_remote_policy(const MnkSettings *settings, gboolean named_by_operator,
                                    GError **error) {
  const char *listed = mnk_settings_string(settings, MNK_OPT_OUTBOUND_ALLOW);
  gboolean some = listed && *listed;
  g_autofree char *list = g_strconcat(some ? listed : "", some && named_by_operator ? ", " : "",
                                      named_by_operator ? "any" : "", NULL);
  return mnk_address_policy_new(list, error);
}

/* ---- Life ---- */

MnkRemote *mnk_remote_new(const MnkRemoteConfig *config, MnkAddressPolicy *policy, MnkOauth *auth) {
  MnkRemote *remote = g_new0(MnkRemote, 1);
  remote->config = *config;
  remote->policy = policy;
  remote->auth = auth;
  remote->breaker.limit = config->breaker_failures;
  remote->breaker.pause_us = config->breaker_pause_ms * 1000;
  remote->retry_budget = RETRY_BUDGET;
  g_autofree char *labels = g_strdup_printf("backend=\"%s\"", config->name);
  remote->latency =
      mnk_histogram("backend_latency_ms", "Time of each attempt at a remote model, in milliseconds",
                    labels, latency_bounds_ms, G_N_ELEMENTS(latency_bounds_ms));
  return remote;
}

void mnk_remote_free(MnkRemote *remote) {
  if (!remote)
    return;
  mnk_oauth_free(remote->auth);
  mnk_address_policy_unref(remote->policy);
  mnk_fault_free(remote->lasting);
  g_free(remote->last_fault);
  g_free(remote);
}

void mnk_remote_note(MnkRemote *remote, const char *fault) {
  g_autofree char *kept = g_strdup(fault);
  g_free(remote->last_fault);
  remote->last_fault = g_steal_pointer(&kept);
}

/* ---- Retries ---- */

void mnk_remote_earn_retry(MnkRemote *remote) {
  remote->retry_budget = MIN(RETRY_BUDGET, remote->retry_budget + 0.1);
}

gboolean mnk_remote_spend_retry(MnkRemote *remote) {
  if (remote->retry_budget < 1)
    return FALSE;
  remote->retry_budget -= 1;
  remote->retries++;
  return TRUE;
}
