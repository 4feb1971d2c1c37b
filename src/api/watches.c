/* Standing questions of a stream: "tell me when ...". They live as long as it runs, and go on with
 * it after a restart. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <math.h>
#include <string.h>

typedef struct {
  MnkEntry *entry; /* borrowed */
  char *id, *question;
  MnkSettings *settings; /* of this question */
  MnkKey *key;           /* who pays, owned */
  MnkStanding *standing;
  guint64 fired, paid; /* tokens */
  gboolean out_of_tokens;
} Watch;

static void watch_free(gpointer data) {
  Watch *watch = data;
  mnk_standing_free(watch->standing);
  mnk_settings_free(watch->settings);
  mnk_key_unref(watch->key);
  g_free(watch->id);
  g_free(watch->question);
  g_free(watch);
}

static Watch *find_watch(const MnkEntry *entry, const char *id) {
  for (guint i = 0; entry->watches != NULL && i < entry->watches->len; i++) {
    Watch *watch = g_ptr_array_index(entry->watches, i);
    if (g_str_equal(watch->id, id))
      return watch;
  }
  return NULL;
}

/* ---- one comes true ---- */

static void on_fired(const char *id, const char *question, gint64 start_ms, gint64 end_ms,
                     double probability, gpointer user) {
  Watch *watch = user;
  MnkEntry *entry = watch->entry;
  GString *data = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, data);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "id", id);
  mnk_json_add_string(&w, "stream", entry->id);
  mnk_json_add_string(&w, "question", question);
  mnk_json_add_int(&w, "number", (gint64)++watch->fired);
  mnk_json_add_int(&w, "start_ms", start_ms);
  mnk_json_add_int(&w, "end_ms", end_ms);
  mnk_json_add_double(&w, "probability", probability, 4);
  mnk_json_end_object(&w);
  mnk_hub_event(entry->hub, MNK_EVENT_WATCH, data);
}

/* Charges what it took; without tokens it is not asked until the next day. */
static gboolean may_go_on(Watch *watch) {
  gint64 now_us = mnk_clock_wall_us(mnk_clock_system());
  MnkStandingState state = {0};
  mnk_standing_state(watch->standing, &state);
  mnk_key_spend_tokens(watch->key, state.tokens - watch->paid, now_us);
  watch->paid = state.tokens;
  watch->out_of_tokens = !mnk_key_has_tokens(watch->key, now_us);
  mnk_standing_state_clear(&state);
  return !watch->out_of_tokens && !watch->key->revoked;
}

void mnk_watches_advance(MnkEntry *entry, gint64 now_ms, gboolean scene) {
  for (guint i = 0; entry->watches != NULL && i < entry->watches->len; i++) {
    Watch *watch = g_ptr_array_index(entry->watches, i);
    if (may_go_on(watch))
      mnk_standing_advance(watch->standing, now_ms, scene);
  }
}

/* ---- making ---- */

typedef struct {
  const char *id, *question;
  MnkSettings *settings; /* taken */
  MnkKey *key;           /* borrowed */
} Wish;

static Watch *add_watch(MnkEntry *entry, const Wish *wish, GError **error) {
  Watch *watch = g_new0(Watch, 1);
  watch->entry = entry;
  watch->id = g_strdup(wish->id);
  watch->question = g_strdup(wish->question);
  watch->settings = wish->settings;
  watch->key = mnk_key_ref(wish->key);
  MnkAskRequest request = {
      .stream = entry->id,
      .question = wish->question,
      .owner = "",
      .system = "",
      .settings = wish->settings,
      .now_ms = entry->stream != NULL ? mnk_stream_clock_ms(entry->stream) : -1,
  };
  mnk_asked_choose(entry->api, MNK_ASKED_BEST, &request);
  watch->standing = mnk_standing_new(entry->api->asker, wish->id, &request, on_fired, watch, error);
  if (watch->standing == NULL) {
    watch_free(watch);
    return NULL;
  }
  if (entry->watches == NULL)
    entry->watches = g_ptr_array_new_with_free_func(watch_free);
  g_ptr_array_add(entry->watches, watch);
  return watch;
}

void mnk_watches_clear(MnkEntry *entry) {
  g_clear_pointer(&entry->watches, g_ptr_array_unref);
}

/* ---- as JSON ---- */

