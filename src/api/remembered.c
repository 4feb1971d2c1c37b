/* GET /v1/streams/{id}/memory: what the local model remembers of a stream. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

static void write_model(MnkJsonWriter *w, MnkApi *api) {
  const MnkLocal *local = api->local;
  mnk_json_begin_object(w, "model");
  mnk_json_add_string(w, "name", local != NULL ? mnk_asked_name(api, MNK_ASKED_LOCAL) : NULL);
  mnk_json_add_string(w, "state",
                      local != NULL ? mnk_local_state_name(mnk_local_state(local)) : "none");
  mnk_json_add_string(w, "detail",
                      local != NULL ? mnk_local_detail(local)
                                    : "no local model is configured; --model-path names one");
  mnk_json_end_object(w);
}

static void write_span(MnkJsonWriter *w, const MnkLocalMemory *memory) {
  if (memory->last_ms < memory->first_ms) {
    mnk_json_add_null(w, "span");
    return;
  }
  mnk_json_begin_object(w, "span");
  mnk_json_add_int(w, "start_ms", memory->first_ms);
  mnk_json_add_int(w, "end_ms", memory->last_ms);
  mnk_json_end_object(w);
}

static void answer(MnkCall *call) {
  MnkApi *api = call->api;
  const MnkLocalStream *stream = mnk_memories_find(api->memories, call->id);
  MnkLocalMemory memory = {.first_ms = 0, .last_ms = -1};
  if (stream != NULL)
    mnk_local_memory(stream, &memory);
  g_autoptr(GString) json = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, json);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "stream", call->id);
  mnk_json_add_bool(&w, "open", stream != NULL);
  write_model(&w, api);
  write_span(&w, &memory);
  mnk_json_begin_object(&w, "frames");
  mnk_json_add_int(&w, "given", (gint64)memory.frames);
  mnk_json_add_int(&w, "encoded", (gint64)memory.encoded);
  mnk_json_add_int(&w, "left_out", (gint64)memory.left_out);
  mnk_json_add_int(&w, "waiting", memory.waiting);
  mnk_json_end_object(&w);
  mnk_json_add_int(&w, "clusters", memory.clusters);
  mnk_json_add_int(&w, "long_clusters", memory.long_clusters);
  mnk_json_add_int(&w, "recent_frames", memory.recent);
  mnk_json_add_int(&w, "bytes", (gint64)memory.bytes);
  mnk_json_add_int(&w, "bytes_max", (gint64)memory.bytes_max);
  mnk_json_end_object(&w);
  mnk_answer_json(call->request, 200, json);
}

static void row_read(MnkCall *call, const MnkStreamRow *row, const GError *error) {
  if (row == NULL)
    mnk_answer_gerror(call->request, error);
  else
    answer(call);
}

void mnk_handle_memory(MnkCall *call) {
  if (mnk_registry_find(call->api->registry, call->id) != NULL)
    answer(call);
  else if (mnk_stream_id_is_valid(call->id))
    mnk_call_with_row(call, call->id, row_read);
  else
    mnk_answer_error(call->request, 404, "not_found", "there is no stream of that id", NULL);
}
