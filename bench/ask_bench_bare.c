/* The same frames and a prompt of the same length, by the adapter and by libmtmd and libllama
 * called directly; in turns, in one process. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <llama.h>
#include <mtmd.h>

#include "ask_bench.h"

enum { FRAMES = 4, WORDS = 16, FRAME_WORDS = 4, CONTEXT = 4096, TILE_TOKENS = 64 };
static const char QUESTION[] =
    "What is on the table, and who put it there before the lamp went out?";

typedef struct {
  struct llama_model *model;
  struct llama_context *context;
  mtmd_context *tower;
  guint dim;
} Bare;

/* What a run took. The processor's time is the fairer one on a machine that others use, too. */
typedef struct {
  double wall_ms, cpu_ms;
} Took;

static Took now(void) {
  struct timespec cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  return (Took){(double)g_get_monotonic_time() / 1000,
                (double)cpu.tv_sec * 1000 + (double)cpu.tv_nsec / 1e6};
}

static Took since(Took start) {
  Took end = now();
  return (Took){end.wall_ms - start.wall_ms, end.cpu_ms - start.cpu_ms};
}

/* ---- Bare ---- */

static gboolean bare_load(const Bench *bench, Bare *bare) {
  struct llama_model_params model = llama_model_default_params();
  struct llama_context_params context = llama_context_default_params();
  struct mtmd_context_params tower = mtmd_context_params_default();
  model.n_gpu_layers = 0;
  context.n_ctx = CONTEXT;
  context.n_threads = context.n_threads_batch = bench->threads;
  tower.use_gpu = tower.print_timings = tower.warmup = false;
  tower.n_threads = bench->threads;
  tower.image_max_tokens = TILE_TOKENS;
  bare->model = llama_model_load_from_file(bench->model, model);
  if (bare->model == NULL)
    return FALSE;
  bare->context = llama_init_from_model(bare->model, context);
  bare->tower = mtmd_init_from_file(bench->mmproj, bare->model, tower);
  bare->dim = (guint)llama_model_n_embd_inp(bare->model);
  return bare->context != NULL && bare->tower != NULL;
}

static void bare_free(Bare *bare) {
  g_clear_pointer(&bare->tower, mtmd_free);
  g_clear_pointer(&bare->context, llama_free);
  g_clear_pointer(&bare->model, llama_model_free);
}

/* The overview of a picture, as the adapter takes it. Caller frees; *n: its tokens. */
static float *bare_encode(Bare *bare, const MnkFrame *frame, guint *n) {
  mtmd_bitmap *bitmap =
      mtmd_bitmap_init((uint32_t)frame->width, (uint32_t)frame->height, frame->planes[0]);
  const mtmd_bitmap *bitmaps[] = {bitmap};
  const mtmd_input_text text = {.text = mtmd_default_marker(),
                                .text_len = strlen(mtmd_default_marker()),
                                .parse_special = true};
  mtmd_input_chunks *chunks = mtmd_input_chunks_init();
  float *rows = NULL;
  const mtmd_input_chunk *last = NULL;
  if (mtmd_tokenize(bare->tower, chunks, &text, bitmaps, 1) == 0)
    for (gsize i = 0; i < mtmd_input_chunks_size(chunks); i++)
      if (mtmd_input_chunk_get_type(mtmd_input_chunks_get(chunks, i)) ==
          MTMD_INPUT_CHUNK_TYPE_IMAGE)
        last = mtmd_input_chunks_get(chunks, i);
  if (last != NULL && mtmd_encode_chunk(bare->tower, last) == 0) {
    *n = (guint)mtmd_input_chunk_get_n_tokens(last);
    rows = g_memdup2(mtmd_get_output_embd(bare->tower), (gsize)*n * bare->dim * sizeof *rows);
  }
  mtmd_input_chunks_free(chunks);
  mtmd_bitmap_free(bitmap);
  return rows;
}

