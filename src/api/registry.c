/* All streams of the server: those that run, and the last words on those that have ended. */
#include "api/core_priv.h"
#include "api/streams_priv.h"

#include <stdlib.h>
#include <string.h>

enum { STATE_EVERY_MS = 2000, ID_MAX = 64, RANDOM_LETTERS = 8 };

typedef struct {
  char *id;
  GString *words, *spec;
} Ended;

struct _MnkRegistry {
  MnkApi *api;
  MnkSettings *base;
  GHashTable *entries;    /* id -> MnkEntry, owned */
  GQueue ended;           /* of Ended, newest first */
  MnkStreamCounters sums; /* of those that have ended */
  GQueue embeds;          /* see embed.c */
  GByteArray *scratch;
  guint state_timer;

  void (*drained)(gpointer user);
  gpointer drained_user;
  guint drain_timer, hurry_timer;
};

/* ---- those that have ended ---- */

static void ended_free(gpointer data) {
  Ended *ended = data;
  g_free(ended->id);
  g_string_free(ended->words, TRUE);
  g_string_free(ended->spec, TRUE);
  g_free(ended);
}

static GList *find_ended(MnkRegistry *registry, const char *id) {
  for (GList *l = registry->ended.head; l != NULL; l = l->next)
    if (g_str_equal(((const Ended *)l->data)->id, id))
      return l;
  return NULL;
}

const GString *mnk_registry_ended(MnkRegistry *registry, const char *id) {
  GList *link = find_ended(registry, id);
  return link != NULL ? ((const Ended *)link->data)->words : NULL;
}

const char *mnk_registry_spec(MnkRegistry *registry, const MnkStreamRow *row) {
  GList *link = find_ended(registry, row->id);
  if (link != NULL)
    return ((const Ended *)link->data)->spec->str;
  return row->spec != NULL ? row->spec : "";
}

const MnkStreamRow *mnk_registry_row(MnkRegistry *registry, char *id, const MnkStreamRow *row,
                                     MnkStreamRow *bare) {
  if (row != NULL || find_ended(registry, id) == NULL)
    return row;
  *bare = (MnkStreamRow){.id = id};
  return bare;
}

gboolean mnk_registry_knows(MnkRegistry *registry, const char *id) {
  return mnk_registry_find(registry, id) != NULL || find_ended(registry, id) != NULL;
}

GPtrArray *mnk_registry_ended_ids(MnkRegistry *registry) {
  GPtrArray *ids = g_ptr_array_new();
  for (GList *l = registry->ended.head; l != NULL; l = l->next)
    g_ptr_array_add(ids, ((const Ended *)l->data)->id);
  return ids;
}

void mnk_registry_forget(MnkRegistry *registry, const char *id) {
  GList *link = find_ended(registry, id);
  if (link == NULL)
    return;
  ended_free(link->data);
  g_queue_delete_link(&registry->ended, link);
}

static void remember(MnkRegistry *registry, MnkEntry *entry) {
  mnk_registry_forget(registry, entry->id);
  Ended *ended = g_new0(Ended, 1);
  ended->id = g_strdup(entry->id);
  ended->words = g_string_new(NULL);
  ended->spec = g_string_new(NULL);
  mnk_entry_write(entry, ended->words);
  mnk_spec_write(&entry->spec, entry->settings, registry->base, NULL, ended->spec);
  g_queue_push_head(&registry->ended, ended);
  if (registry->ended.length > MNK_ENDED_MAX)
    ended_free(g_queue_pop_tail(&registry->ended));
}

/* ---- sums ---- */

static void add_counters(MnkStreamCounters *sum, const MnkStreamCounters *c) {
  sum->received += c->received, sum->encoded += c->encoded, sum->gated += c->gated;
  sum->late += c->late, sum->dropped += c->dropped, sum->queued += c->queued;
  sum->dropped_behind += c->dropped_behind, sum->dropped_damaged += c->dropped_damaged;
  sum->dropped_room += c->dropped_room, sum->dropped_worker += c->dropped_worker;
  sum->refused += c->refused, sum->worker_deaths += c->worker_deaths, sum->gaps += c->gaps;
  sum->captions += c->captions, sum->batches += c->batches;
  sum->batches_stale += c->batches_stale, sum->fallbacks += c->fallbacks;
}

