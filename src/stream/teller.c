/* Captions by a backend: frames gather into rounds, each round is one request, and captions come
 * out in the order of time. What the template would have said is kept beside each round: it stands
 * in when the backend fails, is told to stop, or, where the source cannot wait, comes late. */
#include "stream/server_priv.h"

#include <string.h>

enum {
  MAX_ROUNDS = 4,     /* of a source that cannot wait; beyond, the template tells the oldest */
  MAX_PICTURES = 64,  /* kept for one round, before the choice */
  MAX_FRAMES = 1024,  /* of one round */
  MAX_CONTEXT = 1024, /* bytes of earlier captions */
  OWN_TIME_MS = 600000,
};

static const float LIKENESS = 0.6f; /* of an event that goes on over the border of two rounds */

typedef struct {
  MnkCaption *caption;
  gboolean after_cut;
} Spare;

typedef struct {
  gint64 pts_ms;
  float importance;
  GBytes *jpeg; /* NULL: none came, or let go */
} Shot;

typedef enum { GATHERING, WAITING, ASKED, ANSWERED, SPARED } RoundState;

typedef struct {
  RoundState state;
  GArray *shots;     /* of Shot */
  GPtrArray *spares; /* of Spare: what the template says */
  MnkBatch *batch;
  GPtrArray *events; /* of MnkBatchEvent, when answered */
} Round;

struct _MnkTeller {
  char *stream;
  MnkCaptioner *captioner;
  MnkBackend *backend;
  MnkSettings *settings;
  Round *round;     /* gathers */
  GQueue *rounds;   /* of Round: the head is the one that is asked about */
  gboolean asked;   /* the backend is at work */
  MnkCaption *held; /* an event that may go on in the next round */
  GString *context;
  gboolean finishing;
  void (*moved)(gpointer user); /* NULL: rounds that wait too long are given up */
  gpointer moved_user;
  guint idle;
  MnkTellerCounters counters;
};

/* ---- rounds ---- */

static void spare_free(gpointer data) {
  Spare *spare = data;
  mnk_caption_free(spare->caption);
  g_free(spare);
}

static void shot_clear(gpointer data) {
  g_clear_pointer(&((Shot *)data)->jpeg, g_bytes_unref);
}

static Round *round_new(void) {
  Round *round = g_new0(Round, 1);
  round->shots = g_array_new(FALSE, FALSE, sizeof(Shot));
  g_array_set_clear_func(round->shots, shot_clear);
  round->spares = g_ptr_array_new_with_free_func(spare_free);
  return round;
}

static void round_free(gpointer data) {
  Round *round = data;
  g_array_unref(round->shots);
  g_ptr_array_unref(round->spares);
  g_clear_pointer(&round->events, g_ptr_array_unref);
  mnk_batch_free(round->batch);
  g_free(round);
}

void mnk_teller_observe(MnkTeller *teller, const MnkObservation *obs) {
  if (obs->type == MNK_OBS_CUT || teller->round->shots->len >= MAX_FRAMES)
    return;
  Shot shot = {.pts_ms = obs->pts_ms, .importance = mnk_importance_of(obs)};
  GArray *shots = teller->round->shots;
  /* its picture has come before it */
  Shot *last = shots->len > 0 ? &g_array_index(shots, Shot, shots->len - 1) : NULL;
  if (last != NULL && last->pts_ms == obs->pts_ms)
    last->importance = shot.importance;
  else
    g_array_append_val(shots, shot);
}

static void let_one_go(GArray *shots) {
  Shot *least = NULL;
  guint with_picture = 0;
  for (guint i = 1; i + 1 < shots->len; i++) {
    Shot *shot = &g_array_index(shots, Shot, i);
    if (shot->jpeg == NULL)
      continue;
    with_picture++;
    if (least == NULL || shot->importance < least->importance)
      least = shot;
  }
  if (with_picture >= MAX_PICTURES)
    shot_clear(least);
}

void mnk_teller_picture(MnkTeller *teller, gint64 pts_ms, GBytes *jpeg) {
  GArray *shots = teller->round->shots;
  if (shots->len >= MAX_FRAMES)
    return;
  Shot shot = {.pts_ms = pts_ms, .importance = 1, .jpeg = g_bytes_ref(jpeg)};
  g_array_append_val(shots, shot);
  let_one_go(shots);
}

