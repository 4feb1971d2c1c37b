/* Files: what is refused and how, cut off files, loops, pace, sound, clocks. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "clips.h"
#include "media/source_priv.h"

#define H264 "-c:v libx264 -bf 2 -g 50 -preset veryfast "

static char *pattern_clip(const char *name, const char *options) {
  g_autofree char *input = clip_pattern("25");
  return clip_make(name, input, options);
}

/* ---- Refused ---- */

static void refused(const char *path, int code, const char *part) {
  int got = -1;
  g_autofree char *message = clip_refusal(path, &got);
  g_assert_nonnull(message);
  g_test_message("%s", message);
  g_assert_cmpint(got, ==, code);
  if (!strstr(message, part))
    g_error("'%s' does not say '%s'", message, part);
}

static void refused_bytes(const char *name, const char *bytes, gsize length, const char *part) {
  g_autofree char *path = clip_write(name, bytes, length);
  refused(path, MNK_ERROR_BAD_INPUT, part);
  g_assert_cmpint(g_remove(path), ==, 0);
}

static void test_not_video(void) {
  static const char text[] = "Dear diary,\n\ntoday I named a letter like a film.\n";
  refused_bytes("letter.mp4", text, sizeof text - 1, "is not a video file");
  refused_bytes("empty.mp4", "", 0, "is empty");
  refused_bytes("one.mp4", "x", 1, "is not a video file");
  static const char playlist[] = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\n/etc/passwd\n";
  refused_bytes("list.mp4", playlist, sizeof playlist - 1, "looks like 'hls'");
  static const char concat[] = "ffconcat version 1.0\nfile /etc/hostname\n";
  refused_bytes("concat.mp4", concat, sizeof concat - 1, "looks like 'concat'");
  static const char sdp[] = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
                            "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n";
  refused_bytes("session.mp4", sdp, sizeof sdp - 1, "looks like 'sdp'");
  static const char subtitles[] = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n"
                                  "2\n00:00:03,000 --> 00:00:04,000\nAgain\n";
  refused_bytes("words.mp4", subtitles, sizeof subtitles - 1, "looks like 'srt'");
  refused(".", MNK_ERROR_BAD_INPUT, "is a folder");
}

static void test_no_such_descriptor(void) {
  refused("no-such-file.mp4", MNK_ERROR_NOT_FOUND, "no-such-file.mp4 is not open");
}

static void test_audio_only(void) {
  static const char *const names[][2] = {
      {"sound.mp3", "has no video, only audio (mp3)"},
      {"sound.mp4", "has no video, only audio (aac)"},
      {"sound.wav", "has no video, only audio (pcm_s16le)"},
      {"sound.flac", "has no video, only audio (flac)"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = clip_make(names[i][0], "-f lavfi -i sine=frequency=440:duration=1", "");
    if (path)
      refused(path, MNK_ERROR_BAD_INPUT, names[i][1]);
  }
}

/* The picture on a record's sleeve is no video. */
static void test_cover(void) {
  g_autofree char *path = clip_make(
      "cover.mp3", "-f lavfi -i sine=duration=1 -f lavfi -i color=red:size=64x64:duration=0.04",
      "-map 0 -map 1 -c:v png -frames:v 1 -disposition:v attached_pic -id3v2_version 3");
  if (path)
    refused(path, MNK_ERROR_BAD_INPUT, "only audio (mp3)");
}

static char *altered(const char *path, const char *name, const char *from, const char *to) {
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  gboolean found = FALSE;
  for (char *at = bytes; (at = memmem(at, length - (gsize)(at - bytes), from, strlen(from)));
       at += strlen(to), found = TRUE)
    memcpy(at, to, strlen(to));
  g_assert_true(found);
  return clip_write(name, bytes, length);
}

static void test_no_decoder(void) {
  g_autofree char *path = pattern_clip("plain.mp4", H264);
  if (!path)
    return;
  g_autofree char *unknown = altered(path, "unknown.mp4", "avc1", "zqx1");
  refused(unknown, MNK_ERROR_UNSUPPORTED, "video codec 'zqx1'");
  g_autofree char *avi = pattern_clip("plain.avi", "-c:v mpeg4 -vtag XVID");
  if (!avi)
    return;
  g_autofree char *unknown_avi = altered(avi, "unknown.avi", "XVID", "ZQX2");
  refused(unknown_avi, MNK_ERROR_UNSUPPORTED, "video codec 'ZQX2'");
}

/* ---- Limits ---- */

static void test_too_large(void) {
  static const char *const names[] = {"large.png", "large.jpg", "large.mp4",
                                      "large.mkv", "large.ts",  "large.gif"};
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path =
        clip_make(names[i], "-f lavfi -i color=gray:size=640x480:rate=5", "-frames:v 3 -update 1");
    if (!path) {
      path = clip_make(names[i], "-f lavfi -i color=gray:size=640x480:rate=5", "-frames:v 3");
      if (!path)
        continue;
    }
    MnkSourceConfig config = clip_config(path);
    config.max_pixels = 640 * 480 - 1;
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
    g_assert_null(source);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
    g_assert_nonnull(strstr(error->message, "640 x 480"));
    g_assert_nonnull(strstr(error->message, "307199"));
    config = clip_config(path);
    config.max_pixels = 640 * 480;
    g_autoptr(MnkSource) other = clip_open(&config);
    g_autoptr(ClipRead) read = clip_read(other, 1);
    g_assert_cmpuint(read->frames->len, ==, 1);
  }
}

