/* OpenAPI 3.1 from the tables that check requests, so that the two cannot differ. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <string.h>

static void write_range(MnkJsonWriter *w, double min, double max) {
  mnk_json_add_double(w, "minimum", min, 17);
  mnk_json_add_double(w, "maximum", max, 17);
}

static void write_choices(MnkJsonWriter *w, const char *choices) {
  g_auto(GStrv) list = g_strsplit(choices, "|", -1);
  mnk_json_add_string(w, "type", "string");
  mnk_json_begin_array(w, "enum");
  for (guint i = 0; list[i] != NULL; i++)
    mnk_json_add_string(w, NULL, list[i]);
  mnk_json_end_array(w);
}

static void write_reference(MnkJsonWriter *w, const char *schema) {
  g_autofree char *path = g_strconcat("#/components/schemas/", schema, NULL);
  mnk_json_add_string(w, "$ref", path);
}

/* ---- members of queries and bodies ---- */

static void write_option_type(MnkJsonWriter *w, const MnkOption *option) {
  switch (option->type) {
  case MNK_OPTION_BOOL:
    mnk_json_add_string(w, "type", "boolean");
    break;
  case MNK_OPTION_INT:
  case MNK_OPTION_SIZE:
    mnk_json_add_string(w, "type", "integer");
    write_range(w, option->min, option->max);
    break;
  case MNK_OPTION_DOUBLE:
    mnk_json_add_string(w, "type", "number");
    write_range(w, option->min, option->max);
    break;
  case MNK_OPTION_TIME:
    mnk_json_begin_array(w, "type");
    mnk_json_add_string(w, NULL, "number");
    mnk_json_add_string(w, NULL, "string");
    mnk_json_end_array(w);
    write_range(w, option->min / 1000, option->max / 1000);
    break;
  case MNK_OPTION_STRING:
    mnk_json_begin_array(w, "type");
    mnk_json_add_string(w, NULL, "string");
    mnk_json_add_string(w, NULL, "null");
    mnk_json_end_array(w);
    mnk_json_add_int(w, "maxLength", (gint64)option->max);
    break;
  case MNK_OPTION_ENUM:
    write_choices(w, option->choices);
    break;
  }
}

static void write_field_type(MnkJsonWriter *w, const MnkField *field) {
  gboolean has_range = field->max > field->min;
  switch (field->type) {
  case MNK_FIELD_STRING:
    mnk_json_add_string(w, "type", "string");
    if (field->min > 0)
      mnk_json_add_int(w, "minLength", (gint64)field->min);
    if (field->max > 0)
      mnk_json_add_int(w, "maxLength", (gint64)field->max);
    break;
  case MNK_FIELD_INT:
  case MNK_FIELD_DOUBLE:
    mnk_json_add_string(w, "type", field->type == MNK_FIELD_INT ? "integer" : "number");
    if (has_range)
      write_range(w, field->min, field->max);
    break;
  case MNK_FIELD_BOOL:
    mnk_json_add_string(w, "type", "boolean");
    break;
  case MNK_FIELD_TIME:
    mnk_json_add_string(w, "type", "string");
    mnk_json_add_string(w, "pattern", "^[0-9:.]+(s|ms)?$");
    break;
  case MNK_FIELD_ENUM:
    write_choices(w, field->choices);
    break;
  case MNK_FIELD_PARAMS:
    write_reference(w, "Params");
    break;
  case MNK_FIELD_OPTION:
    write_option_type(w, mnk_field_option(field));
    break;
  case MNK_FIELD_OBJECT:
    if (field->choices != NULL)
      write_reference(w, field->choices);
    else
      mnk_json_add_string(w, "type", "object");
    break;
  case MNK_FIELD_LIST:
    mnk_json_add_string(w, "type", "array");
    mnk_json_add_int(w, "minItems", (gint64)field->min);
    mnk_json_add_int(w, "maxItems", (gint64)field->max);
    mnk_json_begin_object(w, "items");
    write_reference(w, field->choices);
    mnk_json_end_object(w);
    break;
  }
}

static const char *help_of(const MnkField *field) {
  return field->help != NULL || field->type != MNK_FIELD_OPTION ? field->help
                                                                : mnk_field_option(field)->help;
}

static void write_query(MnkJsonWriter *w, const MnkField *field) {
  for (; field != NULL && field->name != NULL; field++) {
    mnk_json_begin_object(w, NULL);
    mnk_json_add_string(w, "name", field->name);
    mnk_json_add_string(w, "in", "query");
    mnk_json_add_bool(w, "required", field->required);
    if (field->help != NULL)
      mnk_json_add_string(w, "description", field->help);
    mnk_json_begin_object(w, "schema");
    write_field_type(w, field);
    mnk_json_end_object(w);
    mnk_json_end_object(w);
  }
}