void mnk_teller_scene(MnkTeller *teller, MnkCaption *caption, gboolean after_cut) {
  Spare *spare = g_new(Spare, 1);
  *spare = (Spare){caption, after_cut};
  g_ptr_array_add(teller->round->spares, spare);
}

/* ---- telling ---- */

static void remember(MnkTeller *teller, const char *text) {
  GString *context = teller->context;
  g_string_append_printf(context, "%s\n", text);
  while (context->len > MAX_CONTEXT) {
    const char *end = strchr(context->str, '\n');
    g_string_erase(context, 0, end - context->str + 1);
  }
}

static void tell(MnkTeller *teller, MnkCaption *caption, gboolean after_cut) {
  remember(teller, caption->text);
  mnk_captioner_tell(teller->captioner, caption, after_cut);
}

static void tell_held(MnkTeller *teller) {
  if (teller->held != NULL)
    tell(teller, g_steal_pointer(&teller->held), FALSE);
}

static void tell_spares(MnkTeller *teller, Round *round) {
  tell_held(teller);
  teller->counters.fallbacks++;
  for (guint i = 0; i < round->spares->len; i++) {
    Spare *spare = round->spares->pdata[i];
    tell(teller, g_steal_pointer(&spare->caption), spare->after_cut);
  }
}

/* The facts of what was seen meanwhile. */
static void add_facts(MnkCaption *caption, const Round *round) {
  for (guint i = 0; i < round->spares->len; i++) {
    const MnkCaption *spare = ((Spare *)round->spares->pdata[i])->caption;
    if (spare == NULL || mnk_caption_is_gap(spare) || spare->end_ms <= caption->start_ms ||
        spare->start_ms >= caption->end_ms)
      continue;
    for (guint j = 0; j < spare->facts->len && caption->facts->len < 64; j++)
      g_ptr_array_add(caption->facts, mnk_fact_copy(spare->facts->pdata[j]));
  }
}

static MnkCaption *caption_of(MnkTeller *teller, const Round *round, const MnkBatchEvent *event) {
  MnkCaption *caption = mnk_caption_new();
  caption->stream = g_strdup(teller->stream);
  caption->start_ms = event->start_ms;
  caption->end_ms = event->end_ms;
  caption->lang = g_strdup(round->batch->lang);
  caption->text = g_strdup(event->text);
  caption->backend = g_strdup(mnk_backend_name(teller->backend));
  add_facts(caption, round);
  return caption;
}

/* The event that the round before left open goes on here. */
static gboolean goes_on(const MnkTeller *teller, const MnkBatchEvent *event) {
  return teller->held != NULL && event->start_frame == 0 &&
         mnk_text_jaccard(teller->held->text, event->text) >= LIKENESS;
}

static void tell_gaps(MnkTeller *teller, Round *round, gint64 before_ms) {
  for (guint i = 0; i < round->spares->len; i++) {
    Spare *spare = round->spares->pdata[i];
    if (spare->caption != NULL && mnk_caption_is_gap(spare->caption) &&
        spare->caption->start_ms < before_ms)
      tell(teller, g_steal_pointer(&spare->caption), TRUE);
  }
}

static void tell_events(MnkTeller *teller, Round *round) {
  for (guint i = 0; i < round->events->len; i++) {
    const MnkBatchEvent *event = round->events->pdata[i];
    MnkCaption *caption = caption_of(teller, round, event);
    if (goes_on(teller, event)) {
      caption->start_ms = teller->held->start_ms;
      g_clear_pointer(&teller->held, mnk_caption_free);
    }
    tell_held(teller);
    tell_gaps(teller, round, event->start_ms);
    if (!event->open || i + 1 < round->events->len) {
      tell(teller, caption, FALSE);
      continue;
    }
    teller->held = caption;
    mnk_captioner_show(teller->captioner, mnk_caption_copy(caption), FALSE);
  }
  if (round->events->len == 0)
    tell_held(teller);
  tell_gaps(teller, round, G_MAXINT64);
}

/* ---- asking ---- */