/* A header that says 30,000 x 30,000 is refused, whatever follows it. */
static void test_giant_header(void) {
  g_autofree char *path =
      clip_make("tiny.png", "-f lavfi -i color=gray:size=64x64:rate=5", "-frames:v 1");
  if (!path)
    return;
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  static const guint8 giant[] = {0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30};
  static const guint8 none[] = {0, 0, 0, 0, 0, 0, 0, 0};
  /* IHDR: 8 bytes of signature, length, type, then width and height; its checksum is not looked at
   * before the size. */
  memcpy(bytes + 16, giant, sizeof giant);
  g_autofree char *large = clip_write("giant.png", bytes, length);
  int code;
  g_autofree char *message = clip_refusal(large, &code);
  g_assert_nonnull(message);
  g_test_message("%s", message);
  g_assert_true(code == MNK_ERROR_LIMIT || code == MNK_ERROR_BAD_INPUT);
  memcpy(bytes + 16, none, sizeof none);
  g_autofree char *zero = clip_write("zero.png", bytes, length);
  g_autofree char *other = clip_refusal(zero, &code);
  g_assert_nonnull(other);
  g_test_message("%s", other);
  g_assert_cmpint(code, ==, MNK_ERROR_BAD_INPUT);
}

/* ---- Nothing but the descriptor is opened ---- */

/* A QuickTime file whose media lies in another file: that one is never opened. */
static void test_external_reference(void) {
  g_autofree char *path = pattern_clip("plain.mp4", H264);
  if (!path)
    return;
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  /* The data reference "url " with flag 1 (in this file) loses the flag: it points elsewhere. */
  char *reference = memmem(bytes, length, "url \0\0\0\1", 8);
  g_assert_nonnull(reference);
  reference[7] = 0;
  g_autofree char *other = clip_write("reference.mp4", bytes, length);
  MnkSourceConfig config = clip_config(other);
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
  if (source) {
    AVFormatContext *format = source->format;
    AVIOContext *io = NULL;
    g_assert_cmpint(format->io_open(format, &io, "/etc/hostname", AVIO_FLAG_READ, NULL), <, 0);
    g_assert_cmpstr(format->protocol_whitelist, ==, "");
  }
}

/* The descriptor's own position is neither used nor moved: another process may share it. */
static void test_position(void) {
  g_autofree char *path = pattern_clip("plain.mp4", H264);
  if (!path)
    return;
  MnkSourceConfig config = clip_config(path);
  int mine = dup(config.fd);
  g_assert_cmpint(lseek(mine, 4711, SEEK_SET), ==, 4711);
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_cmpuint(read->frames->len, ==, 12);
  g_assert_cmpint(lseek(mine, 0, SEEK_CUR), ==, 4711);
  close(mine);
}

