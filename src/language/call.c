/* One batch on its way: exchanges until there are events, one repair, one end. */
#include "language/service_priv.h"

#include <string.h>

typedef enum { OUTCOME_OK, OUTCOME_FAILED, OUTCOME_STALE, OUTCOME_REFUSED } Outcome;
static const char *const outcome_names[] = {"ok", "failed", "stale", "refused"};

struct _MnkCall {
  MnkRemoteBackend *service;
  MnkBatch *batch;
  MnkBackendDone done;
  gpointer user;
  gint64 deadline_us;
  GSource *timer;    /* until it starts: its deadline, or its refusal */
  MnkFault *refusal; /* what the timer will tell */
  MnkPrompt *prompt;
  MnkExchange *exchange;
  guint form;
  MnkReply reply; /* of the exchange that ended last */
  guint attempts;
  gboolean repaired;
  guint64 prompt_tokens, answer_tokens;
};

void mnk_reply_clear(MnkReply *reply) {
  g_free(reply->text);
  g_free(reply->blocked);
  g_free(reply->model);
  *reply = (MnkReply){0};
}

void mnk_call_free(MnkCall *call) {
  mnk_exchange_cancel(call->exchange);
  mnk_timer_clear(&call->timer);
  mnk_fault_free(call->refusal);
  mnk_prompt_free(call->prompt);
  mnk_reply_clear(&call->reply);
  mnk_batch_free(call->batch);
  g_free(call);
}

gboolean mnk_call_is_of(const MnkCall *call, gpointer user) {
  return call->user == user;
}

gint64 mnk_call_deadline_us(const MnkCall *call) {
  return call->deadline_us;
}

/* ---- The end ---- */

static void count_outcome(const MnkCall *call, Outcome outcome) {
  MnkBackendCounters *counters = &call->service->counters;
  guint64 *const counts[] = {&counters->ok, &counters->failed, &counters->stale,
                             &counters->refused_by_breaker};
  (*counts[outcome])++;
  g_autofree char *labels = g_strdup_printf("backend=\"%s\",outcome=\"%s\"",
                                            call->service->dialect->name, outcome_names[outcome]);
  mnk_metric_add(mnk_counter("backend_calls_total", "Batches given to a remote model", labels), 1);
}

/* The callback comes last: it may free the backend. */
static void end_call(MnkCall *call, Outcome outcome, MnkBackendAnswer *answer,
                     const GError *error) {
  MnkRemoteBackend *service = call->service;
  MnkBackendDone done = call->done;
  gpointer user = call->user;
  count_outcome(call, outcome);
  mnk_remote_backend_forget(service, call);
  mnk_call_free(call);
  done(answer, error, user);
}

static void fail(MnkCall *call, Outcome outcome, const MnkFault *fault) {
  g_autoptr(GError) error = mnk_fault_to_error(fault);
  if (fault->kind != MNK_FAULT_LASTING)
    g_prefix_error(&error, "%s: ", call->service->dialect->name);
  mnk_info("language", call->batch->stream, "event=batch-%s backend=%s attempts=%u fault=\"%s\"",
           outcome_names[outcome], call->service->dialect->name, call->attempts, error->message);
  end_call(call, outcome, NULL, error);
}

/* Takes the events. */
static void succeed(MnkCall *call, GPtrArray *events) {
  MnkRemoteBackend *service = call->service;
  g_autoptr(GPtrArray) owned = events;
  gboolean named = call->reply.model && *call->reply.model;
  g_autofree char *model = g_strdup(named ? call->reply.model : service->model);
  MnkBackendAnswer answer = {.events = owned,
                             .prompt_tokens = call->prompt_tokens,
                             .answer_tokens = call->answer_tokens,
                             .attempts = call->attempts,
                             .repaired = call->repaired,
                             .model = model};
  mnk_breaker_good(&service->remote->breaker);
  mnk_remote_note(service->remote, NULL);
  service->checked = TRUE;
  service->form = call->form;
  service->form_proven = TRUE;
  end_call(call, OUTCOME_OK, &answer, NULL);
}

/* ---- Exchanges ---- */

static void send_prompt(MnkCall *call);

static void add_tokens(const MnkCall *call, const char *kind, guint64 n) {
  g_autofree char *labels =
      g_strdup_printf("backend=\"%s\",kind=\"%s\"", call->service->dialect->name, kind);
  mnk_metric_add(
      mnk_counter("backend_tokens_total", "Tokens as a remote model counts them", labels),
      (double)n);
}

static void count_tokens(MnkCall *call) {
  MnkBackendCounters *counters = &call->service->counters;
  call->prompt_tokens += call->reply.prompt_tokens;
  call->answer_tokens += call->reply.answer_tokens;
  counters->prompt_tokens += call->reply.prompt_tokens;
  counters->answer_tokens += call->reply.answer_tokens;
  add_tokens(call, "prompt", call->reply.prompt_tokens);
  add_tokens(call, "answer", call->reply.answer_tokens);
}

static gboolean accept_reply(GBytes *body, gpointer user, GError **error) {
  MnkCall *call = user;
  gsize length = 0;
  const char *text = g_bytes_get_data(body, &length);
  MnkJsonLimits limits = mnk_json_limits_default;
  limits.max_bytes = limits.max_string = call->service->remote->config.answer_max;
  g_autoptr(MnkJson) json = mnk_json_parse(text, length, &limits, error);
  mnk_reply_clear(&call->reply);
  return json && call->service->dialect->read(mnk_json_root(json), &call->reply, error);
}

