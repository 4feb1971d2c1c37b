/* Every request's way: names checked, a route found, rights, query and body checked, then its
 * handler. */
#include "api/core_priv.h"

#include <string.h>

enum { UNKEYED_BODY_MAX = 4096 };

const MnkRoute *const mnk_route_tables[] = {mnk_routes_service,   mnk_routes_streams,
                                            mnk_routes_events,    mnk_routes_uploads,
                                            mnk_routes_questions, NULL};

/* ---- a call ---- */

MnkCall *mnk_call_ref(MnkCall *call) {
  call->refs++;
  return call;
}

void mnk_call_unref(MnkCall *call) {
  if (call == NULL || --call->refs > 0)
    return;
  mnk_key_unref(call->key);
  mnk_json_free(call->json);
  g_free(call->id);
  g_free(call->rest);
  g_free(call);
}

static void drop_call(gpointer user) {
  mnk_call_unref(user);
}

/* The path alone: queries carry tokens and what people search for. */
static void log_access(const MnkCall *call) {
  double ms = (double)(mnk_clock_mono_us(mnk_clock_system()) - call->started_us) / 1000;
  mnk_info("api", NULL, "event=request method=%s path=\"%s\" status=%u ms=%.1f address=%s key=%s",
           mnk_request_method(call->request), mnk_request_path(call->request),
           mnk_request_status(call->request), ms, mnk_request_address(call->request),
           call->key != NULL ? call->key->name : "-");
}

static void on_closed(MnkRequest *request, gpointer user) {
  MnkCall *call = user;
  log_access(call);
  call->request = NULL;
  if (call->closed != NULL)
    call->closed(call, call->user);
}

static MnkCall *make_call(MnkApi *api, MnkRequest *request) {
  MnkCall *call = g_new0(MnkCall, 1);
  call->refs = 1;
  call->api = api;
  call->request = request;
  call->started_us = mnk_clock_mono_us(mnk_clock_system());
  mnk_request_set_user(request, call, drop_call);
  mnk_request_on_closed(request, on_closed, call);
  return call;
}

const char *mnk_call_string(const MnkCall *call, const char *name, const char *fallback) {
  const char *text = mnk_request_query(call->request, name);
  return text != NULL ? text : fallback;
}

gint64 mnk_call_int(const MnkCall *call, const char *name, gint64 fallback) {
  const char *text = mnk_request_query(call->request, name);
  const MnkField *field = mnk_field_find(call->route->query, name);
  gint64 number;
  if (text == NULL || field == NULL)
    return fallback;
  if (field->type == MNK_FIELD_TIME)
    return mnk_parse_time_ms(text, &number) ? number : fallback;
  return g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &number, NULL) ? number
                                                                                   : fallback;
}

double mnk_call_double(const MnkCall *call, const char *name, double fallback) {
  const char *text = mnk_request_query(call->request, name);
  return text != NULL ? g_ascii_strtod(text, NULL) : fallback;
}

/* ---- headers of every answer ---- */

static void set_security_headers(MnkRequest *request) {
  static const char *const HEADERS[][2] = {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src "
       "'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action "
       "'none'; "
       "frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Permissions-Policy",
       "camera=(self), microphone=(), geolocation=(), display-capture=(), usb=()"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(HEADERS); i++)
    mnk_request_set_answer_header(request, HEADERS[i][0], HEADERS[i][1]);
}

/* ---- where a request comes from ---- */

/* Without keys the loopback address is the lock, and a page whose name was pointed there (DNS
 * rebinding) would pick it: such requests carry the page's own name. */
static gboolean check_host(MnkCall *call) {
  const char *bound = mnk_settings_string(call->api->settings, MNK_OPT_HOST);
  const char *host = mnk_request_header(call->request, "Host");
  if (host == NULL || mnk_auth_has_keys(call->api->auth) || !mnk_address_is_loopback(bound) ||
      mnk_host_is_local(host, bound))
    return TRUE;
  mnk_answer_error(call->request, 403, "forbidden",
                   "without keys this server answers to localhost alone, whatever other name the "
                   "request was sent to",
                   "Host");
  return FALSE;
}

