/* models: parts that are shared inside the folder, and with its tests. */
#ifndef MNK_MODELS_PRIV_H
#define MNK_MODELS_PRIV_H

#include "models/models.h"

/* Ends every sentence about a file that cannot be used. */
#define MNK_MODELS_REMEDY "`manako models pull` gets it"

/* The entries of a manifest, in its order (MnkModelEntry, owned by the array). NULL with
 * MNK_ERROR_BAD_INPUT naming the entry and the member that is wrong. */
GPtrArray *mnk_manifest_parse(const char *bytes, gsize length, GError **error);
/* The manifest that is compiled in; valid for ever. */
const char *mnk_manifest_text(gsize *length);

/* mnk_models_fetch_script for a program lying at this path. */
char *mnk_models_fetch_script_of(const char *program);

#endif
