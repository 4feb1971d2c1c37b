/* Shapes of the answers, as docs/api.md tells them. Written as JSON, since they are nothing else.
 */
#include "api/core_priv.h"

#include <string.h>

#define REF(name) "{\"$ref\":\"#/components/schemas/" name "\"}"
#define LIST(member, name)                                                                         \
  "{\"type\":\"object\",\"required\":[\"" member "\"],\"properties\":{\"" member                   \
  "\":{\"type\":\"array\",\"items\":" REF(name) "}}}"
#define TEXT "{\"type\":\"string\"}"
#define WHOLE "{\"type\":\"integer\"}"
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
#define NUMBER "{\"type\":\"number\"}"
#define FLAG "{\"type\":\"boolean\"}"

static const struct {
  const char *name, *json;
} schema_table[] = {
    {"Error", "{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":"
              "\"object\",\"required\":[\"code\",\"message\"],\"properties\":{\"code\":" TEXT
              ",\"message\":" TEXT ",\"field\":" TEXT "}}}}"},
    {"Box",
     "{\"type\":\"object\",\"description\":\"Part of the picture, each from 0 to 1.\","
     "\"properties\":{\"x\":" NUMBER ",\"y\":" NUMBER ",\"w\":" NUMBER ",\"h\":" NUMBER "}}"},
    {"Fact",
     "{\"type\":\"object\",\"required\":[\"kind\",\"name\"],\"properties\":{\"kind\":{\"type\":"
     "\"string\",\"enum\":[\"object\",\"scene\",\"face\",\"pose\",\"text\",\"camera\",\"cut\","
     "\"action\",\"gap\"]},\"name\":" TEXT
     ",\"of\":{\"type\":[\"string\",\"null\"]},\"score\":" NUMBER ",\"count\":" COUNT
     ",\"box\":{\"oneOf\":[" REF("Box") ",{\"type\":\"array\",\"items\":" NUMBER
                                        "},{\"type\":\"null\"}]},\"start_ms\":" WHOLE
                                        ",\"end_ms\":" WHOLE "}}"},
    {"Caption",
     "{\"type\":\"object\",\"required\":[\"type\",\"stream\",\"id\",\"start_ms\",\"end_ms\","
     "\"final\",\"text\"],\"properties\":{\"type\":{\"const\":\"caption\"},\"stream\":" TEXT
     ",\"id\":" TEXT ",\"seq\":" COUNT ",\"start_ms\":" WHOLE ",\"end_ms\":" WHOLE
     ",\"picture_ms\":" WHOLE ",\"final\":" FLAG ",\"durable\":" FLAG ",\"backend\":" TEXT
     ",\"lang\":" TEXT ",\"text\":" TEXT
     ",\"facts\":{\"type\":\"array\",\"items\":" REF("Fact") "}}}"},
    {"Captions", LIST("captions", "Caption")},
    {"Counters", "{\"type\":\"object\",\"description\":\"received = encoded + gated + late + "
                 "dropped + queued\","
                 "\"properties\":{\"received\":" COUNT ",\"encoded\":" COUNT ",\"gated\":" COUNT
                 ",\"late\":" COUNT ",\"queued\":" COUNT ",\"dropped\":" COUNT
                 ",\"dropped_by\":{\"type\":\"object\",\"properties\":{\"behind\":" COUNT
                 ",\"damaged\":" COUNT ",\"room\":" COUNT ",\"worker\":" COUNT
                 "}},\"refused\":" COUNT ",\"worker_deaths\":" COUNT ",\"gaps\":" COUNT
                 ",\"batches\":" COUNT ",\"batches_stale\":" COUNT ",\"fallbacks\":" COUNT "}}"},
    {"Stream",
     "{\"type\":\"object\",\"required\":[\"id\",\"state\"],\"properties\":{\"id\":" TEXT
     ",\"source\":{\"type\":\"object\",\"properties\":{\"kind\":" TEXT ",\"address\":" TEXT
     "}},\"state\":{\"type\":\"string\",\"enum\":[\"starting\",\"running\",\"waiting\",\"ended\","
     "\"failed\"]},\"error\":{\"type\":[\"object\",\"null\"],\"properties\":{\"code\":" TEXT
     ",\"message\":" TEXT "}},\"created_us\":" WHOLE ",\"clock_ms\":" WHOLE
     ",\"duration_ms\":{\"type\":[\"integer\",\"null\"]},\"last_seq\":" COUNT ",\"captions\":" COUNT
     ",\"params\":" REF(
         "Params") ",\"viewers\":" COUNT
                   ",\"backend\":{\"type\":\"object\",\"properties\":{\"name\":" TEXT
                   ",\"state\":" TEXT ",\"detail\":" TEXT
                   "}},\"video\":{\"type\":[\"object\",\"null\"],\"properties\":{\"width\":" COUNT
                   ",\"height\":" COUNT ",\"fps\":" NUMBER ",\"codec\":" TEXT
                   "}},\"counters\":" REF("Counters") "}}"},
    {"Streams", LIST("streams", "Stream")},
    {"Frames",
     "{\"type\":\"object\",\"required\":[\"frames\"],\"properties\":{\"frames\":{\"type\":"
     "\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"pts_ms\":" WHOLE "}}}}}"},
    {"SearchHit", "{\"type\":\"object\",\"properties\":{\"caption\":" REF(
                      "Caption") ",\"score\":" NUMBER ",\"snippet\":" TEXT
                                 ",\"picture\":{\"type\":[\"string\",\"null\"]}}}"},
    {"SearchHits", LIST("hits", "SearchHit")},
    {"Events",
     "{\"type\":\"object\",\"description\":\"One event: caption and running carry a Caption, state "
     "a Stream, seen what the newest frame shows, bye a reason.\",\"properties\":{\"event\":"
     "{\"type\":\"string\",\"enum\":[\"caption\",\"running\",\"seen\",\"state\",\"bye\"]},\"id\":"
     "{\"type\":[\"integer\",\"null\"]},\"data\":{\"type\":\"object\"}}}"},
    {"Health",
     "{\"type\":\"object\",\"required\":[\"status\",\"parts\"],\"properties\":{\"status\":{"
     "\"type\":\"string\",\"enum\":[\"ok\",\"starting\",\"draining\",\"down\"]},\"parts\":{"
     "\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\",\"properties\":{"
     "\"status\":" TEXT ",\"detail\":" TEXT "}}}}}"},
    {"Version", "{\"type\":\"object\",\"properties\":{\"name\":" TEXT ",\"version\":" TEXT
                ",\"build\":" TEXT "}}"},
    {"Token",
     "{\"type\":\"object\",\"required\":[\"token\",\"expires_us\"],\"properties\":{\"token\":" TEXT
     ",\"expires_us\":" WHOLE "}}"},
    {"Upload",
     "{\"type\":\"object\",\"required\":[\"name\",\"bytes\"],\"properties\":{\"name\":" TEXT
     ",\"bytes\":" COUNT ",\"created_us\":" WHOLE "}}"},
    {"Uploads", LIST("uploads", "Upload")},
};

void mnk_openapi_write_schemas(MnkJsonWriter *w) {
  for (guint i = 0; i < G_N_ELEMENTS(schema_table); i++)
    mnk_json_add_raw(w, schema_table[i].name, schema_table[i].json, strlen(schema_table[i].json));
}

gboolean mnk_openapi_has_schema(const char *name) {
  for (guint i = 0; i < G_N_ELEMENTS(schema_table); i++)
    if (strcmp(schema_table[i].name, name) == 0)
      return TRUE;
  return FALSE;
}
