/* Decoder: the video decoder of one stream, and audio to 16 kHz mono. */
#ifndef MNK_MEDIA_DECODER_PRIV_H
#define MNK_MEDIA_DECODER_PRIV_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "media/media.h"

typedef struct {
  int threads; /* 0: choose by the size */
  guint64 max_pixels;
  gboolean live; /* no thread may keep a picture back */
} MnkDecoderConfig;

typedef struct _MnkDecoder MnkDecoder;
/* name: for messages. Errors: no such decoder (named), picture too large, parameters refused. */
MnkDecoder *mnk_decoder_new(const AVStream *stream, const MnkDecoderConfig *config,
                            const char *name, GError **error);
void mnk_decoder_free(MnkDecoder *decoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkDecoder, mnk_decoder_free)
/* NULL ends the stream: what is inside comes out. discard: pictures not to decode. FALSE: the
 * packet is damaged. All pictures must be received before the next packet is sent. */
gboolean mnk_decoder_send(MnkDecoder *decoder, const AVPacket *packet, enum AVDiscard discard);
/* The next picture, owned by the caller, or NULL. *damaged counts up for each one that failed. */
AVFrame *mnk_decoder_receive(MnkDecoder *decoder, guint64 *damaged);
/* Forgets all: after a seek or an end. */
void mnk_decoder_flush(MnkDecoder *decoder);
/* CPU time of the calling thread spent in it. */
gint64 mnk_decoder_cpu_us(const MnkDecoder *decoder);

/* The error for a picture over the limit. Public to the other parts of media. */
gboolean mnk_check_picture_size(int width, int height, guint64 max_pixels, const char *name,
                                GError **error);

typedef struct _MnkListener MnkListener;
/* NULL if there is no decoder for it: a stream without sound. The parameters may still be unknown:
 * the decoder finds them. */
MnkListener *mnk_listener_new(const AVStream *stream);
void mnk_listener_free(MnkListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkListener, mnk_listener_free)
/* As for video; damaged packets are left out. */
void mnk_listener_send(MnkListener *listener, const AVPacket *packet);
/* The next piece or NULL. *raw_us: its time on the container's clock, MNK_NO_TIME if it has none;
 * pts_ms is left to the caller. */
MnkAudio *mnk_listener_receive(MnkListener *listener, gint64 *raw_us);
void mnk_listener_flush(MnkListener *listener);

#endif
