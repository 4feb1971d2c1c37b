/* One batch on its way: events, or one repair. */
#include "language/service_priv.h"

#include <string.h>

typedef struct {
  MnkRemoteCall call; /* first */
  MnkBatch *batch;
  MnkBackendDone done;
  gboolean repaired;
} BatchCall;

static void clear(MnkRemoteCall *base) {
  BatchCall *call = (BatchCall *)base;
  mnk_batch_free(call->batch);
}

/* The callback comes last: it may free the backend. */
static void end(MnkRemoteCall *base, MnkRemoteOutcome outcome, const MnkBackendAnswer *answer,
                const GError *error) {
  MnkBackendDone done = ((BatchCall *)base)->done;
  gpointer user = base->user;
  mnk_remote_call_end(base, outcome);
  mnk_remote_call_free(base);
  done(answer, error, user);
}

static void fail(MnkRemoteCall *base, MnkRemoteOutcome outcome, GError *error) {
  end(base, outcome, NULL, error);
}

/* Takes the events. */
static void succeed(BatchCall *call, GPtrArray *events) {
  g_autoptr(GPtrArray) owned = events;
  g_autofree char *model = mnk_remote_call_model(&call->call);
  MnkBackendAnswer answer = {.events = owned,
                             .prompt_tokens = call->call.prompt_tokens,
                             .answer_tokens = call->call.answer_tokens,
                             .attempts = call->call.attempts,
                             .repaired = call->repaired,
                             .model = model};
  mnk_remote_call_praise(&call->call);
  end(&call->call, MNK_REMOTE_OK, &answer, NULL);
}

static gboolean prepare(MnkRemoteCall *base, GError **error) {
  BatchCall *call = (BatchCall *)base;
  base->known = &base->service->caption_form;
  base->form = base->known->form;
  base->prompt = mnk_prompt_new(call->batch, &base->service->limits, error);
  return base->prompt != NULL;
}

static gboolean accept_reply(MnkRemoteCall *base, const char *text, gsize length, GError **error) {
  MnkJsonLimits limits = mnk_json_limits_default;
  limits.max_bytes = limits.max_string = base->service->remote->config.answer_max;
  g_autoptr(MnkJson) json = mnk_json_parse(text, length, &limits, error);
  mnk_reply_clear(&base->reply);
  return json && base->service->dialect->read(mnk_json_root(json), &base->reply, error);
}

static void repair(BatchCall *call, const char *text, const char *fault) {
  call->repaired = TRUE;
  call->call.service->counters.repairs++;
  mnk_prompt_add_repair(call->call.prompt, text, fault);
  mnk_remote_call_send(&call->call);
}

static void judge(MnkRemoteCall *base) {
  BatchCall *call = (BatchCall *)base;
  MnkRemote *remote = base->service->remote;
  if (base->reply.blocked) {
    mnk_breaker_good(&remote->breaker);
    g_autoptr(MnkFault) fault =
        mnk_fault_new(MNK_FAULT_REQUEST, MNK_ERROR_BAD_INPUT,
                      "the service withholds an answer (%s)", base->reply.blocked);
    mnk_remote_call_fail(base, MNK_REMOTE_FAILED, fault);
    return;
  }
  const char *text = base->reply.text ? base->reply.text : "";
  g_autoptr(GError) error = NULL;
  GPtrArray *events = mnk_batch_read_events(call->batch, text, strlen(text), &error);
  if (events) {
    succeed(call, events);
    return;
  }
  if (base->reply.cut)
    g_prefix_error(&error, "it was cut off at %u tokens, so tell less: ", base->prompt->tokens_max);
  if (!call->repaired) {
    repair(call, text, error->message);
    return;
  }
  mnk_breaker_bad(&remote->breaker, g_get_monotonic_time());
  g_autoptr(MnkFault) fault =
      mnk_fault_new(MNK_FAULT_REQUEST, MNK_ERROR_BAD_INPUT,
                    "the model's answer is of no use, nor was its repair: %s", error->message);
  mnk_remote_note(remote, fault->message);
  mnk_remote_call_fail(base, MNK_REMOTE_FAILED, fault);
}

static const MnkRemoteCallKind kind = {
    .what = "batch",
    .prepare = prepare,
    .accept = accept_reply,
    .judge = judge,
    .fail = fail,
    .clear = clear,
};

MnkRemoteCall *mnk_remote_call_new_batch(MnkRemoteBackend *service, const MnkBatch *batch,
                                         MnkBackendDone done, gpointer user) {
  BatchCall *call = g_new0(BatchCall, 1);
  gint64 latest_us = g_get_monotonic_time() + service->deadline_ms * 1000;
  gint64 deadline_us = batch->deadline_us > 0 ? MIN(batch->deadline_us, latest_us) : latest_us;
  mnk_remote_call_init(&call->call, &kind, service, deadline_us, user);
  call->call.stream = g_strdup(batch->stream);
  call->batch = mnk_batch_copy(batch);
  call->done = done;
  return &call->call;
}
