/* Frame, inside: every frame holds its pixels in an AVFrame, whoever made them. */
#ifndef MNK_MEDIA_FRAME_PRIV_H
#define MNK_MEDIA_FRAME_PRIV_H

#include <libavutil/frame.h>

#include "media/media.h"
#include "media/orientation_priv.h"

typedef struct {
  MnkFrame frame; /* first: the public face */
  gatomicrefcount refs;
  AVFrame *picture;
  MnkOrientation orientation; /* from picture to upright; identity for RGB and I420 */
} MnkPicture;

/* Takes the decoder's pixels over. aspect: of one pixel, 0/x when unknown. The caller fills in
 * times and flags before it hands the frame on. */
MnkFrame *mnk_frame_take_decoded(AVFrame *pixels, MnkOrientation orientation, AVRational aspect);
/* Takes pixels in RGB24 over as a sampled frame. */
MnkFrame *mnk_frame_take_rgb(AVFrame *pixels);
/* An RGB or I420 frame with room for its pixels; NULL with MNK_ERROR_LIMIT when there is no memory.
 * Times and flags are copied from like, if given. */
MnkFrame *mnk_frame_alloc(MnkFrameFormat format, int width, int height, const MnkFrame *like,
                          GError **error);
static inline const MnkPicture *mnk_frame_picture(const MnkFrame *frame) {
  return (const MnkPicture *)frame;
}

/* Size as shown: square pixels, upright. */
void mnk_shown_size(int width, int height, AVRational aspect, MnkOrientation orientation,
                    int *shown_width, int *shown_height);

#endif