static void write_settings(const Watch *watch, MnkJsonWriter *w) {
  const MnkSettings *s = watch->settings;
  mnk_json_add_string(w, "id", watch->id);
  mnk_json_add_string(w, "question", watch->question);
  mnk_json_add_double(w, "watch_s", (double)mnk_settings_int(s, MNK_OPT_WATCH_EVERY) / 1000, 3);
  mnk_json_add_double(w, "threshold", mnk_settings_double(s, MNK_OPT_WATCH_THRESHOLD), 4);
  mnk_json_add_double(w, "cooldown_s", (double)mnk_settings_int(s, MNK_OPT_WATCH_COOLDOWN) / 1000,
                      3);
  mnk_json_add_string(w, "lang", mnk_settings_string(s, MNK_OPT_LANG));
}

static void write_time(MnkJsonWriter *w, const char *key, gint64 ms) {
  if (ms >= 0)
    mnk_json_add_int(w, key, ms);
  else
    mnk_json_add_null(w, key);
}

static void write_watch(const Watch *watch, MnkJsonWriter *w) {
  MnkStandingState state = {0};
  mnk_standing_state(watch->standing, &state);
  mnk_json_begin_object(w, NULL);
  write_settings(watch, w);
  mnk_json_add_int(w, "polls", (gint64)state.polls);
  mnk_json_add_int(w, "failures", (gint64)state.failures);
  mnk_json_add_int(w, "fired", (gint64)state.fired);
  mnk_json_add_double(w, "probability", state.probability, 4);
  write_time(w, "polled_ms", state.polled_ms);
  write_time(w, "fired_ms", state.fired_ms);
  mnk_json_add_string(w, "fault",
                      watch->out_of_tokens ? "the key's tokens of today are used up" : state.fault);
  mnk_json_end_object(w);
  mnk_standing_state_clear(&state);
}

char *mnk_watches_text(const MnkEntry *entry) {
  if (entry->watches == NULL || entry->watches->len == 0)
    return NULL;
  GString *text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_array(&w, NULL);
  for (guint i = 0; i < entry->watches->len; i++) {
    mnk_json_begin_object(&w, NULL);
    const Watch *watch = g_ptr_array_index(entry->watches, i);
    write_settings(watch, &w);
    mnk_json_add_string(&w, "key", watch->key->name);
    mnk_json_end_object(&w);
  }
  mnk_json_end_array(&w);
  return g_string_free(text, FALSE);
}

/* ---- after a restart ---- */

static gboolean restore_watch(MnkEntry *entry, const MnkJsonValue *value, GError **error) {
  const char *id = mnk_json_string(mnk_json_get(value, "id"), "");
  const char *question = mnk_json_string(mnk_json_get(value, "question"), "");
  const char *name = mnk_json_string(mnk_json_get(value, "key"), "");
  g_autoptr(MnkKey) key = mnk_auth_find(entry->api->auth, name);
  g_autoptr(MnkSettings) settings = mnk_settings_copy(entry->settings);
  if (key == NULL) {
    g_set_error(error, MNK_STATUS_ERROR, 403, "the key %s is gone", name);
    return FALSE;
  }
  if (!mnk_options_apply(settings, mnk_watch_fields, value, error))
    return FALSE;
  Wish wish = {id, question, g_steal_pointer(&settings), key};
  return add_watch(entry, &wish, error) != NULL;
}

void mnk_watches_restore(MnkEntry *entry, const char *spec) {
  g_autoptr(MnkJson) json = mnk_json_parse(spec, strlen(spec), NULL, NULL);
  const MnkJsonValue *list = json != NULL ? mnk_json_get(mnk_json_root(json), "watches") : NULL;
  for (guint i = 0; i < mnk_json_size(list); i++) {
    g_autoptr(GError) error = NULL;
    if (!restore_watch(entry, mnk_json_at(list, i), &error))
      mnk_warning("api", entry->id, "event=watch-not-resumed reason=\"%s\"", error->message);
  }
}

/* ---- calls ---- */

const MnkField mnk_watch_fields[] = {
    {.name = "question",
     .type = MNK_FIELD_STRING,
     .required = TRUE,
     .min = 1,
     .max = 1048576,
     .help = "A question or statement that becomes true: \"a person is at the door\"."},
    {.name = "watch_s", .type = MNK_FIELD_OPTION},
    {.name = "threshold", .type = MNK_FIELD_OPTION, .choices = "watch_threshold"},
    {.name = "cooldown_s", .type = MNK_FIELD_OPTION, .choices = "watch_cooldown_s"},
    {.name = "lang", .type = MNK_FIELD_OPTION},
    {0},
};