static void write_frames(const MnkStreamCounters *sum) {
  static const char HELP[] = "Frames of all streams by what became of them.";
  static const char DROPS[] = "Frames dropped, by reason.";
  mnk_raise_counter("frames_received_total", "Frames of all streams that came in.", NULL,
                    (double)sum->received);
  mnk_raise_counter("frames_total", HELP, "fate=\"encoded\"", (double)sum->encoded);
  mnk_raise_counter("frames_total", HELP, "fate=\"gated\"", (double)sum->gated);
  mnk_raise_counter("frames_total", HELP, "fate=\"late\"", (double)sum->late);
  mnk_raise_counter("frames_total", HELP, "fate=\"dropped\"", (double)sum->dropped);
  mnk_raise_counter("frames_dropped_total", DROPS, "reason=\"behind\"",
                    (double)sum->dropped_behind);
  mnk_raise_counter("frames_dropped_total", DROPS, "reason=\"damaged\"",
                    (double)sum->dropped_damaged);
  mnk_raise_counter("frames_dropped_total", DROPS, "reason=\"room\"", (double)sum->dropped_room);
  mnk_raise_counter("frames_dropped_total", DROPS, "reason=\"worker\"",
                    (double)sum->dropped_worker);
  mnk_raise_counter("frames_refused_total", "Frames that were answered with an error.", NULL,
                    (double)sum->refused);
}

void mnk_registry_write_metrics(MnkRegistry *registry) {
  MnkStreamCounters sum = registry->sums;
  guint readers = 0, viewers = 0;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, registry->entries);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const MnkEntry *entry = value;
    MnkStreamCounters counters;
    mnk_entry_counters(entry, &counters);
    add_counters(&sum, &counters);
    readers += mnk_hub_readers(entry->hub, MNK_EVENT_ALL);
    viewers += mnk_viewers_count(entry->viewers);
  }
  write_frames(&sum);
  mnk_raise_counter("captions_total", "Captions of all streams.", NULL, (double)sum.captions);
  mnk_raise_counter("gaps_total", "Intervals that were not seen.", NULL, (double)sum.gaps);
  mnk_raise_counter("batches_total", "Batches that were given to a language model.", NULL,
                    (double)sum.batches);
  mnk_raise_counter("batches_stale_total", "Of these, ones that were too late.", NULL,
                    (double)sum.batches_stale);
  mnk_raise_counter("fallbacks_total", "Batches that the template told instead.", NULL,
                    (double)sum.fallbacks);
  mnk_metric_set(mnk_gauge("streams", "Streams that run.", NULL), mnk_registry_size(registry));
  mnk_metric_set(mnk_gauge("frames_queued", "Frames on their way to the gate.", NULL),
                 (double)sum.queued);
  mnk_metric_set(mnk_gauge("readers", "Readers of events.", NULL), readers);
  mnk_metric_set(mnk_gauge("viewers", "Viewers of live pictures.", NULL), viewers);
}

/* ---- finding ---- */

guint mnk_registry_size(const MnkRegistry *registry) {
  return g_hash_table_size(registry->entries);
}

MnkEntry *mnk_registry_find(MnkRegistry *registry, const char *id) {
  return g_hash_table_lookup(registry->entries, id);
}

static gint newest_first(gconstpointer a, gconstpointer b) {
  const MnkEntry *x = *(MnkEntry *const *)a, *y = *(MnkEntry *const *)b;
  if (x->created_us != y->created_us)
    return x->created_us < y->created_us ? 1 : -1;
  return strcmp(x->id, y->id);
}

GPtrArray *mnk_registry_list(MnkRegistry *registry) {
  GPtrArray *list = g_ptr_array_new();
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, registry->entries);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    g_ptr_array_add(list, value);
  g_ptr_array_sort(list, newest_first);
  return list;
}

const MnkSettings *mnk_registry_base(MnkRegistry *registry) {
  return registry->base;
}

GQueue *mnk_registry_embeds(MnkRegistry *registry) {
  return &registry->embeds;
}

guint8 *mnk_registry_scratch(MnkRegistry *registry, gsize size) {
  if (size > G_MAXINT)
    return NULL;
  if (registry->scratch->len < size)
    g_byte_array_set_size(registry->scratch, (guint)size);
  return registry->scratch->data;
}

/* ---- beginning ---- */

char *mnk_random_id(const char *stem) {
  static const char LETTERS[] = "abcdefghijkmnpqrstuvwxyz23456789";
  char tail[RANDOM_LETTERS + 1] = "";
  for (guint i = 0; i < RANDOM_LETTERS; i++)
    tail[i] = LETTERS[g_random_int() % (sizeof LETTERS - 1)];
  return g_strdup_printf("%.*s-%s", ID_MAX - RANDOM_LETTERS - 1, stem, tail);
}