/* ---- Damage ---- */

static void read_cut(const char *path, gsize length, gsize cut, guint *frames, gboolean *refusal) {
  g_autofree char *bytes = NULL;
  gsize all;
  g_assert_true(g_file_get_contents(path, &bytes, &all, NULL));
  g_autofree char *name = g_strdup_printf("cut-%d.bin", (int)cut);
  g_autofree char *part = clip_write(name, bytes, cut);
  MnkSourceConfig config = clip_config(part);
  config.every_frame = TRUE;
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
  *frames = 0;
  if (source) {
    g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
    *frames = read->frames->len;
    for (guint i = 0; i < read->frames->len; i++)
      g_assert_cmpint(clip_number(clip_frame(read, i)) * 40, ==, clip_frame(read, i)->pts_ms);
    if (*frames > 0)
      g_assert_cmpint(read->last, ==, MNK_READ_END);
    error = g_steal_pointer(&read->error);
  }
  *refusal = error != NULL;
  if (error) {
    g_test_message("%d%%: %s", (int)(cut * 100 / length), error->message);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  }
  g_assert_true(*refusal || *frames > 0);
  g_assert_cmpint(g_remove(part), ==, 0);
}

static void test_cut_off(gconstpointer data) {
  const char *const *coding = data;
  g_autofree char *path = pattern_clip(coding[0], coding[1]);
  if (!path)
    return;
  GStatBuf about;
  g_assert_cmpint(g_stat(path, &about), ==, 0);
  gsize length = (gsize)about.st_size;
  gboolean index_first = coding[2] != NULL;
  guint before = 0;
  for (int percent = 10; percent <= 100; percent += 10) {
    guint frames;
    gboolean refusal;
    read_cut(path, length, length * percent / 100, &frames, &refusal);
    g_test_message("%d%%: %u frames", percent, frames);
    if (percent == 100)
      g_assert_cmpuint(frames, ==, PATTERN_FRAMES);
    else if (!index_first)
      g_assert_true(refusal);
    else if (percent >= 20)
      g_assert_cmpuint(frames, >, 0);
    g_assert_cmpuint(frames, >=, before);
    before = frames;
  }
}

#define NOISY "-vf noise=alls=20:allf=t "
static const char *const cuts[][3] = {
    {"cut.mp4", NOISY H264, NULL},
    {"cut-faststart.mp4", NOISY H264 "-movflags +faststart", "yes"},
    {"cut-fragmented.mp4", NOISY H264 "-movflags +frag_keyframe+empty_moov", "yes"},
    {"cut.mkv", NOISY H264, "yes"},
    {"cut.ts", NOISY H264, "yes"},
    {"cut.avi", NOISY "-c:v mpeg4 -q:v 4", "yes"},
};

/* Bytes turned over: what can be decoded comes, the rest is counted, and it ends. */
static void test_flipped_bytes(gconstpointer data) {
  const char *const *coding = data;
  g_autofree char *path = pattern_clip(coding[0], coding[1]);
  if (!path)
    return;
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  g_autofree char *good = g_memdup2(bytes, length);
  for (guint32 seed = 0; seed < 8; seed++) {
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    memcpy(bytes, good, length);
    int n = 4 << seed % 4 * 2;
    for (int i = 0; i < n; i++)
      bytes[g_rand_int_range(rand, 0, (gint32)length)] ^= (char)g_rand_int_range(rand, 1, 256);
    g_autofree char *name = g_strconcat("flipped-", coding[0], NULL);
    g_autofree char *other = clip_write(name, bytes, length);
    for (int every = 0; every < 2; every++) {
      MnkSourceConfig config = clip_config(other);
      config.every_frame = every;
      config.want_audio = TRUE;
      g_autoptr(GError) error = NULL;
      g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
      if (!source)
        continue;
      g_autoptr(ClipRead) read = clip_read(source, 5000);
      gint64 last = -1;
      for (guint k = 0; k < read->frames->len; k++) {
        g_assert_cmpint(clip_frame(read, k)->pts_ms, >, last);
        last = clip_frame(read, k)->pts_ms;
      }
    }
    g_assert_cmpint(g_remove(other), ==, 0);
  }
}