static void advance(MnkTeller *teller);

static void on_answer(const MnkBackendAnswer *answer, const GError *error, gpointer user) {
  MnkTeller *teller = user;
  teller->asked = FALSE;
  Round *round = g_queue_peek_head(teller->rounds);
  if (answer != NULL) {
    round->state = ANSWERED;
    round->events = g_ptr_array_ref(answer->events);
    teller->counters.tokens += answer->prompt_tokens + answer->answer_tokens;
  } else {
    round->state = SPARED;
    mnk_warning("language", teller->stream, "event=batch-without-answer backend=%s reason=\"%s\"",
                mnk_backend_name(teller->backend), error->message);
  }
  advance(teller);
}

/* Where rounds are given up for others, their time runs from when they were gathered. A service
 * that is silent hangs; a model of one's own may just be slow. */
static gint64 deadline_of(const MnkTeller *teller) {
  gint64 ms = mnk_settings_int(teller->settings, MNK_OPT_BACKEND_DEADLINE);
  if (teller->moved != NULL && g_str_equal(mnk_backend_name(teller->backend), "local") &&
      !mnk_settings_is_set(teller->settings, MNK_OPT_BACKEND_DEADLINE))
    ms = OWN_TIME_MS;
  return mnk_clock_mono_us(mnk_clock_system()) + 1000 * ms;
}

static void ask(MnkTeller *teller, Round *round) {
  MnkBatch *batch = round->batch;
  if (teller->moved != NULL)
    batch->deadline_us = deadline_of(teller);
  g_free(batch->context);
  g_free(batch->running);
  batch->context = g_strdup(teller->context->str);
  batch->running = g_strdup(teller->held != NULL ? teller->held->text : "");
  round->state = ASKED;
  teller->asked = TRUE;
  mnk_backend_caption(teller->backend, batch, on_answer, teller);
}

static void tell_moved(MnkTeller *teller) {
  if (teller->moved != NULL)
    teller->moved(teller->moved_user);
}

static void advance(MnkTeller *teller) {
  Round *round;
  while ((round = g_queue_peek_head(teller->rounds)) != NULL) {
    if (round->state == WAITING)
      ask(teller, round);
    if (round->state == ASKED)
      return;
    if (round->state == ANSWERED)
      tell_events(teller, round);
    else
      tell_spares(teller, round);
    round_free(g_queue_pop_head(teller->rounds));
    tell_moved(teller);
  }
  if (teller->finishing)
    tell_held(teller);
}

/* The choice of pictures, and what the request needs besides. */
static MnkBatch *batch_of(MnkTeller *teller, Round *round, gint64 end_ms) {
  const MnkSettings *settings = teller->settings;
  guint n = round->shots->len;
  MnkBatch *batch = mnk_batch_new();
  batch->stream = g_strdup(teller->stream);
  batch->n_frames = n;
  batch->pts_ms = g_new(gint64, n);
  batch->end_ms = end_ms;
  g_autofree float *importance = g_new(float, n);
  g_autofree guint *places = g_new(guint, n);
  guint pictures = 0;
  for (guint i = 0; i < n; i++) {
    const Shot *shot = &g_array_index(round->shots, Shot, i);
    batch->pts_ms[i] = shot->pts_ms;
    if (shot->jpeg == NULL)
      continue;
    importance[pictures] = shot->importance;
    places[pictures++] = i;
  }
  g_autoptr(GArray) chosen =
      mnk_batch_select(importance, pictures, mnk_backend_images_max(teller->backend));
  for (guint i = 0; i < chosen->len; i++) {
    guint place = places[g_array_index(chosen, guint, i)];
    const Shot *shot = &g_array_index(round->shots, Shot, place);
    MnkBatchFrame *frame = g_new(MnkBatchFrame, 1);
    *frame = (MnkBatchFrame){place, shot->pts_ms, shot->importance, g_bytes_ref(shot->jpeg)};
    g_ptr_array_add(batch->frames, frame);
  }
  const char *prompt = mnk_settings_string(settings, MNK_OPT_PROMPT);
  g_autoptr(GString) known = g_string_new(NULL);
  for (guint i = 0; i < round->spares->len; i++)
    g_string_append_printf(known, "%s\n", ((Spare *)round->spares->pdata[i])->caption->text);
  batch->known = g_strdup(known->str);
  batch->prompt = g_strdup(prompt != NULL ? prompt : "");
  batch->lang = g_strdup(mnk_settings_string(settings, MNK_OPT_LANG));
  batch->temperature = (float)mnk_settings_double(settings, MNK_OPT_TEMPERATURE);
  batch->deadline_us = deadline_of(teller);
  return batch;
}

