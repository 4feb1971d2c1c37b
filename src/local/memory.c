/* Memory: what is remembered of one stream. */
#include "local/worker_priv.h"

enum {
  TOKEN_MEMORY_MAX = 512,
  TOKEN_MEMORY_ITERATIONS = 2,
  DROP_REFRESH = 16,
  DROP_WINDOW = 32,
};
static const float DROP_DEVIATIONS = 2, DROP_THRESHOLD = 0.5F;

static void seen_free(gpointer data) {
  MnkSeen *seen = data;
  mnk_tokens_unref(seen->tokens);
  g_free(seen->keep);
  g_free(seen);
}

static MnkTokenMemory *new_token_memory(const MnkModelMemory *memory) {
  const MnkModelStream *setup = &memory->setup;
  guint wanted = setup->mem_tokens > 0 ? setup->mem_tokens : 2 * memory->frame_tokens;
  if (setup->token_memory == 0 || memory->frame_tokens == 0)
    return NULL;
  MnkTokenMemoryConfig config = {
      .mode = (MnkTokenMemoryMode)(setup->token_memory - 1),
      .tokens = setup->mem_tokens > 0 ? wanted : MIN(wanted, TOKEN_MEMORY_MAX),
      .dim = memory->dim,
      .iterations = TOKEN_MEMORY_ITERATIONS,
      .cap_counts = setup->cap_counts,
  };
  g_autoptr(GError) error = NULL;
  MnkTokenMemory *made = mnk_token_memory_new(&config, &error);
  if (made == NULL)
    mnk_warning("local", setup->id, "event=no-token-memory reason=\"%s\"", error->message);
  return made;
}

static MnkTokenDrop *new_drop(const MnkModelStream *setup) {
  MnkTokenDropConfig config = {
      .threshold = setup->token_drop != 0 ? setup->token_drop : DROP_THRESHOLD,
      .refresh = DROP_REFRESH,
      .window = DROP_WINDOW,
      .deviations = DROP_DEVIATIONS,
  };
  return mnk_token_drop_new(&config);
}

static void keyframes_config(const MnkModelStream *setup, MnkKeyframesConfig *config) {
  mnk_keyframes_config_init(config);
  config->buffer_size = setup->buffer_size;
  config->match_ratio = setup->match_ratio;
  config->frames_max = setup->frames_max;
  config->long_max = setup->long_max;
  config->detail_bytes_max = setup->detail_bytes_max;
  config->recent = setup->recent;
}

MnkModelMemory *mnk_model_memory_new(MnkModelStream *setup, MnkVlm *vlm, gboolean restoring) {
  MnkModelMemory *memory = g_new0(MnkModelMemory, 1);
  const MnkVlmFiles *files = mnk_vlm_files(vlm);
  MnkKeyframesConfig config;
  memory->refs = 1;
  g_mutex_init(&memory->lock);
  g_cond_init(&memory->restored);
  memory->restoring = restoring;
  memory->setup = *setup;
  *setup = (MnkModelStream){0};
  memory->dim = files->dim;
  memory->frame_tokens = mnk_vlm_frame_tokens(vlm);
  g_strlcpy(memory->space, files->hash, sizeof memory->space);
  keyframes_config(&memory->setup, &config);
  memory->keyframes = mnk_keyframes_new(&config);
  memory->token_memory = new_token_memory(memory);
  memory->drop = new_drop(&memory->setup);
  g_queue_init(&memory->seen);
  memory->last_ms = G_MININT64;
  return memory;
}

MnkModelMemory *mnk_model_memory_ref(MnkModelMemory *memory) {
  g_atomic_int_inc(&memory->refs);
  return memory;
}

void mnk_model_memory_unref(MnkModelMemory *memory) {
  if (memory == NULL || !g_atomic_int_dec_and_test(&memory->refs))
    return;
  mnk_keyframes_free(memory->keyframes);
  mnk_token_memory_free(memory->token_memory);
  mnk_token_drop_free(memory->drop);
  g_queue_clear_full(&memory->seen, seen_free);
  mnk_model_stream_clear(&memory->setup);
  g_cond_clear(&memory->restored);
  g_mutex_clear(&memory->lock);
  g_free(memory);
}

void mnk_model_memory_lock(MnkModelMemory *memory) {
  g_mutex_lock(&memory->lock);
  while (memory->restoring)
    g_cond_wait(&memory->restored, &memory->lock);
}

void mnk_model_memory_unlock(MnkModelMemory *memory) {
  g_mutex_unlock(&memory->lock);
}

void mnk_model_memory_restored(MnkModelMemory *memory) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&memory->lock);
  memory->restoring = FALSE;
  g_cond_broadcast(&memory->restored);
}

/* Of what is set, only the dropping of tokens may change while a memory lives. */
void mnk_model_memory_set(MnkModelMemory *memory, const MnkModelStream *setup) {
  mnk_model_memory_lock(memory);
  if (memory->setup.token_drop != setup->token_drop) {
    memory->setup.token_drop = setup->token_drop;
    mnk_token_drop_free(memory->drop);
    memory->drop = new_drop(&memory->setup);
  }
  mnk_model_memory_unlock(memory);
}