/* ---- Pipes ---- */

static gpointer feed(gpointer data) {
  g_autofree char *bytes = NULL;
  gsize length, done = 0;
  const char *path = ((char **)data)[0];
  int fd = GPOINTER_TO_INT(((gpointer *)data)[1]);
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  while (done < length) {
    gssize n = write(fd, bytes + done, MIN(length - done, 5000));
    if (n < 0)
      break;
    done += (gsize)n;
  }
  close(fd);
  return NULL;
}

static MnkSource *open_pipe(const char *path, GThread **feeder, gpointer context[2]) {
  int ends[2];
  g_assert_cmpint(pipe(ends), ==, 0);
  context[0] = (gpointer)path;
  context[1] = GINT_TO_POINTER(ends[1]);
  *feeder = g_thread_new("feed", feed, context);
  MnkSourceConfig config = clip_config(path);
  close(config.fd);
  config.fd = ends[0];
  config.address = "standard input";
  g_autoptr(GError) error = NULL;
  MnkSource *source = mnk_source_open(&config, &error);
  g_assert_no_error(error);
  return source;
}

static void test_pipe(void) {
  static const char *const names[][2] = {
      {"piped.ts", H264}, {"piped.mkv", H264}, {"piped.mp4", H264 "-movflags +faststart"}};
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = pattern_clip(names[i][0], names[i][1]);
    if (!path)
      return;
    GThread *feeder;
    gpointer context[2];
    g_autoptr(MnkSource) source = open_pipe(path, &feeder, context);
    g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
    g_assert_cmpint(read->last, ==, MNK_READ_END);
    g_assert_cmpuint(read->frames->len, ==, 12);
    g_thread_join(feeder);
  }
}

static gpointer interrupt_soon(gpointer source) {
  g_usleep(100000);
  mnk_source_interrupt(source);
  return NULL;
}

/* A writer that falls silent: an interrupt ends the wait. */
static void test_interrupt(void) {
  g_autofree char *path = pattern_clip("piped.ts", H264);
  if (!path)
    return;
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  int ends[2];
  g_assert_cmpint(pipe(ends), ==, 0);
  g_assert_cmpint(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), >=, (int)length / 2);
  g_assert_cmpint(write(ends[1], bytes, length / 2), ==, (gssize)length / 2);
  MnkSourceConfig config = clip_config(path);
  close(config.fd);
  config.fd = ends[0];
  /* Probing reads ahead: with half the file it would wait as well. */
  g_autoptr(GError) error = NULL;
  MnkSource *source = NULL;
  if (length / 2 > 5000000)
    return;
  close(ends[1]);
  source = mnk_source_open(&config, &error);
  g_assert_no_error(error);
  GThread *thread = g_thread_new("interrupt", interrupt_soon, source);
  g_thread_join(thread);
  MnkFrame *frame;
  MnkAudio *audio;
  g_assert_cmpint(mnk_source_read(source, &frame, &audio, &error), ==, MNK_READ_ERROR);
  g_assert_error(error, MNK_ERROR, MNK_ERROR_CANCELLED);
  mnk_source_free(source);
}

/* ---- Loops and pace ---- */

static void test_loop(gconstpointer data) {
  const char *const *coding = data;
  g_autofree char *path = pattern_clip(coding[0], coding[1]);
  if (!path)
    return;
  for (int every = 0; every < 2; every++) {
    MnkSourceConfig config = clip_config(path);
    config.loop = TRUE;
    config.every_frame = every;
    g_autoptr(MnkSource) source = clip_open(&config);
    g_autoptr(ClipRead) read = clip_read(source, every ? 3 * PATTERN_FRAMES : 36);
    gint64 last = -1;
    for (guint i = 0; i < read->frames->len; i++) {
      const MnkFrame *frame = clip_frame(read, i);
      g_assert_cmpint(frame->epoch, ==, 0);
      g_assert_cmpint(frame->pts_ms, >, last);
      if (every) {
        g_assert_cmpint(frame->pts_ms, ==, 40 * (gint64)i);
        g_assert_cmpint(clip_number(frame), ==, (int)i % PATTERN_FRAMES);
      } else {
        g_assert_cmpint(frame->pts_ms, ==, 1000 * (gint64)i);
        g_assert_cmpint(clip_number(frame), ==, (int)i % 12 * 25);
      }
      last = frame->pts_ms;
    }
  }
}

