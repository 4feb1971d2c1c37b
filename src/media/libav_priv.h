/* libav*: what differs between FFmpeg's versions, its log, and its errors in words. */
#ifndef MNK_MEDIA_LIBAV_PRIV_H
#define MNK_MEDIA_LIBAV_PRIV_H

#include <glib.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

/* Sends libav's messages to the log (level debug) and never to stderr; bounds its single
 * allocations. Any thread; done once. */
void mnk_av_setup(void);

/* FFmpeg 6.1 turned these fields into flags. */
static inline gboolean mnk_av_frame_is_key(const AVFrame *frame) {
#ifdef AV_FRAME_FLAG_KEY
  return (frame->flags & AV_FRAME_FLAG_KEY) != 0;
#else
  return frame->key_frame != 0;
#endif
}
static inline gboolean mnk_av_frame_is_interlaced(const AVFrame *frame) {
#ifdef AV_FRAME_FLAG_INTERLACED
  return (frame->flags & AV_FRAME_FLAG_INTERLACED) != 0;
#else
  return frame->interlaced_frame != 0;
#endif
}
/* The stream's display matrix, nine numbers, or NULL. */
const gint32 *mnk_av_stream_matrix(const AVStream *stream);

/* An error code in words, such as "Connection refused". The buffer is the caller's. */
const char *mnk_av_error_text(int code, char *buffer, gsize size);

static inline void mnk_av_frame_delete(AVFrame *frame) {
  av_frame_free(&frame);
}
static inline void mnk_av_packet_delete(AVPacket *packet) {
  av_packet_free(&packet);
}
static inline void mnk_av_codec_delete(AVCodecContext *codec) {
  avcodec_free_context(&codec);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AVFrame, mnk_av_frame_delete)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AVPacket, mnk_av_packet_delete)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AVCodecContext, mnk_av_codec_delete)

#endif
