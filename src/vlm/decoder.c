#include "vlm/decoder_priv.h"

#include "vlm/vlm_priv.h"

/* ---- Room in the context ---- */

/* What a job may come to need besides what is kept of its beginning. */
static guint cells_of(const MnkVlmDecoder *decoder, const MnkVlmJob *job) {
  guint shared = job->shares ? mnk_vlm_prefix_items(&decoder->prefixes, job->shares) : 0;
  return job->cells - MIN(shared, job->cells);
}

static guint cells_taken(const MnkVlmDecoder *decoder) {
  guint taken = mnk_vlm_prefix_items(&decoder->prefixes, 0);
  for (guint i = 0; i < decoder->held->len; i++)
    taken += cells_of(decoder, g_ptr_array_index(decoder->held, i));
  return taken;
}

/* The last one of the least urgent that came into a sequence; NULL: none is less urgent. */
static MnkVlmJob *least_urgent(const MnkVlmDecoder *decoder, MnkVlmPriority than) {
  MnkVlmJob *found = NULL;
  for (guint i = 0; i < decoder->held->len; i++) {
    MnkVlmJob *job = g_ptr_array_index(decoder->held, i);
    if (job->priority > than && (!found || job->priority >= found->priority))
      found = job;
  }
  return found;
}

static llama_seq_id free_sequence(const MnkVlmDecoder *decoder) {
  for (guint i = 0; i < decoder->vlm->config.sequences; i++)
    if ((decoder->taken & (G_GUINT64_CONSTANT(1) << i)) == 0)
      return (llama_seq_id)i;
  return MNK_VLM_NO_SEQUENCE;
}

/* Kept beginnings go first, then jobs that are less urgent. */
static gboolean make_room(MnkVlmDecoder *decoder, const MnkVlmJob *job) {
  for (;;) {
    gboolean fits = cells_taken(decoder) + cells_of(decoder, job) <= decoder->cells;
    if (fits && free_sequence(decoder) != MNK_VLM_NO_SEQUENCE)
      return TRUE;
    if (!fits && mnk_vlm_prefix_drop(&decoder->prefixes, job->shares))
      continue;
    MnkVlmJob *other = least_urgent(decoder, job->priority);
    if (other)
      mnk_vlm_suspend(decoder, other);
    else if (fits || !mnk_vlm_prefix_drop(&decoder->prefixes, 0))
      return FALSE;
  }
}

static void admit(MnkVlmDecoder *decoder, MnkVlmJob *job) {
  job->sequence = free_sequence(decoder);
  decoder->taken |= G_GUINT64_CONSTANT(1) << job->sequence;
  job->chunk = 0;
  job->shares = 0;
  if (job->started_us == 0)
    job->started_us = g_get_monotonic_time();
  mnk_vlm_prefix_use(&decoder->prefixes, job);
  guint index;
  g_ptr_array_find(decoder->waiting, job, &index);
  g_ptr_array_add(decoder->held, g_ptr_array_steal_index(decoder->waiting, index));
}

static void admit_all(MnkVlmDecoder *decoder, MnkVlmPriority priority) {
  for (guint i = 0; i < decoder->waiting->len;) {
    MnkVlmJob *job = g_ptr_array_index(decoder->waiting, i);
    if (job->priority != priority)
      i++;
    else if (make_room(decoder, job))
      admit(decoder, job);
    else
      return;
  }
}

/* ---- The loop ---- */

static gboolean too_long(const MnkVlmDecoder *decoder, const MnkVlmJob *job, GError **error) {
  guint most = decoder->cells;
  if (decoder->vlm->files.context_max > 0)
    most = MIN(most, decoder->vlm->files.context_max);
  if (job->prompt->items + job->tokens_max <= most)
    return FALSE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
              "the question takes %u tokens and its answer up to %u, more than the %u of the "
              "model's context",
              job->prompt->items, job->tokens_max, most);
  return TRUE;
}

