/* Does the service know the model and the key? Asked at the start, and again and again while the
 * answer is no. */
#include "language/service_priv.h"

#include <string.h>

typedef struct {
  MnkBackendChecked done;
  gpointer user;
} Checker;

/* ---- Faults that last ---- */

MnkFault *mnk_backend_explain(const MnkBackend *backend, const MnkFault *fault) {
  const MnkDialect *dialect = backend->dialect;
  const char *name = dialect->name;
  MnkFault *explained;
  switch (fault->status) {
  case 404:
  case 410:
    explained = mnk_fault_new(MNK_FAULT_LASTING, MNK_ERROR_CONFIG,
                              "%s does not know the model \"%s\": %s (%s)", name, backend->model,
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
  MnkBackend *backend = user;
  mnk_timer_clear(&backend->probe);
  mnk_backend_check(backend, NULL, NULL);
  return G_SOURCE_REMOVE;
}

static void probe_later(MnkBackend *backend) {
  mnk_timer_clear(&backend->probe);
  backend->probe = mnk_timer_new(backend->remote->config.probe_ms, on_probe, backend);
}

void mnk_backend_set_lasting(MnkBackend *backend, const MnkFault *fault) {
  MnkRemote *remote = backend->remote;
  if (!remote->lasting)
    mnk_warning("language", NULL, "event=backend-down backend=%s fault=\"%s\"",
                backend->dialect->name, fault->message);
  mnk_fault_free(remote->lasting);
  remote->lasting = mnk_fault_new(fault->kind, fault->code, "%s", fault->message);
  probe_later(backend);
}

static void set_well(MnkBackend *backend) {
  if (backend->remote->lasting)
    mnk_warning("language", NULL, "event=backend-up backend=%s", backend->dialect->name);
  g_clear_pointer(&backend->remote->lasting, mnk_fault_free);
  mnk_remote_note(backend->remote, NULL);
  mnk_timer_clear(&backend->probe);
  backend->checked = TRUE;
}

/* ---- The check ---- */

static void tell_checkers(MnkBackend *backend, const GError *error) {
  g_autoptr(GArray) checkers = backend->checkers;
  gboolean gone = FALSE;
  backend->checkers = g_array_new(FALSE, FALSE, sizeof(Checker));
  backend->gone = &gone;
  for (guint i = 0; i < checkers->len && !gone; i++) {
    const Checker *checker = &g_array_index(checkers, Checker, i);
    if (checker->done)
      checker->done(error, checker->user);
  }
  if (!gone)
    backend->gone = NULL;
}

static gboolean accept_check(GBytes *body, gpointer user, GError **error) {
  MnkBackend *backend = user;
  const MnkDialect *dialect = backend->dialect;
  gsize length = 0;
  const char *text = g_bytes_get_data(body, &length);
  g_autoptr(MnkJson) json =
      mnk_json_parse(text, length, NULL, dialect->lists_models ? NULL : error);
  if (!json)
    return dialect->lists_models;
  g_clear_error(&backend->judged);
  if (dialect->judge)
    dialect->judge(backend, mnk_json_root(json), &backend->judged);
  return TRUE;
}

/* The fault that lasts until somebody changes something, or NULL. */
static MnkFault *lasting_fault(MnkBackend *backend, const MnkFault *fault) {
  if (backend->judged)
    return mnk_fault_new(MNK_FAULT_LASTING, MNK_ERROR_CONFIG, "%s", backend->judged->message);
  if (!fault || fault->kind == MNK_FAULT_PASSING || fault->status == 0)
    return NULL;
  /* A service without a list of models may be as good as any. */
  if (backend->dialect->lists_models && (fault->status == 404 || fault->status == 405))
    return NULL;
  return mnk_backend_explain(backend, fault);
}

static gboolean is_well(const MnkBackend *backend, const MnkFault *fault) {
  return !fault || (backend->dialect->lists_models &&
                    (fault->status == 404 || fault->status == 405 || fault->status == 501));
}

static void on_checked(const MnkFault *fault, guint attempts, gpointer user) {
  MnkBackend *backend = user;
  g_autoptr(MnkFault) lasting = lasting_fault(backend, fault);
  g_autoptr(GError) error = NULL;
  backend->checking = NULL;
  g_clear_error(&backend->judged);
  if (lasting) {
    mnk_backend_set_lasting(backend, lasting);
    error = mnk_fault_to_error(lasting);
  } else if (is_well(backend, fault)) {
    set_well(backend);
  } else {
    error =
        g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s: %s", backend->dialect->name, fault->message);
    if (backend->remote->lasting)
      probe_later(backend);
  }
  tell_checkers(backend, error);
}

void mnk_backend_check(MnkBackend *backend, MnkBackendChecked done, gpointer user) {
  const MnkRemoteConfig *config = &backend->remote->config;
  Checker checker = {done, user};
  g_array_append_val(backend->checkers, checker);
  if (backend->checking)
    return;
  gint64 patience_ms = MIN(backend->deadline_ms, config->connect_ms + config->first_byte_ms);
  g_autoptr(GBytes) body =
      backend->check_body ? g_bytes_new(backend->check_body, strlen(backend->check_body)) : NULL;
  MnkExchangeConfig exchange = {.method = backend->check_method,
                                .url = backend->check_url,
                                .body = body,
                                .deadline_us = g_get_monotonic_time() + patience_ms * 1000,
                                .retries = MIN(config->retries, 1),
                                .check = TRUE,
                                .accept = accept_check,
                                .done = on_checked,
                                .user = backend};
  backend->checking = mnk_exchange_start(backend->remote, &exchange);
}

void mnk_backend_stop_checks(MnkBackend *backend) {
  if (backend->gone)
    *backend->gone = TRUE;
  mnk_exchange_cancel(backend->checking);
  mnk_timer_clear(&backend->probe);
  g_clear_error(&backend->judged);
  g_array_unref(backend->checkers);
}

GArray *mnk_backend_checkers_new(void) {
  return g_array_new(FALSE, FALSE, sizeof(Checker));
}
