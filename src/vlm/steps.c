/* What the decoder computes at one go. */
#include <string.h>

#include "vlm/decoder_priv.h"

enum { PIECE_BYTES = 512, ABORTED = 2, NO_ROOM = 1 };

/* ---- Jobs leave ---- */

static void leave(MnkVlmDecoder *decoder, MnkVlmJob *job) {
  if (job->sequence == MNK_VLM_NO_SEQUENCE)
    return;
  llama_memory_seq_rm(decoder->memory, job->sequence, -1, -1);
  decoder->taken &= ~(G_GUINT64_CONSTANT(1) << job->sequence);
  job->sequence = MNK_VLM_NO_SEQUENCE;
  job->shares = 0;
}

static double ms_since(gint64 from_us, gint64 to_us) {
  return (double)(to_us - from_us) / 1000;
}

static void tell(MnkVlmJob *job, gboolean last) {
  g_autofree char *piece = mnk_vlm_text_tell(&job->text, last);
  if (piece && job->events.piece)
    job->events.piece(piece, job->user);
}

void mnk_vlm_finish(MnkVlmDecoder *decoder, MnkVlmJob *job, GError *error) {
  gint64 now = g_get_monotonic_time();
  leave(decoder, job);
  mnk_vlm_job_ref(job);
  g_ptr_array_remove(decoder->waiting, job);
  g_ptr_array_remove(decoder->held, job);
  if (!error)
    tell(job, TRUE);
  if (!job->answer.text)
    job->answer.text = g_strdup(job->text.text->str);
  job->answer.answer_tokens = job->said->len;
  job->answer.wait_ms = ms_since(job->submitted_us, job->started_us);
  if (job->first_us > 0) {
    job->answer.first_ms = ms_since(job->submitted_us, job->first_us);
    job->answer.answer_ms = ms_since(job->first_us, now);
  }
  mnk_vlm_job_done(job, error);
  mnk_vlm_job_unref(job);
}

void mnk_vlm_suspend(MnkVlmDecoder *decoder, MnkVlmJob *job) {
  leave(decoder, job);
  guint more = job->said->len - job->appended;
  if (more > 0)
    mnk_vlm_prompt_append(decoder->vlm, job->prompt,
                          &g_array_index(job->said, llama_token, job->appended), more);
  job->appended = job->said->len;
  job->answering = FALSE;
  guint index;
  g_ptr_array_find(decoder->held, job, &index);
  g_ptr_array_insert(decoder->waiting, 0, g_ptr_array_steal_index(decoder->held, index));
}

static void fail(MnkVlmDecoder *decoder, MnkVlmJob *job, const char *what, const char *why) {
  mnk_vlm_finish(decoder, job, g_error_new(MNK_ERROR, MNK_ERROR_INTERNAL, "%s%s", what, why));
}

/* As the library's call. *why: what it says went wrong, for fail; caller frees. */
static int decode(MnkVlmDecoder *decoder, struct llama_batch batch, char **why) {
  mnk_vlm_log_capture();
  int rc = llama_decode(decoder->context, batch);
  *why = mnk_vlm_log_captured();
  if (rc == ABORTED) {
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&decoder->seen_mutex);
    decoder->given_up++;
  }
  return rc;
}

/* ---- Words of the answer ---- */

/* TRUE: the answer goes on. */
static gboolean say(MnkVlmDecoder *decoder, MnkVlmJob *job, llama_token word) {
  char piece[PIECE_BYTES];
  g_array_append_val(job->said, word);
  int n = llama_token_to_piece(decoder->vlm->vocab, word, piece, sizeof piece, 0, false);
  gboolean stop = mnk_vlm_text_add(&job->text, piece, (gsize)MAX(n, 0));
  gboolean full = job->said->len >= job->tokens_max;
  job->answer.finish = stop ? MNK_VLM_STOP : MNK_VLM_TOKENS_MAX;
  if (stop || full) {
    mnk_vlm_finish(decoder, job, NULL);
    return FALSE;
  }
  tell(job, FALSE);
  return TRUE;
}