static gboolean check_origin(MnkCall *call, const char **allow) {
  const char *list = mnk_settings_string(call->api->settings, MNK_OPT_ALLOW_ORIGINS);
  gboolean fine = mnk_auth_origin_ok(list, call->request, allow);
  mnk_request_set_answer_header(call->request, "Vary", "Origin");
  mnk_request_set_answer_header(call->request, "Cross-Origin-Resource-Policy",
                                *allow != NULL ? "cross-origin" : "same-origin");
  if (*allow != NULL) {
    mnk_request_set_answer_header(call->request, "Access-Control-Allow-Origin", *allow);
    mnk_request_set_answer_header(call->request, "Access-Control-Expose-Headers", "Retry-After");
  }
  if (!fine)
    mnk_answer_error(call->request, 403, "forbidden",
                     "pages of this origin may not use this server; --allow-origins names those "
                     "that may",
                     "Origin");
  return fine;
}

/* OPTIONS: what may be done here, and for browsers whether a page of a listed origin may. */
static void answer_options(MnkCall *call, const MnkMatch *match, const char *allow) {
  mnk_request_set_answer_header(call->request, "Allow", match->allow->str);
  if (allow != NULL) {
    mnk_request_set_answer_header(call->request, "Access-Control-Allow-Methods", match->allow->str);
    mnk_request_set_answer_header(call->request, "Access-Control-Allow-Headers",
                                  "Authorization, Content-Type, X-API-Key, Last-Event-ID");
    mnk_request_set_answer_header(call->request, "Access-Control-Max-Age", "600");
  }
  mnk_request_answer(call->request, 204, NULL, NULL);
}

/* ---- query ---- */

static const MnkField token_field = {.name = "token", .type = MNK_FIELD_STRING, .max = 512};

static const MnkField *query_field(const MnkRoute *route, const char *name) {
  const MnkField *field = mnk_field_find(route->query, name);
  gboolean takes_token = route->scope != MNK_SCOPE_NONE && strcmp(route->method, "GET") == 0;
  return field == NULL && takes_token && strcmp(name, token_field.name) == 0 ? &token_field : field;
}

static gboolean comes_before(const MnkCall *call, const char *name, guint index) {
  for (guint i = 0; i < index; i++)
    if (strcmp(mnk_request_query_at(call->request, i, NULL), name) == 0)
      return TRUE;
  return FALSE;
}

static gboolean check_query(const MnkCall *call) {
  g_autoptr(GError) error = NULL;
  const char *name, *value;
  for (guint i = 0; (name = mnk_request_query_at(call->request, i, &value)) != NULL; i++) {
    const MnkField *field = query_field(call->route, name);
    g_autofree char *safe = mnk_text_escape(name);
    if (field == NULL)
      g_set_error(&error, MNK_ERROR, MNK_ERROR_USAGE, "%.64s is not a member of this query", safe);
    else if (comes_before(call, name, i))
      g_set_error(&error, MNK_ERROR, MNK_ERROR_USAGE, "%s stands in the query twice", name);
    if (error != NULL || !mnk_field_check_text(field, value, &error)) {
      mnk_answer_gerror(call->request, error);
      return FALSE;
    }
  }
  for (const MnkField *field = call->route->query; field != NULL && field->name != NULL; field++)
    if (field->required && mnk_request_query(call->request, field->name) == NULL) {
      g_set_error(&error, MNK_ERROR, MNK_ERROR_USAGE, "%s is missing", field->name);
      mnk_answer_gerror(call->request, error);
      return FALSE;
    }
  return TRUE;
}

/* ---- body ---- */

/* Parameters are tried on a copy, so that a handler finds them sound. */
static gboolean check_params(const MnkCall *call, GError **error) {
  for (const MnkField *field = call->route->body; field->name != NULL; field++) {
    if (field->type != MNK_FIELD_PARAMS)
      continue;
    g_autoptr(MnkSettings) trial = mnk_settings_copy(call->api->settings);
    if (!mnk_params_apply(trial, mnk_json_get(call->body, field->name),
                          strcmp(call->route->method, "PATCH") == 0, error))
      return FALSE;
  }
  return TRUE;
}

