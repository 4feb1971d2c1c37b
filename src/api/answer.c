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

/* ---- what an error says ---- */

/* The kinds of errors that OpenAI's clients know. */
static const char *openai_type(guint status) {
  return status == 401   ? "authentication_error"
         : status == 403 ? "permission_error"
         : status == 429 ? "rate_limit_error"
         : status >= 500 ? "server_error"
                         : "invalid_request_error";
}

static const MnkRoute *route_of(MnkRequest *request) {
  const MnkCall *call = mnk_request_user(request);
  return call != NULL ? call->route : NULL;
}

typedef struct {
  guint status;
  const char *code, *message, *field; /* field NULL: none */
} Fault;

static void write_fault(const MnkRoute *route, const Fault *fault, GString *out) {
  g_autofree char *safe = mnk_text_escape(fault->message); /* it may repeat what was sent */
  gboolean openai = route != NULL && (route->flags & MNK_ROUTE_OPENAI);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_begin_object(&w, "error");
  if (openai)
    mnk_json_add_string(&w, "type", openai_type(fault->status));
  mnk_json_add_string(&w, "code", fault->code);
  mnk_json_add_string(&w, "message", safe);
  if (openai || fault->field != NULL)
    mnk_json_add_string(&w, openai ? "param" : "field", fault->field);
  mnk_json_end_object(&w);
  mnk_json_end_object(&w);
}

static void read_fault(const GError *error, Fault *out) {
  gboolean ours = error->domain == MNK_ERROR, status = error->domain == MNK_STATUS_ERROR;
  out->status = status ? (guint)error->code : (guint)mnk_error_http_status(error);
  out->code = status ? status_name(out->status)
                     : mnk_error_code_name(ours ? (MnkErrorCode)error->code : MNK_ERROR_INTERNAL);
  out->message = error->message;
}

static char *field_of(const MnkRoute *route, const GError *error) {
  return route != NULL ? mnk_field_of_message(route, error->message) : NULL;
}

void mnk_error_write(const MnkCall *call, const GError *error, GString *out) {
  Fault fault = {0};
  g_autofree char *field = field_of(call->route, error);
  read_fault(error, &fault);
  fault.field = field;
  write_fault(call->route, &fault, out);
}

/* ---- answers ---- */

static void answer_fault(MnkRequest *request, const Fault *fault) {
  g_autoptr(GString) text = g_string_new(NULL);
  write_fault(route_of(request), fault, text);
  if (fault->status == 401)
    mnk_request_set_answer_header(request, "WWW-Authenticate", "Bearer realm=\"manako\"");
  if (fault->status == 429 || fault->status == 503)
    mnk_request_set_answer_header(request, "Retry-After", "5");
  mnk_answer_json(request, fault->status, text);
}

void mnk_answer_error(MnkRequest *request, guint status, const char *code, const char *message,
                      const char *field) {
  answer_fault(request, &(Fault){status, code, message, field});
}

void mnk_answer_gerror(MnkRequest *request, const GError *error) {
  Fault fault = {0};
  g_autofree char *field = field_of(route_of(request), error);
  read_fault(error, &fault);
  fault.field = field;
  answer_fault(request, &fault);
}
