/* Source, inside: one input, its decoders, and the way of a packet to a frame.
 *
 *   demuxer -> plan -> decoder -> timeline -> sampler -> ready -> mnk_source_read
 *
 * source.c holds the public face; input.c opens streams; intake.c takes packets and pictures in;
 * file.c, live.c and grid.c move it on by one step. */
#ifndef MNK_MEDIA_SOURCE_PRIV_H
#define MNK_MEDIA_SOURCE_PRIV_H

#include "base/base.h"
#include "media/connect_priv.h"
#include "media/decoder_priv.h"
#include "media/frame_priv.h"
#include "media/io_priv.h"
#include "media/keys_priv.h"
#include "media/libav_priv.h"
#include "media/plan_priv.h"
#include "media/sampler_priv.h"
#include "media/timeline_priv.h"

/* What mnk_source_read hands out next. */
typedef struct {
  MnkReadStatus status;
  MnkFrame *frame;
  MnkAudio *audio;
  gint64 start_ms, end_ms; /* of a gap */
} MnkReady;
void mnk_ready_free(MnkReady *ready);

/* A live source that was lost. */
typedef struct {
  gboolean away;       /* no frame since it was lost */
  gint64 last_mono_us; /* when the last frame came */
  guint attempts;      /* to reach it again, since the last frame */
  gint64 backoff_ms;
} MnkAbsence;

struct _MnkSource {
  MnkSourceConfig config; /* its address is this source's own */
  char *address, *name;   /* name: for messages, without a password */
  MnkClock *clock;
  MnkSourceInfo info;
  MnkSourceCounters counters;
  MnkInterrupt interrupt;
  gint own_stop; /* atomic: when the caller holds no flag */

  /* input.c */
  MnkFdIo *io; /* files */
  AVFormatContext *format;
  AVPacket *packet;
  int video, audio; /* stream numbers; -1: none */
  MnkDecoder *decoder;
  MnkListener *listener;
  gint64 decode_us; /* of decoders that are gone */

  /* intake.c */
  MnkPlan *plan;
  MnkTimeline timeline;
  MnkSampler sampler;
  guint64 counted;                 /* pictures, for the synthetic clock */
  gint64 start_us;                 /* raw time of the stream's zero */
  gint64 wanted_us;                /* raw; earlier pictures are left out */
  gint64 until_us;                 /* raw; MNK_NO_TIME: to the end */
  gint64 raw_last_us;              /* of the last picture kept */
  gint64 raw_end_us;               /* end of the latest video packet seen */
  guint64 kept;                    /* frames kept since the start or the last loop */
  gboolean video_done, audio_done; /* until_us was passed */

  /* file.c, grid.c */
  MnkPlanMode mode;
  gint64 back_us;      /* a seek went so far back from wanted_us, and must still show that it was
                          enough; 0: it has */
  gboolean missed;     /* it was not */
  gboolean may_seek;   /* the demuxer may */
  gboolean by_seeking; /* grid.c, rather than reading on */
  MnkKeys *keys;       /* NULL: the file has no index that tells */
  guint next_key;
  gboolean input_ended;
  guint read_failures;

  /* live.c */
  MnkAbsence absence;
  gboolean waiting; /* for a packet: its deadline runs */

  /* network.c */
  MnkAddressPolicy *policy;
  MnkOutbound outbound;
  int (*open_default)(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                      AVDictionary **options); /* libavformat's own */
  int nested_code;                             /* of the last address that the demuxer opened */
  gboolean moved;                              /* one of them sent it elsewhere */

  /* source.c */
  GQueue ready;
  gboolean ended;
  GError *failure;
  gboolean pacing;
  gint64 pace_mono_us, pace_pts_ms;
  gint64 gap_start_ms, gap_end_ms;
};

/* ---- input.c ---- */

/* Finds the streams of source->format and opens their decoders; fills in info. */
gboolean mnk_input_open_streams(MnkSource *source, GError **error);
/* Closes demuxer and decoders; what was counted stays. */
void mnk_input_close(MnkSource *source);
/* The time stamp in microseconds, MNK_NO_TIME for none. */
gint64 mnk_input_raw_us(const MnkSource *source, int stream, gint64 timestamp);

/* ---- intake.c ---- */

/* Takes the contents of source->packet: video to the plan, audio through its decoder. */
void mnk_intake_packet(MnkSource *source);
/* Decodes the plan's next packet. FALSE: the plan wants more packets first. */
gboolean mnk_intake_decode(MnkSource *source);
/* Sends a packet (NULL: the end) and takes in all pictures that come of it. */
void mnk_intake_video(MnkSource *source, const AVPacket *packet, enum AVDiscard discard);
void mnk_intake_audio(MnkSource *source, const AVPacket *packet);
/* Hands the held frame on; end_ms: when its picture ends. */
void mnk_intake_flush(MnkSource *source, gint64 end_ms, gboolean starts_over);
/* Hands a frame on, if it is one to deliver. Takes it; NULL is nothing. */
void mnk_intake_emit(MnkSource *source, MnkFrame *frame);
/* Stream time at which the pictures read so far end. */
gint64 mnk_intake_end_us(const MnkSource *source);

/* ---- file.c ---- */

gboolean mnk_file_open(MnkSource *source, GError **error);
void mnk_file_step(MnkSource *source);
/* The way of decoding that fits the grid. */
void mnk_file_choose_mode(MnkSource *source);
/* The same in mid-file: goes on after the last picture. */
void mnk_file_change_mode(MnkSource *source);
/* Whether the first picture after a seek comes too late: it is not taken, the next step seeks
 * again. */
gboolean mnk_file_missed(MnkSource *source, gint64 raw_us);
/* The end of the file or of its wanted part: the next round, or the end. */
void mnk_file_finish_pass(MnkSource *source);

/* ---- grid.c ---- */

/* From the key frame of one grid point straight to the next one's. */
void mnk_grid_step(MnkSource *source);
/* The number of the first key frame after a raw time. */
guint mnk_grid_first_after(const MnkSource *source, gint64 raw_us);

/* ---- live.c ---- */

gboolean mnk_live_open(MnkSource *source, GError **error);
void mnk_live_step(MnkSource *source);

/* ---- source.c ---- */

/* Ends reading with an error; the first one stays. */
void mnk_source_fail(MnkSource *source, MnkErrorCode code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
gboolean mnk_source_is_stopped(const MnkSource *source);

#endif
