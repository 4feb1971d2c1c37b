/* Backends: the interface, whoever is behind it. */
#include "language/service_priv.h"

struct _MnkBackend {
  MnkBackendClass klass;
  gpointer self;
};

gboolean mnk_backend_new(const MnkSettings *settings, MnkHttpClient *client, MnkBackend **out,
                         GError **error) {
  MnkRemoteBackend *service = NULL;
  *out = NULL;
  if (!mnk_remote_backend_new(settings, client, &service, error))
    return FALSE;
  if (!service)
    return TRUE;
  MnkBackendClass klass = mnk_remote_backend_class;
  klass.name = service->dialect->name;
  *out = mnk_backend_new_own(&klass, service);
  return TRUE;
}

MnkBackend *mnk_backend_new_own(const MnkBackendClass *klass, gpointer self) {
  MnkBackend *backend = g_new0(MnkBackend, 1);
  backend->klass = *klass;
  backend->self = self;
  return backend;
}

void mnk_backend_free(MnkBackend *backend) {
  if (!backend)
    return;
  backend->klass.free(backend->self);
  g_free(backend);
}

const char *mnk_backend_name(const MnkBackend *backend) {
  return backend->klass.name;
}

const char *mnk_backend_model(const MnkBackend *backend) {
  return backend->klass.model(backend->self);
}

guint mnk_backend_images_max(const MnkBackend *backend) {
  return backend->klass.images_max(backend->self);
}

const char *mnk_backend_state_name(MnkBackendState state) {
  static const char *const names[] = {"unchecked", "ok", "degraded", "down"};
  return names[state];
}

MnkBackendState mnk_backend_state(const MnkBackend *backend) {
  return backend->klass.state(backend->self);
}

const char *mnk_backend_detail(const MnkBackend *backend) {
  return backend->klass.detail(backend->self);
}

void mnk_backend_counters(const MnkBackend *backend, MnkBackendCounters *out) {
  backend->klass.counters(backend->self, out);
}

void mnk_backend_check(MnkBackend *backend, MnkBackendChecked done, gpointer user) {
  if (backend->klass.check) {
    backend->klass.check(backend->self, done, user);
    return;
  }
  g_autoptr(GError) error = NULL;
  if (mnk_backend_state(backend) == MNK_BACKEND_DOWN)
    error = g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s: %s", mnk_backend_name(backend),
                        mnk_backend_detail(backend));
  if (done)
    done(error, user);
}

void mnk_backend_caption(MnkBackend *backend, const MnkBatch *batch, MnkBackendDone done,
                         gpointer user) {
  backend->klass.caption(backend->self, batch, done, user);
}

void mnk_backend_ask(MnkBackend *backend, const MnkBackendQuestion *question,
                     const MnkBackendTalk *talk, gpointer user) {
  backend->klass.ask(backend->self, question, talk, user);
}

void mnk_backend_cancel(MnkBackend *backend, gpointer user) {
  backend->klass.cancel(backend->self, user);
}