static void choose(MnkVlmDecoder *decoder, MnkVlmJob *job, const float *scores) {
  GError *error = NULL;
  guint best = 0;
  if (mnk_vlm_choose(scores, job->choices, job->answer.choices, &error)) {
    for (guint i = 1; i < job->choices->len; i++)
      if (job->answer.choices[i] > job->answer.choices[best])
        best = i;
    job->answer.text = g_strdup(job->choice_texts[best]);
  }
  mnk_vlm_finish(decoder, job, error);
}

/* The scores of what follows the row of the last batch. */
static void answer_on(MnkVlmDecoder *decoder, MnkVlmJob *job, guint row) {
  const float *scores = llama_get_logits_ith(decoder->context, (int32_t)row);
  GError *error = NULL;
  llama_token word;
  if (!scores) {
    fail(decoder, job, "the model gave no scores", "");
    return;
  }
  if (job->first_us == 0)
    job->first_us = g_get_monotonic_time();
  if (job->choices) {
    choose(decoder, job, scores);
  } else if (!mnk_vlm_sampler_next(job->sampler, scores, decoder->scratch, &word, &error)) {
    mnk_vlm_finish(decoder, job, error);
  } else if (llama_vocab_is_eog(decoder->vlm->vocab, word)) {
    job->answer.finish = MNK_VLM_END;
    mnk_vlm_finish(decoder, job, NULL);
  } else if (say(decoder, job, word)) {
    job->last = word;
    job->answering = TRUE;
  }
}

/* ---- Prompts ---- */

static void put_place(MnkVlmDecoder *decoder, guint i, guint n, llama_seq_id sequence) {
  struct llama_batch *batch = &decoder->batch;
  batch->n_seq_id[i] = 1;
  batch->seq_id[i][0] = sequence;
  batch->logits[i] = 0;
  batch->n_tokens = (int32_t)n;
}

static struct llama_batch word_batch(MnkVlmDecoder *decoder, const MnkVlmJob *job,
                                     const MnkVlmChunk *chunk) {
  for (guint i = 0; i < chunk->n; i++) {
    put_place(decoder, i, chunk->n, job->sequence);
    decoder->batch.token[i] = g_array_index(job->prompt->ids, llama_token, chunk->first + i);
    decoder->batch.pos[i] = chunk->position + (gint32)i;
  }
  return decoder->batch;
}

/* Positions of a model with three are all times, then all rows, then all columns, then zeros. */
static struct llama_batch token_batch(MnkVlmDecoder *decoder, const MnkVlmJob *job,
                                      const MnkVlmChunk *chunk) {
  const MnkVlm *vlm = decoder->vlm;
  mnk_tokens_read(chunk->tokens, chunk->first, chunk->n, decoder->rows);
  for (guint i = 0; i < chunk->n; i++) {
    put_place(decoder, i, chunk->n, job->sequence);
    decoder->positions[i] = chunk->position + (gint32)i;
    if (!vlm->m_rope)
      continue;
    MnkVlmPlace place = g_array_index(job->prompt->places, MnkVlmPlace, chunk->places + i);
    decoder->positions[i] = place.time;
    decoder->positions[chunk->n + i] = place.row;
    decoder->positions[2 * chunk->n + i] = place.column;
    decoder->positions[3 * chunk->n + i] = 0;
  }
  struct llama_batch batch = decoder->batch;
  batch.token = NULL;
  batch.embd = decoder->rows;
  batch.pos = decoder->positions;
  return batch;
}

static int evaluate(MnkVlmDecoder *decoder, MnkVlmJob *job, const MnkVlmChunk *chunk, gboolean last,
                    char **why) {
  struct llama_batch batch =
      chunk->tokens ? token_batch(decoder, job, chunk) : word_batch(decoder, job, chunk);
  batch.logits[chunk->n - 1] = last;
  gboolean block = chunk->tokens && decoder->vlm->non_causal;
  gint64 from = g_get_monotonic_time();
  decoder->prompting = job;
  if (block)
    llama_set_causal_attn(decoder->context, false);
  int rc = decode(decoder, batch, why);
  if (block)
    llama_set_causal_attn(decoder->context, true);
  decoder->prompting = NULL;
  job->answer.prompt_ms += ms_since(from, g_get_monotonic_time());
  return rc;
}