/* An address may hold secrets anywhere but in its host. */
static char *stem_of_url(const char *text, GError **error) {
  g_autoptr(MnkUrl) url = mnk_url_parse(text, error);
  if (url == NULL)
    return NULL;
  g_autofree char *stem = g_strndup(url->host, ID_MAX);
  return g_strdup(g_strcanon(stem, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-", '_'));
}

char *mnk_registry_stem(MnkRegistry *registry, const MnkSpec *spec, const MnkSettings *settings,
                        GError **error) {
  static const MnkStreamEvents NONE = {0};
  if (spec->kind == MNK_SPEC_PUSH)
    return mnk_random_id(MNK_SOURCE_PUSH);
  MnkStreamConfig config = {.workers = registry->api->workers,
                            .source = spec->open,
                            .settings = settings,
                            .trusted = spec->trusted};
  g_autoptr(MnkStream) trial = mnk_stream_new(&config, &NONE, NULL, error);
  if (trial == NULL)
    return NULL;
  gboolean is_url = spec->kind == MNK_SPEC_RTSP || spec->kind == MNK_SPEC_HTTP;
  return is_url ? stem_of_url(spec->open, error) : g_strdup(mnk_stream_id(trial));
}

gboolean mnk_registry_has_room(MnkRegistry *registry, GError **error) {
  gint64 most = mnk_settings_int(registry->api->settings, MNK_OPT_STREAMS_MAX);
  if (registry->api->draining) {
    g_set_error_literal(error, MNK_STATUS_ERROR, 503, "the server is going down");
    return FALSE;
  }
  if (mnk_registry_size(registry) < (guint64)most)
    return TRUE;
  g_set_error(error, MNK_STATUS_ERROR, 503,
              "%" G_GINT64_FORMAT " streams run already, which is all that streams_max allows",
              most);
  return FALSE;
}

static gboolean check_id(MnkRegistry *registry, const char *id, GError **error) {
  if (!mnk_stream_id_is_valid(id)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
                "id must have 1 to %d letters, digits, '-' and '_'", ID_MAX);
    return FALSE;
  }
  if (mnk_registry_find(registry, id) == NULL)
    return TRUE;
  g_set_error(error, MNK_STATUS_ERROR, 409, "id \"%s\" is that of a stream that runs", id);
  return FALSE;
}

static gpointer read_row(MnkStore *store, gpointer data, GError **error) {
  return mnk_store_stream(store, ((const MnkEntry *)data)->id, error);
}

static void row_read(gpointer result, const GError *error, gpointer data) {
  g_autoptr(MnkEntry) entry = data;
  MnkStreamRow *row = result;
  g_autoptr(GError) failure = NULL;
  if (entry->stopping)
    mnk_entry_end(entry, NULL);
  else if (row == NULL && !g_error_matches(error, MNK_ERROR, MNK_ERROR_NOT_FOUND))
    mnk_entry_end(entry, error);
  else if (!mnk_entry_begin(entry, row, &failure))
    mnk_entry_end(entry, failure);
  mnk_stream_row_free(row);
}

MnkEntry *mnk_registry_begin(MnkRegistry *registry, const MnkBegin *begin, GError **error) {
  MnkApi *api = registry->api;
  g_auto(MnkSpec) spec = *begin->spec;
  *begin->spec = (MnkSpec){0};
  /* one from the timeline goes on with what there is now */
  if (!mnk_registry_has_room(registry, error) || !check_id(registry, begin->id, error) ||
      (begin->row == NULL && !mnk_entry_has_backend(api, begin->settings, error)) ||
      (begin->key != NULL && !mnk_key_take_stream(begin->key, error)))
    return NULL;
  if (spec.owner == NULL && begin->key != NULL)
    spec.owner = g_strdup(begin->key->name);
  MnkEntry *entry = mnk_entry_new(api, begin->id, &spec, begin->settings, begin->key);
  g_hash_table_insert(registry->entries, entry->id, entry);
  mnk_registry_forget(registry, entry->id);
  entry->replace = entry->spec.trusted;
  if (begin->unknown) {
    mnk_store_run(api->store, read_row, row_read, mnk_entry_ref(entry));
    return entry;
  }
  if (mnk_entry_begin(entry, begin->row, error))
    return entry;
  g_hash_table_remove(registry->entries, begin->id);
  return NULL;
}

/* Two sources of one name: the same ids after each start. */
static char *free_id(MnkRegistry *registry, const char *stem) {
  g_autofree char *id = g_strdup(stem);
  for (guint i = 2; mnk_registry_find(registry, id) != NULL; i++) {
    g_free(id);
    id = g_strdup_printf("%.*s-%u", ID_MAX - 11, stem, i);
  }
  return g_steal_pointer(&id);
}

MnkEntry *mnk_registry_add(MnkRegistry *registry, const char *id, const char *source,
                           const MnkJsonValue *params, MnkKey *key, gboolean trusted,
                           GError **error) {
  g_autoptr(MnkSettings) settings = mnk_settings_copy(registry->base);
  g_auto(MnkSpec) spec = {0};
  if ((params != NULL && !mnk_params_apply(settings, params, FALSE, error)) ||
      !mnk_spec_resolve(registry->api, source, trusted, &spec, error))
    return NULL;
  g_autofree char *stem = mnk_registry_stem(registry, &spec, settings, error);
  if (stem == NULL)
    return NULL;
  g_autofree char *made = id == NULL ? free_id(registry, stem) : g_strdup(id);
  return mnk_registry_begin(
      registry,
      &(MnkBegin){.id = made, .spec = &spec, .settings = settings, .key = key, .unknown = TRUE},
      error);
}

/* ---- going on after a restart ---- */

typedef struct {
  MnkRegistry *registry;
  void (*done)(gpointer user);
  gpointer user;
} Resume;

static gpointer read_rows(MnkStore *store, gpointer data, GError **error) {
  return mnk_store_streams(store, error);
}

static gboolean go_on(MnkRegistry *registry, const MnkStreamRow *row, GError **error) {
  g_autoptr(MnkSettings) settings = mnk_settings_copy(registry->base);
  g_auto(MnkSpec) spec = {0};
  if (!mnk_spec_read(registry->api, row->spec, settings, &spec, error))
    return FALSE;
  if (spec.trusted) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CANCELLED, "it is not asked for any more");
    return FALSE;
  }
  g_autoptr(MnkKey) key =
      spec.owner != NULL ? mnk_auth_find(registry->api->auth, spec.owner) : NULL;
  if (key == NULL && spec.owner != NULL && mnk_auth_has_keys(registry->api->auth)) {
    g_set_error(error, MNK_STATUS_ERROR, 403, "the key %s is gone", spec.owner);
    return FALSE;
  }
  return mnk_registry_begin(
             registry,
             &(MnkBegin){
                 .id = row->id, .spec = &spec, .settings = settings, .key = key, .row = row},
             error) != NULL;
}