static const char *const loops[][2] = {
    {"loop.mp4", H264},
    {"loop.ts", H264},
    {"loop.mkv", H264},
    {"loop.h264", H264},
    {"loop.avi", "-c:v mjpeg -q:v 4"},
    {"loop-keys.mp4", "-c:v libx264 -g 5 -bf 0 -preset veryfast"},
};

static void test_loop_part(void) {
  g_autofree char *path = pattern_clip("loop.mp4", H264);
  if (!path)
    return;
  MnkSourceConfig config = clip_config(path);
  config.loop = TRUE;
  config.every_frame = TRUE;
  config.from_ms = 3000;
  config.to_ms = 5000;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, 150);
  for (guint i = 0; i < 150; i++) {
    g_assert_cmpint(clip_frame(read, i)->pts_ms, ==, 3000 + 40 * (gint64)i);
    g_assert_cmpint(clip_number(clip_frame(read, i)), ==, 75 + (int)i % 50);
  }
}

/* Without an index a seek lands anywhere; the part asked for is complete all the same. */
static void test_part_without_index(void) {
  static const char *const names[][2] = {
      {"part.ts", "-c:v libx264 -bf 2 -g 125 -preset veryfast"},
      {"part.mpg", "-c:v mpeg2video -bf 2 -g 100 -q:v 4"},
      {"part.h264", "-c:v libx264 -bf 2 -g 125 -preset veryfast"},
      {"part.mkv", "-c:v libx264 -bf 2 -g 125 -preset veryfast"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = pattern_clip(names[i][0], names[i][1]);
    if (!path)
      return;
    for (int from = 0; from < 12; from += 3) {
      MnkSourceConfig config = clip_config(path);
      config.every_frame = TRUE;
      config.from_ms = 1000 * from + 480;
      config.to_ms = config.from_ms + 1000;
      g_autoptr(MnkSource) source = clip_open(&config);
      g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
      g_assert_cmpint(read->last, ==, MNK_READ_END);
      g_assert_cmpuint(read->frames->len, ==, 25);
      for (guint k = 0; k < 25; k++)
        g_assert_cmpint(clip_number(clip_frame(read, k)), ==, 25 * from + 12 + (int)k);
    }
  }
}

static void test_loop_pipe(void) {
  int ends[2];
  g_assert_cmpint(pipe(ends), ==, 0);
  MnkSourceConfig config = clip_config("-");
  config.fd = ends[0];
  config.loop = TRUE;
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_source_open(&config, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_USAGE);
  close(ends[1]);
}

static gpointer advance(gpointer data) {
  MnkClock *clock = ((gpointer *)data)[0];
  gint *stop = ((gpointer *)data)[1];
  while (!g_atomic_int_get(stop)) {
    mnk_clock_advance(clock, 10000);
    g_usleep(200);
  }
  return NULL;
}

/* In real time a frame comes when the clock says so, not before. */
static void test_realtime(void) {
  g_autofree char *path = pattern_clip("loop.mp4", H264);
  if (!path)
    return;
  g_autoptr(MnkClock) clock = mnk_clock_fake_new(1000000, 5000000);
  gint stop = 0;
  gpointer context[] = {clock, &stop};
  MnkSourceConfig config = clip_config(path);
  config.clock = clock;
  config.realtime = TRUE;
  config.every_frame = TRUE;
  g_autoptr(MnkSource) source = clip_open(&config);
  GThread *thread = g_thread_new("clock", advance, context);
  gint64 start = 0;
  for (int i = 0; i < 50; i++) {
    MnkFrame *frame;
    MnkAudio *audio;
    g_assert_cmpint(mnk_source_read(source, &frame, &audio, NULL), ==, MNK_READ_FRAME);
    gint64 now = mnk_clock_mono_us(clock);
    if (i == 0)
      start = now;
    /* The first one starts the pace a moment before it is handed out. */
    g_assert_cmpint(now - start + 20000, >=, frame->pts_ms * 1000 - 200000);
    g_assert_cmpint(frame->arrival_us, <=, mnk_clock_wall_us(clock));
    g_assert_cmpint(frame->arrival_us - 5000000 + 1000000, >=, frame->pts_ms * 1000);
    mnk_frame_unref(frame);
  }
  g_atomic_int_set(&stop, 1);
  g_thread_join(thread);
}

/* ---- Clocks ---- */

static void test_start_time(void) {
  /* MPEG-TS starts at 1.4 s or where it likes. */
  g_autofree char *path = pattern_clip("late.ts", H264 "-output_ts_offset 5000");
  if (!path)
    return;
  MnkSourceConfig config = clip_config(path);
  config.every_frame = TRUE;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, 10);
  g_assert_cmpint(clip_frame(read, 0)->pts_ms, ==, 0);
  g_assert_cmpint(clip_frame(read, 9)->pts_ms, ==, 360);
  g_assert_false(mnk_source_info(source)->synthetic_clock);
}

