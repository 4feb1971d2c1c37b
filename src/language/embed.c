/* Vectors of texts, from a Vertex endpoint with a text encoder: POST .../endpoints/ID:predict. */
#include "language/service_priv.h"

#include <math.h>
#include <string.h>

enum {
  FLUSH_MS = 200,
  TEXT_BYTES = 8192,
  NUMBERS_MAX = 4096, /* of one vector */
  WAITING_MAX = 4096,
  REQUESTS_MAX = 4, /* side by side */
};

typedef struct {
  char *text;
  MnkEmbedded done; /* NULL: nobody waits any more */
  gpointer user;
} Item;

typedef struct {
  MnkEmbedder *embedder;
  GPtrArray *items;   /* of Item */
  GPtrArray *vectors; /* of GArray of float, one for each */
  MnkExchange *exchange;
} Request;

struct _MnkEmbedder {
  MnkRemote *remote;
  char *url;
  guint batch_size;
  gint64 deadline_ms;
  GQueue waiting;      /* of Item */
  GQueue dropped;      /* of Item: too many waited */
  GPtrArray *requests; /* of Request */
  GSource *flush;
  gboolean *gone; /* set when this is freed while texts are told */
};

static void item_free(gpointer data) {
  Item *item = data;
  g_free(item->text);
  g_free(item);
}

static void vector_free(gpointer data) {
  g_array_unref(data);
}

static void request_free(gpointer data) {
  Request *request = data;
  mnk_exchange_cancel(request->exchange);
  g_ptr_array_unref(request->items);
  g_ptr_array_unref(request->vectors);
  g_free(request);
}

/* ---- Vectors ---- */

static gboolean refuse(GError **error, const char *what) {
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, what);
  return FALSE;
}

/* The numbers of one prediction, however the endpoint's model wraps them. */
static const MnkJsonValue *numbers_of(const MnkJsonValue *prediction) {
  const MnkJsonValue *value = mnk_json_get(prediction, "embeddings");
  if (value)
    prediction = value;
  value = mnk_json_get(prediction, "values");
  if (value)
    prediction = value;
  while (mnk_json_type(prediction) == MNK_JSON_ARRAY && mnk_json_size(prediction) == 1 &&
         mnk_json_type(mnk_json_at(prediction, 0)) == MNK_JSON_ARRAY)
    prediction = mnk_json_at(prediction, 0);
  return mnk_json_type(prediction) == MNK_JSON_ARRAY ? prediction : NULL;
}

/* Of unit length. */
static GArray *read_vector(const MnkJsonValue *prediction, GError **error) {
  const MnkJsonValue *numbers = numbers_of(prediction);
  guint n = mnk_json_size(numbers);
  if (n == 0 || n > NUMBERS_MAX) {
    refuse(error, "a prediction holds no vector of 1 to 4096 numbers");
    return NULL;
  }
  g_autoptr(GArray) vector = g_array_sized_new(FALSE, FALSE, sizeof(float), n);
  double squares = 0;
  for (guint i = 0; i < n; i++) {
    double number = mnk_json_double(mnk_json_at(numbers, i), NAN);
    if (!isfinite(number)) {
      refuse(error, "a prediction's vector holds something else than numbers");
      return NULL;
    }
    squares += number * number;
    float value = (float)number;
    g_array_append_val(vector, value);
  }
  double length = sqrt(squares);
  if (!(length > 1e-12) || !isfinite(length)) {
    refuse(error, "a prediction's vector has no direction");
    return NULL;
  }
  for (guint i = 0; i < n; i++)
    g_array_index(vector, float, i) = (float)((double)g_array_index(vector, float, i) / length);
  return g_steal_pointer(&vector);
}

gboolean mnk_embeddings_read(const char *body, gsize length, guint n, GPtrArray *vectors,
                             GError **error) {
  static const MnkJsonLimits limits = {67108864, 16, 1048576, 65536};
  g_autoptr(MnkJson) json = mnk_json_parse(body, length, &limits, error);
  const MnkJsonValue *list = json ? mnk_json_get(mnk_json_root(json), "predictions") : NULL;
  if (!json)
    return FALSE;
  if (mnk_json_size(list) != n)
    return refuse(error, "the reply does not hold one prediction for each text");
  g_ptr_array_set_size(vectors, 0);
  for (guint i = 0; i < n; i++) {
    GArray *vector = read_vector(mnk_json_at(list, i), error);
    if (!vector)
      return FALSE;
    g_ptr_array_add(vectors, vector);
    if (vector->len != ((const GArray *)vectors->pdata[0])->len)
      return refuse(error, "the reply's vectors differ in length");
  }
  return TRUE;
}

/* ---- Requests ---- */

static gboolean on_flush(gpointer user);

static void flush_after(MnkEmbedder *embedder, gint64 delay_ms) {
  mnk_timer_clear(&embedder->flush);
  embedder->flush = mnk_timer_new(delay_ms, on_flush, embedder);
}

