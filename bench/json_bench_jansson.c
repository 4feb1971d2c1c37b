#include "json_bench.h"

#include <jansson.h>

const char *const json_bench_library = "jansson " JANSSON_VERSION;

size_t json_bench_parse(const char *text, size_t length) {
  json_t *root = json_loadb(text, length, 0, NULL);
  if (!root)
    return 0;
  size_t sum = json_string_length(json_object_get(root, "type"));
  sum += json_string_length(json_object_get(root, "image_base64"));
  json_decref(root);
  return sum;
}