static gboolean has_room(const MnkEntry *entry, GError **error) {
  gint64 most = mnk_settings_int(entry->api->settings, MNK_OPT_WATCHES_MAX);
  guint n = entry->watches != NULL ? entry->watches->len : 0;
  if (n < (guint)most)
    return TRUE;
  g_set_error(error, MNK_STATUS_ERROR, 409,
              "stream \"%s\" has %u standing questions already, which is all that watches_max "
              "allows",
              entry->id, n);
  return FALSE;
}

static Watch *make_watch(MnkCall *call, MnkEntry *entry, GError **error) {
  const char *question = mnk_json_string(mnk_json_get(call->body, "question"), "");
  g_autoptr(MnkSettings) settings = mnk_settings_copy(entry->settings);
  g_autoptr(GError) failure = NULL;
  g_autofree char *id = mnk_random_id("w");
  if (!mnk_may_ask(call->api, call->key, question, error) || !has_room(entry, error) ||
      !mnk_options_apply(settings, mnk_watch_fields, call->body, error))
    return NULL;
  Wish wish = {id, question, g_steal_pointer(&settings), call->key};
  Watch *watch = add_watch(entry, &wish, &failure);
  if (g_error_matches(failure, MNK_ERROR, MNK_ERROR_CONFIG))
    g_set_error_literal(error, MNK_STATUS_ERROR, 409, failure->message);
  else if (watch == NULL)
    g_propagate_error(error, g_steal_pointer(&failure));
  return watch;
}

static void refuse_row(MnkCall *call, const MnkStreamRow *row, const GError *error) {
  if (row == NULL)
    mnk_answer_gerror(call->request, error);
  else
    mnk_answer_error(call->request, 409, "conflict",
                     "the stream has ended; standing questions are for streams that run", NULL);
}

static void call_without_entry(MnkCall *call, MnkRowFunc func) {
  if (mnk_stream_id_is_valid(call->id))
    mnk_call_with_row(call, call->id, func);
  else
    mnk_answer_error(call->request, 404, "not_found", "there is no stream of that id", NULL);
}

void mnk_handle_watch_add(MnkCall *call) {
  MnkEntry *entry = mnk_registry_find(call->api->registry, call->id);
  g_autoptr(GError) error = NULL;
  if (entry == NULL) {
    call_without_entry(call, refuse_row);
    return;
  }
  const Watch *watch = make_watch(call, entry, &error);
  if (watch == NULL) {
    mnk_answer_gerror(call->request, error);
    return;
  }
  mnk_entry_keep(entry);
  g_autofree char *place = g_strdup_printf("/v1/streams/%s/watch/%s", entry->id, watch->id);
  g_autoptr(GString) json = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, json);
  write_watch(watch, &w);
  mnk_request_set_answer_header(call->request, "Location", place);
  mnk_answer_json(call->request, 201, json);
}

static void answer_list(MnkCall *call, const MnkEntry *entry) {
  g_autoptr(GString) json = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, json);
  mnk_json_begin_object(&w, NULL);
  mnk_json_begin_array(&w, "watches");
  for (guint i = 0; entry != NULL && entry->watches != NULL && i < entry->watches->len; i++)
    write_watch(g_ptr_array_index(entry->watches, i), &w);
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
  mnk_answer_json(call->request, 200, json);
}

static void list_row(MnkCall *call, const MnkStreamRow *row, const GError *error) {
  if (row == NULL)
    mnk_answer_gerror(call->request, error);
  else
    answer_list(call, NULL);
}

void mnk_handle_watch_list(MnkCall *call) {
  const MnkEntry *entry = mnk_registry_find(call->api->registry, call->id);
  if (entry != NULL)
    answer_list(call, entry);
  else
    call_without_entry(call, list_row);
}

void mnk_handle_watch_delete(MnkCall *call) {
  MnkEntry *entry = mnk_registry_find(call->api->registry, call->id);
  Watch *watch = entry != NULL ? find_watch(entry, call->rest) : NULL;
  if (watch == NULL) {
    mnk_answer_error(call->request, 404, "not_found", "there is no standing question of that id",
                     NULL);
    return;
  }
  g_ptr_array_remove(entry->watches, watch);
  mnk_entry_keep(entry);
  mnk_request_answer(call->request, 204, NULL, NULL);
}
