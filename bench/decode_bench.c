/* Decoding one frame a second of a 720p25 H.264 file, against the ffmpeg program in the same run.
 *
 *   decode_bench [FILE]
 *   decode_bench --thumbnails FILE
 *
 * Without a file it makes one of 24 s with ffmpeg, in the temporary folder. Each measurement is a
 * process of its own, so that start-up, threads and clean-up count on both sides; the candidates
 * take turns, medians of five runs. Prints one JSON line for each. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "media/media.h"

enum { RUNS = 5 };

typedef struct {
  double wall, cpu;
} Cost;

typedef struct {
  const char *name;
  char **argv;
  Cost runs[RUNS];
} Candidate;

/* ---- The child: reads a file to its end ---- */

static int read_file(const char *path, int threads, gboolean every_frame, double fps) {
  MnkSourceConfig config = {
      .kind = MNK_SOURCE_FILE,
      .address = path,
      .fd = open(path, O_RDONLY | O_CLOEXEC),
      .fps = fps,
      .to_ms = -1,
      .every_frame = every_frame,
      .max_pixels = 36000000,
      .decoder_threads = threads,
  };
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
  guint frames = 0;
  MnkReadStatus status = MNK_READ_ERROR;
  MnkFrame *frame = NULL;
  MnkAudio *audio = NULL;
  while (source && (status = mnk_source_read(source, &frame, &audio, &error)) == MNK_READ_FRAME) {
    frames += frame->sampled ? 1 : 0;
    mnk_frame_unref(frame);
  }
  if (error)
    fprintf(stderr, "%s\n", error->message);
  return status == MNK_READ_END && frames > 0 ? 0 : 1;
}

/* ---- Measuring ---- */

static Cost measure(char **argv) {
  gint64 start = g_get_monotonic_time();
  pid_t pid = fork();
  if (pid == 0) {
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    execvp(argv[0], argv);
    _exit(127);
  }
  int status = 0;
  struct rusage usage;
  if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0)
    g_error("%s failed", argv[0]);
  double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  return (Cost){(double)(g_get_monotonic_time() - start) / 1e6, cpu};
}

static int by_value(const void *a, const void *b) {
  double d = *(const double *)a - *(const double *)b;
  return (d > 0) - (d < 0);
}

static Cost median(const Candidate *candidate) {
  double wall[RUNS], cpu[RUNS];
  for (int i = 0; i < RUNS; i++) {
    wall[i] = candidate->runs[i].wall;
    cpu[i] = candidate->runs[i].cpu;
  }
  qsort(wall, RUNS, sizeof wall[0], by_value);
  qsort(cpu, RUNS, sizeof cpu[0], by_value);
  return (Cost){wall[RUNS / 2], cpu[RUNS / 2]};
}

static char **arguments(const char *format, ...) G_GNUC_PRINTF(1, 2);
static char **arguments(const char *format, ...) {
  va_list list;
  va_start(list, format);
  g_autofree char *line = g_strdup_vprintf(format, list);
  va_end(list);
  return g_strsplit(line, "\t", -1);
}

static void compare(const char *self, const char *path, int threads) {
  Candidate candidates[] = {
      {"ffmpeg",
       arguments("ffmpeg\t-nostdin\t-loglevel\terror\t-threads\t%d\t-i\t%s\t-an\t-vf\t"
                 "fps=1\t-f\tnull\t-",
                 threads, path),
       {{0, 0}}},
      {"every_frame", arguments("%s\t--read\t%s\t%d\t1\t1", self, path, threads), {{0, 0}}},
      {"sampled_only", arguments("%s\t--read\t%s\t%d\t0\t1", self, path, threads), {{0, 0}}},
      {"sampled_each_10_s", arguments("%s\t--read\t%s\t%d\t0\t0.1", self, path, threads), {{0, 0}}},
  };
  for (int run = 0; run < RUNS; run++)
    for (guint i = 0; i < G_N_ELEMENTS(candidates); i++)
      candidates[i].runs[run] = measure(candidates[i].argv);
  Cost peer = median(&candidates[0]);
  for (guint i = 0; i < G_N_ELEMENTS(candidates); i++) {
    Cost cost = median(&candidates[i]);
    printf("{\"bench\":\"decode\",\"what\":\"%s\",\"threads\":%d,\"wall_s\":%.3f,\"cpu_s\":%.3f,"
           "\"wall_ratio\":%.3f,\"cpu_ratio\":%.3f}\n",
           candidates[i].name, threads, cost.wall, cost.cpu, cost.wall / peer.wall,
           cost.cpu / peer.cpu);
    g_strfreev(candidates[i].argv);
  }
}