static void drop_stale(MnkTeller *teller) {
  if (teller->moved != NULL || teller->rounds->length <= MAX_ROUNDS)
    return;
  for (GList *link = teller->rounds->head; link != NULL; link = link->next) {
    Round *round = link->data;
    if (round->state != WAITING)
      continue;
    round->state = SPARED;
    teller->counters.stale++;
    return;
  }
}

static gboolean advance_later(gpointer user) {
  MnkTeller *teller = user;
  teller->idle = 0;
  advance(teller);
  return G_SOURCE_REMOVE;
}

void mnk_teller_decode(MnkTeller *teller, gint64 end_ms) {
  Round *round = teller->round;
  if (round->shots->len == 0 && round->spares->len == 0)
    return;
  teller->round = round_new();
  teller->counters.batches++;
  round->batch = batch_of(teller, round, end_ms);
  round->state = round->batch->frames->len > 0 ? WAITING : SPARED;
  g_array_set_size(round->shots, 0);
  g_queue_push_tail(teller->rounds, round);
  drop_stale(teller);
  if (teller->idle == 0)
    teller->idle = g_idle_add(advance_later, teller);
  tell_moved(teller);
}

void mnk_teller_finish(MnkTeller *teller) {
  teller->finishing = TRUE;
  if (teller->idle == 0)
    teller->idle = g_idle_add(advance_later, teller);
}

static void take_back(MnkTeller *teller) {
  if (teller->asked)
    mnk_backend_cancel(teller->backend, teller);
  teller->asked = FALSE;
}

void mnk_teller_hurry(MnkTeller *teller) {
  take_back(teller);
  for (GList *link = teller->rounds->head; link != NULL; link = link->next)
    if (((Round *)link->data)->state != ANSWERED)
      ((Round *)link->data)->state = SPARED;
  advance(teller);
}

gboolean mnk_teller_is_busy(const MnkTeller *teller) {
  return teller->rounds->length > 0 || teller->idle != 0 || teller->held != NULL;
}

guint mnk_teller_waiting(const MnkTeller *teller) {
  return teller->rounds->length;
}

guint mnk_teller_gathered(const MnkTeller *teller) {
  return teller->round->shots->len;
}

/* ---- life ---- */

MnkTeller *mnk_teller_new(const char *stream, MnkCaptioner *captioner, MnkBackend *backend,
                          const MnkSettings *settings) {
  MnkTeller *teller = g_new0(MnkTeller, 1);
  teller->stream = g_strdup(stream);
  teller->captioner = captioner;
  teller->backend = backend;
  teller->settings = mnk_settings_copy(settings);
  teller->round = round_new();
  teller->rounds = g_queue_new();
  teller->context = g_string_new(NULL);
  return teller;
}

void mnk_teller_be_patient(MnkTeller *teller, void (*moved)(gpointer user), gpointer user) {
  teller->moved = moved;
  teller->moved_user = user;
}

void mnk_teller_set(MnkTeller *teller, const MnkSettings *settings) {
  mnk_settings_free(teller->settings);
  teller->settings = mnk_settings_copy(settings);
}

void mnk_teller_counters(const MnkTeller *teller, MnkTellerCounters *out) {
  *out = teller->counters;
}

void mnk_teller_free(MnkTeller *teller) {
  if (teller == NULL)
    return;
  g_clear_handle_id(&teller->idle, g_source_remove);
  take_back(teller);
  round_free(teller->round);
  g_queue_free_full(teller->rounds, round_free);
  mnk_caption_free(teller->held);
  mnk_settings_free(teller->settings);
  g_string_free(teller->context, TRUE);
  g_free(teller->stream);
  g_free(teller);
}
