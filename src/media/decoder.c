#include "media/decoder_priv.h"

#include <libavutil/pixdesc.h>
#include <time.h>

#include "base/base.h"
#include "media/libav_priv.h"

/* From this size on a picture is worth a second thread. */
enum { HD_PIXELS = 1280 * 720 };

struct _MnkDecoder {
  AVCodecContext *codec;
  gint64 cpu_us;
};

gboolean mnk_check_picture_size(int width, int height, guint64 max_pixels, const char *name,
                                GError **error) {
  if (width <= 0 || height <= 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s has pictures of no size", name);
    return FALSE;
  }
  if ((guint64)width * (guint64)height <= max_pixels)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
              "%s has pictures of %d x %d pixels, over the limit of %" G_GUINT64_FORMAT
              " pixels (max-pixels)",
              name, width, height, max_pixels);
  return FALSE;
}

static const AVCodec *find_decoder(const AVStream *stream, const char *name, GError **error) {
  const AVCodecParameters *parameters = stream->codecpar;
  const AVCodec *codec = avcodec_find_decoder(parameters->codec_id);
  if (codec)
    return codec;
  char tag[AV_FOURCC_MAX_STRING_SIZE] = "unknown";
  const char *codec_name = avcodec_get_name(parameters->codec_id);
  if (parameters->codec_id == AV_CODEC_ID_NONE) {
    if (parameters->codec_tag)
      av_fourcc_make_string(tag, parameters->codec_tag);
    codec_name = tag;
  }
  g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
              "%s needs a decoder for the video codec '%s', which is not here", name, codec_name);
  return NULL;
}

static void configure(AVCodecContext *codec, const AVStream *stream,
                      const MnkDecoderConfig *config) {
  gint64 pixels = (gint64)codec->width * codec->height;
  codec->pkt_timebase = stream->time_base;
  codec->max_pixels = (gint64)MIN(config->max_pixels, (guint64)G_MAXINT64);
  codec->thread_count = config->threads > 0 ? config->threads : pixels >= HD_PIXELS ? 2 : 1;
  codec->thread_type = config->live ? FF_THREAD_SLICE : FF_THREAD_FRAME | FF_THREAD_SLICE;
}

MnkDecoder *mnk_decoder_new(const AVStream *stream, const MnkDecoderConfig *config,
                            const char *name, GError **error) {
  const AVCodec *codec = find_decoder(stream, name, error);
  if (!codec)
    return NULL;
  g_autoptr(AVCodecContext) context = avcodec_alloc_context3(codec);
  if (!context || avcodec_parameters_to_context(context, stream->codecpar) < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "No memory for decoding %s", name);
    return NULL;
  }
  configure(context, stream, config);
  int code = avcodec_open2(context, codec, NULL);
  if (code < 0) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
                "The decoder for '%s' does not take the video of %s: %s", codec->name, name,
                mnk_av_error_text(code, text, sizeof text));
    return NULL;
  }
  MnkDecoder *decoder = g_new0(MnkDecoder, 1);
  decoder->codec = g_steal_pointer(&context);
  return decoder;
}

void mnk_decoder_free(MnkDecoder *decoder) {
  if (!decoder)
    return;
  avcodec_free_context(&decoder->codec);
  g_free(decoder);
}

static gint64 thread_cpu_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

gboolean mnk_decoder_send(MnkDecoder *decoder, const AVPacket *packet, enum AVDiscard discard) {
  gint64 start = thread_cpu_us();
  decoder->codec->skip_frame = discard;
  int code = avcodec_send_packet(decoder->codec, packet);
  decoder->cpu_us += thread_cpu_us() - start;
  return code >= 0 || code == AVERROR_EOF;
}

/* The HEVC, H.264 and AV1 decoders leave the range of grey pictures open where video means the
 * narrow one; in still pictures grey is full. */
static void settle_grey_range(const AVCodecContext *codec, AVFrame *picture) {
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(picture->format);
  const AVCodecDescriptor *about = codec->codec_descriptor;
  gboolean still = !about || (about->props & AV_CODEC_PROP_INTRA_ONLY);
  if (picture->color_range == AVCOL_RANGE_UNSPECIFIED && format && format->nb_components < 3 &&
      !still)
    picture->color_range = AVCOL_RANGE_MPEG;
}

AVFrame *mnk_decoder_receive(MnkDecoder *decoder, guint64 *damaged) {
  AVFrame *picture = av_frame_alloc();
  if (!picture)
    return NULL;
  gint64 start = thread_cpu_us();
  int code = avcodec_receive_frame(decoder->codec, picture);
  /* With threads an old packet's error may come here; the pictures after it are good. */
  for (int tries = 0; code < 0 && code != AVERROR(EAGAIN) && code != AVERROR_EOF && tries < 16;
       tries++) {
    (*damaged)++;
    code = avcodec_receive_frame(decoder->codec, picture);
  }
  decoder->cpu_us += thread_cpu_us() - start;
  if (code < 0) {
    av_frame_free(&picture);
    return NULL;
  }
  settle_grey_range(decoder->codec, picture);
  return picture;
}

void mnk_decoder_flush(MnkDecoder *decoder) {
  avcodec_flush_buffers(decoder->codec);
}

gint64 mnk_decoder_cpu_us(const MnkDecoder *decoder) {
  return decoder->cpu_us;
}