/* ---- Thumbnails ---- */

/* Of this thread: what others take of the processor does not count. */
static double cpu_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void measure_thumbnails(const char *path) {
  MnkSourceConfig config = {.kind = MNK_SOURCE_FILE,
                            .address = path,
                            .fd = open(path, O_RDONLY | O_CLOEXEC),
                            .fps = 1,
                            .to_ms = -1,
                            .every_frame = TRUE,
                            .max_pixels = 36000000};
  g_autoptr(MnkSource) source = mnk_source_open(&config, NULL);
  MnkFrame *frame = NULL;
  MnkAudio *audio = NULL;
  double times[200], chroma_times[200], convert_times[200];
  guint8 luma[64 * 64], uv[16 * 16 * 2];
  guint n = 0;
  while (source && n < G_N_ELEMENTS(times) &&
         mnk_source_read(source, &frame, &audio, NULL) == MNK_READ_FRAME) {
    double start = cpu_us();
    mnk_frame_thumbnail(frame, luma, 64, 64);
    double middle = cpu_us();
    mnk_frame_chroma(frame, uv, 16, 16);
    double end = cpu_us();
    g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, 960, NULL);
    chroma_times[n] = end - middle;
    convert_times[n] = cpu_us() - end;
    times[n++] = middle - start;
    mnk_frame_unref(frame);
  }
  if (n == 0)
    return;
  qsort(times, n, sizeof times[0], by_value);
  qsort(chroma_times, n, sizeof chroma_times[0], by_value);
  qsort(convert_times, n, sizeof convert_times[0], by_value);
  printf("{\"bench\":\"thumbnail\",\"size\":\"64x64\",\"median_us\":%.0f,\"p95_us\":%.0f,"
         "\"chroma_16x16_median_us\":%.0f,\"rgb_960_median_us\":%.0f}\n",
         times[n / 2], times[n * 95 / 100], chroma_times[n / 2], convert_times[n / 2]);
}

static char *make_clip(void) {
  char *path = g_build_filename(g_get_tmp_dir(), "manako-bench-720p25.mp4", NULL);
  g_auto(GStrv) argv = arguments(
      "ffmpeg\t-nostdin\t-loglevel\terror\t-y\t-f\tlavfi\t-i\t"
      "testsrc2=size=1280x720:rate=25:duration=24,noise=alls=12:allf=t\t-c:v\tlibx264\t-preset\t"
      "medium\t-b:v\t3M\t-pix_fmt\tyuv420p\t%s",
      path);
  if (!g_file_test(path, G_FILE_TEST_EXISTS))
    (void)measure(argv);
  return path;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--thumbnails") == 0) {
    measure_thumbnails(argv[2]);
    return 0;
  }
  if (argc == 6 && strcmp(argv[1], "--read") == 0)
    return read_file(argv[2], (int)g_ascii_strtoll(argv[3], NULL, 10), argv[4][0] == '1',
                     g_ascii_strtod(argv[5], NULL));
  g_autofree char *path = argc > 1 ? g_strdup(argv[1]) : make_clip();
  for (int threads = 1; threads <= 2; threads++)
    compare(argv[0], path, threads);
  measure_thumbnails(path);
  return 0;
}
