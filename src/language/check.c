/* Does the service know the model and the key? Asked at the start, and again and again while the
 * answer is no. */
#include "language/service_priv.h"

#include <string.h>

typedef struct {
  MnkBackendChecked done;
  gpointer user;
} Checker;

/* ---- Faults that last ---- */

MnkFault *mnk_remote_backend_explain(const MnkRemoteBackend *service, const MnkFault *fault) {
  const MnkDialect *dialect = service->dialect;
  const char *name = dialect->name;
  MnkFault *explained;
  switch (fault->status) {
  case 404:
  case 410:
    explained = mnk_fault_new(MNK_FAULT_LASTING, MNK_ERROR_CONFIG,
                              "%s does not know the model \"%s\": %s (%s)", name, service->model,
                              dialect->model_hint, fault->message);
    break;
  case 400:
  case 401:
  case 403:
    explained = mnk_fault_new(MNK_FAULT_LASTING, MNK_ERROR_CONFIG,
                              "%s refused the key or the account: %s (%s)", name, dialect->key_hint,
                              fault->message);
    break;
  default:
    explained = mnk_fault_new(MNK_FAULT_LASTING, MNK_ERROR_CONFIG, "%s: %s", name, fault->message);
  }
  explained->status = fault->status;
  return explained;
}

static gboolean on_probe(gpointer user) {
  MnkRemoteBackend *service = user;
  mnk_timer_clear(&service->probe);
  mnk_remote_backend_check(service, NULL, NULL);
  return G_SOURCE_REMOVE;
}

static void probe_later(MnkRemoteBackend *service) {
  mnk_timer_clear(&service->probe);
  service->probe = mnk_timer_new(service->remote->config.probe_ms, on_probe, service);
}

void mnk_remote_backend_set_lasting(MnkRemoteBackend *service, const MnkFault *fault) {
  MnkRemote *remote = service->remote;
  if (!remote->lasting)
    mnk_warning("language", NULL, "event=backend-down backend=%s fault=\"%s\"",
                service->dialect->name, fault->message);
  mnk_fault_free(remote->lasting);
  remote->lasting = mnk_fault_new(fault->kind, fault->code, "%s", fault->message);
  probe_later(service);
}

static void set_well(MnkRemoteBackend *service) {
  if (service->remote->lasting)
    mnk_warning("language", NULL, "event=backend-up backend=%s", service->dialect->name);
  g_clear_pointer(&service->remote->lasting, mnk_fault_free);
  mnk_remote_note(service->remote, NULL);
  mnk_timer_clear(&service->probe);
  service->checked = TRUE;
}

/* ---- The check ---- */

static void tell_checkers(MnkRemoteBackend *service, const GError *error) {
  g_autoptr(GArray) checkers = service->checkers;
  gboolean gone = FALSE;
  service->checkers = g_array_new(FALSE, FALSE, sizeof(Checker));
  service->gone = &gone;
  for (guint i = 0; i < checkers->len && !gone; i++) {
    const Checker *checker = &g_array_index(checkers, Checker, i);
    if (checker->done)
      checker->done(error, checker->user);
  }
  if (!gone)
    service->gone = NULL;
}

static gboolean accept_check(GBytes *body, gpointer user, GError **error) {
  MnkRemoteBackend *service = user;
  const MnkDialect *dialect = service->dialect;
  gsize length = 0;
  const char *text = g_bytes_get_data(body, &length);
  g_autoptr(MnkJson) json =
      mnk_json_parse(text, length, NULL, dialect->lists_models ? NULL : error);
  if (!json)
    return dialect->lists_models;
  g_clear_error(&service->judged);
  if (dialect->judge)
    dialect->judge(service, mnk_json_root(json), &service->judged);
  return TRUE;
}

/* The fault that lasts until somebody changes something, or NULL. */
static MnkFault *lasting_fault(MnkRemoteBackend *service, const MnkFault *fault) {
  if (service->judged)
    return mnk_fault_new(MNK_FAULT_LASTING, MNK_ERROR_CONFIG, "%s", service->judged->message);
  if (!fault || fault->kind == MNK_FAULT_PASSING || fault->status == 0)
    return NULL;
  /* A service without a list of models may be as good as any. */
  if (service->dialect->lists_models && (fault->status == 404 || fault->status == 405))
    return NULL;
  return mnk_remote_backend_explain(service, fault);
}

static gboolean is_well(const MnkRemoteBackend *service, const MnkFault *fault) {
  return !fault || (service->dialect->lists_models &&
                    (fault->status == 404 || fault->status == 405 || fault->status == 501));
}

static void on_checked(const MnkFault *fault, guint attempts, gpointer user) {
  MnkRemoteBackend *service = user;
  g_autoptr(MnkFault) lasting = lasting_fault(service, fault);
  g_autoptr(GError) error = NULL;
  service->checking = NULL;
  g_clear_error(&service->judged);
  if (lasting) {
    mnk_remote_backend_set_lasting(service, lasting);
    error = mnk_fault_to_error(lasting);
  } else if (is_well(service, fault)) {
    set_well(service);
  } else {
    error =
        g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s: %s", service->dialect->name, fault->message);
    if (service->remote->lasting)
      probe_later(service);
  }
  tell_checkers(service, error);
}

void mnk_remote_backend_check(MnkRemoteBackend *service, MnkBackendChecked done, gpointer user) {
  const MnkRemoteConfig *config = &service->remote->config;
  Checker checker = {done, user};
  g_array_append_val(service->checkers, checker);
  if (service->checking)
    return;
  gint64 patience_ms = MIN(service->deadline_ms, config->connect_ms + config->first_byte_ms);
  g_autoptr(GBytes) body =
      service->check_body ? g_bytes_new(service->check_body, strlen(service->check_body)) : NULL;
  MnkExchangeConfig exchange = {.method = service->check_method,
                                .url = service->check_url,
                                .body = body,
                                .deadline_us = g_get_monotonic_time() + patience_ms * 1000,
                                .retries = MIN(config->retries, 1),
                                .check = TRUE,
                                .accept = accept_check,
                                .done = on_checked,
                                .user = service};
  service->checking = mnk_exchange_start(service->remote, &exchange);
}

void mnk_remote_backend_stop_checks(MnkRemoteBackend *service) {
  if (service->gone)
    *service->gone = TRUE;
  mnk_exchange_cancel(service->checking);
  mnk_timer_clear(&service->probe);
  g_clear_error(&service->judged);
  g_array_unref(service->checkers);
}

GArray *mnk_remote_backend_checkers_new(void) {
  return g_array_new(FALSE, FALSE, sizeof(Checker));
}
