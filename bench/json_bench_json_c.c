#include "json_bench.h"

#include <json-c/json.h>

const char *const json_bench_library = "json-c " JSON_C_VERSION;

static size_t string_length(json_object *root, const char *key) {
  json_object *value;
  if (!json_object_object_get_ex(root, key, &value))
    return 0;
  return (size_t)json_object_get_string_len(value);
}

size_t json_bench_parse(const char *text, size_t length) {
  json_tokener *tokener = json_tokener_new();
  json_object *root = json_tokener_parse_ex(tokener, text, (int)length);
  json_tokener_free(tokener);
  if (!root)
    return 0;
  size_t sum = string_length(root, "type") + string_length(root, "image_base64");
  json_object_put(root);
  return sum;
}
