/* One question on its way: what the store knows, then whoever answers, then what the answer rests
 * on, to one end. */
#include "ask/ask_priv.h"

#include <math.h>
#include <string.h>

/* Beyond the deadline: whoever answers has a better word for it. */
static const gint64 GRACE_MS = 2000;

struct _MnkAsk {
  MnkAsker *asker;
  MnkAskedOf whom;
  char *shown, *question; /* as it is told again, and as models get it */
  char *owner, *conversation, *system;
  GArray *turns;    /* of MnkTurnOfTalk */
  gboolean brought; /* the asker brings the turns along */
  MnkLocalStream *memory;
  MnkBackend *backend;
  MnkSettings *settings;
  gint64 now_ms, started_us, deadline_us;
  gboolean over, has_model;
  MnkAskEvents events;
  gpointer user;
  MnkAskJob *job;
  MnkGathered *gathered;
  char *log;
  MnkLocalAsk *local;
  gboolean asked_backend, retried;
  MnkPlainText *plain;
  GString *said;
  MnkAnswer *answer;
  GSource *deadline, *late;
  GError *failure; /* what late will tell */
  gboolean *gone;  /* set when this is freed while a piece is told */
};

/* ---- Life ---- */

MnkAskedOf mnk_ask_whom(const MnkAskRequest *request) {
  if (request->memory)
    return MNK_ASKED_OF_LOCAL;
  gboolean remote = request->backend && !g_str_equal(mnk_backend_name(request->backend), "local");
  return remote ? MNK_ASKED_OF_BACKEND : MNK_ASKED_OF_TIMELINE;
}

static const char *whom_name(const MnkAsk *ask) {
  switch (ask->whom) {
  case MNK_ASKED_OF_LOCAL:
    return "local";
  case MNK_ASKED_OF_BACKEND:
    return mnk_backend_name(ask->backend);
  default:
    return "timeline";
  }
}

/* Nothing comes of what was asked. */
static void call_off(MnkAsk *ask) {
  mnk_ask_job_cancel(g_steal_pointer(&ask->job));
  if (ask->local)
    mnk_local_cancel(g_steal_pointer(&ask->local));
  if (ask->asked_backend)
    mnk_backend_cancel(ask->backend, ask);
  ask->asked_backend = FALSE;
}

void mnk_ask_free(MnkAsk *ask) {
  if (ask->gone)
    *ask->gone = TRUE;
  call_off(ask);
  g_queue_remove(&ask->asker->asks, ask);
  mnk_ask_timer_clear(&ask->deadline);
  mnk_ask_timer_clear(&ask->late);
  g_clear_error(&ask->failure);
  mnk_gathered_free(ask->gathered);
  mnk_answer_free(ask->answer);
  mnk_plain_text_free(ask->plain);
  g_string_free(ask->said, TRUE);
  g_array_unref(ask->turns);
  mnk_settings_free(ask->settings);
  g_free(ask->shown);
  g_free(ask->question);
  g_free(ask->owner);
  g_free(ask->conversation);
  g_free(ask->system);
  g_free(ask->log);
  g_free(ask);
}

void mnk_ask_cancel(MnkAsk *ask) {
  ask->asker->counters.cancelled++;
  mnk_measure_end(whom_name(ask), "cancelled");
  mnk_ask_free(ask);
}

/* ---- Ends; the callback comes last ---- */

static void fail(MnkAsk *ask, GError *error) {
  g_autoptr(GError) owned = error;
  MnkAskEvents events = ask->events;
  gpointer user = ask->user;
  ask->asker->counters.failed++;
  mnk_measure_end(whom_name(ask), "failed");
  mnk_info("ask", ask->answer->stream, "event=question-failed backend=%s fault=\"%s\"",
           whom_name(ask), owned->message);
  mnk_ask_free(ask);
  events.done(NULL, owned, user);
}

static gboolean on_late(gpointer user) {
  MnkAsk *ask = user;
  fail(ask, g_steal_pointer(&ask->failure));
  return G_SOURCE_REMOVE;
}

/* Takes the error. */
static void fail_later(MnkAsk *ask, GError *error) {
  call_off(ask);
  g_clear_error(&ask->failure);
  ask->failure = error;
  mnk_ask_timer_clear(&ask->late);
  ask->late = mnk_ask_timer(0, on_late, ask);
}

void mnk_ask_forget(MnkAsk *ask, const char *stream) {
  if (!ask->memory || !g_str_equal(ask->answer->stream, stream) || ask->answer->text)
    return;
  fail_later(ask, g_error_new(MNK_ERROR, MNK_ERROR_NOT_FOUND,
                              "the stream %s was removed while it was asked about", stream));
  ask->memory = NULL;
}