static void write_path_variable(MnkJsonWriter *w, const char *name, const char *pattern) {
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "name", name);
  mnk_json_add_string(w, "in", "path");
  mnk_json_add_bool(w, "required", TRUE);
  mnk_json_begin_object(w, "schema");
  mnk_json_add_string(w, "type", "string");
  if (pattern != NULL)
    mnk_json_add_string(w, "pattern", pattern);
  mnk_json_end_object(w);
  mnk_json_end_object(w);
}

static void write_parameters(MnkJsonWriter *w, const MnkRoute *route) {
  mnk_json_begin_array(w, "parameters");
  if (strstr(route->pattern, "{id}") != NULL)
    write_path_variable(w, "id", "^[A-Za-z0-9_-]{1,64}$");
  if (strstr(route->pattern, "{rest}") != NULL)
    write_path_variable(w, "rest", NULL);
  write_query(w, route->query);
  mnk_json_end_array(w);
}

/* open: other members are passed over. */
static void write_object(MnkJsonWriter *w, const MnkField *table, gboolean open) {
  mnk_json_add_string(w, "type", "object");
  mnk_json_add_bool(w, "additionalProperties", open);
  mnk_json_begin_object(w, "properties");
  for (const MnkField *field = table; field->name != NULL; field++) {
    mnk_json_begin_object(w, field->name);
    write_field_type(w, field);
    if (help_of(field) != NULL)
      mnk_json_add_string(w, "description", help_of(field));
    mnk_json_end_object(w);
  }
  mnk_json_end_object(w);
  mnk_json_begin_array(w, "required");
  for (const MnkField *field = table; field->name != NULL; field++)
    if (field->required)
      mnk_json_add_string(w, NULL, field->name);
  mnk_json_end_array(w);
}

static void write_body(MnkJsonWriter *w, const MnkRoute *route) {
  mnk_json_begin_object(w, "requestBody");
  mnk_json_add_bool(w, "required", TRUE);
  mnk_json_begin_object(w, "content");
  gboolean raw = (route->flags & MNK_ROUTE_RAW_BODY) != 0;
  mnk_json_begin_object(w, raw ? "application/octet-stream" : "application/json");
  mnk_json_begin_object(w, "schema");
  if (!raw)
    write_object(w, route->body, (route->flags & MNK_ROUTE_OPENAI) != 0);
  mnk_json_end_object(w);
  mnk_json_end_object(w);
  mnk_json_end_object(w);
  mnk_json_end_object(w);
}

/* ---- routes ---- */

static void write_content(MnkJsonWriter *w, const char *answer) {
  gboolean is_schema = strchr(answer, '/') == NULL;
  mnk_json_begin_object(w, "content");
  mnk_json_begin_object(w, is_schema ? "application/json" : answer);
  mnk_json_begin_object(w, "schema");
  if (is_schema)
    write_reference(w, answer);
  mnk_json_end_object(w);
  mnk_json_end_object(w);
  mnk_json_end_object(w);
}

static void write_responses(MnkJsonWriter *w, const MnkRoute *route) {
  g_autofree char *status = g_strdup_printf("%u", route->status);
  mnk_json_begin_object(w, "responses");
  mnk_json_begin_object(w, status);
  mnk_json_add_string(w, "description", "Success");
  if (route->answer != NULL)
    write_content(w, route->answer);
  mnk_json_end_object(w);
  mnk_json_begin_object(w, "default");
  mnk_json_add_string(w, "description", "What went wrong");
  write_content(w, "Error");
  mnk_json_end_object(w);
  mnk_json_end_object(w);
}

static void write_requirement(MnkJsonWriter *w, const char *scheme) {
  mnk_json_begin_object(w, NULL);
  mnk_json_begin_array(w, scheme);
  mnk_json_end_array(w);
  mnk_json_end_object(w);
}

static void write_security(MnkJsonWriter *w, const MnkRoute *route) {
  mnk_json_begin_array(w, "security");
  if (route->scope != MNK_SCOPE_NONE) {
    write_requirement(w, "bearer");
    write_requirement(w, "key");
    if (strcmp(route->method, "GET") == 0)
      write_requirement(w, "token");
  }
  mnk_json_end_array(w);
}

