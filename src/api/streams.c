/* /v1/streams: made, listed, shown, changed, ended. */
#include "api/questions_priv.h"

#include <string.h>

static void answer_entry(MnkCall *call, guint status, MnkEntry *entry) {
  g_autoptr(GString) json = g_string_new(NULL);
  mnk_entry_write(entry, json);
  mnk_answer_json(call->request, status, json);
}

static gboolean id_is_valid(MnkCall *call) {
  if (mnk_stream_id_is_valid(call->id))
    return TRUE;
  mnk_answer_error(call->request, 404, "not_found", "there is no stream of that id", NULL);
  return FALSE;
}

/* ---- POST ---- */

/* A stream that waits for the store to say whether its id is free. */
typedef struct {
  char *id;
  gboolean made; /* from the source's name: another one is as good */
  MnkSpec spec;
  MnkSettings *settings;
} Wish;

static void wish_free(Wish *wish) {
  mnk_spec_clear(&wish->spec);
  mnk_settings_free(wish->settings);
  g_free(wish->id);
  g_free(wish);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Wish, wish_free)

static gpointer look_id_up(MnkStore *store, gpointer data, GError **error) {
  return mnk_store_stream(store, ((const Wish *)data)->id, error);
}

static void begin_wish(MnkCall *call, Wish *wish, GError **error) {
  MnkBegin begin = {
      .id = wish->id, .spec = &wish->spec, .settings = wish->settings, .key = call->key};
  MnkEntry *entry = mnk_registry_begin(call->api->registry, &begin, error);
  if (entry == NULL)
    return;
  g_autofree char *place = g_strconcat("/v1/streams/", entry->id, NULL);
  mnk_request_set_answer_header(call->request, "Location", place);
  answer_entry(call, 201, entry);
}

static void rename_wish(Wish *wish) {
  char *id = mnk_random_id(wish->id);
  g_free(wish->id);
  wish->id = id;
}

static void id_looked_up(MnkCall *call, gpointer result, const GError *failure, gpointer data) {
  g_autoptr(Wish) wish = data;
  g_autoptr(GError) error = NULL;
  gboolean known = result != NULL;
  mnk_stream_row_free(result);
  if (call->request == NULL)
    return;
  if (!known && !g_error_matches(failure, MNK_ERROR, MNK_ERROR_NOT_FOUND)) {
    mnk_answer_gerror(call->request, failure);
    return;
  }
  if (known && wish->made)
    rename_wish(wish);
  if (known && !wish->made)
    g_set_error(&error, MNK_STATUS_ERROR, 409,
                "id \"%s\" is that of a stream of the timeline; delete that with its captions, or "
                "take another",
                wish->id);
  else
    begin_wish(call, wish, &error);
  if (error != NULL)
    mnk_answer_gerror(call->request, error);
}

static Wish *read_wish(MnkCall *call, GError **error) {
  MnkRegistry *registry = call->api->registry;
  g_autoptr(Wish) wish = g_new0(Wish, 1);
  const MnkJsonValue *params = mnk_json_get(call->body, "params");
  const char *id = mnk_json_string(mnk_json_get(call->body, "id"), NULL);
  const char *source = mnk_json_string(mnk_json_get(call->body, "source"), "");
  wish->settings = mnk_settings_copy(mnk_registry_base(registry));
  if (id != NULL && !mnk_stream_id_is_valid(id)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                        "id must have 1 to 64 letters, digits, '-' and '_'");
    return NULL;
  }
  if (!mnk_registry_has_room(registry, error) ||
      (params != NULL && !mnk_params_apply(wish->settings, params, FALSE, error)) ||
      !mnk_spec_resolve(call->api, source, FALSE, &wish->spec, error))
    return NULL;
  wish->made = id == NULL;
  wish->id = mnk_registry_stem(registry, &wish->spec, wish->settings, error);
  if (wish->id == NULL)
    return NULL;
  if (id != NULL) {
    g_free(wish->id);
    wish->id = g_strdup(id);
  } else if (mnk_registry_find(registry, wish->id) != NULL) {
    rename_wish(wish);
  }
  return g_steal_pointer(&wish);
}

