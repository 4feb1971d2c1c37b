/* The clock of a file: loops, parts, pace, and time stamps as they come. */
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "clips.h"

/* ---- Loops and pace ---- */

static void test_loop(gconstpointer data) {
  const char *const *coding = data;
  g_autofree char *path = clip_coded(coding[0], coding[1]);
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
    {"loop.mp4", CLIP_H264},
    {"loop.ts", CLIP_H264},
    {"loop.mkv", CLIP_H264},
    {"loop.h264", CLIP_H264},
    {"loop.avi", "-c:v mjpeg -q:v 4"},
    {"loop-keys.mp4", "-c:v libx264 -g 5 -bf 0 -preset veryfast"},
};

static void test_loop_part(void) {
  g_autofree char *path = clip_coded("loop.mp4", CLIP_H264);
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
    g_autofree char *path = clip_coded(names[i][0], names[i][1]);
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

/* A reader that takes over begins where the first one stopped, and loops to the file's start. */
static void test_resume(void) {
  g_autofree char *path = clip_coded("loop.mp4", CLIP_H264);
  if (!path)
    return;
  for (int every = 0; every < 2; every++) {
    MnkSourceConfig config = clip_config(path);
    config.loop = TRUE;
    config.every_frame = every;
    config.resume_ms = 11000;
    g_autoptr(MnkSource) source = clip_open(&config);
    g_autoptr(ClipRead) read = clip_read(source, every ? 50 : 3);
    g_assert_cmpint(clip_frame(read, 0)->pts_ms, ==, 11000);
    g_assert_cmpint(clip_number(clip_frame(read, 0)), ==, 275);
    const MnkFrame *next = clip_frame(read, every ? 25 : 1);
    g_assert_cmpint(next->pts_ms, ==, 12000);
    g_assert_cmpint(clip_number(next), ==, 0);
  }
  /* Nothing is left of the first round. */
  MnkSourceConfig config = clip_config(path);
  config.loop = TRUE;
  config.resume_ms = 12000;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, 2);
  g_assert_cmpuint(read->frames->len, ==, 2);
  g_assert_cmpint(clip_frame(read, 0)->pts_ms, ==, 12000);
  g_assert_cmpint(clip_number(clip_frame(read, 0)), ==, 0);
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
  g_autofree char *path = clip_coded("loop.mp4", CLIP_H264);
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
  g_autofree char *path = clip_coded("late.ts", CLIP_H264 "-output_ts_offset 5000");
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
      {"raw.h264", CLIP_H264 "-bsf:v h264_mp4toannexb"},
      {"raw.m4v", "-c:v mpeg4 -q:v 4 -f m4v"},
      {"raw.m2v", "-c:v mpeg2video -q:v 4 -bf 2"},
      {"raw.hevc", "-c:v libx265 -preset ultrafast -x265-params log-level=error"},
      {"raw.mjpeg", "-c:v mjpeg -q:v 4"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = clip_coded(names[i][0], names[i][1]);
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
  g_autofree char *first = clip_coded("first.ts", CLIP_H264 "-frames:v 110 -output_ts_offset 100");
  g_autofree char *second = clip_coded("second.ts", CLIP_H264 "-frames:v 100 -output_ts_offset 20");
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
      g_assert_cmpuint(read->frames->len, ==, 210);
      g_assert_cmpint(last, ==, 209 * 40);
      /* The first frame of an epoch is sampled: something new begins. */
      g_assert_true(clip_frame(read, 110)->sampled);
      g_assert_cmpuint(clip_frame(read, 109)->epoch, ==, 0);
    }
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/media/clock/loop-part", test_loop_part);
  g_test_add_func("/media/clock/part-without-index", test_part_without_index);
  g_test_add_func("/media/clock/resume", test_resume);
  g_test_add_func("/media/clock/loop-pipe", test_loop_pipe);
  g_test_add_func("/media/clock/realtime", test_realtime);
  g_test_add_func("/media/clock/start-time", test_start_time);
  g_test_add_func("/media/clock/no-time-stamps", test_no_time_stamps);
  g_test_add_func("/media/clock/splice", test_splice);
  for (guint i = 0; i < G_N_ELEMENTS(loops); i++) {
    g_autofree char *name = g_strconcat("/media/clock/loop/", loops[i][0], NULL);
    g_test_add_data_func(name, loops[i], test_loop);
  }
  return g_test_run();
}