static gboolean accept_vectors(GBytes *body, gpointer user, GError **error) {
  Request *request = user;
  gsize length = 0;
  const char *text = g_bytes_get_data(body, &length);
  return mnk_embeddings_read(text, length, request->items->len, request->vectors, error);
}

/* TRUE: the embedder is still there. A callback may cancel other texts, or free the embedder. */
static gboolean tell(MnkEmbedder *embedder, const Request *request, const GError *error) {
  gboolean gone = FALSE;
  embedder->gone = &gone;
  for (guint i = 0; !gone && i < request->items->len; i++) {
    const Item *item = request->items->pdata[i];
    const GArray *vector = error ? NULL : request->vectors->pdata[i];
    if (item->done)
      item->done(vector ? (const float *)(gpointer)vector->data : NULL, vector ? vector->len : 0,
                 error, item->user);
  }
  if (!gone)
    embedder->gone = NULL;
  return !gone;
}

static void on_exchanged(const MnkFault *fault, guint attempts, gpointer user) {
  Request *request = user;
  MnkEmbedder *embedder = request->embedder;
  g_autoptr(GError) error = fault ? mnk_fault_to_error(fault) : NULL;
  g_prefix_error(&error, "%s: ", embedder->remote->config.name);
  request->exchange = NULL;
  if (fault) {
    mnk_info("language", NULL, "event=embedding-failed attempts=%u fault=\"%s\"", attempts,
             error->message);
  } else {
    mnk_breaker_good(&embedder->remote->breaker);
    mnk_remote_note(embedder->remote, NULL);
  }
  if (!tell(embedder, request, error))
    return;
  g_ptr_array_remove_fast(embedder->requests, request);
  if (!g_queue_is_empty(&embedder->waiting))
    flush_after(embedder, 0);
}

static GBytes *request_body(const Request *request) {
  GString *out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_begin_array(&w, "instances");
  for (guint i = 0; i < request->items->len; i++) {
    mnk_json_begin_object(&w, NULL);
    mnk_json_add_string(&w, "content", ((const Item *)request->items->pdata[i])->text);
    mnk_json_end_object(&w);
  }
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
  return g_string_free_to_bytes(out);
}

static void send_request(MnkEmbedder *embedder) {
  Request *request = g_new0(Request, 1);
  request->embedder = embedder;
  request->items = g_ptr_array_new_with_free_func(item_free);
  request->vectors = g_ptr_array_new_with_free_func(vector_free);
  while (request->items->len < embedder->batch_size && !g_queue_is_empty(&embedder->waiting))
    g_ptr_array_add(request->items, g_queue_pop_head(&embedder->waiting));
  g_autoptr(GBytes) body = request_body(request);
  MnkExchangeConfig config = {.method = "POST",
                              .url = embedder->url,
                              .body = body,
                              .deadline_us = g_get_monotonic_time() + embedder->deadline_ms * 1000,
                              .retries = embedder->remote->config.retries,
                              .accept = accept_vectors,
                              .done = on_exchanged,
                              .user = request};
  g_ptr_array_add(embedder->requests, request);
  request->exchange = mnk_exchange_start(embedder->remote, &config);
}

/* TRUE: the embedder is still there. */
static gboolean tell_dropped(MnkEmbedder *embedder) {
  g_autoptr(GError) error = g_error_new(MNK_ERROR, MNK_ERROR_LIMIT,
                                        "embedding: more than %d texts wait for it", WAITING_MAX);
  gboolean gone = FALSE;
  embedder->gone = &gone;
  while (!gone && !g_queue_is_empty(&embedder->dropped)) {
    Item item = *(Item *)g_queue_peek_head(&embedder->dropped);
    g_free(g_queue_pop_head(&embedder->dropped));
    g_free(item.text);
    if (item.done)
      item.done(NULL, 0, error, item.user);
  }
  if (!gone)
    embedder->gone = NULL;
  return !gone;
}

static gboolean on_flush(gpointer user) {
  MnkEmbedder *embedder = user;
  mnk_timer_clear(&embedder->flush);
  if (!tell_dropped(embedder))
    return G_SOURCE_REMOVE;
  while (!g_queue_is_empty(&embedder->waiting) && embedder->requests->len < REQUESTS_MAX)
    send_request(embedder);
  return G_SOURCE_REMOVE;
}

void mnk_embedder_text(MnkEmbedder *embedder, const char *text, MnkEmbedded done, gpointer user) {
  Item *item = g_new0(Item, 1);
  item->text = mnk_text_plain(text, TEXT_BYTES);
  item->done = done;
  item->user = user;
  g_queue_push_tail(&embedder->waiting, item);
  guint waiting = g_queue_get_length(&embedder->waiting);
  if (waiting > WAITING_MAX) { /* the service cannot follow: the oldest go unanswered */
    g_queue_push_tail(&embedder->dropped, g_queue_pop_head(&embedder->waiting));
    flush_after(embedder, 0);
  } else if (waiting >= embedder->batch_size) {
    flush_after(embedder, 0);
  } else if (!embedder->flush) {
    flush_after(embedder, FLUSH_MS);
  }
}

