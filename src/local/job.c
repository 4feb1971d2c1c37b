/* Jobs: calls of the server, from their message to their answer. */
#include "local/worker_priv.h"

MnkModelJob *mnk_job_new(MnkModelOffice *office, MnkMessageType type, guint32 stream,
                         MnkModelCall *call, MnkModelMemory *memory) {
  MnkModelJob *job = g_new0(MnkModelJob, 1);
  job->refs = 2; /* the office's and the caller's */
  job->office = office;
  job->type = type;
  job->stream = stream;
  job->call = *call;
  *call = (MnkModelCall){0};
  job->memory = mnk_model_memory_ref(memory);
  job->asked_us = g_get_monotonic_time();
  mnk_model_answer_init(&job->answer);
  job->answer.number = job->call.number;
  g_mutex_lock(&office->lock);
  g_hash_table_insert(office->jobs, GUINT_TO_POINTER(job->call.number), job);
  g_mutex_unlock(&office->lock);
  return job;
}

void mnk_job_unref(MnkModelJob *job) {
  if (!g_atomic_int_dec_and_test(&job->refs))
    return;
  if (job->running != NULL)
    mnk_vlm_job_unref(job->running);
  mnk_model_call_clear(&job->call);
  mnk_model_answer_clear(&job->answer);
  mnk_model_memory_unref(job->memory);
  g_free(job);
}

static double since_ms(gint64 start_us) {
  return (double)(g_get_monotonic_time() - start_us) / 1000;
}

static void count(const MnkModelJob *job) {
  const MnkLocalAnswer *answer = &job->answer.answer;
  mnk_office_count(job->office, &(MnkLocalCounters){
                                    .captions = job->type == MNK_MSG_CAPTION,
                                    .questions = job->type == MNK_MSG_ASK,
                                    .watches = job->type == MNK_MSG_LIKELY,
                                    .failed = job->answer.error != NULL,
                                    .prompt_tokens = answer->prompt_tokens,
                                    .visual_tokens = answer->visual_tokens,
                                    .cached_tokens = answer->cached_tokens,
                                    .answer_tokens = answer->answer_tokens,
                                    .route_ms = answer->route_ms,
                                    .prompt_ms = answer->prompt_ms,
                                    .answer_ms = answer->answer_ms,
                                });
}

/* The last that is heard of the job. */
static void tell_answer(MnkModelJob *job) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkModelOffice *office = job->office;
  count(job);
  mnk_model_answer_write(&job->answer, text);
  if (text->len > MNK_MESSAGE_MAX) {
    g_set_error(&job->answer.error, MNK_ERROR, MNK_ERROR_LIMIT, "the answer is too long");
    g_string_truncate(text, 0);
    mnk_model_answer_write(&job->answer, text);
  }
  g_mutex_lock(&office->lock);
  g_hash_table_remove(office->jobs, GUINT_TO_POINTER(job->call.number));
  g_mutex_unlock(&office->lock);
  mnk_channel_send(office->channel, MNK_MSG_ANSWER, job->stream, text->str, text->len, -1, -1,
                   NULL);
  mnk_job_unref(job);
}

void mnk_job_cancel(MnkModelOffice *office, guint number) {
  g_mutex_lock(&office->lock);
  MnkModelJob *job = g_hash_table_lookup(office->jobs, GUINT_TO_POINTER(number));
  MnkModelJob *held = NULL;
  if (job != NULL) {
    job->cancelled = TRUE;
    if (job->running != NULL) {
      held = job;
      g_atomic_int_inc(&held->refs);
    }
  }
  g_mutex_unlock(&office->lock);
  if (held != NULL) {
    mnk_vlm_cancel(held->running);
    mnk_job_unref(held);
  }
}

/* ---- Thinking ---- */

void mnk_job_think(MnkModelJob *job) {
  g_autoptr(GError) error = NULL;
  gboolean ok = FALSE;
  if (job->type == MNK_MSG_ASK)
    ok = mnk_question_think(job, &error);
  else if (job->type == MNK_MSG_LIKELY)
    ok = mnk_likely_think(job, &error);
  else
    ok = mnk_caption_think(job, &error);
  if (!ok) {
    job->answer.error = g_steal_pointer(&error);
    tell_answer(job);
  }
  mnk_job_unref(job);
}

/* ---- With the model ---- */

static void on_piece(const char *text, gpointer user) {
  MnkModelJob *job = user;
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_model_piece_write(job->call.number, text, out);
  mnk_channel_send(job->office->channel, MNK_MSG_PIECE, job->stream, out->str, out->len, -1, -1,
                   NULL);
}

static void take_answer(MnkModelJob *job, const MnkVlmAnswer *answer) {
  MnkLocalAnswer *out = &job->answer.answer;
  gboolean cut = answer->finish == MNK_VLM_TOKENS_MAX;
  gboolean caption = job->type == MNK_MSG_CAPTION;
  out->text = cut && caption ? mnk_caption_mend(answer->text) : g_strdup(answer->text);
  if (caption && out->text != NULL)
    mnk_caption_order(out->text);
  out->finish = g_strdup(cut ? "length" : "stop");
  out->prompt_tokens = answer->prompt_tokens;
  out->visual_tokens = answer->visual_tokens;
  out->cached_tokens = answer->cached_tokens;
  out->answer_tokens = answer->answer_tokens;
  out->wait_ms += answer->wait_ms;
  out->prompt_ms = answer->prompt_ms;
  out->answer_ms = answer->answer_ms;
  out->first_ms += answer->first_ms;
  if (job->type == MNK_MSG_LIKELY)
    job->answer.probability = answer->choices[0];
  if (cut && caption && out->text == NULL)
    g_set_error(&job->answer.error, MNK_ERROR, MNK_ERROR_LIMIT,
                "the answer was cut before its first event was whole");
  mnk_office_count(job->office, &(MnkLocalCounters){.interrupted = answer->interrupted});
}

static void on_done(const MnkVlmAnswer *answer, const GError *error, gpointer user) {
  MnkModelJob *job = user;
  if (error != NULL)
    job->answer.error = g_error_copy(error);
  else
    take_answer(job, answer);
  tell_answer(job);
  mnk_job_unref(job);
}

gboolean mnk_job_submit(MnkModelJob *job, const MnkVlmRequest *request, GError **error) {
  const MnkVlmEvents events = {job->type == MNK_MSG_ASK ? on_piece : NULL, on_done};
  MnkModelOffice *office = job->office;
  /* what came before the model: the first word is counted from when the question came */
  job->answer.answer.first_ms = since_ms(job->asked_us);
  g_mutex_lock(&office->lock);
  gboolean cancelled = job->cancelled;
  g_mutex_unlock(&office->lock);
  if (cancelled) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CANCELLED, "it was taken back");
    return FALSE;
  }
  g_atomic_int_inc(&job->refs);
  MnkVlmJob *running = mnk_vlm_submit(office->vlm, request, &events, job);
  g_mutex_lock(&office->lock);
  job->running = running;
  cancelled = job->cancelled;
  g_mutex_unlock(&office->lock);
  if (cancelled)
    mnk_vlm_cancel(running);
  return TRUE;
}