/* Jobs that came: those that cannot be are done at once. */
static void receive(MnkVlmDecoder *decoder) {
  g_autoptr(GPtrArray) fresh = g_ptr_array_new();
  mnk_vlm_queue_take(decoder->queue, fresh, decoder->waiting->len + decoder->held->len == 0);
  for (guint i = 0; i < fresh->len; i++) {
    MnkVlmJob *job = g_ptr_array_index(fresh, i);
    g_ptr_array_add(decoder->waiting, job);
    GError *error = g_steal_pointer(&job->error);
    if (error || too_long(decoder, job, &error)) {
      mnk_vlm_finish(decoder, job, error);
      continue;
    }
    job->cells = job->prompt->items + job->tokens_max;
    job->answer.prompt_tokens = job->prompt->items;
    job->answer.visual_tokens = job->prompt->visual;
  }
}

static void sweep(MnkVlmDecoder *decoder, GPtrArray *jobs) {
  for (guint i = jobs->len; i-- > 0;) {
    GError *why = NULL;
    if (mnk_vlm_job_is_unwanted(g_ptr_array_index(jobs, i), &why))
      mnk_vlm_finish(decoder, g_ptr_array_index(jobs, i), why);
  }
}

static MnkVlmPriority most_urgent(const GPtrArray *jobs, MnkVlmPriority priority) {
  for (guint i = 0; i < jobs->len; i++)
    priority = MIN(priority, ((MnkVlmJob *)g_ptr_array_index(jobs, i))->priority);
  return priority;
}

static void note_interruption(MnkVlmDecoder *decoder, MnkVlmPriority next) {
  for (guint i = 0; i < decoder->held->len && next < decoder->running; i++) {
    MnkVlmJob *job = g_ptr_array_index(decoder->held, i);
    if (job->priority == decoder->running)
      job->answer.interrupted++;
  }
}

static MnkVlmJob *next_prompt(const MnkVlmDecoder *decoder, MnkVlmPriority priority) {
  for (guint i = 0; i < decoder->held->len; i++) {
    MnkVlmJob *job = g_ptr_array_index(decoder->held, i);
    if (job->priority == priority && !job->answering)
      return job;
  }
  return NULL;
}

static gpointer run(gpointer user) {
  MnkVlmDecoder *decoder = user;
  while (!g_atomic_int_get(&decoder->queue->stop)) {
    receive(decoder);
    sweep(decoder, decoder->waiting);
    sweep(decoder, decoder->held);
    MnkVlmPriority priority =
        most_urgent(decoder->waiting, most_urgent(decoder->held, MNK_VLM_PRIORITIES));
    if (priority == MNK_VLM_PRIORITIES)
      continue;
    note_interruption(decoder, priority);
    decoder->running = priority;
    admit_all(decoder, priority);
    MnkVlmJob *job = next_prompt(decoder, priority);
    if (job)
      mnk_vlm_step_prompt(decoder, job);
    mnk_vlm_step_answers(decoder, priority);
  }
  receive(decoder);
  sweep(decoder, decoder->waiting);
  sweep(decoder, decoder->held);
  return NULL;
}

/* ---- Loading ---- */

/* Asked by the library between its steps: whether to give up what it computes. */
static bool on_step(void *user) {
  MnkVlmDecoder *decoder = user;
  if (g_atomic_int_get(&decoder->queue->stop) ||
      mnk_vlm_queue_urgent(decoder->queue) < decoder->running)
    return true;
  return decoder->prompting && mnk_vlm_job_is_unwanted(decoder->prompting, NULL);
}

