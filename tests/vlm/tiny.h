/* The tiny models, for tests: where they lie, pictures for them, and jobs that are waited for. */
#ifndef MNK_TEST_TINY_H
#define MNK_TEST_TINY_H

#include "vlm/vlm.h"

/* file: "model.gguf" or "mmproj.gguf"; caller frees. */
char *tiny_path(const char *family, const char *file);

/* A tiny model with one thread; aborts the test when it does not load. */
typedef struct {
  char *model, *mmproj;
  MnkVlmConfig config; /* of those paths */
} TinyPair;
void tiny_pair(TinyPair *pair, const char *family);
void tiny_pair_clear(TinyPair *pair);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TinyPair, tiny_pair_clear)

/* Blocks of 7 x 7 pixels in colours by the seed. */
MnkFrame *tiny_picture(int width, int height, guint32 seed);

/* Submits and waits. FALSE with what done was told. The answer is the caller's to clear. */
gboolean tiny_ask(MnkVlm *vlm, const MnkVlmRequest *request, MnkVlmAnswer *answer, GError **error);

#endif