static void test_no_time_stamps(void) {
  static const char *const names[][2] = {
      {"raw.h264", H264 "-bsf:v h264_mp4toannexb"},
      {"raw.m4v", "-c:v mpeg4 -q:v 4 -f m4v"},
      {"raw.m2v", "-c:v mpeg2video -q:v 4 -bf 2"},
      {"raw.hevc", "-c:v libx265 -preset ultrafast -x265-params log-level=error"},
      {"raw.mjpeg", "-c:v mjpeg -q:v 4"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = pattern_clip(names[i][0], names[i][1]);
    if (!path)
      continue;
    MnkSourceConfig config = clip_config(path);
    config.every_frame = TRUE;
    g_autoptr(MnkSource) source = clip_open(&config);
    g_assert_true(mnk_source_info(source)->synthetic_clock);
    g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
    g_assert_cmpuint(read->frames->len, ==, PATTERN_FRAMES);
    for (guint k = 0; k < read->frames->len; k++) {
      g_assert_cmpint(clip_frame(read, k)->pts_ms, ==, 40 * (gint64)k);
      g_assert_cmpint(clip_number(clip_frame(read, k)), ==, (int)k);
    }
  }
}

/* Two recordings one after the other: the clock jumps, the times go on. */
static void test_splice(void) {
  g_autofree char *first = pattern_clip("first.ts", H264 "-frames:v 100 -output_ts_offset 100");
  g_autofree char *second = pattern_clip("second.ts", H264 "-frames:v 100 -output_ts_offset 20");
  if (!first || !second)
    return;
  g_autofree char *a = NULL, *b = NULL;
  gsize n_a, n_b;
  g_assert_true(g_file_get_contents(first, &a, &n_a, NULL));
  g_assert_true(g_file_get_contents(second, &b, &n_b, NULL));
  g_autoptr(GByteArray) both = g_byte_array_new();
  g_byte_array_append(both, (guint8 *)a, (guint)n_a);
  g_byte_array_append(both, (guint8 *)b, (guint)n_b);
  g_autofree char *path = clip_write("splice.ts", both->data, both->len);
  for (int every = 0; every < 2; every++) {
    MnkSourceConfig config = clip_config(path);
    config.every_frame = every;
    g_autoptr(MnkSource) source = clip_open(&config);
    g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
    g_assert_cmpint(read->last, ==, MNK_READ_END);
    gint64 last = -1;
    for (guint i = 0; i < read->frames->len; i++) {
      g_assert_cmpint(clip_frame(read, i)->pts_ms, >, last);
      last = clip_frame(read, i)->pts_ms;
    }
    const MnkFrame *end = clip_frame(read, read->frames->len - 1);
    g_assert_cmpuint(end->epoch, ==, 1);
    if (every) {
      g_assert_cmpuint(read->frames->len, ==, 200);
      g_assert_cmpint(last, ==, 199 * 40);
      /* The first frame of an epoch is sampled: something new begins. */
      g_assert_true(clip_frame(read, 100)->sampled);
      g_assert_cmpuint(clip_frame(read, 99)->epoch, ==, 0);
    }
  }
}

/* ---- Still pictures ---- */

static void test_still(void) {
  static const char *const names[] = {"still.png", "still.jpg", "still.webp", "still.bmp",
                                      "still.tiff"};
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path =
        clip_make(names[i], "-f lavfi -i testsrc2=size=320x240:rate=1", "-frames:v 1");
    if (!path)
      continue;
    MnkSourceConfig config = clip_config(path);
    g_autoptr(MnkSource) source = clip_open(&config);
    g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
    g_assert_cmpint(read->last, ==, MNK_READ_END);
    g_assert_cmpuint(read->frames->len, ==, 1);
    g_assert_true(clip_frame(read, 0)->sampled);
    g_assert_cmpint(clip_frame(read, 0)->pts_ms, ==, 0);
    g_assert_cmpint(clip_frame(read, 0)->width, ==, 320);
  }
}