void mnk_handle_streams_add(MnkCall *call) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Wish) wish = read_wish(call, &error);
  if (wish == NULL)
    mnk_answer_gerror(call->request, error);
  else
    mnk_call_run(call, look_id_up, id_looked_up, g_steal_pointer(&wish));
}

/* ---- GET ---- */

static gpointer read_rows(MnkStore *store, gpointer data, GError **error) {
  return mnk_store_streams(store, error);
}

static void add_row(MnkCall *call, MnkJsonWriter *w, const MnkStreamRow *row) {
  MnkRegistry *registry = call->api->registry;
  const GString *words = mnk_registry_ended(registry, row->id);
  g_autoptr(GString) json = g_string_new(NULL);
  if (words == NULL)
    mnk_row_write(row, json);
  const GString *text = words != NULL ? words : json;
  mnk_json_add_raw(w, NULL, text->str, text->len);
}

/* Those that have just ended need not have reached the disk yet. */
static guint add_ended(MnkCall *call, MnkJsonWriter *w, const GPtrArray *rows, guint most) {
  MnkRegistry *registry = call->api->registry;
  g_autoptr(GHashTable) kept = g_hash_table_new(g_str_hash, g_str_equal);
  g_autoptr(GPtrArray) ended = mnk_registry_ended_ids(registry);
  guint n = 0;
  for (guint i = 0; i < rows->len; i++)
    g_hash_table_add(kept, ((const MnkStreamRow *)g_ptr_array_index(rows, i))->id);
  for (guint i = 0; i < ended->len && n < most; i++) {
    const char *id = g_ptr_array_index(ended, i);
    if (g_hash_table_contains(kept, id))
      continue;
    const GString *words = mnk_registry_ended(registry, id);
    mnk_json_add_raw(w, NULL, words->str, words->len);
    n++;
  }
  return n;
}

static void add_streams(MnkCall *call, MnkJsonWriter *w, const GPtrArray *rows) {
  MnkRegistry *registry = call->api->registry;
  g_autoptr(GPtrArray) list = mnk_registry_list(registry);
  guint n = 0;
  for (; n < MIN(list->len, MNK_LIST_MAX); n++) {
    g_autoptr(GString) json = g_string_new(NULL);
    mnk_entry_write(g_ptr_array_index(list, n), json);
    mnk_json_add_raw(w, NULL, json->str, json->len);
  }
  n += add_ended(call, w, rows, MNK_LIST_MAX - n);
  for (guint i = 0; i < rows->len && n < MNK_LIST_MAX; i++) {
    const MnkStreamRow *row = g_ptr_array_index(rows, i);
    if (mnk_registry_find(registry, row->id) != NULL)
      continue;
    add_row(call, w, row);
    n++;
  }
}

static void rows_read(MnkCall *call, gpointer result, const GError *error, gpointer data) {
  g_autoptr(GPtrArray) rows = result;
  if (call->request == NULL)
    return;
  if (rows == NULL) {
    mnk_answer_gerror(call->request, error);
    return;
  }
  g_autoptr(GString) out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_begin_array(&w, "streams");
  add_streams(call, &w, rows);
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
  mnk_answer_json(call->request, 200, out);
}

void mnk_handle_streams_list(MnkCall *call) {
  mnk_call_run(call, read_rows, rows_read, NULL);
}

/* A stream that does not run, as it was last seen. */
static void answer_row(MnkCall *call, const MnkStreamRow *row, const GError *error) {
  if (row == NULL) {
    mnk_answer_gerror(call->request, error);
    return;
  }
  const GString *words = mnk_registry_ended(call->api->registry, call->id);
  g_autoptr(GString) json = g_string_new(NULL);
  if (words == NULL)
    mnk_row_write(row, json);
  mnk_answer_json(call->request, 200, words != NULL ? words : json);
}

void mnk_handle_stream_get(MnkCall *call) {
  MnkEntry *entry = mnk_registry_find(call->api->registry, call->id);
  if (entry != NULL)
    answer_entry(call, 200, entry);
  else if (id_is_valid(call))
    mnk_call_with_row(call, call->id, answer_row);
}

