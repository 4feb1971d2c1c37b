/* What the program itself does: our check, then json-c. */
#include "json_bench.h"

#include "wire/json.h"

#include <string.h>

const char *const json_bench_library = "wire (check + json-c)";

size_t json_bench_parse(const char *text, size_t length) {
  g_autoptr(MnkJson) json = mnk_json_parse(text, length, NULL, NULL);
  if (!json)
    return 0;
  const MnkJsonValue *root = mnk_json_root(json);
  return strlen(mnk_json_string(mnk_json_get(root, "type"), "")) +
         strlen(mnk_json_string(mnk_json_get(root, "image_base64"), ""));
}