/* ---- Sound ---- */

/* A tone that is there in the second second only: on the clock of the pictures. */
static void test_sound(gconstpointer data) {
  const char *const *coding = data;
  g_autofree char *path =
      clip_make(coding[0],
                "-f lavfi -i testsrc2=size=160x120:rate=25:duration=3 -f lavfi -i "
                "aevalsrc=exprs='0.5*sin(2*PI*1000*t)*between(t\\,1\\,2)|0.5*sin(2*PI*1000*t)*"
                "between(t\\,1\\,2)'"
                ":sample_rate=44100:duration=3",
                coding[1]);
  if (!path)
    return;
  MnkSourceConfig config = clip_config(path);
  config.want_audio = TRUE;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_assert_true(mnk_source_info(source)->has_audio);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_cmpint(read->last, ==, MNK_READ_END);
  g_assert_cmpuint(read->frames->len, >=, 3);
  double power[3] = {0};
  guint total = 0;
  for (guint i = 0; i < read->audio->len; i++) {
    const MnkAudio *audio = g_ptr_array_index(read->audio, i);
    total += audio->n;
    for (guint k = 0; k < audio->n; k++) {
      double second = audio->pts_ms / 1000.0 + k / 16000.0;
      /* 50 ms around the edges may go either way: codecs smear. */
      if (fabs(second - round(second)) > 0.05 && second >= 0 && second < 3)
        power[(int)second] += audio->samples[k] * audio->samples[k];
    }
  }
  g_test_message("%u samples, power %.1f %.1f %.1f", total, power[0], power[1], power[2]);
  g_assert_cmpuint(total, >, 16000 * 29 / 10);
  g_assert_cmpuint(total, <, 16000 * 32 / 10);
  g_assert_cmpfloat(power[1], >, 16000 * 0.9 * 0.125 * 0.8);
  g_assert_cmpfloat(power[0], <, power[1] / 100);
  g_assert_cmpfloat(power[2], <, power[1] / 100);
}

static const char *const sounds[][2] = {
    {"sound-aac.mp4", "-c:v libx264 -preset veryfast -c:a aac"},
    {"sound-aac.ts", "-c:v libx264 -preset veryfast -c:a aac"},
    {"sound-opus.webm", "-c:v libvpx -deadline realtime -c:a libopus"},
    {"sound-pcm.mov", "-c:v mjpeg -c:a pcm_s16be"},
};

static void test_no_sound(void) {
  g_autofree char *path = pattern_clip("plain.mp4", H264);
  if (!path)
    return;
  MnkSourceConfig config = clip_config(path);
  config.want_audio = TRUE;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_assert_false(mnk_source_info(source)->has_audio);
}

