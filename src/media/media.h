/* media: frames and where they come from. Worker only.
 *
 * A source decodes; each decoded picture becomes a frame that refers to the decoder's own buffer.
 * Pixels are written at most once more, by mnk_frame_convert, for frames that are looked at. */
#ifndef MNK_MEDIA_H
#define MNK_MEDIA_H

#include <glib.h>

#include "base/base.h"

/* ---- Frames ---- */

typedef enum {
  MNK_FRAME_DECODED, /* the decoder's own layout; only mnk_frame_* functions read it */
  MNK_FRAME_I420,    /* 8-bit Y, U, V; full range, in the matrix of the source */
  MNK_FRAME_RGB,     /* 8-bit, packed, sRGB */
} MnkFrameFormat;

/* Immutable once made; refcounted, any thread may hold it. Read the fields, never write them. */
typedef struct {
  MnkFrameFormat format;
  int width,
      height; /* I420, RGB: of the planes. DECODED: as shown, after pixel aspect and rotation */
  const guint8 *planes[3];
  int strides[3];    /* bytes */
  gint64 pts_ms;     /* stream clock */
  guint32 epoch;     /* counts up when the source's clock jumps */
  gint64 arrival_us; /* wall time */
  gboolean sampled;  /* nearest to a point of the sampling grid: may be looked at; others are for
                        cuts and motion only */
  gboolean key;      /* a key frame of the codec */
  guint copies;      /* how often its pixels were written since they were decoded or handed in;
                        tests hold it to <= 1 */
} MnkFrame;

MnkFrame *mnk_frame_ref(const MnkFrame *frame);
void mnk_frame_unref(MnkFrame *frame);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkFrame, mnk_frame_unref)
/* A frame of the caller's own pixels (copied), for tests and pushed pictures. */
MnkFrame *mnk_frame_new_rgb(const guint8 *rgb, int width, int height, int stride, gint64 pts_ms);

/* Scaled so that the long side is at most max_side (never enlarged), square pixels, upright, right
 * colours (matrix and range of the source; high dynamic range is not tone mapped). Of an interlaced
 * picture the top field alone is taken, so that nothing combs. One pass. A frame that already is
 * what is asked for is returned as it is. */
MnkFrame *mnk_frame_convert(const MnkFrame *frame, MnkFrameFormat format, int max_side,
                            GError **error);
/* Luma of the frame as shown, area-averaged to width x height (<= 256), 0..255, full range. Reads a
 * grid of source pixels, not all of them; at most 50 us for 720p. For a rotated frame the thumbnail
 * is upright. */
gboolean mnk_frame_thumbnail(const MnkFrame *frame, guint8 *luma, int width, int height);
/* Mean chroma on a grid of width x height: 2 bytes (U, V) each. FALSE for grey pictures. */
gboolean mnk_frame_chroma(const MnkFrame *frame, guint8 *uv, int width, int height);
/* A JPEG of an RGB or I420 frame; quality 1..100. Caller unrefs. */
GBytes *mnk_frame_to_jpeg(const MnkFrame *frame, int quality, GError **error);
/* Decodes a JPEG (probed and limited first) to RGB, upright as its EXIF orientation says. */
MnkFrame *mnk_frame_from_jpeg(const guint8 *bytes, gsize length, guint64 max_pixels,
                              GError **error);

/* The same for many JPEGs: keeps its decompressor. One thread at a time.
 *
 * Refused, besides what is no JPEG: more than max_pixels, four components, other than 8 bits, more
 * than 100 scans, what is cut off. A picture that is damaged but complete is read. */
typedef struct _MnkJpegReader MnkJpegReader;
MnkJpegReader *mnk_jpeg_reader_new(void);
void mnk_jpeg_reader_free(MnkJpegReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkJpegReader, mnk_jpeg_reader_free)
/* The thumbnail of side x side (<= 256) that the decoded picture would have, near enough for a
 * gate: their mean squared difference is a tenth of what makes two pictures differ (0..1 scale:
 * 0.0001). From a grey picture of reduced size, in half to two thirds of the time of decoding it
 * all. */
gboolean mnk_jpeg_reader_thumbnail(MnkJpegReader *reader, const guint8 *bytes, gsize length,
                                   guint64 max_pixels, guint8 *luma, int side, GError **error);
/* RGB, upright, the long side at most max_side. */
MnkFrame *mnk_jpeg_reader_decode(MnkJpegReader *reader, const guint8 *bytes, gsize length,
                                 guint64 max_pixels, int max_side, GError **error);

/* Conversions done by this process, for the test that counts copies. */
guint64 mnk_frame_conversions(void);

/* ---- Audio ---- */

/* 16 kHz mono float, on the stream's clock. */
typedef struct {
  gint64 pts_ms;
  guint n;
  float *samples; /* owned */
} MnkAudio;
void mnk_audio_free(MnkAudio *audio);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkAudio, mnk_audio_free)

