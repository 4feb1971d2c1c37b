/* Which frames are sampled: the grid itself, and that fewer decoded pictures give the same. */
#include <stdlib.h>
#include <string.h>

#include "clips.h"
#include "media/sampler_priv.h"

/* ---- The sampler alone ---- */

static MnkFrame *frame_at(gint64 pts_ms) {
  static const guint8 black[3];
  MnkFrame *frame = mnk_frame_new_rgb(black, 1, 1, 3, pts_ms);
  frame->sampled = FALSE;
  return frame;
}

static void note(GString *text, MnkFrame *frame) {
  if (frame && frame->sampled)
    g_string_append_printf(text, "%" G_GINT64_FORMAT " ", frame->pts_ms);
  mnk_frame_unref(frame);
}

/* times end with -1; the last frame is shown until end_ms. */
static char *sampled(double fps, gint64 end_ms, const gint64 *times) {
  MnkSampler sampler;
  GString *text = g_string_new(NULL);
  mnk_sampler_init(&sampler, fps);
  for (; *times >= 0; times++)
    note(text, mnk_sampler_push(&sampler, frame_at(*times)));
  note(text, mnk_sampler_flush(&sampler, end_ms, FALSE));
  mnk_sampler_clear(&sampler);
  return g_string_free(text, FALSE);
}

static void test_grid(void) {
  g_assert_true(mnk_grid_has_point(1, 0, 1));
  g_assert_true(mnk_grid_has_point(1, 999.5, 1000.5));
  g_assert_false(mnk_grid_has_point(1, 1, 1000));
  g_assert_true(mnk_grid_has_point(1, -500, 0.1));
  g_assert_false(mnk_grid_has_point(1, -500, 0));
  g_assert_true(mnk_grid_has_point(0.1, 9000, 11000));
}

static void test_nearest(void) {
  const struct {
    double fps;
    gint64 end_ms;
    gint64 times[12];
    const char *expected;
  } cases[] = {
      {1, 2040, {0, 500, 1000, 1500, 2000, -1}, "0 1000 2000 "},
      {1, 2040, {40, 960, 1030, 1900, 2000, -1}, "40 1030 2000 "},
      /* Of two equally near ones the later. */
      {1, 1540, {0, 960, 1040, 1500, -1}, "0 1040 "},
      /* A picture that stands for long is one sample, however many points it covers. */
      {1, 9000, {0, 8000, -1}, "0 8000 "},
      /* The first frame is sampled wherever it lies. */
      {1, 1600, {300, 700, 1310, -1}, "300 700 "},
      /* Nothing is sampled for a point past the end. */
      {1, 1000, {0, 960, -1}, "0 "},
      {2, 1000, {0, 240, 490, 760, -1}, "0 490 "},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *got = sampled(cases[i].fps, cases[i].end_ms, cases[i].times);
    g_assert_cmpstr(got, ==, cases[i].expected);
  }
}

/* ---- Files ---- */

static char *samples_of(const char *path, double fps, gboolean every_frame, guint64 *decoded) {
  MnkSourceConfig config = clip_config(path);
  config.fps = fps;
  config.every_frame = every_frame;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_no_error(read->error);
  g_assert_cmpint(read->last, ==, MNK_READ_END);
  MnkSourceCounters counters;
  mnk_source_counters(source, &counters);
  *decoded = counters.decoded;
  return clip_samples(read);
}

static void check_same(const char *path, double fps, gboolean fewer) {
  guint64 all, some;
  g_autofree char *full = samples_of(path, fps, TRUE, &all);
  g_autofree char *cheap = samples_of(path, fps, FALSE, &some);
  g_test_message("fps %g: decoded %d of %d, sampled %s", fps, (int)some, (int)all, cheap);
  g_assert_cmpstr(cheap, ==, full);
  if (fewer)
    g_assert_cmpuint(some, <, all);
}

typedef struct {
  const char *name, *rate, *options;
  gboolean fewer;
} Coding;