static GError *too_late(const MnkAsk *ask) {
  gint64 ms = (ask->deadline_us - ask->started_us) / 1000;
  return g_error_new(MNK_ERROR, MNK_ERROR_SOURCE,
                     "no whole answer within the %.3g s that question_timeout allows",
                     (double)ms / 1000);
}

static gboolean on_deadline(gpointer user) {
  MnkAsk *ask = user;
  fail(ask, too_late(ask));
  return G_SOURCE_REMOVE;
}

static void remember_turn(MnkAsk *ask) {
  if (ask->brought)
    return;
  MnkAnswer *answer = ask->answer;
  answer->conversation = mnk_talks_add(ask->asker->talks, ask->conversation, ask->owner,
                                       answer->stream, ask->shown, answer->text);
}

static void finish(MnkAsk *ask) {
  MnkAnswer *answer = ask->answer;
  MnkAskEvents events = ask->events;
  gpointer user = ask->user;
  mnk_evidence_sort(answer->evidence);
  remember_turn(ask);
  answer->total_ms = (double)(g_get_monotonic_time() - ask->started_us) / 1000;
  ask->asker->counters.answered++;
  ask->asker->counters.timeline += ask->whom == MNK_ASKED_OF_TIMELINE;
  mnk_measure_end(answer->backend, "answered");
  mnk_measure_answer(answer);
  g_autoptr(MnkAnswer) told = g_steal_pointer(&ask->answer);
  mnk_ask_free(ask);
  events.done(told, NULL, user);
}

static void on_joined(gpointer user) {
  MnkAsk *ask = user;
  ask->job = NULL;
  finish(ask);
}

static void join(MnkAsk *ask) {
  ask->job = mnk_evidence_join_start(ask->asker->store, ask->answer->stream, ask->answer->evidence,
                                     on_joined, ask);
}

/* ---- Pieces ---- */

/* FALSE: this is gone. */
static gboolean tell(MnkAsk *ask, const GString *fresh) {
  if (fresh->len == 0)
    return TRUE;
  gboolean gone = FALSE;
  g_string_append_len(ask->said, fresh->str, (gssize)fresh->len);
  if (!ask->events.piece)
    return TRUE;
  ask->gone = &gone;
  ask->events.piece(fresh->str, ask->user);
  if (!gone)
    ask->gone = NULL;
  return !gone;
}

static void on_piece(const char *text, gpointer user) {
  MnkAsk *ask = user;
  g_autoptr(GString) fresh = g_string_new(NULL);
  mnk_plain_text_push(ask->plain, text, strlen(text), fresh);
  tell(ask, fresh);
}

/* What is left of the text; whole when no piece was told. FALSE: this is gone. */
static gboolean tell_rest(MnkAsk *ask, const char *whole) {
  g_autoptr(GString) fresh = g_string_new(NULL);
  if (!ask->said->len && whole) {
    g_clear_pointer(&ask->plain, mnk_plain_text_free);
    ask->plain = mnk_plain_text_new(MNK_ASK_ANSWER_BYTES);
    mnk_plain_text_push(ask->plain, whole, strlen(whole), fresh);
  }
  mnk_plain_text_end(ask->plain, fresh);
  return tell(ask, fresh);
}

/* ---- Whoever answers ---- */

static void put_question(MnkAsk *ask);
static void gather(MnkAsk *ask);

/* TRUE: it is asked once more. A question that was being answered when its worker died, before it
 * had said anything, waits for the next one. */
static gboolean ask_again(MnkAsk *ask, const GError *error) {
  if (!g_error_matches(error, MNK_ERROR, MNK_ERROR_WORKER) || ask->retried || ask->said->len > 0 ||
      g_get_monotonic_time() >= ask->deadline_us)
    return FALSE;
  ask->retried = TRUE;
  g_clear_pointer(&ask->plain, mnk_plain_text_free);
  ask->plain = mnk_plain_text_new(MNK_ASK_ANSWER_BYTES);
  mnk_info("ask", ask->answer->stream, "event=question-again fault=\"%s\"", error->message);
  put_question(ask);
  return TRUE;
}

