#include "media/network_priv.h"

#include <errno.h>
#include <libavutil/avstring.h>
#include <libavutil/opt.h>
#include <string.h>

enum {
  HLS_PATIENCE = 3, /* segments may be longer than the time-out: this many of it are waited */
};

/* What the bytes behind an address may be. As with files: nothing that opens other files or
 * addresses, but for the playlists of HLS, whose entries come through open_nested. */
static const char HTTP_FORMATS[] = "hls,applehttp,mov,matroska,mpegts,mpeg,avi,flv,asf,ogg,mpjpeg,"
                                   "mjpeg,h264,hevc,obu,m4v,mpegvideo,ivf,aac,mp3,webvtt";
static const char HTTP_PROTOCOLS[] = "http,https,tcp,tls,crypto";
static const char RTSP_PROTOCOLS[] = "rtsp,rtsps,rtp,rtcp,srtp,udp,tcp,tls,crypto";
/* Containers without times of their own: pictures as they come. */
static const char UNTIMED[] = "mpjpeg,mjpeg,h264,hevc,obu,m4v,mpegvideo";

/* ---- Why it failed ---- */

/* libavformat has one word for all of these. */
static const char *io_failure(const MnkSource *source) {
  if (source->outbound.allowed == 0)
    return "cannot be reached, or its name is not known";
  if (source->format || source->config.kind == MNK_SOURCE_RTSP)
    return "broke off";
  return g_ascii_strncasecmp(source->address, "https", strlen("https")) == 0
             ? "answers with a redirect, which is not followed, or has a certificate that cannot "
               "be trusted, or broke off"
             : "answers with a redirect, which is not followed, or broke off";
}

/* By the policy; a playlist goes on when a part of it is refused, and has nothing at its end. */
static gboolean is_refused(const MnkSource *source, int code) {
  return source->outbound.refused && (code == AVERROR(EACCES) || code == AVERROR_INVALIDDATA);
}

const char *mnk_network_reason(const MnkSource *source, int code, char *buffer, gsize size) {
  if (is_refused(source, code)) {
    g_snprintf(buffer, size, "%s: %s",
               source->outbound.allowed == 0 ? "is not to be reached"
                                             : "leads to an address that is not to be reached",
               source->outbound.refused->message);
    return buffer;
  }
  if (mnk_network_has_moved(source))
    return "answers with a redirect, which is not followed";
  switch (code) {
  case AVERROR(ECONNREFUSED):
    return "refused the connection";
  case AVERROR(ETIMEDOUT):
  case AVERROR_EXIT:
    return "did not answer in time";
  case AVERROR(EHOSTUNREACH):
  case AVERROR(ENETUNREACH):
    return "cannot be reached";
  case AVERROR(EIO):
    return io_failure(source);
  case AVERROR_HTTP_UNAUTHORIZED:
    return "wants a user name and password, or refused those given";
  case AVERROR_HTTP_FORBIDDEN:
    return "forbids the access";
  case AVERROR_HTTP_NOT_FOUND:
    return source->config.kind == MNK_SOURCE_HTTP ? "has nothing there" : "has no such stream";
  case AVERROR_EOF:
  case AVERROR(ECONNRESET):
  case AVERROR(EPIPE):
    return "closed the connection";
  case AVERROR_INVALIDDATA:
    return source->config.kind == MNK_SOURCE_HTTP ? "gave nothing that is a video"
                                                  : "gave an answer that is not RTSP";
  default:
    g_snprintf(buffer, size, "failed: ");
    mnk_av_error_text(code, buffer + 8, size - 8);
    return buffer;
  }
}

static void set_error(GError **error, const MnkSource *source, int code) {
  char buffer[192];
  if (mnk_source_is_stopped(source)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CANCELLED, "Stopped");
    return;
  }
  MnkErrorCode kind = is_refused(source, code)         ? MNK_ERROR_LIMIT
                      : code == AVERROR_HTTP_NOT_FOUND ? MNK_ERROR_NOT_FOUND
                                                       : MNK_ERROR_SOURCE;
  g_set_error(error, MNK_ERROR, (int)kind, "%s %s", source->name,
              mnk_network_reason(source, code, buffer, sizeof buffer));
}

/* ---- The address ---- */