/* ---- PATCH ---- */

static void refuse_patch(MnkCall *call, const MnkStreamRow *row, const GError *error) {
  if (row == NULL)
    mnk_answer_gerror(call->request, error);
  else
    mnk_answer_error(call->request, 409, "conflict",
                     "the stream has ended; parameters of running streams can change", NULL);
}

void mnk_handle_stream_patch(MnkCall *call) {
  MnkEntry *entry = mnk_registry_find(call->api->registry, call->id);
  if (entry == NULL) {
    if (id_is_valid(call))
      mnk_call_with_row(call, call->id, refuse_patch);
    return;
  }
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkSettings) settings = mnk_settings_copy(entry->settings);
  const MnkJsonValue *params = mnk_json_get(call->body, "params");
  if (mnk_params_apply(settings, params, TRUE, &error) && mnk_entry_set(entry, settings, &error))
    answer_entry(call, 200, entry);
  else
    mnk_answer_gerror(call->request, error);
}

/* ---- DELETE ---- */

typedef struct {
  MnkCall *call;
  GString *words; /* the stream as it was last */
} Delete;

static void answer_delete(Delete *delete, const GError *error) {
  MnkCall *call = delete->call;
  if (call->request != NULL && error != NULL)
    mnk_answer_gerror(call->request, error);
  else if (call->request != NULL)
    mnk_answer_json(call->request, 200, delete->words);
  g_string_free(delete->words, TRUE);
  mnk_call_unref(call);
  g_free(delete);
}

static void captions_deleted(const GError *error, gpointer user) {
  answer_delete(user, error);
}

static gboolean with_captions(const MnkCall *call) {
  return call->user != NULL;
}

/* Takes words. */
static void delete_rest(MnkCall *call, GString *words) {
  Delete *delete = g_new0(Delete, 1);
  *delete = (Delete){mnk_call_ref(call), words};
  if (!with_captions(call)) {
    answer_delete(delete, NULL);
    return;
  }
  mnk_registry_forget(call->api->registry, call->id);
  mnk_memories_forget(call->api->memories, call->id);
  mnk_videos_forget(call->api, call->id);
  mnk_memories_forget(call->api->memories, call->id);
  mnk_store_delete_stream(call->api->store, call->id, captions_deleted, delete);
}

static void delete_ended(MnkEntry *entry, gpointer user) {
  g_autoptr(MnkCall) call = user;
  GString *words = g_string_new(NULL);
  mnk_entry_write(entry, words);
  delete_rest(call, words);
}

static void delete_row(MnkCall *call, const MnkStreamRow *row, const GError *error) {
  if (row == NULL) {
    mnk_answer_gerror(call->request, error);
    return;
  }
  const GString *last = mnk_registry_ended(call->api->registry, call->id);
  GString *words = last != NULL ? g_string_new_len(last->str, (gssize)last->len) : g_string_new("");
  if (last == NULL)
    mnk_row_write(row, words);
  delete_rest(call, words);
}

void mnk_handle_stream_delete(MnkCall *call) {
  /* asked for now: the request may be gone when the stream has ended */
  if (mnk_call_string(call, "captions", NULL) != NULL)
    call->user = call;
  MnkEntry *entry = mnk_registry_find(call->api->registry, call->id);
  if (entry == NULL) {
    if (id_is_valid(call))
      mnk_call_with_row(call, call->id, delete_row);
    return;
  }
  mnk_entry_when_ended(entry, delete_ended, mnk_call_ref(call));
  mnk_entry_stop(entry);
}

/* ---- the table ---- */

static const MnkField ADD_BODY[] = {
    {.name = "id",
     .type = MNK_FIELD_STRING,
     .max = 64,
     .help = "Letters, digits, '-' and '_'. Default: made from the source's name."},
    {.name = "source",
     .type = MNK_FIELD_STRING,
     .required = TRUE,
     .max = 4096,
     .help = "push, a file below --files-root, upload:NAME, camera, camera:N, an rtsp or http "
             "address."},
    {.name = "params", .type = MNK_FIELD_PARAMS, .help = "The stream's own parameters."},
    {0},
};

