/* One stream as a resource: from its row in the store to its last event. */
#include "api/streams_priv.h"

#include <string.h>

static const gint64 SEEN_EVERY_US = G_USEC_PER_SEC / 5;
static const gint64 KEEP_EVERY_MS = 2000;

typedef struct {
  MnkEntryFunc func;
  gpointer user;
} WhenEnded;

static gint64 mono_us(void) {
  return mnk_clock_mono_us(mnk_clock_system());
}

/* ---- state ---- */

gboolean mnk_entry_is_over(const MnkEntry *entry) {
  return entry->state == MNK_STATE_ENDED || entry->state == MNK_STATE_FAILED;
}

static MnkBackendState backend_state(const MnkEntry *entry) {
  const MnkBackend *backend = entry->api->backend;
  return backend != NULL ? mnk_backend_state(backend) : MNK_BACKEND_OK;
}

void mnk_entry_tell_state(MnkEntry *entry) {
  entry->backend_told = backend_state(entry);
  if (mnk_hub_readers(entry->hub, MNK_EVENT_STATE) == 0)
    return;
  GString *data = g_string_new(NULL);
  mnk_entry_write(entry, data);
  mnk_hub_event(entry->hub, MNK_EVENT_STATE, data);
}

static void set_state(MnkEntry *entry, MnkEntryState state) {
  if (entry->state == state)
    return;
  entry->state = state;
  mnk_entry_tell_state(entry);
}

void mnk_entry_audience(MnkEntry *entry) {
  if (entry->stream != NULL)
    mnk_stream_want_running(entry->stream, mnk_hub_readers(entry->hub, MNK_EVENT_RUNNING) > 0);
}

/* What is needed to begin it again. */
static void put_record(MnkEntry *entry, gboolean replace) {
  g_autoptr(GString) spec = g_string_new(NULL);
  g_autofree char *watches = mnk_watches_text(entry);
  mnk_spec_write(&entry->spec, entry->settings, mnk_registry_base(entry->api->registry), watches,
                 spec);
  MnkStreamRecord record = {.id = entry->id,
                            .source = entry->spec.shown,
                            .spec = spec->str,
                            .created_us = entry->created_us,
                            .resume = TRUE};
  mnk_store_put_stream(entry->api->store, &record, replace, NULL, NULL);
}

void mnk_entry_keep(MnkEntry *entry) {
  if (!mnk_entry_is_over(entry))
    put_record(entry, FALSE);
}

/* ---- seen ---- */

static void tell_seen(MnkEntry *entry) {
  entry->seen_us = mono_us();
  mnk_hub_event(entry->hub, MNK_EVENT_SEEN, g_steal_pointer(&entry->seen));
}

static gboolean seen_is_due(gpointer user) {
  MnkEntry *entry = user;
  entry->seen_timer = 0;
  tell_seen(entry);
  return G_SOURCE_REMOVE;
}

/* ---- events of the stream ---- */

/* What is remembered is kept to be shown, too: it is what answers rest on. */
static void keep_frame(MnkEntry *entry, gint64 pts_ms, GBytes *jpeg, gboolean cut) {
  gboolean first = entry->kept_ms < 0 || pts_ms < entry->kept_ms;
  if (!first && !cut && pts_ms - entry->kept_ms < KEEP_EVERY_MS)
    return;
  entry->kept_ms = pts_ms;
  mnk_store_put_picture(entry->api->store, entry->id, pts_ms, jpeg);
}

static void on_frame(gint64 pts_ms, GBytes *jpeg, float importance, gboolean cut, gpointer user) {
  MnkEntry *entry = user;
  mnk_local_frame(entry->memory, jpeg, pts_ms, importance, cut);
  keep_frame(entry, pts_ms, jpeg, cut);
}

