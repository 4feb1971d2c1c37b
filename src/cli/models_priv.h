/* `manako models`: what its files share. */
#ifndef MNK_CLI_MODELS_PRIV_H
#define MNK_CLI_MODELS_PRIV_H

#include "cli/cli.h"

/* Prints what each GGUF file is (of a folder: each *.gguf in it), what it needs, and which text
 * models and projectors belong together. FALSE when a file is damaged or nothing fits. */
gboolean mnk_models_explain(const MnkSettings *settings, char **paths, GError **error);

#endif
