#include "vlm/decoder_priv.h"

/* ---- Queue ---- */

MnkVlmQueue *mnk_vlm_queue_new(void) {
  MnkVlmQueue *queue = g_new0(MnkVlmQueue, 1);
  g_atomic_ref_count_init(&queue->refs);
  g_mutex_init(&queue->mutex);
  g_cond_init(&queue->changed);
  g_queue_init(&queue->incoming);
  return queue;
}

MnkVlmQueue *mnk_vlm_queue_ref(MnkVlmQueue *queue) {
  g_atomic_ref_count_inc(&queue->refs);
  return queue;
}

void mnk_vlm_queue_unref(MnkVlmQueue *queue) {
  if (!g_atomic_ref_count_dec(&queue->refs))
    return;
  g_mutex_clear(&queue->mutex);
  g_cond_clear(&queue->changed);
  g_free(queue);
}

void mnk_vlm_queue_take(MnkVlmQueue *queue, GPtrArray *jobs, gboolean wait) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&queue->mutex);
  while (wait && g_queue_is_empty(&queue->incoming) && !g_atomic_int_get(&queue->stop))
    g_cond_wait(&queue->changed, &queue->mutex);
  while (!g_queue_is_empty(&queue->incoming))
    g_ptr_array_add(jobs, g_queue_pop_head(&queue->incoming));
}

void mnk_vlm_queue_stop(MnkVlmQueue *queue) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&queue->mutex);
  queue->closed = TRUE;
  g_atomic_int_set(&queue->stop, TRUE);
  g_cond_broadcast(&queue->changed);
}

MnkVlmPriority mnk_vlm_queue_urgent(MnkVlmQueue *queue) {
  MnkVlmPriority priority = MNK_VLM_QUESTION;
  while (priority < MNK_VLM_PRIORITIES && g_atomic_int_get(&queue->jobs[priority]) == 0)
    priority++;
  return priority;
}

static gboolean put(MnkVlmQueue *queue, MnkVlmJob *job) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&queue->mutex);
  g_atomic_int_inc(&queue->jobs[job->priority]);
  if (queue->closed)
    return FALSE;
  g_queue_push_tail(&queue->incoming, mnk_vlm_job_ref(job));
  g_cond_broadcast(&queue->changed);
  return TRUE;
}

/* ---- Jobs ---- */

MnkVlmJob *mnk_vlm_job_ref(MnkVlmJob *job) {
  g_atomic_ref_count_inc(&job->refs);
  return job;
}

void mnk_vlm_job_unref(MnkVlmJob *job) {
  if (!job || !g_atomic_ref_count_dec(&job->refs))
    return;
  g_clear_pointer(&job->prompt, mnk_vlm_prompt_free);
  mnk_vlm_sampler_free(job->sampler);
  g_clear_pointer(&job->choices, g_array_unref);
  g_strfreev(job->choice_texts);
  g_clear_error(&job->error);
  g_clear_pointer(&job->said, g_array_unref);
  mnk_vlm_text_clear(&job->text);
  mnk_vlm_answer_clear(&job->answer);
  mnk_vlm_queue_unref(job->queue);
  g_free(job);
}

void mnk_vlm_cancel(MnkVlmJob *job) {
  if (!job)
    return;
  g_atomic_int_set(&job->cancelled, TRUE);
}

gboolean mnk_vlm_job_is_unwanted(MnkVlmJob *job, GError **why) {
  const char *what = NULL;
  if (g_atomic_int_get(&job->queue->stop))
    what = "the model is being closed";
  else if (g_atomic_int_get(&job->cancelled))
    what = "the answer is not wanted any more";
  else if (job->deadline_us > 0 && g_get_monotonic_time() >= job->deadline_us)
    what = "the answer did not come in the time that was given";
  if (what && why)
    g_set_error_literal(why, MNK_ERROR, MNK_ERROR_CANCELLED, what);
  return what != NULL;
}

void mnk_vlm_job_done(MnkVlmJob *job, GError *error) {
  g_autoptr(GError) owned = error;
  g_atomic_int_add(&job->queue->jobs[job->priority], -1);
  job->events.done(owned ? NULL : &job->answer, owned, job->user);
}

/* What the decoder needs of a request. */
static gboolean prepare(MnkVlmJob *job, const MnkVlm *vlm, const MnkVlmRequest *request,
                        GError **error) {
  if (request->priority >= MNK_VLM_PRIORITIES) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_INTERNAL, "a request has no known priority");
    return FALSE;
  }
  if (request->choices) {
    job->choice_texts = g_strdupv((char **)request->choices);
    if (!(job->choices = mnk_vlm_choices(vlm, request->choices, error)))
      return FALSE;
  } else if (!(job->sampler = mnk_vlm_sampler_new(vlm, request, error))) {
    return FALSE;
  }
  job->prompt = mnk_vlm_prompt_new(vlm, request, error);
  return job->prompt != NULL;
}

static MnkVlmJob *job_new(MnkVlm *vlm, const MnkVlmRequest *request, const MnkVlmEvents *events,
                          gpointer user) {
  MnkVlmJob *job = g_new0(MnkVlmJob, 1);
  g_atomic_ref_count_init(&job->refs);
  job->queue = mnk_vlm_queue_ref(vlm->decoder->queue);
  job->priority = MIN(request->priority, MNK_VLM_CAPTION);
  job->tokens_max = request->choices ? 1 : MAX(request->tokens_max, 1);
  job->deadline_us = request->deadline_us;
  job->submitted_us = g_get_monotonic_time();
  job->events = *events;
  job->user = user;
  job->sequence = MNK_VLM_NO_SEQUENCE;
  job->said = g_array_new(FALSE, FALSE, sizeof(llama_token));
  mnk_vlm_text_init(&job->text, request->stop);
  return job;
}

MnkVlmJob *mnk_vlm_submit(MnkVlm *vlm, const MnkVlmRequest *request, const MnkVlmEvents *events,
                          gpointer user) {
  MnkVlmJob *job = job_new(vlm, request, events, user);
  if (!prepare(job, vlm, request, &job->error))
    g_assert(job->error);
  if (!put(job->queue, job)) {
    GError *error = NULL;
    mnk_vlm_job_is_unwanted(job, &error);
    mnk_vlm_job_done(job, error);
  }
  return job;
}

guint mnk_vlm_waiting(const MnkVlm *vlm, MnkVlmPriority priority) {
  return (guint)g_atomic_int_get(&vlm->decoder->queue->jobs[priority]);
}