static MnkSeen *find(MnkModelMemory *memory, gint64 pts_ms) {
  for (GList *link = memory->seen.tail; link != NULL; link = link->prev) {
    MnkSeen *seen = link->data;
    if (pts_ms == seen->first_ms || pts_ms == seen->last_ms)
      return seen;
  }
  return NULL;
}

MnkTokens *mnk_model_memory_find(MnkModelMemory *memory, gint64 pts_ms, guint8 **keep) {
  mnk_model_memory_lock(memory);
  MnkSeen *seen = find(memory, pts_ms);
  MnkTokens *tokens = seen != NULL ? mnk_tokens_ref(seen->tokens) : NULL;
  *keep = seen != NULL && memory->setup.token_drop != 0 && seen->keep != NULL
              ? g_memdup2(seen->keep, mnk_tokens_count(seen->tokens))
              : NULL;
  mnk_model_memory_unlock(memory);
  return tokens;
}

gboolean mnk_model_memory_has(MnkModelMemory *memory, gint64 pts_ms) {
  mnk_model_memory_lock(memory);
  gboolean has = find(memory, pts_ms) != NULL;
  mnk_model_memory_unlock(memory);
  return has;
}

static void remember(MnkModelMemory *memory, MnkTokens *tokens) {
  gboolean is_new;
  mnk_keyframes_add(memory->keyframes, tokens, &is_new);
  if (memory->token_memory != NULL)
    mnk_token_memory_add(memory->token_memory, tokens);
}

void mnk_model_memory_add(MnkModelMemory *memory, MnkTokens *tokens, gint64 last_ms) {
  guint n = mnk_tokens_count(tokens);
  MnkSeen *seen = g_new0(MnkSeen, 1);
  seen->tokens = mnk_tokens_ref(tokens);
  seen->first_ms = mnk_tokens_pts_ms(tokens);
  seen->last_ms = last_ms;
  mnk_model_memory_lock(memory);
  if (memory->frame_tokens == 0) { /* the model does not say before the first frame */
    memory->frame_tokens = n;
    memory->token_memory = new_token_memory(memory);
  }
  if (seen->first_ms > memory->last_ms) {
    float score;
    gboolean boundary;
    seen->keep = g_malloc(n);
    mnk_token_drop_add(memory->drop, tokens, seen->keep, &score, &boundary);
    remember(memory, tokens);
    memory->last_ms = last_ms;
  }
  g_queue_push_tail(&memory->seen, seen);
  if (memory->seen.length > MNK_CLIP_CACHE)
    seen_free(g_queue_pop_head(&memory->seen));
  mnk_model_memory_unlock(memory);
}

/* Tokens are shared: those at hand are counted as if they were not, a bound from above. */
static guint64 bytes_at_hand(const MnkModelMemory *memory) {
  guint64 bytes = 0;
  for (GList *link = memory->seen.head; link != NULL; link = link->next)
    bytes += mnk_tokens_bytes(((const MnkSeen *)link->data)->tokens);
  return bytes;
}

static void tell_times(const MnkModelMemory *memory, MnkLocalMemory *out) {
  MnkCluster cluster;
  out->first_ms = 0;
  out->last_ms = -1;
  for (guint i = 0; i < out->clusters; i++) {
    mnk_keyframes_get(memory->keyframes, i, &cluster);
    out->first_ms = i == 0 ? cluster.first_ms : MIN(out->first_ms, cluster.first_ms);
    out->last_ms = MAX(out->last_ms, cluster.last_ms);
  }
  if (memory->last_ms > out->last_ms && out->clusters > 0)
    out->last_ms = memory->last_ms;
}

void mnk_model_memory_measure(const MnkModelMemory *memory, MnkLocalMemory *out) {
  MnkKeyframesConfig config;
  keyframes_config(&memory->setup, &config);
  *out = (MnkLocalMemory){
      .clusters = mnk_keyframes_count(memory->keyframes),
      .long_clusters = mnk_keyframes_long_count(memory->keyframes),
      .recent = mnk_keyframes_recent(memory->keyframes)->len,
      .bytes = mnk_keyframes_bytes(memory->keyframes) + bytes_at_hand(memory),
      .bytes_max = mnk_keyframes_bytes_max(&config, memory->frame_tokens, memory->dim),
  };
  guint64 tokens = memory->token_memory != NULL ? mnk_token_memory_bytes(memory->token_memory) : 0;
  out->bytes += tokens;
  out->bytes_max += tokens + (guint64)MNK_CLIP_CACHE * memory->frame_tokens * memory->dim * 2;
  tell_times(memory, out);
}

void mnk_model_memory_end_clip(MnkModelMemory *memory, guint64 *order, MnkLocalMemory *out) {
  mnk_model_memory_lock(memory);
  *order = ++memory->order;
  mnk_model_memory_measure(memory, out);
  mnk_model_memory_unlock(memory);
}