/* TRUE: a remote model is asked instead of the local one, which cannot be. */
static gboolean ask_other(MnkAsk *ask, const GError *error) {
  const MnkAskRequest others = {.backend = ask->backend};
  gboolean unusable = g_error_matches(error, MNK_ERROR, MNK_ERROR_MODEL) ||
                      g_error_matches(error, MNK_ERROR, MNK_ERROR_WORKER);
  if (ask->whom != MNK_ASKED_OF_LOCAL || !unusable || ask->said->len > 0 ||
      mnk_ask_whom(&others) != MNK_ASKED_OF_BACKEND)
    return FALSE;
  mnk_info("ask", ask->answer->stream, "event=question-to-other fault=\"%s\"", error->message);
  ask->whom = MNK_ASKED_OF_BACKEND;
  ask->memory = NULL;
  g_free(ask->answer->backend);
  ask->answer->backend = g_strdup(whom_name(ask));
  g_clear_pointer(&ask->gathered, mnk_gathered_free);
  g_clear_pointer(&ask->log, g_free);
  gather(ask);
  return TRUE;
}

static void answer_failed(MnkAsk *ask, const GError *error) {
  if (ask_again(ask, error) || ask_other(ask, error))
    return;
  gboolean stopped = g_error_matches(error, MNK_ERROR, MNK_ERROR_CANCELLED);
  if (stopped && g_get_monotonic_time() >= ask->deadline_us) {
    fail(ask, too_late(ask));
    return;
  }
  /* What is wrong with a model's answer is no fault of the asker. */
  GError *copy = g_error_copy(error);
  if (g_error_matches(copy, MNK_ERROR, MNK_ERROR_BAD_INPUT))
    copy->code = MNK_ERROR_SOURCE;
  fail(ask, copy);
}

/* The texts are told: the answer has its own. FALSE: this is gone, or has failed. */
static gboolean take_text(MnkAsk *ask, const char *whole) {
  if (!tell_rest(ask, whole))
    return FALSE;
  if (ask->said->len == 0) {
    fail(ask, g_error_new(MNK_ERROR, MNK_ERROR_MODEL, "the model has given an empty answer"));
    return FALSE;
  }
  ask->answer->text = g_strdup(ask->said->str);
  return TRUE;
}

static void on_local_done(const MnkLocalAnswer *said, const GError *error, gpointer user) {
  MnkAsk *ask = user;
  MnkAnswer *answer = ask->answer;
  ask->local = NULL;
  if (error) {
    answer_failed(ask, error);
    return;
  }
  if (!take_text(ask, said->text))
    return;
  g_free(answer->router);
  answer->router = g_strdup(mnk_router_name(said->router));
  answer->history = said->history;
  answer->finish = g_strdup(said->finish);
  answer->prompt_tokens = said->prompt_tokens;
  answer->visual_tokens = said->visual_tokens;
  answer->cached_tokens = said->cached_tokens;
  answer->answer_tokens = said->answer_tokens;
  answer->wait_ms = said->wait_ms;
  answer->route_ms = said->route_ms;
  answer->prompt_ms = said->prompt_ms;
  answer->first_ms = said->first_ms;
  answer->answer_ms = said->answer_ms;
  for (guint i = 0; i < said->evidence->len && i < MNK_EVIDENCE_MAX; i++) {
    const MnkEvidence *moment = &g_array_index(said->evidence, MnkEvidence, i);
    MnkAnswerEvidence *one =
        mnk_evidence_new(moment->start_ms, moment->end_ms, (double)moment->score, moment->why);
    one->tokens = moment->tokens;
    g_ptr_array_add(answer->evidence, one);
  }
  mnk_evidence_add_hits(answer->evidence, ask->gathered, MNK_EVIDENCE_CAPTIONS);
  join(ask);
}

static void ask_local(MnkAsk *ask) {
  static const MnkLocalEvents events = {on_piece, on_local_done};
  const MnkSettings *settings = ask->settings;
  MnkRouter router = MNK_ROUTER_COS_SIM_FINE;
  mnk_router_from_name(mnk_settings_string(settings, MNK_OPT_ROUTER), &router);
  const MnkLocalQuestion question = {
      .question = ask->question,
      .turns = (const MnkTurnOfTalk *)(gpointer)ask->turns->data,
      .n_turns = ask->turns->len,
      .log = ask->log,
      .lang = mnk_ask_lang(ask->question, mnk_settings_string(settings, MNK_OPT_LANG)),
      .router = router,
      .topk = (guint)mnk_settings_int(settings, MNK_OPT_TOPK),
      .recent = (guint)mnk_settings_int(settings, MNK_OPT_RECENT_FRAMES),
      .tokens_max = (guint)mnk_settings_int(settings, MNK_OPT_ANSWER_TOKENS),
      .visual_max = (guint)mnk_settings_int(settings, MNK_OPT_MAX_VISUAL_TOKENS),
      .history = (MnkHistory)mnk_settings_int(settings, MNK_OPT_HISTORY),
      .margin = (float)mnk_settings_double(settings, MNK_OPT_GATE_MARGIN),
      .temperature = (float)mnk_settings_double(settings, MNK_OPT_TEMPERATURE),
      .seed = (guint32)mnk_settings_int(settings, MNK_OPT_SEED),
      .deadline_us = ask->deadline_us,
  };
  ask->local = mnk_local_ask(ask->memory, &question, &events, ask);
}

