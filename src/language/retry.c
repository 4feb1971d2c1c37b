/* Exchanges: one request, tried again after passing faults until it is answered, its retries are
 * spent or its deadline has come.
 *
 * Waits double from try to try and are jittered, so that many streams do not come back at the same
 * moment; what the service asks for (Retry-After, google.rpc.RetryInfo) is waited at least. */
#include "language/remote_priv.h"

#include <string.h>

/* No wait of our own is longer. */
static const gint64 BACKOFF_MAX_MS = 15000;

struct _MnkExchange {
  MnkRemote *remote;
  MnkExchangeConfig config; /* url and body owned */
  char *url;
  guint attempts, retries_left;
  gboolean trial;   /* the breaker waits to hear */
  gboolean final;   /* no attempt comes after this one */
  gboolean renewed; /* a refused token has been renewed once */
  gint64 sent_us;
  MnkHttpCall *call;
  GSource *timer;    /* the next attempt */
  GSource *deadline; /* the end of all attempts */
};

static void exchange_free(MnkExchange *exchange) {
  if (exchange->call)
    mnk_http_call_cancel(exchange->call);
  mnk_oauth_cancel(exchange->remote->auth, exchange);
  if (exchange->trial)
    mnk_breaker_abandon(&exchange->remote->breaker);
  mnk_timer_clear(&exchange->timer);
  mnk_timer_clear(&exchange->deadline);
  g_clear_pointer(&exchange->config.body, g_bytes_unref);
  g_free(exchange->url);
  g_free(exchange);
}

void mnk_exchange_cancel(MnkExchange *exchange) {
  if (exchange)
    exchange_free(exchange);
}

void mnk_exchange_commit(MnkExchange *exchange) {
  exchange->final = TRUE;
}

/* done may free everything, this exchange's remote too. */
static void finish(MnkExchange *exchange, MnkFault *fault) {
  g_autoptr(MnkFault) owned = fault;
  MnkExchangeConfig config = exchange->config;
  guint attempts = exchange->attempts;
  exchange_free(exchange);
  config.done(owned, attempts, config.user);
}

static gboolean on_timer(gpointer user);

/* ---- After a fault ---- */

/* Full steps of 1, 2, 4 ... times the configured wait, give or take a half. */
static gint64 backoff_ms(const MnkExchange *exchange) {
  guint step = MIN(exchange->attempts > 0 ? exchange->attempts - 1 : 0, 10);
  double wait_ms = (double)(exchange->remote->config.backoff_ms << step);
  return (gint64)MIN(wait_ms * g_random_double_range(0.5, 1.5), (double)BACKOFF_MAX_MS);
}

static void hold(MnkRemote *remote, gint64 asked_ms) {
  gint64 wait_ms = MIN(asked_ms, remote->config.probe_ms);
  remote->hold_until_us =
      MAX(remote->hold_until_us, g_get_monotonic_time() + MAX(wait_ms, 0) * 1000);
}

/* FALSE: that was the last attempt. */
static gboolean try_again(MnkExchange *exchange, const MnkFault *fault) {
  if (fault->kind != MNK_FAULT_PASSING || exchange->retries_left == 0 || exchange->final)
    return FALSE;
  gint64 wait_ms = MAX(backoff_ms(exchange), fault->retry_after_ms);
  gint64 now_us = g_get_monotonic_time(), again_us = now_us + wait_ms * 1000;
  if (again_us >= exchange->config.deadline_us ||
      mnk_breaker_is_open(&exchange->remote->breaker, again_us) ||
      !mnk_remote_spend_retry(exchange->remote))
    return FALSE;
  exchange->retries_left--;
  mnk_timer_clear(&exchange->timer);
  exchange->timer = mnk_timer_new(wait_ms, on_timer, exchange);
  return TRUE;
}

/* Takes the fault. */
static void attempt_failed(MnkExchange *exchange, MnkFault *fault) {
  MnkRemote *remote = exchange->remote;
  g_autoptr(MnkFault) owned = fault;
  g_autofree char *said = g_steal_pointer(&fault->message);
  fault->message = mnk_oauth_redact(remote->auth, said);
  mnk_remote_note(remote, fault->message);
  hold(remote, fault->retry_after_ms);
  if (!exchange->config.check || exchange->trial)
    mnk_breaker_failed(&remote->breaker, g_get_monotonic_time());
  exchange->trial = FALSE;
  mnk_info("language", NULL, "event=attempt-failed backend=%s attempt=%u fault=\"%s\"",
           remote->config.name, exchange->attempts, fault->message);
  if (!try_again(exchange, fault))
    finish(exchange, g_steal_pointer(&owned));
}

static gboolean on_deadline(gpointer user) {
  MnkExchange *exchange = user;
  exchange->retries_left = 0;
  if (exchange->call) {
    attempt_failed(exchange, mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_SOURCE,
                                           "no whole answer before the deadline"));
    return G_SOURCE_REMOVE;
  }
  finish(exchange, mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_SOURCE,
                                 "the deadline came before the next attempt"));
  return G_SOURCE_REMOVE;
}

/* ---- One attempt ---- */

static void accept_body(MnkExchange *exchange, GBytes *body) {
  g_autoptr(GError) error = NULL;
  if (exchange->config.accept && !exchange->config.accept(body, exchange->config.user, &error)) {
    attempt_failed(exchange,
                   mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_BAD_INPUT, "%s", error->message));
    return;
  }
  if (!exchange->config.check || exchange->trial)
    mnk_breaker_reached(&exchange->remote->breaker);
  exchange->trial = FALSE;
  finish(exchange, NULL);
}

