/* Calls: one batch or one question on its way, by exchanges until there is an answer, to one end.
 */
#include "language/service_priv.h"

#include <string.h>

static const char *const outcome_names[] = {"ok", "failed", "stale", "refused"};

void mnk_reply_clear(MnkReply *reply) {
  g_free(reply->text);
  g_free(reply->blocked);
  g_free(reply->model);
  *reply = (MnkReply){0};
}

void mnk_remote_call_free(MnkRemoteCall *call) {
  mnk_exchange_cancel(call->exchange);
  mnk_timer_clear(&call->timer);
  mnk_fault_free(call->refusal);
  mnk_prompt_free(call->prompt);
  mnk_reply_clear(&call->reply);
  call->kind->clear(call);
  g_free(call->stream);
  g_free(call);
}

char *mnk_remote_call_model(const MnkRemoteCall *call) {
  gboolean named = call->reply.model && *call->reply.model;
  return g_strdup(named ? call->reply.model : call->service->model);
}

/* ---- The end ---- */

void mnk_remote_call_end(MnkRemoteCall *call, MnkRemoteOutcome outcome) {
  MnkBackendCounters *counters = &call->service->counters;
  guint64 *const counts[] = {&counters->ok, &counters->failed, &counters->stale,
                             &counters->refused_by_breaker};
  (*counts[outcome])++;
  g_autofree char *labels = g_strdup_printf("backend=\"%s\",outcome=\"%s\"",
                                            call->service->dialect->name, outcome_names[outcome]);
  mnk_metric_add(
      mnk_counter("backend_calls_total", "Batches and questions given to a remote model", labels),
      1);
  mnk_remote_backend_forget(call->service, call);
}

void mnk_remote_call_fail(MnkRemoteCall *call, MnkRemoteOutcome outcome, const MnkFault *fault) {
  g_autoptr(GError) error = mnk_fault_to_error(fault);
  if (fault->kind != MNK_FAULT_LASTING)
    g_prefix_error(&error, "%s: ", call->service->dialect->name);
  mnk_info("language", call->stream, "event=%s-%s backend=%s attempts=%u fault=\"%s\"",
           call->kind->what, outcome_names[outcome], call->service->dialect->name, call->attempts,
           error->message);
  call->kind->fail(call, outcome, error);
}

void mnk_remote_call_praise(MnkRemoteCall *call) {
  MnkRemoteBackend *service = call->service;
  mnk_breaker_good(&service->remote->breaker);
  mnk_remote_note(service->remote, NULL);
  service->checked = TRUE;
  *call->known = (MnkKnownForm){call->form, TRUE};
}

/* ---- Tokens ---- */

static void add_tokens(const MnkRemoteCall *call, const char *kind, guint64 n) {
  g_autofree char *labels =
      g_strdup_printf("backend=\"%s\",kind=\"%s\"", call->service->dialect->name, kind);
  mnk_metric_add(
      mnk_counter("backend_tokens_total", "Tokens as a remote model counts them", labels),
      (double)n);
}

void mnk_remote_call_count_tokens(MnkRemoteCall *call) {
  MnkBackendCounters *counters = &call->service->counters;
  call->prompt_tokens += call->reply.prompt_tokens;
  call->answer_tokens += call->reply.answer_tokens;
  counters->prompt_tokens += call->reply.prompt_tokens;
  counters->answer_tokens += call->reply.answer_tokens;
  add_tokens(call, "prompt", call->reply.prompt_tokens);
  add_tokens(call, "answer", call->reply.answer_tokens);
}

/* ---- Exchanges ---- */

static gboolean accept_body(GBytes *body, gpointer user, GError **error) {
  MnkRemoteCall *call = user;
  gsize length = 0;
  const char *text = g_bytes_get_data(body, &length);
  return call->kind->accept(call, text, length, error);
}

/* How a service says that it does not take such a request. */
static gboolean is_refusal(guint status, gboolean streamed, gboolean graded) {
  return status == 400 || (graded && status == 422) ||
         (streamed && (status == 404 || status == 405 || status == 406 || status == 415 ||
                       status == 422 || status == 501));
}