gboolean mnk_network_prepare(MnkSource *source, GError **error) {
  gboolean http = source->config.kind == MNK_SOURCE_HTTP;
  g_autoptr(MnkUrl) url = mnk_url_parse(source->address, error);
  if (!url)
    return FALSE;
  if (!g_str_equal(url->scheme, http ? "http" : "rtsp") &&
      !g_str_equal(url->scheme, http ? "https" : "rtsps")) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is not an address of %s", source->name,
                http ? "http or https" : "rtsp or rtsps");
    return FALSE;
  }
  source->policy = mnk_address_policy_new(source->config.outbound_allow, error);
  source->outbound.policy = source->policy;
  mnk_outbound_arm();
  return source->policy != NULL;
}

/* ---- Redirects ---- */

/* libavformat tells where an HTTP connection has ended up. */
static gboolean is_elsewhere(AVIOContext *io, const char *url) {
  guint8 *location = NULL;
  if (!io || av_opt_get(io, "location", AV_OPT_SEARCH_CHILDREN, &location) < 0)
    return FALSE;
  gboolean elsewhere = location && strcmp((char *)location, url) != 0;
  av_free(location);
  return elsewhere;
}

gboolean mnk_network_has_moved(const MnkSource *source) {
  const AVFormatContext *format = source->format;
  if (source->moved || !format)
    return source->moved;
  if (source->config.kind == MNK_SOURCE_RTSP)
    return format->url && strcmp(format->url, source->address) != 0;
  return is_elsewhere(format->pb, source->address);
}

/* ---- HTTP ---- */

static void set_http_options(const MnkSource *source, AVDictionary **options) {
  av_dict_set(options, "user_agent", "manako/" MNK_VERSION, 0);
  av_dict_set(options, "http_proxy", "", 0); /* not the environment's */
  av_dict_set(options, "max_redirects", "0", 0);
  av_dict_set(options, "multiple_requests", "0", 0);
  av_dict_set(options, "icy", "0", 0);
  av_dict_set(options, "tls_verify", "1", 0);
  /* A file whose connection breaks off in the middle goes on from there. */
  av_dict_set(options, "reconnect", "1", 0);
  av_dict_set(options, "reconnect_delay_max", "1", 0);
  if (source->config.timeout_ms > 0)
    av_dict_set_int(options, "rw_timeout", source->config.timeout_ms * 1000, 0);
}

/* An address out of a playlist; segments that are encrypted have a word in front of theirs. */
static gboolean may_open(const char *text) {
  if (!g_str_has_prefix(text, "crypto+") || !strchr(text, ':'))
    text += g_str_has_prefix(text, "crypto:") ? strlen("crypto:") : 0;
  else
    text += strlen("crypto+");
  g_autoptr(MnkUrl) url = mnk_url_parse(text, NULL);
  return url && (g_str_equal(url->scheme, "http") || g_str_equal(url->scheme, "https"));
}

/* Opens the address itself and all that a playlist names. */
static int open_nested(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                       AVDictionary **options) {
  MnkSource *source = format->opaque;
  int code = AVERROR(EPERM);
  if (!(flags & AVIO_FLAG_WRITE) && may_open(url)) {
    mnk_interrupt_arm(&source->interrupt, source->config.timeout_ms);
    AVDictionary *own = NULL;
    if (options)
      av_dict_copy(&own, *options, 0);
    set_http_options(source, &own);
    code = source->open_default(format, io, url, flags, &own);
    av_dict_free(&own);
  }
  if (code >= 0 && is_elsewhere(*io, url)) {
    source->moved = TRUE;
    avio_closep(io);
    code = AVERROR(EPERM);
  }
  source->nested_code = code;
  return code;
}

static AVFormatContext *new_http(MnkSource *source, AVDictionary **options) {
  AVFormatContext *format = avformat_alloc_context();
  if (!format)
    return NULL;
  source->open_default = format->io_open;
  format->io_open = open_nested;
  format->opaque = source;
  format->format_whitelist = av_strdup(HTTP_FORMATS);
  format->protocol_whitelist = av_strdup(HTTP_PROTOCOLS);
  if (!format->format_whitelist || !format->protocol_whitelist)
    g_clear_pointer(&format, avformat_free_context);
  /* Each segment by a connection of its own, that is judged. */
  av_dict_set(options, "http_persistent", "0", 0);
  av_dict_set(options, "http_multiple", "0", 0);
  return format;
}

/* ---- RTSP ---- */

