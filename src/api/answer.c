/* Answers: JSON, and errors that say what was wrong. */
#include "api/core_priv.h"

GQuark mnk_status_error_quark(void) {
  return g_quark_from_static_string("manako-status");
}

static const char JSON[] = "application/json";

void mnk_answer_json(MnkRequest *request, guint status, const GString *json) {
  g_autoptr(GBytes) body = g_bytes_new(json->str, json->len);
  mnk_request_set_answer_header(request, "Cache-Control", "no-store");
  mnk_request_answer(request, status, JSON, body);
}

void mnk_answer_error(MnkRequest *request, guint status, const char *code, const char *message,
                      const char *field) {
  g_autofree char *safe = mnk_text_escape(message); /* it may repeat what was sent */
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_begin_object(&w, "error");
  mnk_json_add_string(&w, "code", code);
  mnk_json_add_string(&w, "message", safe);
  if (field != NULL)
    mnk_json_add_string(&w, "field", field);
  mnk_json_end_object(&w);
  mnk_json_end_object(&w);
  if (status == 401)
    mnk_request_set_answer_header(request, "WWW-Authenticate", "Bearer realm=\"manako\"");
  if (status == 429 || status == 503)
    mnk_request_set_answer_header(request, "Retry-After", "5");
  mnk_answer_json(request, status, text);
}

static const char *status_name(guint status) {
  static const struct {
    guint status;
    const char *name;
  } NAMES[] = {{401, "unauthorized"},       {403, "forbidden"},  {404, "not_found"},
               {405, "method_not_allowed"}, {409, "conflict"},   {413, "limit"},
               {429, "too_many_requests"},  {503, "unavailable"}};
  for (guint i = 0; i < G_N_ELEMENTS(NAMES); i++)
    if (NAMES[i].status == status)
      return NAMES[i].name;
  return mnk_error_code_name(MNK_ERROR_USAGE);
}

void mnk_answer_gerror(MnkRequest *request, const GError *error) {
  const MnkCall *call = mnk_request_user(request);
  g_autofree char *field = call != NULL && call->route != NULL
                               ? mnk_field_of_message(call->route, error->message)
                               : NULL;
  if (error->domain == MNK_STATUS_ERROR) {
    guint status = (guint)error->code;
    mnk_answer_error(request, status, status_name(status), error->message, field);
    return;
  }
  MnkErrorCode code = error->domain == MNK_ERROR ? (MnkErrorCode)error->code : MNK_ERROR_INTERNAL;
  mnk_answer_error(request, (guint)mnk_error_http_status(error), mnk_error_code_name(code),
                   error->message, field);
}