static const Coding codings[] = {
    {"b-frames.mp4", "25", "-c:v libx264 -bf 3 -g 250 -preset ultrafast -b_strategy 0", TRUE},
    {"b-pyramid.mkv", "25", "-c:v libx264 -bf 5 -g 250 -preset veryfast", TRUE},
    {"ntsc.mp4", "30000/1001", "-c:v libx264 -bf 2 -g 300 -preset veryfast", TRUE},
    {"open-gop.ts", "25", "-c:v libx264 -bf 3 -g 100 -x264-params open-gop=1", TRUE},
    {"mpeg2.mpg", "25", "-c:v mpeg2video -bf 2 -g 60 -q:v 3", TRUE},
    {"mpeg4.avi", "25", "-c:v mpeg4 -bf 2 -g 60 -q:v 3", FALSE},
    {"mpeg4.mp4", "25", "-c:v mpeg4 -bf 2 -g 60 -q:v 3", TRUE},
    {"vp9.webm", "25", "-c:v libvpx-vp9 -g 250 -deadline realtime -cpu-used 8 -b:v 500k", FALSE},
    {"mjpeg.avi", "25", "-c:v mjpeg -q:v 3", TRUE},
    {"hevc.mp4", "25", "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=250",
     FALSE},
};

static void test_same(gconstpointer data) {
  const Coding *coding = data;
  g_autofree char *input = clip_pattern(coding->rate);
  g_autofree char *path = clip_make(coding->name, input, coding->options);
  if (!path)
    return;
  check_same(path, 1, coding->fewer);
  check_same(path, 3.7, FALSE);
}

/* Frames at uneven times: 0, 40 ms, then every third one is missing, then long stills. */
static void test_variable_rate(void) {
  g_autofree char *input = clip_pattern("25");
  g_autofree char *path =
      clip_make("variable.mp4", input,
                "-vf \"select='not(eq(mod(n,3),1))*lt(n,150)+not(mod(n,70))'\" -vsync vfr "
                "-c:v libx264 -bf 3 -g 250 -preset veryfast");
  if (!path)
    return;
  check_same(path, 1, FALSE);
  check_same(path, 10, FALSE);
}

/* Where key frames lie as close as the grid, the nearest key frame is taken. */
static void test_key_frames(void) {
  g_autofree char *input = clip_pattern("25");
  g_autofree char *path = clip_make("keys.mp4", input,
                                    "-c:v libx264 -bf 2 -g 20 -keyint_min 20 -sc_threshold 0 "
                                    "-preset veryfast");
  if (!path)
    return;
  guint64 decoded;
  /* Key frames at 0, 800, 1600, ...: 300 frames, 15 of them. */
  g_autofree char *one = samples_of(path, 1, FALSE, &decoded);
  g_assert_cmpuint(decoded, ==, 15);
  g_assert_cmpstr(
      one, ==,
      "0:0 800:20 2400:60 3200:80 4000:100 4800:120 6400:160 7200:180 8000:200 8800:220 "
      "10400:260 11200:280 ");
  /* By seeking, only what is shown is decoded. */
  g_autofree char *five = samples_of(path, 0.2, FALSE, &decoded);
  g_assert_cmpuint(decoded, ==, 3);
  g_assert_cmpstr(five, ==, "0:0 4800:120 10400:260 ");
}

/* Reading key frames on and seeking to them choose the same ones. */
static void test_seek_like_read(void) {
  const char *const names[] = {"seek.mp4", "seek.mkv"};
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *input = clip_pattern("25");
    g_autofree char *path =
        clip_make(names[i], input,
                  "-c:v libx264 -bf 2 -g 12 -keyint_min 12 -sc_threshold 0 -preset veryfast");
    if (!path)
      return;
    for (int fps_step = 1; fps_step <= 4; fps_step++) {
      double fps = 0.13 * fps_step;
      guint64 decoded;
      g_autofree char *seeking = samples_of(path, fps, FALSE, &decoded);
      MnkSourceConfig config = clip_config(path);
      config.fps = fps;
      config.want_audio = TRUE; /* there is none, but it must not change the choice */
      g_autoptr(MnkSource) source = clip_open(&config);
      mnk_source_set_fps(source, 1.9); /* reads on */
      mnk_source_set_fps(source, fps);
      g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
      g_autofree char *again = clip_samples(read);
      g_assert_cmpstr(again, ==, seeking);
      g_assert_cmpuint(read->frames->len, >, 1);
    }
  }
}