static void on_backend_done(const MnkBackendReply *reply, const GError *error, gpointer user) {
  MnkAsk *ask = user;
  MnkAnswer *answer = ask->answer;
  ask->asked_backend = FALSE;
  if (error) {
    answer_failed(ask, error);
    return;
  }
  if (!take_text(ask, reply->text))
    return;
  g_free(answer->model);
  answer->model = g_strdup(reply->model ? reply->model : "");
  answer->history = ask->gathered->past;
  answer->finish = g_strdup(reply->cut ? "length" : "stop");
  answer->prompt_tokens = reply->prompt_tokens;
  answer->answer_tokens = reply->answer_tokens;
  answer->first_ms = reply->first_ms;
  answer->answer_ms = reply->answer_ms;
  mnk_evidence_add_shown(answer->evidence, ask->gathered);
  join(ask);
}

static void ask_backend(MnkAsk *ask) {
  static const MnkBackendTalk talk = {on_piece, on_backend_done};
  const MnkSettings *settings = ask->settings;
  gboolean bounded = mnk_settings_is_set(settings, MNK_OPT_ANSWER_TOKENS);
  const MnkBackendQuestion question = {
      .question = ask->question,
      .lang = mnk_ask_lang(ask->question, mnk_settings_string(settings, MNK_OPT_LANG)),
      .stream = ask->answer->stream,
      .system = ask->system,
      .turns = (const MnkTurnOfTalk *)(gpointer)ask->turns->data,
      .n_turns = ask->turns->len,
      .log = ask->log,
      .frames = ask->gathered->frames,
      .now_ms = ask->over ? -1 : ask->now_ms,
      .temperature = (float)mnk_settings_double(settings, MNK_OPT_TEMPERATURE),
      /* Of a remote model the default is the backend's: its thoughts count, too. */
      .tokens_max = bounded ? (guint)mnk_settings_int(settings, MNK_OPT_ANSWER_TOKENS) : 0,
      .deadline_us = ask->deadline_us,
  };
  ask->asked_backend = TRUE;
  mnk_backend_ask(ask->backend, &question, &talk, ask);
}

static void ask_timeline(MnkAsk *ask) {
  MnkAnswer *answer = ask->answer;
  mnk_timeline_answer(answer, ask->gathered,
                      mnk_ask_lang(ask->question, mnk_settings_string(ask->settings, MNK_OPT_LANG)),
                      ask->has_model);
  answer->finish = g_strdup("stop");
  g_autofree char *text = g_steal_pointer(&answer->text);
  if (take_text(ask, text))
    join(ask);
}

static void put_question(MnkAsk *ask) {
  switch (ask->whom) {
  case MNK_ASKED_OF_LOCAL:
    ask_local(ask);
    break;
  case MNK_ASKED_OF_BACKEND:
    ask_backend(ask);
    break;
  case MNK_ASKED_OF_TIMELINE:
    ask_timeline(ask);
    break;
  }
}

/* ---- What the store knows ---- */

/* The local model has no place for instructions of its own: they go before the captions. */
static char *log_of(const MnkAsk *ask) {
  g_autofree char *log = mnk_gathered_log(ask->gathered);
  if (ask->whom != MNK_ASKED_OF_LOCAL || *ask->system == '\0')
    return g_steal_pointer(&log);
  return g_strconcat("Instructions for the answer: ", ask->system, *log ? "\n" : "", log, NULL);
}

static void on_gathered(MnkGathered *gathered, const GError *error, gpointer user) {
  MnkAsk *ask = user;
  ask->job = NULL;
  if (error && ask->whom == MNK_ASKED_OF_TIMELINE) {
    fail(ask, g_error_copy(error));
    return;
  }
  if (error)
    mnk_warning("ask", ask->answer->stream, "event=no-log fault=\"%s\"", error->message);
  ask->gathered = gathered ? gathered : mnk_gathered_new();
  ask->answer->log_ms = (double)(g_get_monotonic_time() - ask->started_us) / 1000;
  ask->log = log_of(ask);
  put_question(ask);
}

