/* Files: the descriptor, pipes, still pictures, sound, and what is told about them. */
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "clips.h"
#include "media/source_priv.h"

/* ---- Nothing but the descriptor is opened ---- */

/* A QuickTime file whose media lies in another file: that one is never opened. */
static void test_external_reference(void) {
  g_autofree char *path = clip_coded("plain.mp4", CLIP_H264);
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
  g_autofree char *path = clip_coded("plain.mp4", CLIP_H264);
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
  static const char *const names[][2] = {{"piped.ts", CLIP_H264},
                                         {"piped.mkv", CLIP_H264},
                                         {"piped.mp4", CLIP_H264 "-movflags +faststart"}};
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = clip_coded(names[i][0], names[i][1]);
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
  g_autofree char *path = clip_coded("piped.ts", CLIP_H264);
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
  g_autofree char *path = clip_coded("plain.mp4", CLIP_H264);
  if (!path)
    return;
  MnkSourceConfig config = clip_config(path);
  config.want_audio = TRUE;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_assert_false(mnk_source_info(source)->has_audio);
}

/* ---- What is told about it ---- */

static void test_info(void) {
  g_autofree char *path = clip_coded("plain.mp4", CLIP_H264);
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
  g_autofree char *path = clip_coded("plain.mp4", CLIP_H264);
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
  g_test_add_func("/media/file/external-reference", test_external_reference);
  g_test_add_func("/media/file/position", test_position);
  g_test_add_func("/media/file/pipe", test_pipe);
  g_test_add_func("/media/file/interrupt", test_interrupt);
  g_test_add_func("/media/file/still", test_still);
  g_test_add_func("/media/file/no-sound", test_no_sound);
  g_test_add_func("/media/file/info", test_info);
  g_test_add_func("/media/file/empty-part", test_empty_part);
  for (guint i = 0; i < G_N_ELEMENTS(sounds); i++) {
    g_autofree char *name = g_strconcat("/media/file/sound/", sounds[i][0], NULL);
    g_test_add_data_func(name, sounds[i], test_sound);
  }
  return g_test_run();
}