static void on_observation(const MnkObservation *obs, gpointer user) {
  MnkEntry *entry = user;
  mnk_watches_advance(entry, obs->pts_ms, obs->type == MNK_OBS_CUT);
  if (obs->type != MNK_OBS_FRAME || mnk_hub_readers(entry->hub, MNK_EVENT_SEEN) == 0)
    return;
  if (entry->seen != NULL)
    g_string_free(entry->seen, TRUE);
  entry->seen = mnk_seen_write(obs);
  gint64 wait_us = entry->seen_us + SEEN_EVERY_US - mono_us();
  if (wait_us <= 0 && entry->seen_timer == 0)
    tell_seen(entry);
  else if (entry->seen_timer == 0)
    entry->seen_timer = g_timeout_add((guint)(wait_us / 1000) + 1, seen_is_due, entry);
}

static void on_caption(const MnkCaption *caption, gboolean durable, gpointer user) {
  MnkEntry *entry = user;
  MnkApi *api = entry->api;
  if (!caption->final) {
    if (mnk_hub_readers(entry->hub, MNK_EVENT_RUNNING) == 0)
      return;
    GString *data = g_string_new(NULL);
    mnk_caption_write_json(caption, data);
    mnk_hub_event(entry->hub, MNK_EVENT_RUNNING, data);
    return;
  }
  mnk_hub_caption(entry->hub, caption, durable, entry->summary);
  if (backend_state(entry) != entry->backend_told)
    mnk_entry_tell_state(entry);
  if (durable)
    mnk_embed_caption(entry, caption);
  if (api->on_caption != NULL)
    api->on_caption(caption, api->on_caption_user);
}

static void on_picture(const MnkCaption *caption, gint64 pts_ms, GBytes *jpeg, gpointer user) {
  mnk_viewers_keep(((MnkEntry *)user)->viewers, pts_ms, jpeg);
}

static void on_preview(gint64 pts_ms, GBytes *jpeg, gpointer user) {
  mnk_viewers_show(((MnkEntry *)user)->viewers, pts_ms, jpeg);
}

static void on_opened(const char *info_json, gint64 duration_ms, gpointer user) {
  MnkEntry *entry = user;
  entry->duration_ms = duration_ms;
  if (entry->spec.kind != MNK_SPEC_PUSH) {
    g_free(entry->video);
    entry->video = g_strdup(info_json);
  }
  if (entry->state != MNK_STATE_STARTING)
    return;
  set_state(entry, entry->spec.kind == MNK_SPEC_PUSH && entry->client == NULL ? MNK_STATE_WAITING
                                                                              : MNK_STATE_RUNNING);
  if (entry->client != NULL)
    entry->ready(entry->client);
}

static void on_batch(const char *memory_summary_json, gpointer user) {
  MnkEntry *entry = user;
  g_free(entry->summary);
  entry->summary = g_strdup(memory_summary_json);
}

static void on_ended(const GError *error, gpointer user) {
  gboolean stopped = g_error_matches(error, MNK_ERROR, MNK_ERROR_CANCELLED);
  mnk_entry_end(user, stopped ? NULL : error);
}

/* ---- the end ---- */

static gboolean free_stream(gpointer user) {
  MnkEntry *entry = user;
  entry->free_timer = 0;
  g_clear_pointer(&entry->stream, mnk_stream_free);
  mnk_entry_unref(entry);
  return G_SOURCE_REMOVE;
}

static void release_key(MnkEntry *entry) {
  g_autoptr(MnkKey) key = g_steal_pointer(&entry->key);
  if (key != NULL)
    mnk_key_give_stream(key);
}

static const char *bye_reason(const MnkEntry *entry) {
  return entry->api->draining               ? "the server is going down"
         : entry->state == MNK_STATE_FAILED ? entry->failure->message
                                            : "the stream has ended";
}

