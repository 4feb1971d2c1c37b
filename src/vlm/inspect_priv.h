#ifndef MNK_VLM_INSPECT_PRIV_H
#define MNK_VLM_INSPECT_PRIV_H

#include "vlm/vlm.h"
#include "wire/wire.h"

/* The header of one model file, read and checked to be whole. */
gboolean mnk_vlm_header(const char *path, MnkGgufInfo *info, GError **error);

#endif