static void forget(gpointer data, gpointer user) {
  Item *item = data;
  if (item->user == user)
    item->done = NULL;
}

void mnk_embedder_cancel(MnkEmbedder *embedder, gpointer user) {
  g_queue_foreach(&embedder->waiting, forget, user);
  g_queue_foreach(&embedder->dropped, forget, user);
  for (guint i = 0; i < embedder->requests->len; i++) {
    Request *request = embedder->requests->pdata[i];
    g_ptr_array_foreach(request->items, forget, user);
  }
}

/* ---- Making one ---- */

/* "projects/P/locations/L/endpoints/ID", or ID in the project and location of vertex. */
static char *endpoint_path(const MnkSettings *settings, const char *project, GError **error) {
  const char *endpoint = mnk_settings_string(settings, MNK_OPT_VERTEX_BERT_ENDPOINT);
  gboolean whole = g_str_has_prefix(endpoint, "projects/");
  if (!mnk_service_name_is_valid(endpoint, whole)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "--vertex-bert-endpoint: an endpoint is a number, or "
                "projects/PROJECT/locations/LOCATION/endpoints/NUMBER");
    return NULL;
  }
  if (whole)
    return g_strdup(endpoint);
  const char *named = mnk_settings_string(settings, MNK_OPT_VERTEX_PROJECT);
  project = named ? named : project;
  if (!project || !mnk_service_name_is_valid(project, FALSE)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "--vertex-bert-endpoint needs a project: set --vertex-project "
                "(GOOGLE_CLOUD_PROJECT), or give the endpoint's whole name");
    return NULL;
  }
  return g_strdup_printf("projects/%s/locations/%s/endpoints/%s", project,
                         mnk_settings_string(settings, MNK_OPT_VERTEX_LOCATION), endpoint);
}

/* An endpoint's own location is where it is reached. */
static char *location_of(const char *path) {
  g_auto(GStrv) parts = g_strsplit(path, "/", -1);
  for (guint i = 0; parts[i] && parts[i + 1]; i++)
    if (g_str_equal(parts[i], "locations"))
      return g_strdup(parts[i + 1]);
  return g_strdup("");
}

static gboolean configure(MnkEmbedder *embedder, const MnkSettings *settings, MnkHttpClient *client,
                          GError **error) {
  MnkRemoteConfig config = {.name = "embedding", .client = client};
  mnk_remote_read_config(&config, settings);
  g_autoptr(MnkAddressPolicy) policy =
      mnk_remote_policy(settings, mnk_settings_is_set(settings, MNK_OPT_VERTEX_URL), error);
  if (!policy)
    return FALSE;
  MnkReach reach = {client, policy, config.connect_ms, config.first_byte_ms};
  g_autofree char *project = NULL;
  g_autoptr(MnkOauth) auth = mnk_vertex_auth(settings, &reach, &project, error);
  g_autofree char *path = auth ? endpoint_path(settings, project, error) : NULL;
  g_autofree char *location = path ? location_of(path) : NULL;
  g_autofree char *base = path ? mnk_vertex_base_url(settings, location, error) : NULL;
  if (!base)
    return FALSE;
  embedder->url = g_strdup_printf("%s/v1/%s:predict", base, path);
  embedder->batch_size = (guint)mnk_settings_int(settings, MNK_OPT_VERTEX_BERT_BATCH_SIZE);
  embedder->deadline_ms = mnk_settings_int(settings, MNK_OPT_BACKEND_DEADLINE);
  embedder->remote = mnk_remote_new(&config, g_steal_pointer(&policy), g_steal_pointer(&auth));
  return TRUE;
}

gboolean mnk_embedder_new(const MnkSettings *settings, MnkHttpClient *client, MnkEmbedder **out,
                          GError **error) {
  *out = NULL;
  if (!mnk_settings_string(settings, MNK_OPT_VERTEX_BERT_ENDPOINT))
    return TRUE;
  g_autoptr(MnkEmbedder) embedder = g_new0(MnkEmbedder, 1);
  embedder->requests = g_ptr_array_new_with_free_func(request_free);
  if (!configure(embedder, settings, client, error))
    return FALSE;
  *out = g_steal_pointer(&embedder);
  return TRUE;
}

void mnk_embedder_free(MnkEmbedder *embedder) {
  if (!embedder)
    return;
  if (embedder->gone)
    *embedder->gone = TRUE;
  mnk_timer_clear(&embedder->flush);
  g_ptr_array_unref(embedder->requests);
  g_queue_clear_full(&embedder->waiting, item_free);
  g_queue_clear_full(&embedder->dropped, item_free);
  mnk_remote_free(embedder->remote);
  g_free(embedder->url);
  g_free(embedder);
}
