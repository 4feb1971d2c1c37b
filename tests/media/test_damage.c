/* Files that were cut off or altered: what is good of them comes, and they end. */
#include <glib/gstdio.h>
#include <string.h>

#include "base/base.h"
#include "clips.h"

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
  g_autofree char *path = clip_coded(coding[0], coding[1]);
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
    {"cut.mp4", NOISY CLIP_H264, NULL},
    {"cut-faststart.mp4", NOISY CLIP_H264 "-movflags +faststart", "yes"},
    {"cut-fragmented.mp4", NOISY CLIP_H264 "-movflags +frag_keyframe+empty_moov", "yes"},
    {"cut.mkv", NOISY CLIP_H264, "yes"},
    {"cut.ts", NOISY CLIP_H264, "yes"},
    {"cut.avi", NOISY "-c:v mpeg4 -q:v 4", "yes"},
};

/* Cut within the header of a fragment: the fragments before it are there. */
static void test_cut_header(void) {
  g_autofree char *path = clip_coded(cuts[2][0], cuts[2][1]);
  if (!path)
    return;
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  const char *header = memmem(bytes + length / 2, length / 2, "moof", 4);
  g_assert_nonnull(header);
  for (gsize more = 20; more < 600; more += 80) {
    guint frames;
    gboolean refusal;
    read_cut(path, length, (gsize)(header - bytes) + more, &frames, &refusal);
    g_assert_cmpuint(frames, >=, PATTERN_FRAMES / 3);
  }
}

/* Bytes turned over: what can be decoded comes, the rest is counted, and it ends. */
static void test_flipped_bytes(gconstpointer data) {
  const char *const *coding = data;
  g_autofree char *path = clip_coded(coding[0], coding[1]);
  if (!path)
    return;
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  g_autofree char *good = g_memdup2(bytes, length);
  /* Four are one of each number of bytes. */
  const char *longer = g_getenv("MANAKO_TEST_LONG");
  guint32 rounds = longer != NULL && *longer != '\0' ? 32 : 4;
  for (guint32 seed = 0; seed < rounds; seed++) {
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

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/media/damage/cut-header", test_cut_header);
  for (guint i = 0; i < G_N_ELEMENTS(cuts); i++) {
    g_autofree char *name = g_strconcat("/media/damage/cut-off/", cuts[i][0], NULL);
    g_test_add_data_func(name, cuts[i], test_cut_off);
  }
  for (guint i = 0; i < G_N_ELEMENTS(cuts); i++) {
    g_autofree char *name = g_strconcat("/media/damage/flipped/", cuts[i][0], NULL);
    g_test_add_data_func(name, cuts[i], test_flipped_bytes);
  }
  return g_test_run();
}
