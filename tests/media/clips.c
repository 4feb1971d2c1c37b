#include "clips.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"

enum { BLOCK = 32 };

static const char *folder(void) {
  const char *build = g_getenv("MNK_CLIPS");
  return build ? build : ".";
}

/* ---- The pattern ---- */

static void fill(guint8 *plane, int stride, int x, int y, int width, int height, int value) {
  for (int row = y; row < y + height; row++)
    memset(plane + row * stride + x, value, width);
}

static void colour(guint8 *yuv, int x, int y, int width, int height, const int value[3]) {
  guint8 *u = yuv + PATTERN_WIDTH * PATTERN_HEIGHT;
  guint8 *v = u + PATTERN_WIDTH * PATTERN_HEIGHT / 4;
  fill(yuv, PATTERN_WIDTH, x, y, width, height, value[0]);
  fill(u, PATTERN_WIDTH / 2, x / 2, y / 2, width / 2, height / 2, value[1]);
  fill(v, PATTERN_WIDTH / 2, x / 2, y / 2, width / 2, height / 2, value[2]);
}

static void draw(guint8 *yuv, int number) {
  static const int black[] = {16, 128, 128}, white[] = {235, 128, 128};
  /* BT.601 */
  static const int red[] = {81, 90, 240}, green[] = {145, 54, 34}, blue[] = {41, 240, 110};
  for (int bit = 0; bit < 16; bit++)
    colour(yuv, bit % 8 * BLOCK, bit / 8 * BLOCK, BLOCK, BLOCK, number >> bit & 1 ? white : black);
  colour(yuv, 0, 64, 128, 64, red);
  colour(yuv, 128, 64, 128, 64, green);
  colour(yuv, 0, 128, 128, 64, blue);
  colour(yuv, 128, 128, 128, 64, white);
}

static void make_pattern(const char *path) {
  gsize size = PATTERN_WIDTH * PATTERN_HEIGHT * 3 / 2;
  g_autofree guint8 *all = g_malloc(size * PATTERN_FRAMES);
  for (int i = 0; i < PATTERN_FRAMES; i++)
    draw(all + i * size, i);
  g_assert_true(g_file_set_contents(path, (char *)all, (gssize)(size * PATTERN_FRAMES), NULL));
}

char *clip_pattern(const char *rate) {
  g_autofree char *path = g_build_filename(folder(), "pattern.yuv", NULL);
  if (!g_file_test(path, G_FILE_TEST_EXISTS))
    make_pattern(path);
  return g_strdup_printf("-f rawvideo -video_size %dx%d -pixel_format yuv420p -framerate %s -i %s",
                         PATTERN_WIDTH, PATTERN_HEIGHT, rate, path);
}

int clip_number(const MnkFrame *frame) {
  g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, 4096, NULL);
  if (!rgb)
    return -1;
  int number = 0;
  for (int bit = 0; bit < 16; bit++) {
    int x = (bit % 8 * BLOCK + BLOCK / 2) * rgb->width / PATTERN_WIDTH;
    int y = (bit / 8 * BLOCK + BLOCK / 2) * rgb->height / PATTERN_HEIGHT;
    int level = rgb->planes[0][y * rgb->strides[0] + 3 * x + 1];
    if (level > 80 && level < 170)
      return -1;
    number |= (level > 128) << bit;
  }
  return number;
}

/* ---- Files ---- */

static gboolean run(const char *command) {
  g_auto(GStrv) argv = NULL;
  g_autofree char *err = NULL;
  int status = 0;
  g_autoptr(GError) error = NULL;
  g_assert_true(g_shell_parse_argv(command, NULL, &argv, NULL));
  if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                    NULL, &err, &status, &error)) {
    g_test_skip("the ffmpeg program is not here");
    return FALSE;
  }
  if (status == 0)
    return TRUE;
  g_autofree char *why = g_strdup_printf("ffmpeg cannot make this clip: %.200s", err);
  g_test_skip(why);
  return FALSE;
}

char *clip_make(const char *name, const char *input, const char *output) {
  g_autofree char *options = g_strconcat(input, " ", output, NULL);
  g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, options, -1);
  g_autofree char *file = g_strdup_printf("%.8s-%s", sum, name);
  g_autofree char *path = g_build_filename(folder(), file, NULL);
  if (g_file_test(path, G_FILE_TEST_EXISTS))
    return g_steal_pointer(&path);
  /* Another test may make the same clip at this moment. */
  g_autofree char *draft = g_strdup_printf("%s/%d-%s", folder(), (int)getpid(), file);
  g_autofree char *command =
      g_strdup_printf("ffmpeg -nostdin -hide_banner -loglevel error -y %s %s", options, draft);
  if (!run(command)) {
    g_remove(draft);
    return NULL;
  }
  g_assert_cmpint(g_rename(draft, path), ==, 0);
  return g_steal_pointer(&path);
}

char *clip_coded(const char *name, const char *options) {
  g_autofree char *input = clip_pattern("25");
  return clip_make(name, input, options);
}

char *clip_write(const char *name, const void *bytes, gsize length) {
  char *path = g_build_filename(folder(), name, NULL);
  g_assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
  return path;
}

/* ---- Reading ---- */

MnkSourceConfig clip_config(const char *path) {
  return (MnkSourceConfig){
      .kind = MNK_SOURCE_FILE,
      .address = path,
      .fd = open(path, O_RDONLY | O_CLOEXEC),
      .fps = 1,
      .to_ms = -1,
      .max_pixels = 36000000,
      .timeout_ms = 5000,
  };
}

MnkSource *clip_open(const MnkSourceConfig *config) {
  g_autoptr(GError) error = NULL;
  MnkSource *source = mnk_source_open(config, &error);
  g_assert_no_error(error);
  g_assert_nonnull(source);
  return source;
}

ClipRead *clip_read(MnkSource *source, guint max_frames) {
  ClipRead *read = g_new0(ClipRead, 1);
  read->frames = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_frame_unref);
  read->audio = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_audio_free);
  for (guint turn = 0; turn < 1000000; turn++) {
    MnkFrame *frame = NULL;
    MnkAudio *audio = NULL;
    read->last = mnk_source_read(source, &frame, &audio, &read->error);
    if (frame)
      g_ptr_array_add(read->frames, frame);
    if (audio)
      g_ptr_array_add(read->audio, audio);
    if (read->last == MNK_READ_END || read->last == MNK_READ_ERROR || read->last == MNK_READ_GAP ||
        read->frames->len >= max_frames)
      return read;
  }
  g_assert_not_reached();
}

void clip_read_free(ClipRead *read) {
  g_ptr_array_unref(read->frames);
  g_ptr_array_unref(read->audio);
  g_clear_error(&read->error);
  g_free(read);
}

char *clip_samples(const ClipRead *read) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < read->frames->len; i++) {
    const MnkFrame *frame = clip_frame(read, i);
    if (frame->sampled)
      g_string_append_printf(text, "%" G_GINT64_FORMAT ":%d ", frame->pts_ms, clip_number(frame));
  }
  return g_string_free(text, FALSE);
}

char *clip_refusal(const char *path, int *code) {
  MnkSourceConfig config = clip_config(path);
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
  if (source) {
    g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
    error = g_steal_pointer(&read->error);
  }
  if (!error)
    return NULL;
  g_assert_true(error->domain == MNK_ERROR);
  g_assert_false(g_str_has_suffix(error->message, "."));
  *code = error->code;
  return g_strdup(error->message);
}