/* Another grid in mid-file: no frame twice, none out of order, none lost. */
static void test_change_of_grid(void) {
  const struct {
    const char *options;
    double before, after;
  } cases[] = {
      {"-c:v libx264 -bf 2 -g 12 -keyint_min 12 -sc_threshold 0 -preset veryfast", 0.3, 5},
      {"-c:v libx264 -bf 2 -g 12 -keyint_min 12 -sc_threshold 0 -preset veryfast", 1.9, 5},
      {"-c:v libx264 -bf 2 -g 12 -keyint_min 12 -sc_threshold 0 -preset veryfast", 5, 0.3},
      {"-c:v libx264 -bf 3 -g 250 -preset veryfast", 1, 12.5},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *input = clip_pattern("25");
    g_autofree char *path = clip_make("grid.mp4", input, cases[i].options);
    if (!path)
      return;
    MnkSourceConfig config = clip_config(path);
    config.fps = cases[i].before;
    g_autoptr(MnkSource) source = clip_open(&config);
    g_autoptr(ClipRead) first = clip_read(source, 2);
    mnk_source_set_fps(source, cases[i].after);
    g_autoptr(ClipRead) rest = clip_read(source, G_MAXUINT);
    g_assert_cmpint(rest->last, ==, MNK_READ_END);
    gint64 last = clip_frame(first, 1)->pts_ms;
    g_assert_cmpuint(rest->frames->len, >, 1);
    for (guint k = 0; k < rest->frames->len; k++) {
      const MnkFrame *frame = clip_frame(rest, k);
      g_assert_cmpint(frame->pts_ms, >, last);
      g_assert_cmpint(clip_number(frame) * 40, ==, frame->pts_ms);
      if (cases[i].after > 1)
        g_assert_cmpint(frame->pts_ms - last, <=,
                        1600 / cases[i].after + 200 * (k == 0) + 3000 * (k == 0));
      last = frame->pts_ms;
    }
    MnkSourceCounters counters;
    mnk_source_counters(source, &counters);
    g_assert_cmpuint(counters.times_dropped, ==, 0);
  }
}

/* A part of the file gives what the whole gives there. */
static void test_part(void) {
  g_autofree char *input = clip_pattern("25");
  g_autofree char *path =
      clip_make("part.mp4", input, "-c:v libx264 -bf 3 -g 100 -preset veryfast");
  if (!path)
    return;
  for (int every = 0; every < 2; every++) {
    MnkSourceConfig config = clip_config(path);
    config.every_frame = every;
    config.from_ms = 4300;
    config.to_ms = 8000;
    g_autoptr(MnkSource) source = clip_open(&config);
    g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
    g_assert_cmpint(read->last, ==, MNK_READ_END);
    g_autofree char *samples = clip_samples(read);
    /* 4300 rounded up to a frame; grid points at 5, 6 and 7 s; the point at 8 s is not in it. */
    g_assert_cmpstr(samples, ==, "4320:108 5000:125 6000:150 7000:175 ");
    if (every)
      g_assert_cmpuint(read->frames->len, ==, 200 - 108);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/media/sampling/grid", test_grid);
  g_test_add_func("/media/sampling/nearest", test_nearest);
  for (guint i = 0; i < G_N_ELEMENTS(codings); i++) {
    g_autofree char *name = g_strconcat("/media/sampling/same/", codings[i].name, NULL);
    g_test_add_data_func(name, &codings[i], test_same);
  }
  g_test_add_func("/media/sampling/variable-rate", test_variable_rate);
  g_test_add_func("/media/sampling/key-frames", test_key_frames);
  g_test_add_func("/media/sampling/seek-like-read", test_seek_like_read);
  g_test_add_func("/media/sampling/change-of-grid", test_change_of_grid);
  g_test_add_func("/media/sampling/part", test_part);
  return g_test_run();
}