static void gather(MnkAsk *ask) {
  static const MnkGatherLimits limits[] = {[MNK_ASKED_OF_TIMELINE] = {16, 1, 0, 0},
                                           [MNK_ASKED_OF_LOCAL] = {8, 4, 8, 0},
                                           [MNK_ASKED_OF_BACKEND] = {16, 12, 12, 0}};
  MnkGatherWish wish = {.stream = g_strdup(ask->answer->stream),
                        .question = g_strdup(ask->shown),
                        .history = (MnkHistory)mnk_settings_int(ask->settings, MNK_OPT_HISTORY),
                        .now_ms = ask->now_ms,
                        .limits = limits[ask->whom]};
  if (ask->whom == MNK_ASKED_OF_BACKEND)
    wish.limits.pictures = mnk_backend_images_max(ask->backend);
  ask->job = mnk_gather_start(ask->asker->store, &wish, on_gathered, ask);
}

/* ---- The beginning ---- */

static GArray *turns_of(MnkAsker *asker, const MnkAskRequest *request, GError **error) {
  if (!request->turns)
    return request->conversation ? mnk_talks_turns(asker->talks, request->conversation,
                                                   request->owner, request->stream, error)
                                 : mnk_talk_turns_new();
  guint most = (guint)mnk_settings_int(asker->settings, MNK_OPT_CONVERSATION_TURNS);
  GArray *turns = mnk_talk_turns_new();
  for (guint i = request->n_turns > most ? request->n_turns - most : 0; i < request->n_turns; i++) {
    MnkTurnOfTalk turn = {mnk_ask_harmless(request->turns[i].question),
                          mnk_ask_harmless(request->turns[i].answer)};
    g_array_append_val(turns, turn);
  }
  return turns;
}

static GArray *may_ask(MnkAsker *asker, const MnkAskRequest *request, GError **error) {
  guint most = (guint)mnk_settings_int(asker->settings, MNK_OPT_QUESTIONS_WAITING);
  if (!mnk_asker_may_ask(asker, request->question, error))
    return NULL;
  if (mnk_asker_waiting(asker) >= most) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "%u questions wait already, which is all that questions_waiting allows", most);
    return NULL;
  }
  return turns_of(asker, request, error);
}

static MnkAnswer *answer_new(const MnkAskRequest *request) {
  MnkAnswer *answer = g_new0(MnkAnswer, 1);
  answer->id = mnk_ask_new_id("a-");
  answer->stream = g_strdup(request->stream);
  answer->asked_ms = request->now_ms;
  answer->evidence = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_evidence_free);
  answer->router = g_strdup("");
  answer->model = g_strdup(request->memory && request->model ? request->model : "");
  return answer;
}

static void set_times(MnkAsk *ask) {
  gint64 patience_ms = mnk_settings_int(ask->settings, MNK_OPT_QUESTION_TIMEOUT);
  ask->started_us = g_get_monotonic_time();
  ask->deadline_us = ask->started_us + patience_ms * 1000;
  ask->deadline = mnk_ask_timer(patience_ms + GRACE_MS, on_deadline, ask);
}

MnkAsk *mnk_ask(MnkAsker *asker, const MnkAskRequest *request, const MnkAskEvents *events,
                gpointer user, GError **error) {
  GArray *turns = may_ask(asker, request, error);
  asker->counters.asked++;
  if (!turns) {
    asker->counters.refused++;
    mnk_measure_end("none", "refused");
    return NULL;
  }
  MnkAsk *ask = g_new0(MnkAsk, 1);
  ask->asker = asker;
  ask->turns = turns;
  ask->brought = request->turns != NULL;
  ask->whom = mnk_ask_whom(request);
  ask->memory = request->memory;
  ask->backend = request->backend;
  ask->shown = mnk_ask_plain(request->question);
  ask->question = mnk_ask_harmless(request->question);
  ask->owner = g_strdup(request->owner ? request->owner : "");
  ask->conversation = g_strdup(request->conversation);
  ask->system = mnk_ask_harmless(request->system);
  ask->settings = mnk_settings_copy(request->settings ? request->settings : asker->settings);
  ask->now_ms = request->now_ms;
  ask->over = request->over;
  ask->has_model = request->has_model;
  ask->events = *events;
  ask->user = user;
  ask->plain = mnk_plain_text_new(MNK_ASK_ANSWER_BYTES);
  ask->said = g_string_new(NULL);
  ask->answer = answer_new(request);
  ask->answer->question = g_strdup(ask->shown);
  ask->answer->backend = g_strdup(whom_name(ask));
  set_times(ask);
  g_queue_push_tail(&asker->asks, ask);
  gather(ask);
  return ask;
}
