#include <libavutil/avstring.h>

#include "media/network_priv.h"

/* A rate outside this is a time base that was taken for one. */
enum { FPS_MAX = 480 };

/* ---- Which streams ---- */

static gboolean is_cover(const AVStream *stream) {
  return (stream->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
}

static int find_video(AVFormatContext *format) {
  int best = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
  return best >= 0 && !is_cover(format->streams[best]) ? best : -1;
}

static void complain_no_video(const MnkSource *source, GError **error) {
  int audio = av_find_best_stream(source->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
  if (audio >= 0)
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s has no video, only audio (%s)",
                source->name, avcodec_get_name(source->format->streams[audio]->codecpar->codec_id));
  else
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s has no video", source->name);
}

/* libavformat decodes a little to learn about streams: under the same limits. */
static int find_stream_info(MnkSource *source) {
  AVFormatContext *format = source->format;
  guint n = format->nb_streams;
  AVDictionary **options = g_new0(AVDictionary *, n + 1);
  for (guint i = 0; i < n; i++) {
    av_dict_set_int(&options[i], "max_pixels",
                    (gint64)MIN(source->config.max_pixels, (guint64)G_MAXINT32), 0);
    av_dict_set_int(&options[i], "threads", 1, 0);
  }
  int code = avformat_find_stream_info(format, n ? options : NULL);
  for (guint i = 0; i < n; i++)
    av_dict_free(&options[i]);
  g_free(options);
  return code;
}

/* ---- Refused sizes ---- */

/* Keeps the size of the first picture and refuses the memory for it. */
static int note_size(AVCodecContext *codec, AVFrame *picture, int flags) {
  int *size = codec->opaque;
  size[0] = picture->width;
  size[1] = picture->height;
  return AVERROR(ENOMEM);
}

/* The size that made libavformat give up on a stream, from its first packets. */
static void measure(MnkSource *source, const AVStream *stream, int size[2]) {
  const AVCodec *decoder = avcodec_find_decoder(stream->codecpar->codec_id);
  g_autoptr(AVCodecContext) codec = decoder ? avcodec_alloc_context3(decoder) : NULL;
  if (!codec || avcodec_parameters_to_context(codec, stream->codecpar) < 0)
    return;
  codec->opaque = size;
  codec->get_buffer2 = note_size;
  codec->thread_count = 1;
  if (avcodec_open2(codec, decoder, NULL) < 0)
    return;
  for (int i = 0; i < 16 && size[0] == 0; i++) {
    if (av_read_frame(source->format, source->packet) < 0)
      return;
    if (source->packet->stream_index == stream->index)
      (void)avcodec_send_packet(codec, source->packet);
    av_packet_unref(source->packet);
  }
}

static gboolean check_size(MnkSource *source, const AVStream *stream, GError **error) {
  int size[2] = {stream->codecpar->width, stream->codecpar->height};
  if ((size[0] <= 0 || size[1] <= 0) && avcodec_find_decoder(stream->codecpar->codec_id))
    measure(source, stream, size);
  if (size[0] <= 0 || size[1] <= 0) {
    /* A codec that nothing here can decode is the better reason. */
    g_autoptr(MnkDecoder) decoder = mnk_decoder_new(
        stream, &(MnkDecoderConfig){.max_pixels = source->config.max_pixels}, source->name, error);
    if (!decoder)
      return FALSE;
  }
  return mnk_check_picture_size(size[0], size[1], source->config.max_pixels, source->name, error);
}

/* ---- What is known ---- */

static gboolean is_live(const MnkSource *source) {
  return source->config.kind != MNK_SOURCE_FILE && !mnk_network_is_finite(source);
}

static double nominal_fps(AVFormatContext *format, AVStream *stream) {
  AVRational rate = av_guess_frame_rate(format, stream, NULL);
  double fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
  return fps > FPS_MAX ? 0 : fps;
}

static gint64 duration_ms(const MnkSource *source) {
  const AVFormatContext *format = source->format;
  if (source->info.live || format->duration == AV_NOPTS_VALUE || format->duration <= 0 ||
      format->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE)
    return -1;
  return (format->duration + 500) / 1000;
}

/* Elementary streams carry no times; what libavformat gives for some of them is counted, too. */
static gboolean has_no_times(const AVFormatContext *format, const AVStream *stream) {
  static const char elementary[] = "h264,hevc,m4v,mpegvideo,mjpeg,vc1,obu";
  return (format->iformat->flags & AVFMT_NOTIMESTAMPS) ||
         av_match_list(format->iformat->name, elementary, ',') > 0 ||
         (format->start_time == AV_NOPTS_VALUE && stream->start_time == AV_NOPTS_VALUE);
}

static void fill_info(MnkSource *source, AVStream *stream) {
  const AVFormatContext *format = source->format;
  MnkSourceInfo *info = &source->info;
  MnkOrientation orientation = mnk_orientation_from_matrix(mnk_av_stream_matrix(stream));
  AVRational aspect = av_guess_sample_aspect_ratio(source->format, stream, NULL);
  mnk_shown_size(stream->codecpar->width, stream->codecpar->height, aspect, orientation,
                 &info->width, &info->height);
  info->rotation = mnk_orientation_degrees(orientation);
  info->fps = nominal_fps(source->format, stream);
  info->live = is_live(source);
  info->duration_ms = duration_ms(source);
  info->has_audio = source->listener != NULL;
  info->synthetic_clock = !info->live && has_no_times(format, stream);
  g_strlcpy(info->codec, avcodec_get_name(stream->codecpar->codec_id), sizeof info->codec);
  g_strlcpy(info->container, format->iformat->name, sizeof info->container);
}

/* ---- Open and close ---- */

static void choose_audio(MnkSource *source) {
  if (!source->config.want_audio)
    return;
  source->audio =
      av_find_best_stream(source->format, AVMEDIA_TYPE_AUDIO, -1, source->video, NULL, 0);
  if (source->audio < 0)
    return;
  source->listener = mnk_listener_new(source->format->streams[source->audio]);
  if (!source->listener)
    source->audio = -1;
}

gboolean mnk_input_open_streams(MnkSource *source, GError **error) {
  int code = find_stream_info(source);
  source->video = find_video(source->format);
  source->audio = -1;
  if (source->video < 0) {
    if (mnk_source_is_stopped(source))
      g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CANCELLED, "Stopped");
    else if (code < 0)
      g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is damaged: no video can be found",
                  source->name);
    else
      complain_no_video(source, error);
    return FALSE;
  }
  AVStream *stream = source->format->streams[source->video];
  if (!check_size(source, stream, error))
    return FALSE;
  MnkDecoderConfig config = {.threads = source->config.decoder_threads,
                             .max_pixels = source->config.max_pixels,
                             .live = is_live(source)};
  source->decoder = mnk_decoder_new(stream, &config, source->name, error);
  if (!source->decoder)
    return FALSE;
  choose_audio(source);
  for (guint i = 0; i < source->format->nb_streams; i++)
    if ((int)i != source->video && (int)i != source->audio)
      source->format->streams[i]->discard = AVDISCARD_ALL;
  fill_info(source, stream);
  source->plan = mnk_plan_new(stream->codecpar->codec_id, stream->time_base);
  return TRUE;
}

void mnk_input_close(MnkSource *source) {
  if (source->decoder)
    source->decode_us += mnk_decoder_cpu_us(source->decoder);
  g_clear_pointer(&source->decoder, mnk_decoder_free);
  g_clear_pointer(&source->listener, mnk_listener_free);
  g_clear_pointer(&source->plan, mnk_plan_free);
  g_clear_pointer(&source->keys, mnk_keys_free);
  avformat_close_input(&source->format);
}

gint64 mnk_input_raw_us(const MnkSource *source, int stream, gint64 timestamp) {
  if (timestamp == AV_NOPTS_VALUE)
    return MNK_NO_TIME;
  return av_rescale_q(timestamp, source->format->streams[stream]->time_base, AV_TIME_BASE_Q);
}