/* ---- What is told about it ---- */

static void test_info(void) {
  g_autofree char *path = pattern_clip("plain.mp4", H264);
  if (!path)
    return;
  MnkSourceConfig config = clip_config(path);
  g_autoptr(MnkSource) source = clip_open(&config);
  const MnkSourceInfo *info = mnk_source_info(source);
  g_assert_cmpint(info->width, ==, PATTERN_WIDTH);
  g_assert_cmpint(info->height, ==, PATTERN_HEIGHT);
  g_assert_cmpfloat(info->fps, ==, 25);
  g_assert_cmpint(info->duration_ms, ==, 12000);
  g_assert_cmpstr(info->codec, ==, "h264");
  g_assert_false(info->live);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  MnkSourceCounters counters;
  mnk_source_counters(source, &counters);
  g_assert_cmpuint(counters.sampled, ==, read->frames->len);
  g_assert_cmpuint(counters.damaged_packets, ==, 0);
  g_assert_cmpint(counters.decode_us, >, 0);
  /* After the end it stays at its end. */
  MnkFrame *frame;
  MnkAudio *audio;
  g_assert_cmpint(mnk_source_read(source, &frame, &audio, NULL), ==, MNK_READ_END);
}

static void test_empty_part(void) {
  g_autofree char *path = pattern_clip("plain.mp4", H264);
  if (!path)
    return;
  MnkSourceConfig config = clip_config(path);
  config.from_ms = 3600000;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_cmpint(read->last, ==, MNK_READ_ERROR);
  g_assert_error(read->error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  g_assert_nonnull(strstr(read->error->message, "no picture in the part"));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/media/file/not-video", test_not_video);
  g_test_add_func("/media/file/no-such-descriptor", test_no_such_descriptor);
  g_test_add_func("/media/file/audio-only", test_audio_only);
  g_test_add_func("/media/file/cover", test_cover);
  g_test_add_func("/media/file/no-decoder", test_no_decoder);
  g_test_add_func("/media/file/too-large", test_too_large);
  g_test_add_func("/media/file/giant-header", test_giant_header);
  g_test_add_func("/media/file/external-reference", test_external_reference);
  g_test_add_func("/media/file/position", test_position);
  g_test_add_func("/media/file/pipe", test_pipe);
  g_test_add_func("/media/file/interrupt", test_interrupt);
  g_test_add_func("/media/file/loop-part", test_loop_part);
  g_test_add_func("/media/file/part-without-index", test_part_without_index);
  g_test_add_func("/media/file/loop-pipe", test_loop_pipe);
  g_test_add_func("/media/file/realtime", test_realtime);
  g_test_add_func("/media/file/start-time", test_start_time);
  g_test_add_func("/media/file/no-time-stamps", test_no_time_stamps);
  g_test_add_func("/media/file/splice", test_splice);
  g_test_add_func("/media/file/still", test_still);
  g_test_add_func("/media/file/no-sound", test_no_sound);
  g_test_add_func("/media/file/info", test_info);
  g_test_add_func("/media/file/empty-part", test_empty_part);
  for (guint i = 0; i < G_N_ELEMENTS(cuts); i++) {
    g_autofree char *cut = g_strconcat("/media/file/cut-off/", cuts[i][0], NULL);
    g_test_add_data_func(cut, cuts[i], test_cut_off);
    g_autofree char *flip = g_strconcat("/media/file/flipped/", cuts[i][0], NULL);
    g_test_add_data_func(flip, cuts[i], test_flipped_bytes);
  }
  for (guint i = 0; i < G_N_ELEMENTS(loops); i++) {
    g_autofree char *name = g_strconcat("/media/file/loop/", loops[i][0], NULL);
    g_test_add_data_func(name, loops[i], test_loop);
  }
  for (guint i = 0; i < G_N_ELEMENTS(sounds); i++) {
    g_autofree char *name = g_strconcat("/media/file/sound/", sounds[i][0], NULL);
    g_test_add_data_func(name, sounds[i], test_sound);
  }
  return g_test_run();
}
