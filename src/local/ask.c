/* Calls: what the worker is asked, from the asking to the answer.
 *
 * A call that is made before the worker is ready waits until it is, or until its deadline. One that
 * the worker had when it died ends with MNK_ERROR_WORKER. */
#include "local/client_priv.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static const gint64 GRACE_US = 15 * G_USEC_PER_SEC; /* beyond its deadline a worker must answer */

MnkCall *mnk_call_new(MnkLocal *local, MnkLocalStream *stream, MnkCallKind kind, gpointer user) {
  MnkCall *call = g_new0(MnkCall, 1);
  call->local = local;
  call->stream = stream;
  call->kind = kind;
  call->number = ++local->next_call;
  call->user = user;
  call->fd = -1;
  mnk_model_call_init(&call->what);
  call->what.number = call->number;
  g_hash_table_insert(local->calls, GUINT_TO_POINTER(call->number), call);
  return call;
}

static void call_free(MnkCall *call) {
  mnk_local_drop_source(&call->end_source);
  mnk_model_call_clear(&call->what);
  g_clear_pointer(&call->frames, g_ptr_array_unref);
  g_clear_error(&call->end_error);
  if (call->release != NULL)
    call->release(call->user);
  if (call->fd >= 0)
    close(call->fd);
  g_free(call);
}

/* The tower may have rested for its sake. */
static void take_out(MnkCall *call) {
  g_hash_table_remove(call->local->calls, GUINT_TO_POINTER(call->number));
  mnk_tower_kick(call->local->tower);
}

/* The last event; everything may be gone after it. */
static void end(MnkCall *call, const MnkModelAnswer *answer, const GError *error) {
  take_out(call);
  switch (call->kind) {
  case MNK_CALL_ASK:
    call->events.done(answer != NULL ? &answer->answer : NULL, error, call->user);
    break;
  case MNK_CALL_LIKELY:
    call->likely(answer != NULL ? answer->probability : NAN, answer != NULL ? answer->pts_ms : 0,
                 error, call->user);
    break;
  case MNK_CALL_CAPTION:
    call->caption(answer, error, call->user);
    break;
  case MNK_CALL_SAVE:
    call->saved(NULL, error, call->user);
    break;
  }
  call_free(call);
}

static gboolean on_end(gpointer user) {
  MnkCall *call = user;
  mnk_local_drop_source(&call->end_source);
  g_autoptr(GError) error = g_steal_pointer(&call->end_error);
  end(call, NULL, error);
  return G_SOURCE_REMOVE;
}

void mnk_call_fail(MnkCall *call, GError *error) {
  if (call->end_error != NULL) {
    g_error_free(error);
    return;
  }
  call->end_error = error;
  call->end_source = mnk_local_timer(call->local->context, 0, on_end, call);
}

static void post_cancel(const MnkCall *call) {
  g_autoptr(GString) text = g_string_new(NULL);
  if (!call->sent || call->stream == NULL || call->kind == MNK_CALL_SAVE)
    return;
  mnk_model_number_write(call->number, text);
  mnk_local_post(call->local, MNK_MSG_CANCEL, call->stream->number, text, -1);
}

void mnk_call_drop(MnkCall *call) {
  post_cancel(call);
  take_out(call);
  call_free(call);
}

/* ---- Sending ---- */

static void post_call(MnkCall *call) {
  static const MnkMessageType TYPES[] = {[MNK_CALL_ASK] = MNK_MSG_ASK,
                                         [MNK_CALL_LIKELY] = MNK_MSG_LIKELY,
                                         [MNK_CALL_CAPTION] = MNK_MSG_CAPTION,
                                         [MNK_CALL_SAVE] = MNK_MSG_SAVE};
  g_autoptr(GString) text = g_string_new(NULL);
  if (call->kind == MNK_CALL_SAVE)
    mnk_model_number_write(call->number, text);
  else
    mnk_model_call_write(&call->what, text);
  if (text->len > MNK_MESSAGE_MAX) {
    mnk_call_fail(call,
                  g_error_new(MNK_ERROR, MNK_ERROR_LIMIT,
                              "the question with all that belongs to it takes %" G_GSIZE_FORMAT
                              " bytes, more than %d",
                              text->len, MNK_MESSAGE_MAX));
    return;
  }
  call->sent = TRUE;
  mnk_local_post(call->local, TYPES[call->kind], call->stream->number, text,
                 call->fd >= 0 ? dup(call->fd) : -1);
}

static void send_call(MnkCall *call) {
  if (call->frames != NULL)
    mnk_tower_demand(call->local->tower, call->stream, call->frames);
  post_call(call);
}

void mnk_call_start(MnkCall *call) {
  MnkLocal *local = call->local;
  if (local->state == MNK_LOCAL_FAILED)
    mnk_call_fail(call, g_error_new_literal(MNK_ERROR, MNK_ERROR_MODEL, local->detail));
  else if (call->stream->opened)
    send_call(call);
}

/* Numbers of the calls of now, in the order in which they were made: a call that goes while others
 * are told is left out. */
static gint compare_numbers(gconstpointer a, gconstpointer b) {
  guint left = *(const guint *)a, right = *(const guint *)b;
  return (left > right) - (left < right);
}

static GArray *numbers(MnkLocal *local) {
  GArray *list = g_array_new(FALSE, FALSE, sizeof(guint));
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init(&iter, local->calls);
  while (g_hash_table_iter_next(&iter, &key, NULL)) {
    guint number = GPOINTER_TO_UINT(key);
    g_array_append_val(list, number);
  }
  g_array_sort(list, compare_numbers);
  return list;
}