static void judge_answer(MnkCall *call) {
  MnkRemoteBackend *service = call->service;
  count_tokens(call);
  if (call->reply.blocked) {
    mnk_breaker_good(&service->remote->breaker);
    g_autoptr(MnkFault) fault =
        mnk_fault_new(MNK_FAULT_REQUEST, MNK_ERROR_BAD_INPUT,
                      "the service withholds an answer (%s)", call->reply.blocked);
    fail(call, OUTCOME_FAILED, fault);
    return;
  }
  const char *text = call->reply.text ? call->reply.text : "";
  g_autoptr(GError) error = NULL;
  GPtrArray *events = mnk_batch_read_events(call->batch, text, strlen(text), &error);
  if (events) {
    succeed(call, events);
    return;
  }
  if (call->reply.cut)
    g_prefix_error(&error, "it was cut off at %u tokens, so tell less: ", call->prompt->tokens_max);
  if (!call->repaired) {
    call->repaired = TRUE;
    service->counters.repairs++;
    mnk_prompt_add_repair(call->prompt, text, error->message);
    send_prompt(call);
    return;
  }
  mnk_breaker_bad(&service->remote->breaker, g_get_monotonic_time());
  g_autoptr(MnkFault) fault =
      mnk_fault_new(MNK_FAULT_REQUEST, MNK_ERROR_BAD_INPUT,
                    "the model's answer is of no use, nor was its repair: %s", error->message);
  mnk_remote_note(service->remote, fault->message);
  fail(call, OUTCOME_FAILED, fault);
}

/* TRUE: the service may take the same in another form, and is asked. */
static gboolean try_weaker(MnkCall *call, const MnkFault *fault) {
  MnkRemoteBackend *service = call->service;
  if (fault->status != 400 || service->form_proven || !service->dialect->weaken ||
      !service->dialect->weaken(fault->message, &call->form))
    return FALSE;
  mnk_breaker_reached(&service->remote->breaker);
  mnk_info("language", call->batch->stream, "event=weaker-request backend=%s form=%u",
           service->dialect->name, call->form);
  send_prompt(call);
  return TRUE;
}

static void on_exchanged(const MnkFault *fault, guint attempts, gpointer user) {
  MnkCall *call = user;
  call->exchange = NULL;
  call->attempts += attempts;
  if (attempts > 1)
    call->service->counters.retries += attempts - 1;
  if (!fault) {
    judge_answer(call);
    return;
  }
  if (try_weaker(call, fault))
    return;
  if (fault->refused || fault->kind != MNK_FAULT_LASTING) {
    fail(call, fault->refused ? OUTCOME_REFUSED : OUTCOME_FAILED, fault);
    return;
  }
  g_autoptr(MnkFault) explained = mnk_remote_backend_explain(call->service, fault);
  mnk_remote_backend_set_lasting(call->service, explained);
  fail(call, OUTCOME_FAILED, explained);
}

static void send_prompt(MnkCall *call) {
  MnkRemoteBackend *service = call->service;
  GString *text = g_string_new(NULL);
  service->dialect->write(text, call->prompt, service, call->form);
  g_autoptr(GBytes) body = g_string_free_to_bytes(text);
  MnkExchangeConfig config = {.method = "POST",
                              .url = service->caption_url,
                              .body = body,
                              .deadline_us = call->deadline_us,
                              .retries = service->remote->config.retries,
                              .accept = accept_reply,
                              .done = on_exchanged,
                              .user = call};
  call->exchange = mnk_exchange_start(service->remote, &config);
}

/* ---- The beginning ---- */

static gboolean on_stale(gpointer user) {
  MnkCall *call = user;
  g_autoptr(MnkFault) fault = mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_SOURCE,
                                            "its turn did not come before the batch's deadline");
  fail(call, OUTCOME_STALE, fault);
  return G_SOURCE_REMOVE;
}

static gboolean on_refused(gpointer user) {
  MnkCall *call = user;
  g_autoptr(MnkFault) fault = g_steal_pointer(&call->refusal);
  fail(call, fault->refused ? OUTCOME_REFUSED : OUTCOME_FAILED, fault);
  return G_SOURCE_REMOVE;
}

void mnk_call_refuse(MnkCall *call, MnkFault *fault) {
  call->refusal = fault;
  mnk_timer_clear(&call->timer);
  call->timer = mnk_timer_new(0, on_refused, call);
}

MnkCall *mnk_call_new(MnkRemoteBackend *service, const MnkBatch *batch, MnkBackendDone done,
                      gpointer user) {
  MnkCall *call = g_new0(MnkCall, 1);
  gint64 now_us = g_get_monotonic_time();
  call->service = service;
  call->batch = mnk_batch_copy(batch);
  call->done = done;
  call->user = user;
  call->deadline_us = now_us + service->deadline_ms * 1000;
  if (batch->deadline_us > 0)
    call->deadline_us = MIN(call->deadline_us, batch->deadline_us);
  call->timer = mnk_timer_new((call->deadline_us - now_us) / 1000, on_stale, call);
  return call;
}

void mnk_call_start(MnkCall *call) {
  g_autoptr(GError) error = NULL;
  call->form = call->service->form;
  call->prompt = mnk_prompt_new(call->batch, &call->service->limits, &error);
  if (!call->prompt) {
    mnk_call_refuse(call, mnk_fault_new(MNK_FAULT_REQUEST, MNK_ERROR_LIMIT, "%s", error->message));
    return;
  }
  mnk_timer_clear(&call->timer);
  send_prompt(call);
}
