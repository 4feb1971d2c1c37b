/* Clips: small videos that the ffmpeg program makes at test time, in the build folder. */
#ifndef CLIPS_H
#define CLIPS_H

#include "media/media.h"

/* The pattern: 256 x 192 pixels, 300 pictures. The upper third holds the picture's number as 16
 * blocks, black or white, in two rows; below lie red and green over blue and white. */
enum { PATTERN_WIDTH = 256, PATTERN_HEIGHT = 192, PATTERN_FRAMES = 300 };
/* Options that read it at a rate. */
char *clip_pattern(const char *rate);

/* Makes a file with the given options unless it is there; NULL after g_test_skip() when ffmpeg is
 * missing or cannot. Caller frees. */
char *clip_make(const char *name, const char *input, const char *output);
/* The pattern at 25 pictures a second, coded with the given options. */
char *clip_coded(const char *name, const char *options);
#define CLIP_H264 "-c:v libx264 -bf 2 -g 50 -preset veryfast "
/* The number in a frame of the pattern, -1 when it is not one. */
int clip_number(const MnkFrame *frame);

/* A configuration for a file with all defaults: 1 frame a second, all sampled ones. */
MnkSourceConfig clip_config(const char *path);
/* Opens it; the test fails if that fails. */
MnkSource *clip_open(const MnkSourceConfig *config);

/* Everything a source delivers. */
typedef struct {
  GPtrArray *frames; /* MnkFrame */
  GPtrArray *audio;  /* MnkAudio */
  MnkReadStatus last;
  GError *error;
} ClipRead;
ClipRead *clip_read(MnkSource *source, guint max_frames);
void clip_read_free(ClipRead *read);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClipRead, clip_read_free)
static inline MnkFrame *clip_frame(const ClipRead *read, guint i) {
  return g_ptr_array_index(read->frames, i);
}
/* "0:0 1000:25 ..." time and number of the sampled frames; for comparing. */
char *clip_samples(const ClipRead *read);

/* Fails to open the file and gives the message. */
char *clip_refusal(const char *path, int *code);

/* A file in the build folder with these bytes. */
char *clip_write(const char *name, const void *bytes, gsize length);

#endif
