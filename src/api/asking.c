/* One question about a stream that runs or has ended, and what it costs. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <string.h>

const MnkField mnk_how_fields[] = {MNK_HOW_FIELDS, {0}};

struct _MnkAsking {
  gint refs; /* the owner's, and that of a look into the store */
  MnkCall *call;
  char *stream, *question, *conversation, *system;
  GArray *turns; /* of MnkTurnOfTalk; NULL: none were brought along */
  char *model;
  const MnkJsonValue *how;
  MnkAskEvents events;
  gpointer user;
  MnkAsk *ask;    /* NULL: not on its way */
  guint64 pieces; /* each about a token */
  gboolean gone;
};

/* ---- may it be asked ---- */

static gint64 wall_us(void) {
  return mnk_clock_wall_us(mnk_clock_system());
}

gboolean mnk_may_ask(MnkApi *api, MnkKey *key, const char *question, GError **error) {
  gint64 longest = mnk_settings_int(api->settings, MNK_OPT_QUESTION_MAX);
  gint64 most = mnk_settings_int(api->settings, MNK_OPT_QUESTIONS_WAITING);
  if (strlen(question) > (gsize)longest)
    g_set_error(error, MNK_STATUS_ERROR, 413,
                "question is longer than the %" G_GINT64_FORMAT " bytes that question_max allows",
                longest);
  else if (!mnk_key_has_tokens(key, wall_us()))
    g_set_error(error, MNK_STATUS_ERROR, 429,
                "the key %s has used up its tokens of today (tokens_per_day)", key->name);
  else if (mnk_asker_waiting(api->asker) >= (guint)most)
    g_set_error(error, MNK_STATUS_ERROR, 503,
                "%" G_GINT64_FORMAT
                " questions wait already, which is all that questions_waiting allows",
                most);
  else
    return TRUE;
  return FALSE;
}

/* ---- events ---- */

static void on_piece(const char *text, gpointer user) {
  MnkAsking *asking = user;
  asking->pieces++;
  if (asking->events.piece != NULL)
    asking->events.piece(text, asking->user);
}

static void on_done(const MnkAnswer *answer, const GError *error, gpointer user) {
  MnkAsking *asking = user;
  asking->ask = NULL;
  if (answer != NULL)
    mnk_key_spend_tokens(asking->call->key, answer->prompt_tokens + answer->answer_tokens,
                         wall_us());
  asking->events.done(answer, error, asking->user);
}

/* ---- asking ---- */

typedef struct {
  const MnkEntry *entry; /* NULL: it has ended */
  const MnkSettings *settings;
  gint64 now_ms;
} Place;

static gint64 clock_of(const MnkEntry *entry) {
  return entry->stream != NULL ? mnk_stream_clock_ms(entry->stream) : entry->clock_ms;
}

static gboolean put(MnkAsking *asking, const Place *place, GError **error) {
  static const MnkAskEvents EVENTS = {on_piece, on_done};
  MnkApi *api = asking->call->api;
  MnkAsked asked = MNK_ASKED_BEST;
  g_autoptr(MnkSettings) settings = mnk_settings_copy(place->settings);
  if (!mnk_asked_find(api, asking->model, &asked, error) ||
      !mnk_options_apply(settings, mnk_how_fields, asking->how, error))
    return FALSE;
  MnkAskRequest request = {
      .stream = asking->stream,
      .question = asking->question,
      .owner = asking->call->key->name,
      .conversation = asking->conversation,
      .turns = asking->turns != NULL ? (const MnkTurnOfTalk *)(void *)asking->turns->data : NULL,
      .n_turns = asking->turns != NULL ? asking->turns->len : 0,
      .system = asking->system,
      .settings = settings,
      .now_ms = place->now_ms,
      .over = place->entry == NULL,
  };
  mnk_asked_choose(api, asked, &request);
  asking->ask = mnk_ask(api->asker, &request, &EVENTS, asking, error);
  return asking->ask != NULL;
}

static gpointer read_row(MnkStore *store, gpointer data, GError **error) {
  return mnk_store_stream(store, ((const MnkAsking *)data)->stream, error);
}

static void asking_unref(MnkAsking *asking) {
  if (--asking->refs > 0)
    return;
  g_clear_pointer(&asking->turns, g_array_unref);
  mnk_call_unref(asking->call);
  g_free(asking->stream);
  g_free(asking->question);
  g_free(asking->conversation);
  g_free(asking->system);
  g_free(asking->model);
  g_free(asking);
}