static void on_reply(const MnkHttpReply *reply, const GError *error, gpointer user) {
  MnkExchange *exchange = user;
  exchange->call = NULL;
  if (!exchange->config.check)
    mnk_metric_observe(exchange->remote->latency,
                       (double)(g_get_monotonic_time() - exchange->sent_us) / 1000);
  if (error) {
    attempt_failed(exchange, mnk_fault_from_error(error));
    return;
  }
  if (reply->status / 100 == 2) {
    accept_body(exchange, reply->body);
    return;
  }
  if (reply->status == 401 && !exchange->renewed && mnk_oauth_renew(exchange->remote->auth)) {
    exchange->renewed = TRUE;
    mnk_timer_clear(&exchange->timer);
    exchange->timer = mnk_timer_new(0, on_timer, exchange);
    return;
  }
  gsize length = 0;
  const char *body = g_bytes_get_data(reply->body, &length);
  attempt_failed(exchange,
                 mnk_fault_read(reply->status, body, length,
                                mnk_http_reply_header(reply, "Retry-After"), g_get_real_time()));
}

static gboolean is_event_stream(const MnkHttpReply *reply) {
  const char *type = mnk_http_reply_header(reply, "Content-Type");
  return reply->status / 100 == 2 && type &&
         g_ascii_strncasecmp(type, "text/event-stream", strlen("text/event-stream")) == 0;
}

static void on_part(const MnkHttpReply *head, const char *bytes, gsize length, gpointer user) {
  MnkExchange *exchange = user;
  g_autoptr(GError) error = NULL;
  if (!is_event_stream(head) || exchange->config.part(bytes, length, exchange->config.user, &error))
    return;
  mnk_http_call_cancel(g_steal_pointer(&exchange->call));
  attempt_failed(exchange, mnk_fault_from_error(error));
}

static void on_authorised(const char *header, const MnkFault *fault, gpointer user) {
  MnkExchange *exchange = user;
  const MnkRemoteConfig *remote = &exchange->remote->config;
  if (fault) {
    MnkFault *copy = mnk_fault_new(fault->kind, fault->code, "%s", fault->message);
    copy->retry_after_ms = fault->retry_after_ms;
    attempt_failed(exchange, copy);
    return;
  }
  gboolean streamed = exchange->config.part != NULL;
  const char *accept =
      streamed ? "Accept: text/event-stream, application/json" : "Accept: application/json";
  const char *headers[] = {"Content-Type: application/json", accept, header, NULL};
  gint64 left_ms = (exchange->config.deadline_us - g_get_monotonic_time()) / 1000;
  MnkHttpCallConfig call = {
      .method = exchange->config.method,
      .url = exchange->url,
      .headers = headers,
      .body = exchange->config.body,
      .connect_ms = remote->connect_ms,
      .first_byte_ms = remote->first_byte_ms,
      .idle_ms = remote->first_byte_ms,
      .total_ms = MAX(left_ms, 0) + 1000, /* our own deadline comes first and says more */
      .response_max =
          exchange->config.answer_max > 0 ? exchange->config.answer_max : remote->answer_max,
      .policy = exchange->remote->policy,
      .part = streamed ? on_part : NULL,
  };
  if (exchange->config.begin)
    exchange->config.begin(exchange->config.user);
  exchange->attempts++;
  exchange->sent_us = g_get_monotonic_time();
  exchange->call = mnk_http_client_call(remote->client, &call, on_reply, exchange);
}

/* Why nothing may be sent now; NULL: it may, and the breaker knows. */
static MnkFault *ask_leave(MnkExchange *exchange) {
  MnkRemote *remote = exchange->remote;
  if (remote->lasting)
    return mnk_fault_new(MNK_FAULT_LASTING, remote->lasting->code, "%s", remote->lasting->message);
  if (exchange->trial)
    return NULL;
  MnkBreakerAnswer answer = mnk_breaker_ask(&remote->breaker, g_get_monotonic_time());
  exchange->trial = answer == MNK_BREAKER_TRIAL;
  if (answer != MNK_BREAKER_REFUSED)
    return NULL;
  return mnk_fault_new(MNK_FAULT_PASSING, MNK_ERROR_SOURCE,
                       "too many calls failed in a row, so it is left alone for a while (%s)",
                       remote->last_fault ? remote->last_fault : "no answer");
}

static void attempt(MnkExchange *exchange) {
  MnkFault *fault = exchange->config.check ? NULL : ask_leave(exchange);
  if (fault) {
    fault->refused = TRUE;
    finish(exchange, fault);
    return;
  }
  mnk_oauth_get(exchange->remote->auth, on_authorised, exchange);
}

static gboolean on_timer(gpointer user) {
  MnkExchange *exchange = user;
  mnk_timer_clear(&exchange->timer);
  attempt(exchange);
  return G_SOURCE_REMOVE;
}

MnkExchange *mnk_exchange_start(MnkRemote *remote, const MnkExchangeConfig *config) {
  MnkExchange *exchange = g_new0(MnkExchange, 1);
  exchange->remote = remote;
  exchange->config = *config;
  exchange->url = g_strdup(config->url);
  exchange->config.url = exchange->url;
  if (config->body)
    g_bytes_ref(config->body);
  exchange->retries_left = config->retries;
  mnk_remote_earn_retry(remote);
  gint64 left_ms = (config->deadline_us - g_get_monotonic_time() + 999) / 1000;
  exchange->deadline = mnk_timer_new(left_ms, on_deadline, exchange);
  exchange->timer = mnk_timer_new(0, on_timer, exchange);
  return exchange;
}