static void resume_row(MnkRegistry *registry, const MnkStreamRow *row) {
  g_autoptr(GError) error = NULL;
  if (!row->resume || mnk_registry_find(registry, row->id) != NULL || go_on(registry, row, &error))
    return;
  mnk_warning("api", row->id, "event=not-resumed reason=\"%s\"", error->message);
  if (!g_error_matches(error, MNK_STATUS_ERROR, 503))
    mnk_store_end_stream(registry->api->store, row->id, NULL, NULL);
}

static void rows_read(gpointer result, const GError *error, gpointer data) {
  g_autofree Resume *resume = data;
  g_autoptr(GPtrArray) rows = result;
  if (rows == NULL)
    mnk_error("api", NULL, "event=resume-failed reason=\"%s\"", error->message);
  for (guint i = 0; rows != NULL && i < rows->len; i++)
    resume_row(resume->registry, g_ptr_array_index(rows, i));
  resume->done(resume->user);
}

void mnk_registry_resume(MnkRegistry *registry, void (*done)(gpointer user), gpointer user) {
  Resume *resume = g_new0(Resume, 1);
  *resume = (Resume){registry, done, user};
  mnk_store_run(registry->api->store, read_rows, rows_read, resume);
}

/* ---- the end ---- */

static void end_drain(MnkRegistry *registry) {
  void (*done)(gpointer) = g_steal_pointer(&registry->drained);
  g_clear_handle_id(&registry->drain_timer, g_source_remove);
  g_clear_handle_id(&registry->hurry_timer, g_source_remove);
  if (done != NULL)
    done(registry->drained_user);
}

static gboolean drain_is_over(gpointer user) {
  MnkRegistry *registry = user;
  registry->drain_timer = 0;
  end_drain(registry);
  return G_SOURCE_REMOVE;
}