static AVFormatContext *new_rtsp(MnkSource *source, AVDictionary **options) {
  AVFormatContext *format = avformat_alloc_context();
  if (!format)
    return NULL;
  format->max_analyze_duration = 3 * AV_TIME_BASE;
  format->protocol_whitelist = av_strdup(RTSP_PROTOCOLS);
  if (!format->protocol_whitelist)
    g_clear_pointer(&format, avformat_free_context);
  av_dict_set(options, "rtsp_transport", source->config.rtsp_udp ? "udp" : "tcp", 0);
  return format;
}

/* ---- Open ---- */

static int open_format(MnkSource *source) {
  gboolean http = source->config.kind == MNK_SOURCE_HTTP;
  const AVInputFormat *input = http ? NULL : av_find_input_format("rtsp");
  if (!http && !input)
    return AVERROR_DEMUXER_NOT_FOUND;
  AVDictionary *options = NULL;
  AVFormatContext *format = http ? new_http(source, &options) : new_rtsp(source, &options);
  int code = AVERROR(ENOMEM);
  if (format) {
    format->interrupt_callback = (AVIOInterruptCB){mnk_interrupt_asked, &source->interrupt};
    mnk_interrupt_arm(&source->interrupt, source->config.timeout_ms);
    code = avformat_open_input(&format, source->address, input, &options);
  }
  av_dict_free(&options);
  if (code >= 0)
    source->format = format;
  return code;
}

/* A stream without length whose pictures have no times is timed by when they come. */
static void choose_clock(MnkSource *source) {
  AVFormatContext *format = source->format;
  if (source->config.kind == MNK_SOURCE_HTTP && !mnk_network_is_finite(source) &&
      av_match_list(format->iformat->name, UNTIMED, ',') > 0)
    format->use_wallclock_as_timestamps = 1;
}

/* What the demuxer says when it was interrupted depends on where it was. */
static void complain(MnkSource *source, int code, GError **error) {
  g_clear_error(error);
  set_error(error, source, mnk_interrupt_asked(&source->interrupt) ? AVERROR_EXIT : code);
}

gboolean mnk_network_open(MnkSource *source, GError **error) {
  source->outbound.allowed = 0;
  g_clear_error(&source->outbound.refused);
  source->moved = FALSE;
  source->nested_code = 0;
  int code = open_format(source);
  if (code < 0 || mnk_network_has_moved(source)) {
    complain(source, code, error);
    return FALSE;
  }
  choose_clock(source);
  mnk_interrupt_arm(&source->interrupt, source->config.timeout_ms);
  gboolean ok = mnk_input_open_streams(source, error);
  /* A stream of which nothing came in time has no size either: say what is the matter. */
  if (!ok && mnk_interrupt_asked(&source->interrupt))
    complain(source, AVERROR_EXIT, error);
  else if (mnk_network_has_moved(source))
    complain(source, 0, error);
  else if (!ok && source->outbound.refused)
    complain(source, AVERROR(EACCES), error);
  return ok && !mnk_network_has_moved(source);
}

/* ---- The end ---- */

static gboolean is_segmented(const MnkSource *source) {
  return source->config.kind == MNK_SOURCE_HTTP &&
         strstr(source->format->iformat->name, "hls") != NULL;
}

gint64 mnk_network_patience_ms(const MnkSource *source) {
  return source->config.timeout_ms * (is_segmented(source) ? HLS_PATIENCE : 1);
}

static gboolean has_duration(const AVFormatContext *format) {
  return format->duration != AV_NOPTS_VALUE && format->duration > 0 &&
         format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE;
}

gboolean mnk_network_is_finite(const MnkSource *source) {
  const AVFormatContext *format = source->format;
  if (source->config.kind != MNK_SOURCE_HTTP)
    return FALSE;
  return has_duration(format) || (!is_segmented(source) && format->pb && avio_size(format->pb) > 0);
}

/* A recording behind RTSP has a length, and comes to its end. */
static gboolean is_at_announced_end(const MnkSource *source) {
  enum { NEAR_US = 1000000 };
  const AVFormatContext *format = source->format;
  return has_duration(format) &&
         source->timeline.last_us + source->timeline.frame_us + NEAR_US >= format->duration;
}

gboolean mnk_network_is_over(const MnkSource *source, int code) {
  if (code != AVERROR_EOF)
    return FALSE;
  if (source->config.kind == MNK_SOURCE_RTSP)
    return is_at_announced_end(source);
  /* Where a playlist cannot be had again, that shows as its end, too. */
  if (is_segmented(source))
    return !source->info.live || source->nested_code >= 0;
  const AVIOContext *io = source->format->pb;
  return !source->info.live && (io->error == 0 || io->error == AVERROR_EOF);
}
