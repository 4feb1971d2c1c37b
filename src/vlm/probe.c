/* Everything that a bad file is known to stop the process at, once. */
#include "vlm/vlm.h"

enum { WIDTH = 64, HEIGHT = 48, TOKENS = 2, CONTEXT = 2048 };

typedef struct {
  GMutex mutex;
  GCond changed;
  gboolean done;
  GError *error;
} Waiter;

static void on_done(const MnkVlmAnswer *answer, const GError *error, gpointer user) {
  Waiter *waiter = user;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&waiter->mutex);
  waiter->done = TRUE;
  waiter->error = error ? g_error_copy(error) : NULL;
  g_cond_signal(&waiter->changed);
}

static MnkTokens *look(MnkVlm *vlm, GError **error) {
  guint8 pixels[WIDTH * HEIGHT * 3];
  for (guint i = 0; i < sizeof pixels; i++)
    pixels[i] = (guint8)(i * 7 + i / 64);
  g_autoptr(MnkFrame) frame = mnk_frame_new_rgb(pixels, WIDTH, HEIGHT, WIDTH * 3, 0);
  return mnk_vlm_encode(vlm, &frame, 1, NULL, error);
}

static gboolean ask(MnkVlm *vlm, MnkTokens *tokens, GError **error) {
  MnkVlmPart parts[] = {
      {.kind = MNK_VLM_TOKENS, .tokens = tokens},
      {.kind = MNK_VLM_TEXT, .text = "?"},
  };
  MnkVlmRequest request = {
      .parts = tokens ? parts : parts + 1,
      .n_parts = tokens ? 2 : 1,
      .tokens_max = TOKENS,
  };
  MnkVlmEvents events = {.done = on_done};
  Waiter waiter = {0};
  g_mutex_init(&waiter.mutex);
  g_cond_init(&waiter.changed);
  MnkVlmJob *job = mnk_vlm_submit(vlm, &request, &events, &waiter);
  g_mutex_lock(&waiter.mutex);
  while (!waiter.done)
    g_cond_wait(&waiter.changed, &waiter.mutex);
  g_mutex_unlock(&waiter.mutex);
  mnk_vlm_job_unref(job);
  g_mutex_clear(&waiter.mutex);
  g_cond_clear(&waiter.changed);
  if (!waiter.error)
    return TRUE;
  g_propagate_error(error, waiter.error);
  return FALSE;
}

gboolean mnk_vlm_probe(const MnkVlmConfig *config, GError **error) {
  MnkVlmConfig small = *config;
  small.context = MIN(config->context, CONTEXT);
  g_autoptr(MnkVlm) vlm = mnk_vlm_load(&small, error);
  if (!vlm)
    return FALSE;
  g_autoptr(MnkTokens) tokens = config->mmproj ? look(vlm, error) : NULL;
  if (config->mmproj && !tokens)
    return FALSE;
  return ask(vlm, tokens, error);
}