static gboolean bare_rows(Bare *bare, float *rows, guint n, llama_pos *next) {
  struct llama_batch batch = llama_batch_init((int32_t)n, (int32_t)bare->dim, 1);
  memcpy(batch.embd, rows, (gsize)n * bare->dim * sizeof *rows);
  for (guint i = 0; i < n; i++) {
    batch.pos[i] = (*next)++;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 0;
  }
  batch.n_tokens = (int32_t)n;
  gboolean ok = llama_decode(bare->context, batch) == 0;
  llama_batch_free(batch);
  return ok;
}

/* Any words: what they cost does not depend on which they are. */
static gboolean bare_words(Bare *bare, guint n, llama_pos *next) {
  g_autofree llama_token *words = g_new(llama_token, n);
  for (guint i = 0; i < n; i++)
    words[i] = (llama_token)(100 + i);
  *next += (llama_pos)n;
  return llama_decode(bare->context, llama_batch_get_one(words, (int32_t)n)) == 0;
}

static gboolean bare_answer(Bare *bare, struct llama_sampler *sampler, llama_pos *next) {
  for (guint i = 0; i + 1 < WORDS; i++) {
    llama_token word = llama_sampler_sample(sampler, bare->context, -1);
    (*next)++;
    if (llama_decode(bare->context, llama_batch_get_one(&word, 1)) != 0)
      return FALSE;
  }
  llama_sampler_sample(sampler, bare->context, -1);
  return TRUE;
}

static gboolean bare_run(Bare *bare, MnkFrame *const *frames, guint words, Took *took) {
  struct llama_sampler *sampler = llama_sampler_init_greedy();
  Took start = now();
  llama_pos next = 0;
  gboolean ok = TRUE;
  float *rows[FRAMES] = {NULL};
  guint n[FRAMES];
  llama_memory_clear(llama_get_memory(bare->context), true);
  for (guint i = 0; i < FRAMES && ok; i++)
    ok = (rows[i] = bare_encode(bare, frames[i], &n[i])) != NULL;
  for (guint i = 0; i < FRAMES && ok; i++)
    ok = bare_words(bare, FRAME_WORDS, &next) && bare_rows(bare, rows[i], n[i], &next);
  ok = ok && bare_words(bare, words - FRAMES * FRAME_WORDS, &next) &&
       bare_answer(bare, sampler, &next);
  for (guint i = 0; i < FRAMES; i++)
    g_free(rows[i]);
  llama_sampler_free(sampler);
  *took = since(start);
  return ok;
}

/* ---- The adapter ---- */

typedef struct {
  GMutex mutex;
  GCond ended;
  gboolean done;
  guint prompt, visual, words;
} Waiter;

static void on_done(const MnkVlmAnswer *answer, const GError *error, gpointer user) {
  Waiter *waiter = user;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&waiter->mutex);
  waiter->done = TRUE;
  if (error != NULL)
    g_printerr("ask_bench: %s\n", error->message);
  else
    waiter->words = answer->answer_tokens, waiter->prompt = answer->prompt_tokens,
    waiter->visual = answer->visual_tokens;
  g_cond_signal(&waiter->ended);
}

static gboolean own_run(MnkVlm *vlm, MnkFrame *const *frames, Waiter *waiter, Took *took) {
  static const MnkVlmEvents EVENTS = {.done = on_done};
  MnkVlmPart parts[FRAMES + 2] = {{.kind = MNK_VLM_USER, .text = ""}};
  g_autoptr(GPtrArray) tokens = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_tokens_unref);
  Took start = now();
  for (guint i = 0; i < FRAMES; i++) {
    MnkTokens *one = mnk_vlm_encode(vlm, &frames[i], 1, NULL, NULL);
    if (one == NULL)
      return FALSE;
    g_ptr_array_add(tokens, one);
    parts[1 + i] = (MnkVlmPart){.kind = MNK_VLM_TOKENS, .tokens = one};
  }
  parts[1 + FRAMES] = (MnkVlmPart){.kind = MNK_VLM_TEXT, .text = QUESTION};
  const MnkVlmRequest request = {
      .parts = parts, .n_parts = G_N_ELEMENTS(parts), .tokens_max = WORDS};
  waiter->done = FALSE;
  MnkVlmJob *job = mnk_vlm_submit(vlm, &request, &EVENTS, waiter);
  g_mutex_lock(&waiter->mutex);
  while (!waiter->done)
    g_cond_wait(&waiter->ended, &waiter->mutex);
  g_mutex_unlock(&waiter->mutex);
  mnk_vlm_job_unref(job);
  *took = since(start);
  return waiter->words > 0;
}