static gboolean weaken(MnkRemoteCall *call, const MnkFault *fault) {
  const MnkDialect *dialect = call->service->dialect;
  gboolean is_free = call->prompt->is_free, streamed = is_free && !(call->form & MNK_FORM_WHOLE);
  gboolean graded = (call->form & MNK_FORM_GRADED) != 0;
  if (call->known->proven || !is_refusal(fault->status, streamed, graded))
    return FALSE;
  if ((fault->status == 400 || graded) && dialect->weaken &&
      dialect->weaken(fault->message, is_free, &call->form))
    return TRUE;
  if (streamed)
    call->form |= MNK_FORM_WHOLE;
  return streamed;
}

/* TRUE: the service may take the same in another form, and is asked. */
static gboolean try_weaker(MnkRemoteCall *call, const MnkFault *fault) {
  MnkRemoteBackend *service = call->service;
  if (fault->refused || !weaken(call, fault))
    return FALSE;
  mnk_breaker_reached(&service->remote->breaker);
  mnk_info("language", call->stream, "event=weaker-request backend=%s form=%u",
           service->dialect->name, call->form);
  mnk_remote_call_send(call);
  return TRUE;
}

static void on_exchanged(const MnkFault *fault, guint attempts, gpointer user) {
  MnkRemoteCall *call = user;
  call->exchange = NULL;
  call->attempts += attempts;
  if (attempts > 1)
    call->service->counters.retries += attempts - 1;
  if (!fault) {
    mnk_remote_call_count_tokens(call);
    call->kind->judge(call);
    return;
  }
  if (try_weaker(call, fault))
    return;
  if (fault->refused || fault->kind != MNK_FAULT_LASTING) {
    mnk_remote_call_fail(call, fault->refused ? MNK_REMOTE_REFUSED : MNK_REMOTE_FAILED, fault);
    return;
  }
  g_autoptr(MnkFault) explained = mnk_remote_backend_explain(call->service, fault);
  mnk_remote_backend_set_lasting(call->service, explained);
  mnk_remote_call_fail(call, MNK_REMOTE_FAILED, explained);
}

void mnk_remote_call_send(MnkRemoteCall *call) {
  MnkRemoteBackend *service = call->service;
  GString *text = g_string_new(NULL);
  service->dialect->write(text, call->prompt, service, call->form);
  g_autoptr(GBytes) body = g_string_free_to_bytes(text);
  MnkExchangeConfig config = {.method = "POST",
                              .url = service->caption_url,
                              .body = body,
                              .deadline_us = call->deadline_us,
                              .retries = service->remote->config.retries,
                              .accept = accept_body,
                              .done = on_exchanged,
                              .user = call};
  if (call->kind->complete)
    call->kind->complete(&config, call);
  call->exchange = mnk_exchange_start(service->remote, &config);
}

/* ---- The beginning ---- */

static gboolean on_stale(gpointer user) {
  MnkRemoteCall *call = user;
  g_autoptr(MnkFault) fault =
      mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_SOURCE,
                    "its turn did not come before the %s's deadline", call->kind->what);
  mnk_remote_call_fail(call, MNK_REMOTE_STALE, fault);
  return G_SOURCE_REMOVE;
}

static gboolean on_refused(gpointer user) {
  MnkRemoteCall *call = user;
  g_autoptr(MnkFault) fault = g_steal_pointer(&call->refusal);
  mnk_remote_call_fail(call, fault->refused ? MNK_REMOTE_REFUSED : MNK_REMOTE_FAILED, fault);
  return G_SOURCE_REMOVE;
}

void mnk_remote_call_refuse(MnkRemoteCall *call, MnkFault *fault) {
  call->refusal = fault;
  mnk_timer_clear(&call->timer);
  call->timer = mnk_timer_new(0, on_refused, call);
}

void mnk_remote_call_init(MnkRemoteCall *call, const MnkRemoteCallKind *kind,
                          MnkRemoteBackend *service, gint64 deadline_us, gpointer user) {
  gint64 now_us = g_get_monotonic_time();
  call->kind = kind;
  call->service = service;
  call->user = user;
  call->deadline_us = deadline_us > 0 ? deadline_us : now_us + service->deadline_ms * 1000;
  call->timer = mnk_timer_new((call->deadline_us - now_us) / 1000, on_stale, call);
}

void mnk_remote_call_start(MnkRemoteCall *call) {
  g_autoptr(GError) error = NULL;
  if (!call->kind->prepare(call, &error)) {
    mnk_remote_call_refuse(call,
                           mnk_fault_new(MNK_FAULT_REQUEST, MNK_ERROR_LIMIT, "%s", error->message));
    return;
  }
  mnk_timer_clear(&call->timer);
  mnk_remote_call_send(call);
}
