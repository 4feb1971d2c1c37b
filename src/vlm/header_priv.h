/* The headers of model files, read and checked to be whole. */
#ifndef MNK_VLM_HEADER_PRIV_H
#define MNK_VLM_HEADER_PRIV_H

#include "vlm/vlm.h"
#include "wire/wire.h"

typedef struct {
  char *path;       /* of several parts the first's */
  char *words_path; /* the file that has the table of words */
  MnkGgufInfo info;
  guint parts;
  guint64 bytes;
  GChecksum *sum; /* of the header and the last weights */
} MnkVlmHeader;
void mnk_vlm_header_clear(MnkVlmHeader *header);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MnkVlmHeader, mnk_vlm_header_clear)

/* FALSE, with the file's name before what is wrong with it. */
gboolean G_GNUC_PRINTF(4, 5) mnk_vlm_refuse(const MnkVlmHeader *header, GError **error,
                                            MnkErrorCode code, const char *format, ...);

/* One file. The header is the caller's to clear, also after an error. */
gboolean mnk_vlm_header_read(MnkVlmHeader *header, const char *path, GError **error);

/* ---- parts.c ---- */

/* A text model, which may be in several parts: path names the first. Of those the header is the
 * first's, but for its tensors, parameters, table of words, bytes and sum, which are of all. */
gboolean mnk_vlm_text_read(MnkVlmHeader *text, const char *path, GError **error);

#endif