/* ---- Sources ----
 *
 * Sampling. The grid has its points at k / fps seconds of the stream clock. A frame is sampled when
 * it is the nearest one to some point of the grid, the later of two that are equally
 * near; the first frame always is. The choice depends on times alone, never on counting frames.
 *
 * With every_frame FALSE fewer pictures are decoded. Where the file's index shows that key frames
 * are never further apart than the points of the grid, only key frames count: each point gets the
 * nearest key frame, at most half a key-frame interval away. Where they are further apart, the
 * sampled times are exactly those of a full decode, and pictures that no other refers to are left
 * out. */

typedef enum {
  MNK_SOURCE_FILE,   /* an open file descriptor; seekable or not (stdin) */
  MNK_SOURCE_CAMERA, /* /dev/videoN */
  MNK_SOURCE_RTSP,   /* rtsp:// or rtsps:// */
  MNK_SOURCE_HTTP,   /* http:// or https://: a file, a live stream or an HLS playlist */
  MNK_SOURCE_PUSHED, /* no source of its own: frames are handed in (stream/) */
} MnkSourceKind;

typedef struct {
  MnkSourceKind kind;
  const char *address;   /* device path or URL; FILE: the name for messages */
  int fd;                /* FILE: taken over by the source, also on failure; else -1 */
  double fps;            /* sampling grid */
  gint64 from_ms, to_ms; /* FILE: part to read; to_ms < 0: to the end */
  gboolean loop;         /* FILE: start over; times go on counting, epoch stays */
  gboolean realtime;     /* FILE: deliver frames when the clock says so */
  gboolean want_audio;
  gboolean every_frame; /* TRUE: deliver unsampled frames too (cuts, motion); FALSE: sampled ones
                           only, and the decoder may then skip what is not needed */
  gboolean rtsp_udp;
  gint64 timeout_ms;          /* live: nothing for so long is an error */
  guint reconnect_max;        /* RTSP, HTTP */
  const char *outbound_allow; /* RTSP, HTTP: the policy's list (MnkAddressPolicy); NULL: public
                                 addresses only. It holds for every connection that is made */
  guint64 max_pixels;
  int decoder_threads; /* 0: choose */
  gint64 resume_ms; /* FILE: the first pass begins here, later ones at from_ms; <= 0: it does too */
  gint *stop; /* the flag that mnk_source_interrupt sets, held by the caller, who can then give up
                 the opening too; NULL: the source's own */
  MnkClock *clock; /* for realtime and arrival times; NULL: the system's */
} MnkSourceConfig;

typedef struct {
  int width, height;  /* as shown */
  int rotation;       /* degrees clockwise that were applied; a mirrored picture is mirrored back */
  double fps;         /* nominal; 0 unknown */
  gint64 duration_ms; /* < 0: unknown or live */
  gboolean live;
  gboolean has_audio;
  gboolean synthetic_clock; /* the file has no time stamps: counted by the nominal rate */
  char codec[32], container[64];
} MnkSourceInfo;

typedef struct _MnkSource MnkSource;

typedef enum {
  MNK_READ_FRAME,
  MNK_READ_AUDIO,
  MNK_READ_GAP, /* live source was away: gap_start_ms..gap_end_ms of mnk_source_last_gap */
  MNK_READ_END, /* the whole source was delivered */
  MNK_READ_ERROR,
} MnkReadStatus;

/* One clear sentence on failure (names the file or address, and a missing codec by its name). */
MnkSource *mnk_source_open(const MnkSourceConfig *config, GError **error);
void mnk_source_free(MnkSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkSource, mnk_source_free)
const MnkSourceInfo *mnk_source_info(const MnkSource *source);
/* Blocks; one thread. Errors in single packets are skipped and counted; MNK_READ_ERROR is final. A
 * cut off file ends with MNK_READ_END after its last good frame. */
MnkReadStatus mnk_source_read(MnkSource *source, MnkFrame **frame, MnkAudio **audio,
                              GError **error);
void mnk_source_last_gap(const MnkSource *source, gint64 *start_ms, gint64 *end_ms);
/* Makes a blocking read return MNK_READ_ERROR with MNK_ERROR_CANCELLED soon; any thread. */
void mnk_source_interrupt(MnkSource *source);
/* Changes the sampling grid of a running source. Reading thread only. */
void mnk_source_set_fps(MnkSource *source, double fps);

typedef struct {
  guint64 decoded, sampled, damaged_packets, reconnects;
  guint64 times_repaired; /* frames whose missing or repeated time stamp was replaced */
  guint64 times_dropped;  /* frames left out because their time stamp went back */
  gint64 decode_us;       /* CPU time of the reading thread spent decoding */
} MnkSourceCounters;
void mnk_source_counters(const MnkSource *source, MnkSourceCounters *out);

#endif
