/* Faults: what a service says when it does not answer, in one sentence and one of three kinds. */
#include "language/batch_priv.h"
#include "language/remote_priv.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 300 };
static const gint64 RETRY_AFTER_MAX_MS = 86400000;

MnkFault *mnk_fault_new(MnkFaultKind kind, MnkErrorCode code, const char *format, ...) {
  MnkFault *fault = g_new0(MnkFault, 1);
  fault->kind = kind;
  fault->code = code;
  fault->retry_after_ms = -1;
  va_list arguments;
  va_start(arguments, format);
  fault->message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  return fault;
}

void mnk_fault_free(MnkFault *fault) {
  if (!fault)
    return;
  g_free(fault->message);
  g_free(fault);
}

GError *mnk_fault_to_error(const MnkFault *fault) {
  return g_error_new_literal(MNK_ERROR, (gint)fault->code, fault->message);
}

/* ---- How long to wait ---- */

/* RFC 9110, 5.6.7, the form that senders must use. In seconds; -1: no such date. */
static gint64 http_date(const char *text) {
  static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char weekday[4], month[4];
  int day, year, hour, minute, second;
  if (sscanf(text, "%3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d", weekday, &day, month, &year, &hour,
             &minute, &second) != 7)
    return -1;
  for (int i = 0; i < 12; i++) {
    if (!g_str_equal(month, months[i]))
      continue;
    g_autoptr(GDateTime) date = g_date_time_new_utc(year, i + 1, day, hour, minute, second);
    return date ? g_date_time_to_unix(date) : -1;
  }
  return -1;
}

gint64 mnk_retry_after_ms(const char *text, gint64 now_us) {
  guint64 seconds = 0;
  if (!text)
    return -1;
  if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &seconds, NULL))
    return MIN((gint64)seconds * 1000, RETRY_AFTER_MAX_MS);
  gint64 date = http_date(text);
  if (date < 0)
    return -1;
  return CLAMP(date * 1000 - now_us / 1000, 0, RETRY_AFTER_MAX_MS);
}

/* A google.protobuf.Duration in JSON: "3.5s". */
static gint64 duration_ms(const char *text) {
  char *end = NULL;
  double seconds = text ? g_ascii_strtod(text, &end) : 0;
  if (!text || end == text || !g_str_equal(end, "s") || !(seconds >= 0))
    return -1;
  return (gint64)MIN(seconds * 1000, (double)RETRY_AFTER_MAX_MS);
}

/* ---- What the body says ---- */

typedef struct {
  const char *message; /* borrowed from the document; NULL: nothing */
  gboolean lasting;    /* it says so itself, whatever the status */
  gint64 retry_after_ms;
} Said;

static void read_details(const MnkJsonValue *error, Said *said) {
  const MnkJsonValue *details = mnk_json_get(error, "details");
  for (guint i = 0; i < mnk_json_size(details); i++) {
    const MnkJsonValue *detail = mnk_json_at(details, i);
    gint64 delay = duration_ms(mnk_json_string(mnk_json_get(detail, "retryDelay"), NULL));
    said->retry_after_ms = MAX(said->retry_after_ms, delay);
    const char *reason = mnk_json_string(mnk_json_get(detail, "reason"), "");
    said->lasting |= g_str_has_prefix(reason, "API_KEY_");
  }
}

/* Google and OpenAI: {"error":{"message"}}; Ollama and OAuth: {"error":"..."}; others: "message",
 * "detail". */
static void read_said(const MnkJsonValue *root, Said *said) {
  if (mnk_json_type(root) == MNK_JSON_ARRAY)
    root = mnk_json_at(root, 0);
  const MnkJsonValue *error = mnk_json_get(root, "error");
  if (mnk_json_type(error) == MNK_JSON_OBJECT) {
    said->message = mnk_json_string(mnk_json_get(error, "message"), NULL);
    const char *status = mnk_json_string(mnk_json_get(error, "status"), "");
    said->lasting = g_str_equal(status, "FAILED_PRECONDITION");
    read_details(error, said);
    return;
  }
  static const char *const names[] = {"error_description", "error", "message", "detail"};
  for (guint i = 0; i < G_N_ELEMENTS(names) && !said->message; i++)
    said->message = mnk_json_string(mnk_json_get(root, names[i]), NULL);
}

static MnkFaultKind kind_of(guint status, const Said *said) {
  switch (status) {
  case 408:
  case 425:
  case 429:
    return MNK_FAULT_PASSING;
  case 401:
  case 402:
  case 403:
  case 404:
  case 405:
  case 407:
  case 410:
    return MNK_FAULT_LASTING;
  case 501:
  case 505:
    return MNK_FAULT_REQUEST;
  default:
    if (status >= 500)
      return MNK_FAULT_PASSING;
    if (status < 400) /* what is not an answer and not followed either */
      return MNK_FAULT_LASTING;
    return said->lasting ? MNK_FAULT_LASTING : MNK_FAULT_REQUEST;
  }
}

MnkFault *mnk_fault_read(guint status, const char *body, gsize length, const char *retry_after,
                         gint64 now_us) {
  g_autoptr(MnkJson) json = mnk_json_parse(body, length, NULL, NULL);
  Said said = {.retry_after_ms = mnk_retry_after_ms(retry_after, now_us)};
  if (json)
    read_said(mnk_json_root(json), &said);
  g_autofree char *plain = mnk_text_plain(said.message, MESSAGE_BYTES);
  MnkFaultKind kind = kind_of(status, &said);
  MnkErrorCode code = kind == MNK_FAULT_LASTING ? MNK_ERROR_CONFIG : MNK_ERROR_SOURCE;
  MnkFault *fault =
      status >= 300 && status < 400
          ? mnk_fault_new(kind, code, "HTTP %u, a redirect, and none is followed", status)
          : mnk_fault_new(kind, code, "HTTP %u%s%s", status, *plain ? ": " : "", plain);
  fault->status = status;
  fault->retry_after_ms = said.retry_after_ms;
  return fault;
}

MnkFault *mnk_fault_from_error(const GError *error) {
  gboolean ours = error->domain == MNK_ERROR;
  /* Too large an answer and a forbidden address come out the same the next time. */
  gboolean final = ours && (error->code == MNK_ERROR_LIMIT || error->code == MNK_ERROR_CANCELLED);
  g_autofree char *plain = mnk_text_plain(error->message, MESSAGE_BYTES);
  return mnk_fault_new(final ? MNK_FAULT_REQUEST : MNK_FAULT_PASSING,
                       ours ? (MnkErrorCode)error->code : MNK_ERROR_SOURCE, "%s", plain);
}