void mnk_entry_end(MnkEntry *entry, const GError *error) {
  if (mnk_entry_is_over(entry))
    return;
  g_autoptr(MnkEntry) held = mnk_entry_ref(entry);
  mnk_entry_counters(entry, &entry->counters);
  if (entry->stream != NULL) {
    entry->clock_ms = mnk_stream_clock_ms(entry->stream);
    /* its last event is on the stack */
    entry->free_timer = g_idle_add(free_stream, mnk_entry_ref(entry));
  }
  mnk_watches_clear(entry);
  g_clear_handle_id(&entry->wait_timer, g_source_remove);
  g_clear_handle_id(&entry->seen_timer, g_source_remove);
  /* What the server itself ends goes on when it starts again. */
  if (!entry->api->draining)
    mnk_store_end_stream(entry->api->store, entry->id, NULL, NULL);
  entry->failure = error != NULL ? g_error_copy(error) : NULL;
  set_state(entry, error != NULL ? MNK_STATE_FAILED : MNK_STATE_ENDED);
  if (error != NULL)
    mnk_warning("api", entry->id, "event=stream-failed reason=\"%s\"", error->message);
  release_key(entry);
  if (entry->memory != NULL)
    mnk_memories_rest(entry->api->memories, entry->id);
  entry->memory = NULL;
  mnk_registry_drop(entry->api->registry, entry);
  mnk_hub_open(entry->hub, mnk_hub_last_seq(entry->hub));
  mnk_hub_end(entry->hub, bye_reason(entry));
  mnk_viewers_end(entry->viewers);
  WhenEnded *when;
  while ((when = g_queue_pop_head(&entry->when_ended)) != NULL) {
    when->func(entry, when->user);
    g_free(when);
  }
}

void mnk_entry_when_ended(MnkEntry *entry, MnkEntryFunc func, gpointer user) {
  if (mnk_entry_is_over(entry)) {
    func(entry, user);
    return;
  }
  WhenEnded *when = g_new0(WhenEnded, 1);
  *when = (WhenEnded){func, user};
  g_queue_push_tail(&entry->when_ended, when);
}

void mnk_entry_forget_when_ended(MnkEntry *entry, gpointer user) {
  for (GList *l = entry->when_ended.head; l != NULL; l = l->next) {
    if (((WhenEnded *)l->data)->user != user)
      continue;
    g_free(l->data);
    g_queue_delete_link(&entry->when_ended, l);
    return;
  }
}

void mnk_entry_stop(MnkEntry *entry) {
  if (mnk_entry_is_over(entry))
    return;
  g_clear_handle_id(&entry->wait_timer, g_source_remove);
  entry->stopping = TRUE;
  if (entry->stream != NULL)
    mnk_stream_stop(entry->stream);
}

/* ---- the client of a pushed stream ---- */

static gboolean waited_long_enough(gpointer user) {
  MnkEntry *entry = user;
  entry->wait_timer = 0;
  mnk_entry_stop(entry);
  return G_SOURCE_REMOVE;
}

static void wait_for_client(MnkEntry *entry) {
  if (entry->stopping || mnk_entry_is_over(entry))
    return;
  gint64 window_ms = mnk_settings_int(entry->api->settings, MNK_OPT_RESUME_WINDOW);
  g_clear_handle_id(&entry->wait_timer, g_source_remove);
  entry->wait_timer = g_timeout_add((guint)window_ms, waited_long_enough, entry);
  if (entry->state == MNK_STATE_RUNNING)
    set_state(entry, MNK_STATE_WAITING);
}

static gboolean may_attach(const MnkEntry *entry, const MnkAttach *attach, GError **error) {
  guint status = 409;
  const char *why = NULL;
  if (entry->spec.kind != MNK_SPEC_PUSH)
    why = "takes no frames: it has a source of its own";
  else if (g_strcmp0(entry->spec.owner, attach->key != NULL ? attach->key->name : NULL) != 0)
    status = 403, why = "belongs to another key";
  else if (entry->stopping || mnk_entry_is_over(entry))
    why = "has ended";
  else if (entry->client != NULL && !attach->take_over)
    why = "has a client already";
  if (why == NULL)
    return TRUE;
  g_set_error(error, MNK_STATUS_ERROR, (gint)status, "stream \"%s\" %s", entry->id, why);
  return FALSE;
}