static void fail(MnkAsking *asking, const GError *error) {
  asking->events.done(NULL, error, asking->user);
}

/* What the stream had for its own still holds when it has ended, also what has not reached the disk
 * yet. */
static MnkSettings *settings_of(MnkApi *api, const MnkStreamRow *row) {
  g_autoptr(MnkSettings) settings = mnk_settings_copy(mnk_registry_base(api->registry));
  const char *spec = mnk_registry_spec(api->registry, row);
  g_autoptr(MnkJson) json = mnk_json_parse(spec, strlen(spec), NULL, NULL);
  const MnkJsonValue *params = json != NULL ? mnk_json_get(mnk_json_root(json), "params") : NULL;
  g_autoptr(GError) error = NULL;
  if (!mnk_params_apply(settings, params, FALSE, &error))
    mnk_warning("api", row->id, "event=params-not-read reason=\"%s\"", error->message);
  return g_steal_pointer(&settings);
}

static void put_for_row(MnkAsking *asking, const MnkStreamRow *row) {
  g_autoptr(GError) failure = NULL;
  g_autoptr(MnkSettings) settings = settings_of(asking->call->api, row);
  Place place = {.settings = settings, .now_ms = row->captions > 0 ? row->end_ms : -1};
  if (!put(asking, &place, &failure))
    fail(asking, failure);
}

static void row_read(gpointer result, const GError *error, gpointer data) {
  MnkAsking *asking = data;
  MnkStreamRow bare;
  const MnkStreamRow *row =
      mnk_registry_row(asking->call->api->registry, asking->stream, result, &bare);
  if (asking->gone) {
    /* nobody wants to know any more */
  } else if (row == NULL) {
    fail(asking, error);
  } else {
    put_for_row(asking, row);
  }
  mnk_stream_row_free(result);
  asking_unref(asking);
}

void mnk_asking_start(MnkAsking *asking) {
  MnkApi *api = asking->call->api;
  g_autoptr(GError) error = NULL;
  const MnkEntry *entry = mnk_registry_find(api->registry, asking->stream);
  if (!mnk_may_ask(api, asking->call->key, asking->question, &error)) {
    fail(asking, error);
  } else if (entry != NULL) {
    Place place = {.entry = entry, .settings = entry->settings, .now_ms = clock_of(entry)};
    if (!put(asking, &place, &error))
      fail(asking, error);
  } else if (!mnk_stream_id_is_valid(asking->stream)) {
    g_set_error_literal(&error, MNK_STATUS_ERROR, 404, "there is no stream of that id");
    fail(asking, error);
  } else {
    asking->refs++;
    mnk_store_run(api->store, read_row, row_read, asking);
  }
}

/* ---- life ---- */

static void clear_turn(gpointer data) {
  MnkTurnOfTalk *turn = data;
  g_free(turn->question);
  g_free(turn->answer);
}

/* Of no turns at all, too, a list that is there: they were brought along. */
static GArray *copy_turns(const MnkTurnOfTalk *turns, guint n) {
  GArray *copy = g_array_sized_new(TRUE, TRUE, sizeof(MnkTurnOfTalk), n);
  g_array_set_clear_func(copy, clear_turn);
  for (guint i = 0; i < n; i++) {
    MnkTurnOfTalk turn = {g_strdup(turns[i].question), g_strdup(turns[i].answer)};
    g_array_append_val(copy, turn);
  }
  return copy;
}

MnkAsking *mnk_asking_new(MnkCall *call, const MnkQuestion *question, const MnkAskEvents *events,
                          gpointer user) {
  MnkAsking *asking = g_new0(MnkAsking, 1);
  asking->refs = 1;
  asking->call = mnk_call_ref(call);
  asking->stream = g_strdup(question->stream);
  asking->question = g_strdup(question->question);
  asking->conversation = g_strdup(question->conversation);
  asking->system = g_strdup(question->system);
  asking->turns = question->turns != NULL ? copy_turns(question->turns, question->n_turns) : NULL;
  asking->model = g_strdup(question->model);
  asking->how = question->how;
  asking->events = *events;
  asking->user = user;
  return asking;
}

/* What was told is paid for. */
void mnk_asking_free(MnkAsking *asking) {
  if (asking == NULL)
    return;
  if (asking->ask != NULL) {
    mnk_ask_cancel(g_steal_pointer(&asking->ask));
    mnk_key_spend_tokens(asking->call->key, asking->pieces, wall_us());
  }
  asking->gone = TRUE;
  asking_unref(asking);
}