static const MnkField PATCH_BODY[] = {
    {.name = "params",
     .type = MNK_FIELD_PARAMS,
     .required = TRUE,
     .help = "Parameters that may change while a stream runs."},
    {0},
};

static const MnkField DELETE_QUERY[] = {
    {.name = "captions",
     .type = MNK_FIELD_ENUM,
     .choices = "delete",
     .help = "Removes its captions and pictures, too."},
    {0},
};

static const MnkField CAPTIONS_QUERY[] = {
    {.name = "from", .type = MNK_FIELD_TIME, .max = 8640000000.0, .help = "Begin of the interval."},
    {.name = "to", .type = MNK_FIELD_TIME, .max = 8640000000.0, .help = "Its end."},
    {.name = "limit", .type = MNK_FIELD_INT, .min = 1, .max = 10000, .help = "Default: 1000."},
    {.name = "format", .type = MNK_FIELD_ENUM, .choices = "json|vtt|srt", .help = "Default: json."},
    {0},
};

static const MnkField FRAMES_QUERY[] = {
    {.name = "from", .type = MNK_FIELD_TIME, .max = 8640000000.0, .help = "Begin of the interval."},
    {.name = "to", .type = MNK_FIELD_TIME, .max = 8640000000.0, .help = "Its end."},
    {.name = "limit", .type = MNK_FIELD_INT, .min = 1, .max = 10000, .help = "Default: 1000."},
    {0},
};

static const MnkField SEARCH_QUERY[] = {
    {.name = "q",
     .type = MNK_FIELD_STRING,
     .required = TRUE,
     .max = 1024,
     .help = "Words that must all occur; \"quoted words\" side by side."},
    {.name = "stream", .type = MNK_FIELD_STRING, .max = 64, .help = "Default: all streams."},
    {.name = "from", .type = MNK_FIELD_TIME, .max = 8640000000.0, .help = "Begin of the interval."},
    {.name = "to", .type = MNK_FIELD_TIME, .max = 8640000000.0, .help = "Its end."},
    {.name = "limit", .type = MNK_FIELD_INT, .min = 1, .max = 200, .help = "Default: 20."},
    {0},
};

const MnkRoute mnk_routes_streams[] = {
    {"POST", "/v1/streams", MNK_SCOPE_INGEST, NULL, ADD_BODY, 201, "Stream", "Begins a stream.",
     mnk_handle_streams_add, 0},
    {"GET", "/v1/streams", MNK_SCOPE_READ, NULL, NULL, 200, "Streams",
     "Streams that run, then those of the timeline; at most 1000.", mnk_handle_streams_list, 0},
    {"GET", "/v1/streams/{id}", MNK_SCOPE_READ, NULL, NULL, 200, "Stream", "One stream.",
     mnk_handle_stream_get, 0},
    {"PATCH", "/v1/streams/{id}", MNK_SCOPE_INGEST, NULL, PATCH_BODY, 200, "Stream",
     "Changes parameters while it runs.", mnk_handle_stream_patch, 0},
    {"DELETE", "/v1/streams/{id}", MNK_SCOPE_INGEST, DELETE_QUERY, NULL, 200, "Stream",
     "Ends a stream, with its captions.", mnk_handle_stream_delete, 0},
    {"GET", "/v1/streams/{id}/captions", MNK_SCOPE_READ, CAPTIONS_QUERY, NULL, 200, "Captions",
     "Captions of an interval, in time order.", mnk_handle_captions, 0},
    {"GET", "/v1/streams/{id}/frames", MNK_SCOPE_READ, FRAMES_QUERY, NULL, 200, "Frames",
     "Times of the key frames that are kept.", mnk_handle_frames, 0},
    {"GET", "/v1/streams/{id}/frames/{rest}", MNK_SCOPE_READ, NULL, NULL, 200, "image/jpeg",
     "A key frame: PTS_MS.jpg or latest.jpg.", mnk_handle_frame, 0},
    {"GET", "/v1/search", MNK_SCOPE_READ, SEARCH_QUERY, NULL, 200, "SearchHits",
     "Finds captions by words, and by meaning where an embedding service is set up.",
     mnk_handle_search, 0},
    {0},
};
