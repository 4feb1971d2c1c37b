/* How much memory a model needs, and how much there is. */
#ifndef MNK_VLM_FOOTPRINT_PRIV_H
#define MNK_VLM_FOOTPRINT_PRIV_H

#include "vlm/vlm.h"

/* From above, in bytes. */
guint64 mnk_vlm_memory_needed(const MnkVlmFiles *files, guint context, guint64 vocabulary);
/* What can be had without taking it from others: of the machine, and of the control group that this
 * process is in. G_MAXUINT64: nobody says. */
guint64 mnk_vlm_memory_available(void);
/* FALSE with MNK_ERROR_LIMIT when files->needed is more. */
gboolean mnk_vlm_memory_check(const MnkVlmFiles *files, guint context, GError **error);
/* The same, of files in the format of /proc/meminfo and of a control group. For tests. */
guint64 mnk_vlm_memory_of_machine(const char *meminfo);
guint64 mnk_vlm_memory_of_group(const char *maximum, const char *current, const char *stat);

#endif