void mnk_registry_drop(MnkRegistry *registry, MnkEntry *entry) {
  if (mnk_registry_find(registry, entry->id) != entry)
    return;
  MnkStreamCounters counters;
  mnk_entry_counters(entry, &counters);
  counters.queued = 0;
  add_counters(&registry->sums, &counters);
  remember(registry, entry);
  g_hash_table_remove(registry->entries, entry->id);
  if (registry->drained == NULL || mnk_registry_size(registry) > 0)
    return;
  /* not from within: its readers are still to be told */
  g_clear_handle_id(&registry->drain_timer, g_source_remove);
  registry->drain_timer = g_timeout_add(0, drain_is_over, registry);
}

void mnk_registry_remove(MnkRegistry *registry, MnkEntry *entry) {
  mnk_entry_stop(entry);
}

static void stop_all(MnkRegistry *registry) {
  g_autoptr(GPtrArray) list = mnk_registry_list(registry);
  for (guint i = 0; i < list->len; i++)
    mnk_entry_stop(g_ptr_array_index(list, i));
}

/* Captions that wait for a language model are told by the template from now on. */
static gboolean hurry(gpointer user) {
  MnkRegistry *registry = user;
  registry->hurry_timer = 0;
  stop_all(registry);
  return G_SOURCE_REMOVE;
}

void mnk_registry_drain(MnkRegistry *registry, gint64 timeout_ms, void (*done)(gpointer user),
                        gpointer user) {
  registry->drained = done;
  registry->drained_user = user;
  stop_all(registry);
  gboolean nothing = mnk_registry_size(registry) == 0;
  registry->hurry_timer = g_timeout_add((guint)(timeout_ms / 2), hurry, registry);
  registry->drain_timer = g_timeout_add(nothing ? 0 : (guint)timeout_ms, drain_is_over, registry);
}

/* ---- life ---- */

void mnk_registry_reload(MnkRegistry *registry) {
  g_autoptr(MnkSettings) old = g_steal_pointer(&registry->base);
  registry->base = mnk_settings_copy(registry->api->settings);
  g_autoptr(GPtrArray) list = mnk_registry_list(registry);
  for (guint i = 0; i < list->len; i++) {
    MnkEntry *entry = g_ptr_array_index(list, i);
    g_autoptr(MnkSettings) settings = mnk_settings_copy(registry->base);
    g_autoptr(GString) own = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    MnkJsonWriter w;
    mnk_json_writer_init(&w, own);
    mnk_own_params(entry->settings, old, &w, NULL);
    g_autoptr(MnkJson) json = mnk_json_parse(own->str, own->len, NULL, &error);
    if (json == NULL || !mnk_params_apply(settings, mnk_json_root(json), FALSE, &error) ||
        !mnk_entry_set(entry, settings, &error))
      mnk_warning("api", entry->id, "event=reload-failed reason=\"%s\"", error->message);
  }
}

void mnk_registry_tell_states(MnkRegistry *registry) {
  g_autoptr(GPtrArray) list = mnk_registry_list(registry);
  for (guint i = 0; i < list->len; i++)
    mnk_entry_tell_state(g_ptr_array_index(list, i));
}

static gboolean look_after_all(gpointer user) {
  g_autoptr(GPtrArray) list = mnk_registry_list(user);
  for (guint i = 0; i < list->len; i++) {
    MnkEntry *entry = g_ptr_array_index(list, i);
    mnk_entry_charge(entry);
    mnk_entry_tell_state(entry);
    mnk_entry_audience(entry);
  }
  return G_SOURCE_CONTINUE;
}

MnkRegistry *mnk_registry_new(MnkApi *api) {
  MnkRegistry *registry = g_new0(MnkRegistry, 1);
  registry->api = api;
  registry->base = mnk_settings_copy(api->settings);
  registry->entries =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)mnk_entry_unref);
  registry->scratch = g_byte_array_new();
  registry->state_timer = g_timeout_add(STATE_EVERY_MS, look_after_all, registry);
  return registry;
}

void mnk_registry_free(MnkRegistry *registry) {
  if (registry == NULL)
    return;
  g_clear_handle_id(&registry->state_timer, g_source_remove);
  g_clear_handle_id(&registry->drain_timer, g_source_remove);
  g_clear_handle_id(&registry->hurry_timer, g_source_remove);
  g_hash_table_unref(registry->entries);
  mnk_embeds_cancel(registry, registry->api->embedder);
  g_queue_clear_full(&registry->ended, ended_free);
  g_byte_array_unref(registry->scratch);
  mnk_settings_free(registry->base);
  g_free(registry);
}