/* The library found no cells although they were counted: others make way. */
static void make_way(MnkVlmDecoder *decoder, MnkVlmJob *job) {
  if (mnk_vlm_prefix_drop(&decoder->prefixes, 0))
    return;
  for (guint i = decoder->held->len; i-- > 0;) {
    MnkVlmJob *other = g_ptr_array_index(decoder->held, i);
    if (other != job) {
      mnk_vlm_suspend(decoder, other);
      return;
    }
  }
  mnk_vlm_finish(decoder, job,
                 g_error_new_literal(MNK_ERROR, MNK_ERROR_LIMIT,
                                     "the question does not fit in the model's context"));
}

static void keep_beginning(MnkVlmDecoder *decoder, MnkVlmJob *job) {
  const GArray *marks = job->prompt->marks;
  for (guint i = 0; i < marks->len; i++) {
    const MnkVlmMark *mark = &g_array_index(marks, MnkVlmMark, i);
    /* of several parts that end here, one stands for all */
    if (mark->chunk == job->chunk && mark->items > 0) {
      mnk_vlm_prefix_keep(&decoder->prefixes, job, mark);
      return;
    }
  }
}

static void see(MnkVlmDecoder *decoder, guint n, const float *scores) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&decoder->seen_mutex);
  decoder->evaluated += n;
  if (!scores || !decoder->vlm->config.logits_all)
    return;
  g_free(decoder->seen);
  decoder->seen =
      g_memdup2(scores, (gsize)llama_vocab_n_tokens(decoder->vlm->vocab) * sizeof *decoder->seen);
}

void mnk_vlm_step_prompt(MnkVlmDecoder *decoder, MnkVlmJob *job) {
  const MnkVlmChunk *chunk = &g_array_index(job->prompt->chunks, MnkVlmChunk, job->chunk);
  gboolean last = job->chunk + 1 == job->prompt->chunks->len;
  guint n = chunk->n;
  g_autofree char *why = NULL;
  int rc = evaluate(decoder, job, chunk, last, &why);
  if (rc == ABORTED) {
    job->chunk = chunk->restart;
    chunk = &g_array_index(job->prompt->chunks, MnkVlmChunk, job->chunk);
    llama_memory_seq_rm(decoder->memory, job->sequence, chunk->position, -1);
  } else if (rc == NO_ROOM) {
    make_way(decoder, job);
  } else if (rc != 0) {
    fail(decoder, job, "the model cannot evaluate the question", why);
  } else {
    job->chunk++;
    see(decoder, n, last ? llama_get_logits_ith(decoder->context, (int32_t)n - 1) : NULL);
    keep_beginning(decoder, job);
    if (last)
      answer_on(decoder, job, n - 1);
  }
}

/* ---- Answers ---- */

static void put_word(MnkVlmDecoder *decoder, const MnkVlmJob *job, guint i, guint n) {
  put_place(decoder, i, n, job->sequence);
  decoder->batch.token[i] = job->last;
  decoder->batch.pos[i] = job->prompt->next + (gint32)(job->said->len - 1 - job->appended);
  decoder->batch.logits[i] = 1;
}

void mnk_vlm_step_answers(MnkVlmDecoder *decoder, MnkVlmPriority priority) {
  g_autoptr(GPtrArray) jobs = g_ptr_array_new();
  for (guint i = 0; i < decoder->held->len; i++) {
    MnkVlmJob *job = g_ptr_array_index(decoder->held, i);
    if (job->priority == priority && job->answering)
      g_ptr_array_add(jobs, job);
  }
  if (jobs->len == 0)
    return;
  for (guint i = 0; i < jobs->len; i++)
    put_word(decoder, g_ptr_array_index(jobs, i), i, jobs->len);
  g_autofree char *why = NULL;
  int rc = decode(decoder, decoder->batch, &why);
  if (rc == NO_ROOM)
    make_way(decoder, g_ptr_array_index(jobs, 0));
  /* given up: the library has forgotten the words, which come again */
  if (rc == ABORTED || rc == NO_ROOM)
    return;
  for (guint i = 0; i < jobs->len; i++) {
    if (rc == 0)
      answer_on(decoder, g_ptr_array_index(jobs, i), i);
    else
      fail(decoder, g_ptr_array_index(jobs, i), "the model cannot go on with the answer", why);
  }
}