static struct llama_context_params context_params(MnkVlmDecoder *decoder) {
  const MnkVlm *vlm = decoder->vlm;
  struct llama_context_params params = llama_context_default_params();
  params.n_ctx = vlm->config.context;
  params.n_batch = params.n_ubatch = MAX(vlm->token_batch, vlm->config.sequences);
  params.n_seq_max = vlm->config.sequences + MNK_VLM_PREFIXES;
  params.n_outputs_max = params.n_seq_max; /* scores of so many words at once */
  params.n_threads = vlm->config.threads;
  params.n_threads_batch = vlm->config.threads_batch;
  params.abort_callback = on_step;
  params.abort_callback_data = decoder;
  params.offload_kqv = params.op_offload = vlm->config.gpu;
  params.no_perf = true;
  /* sequences are cut back and copied, which a window that has moved on does not allow */
  params.swa_full = true;
  params.kv_unified = true;
  if (vlm->config.logits_all) {
    params.type_k = params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  }
  return params;
}

gboolean mnk_vlm_decoder_load(MnkVlm *vlm, GError **error) {
  MnkVlmDecoder *decoder = vlm->decoder = g_new0(MnkVlmDecoder, 1);
  decoder->vlm = vlm;
  decoder->queue = mnk_vlm_queue_new();
  decoder->waiting = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_vlm_job_unref);
  decoder->held = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_vlm_job_unref);
  decoder->running = MNK_VLM_PRIORITIES;
  g_mutex_init(&decoder->seen_mutex);
  vlm->word_batch = vlm->token_batch = vlm->config.micro_batch;
  if (vlm->non_causal) /* a picture is seen as one block */
    vlm->token_batch = MAX(vlm->token_batch, mnk_vlm_frame_tokens(vlm));
  mnk_vlm_log_capture();
  decoder->context = llama_init_from_model(vlm->model, context_params(decoder));
  g_autofree char *why = mnk_vlm_log_captured();
  if (!decoder->context) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "there is no room for a context of %u tokens%s",
                vlm->config.context, why);
    return FALSE;
  }
  decoder->memory = llama_get_memory(decoder->context);
  decoder->cells = llama_n_ctx(decoder->context);
  decoder->prefixes = (MnkVlmPrefixes){
      .context = decoder->context,
      .first = (llama_seq_id)vlm->config.sequences,
  };
  guint most = MAX(vlm->token_batch, vlm->config.sequences);
  decoder->batch = llama_batch_init((int32_t)most, 0, 1);
  decoder->rows = g_new(float, (gsize)vlm->token_batch * vlm->files.dim);
  decoder->positions = g_new0(llama_pos, (gsize)vlm->token_batch * 4);
  decoder->scratch = g_new(llama_token_data, llama_vocab_n_tokens(vlm->vocab));
  decoder->thread = g_thread_new("vlm-decoder", run, decoder);
  return TRUE;
}

void mnk_vlm_decoder_free(MnkVlmDecoder *decoder) {
  if (!decoder)
    return;
  mnk_vlm_queue_stop(decoder->queue);
  if (decoder->thread)
    g_thread_join(decoder->thread);
  if (decoder->context) {
    llama_batch_free(decoder->batch);
    llama_free(decoder->context);
  }
  g_ptr_array_unref(decoder->waiting);
  g_ptr_array_unref(decoder->held);
  g_free(decoder->rows);
  g_free(decoder->positions);
  g_free(decoder->scratch);
  g_free(decoder->seen);
  g_mutex_clear(&decoder->seen_mutex);
  mnk_vlm_queue_unref(decoder->queue);
  g_free(decoder);
}

/* ---- For tests ---- */

float *mnk_vlm_last_logits(MnkVlm *vlm, guint *n) {
  MnkVlmDecoder *decoder = vlm->decoder;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&decoder->seen_mutex);
  *n = (guint)llama_vocab_n_tokens(vlm->vocab);
  return decoder->seen ? g_memdup2(decoder->seen, *n * sizeof *decoder->seen) : NULL;
}

guint64 mnk_vlm_evaluated(MnkVlm *vlm) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&vlm->decoder->seen_mutex);
  return vlm->decoder->evaluated;
}

guint64 mnk_vlm_given_up(MnkVlm *vlm) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&vlm->decoder->seen_mutex);
  return vlm->decoder->given_up;
}
