#include "tiny.h"

#include <string.h>

char *tiny_path(const char *family, const char *file) {
  return g_build_filename(g_getenv("MANAKO_TINY_MODELS"), family, file, NULL);
}

void tiny_pair(TinyPair *pair, const char *family) {
  pair->model = tiny_path(family, "model.gguf");
  pair->mmproj = tiny_path(family, "mmproj.gguf");
  mnk_vlm_config_init(&pair->config);
  pair->config.model = pair->model;
  pair->config.mmproj = pair->mmproj;
  pair->config.context = 1024;
  pair->config.threads = pair->config.threads_batch = 1;
}

void tiny_pair_clear(TinyPair *pair) {
  g_clear_pointer(&pair->model, g_free);
  g_clear_pointer(&pair->mmproj, g_free);
}

MnkFrame *tiny_picture(int width, int height, guint32 seed) {
  enum { BLOCK = 7 };
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  g_autofree guint8 *rgb = g_malloc((gsize)width * height * 3);
  int columns = (width + BLOCK - 1) / BLOCK, rows = (height + BLOCK - 1) / BLOCK;
  g_autofree guint8 *blocks = g_malloc((gsize)columns * rows * 3);
  for (int i = 0; i < columns * rows * 3; i++)
    blocks[i] = (guint8)g_rand_int_range(rand, 0, 256);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      memcpy(rgb + ((gsize)y * width + x) * 3, blocks + (y / BLOCK * columns + x / BLOCK) * 3, 3);
  return mnk_frame_new_rgb(rgb, width, height, width * 3, 0);
}

/* ---- A job that is waited for ---- */

typedef struct {
  GMutex mutex;
  GCond cond;
  gboolean is_done;
  MnkVlmAnswer *answer;
  GError *error;
} Waiting;

static void on_done(const MnkVlmAnswer *answer, const GError *error, gpointer user) {
  Waiting *waiting = user;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&waiting->mutex);
  if (error) {
    waiting->error = g_error_copy(error);
  } else {
    *waiting->answer = *answer;
    waiting->answer->text = g_strdup(answer->text);
  }
  waiting->is_done = TRUE;
  g_cond_signal(&waiting->cond);
}

gboolean tiny_ask(MnkVlm *vlm, const MnkVlmRequest *request, MnkVlmAnswer *answer, GError **error) {
  Waiting waiting = {.answer = answer};
  g_mutex_init(&waiting.mutex);
  g_cond_init(&waiting.cond);
  const MnkVlmEvents events = {.done = on_done};
  MnkVlmJob *job = mnk_vlm_submit(vlm, request, &events, &waiting);
  g_mutex_lock(&waiting.mutex);
  while (!waiting.is_done)
    g_cond_wait(&waiting.cond, &waiting.mutex);
  g_mutex_unlock(&waiting.mutex);
  mnk_vlm_job_unref(job);
  g_mutex_clear(&waiting.mutex);
  g_cond_clear(&waiting.cond);
  if (waiting.error)
    g_propagate_error(error, waiting.error);
  return waiting.error == NULL;
}
