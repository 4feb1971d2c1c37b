#include "media/libav_priv.h"

#include <libavdevice/avdevice.h>
#include <libavutil/display.h>
#include <string.h>

#include "base/base.h"

/* No single buffer of a decoder or demuxer is larger: a plane of the largest picture that an option
 * allows (268 million pixels of 16 bits), or a packet. */
#define ALLOCATION_MAX (512u << 20)

static void log_line(void *object, int level, const char *format, va_list arguments) {
  if (level > AV_LOG_VERBOSE || !mnk_log_enabled(MNK_LOG_DEBUG))
    return;
  char line[1024];
  int print_prefix = 1;
  av_log_format_line2(object, level, format, arguments, line, sizeof line, &print_prefix);
  g_strchomp(line);
  if (*line)
    mnk_debug("media", NULL, "event=libav message=\"%s\"", line);
}

static gpointer setup_once(gpointer unused) {
  av_log_set_callback(log_line);
  av_max_alloc(ALLOCATION_MAX);
  avdevice_register_all();
  return NULL;
}

void mnk_av_setup(void) {
  static GOnce once = G_ONCE_INIT;
  g_once(&once, setup_once, NULL);
}

const gint32 *mnk_av_stream_matrix(const AVStream *stream) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
  const AVPacketSideData *side =
      av_packet_side_data_get(stream->codecpar->coded_side_data,
                              stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  const guint8 *bytes = side ? side->data : NULL;
  gsize size = side ? side->size : 0;
#else
  size_t size = 0;
  const guint8 *bytes = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
#endif
  return bytes && size >= 9 * sizeof(gint32) ? (const gint32 *)(gconstpointer)bytes : NULL;
}

const char *mnk_av_error_text(int code, char *buffer, gsize size) {
  if (av_strerror(code, buffer, size) < 0)
    g_snprintf(buffer, size, "error %d", code);
  return buffer;
}