gboolean mnk_entry_attach(MnkEntry *entry, const MnkAttach *attach, GError **error) {
  if (!may_attach(entry, attach, error))
    return FALSE;
  if (entry->key == NULL && attach->key != NULL) { /* it went on after a restart */
    if (!mnk_key_take_stream(attach->key, error))
      return FALSE;
    entry->key = mnk_key_ref(attach->key);
  }
  if (entry->client != NULL) {
    gpointer old = g_steal_pointer(&entry->client);
    entry->evict(old);
  }
  g_clear_handle_id(&entry->wait_timer, g_source_remove);
  entry->client = attach->client;
  entry->evict = attach->evict;
  entry->ready = attach->ready;
  if (entry->state == MNK_STATE_WAITING)
    set_state(entry, MNK_STATE_RUNNING);
  return TRUE;
}

void mnk_entry_detach(MnkEntry *entry, gpointer client) {
  if (entry->client != client)
    return;
  entry->client = NULL;
  wait_for_client(entry);
}

gboolean mnk_entry_push(MnkEntry *entry, const MnkPushFrame *frame, guint *buffered,
                        GError **error) {
  if (entry->stream == NULL) {
    g_set_error(error, MNK_STATUS_ERROR, 409, "stream \"%s\" has ended", entry->id);
    return FALSE;
  }
  if (!mnk_stream_push(entry->stream, frame, buffered, error))
    return FALSE;
  if (entry->spec.time_zero <= 0) {
    entry->spec.time_zero = mnk_stream_time_zero(entry->stream);
    if (entry->spec.time_zero > 0)
      put_record(entry, FALSE);
  }
  return TRUE;
}

/* ---- settings ---- */

/* The stream's settings as its key can pay for them. */
static gboolean set_stream(MnkEntry *entry, const MnkSettings *settings, GError **error) {
  if (entry->stream == NULL)
    return TRUE;
  if (!entry->out_of_tokens)
    return mnk_stream_set(entry->stream, settings, error);
  g_autoptr(MnkSettings) plain = mnk_settings_copy(settings);
  return mnk_settings_set(plain, MNK_OPT_BACKEND, "template", error) &&
         mnk_stream_set(entry->stream, plain, error);
}

void mnk_entry_charge(MnkEntry *entry) {
  MnkStreamCounters counters;
  if (entry->key == NULL || entry->stream == NULL || entry->api->backend == NULL)
    return;
  gint64 now_us = mnk_clock_wall_us(mnk_clock_system());
  mnk_stream_counters(entry->stream, &counters);
  if (counters.tokens > entry->tokens)
    mnk_key_spend_tokens(entry->key, counters.tokens - entry->tokens, now_us);
  entry->tokens = counters.tokens;
  gboolean out = !mnk_key_has_tokens(entry->key, now_us);
  if (out == entry->out_of_tokens)
    return;
  entry->out_of_tokens = out;
  set_stream(entry, entry->settings, NULL);
  mnk_entry_tell_state(entry);
}

gboolean mnk_entry_has_backend(MnkApi *api, const MnkSettings *settings, GError **error) {
  const char *wish = mnk_settings_string(settings, MNK_OPT_BACKEND);
  const char *own = mnk_settings_string(mnk_registry_base(api->registry), MNK_OPT_BACKEND);
  const char *had = api->backend != NULL ? mnk_backend_name(api->backend) : NULL;
  const char *const known[] = {"auto", "template", own, had, NULL};
  if (g_strv_contains(known, wish))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
              "backend is %s, which this server is not set up for; it has template%s%s", wish,
              had != NULL ? " and " : "", had != NULL ? had : "");
  return FALSE;
}