static MnkCall *find(MnkLocal *local, guint number) {
  MnkCall *call = g_hash_table_lookup(local->calls, GUINT_TO_POINTER(number));
  return call != NULL && call->end_error == NULL ? call : NULL;
}

void mnk_calls_ready(MnkLocal *local, MnkLocalStream *stream) {
  g_autoptr(GArray) list = numbers(local);
  for (guint i = 0; i < list->len; i++) {
    MnkCall *call = find(local, g_array_index(list, guint, i));
    if (call != NULL && call->stream == stream && !call->sent)
      send_call(call);
  }
}

/* ---- Ends that are no answers ---- */

void mnk_calls_fail(MnkLocal *local, MnkLocalStream *stream, gboolean sent_only, GError *error) {
  g_autoptr(GError) own = error;
  g_autoptr(GArray) list = numbers(local);
  for (guint i = 0; i < list->len; i++) {
    guint number = g_array_index(list, guint, i);
    MnkCall *call = g_hash_table_lookup(local->calls, GUINT_TO_POINTER(number));
    if ((stream != NULL && call->stream != stream) || (sent_only && !call->sent))
      continue;
    if (stream != NULL) {
      post_cancel(call);
      call->stream = NULL;
    }
    mnk_call_fail(call, g_error_copy(own));
  }
}

gboolean mnk_calls_need_words(const MnkLocal *local) {
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, local->calls);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    if (((const MnkCall *)value)->kind != MNK_CALL_SAVE)
      return TRUE;
  return FALSE;
}

void mnk_calls_drop_all(MnkLocal *local) {
  g_autoptr(GArray) list = numbers(local);
  for (guint i = 0; i < list->len; i++)
    mnk_call_drop(
        g_hash_table_lookup(local->calls, GUINT_TO_POINTER(g_array_index(list, guint, i))));
}

void mnk_calls_tick(MnkLocal *local, gint64 now_us) {
  g_autoptr(GArray) list = numbers(local);
  for (guint i = 0; i < list->len; i++) {
    MnkCall *call = find(local, g_array_index(list, guint, i));
    if (call == NULL || call->deadline_us == 0 || now_us < call->deadline_us)
      continue;
    if (!call->sent) {
      mnk_call_fail(call,
                    g_error_new(MNK_ERROR, MNK_ERROR_CANCELLED,
                                "the model was not ready in time: %s", mnk_local_detail(local)));
    } else if (now_us > call->deadline_us + GRACE_US) {
      mnk_local_kill(local, "it does not answer");
      return;
    }
  }
}

/* ---- What the worker says ---- */

void mnk_calls_piece(MnkLocal *local, const MnkJsonValue *value) {
  const char *text = NULL;
  guint number = 0;
  if (!mnk_model_piece_read(value, &number, &text, NULL))
    return;
  MnkCall *call = find(local, number);
  if (call != NULL && call->kind == MNK_CALL_ASK && call->events.piece != NULL)
    call->events.piece(text, call->user);
}

void mnk_calls_answer(MnkLocal *local, const MnkJsonValue *value) {
  g_autoptr(GError) error = NULL;
  MnkModelAnswer answer;
  if (!mnk_model_answer_read(value, &answer, &error)) {
    mnk_local_kill(local, error->message);
    return;
  }
  MnkCall *call = find(local, answer.number);
  if (call != NULL && call->kind != MNK_CALL_SAVE)
    end(call, answer.error == NULL ? &answer : NULL, answer.error);
  mnk_model_answer_clear(&answer);
}

/* ---- Questions ---- */

static void copy_question(MnkModelCall *what, const MnkLocalQuestion *question) {
  what->question = g_strdup(question->question);
  what->log = g_strdup(question->log);
  what->lang = g_strdup(question->lang);
  what->router = question->router;
  what->topk = question->topk;
  what->recent = question->recent;
  what->tokens_max = question->tokens_max;
  what->visual_max = question->visual_max;
  what->history = question->history;
  what->margin = question->margin;
  what->temperature = question->temperature;
  what->seed = question->seed;
  what->deadline_us = question->deadline_us;
  guint skipped = question->n_turns - MIN(question->n_turns, MNK_CALL_TURNS_MAX);
  for (guint i = skipped; i < question->n_turns; i++)
    mnk_model_call_add_turn(what, question->turns[i].question, question->turns[i].answer);
}

void mnk_call_ask(MnkCall *call, const MnkLocalQuestion *question) {
  copy_question(&call->what, question);
  call->deadline_us = question->deadline_us;
  mnk_call_start(call);
}

MnkLocalAsk *mnk_local_ask(MnkLocalStream *stream, const MnkLocalQuestion *question,
                           const MnkLocalEvents *events, gpointer user) {
  MnkCall *call = mnk_call_new(stream->local, stream, MNK_CALL_ASK, user);
  call->events = *events;
  mnk_call_ask(call, question);
  return (MnkLocalAsk *)call;
}

void mnk_local_cancel(MnkLocalAsk *ask) {
  if (ask != NULL)
    mnk_call_drop((MnkCall *)ask);
}

MnkLocalAsk *mnk_local_likely(MnkLocalStream *stream, const char *question, const char *lang,
                              MnkLocalLikely done, gpointer user) {
  MnkCall *call = mnk_call_new(stream->local, stream, MNK_CALL_LIKELY, user);
  call->what.question = g_strdup(question);
  call->what.lang = g_strdup(lang);
  call->what.recent = (guint)mnk_settings_int(stream->settings, MNK_OPT_RECENT_FRAMES);
  call->what.deadline_us = call->deadline_us =
      g_get_monotonic_time() + mnk_settings_int(stream->settings, MNK_OPT_MODEL_PROBE) * 1000;
  call->likely = done;
  mnk_call_start(call);
  return (MnkLocalAsk *)call;
}