static void write_operation(MnkJsonWriter *w, const MnkRoute *route) {
  g_autofree char *method = g_ascii_strdown(route->method, -1);
  g_autofree char *text =
      route->scope == MNK_SCOPE_NONE
          ? g_strdup(route->summary)
          : g_strdup_printf("%s (scope %s)", route->summary, mnk_scope_name(route->scope));
  mnk_json_begin_object(w, method);
  mnk_json_add_string(w, "summary", text);
  write_parameters(w, route);
  if (route->body != NULL || (route->flags & MNK_ROUTE_RAW_BODY))
    write_body(w, route);
  write_responses(w, route);
  write_security(w, route);
  mnk_json_end_object(w);
}

static const MnkRoute *route_at(guint index) {
  for (const MnkRoute *const *table = mnk_route_tables; *table != NULL; table++)
    for (const MnkRoute *route = *table; route->method != NULL; route++)
      if (index-- == 0)
        return route;
  return NULL;
}

/* Methods of one path belong together, wherever in the tables they stand. */
static void write_paths(MnkJsonWriter *w) {
  const MnkRoute *route, *other;
  mnk_json_begin_object(w, "paths");
  for (guint i = 0; (route = route_at(i)) != NULL; i++) {
    gboolean seen = FALSE;
    for (guint j = 0; j < i && !seen; j++)
      seen = strcmp(route_at(j)->pattern, route->pattern) == 0;
    if (seen)
      continue;
    mnk_json_begin_object(w, route->pattern);
    for (guint j = i; (other = route_at(j)) != NULL; j++)
      if (strcmp(other->pattern, route->pattern) == 0)
        write_operation(w, other);
    mnk_json_end_object(w);
  }
  mnk_json_end_object(w);
}

/* ---- components ---- */

static void write_params(MnkJsonWriter *w) {
  mnk_json_begin_object(w, "Params");
  mnk_json_add_string(w, "type", "object");
  mnk_json_add_string(
      w, "description",
      "Parameters of a stream; times in seconds. Those that say so may change while "
      "it runs.");
  mnk_json_begin_object(w, "properties");
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = mnk_option((MnkOptionId)i);
    if (mnk_params_option(option->name) == NULL)
      continue;
    g_autofree char *name = g_strdelimit(g_strdup(option->name), "-", '_');
    g_autofree char *help = g_strconcat(
        option->help, option->flags & MNK_OPTION_LIVE ? " May change while the stream runs." : "",
        NULL);
    mnk_json_begin_object(w, name);
    write_option_type(w, option);
    mnk_json_add_string(w, "description", help);
    mnk_json_end_object(w);
  }
  mnk_json_end_object(w);
  mnk_json_end_object(w);
}

static void write_scheme(MnkJsonWriter *w, const char *name, const char *type, const char *in,
                         const char *what) {
  gboolean is_http = strcmp(type, "http") == 0;
  mnk_json_begin_object(w, name);
  mnk_json_add_string(w, "type", type);
  mnk_json_add_string(w, is_http ? "scheme" : "in", in);
  if (!is_http)
    mnk_json_add_string(w, "name", what);
  mnk_json_end_object(w);
}

static void write_components(MnkJsonWriter *w) {
  mnk_json_begin_object(w, "components");
  mnk_json_begin_object(w, "securitySchemes");
  write_scheme(w, "bearer", "http", "bearer", NULL);
  write_scheme(w, "key", "apiKey", "header", "X-API-Key");
  write_scheme(w, "token", "apiKey", "query", "token");
  mnk_json_end_object(w);
  mnk_json_begin_object(w, "schemas");
  write_params(w);
  mnk_json_begin_object(w, "ChatHow");
  write_object(w, mnk_chat_fields, FALSE);
  mnk_json_end_object(w);
  mnk_openapi_write_schemas(w);
  mnk_json_end_object(w);
  mnk_json_end_object(w);
}

void mnk_api_write_openapi(GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "openapi", "3.1.0");
  mnk_json_begin_object(&w, "info");
  mnk_json_add_string(&w, "title", "Manako");
  mnk_json_add_string(&w, "version", MNK_VERSION);
  mnk_json_add_string(&w, "summary", "Watches video and writes captions with true times");
  mnk_json_begin_object(&w, "license");
  mnk_json_add_string(&w, "name", "Apache-2.0");
  mnk_json_add_string(&w, "identifier", "Apache-2.0");
  mnk_json_end_object(&w);
  mnk_json_end_object(&w);
  mnk_json_begin_array(&w, "servers");
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "url", "/");
  mnk_json_end_object(&w);
  mnk_json_end_array(&w);
  write_paths(&w);
  write_components(&w);
  mnk_json_end_object(&w);
}
