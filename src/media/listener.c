#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>
#include <string.h>

#include "media/decoder_priv.h"
#include "media/libav_priv.h"
#include "media/timeline_priv.h"

enum {
  RATE = 16000,
  SAMPLES_MAX = RATE * 60, /* of one decoded piece; more is damage */
};

struct _MnkListener {
  AVCodecContext *codec;
  AVRational time_base;
  AVFrame *piece;
  SwrContext *resampler; /* for the format below; NULL: none yet */
  int rate, format, channels;
  AVChannelLayout layout;
};

MnkListener *mnk_listener_new(const AVStream *stream) {
  const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
  if (!codec)
    return NULL;
  g_autoptr(MnkListener) listener = g_new0(MnkListener, 1);
  listener->piece = av_frame_alloc();
  listener->codec = avcodec_alloc_context3(codec);
  listener->time_base = stream->time_base;
  if (!listener->piece || !listener->codec ||
      avcodec_parameters_to_context(listener->codec, stream->codecpar) < 0)
    return NULL;
  listener->codec->pkt_timebase = stream->time_base;
  listener->codec->thread_count = 1;
  if (avcodec_open2(listener->codec, codec, NULL) < 0)
    return NULL;
  return g_steal_pointer(&listener);
}

void mnk_listener_free(MnkListener *listener) {
  if (!listener)
    return;
  swr_free(&listener->resampler);
  av_channel_layout_uninit(&listener->layout);
  av_frame_free(&listener->piece);
  avcodec_free_context(&listener->codec);
  g_free(listener);
}

void mnk_audio_free(MnkAudio *audio) {
  if (!audio)
    return;
  g_free(audio->samples);
  g_free(audio);
}

void mnk_listener_send(MnkListener *listener, const AVPacket *packet) {
  (void)avcodec_send_packet(listener->codec, packet);
}

void mnk_listener_flush(MnkListener *listener) {
  avcodec_flush_buffers(listener->codec);
  swr_free(&listener->resampler);
}

/* A resampler for this piece's format; the parameters may change in mid-stream. */
static gboolean prepare(MnkListener *listener, const AVFrame *piece) {
  if (listener->resampler && listener->rate == piece->sample_rate &&
      listener->format == piece->format && listener->channels == piece->ch_layout.nb_channels)
    return TRUE;
  swr_free(&listener->resampler);
  if (piece->sample_rate <= 0 || piece->ch_layout.nb_channels <= 0 ||
      av_channel_layout_copy(&listener->layout, &piece->ch_layout) < 0)
    return FALSE;
  listener->rate = piece->sample_rate;
  listener->format = piece->format;
  listener->channels = piece->ch_layout.nb_channels;
  if (listener->layout.order == AV_CHANNEL_ORDER_UNSPEC)
    av_channel_layout_default(&listener->layout, piece->ch_layout.nb_channels);
  AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
  return swr_alloc_set_opts2(&listener->resampler, &mono, AV_SAMPLE_FMT_FLT, RATE,
                             &listener->layout, piece->format, piece->sample_rate, 0, NULL) >= 0 &&
         swr_init(listener->resampler) >= 0;
}

static MnkAudio *resample(MnkListener *listener, const AVFrame *piece) {
  if (!prepare(listener, piece)) {
    swr_free(&listener->resampler);
    return NULL;
  }
  int room = swr_get_out_samples(listener->resampler, piece->nb_samples);
  if (room <= 0 || room > SAMPLES_MAX)
    return NULL;
  g_autoptr(MnkAudio) audio = g_new0(MnkAudio, 1);
  audio->samples = g_new(float, room);
  guint8 *out[] = {(guint8 *)audio->samples};
  int n = swr_convert(listener->resampler, out, room, (const guint8 **)piece->extended_data,
                      piece->nb_samples);
  if (n <= 0)
    return NULL;
  audio->n = (guint)n;
  return g_steal_pointer(&audio);
}

MnkAudio *mnk_listener_receive(MnkListener *listener, gint64 *raw_us) {
  AVFrame *piece = listener->piece;
  while (avcodec_receive_frame(listener->codec, piece) >= 0) {
    *raw_us = MNK_NO_TIME;
    if (piece->best_effort_timestamp != AV_NOPTS_VALUE) {
      /* What the resampler still holds of the piece before comes first. */
      gint64 held_us = listener->resampler ? swr_get_delay(listener->resampler, G_USEC_PER_SEC) : 0;
      *raw_us =
          av_rescale_q(piece->best_effort_timestamp, listener->time_base, AV_TIME_BASE_Q) - held_us;
    }
    MnkAudio *audio = resample(listener, piece);
    av_frame_unref(piece);
    if (audio)
      return audio;
  }
  return NULL;
}