/* ---- Both ---- */

/* Medians of what the runs of one kind took. */
typedef struct {
  GArray *wall_ms, *cpu_ms; /* of double */
} Runs;

static void runs_add(Runs *runs, const Took *took) {
  g_array_append_val(runs->wall_ms, took->wall_ms);
  g_array_append_val(runs->cpu_ms, took->cpu_ms);
}

static gboolean run_both(const Bench *bench, MnkVlm *vlm, Bare *bare, Runs *runs, Waiter *waiter) {
  MnkFrame *frames[FRAMES];
  gboolean ok = TRUE;
  for (guint i = 0; i < FRAMES; i++)
    frames[i] = bench_frame(i + 1, i * 1000);
  for (guint round = 0; round <= bench->rounds && ok; round++) {
    Took own, other;
    ok = own_run(vlm, frames, waiter, &own) &&
         bare_run(bare, frames, waiter->prompt - waiter->visual, &other);
    if (ok && round > 0) { /* the first one warms up */
      runs_add(&runs[0], &own);
      runs_add(&runs[1], &other);
    }
  }
  for (guint i = 0; i < FRAMES; i++)
    mnk_frame_unref(frames[i]);
  return ok;
}

static gboolean compare(const Bench *bench, MnkVlm *vlm, Bare *bare) {
  Runs runs[2];
  Waiter waiter = {0};
  g_mutex_init(&waiter.mutex);
  g_cond_init(&waiter.ended);
  for (guint i = 0; i < 2; i++)
    runs[i] = (Runs){g_array_new(FALSE, FALSE, sizeof(double)),
                     g_array_new(FALSE, FALSE, sizeof(double))};
  gboolean ok = run_both(bench, vlm, bare, runs, &waiter);
  double own = bench_median(runs[0].wall_ms), other = bench_median(runs[1].wall_ms);
  double own_cpu = bench_median(runs[0].cpu_ms), other_cpu = bench_median(runs[1].cpu_ms);
  if (ok)
    printf("{\"bench\":\"ask\",\"what\":\"beside the bare libraries\",\"shape\":\"%s\","
           "\"frames\":%d,\"prompt_tokens\":%u,\"answer_tokens\":%u,\"own_ms\":%.1f,"
           "\"bare_ms\":%.1f,\"ratio\":%.3f,\"own_cpu_ms\":%.1f,\"bare_cpu_ms\":%.1f,"
           "\"cpu_ratio\":%.3f,\"threads\":%d,\"rounds\":%u}\n",
           bench->shape, FRAMES, waiter.prompt, waiter.words, own, other, own / other, own_cpu,
           other_cpu, own_cpu / other_cpu, bench->threads, bench->rounds);
  for (guint i = 0; i < 2; i++) {
    g_array_unref(runs[i].wall_ms);
    g_array_unref(runs[i].cpu_ms);
  }
  g_cond_clear(&waiter.ended);
  g_mutex_clear(&waiter.mutex);
  return ok;
}

static void be_quiet(enum ggml_log_level level, const char *text, void *user) {
}

gboolean bench_bare(const Bench *bench) {
  g_autoptr(GError) error = NULL;
  MnkVlmConfig config;
  Bare bare = {0};
  mnk_vlm_config_init(&config);
  config.model = bench->model;
  config.mmproj = bench->mmproj;
  config.context = CONTEXT;
  config.threads = config.threads_batch = bench->threads;
  config.gpu = FALSE;
  g_autoptr(MnkVlm) vlm = mnk_vlm_load(&config, &error);
  if (vlm == NULL)
    g_printerr("ask_bench: %s\n", error->message);
  llama_log_set(be_quiet, NULL);
  gboolean ok = vlm != NULL && bare_load(bench, &bare) && compare(bench, vlm, &bare);
  bare_free(&bare);
  fflush(stdout);
  return ok;
}
