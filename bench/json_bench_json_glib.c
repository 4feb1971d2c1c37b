#include "json_bench.h"

#include <json-glib/json-glib.h>
#include <string.h>

const char *const json_bench_library = "json-glib " JSON_VERSION_S;

size_t json_bench_parse(const char *text, size_t length) {
  g_autoptr(JsonParser) parser = json_parser_new_immutable();
  if (!json_parser_load_from_data(parser, text, (gssize)length, NULL))
    return 0;
  JsonObject *root = json_node_get_object(json_parser_get_root(parser));
  size_t sum = strlen(json_object_get_string_member(root, "type"));
  if (json_object_has_member(root, "image_base64"))
    sum += strlen(json_object_get_string_member(root, "image_base64"));
  return sum;
}
