#include "json_bench.h"

#include <cjson/cJSON.h>
#include <string.h>

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)
const char *const json_bench_library = "cJSON " NUMBER(CJSON_VERSION_MAJOR) "." NUMBER(
    CJSON_VERSION_MINOR) "." NUMBER(CJSON_VERSION_PATCH);

static size_t string_length(const cJSON *root, const char *key) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(root, key);
  return value ? strlen(value->valuestring) : 0;
}

size_t json_bench_parse(const char *text, size_t length) {
  cJSON *root = cJSON_ParseWithLength(text, length);
  if (!root)
    return 0;
  size_t sum = string_length(root, "type") + string_length(root, "image_base64");
  cJSON_Delete(root);
  return sum;
}
