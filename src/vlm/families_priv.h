/* Which projectors belong to which text models. */
#ifndef MNK_VLM_FAMILIES_PRIV_H
#define MNK_VLM_FAMILIES_PRIV_H

#include "vlm/vlm.h"

typedef struct {
  const char *projector; /* clip.projector_type */
  MnkVlmFamily family;
  const char *name;             /* for people */
  const char *architectures[6]; /* of text models, NULL-terminated */
  gboolean width_told;          /* its projection_dim is the text model's width */
  gboolean overview_first;      /* of several pictures that one becomes, the whole one is first */
} MnkVlmProjector;

/* NULL: not known here. */
const MnkVlmProjector *mnk_vlm_projector_find(const char *projector);
gboolean mnk_vlm_projector_fits(const MnkVlmProjector *projector, const char *architecture);

#endif