gboolean mnk_entry_set(MnkEntry *entry, const MnkSettings *settings, GError **error) {
  if (!mnk_entry_has_backend(entry->api, settings, error) || !set_stream(entry, settings, error))
    return FALSE;
  if (entry->memory != NULL)
    mnk_local_set(entry->memory, settings);
  mnk_settings_free(entry->settings);
  entry->settings = mnk_settings_copy(settings);
  mnk_entry_keep(entry);
  mnk_entry_tell_state(entry);
  return TRUE;
}

/* ---- life ---- */

MnkEntry *mnk_entry_new(MnkApi *api, const char *id, MnkSpec *spec, const MnkSettings *settings,
                        MnkKey *key) {
  MnkEntry *entry = g_new0(MnkEntry, 1);
  entry->refs = 1;
  entry->api = api;
  entry->id = g_strdup(id);
  entry->spec = *spec;
  *spec = (MnkSpec){0};
  entry->settings = mnk_settings_copy(settings);
  entry->key = key != NULL ? mnk_key_ref(key) : NULL;
  entry->hub = mnk_hub_new(api->store, id);
  entry->viewers = mnk_viewers_new(entry);
  entry->created_us = mnk_clock_wall_us(mnk_clock_system());
  entry->duration_ms = entry->clock_ms = entry->kept_ms = -1;
  return entry;
}

MnkEntry *mnk_entry_ref(MnkEntry *entry) {
  entry->refs++;
  return entry;
}

void mnk_entry_unref(MnkEntry *entry) {
  if (entry == NULL || --entry->refs > 0)
    return;
  g_clear_handle_id(&entry->wait_timer, g_source_remove);
  g_clear_handle_id(&entry->seen_timer, g_source_remove);
  mnk_watches_clear(entry);
  g_clear_pointer(&entry->stream, mnk_stream_free);
  g_queue_clear_full(&entry->when_ended, g_free);
  mnk_viewers_free(entry->viewers);
  mnk_hub_unref(entry->hub);
  mnk_spec_clear(&entry->spec);
  mnk_settings_free(entry->settings);
  release_key(entry);
  g_clear_error(&entry->failure);
  if (entry->seen != NULL)
    g_string_free(entry->seen, TRUE);
  g_free(entry->summary);
  g_free(entry->video);
  g_free(entry->id);
  g_free(entry);
}

gboolean mnk_entry_begin(MnkEntry *entry, const MnkStreamRow *row, GError **error) {
  MnkStreamEvents events = {
      .caption = on_caption,
      .picture = on_picture,
      .preview = on_preview,
      .observation = on_observation,
      .opened = on_opened,
      .batch = on_batch,
      .ended = on_ended,
  };
  MnkApi *api = entry->api;
  gboolean again = row != NULL && (row->resume || !entry->replace);
  MnkStreamConfig config = {
      .workers = api->workers,
      .id = entry->id,
      .source = entry->spec.open,
      .settings = entry->settings,
      .store = api->store,
      .backend = api->backend,
      .keep_pictures = TRUE,
      .trusted = entry->spec.trusted,
      .resume = again,
  };
  if (again) {
    config.next_number = row->next_number;
    config.next_seq = row->last_seq + 1;
    config.next_ms = row->end_ms;
    config.time_zero = entry->spec.time_zero;
    entry->created_us = row->created_us;
    entry->captions_before = row->captions;
  }
  entry->memory = mnk_memories_begin(api->memories, entry->id, entry->settings, again);
  if (entry->memory != NULL)
    events.frame = on_frame;
  entry->stream = mnk_stream_new(&config, &events, entry, error);
  if (entry->stream == NULL)
    return FALSE;
  if (row != NULL && row->resume)
    mnk_watches_restore(entry, row->spec);
  put_record(entry, row != NULL && !again);
  mnk_hub_open(entry->hub, again ? row->last_seq : 0);
  mnk_entry_audience(entry);
  if (!mnk_stream_start(entry->stream, error)) {
    g_clear_pointer(&entry->stream, mnk_stream_free);
    return FALSE;
  }
  if (entry->spec.kind == MNK_SPEC_PUSH && entry->client == NULL)
    wait_for_client(entry);
  return TRUE;
}