static void on_body(MnkRequest *request, GBytes *body, gpointer user) {
  MnkCall *call = user;
  g_autoptr(GError) error = NULL;
  gsize length;
  const char *text = g_bytes_get_data(body, &length);
  call->json = length > 0 ? mnk_json_parse(text, length, NULL, &error)
                          : mnk_json_parse("{}", 2, NULL, &error);
  call->body = call->json != NULL ? mnk_json_root(call->json) : NULL;
  if (call->json == NULL ||
      !mnk_fields_check_body(call->route->body, call->body,
                             (call->route->flags & MNK_ROUTE_OPENAI) != 0, &error) ||
      !check_params(call, &error)) {
    mnk_answer_gerror(request, error);
    return;
  }
  call->route->handle(call);
}

static void read_body(MnkCall *call) {
  gsize max = (gsize)mnk_settings_int(call->api->settings, MNK_OPT_BODY_MAX);
  if (call->route->scope == MNK_SCOPE_NONE)
    max = MIN(max, UNKEYED_BODY_MAX);
  mnk_request_read_body(call->request, max, on_body, call);
}

/* ---- the way ---- */

static gboolean check_rights(MnkCall *call) {
  g_autoptr(GError) error = NULL;
  guint status;
  if (call->route->scope == MNK_SCOPE_NONE)
    return TRUE;
  const char *stream = call->id;
  if (stream == NULL && mnk_field_find(call->route->query, "stream") != NULL)
    stream = mnk_request_query(call->request, "stream");
  call->key =
      mnk_auth_check(call->api->auth, call->request, call->route->scope, stream, &status, &error);
  if (call->key == NULL)
    mnk_answer_gerror(call->request, error);
  return call->key != NULL;
}

/* While the program ends, what is there can still be read, and nothing new begins. */
static gboolean check_draining(MnkCall *call) {
  gboolean begins = call->route->scope == MNK_SCOPE_INGEST || call->route->scope == MNK_SCOPE_ASK;
  if (!call->api->draining || !begins || strcmp(call->route->method, "DELETE") == 0)
    return TRUE;
  mnk_answer_error(call->request, 503, "unavailable", "the server is about to end", NULL);
  return FALSE;
}

static void serve(MnkCall *call) {
  if (call->route->body != NULL && !(call->route->flags & MNK_ROUTE_RAW_BODY))
    read_body(call);
  else
    call->route->handle(call);
}

/* A stream that is about to go on must not be taken for one that has ended. */
static void wait_for_streams(MnkCall *call) {
  g_queue_push_tail(&call->api->early, mnk_call_ref(call));
}

void mnk_routes_streams_are_back(MnkApi *api) {
  MnkCall *call;
  while ((call = g_queue_pop_head(&api->early)) != NULL) {
    if (call->request != NULL)
      serve(call);
    mnk_call_unref(call);
  }
}

static void go(MnkCall *call) {
  if (!check_rights(call) || !check_draining(call) || !check_query(call))
    return;
  if (call->route->scope != MNK_SCOPE_NONE && !call->api->resumed)
    wait_for_streams(call);
  else
    serve(call);
}

static void refuse_unmatched(MnkCall *call, const MnkMatch *match) {
  if (match->allow == NULL) {
    mnk_answer_error(call->request, 404, "not_found", "there is nothing at this path", NULL);
    return;
  }
  mnk_request_set_answer_header(call->request, "Allow", match->allow->str);
  mnk_answer_error(call->request, 405, "method_not_allowed",
                   "this path does not take that method; the Allow field names those it takes",
                   NULL);
}

void mnk_routes_handle(MnkRequest *request, gpointer user) {
  MnkCall *call = make_call(user, request);
  const char *method = mnk_request_method(request), *path = mnk_request_path(request);
  const char *allow = NULL;
  set_security_headers(request);
  if (!check_host(call) || !check_origin(call, &allow))
    return;
  g_auto(MnkMatch) match = {0};
  mnk_match_find(mnk_route_tables, method, path, &match);
  gboolean fetches = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
  if (match.allow == NULL && fetches && mnk_pages_answer(request, path))
    return;
  if (match.allow != NULL && strcmp(method, "OPTIONS") == 0) {
    answer_options(call, &match, allow);
  } else if (match.route == NULL) {
    refuse_unmatched(call, &match);
  } else {
    call->route = match.route;
    call->id = g_steal_pointer(&match.id);
    call->rest = g_steal_pointer(&match.rest);
    go(call);
  }
}
