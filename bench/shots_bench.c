/* Shot boundaries on clips with known ones, as tools/make_scenes.py writes them.
 *
 *   shots_bench [--every N] [--verbose] FOLDER
 *
 * Prints a JSON line for each split: precision and recall, errors of hard cuts in frames, errors of
 * the middle of soft ones, the mean IoU of the intervals between boundaries, false alarms in calm
 * clips, and the processor time of shots and motion. --every N hands on every N-th frame only. */
#include "vision/vision.h"
#include "wire/json.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  char *clip;
  gboolean held_out, calm;
  double fps;
  GArray *boundaries; /* MnkShotBoundary */
} Truth;

typedef struct {
  guint clips, true_n, found, as_other_kind, off_by_more;
  double error, error_max; /* hard: frames; soft: ms of the middle; sums and maxima */
  double iou;
  guint intervals;
} Tally;

typedef struct {
  Tally kinds[3]; /* by MnkCut */
  guint clips, reported, false_alarms, calm_clips, calm_false_alarms;
  double calm_minutes, shots_us, motion_us;
  guint64 frames, pairs;
  gint64 latency_max_ms;
} Split;

typedef struct {
  GArray *boundaries; /* MnkShotBoundary */
  gint64 end_ms;
} Reading;

static int every = 1;
static gboolean verbose = FALSE;

static void truth_free(Truth *truth) {
  g_free(truth->clip);
  g_array_unref(truth->boundaries);
  g_free(truth);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Truth, truth_free)

static Truth *truth_load(const char *folder, const char *name, GError **error) {
  g_autofree char *path = g_build_filename(folder, name, NULL), *text = NULL;
  gsize length;
  if (!g_file_get_contents(path, &text, &length, error))
    return NULL;
  g_autoptr(MnkJson) json = mnk_json_parse(text, length, NULL, error);
  if (!json)
    return NULL;
  const MnkJsonValue *root = mnk_json_root(json), *list = mnk_json_get(root, "boundaries");
  Truth *truth = g_new0(Truth, 1);
  truth->clip = g_build_filename(folder, mnk_json_string(mnk_json_get(root, "clip"), ""), NULL);
  truth->held_out = g_str_equal(mnk_json_string(mnk_json_get(root, "split"), ""), "held-out");
  truth->calm = g_str_equal(mnk_json_string(mnk_json_get(root, "kind"), ""), "calm");
  truth->fps = mnk_json_double(mnk_json_get(root, "fps"), 25);
  truth->boundaries = g_array_new(FALSE, FALSE, sizeof(MnkShotBoundary));
  for (guint i = 0; i < mnk_json_size(list); i++) {
    const MnkJsonValue *b = mnk_json_at(list, i);
    gboolean hard = g_str_equal(mnk_json_string(mnk_json_get(b, "kind"), ""), "hard");
    MnkShotBoundary boundary = {.kind = hard ? MNK_CUT_HARD : MNK_CUT_SOFT,
                                .start_ms = mnk_json_int(mnk_json_get(b, "start_ms"), 0),
                                .end_ms = mnk_json_int(mnk_json_get(b, "end_ms"), 0)};
    g_array_append_val(truth->boundaries, boundary);
  }
  return truth;
}

static double cpu_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- One clip through shots and motion ---- */

static void keep(GArray *boundaries, const MnkShotBoundary *b, gint64 now_ms, Split *split) {
  g_array_append_vals(boundaries, b, 1);
  split->latency_max_ms = MAX(split->latency_max_ms, now_ms - b->end_ms);
}

static gboolean read_clip(const char *clip, Reading *reading, Split *split, GError **error) {
  int fd = open(clip, O_RDONLY | O_CLOEXEC);
  MnkSourceConfig config = {.kind = MNK_SOURCE_FILE,
                            .address = clip,
                            .fd = fd,
                            .fps = 1,
                            .to_ms = -1,
                            .every_frame = TRUE,
                            .max_pixels = 100000000,
                            .decoder_threads = 1};
  if (fd < 0) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "no file %s", clip);
    return FALSE;
  }
  g_autoptr(MnkSource) source = mnk_source_open(&config, error);
  if (!source)
    return FALSE;
  g_autoptr(MnkShots) shots = mnk_shots_new();
  g_autoptr(MnkMotion) motion = mnk_motion_new();
  MnkShotBoundary boundary;
  MnkReadStatus status;
  gint64 pair_ms = G_MININT64 / 2;
  for (guint64 n = 0;; n++) {
    g_autoptr(MnkFrame) frame = NULL;
    g_autoptr(MnkAudio) audio = NULL;
    status = mnk_source_read(source, &frame, &audio, error);
    if (status != MNK_READ_FRAME)
      break;
    reading->end_ms = frame->pts_ms;
    if (n % (guint64)every != 0)
      continue;
    double t0 = cpu_us();
    if (mnk_shots_push(shots, frame, &boundary))
      keep(reading->boundaries, &boundary, frame->pts_ms, split);
    double t1 = cpu_us();
    mnk_motion_push(motion, frame);
    split->shots_us += t1 - t0;
    split->motion_us += cpu_us() - t1;
    split->frames++;
    if (frame->pts_ms - pair_ms >= 150) {
      split->pairs++;
      pair_ms = frame->pts_ms;
    }
  }
  while (mnk_shots_flush(shots, &boundary))
    keep(reading->boundaries, &boundary, reading->end_ms, split);
  return status == MNK_READ_END;
}

/* ---- Comparison ---- */

static double middle(const MnkShotBoundary *b) {
  return (double)(b->start_ms + b->end_ms) / 2;
}

static const MnkShotBoundary *at(const GArray *boundaries, guint i) {
  return &g_array_index(boundaries, MnkShotBoundary, i);
}

static void match(const Truth *truth, const Reading *reading, Split *split) {
  double frame_ms = 1000 / truth->fps * every, tolerance = 1.5 * frame_ms;
  g_autofree gboolean *used = g_new0(gboolean, reading->boundaries->len + 1);
  for (guint i = 0; i < truth->boundaries->len; i++) {
    const MnkShotBoundary *wanted = at(truth->boundaries, i);
    Tally *tally = &split->kinds[wanted->kind];
    gboolean hard = wanted->kind == MNK_CUT_HARD, found = FALSE;
    tally->true_n++;
    for (guint k = 0; k < reading->boundaries->len && !found; k++) {
      const MnkShotBoundary *got = at(reading->boundaries, k);
      if (used[k] || (double)got->start_ms > (double)wanted->end_ms + tolerance ||
          (double)got->end_ms < (double)wanted->start_ms - tolerance)
        continue;
      double error = fabs(middle(got) - middle(wanted)) / (hard ? frame_ms : 1);
      used[k] = found = TRUE;
      tally->found++;
      tally->as_other_kind += got->kind != wanted->kind ? 1 : 0;
      tally->off_by_more += hard && error > 1.1 ? 1 : 0;
      tally->error += error;
      tally->error_max = MAX(tally->error_max, error);
    }
    if (!found && verbose)
      g_printerr("%s: missed %s %" G_GINT64_FORMAT "-%" G_GINT64_FORMAT "\n", truth->clip,
                 hard ? "hard" : "soft", wanted->start_ms, wanted->end_ms);
  }
  for (guint k = 0; k < reading->boundaries->len; k++) {
    const MnkShotBoundary *got = at(reading->boundaries, k);
    split->reported++;
    if (used[k])
      continue;
    split->false_alarms++;
    split->calm_false_alarms += truth->calm ? 1 : 0;
    if (verbose)
      g_printerr("%s: false %s %" G_GINT64_FORMAT "-%" G_GINT64_FORMAT " score %.2f\n", truth->clip,
                 got->kind == MNK_CUT_HARD ? "hard" : "soft", got->start_ms, got->end_ms,
                 (double)got->score);
  }
}

/* Interval i of those that the boundaries' middles cut 0..end into. */
static void interval(const GArray *boundaries, guint i, double end, double *from, double *to) {
  *from = i > 0 ? middle(at(boundaries, i - 1)) : 0;
  *to = i < boundaries->len ? middle(at(boundaries, i)) : end;
}

/* An interval with a soft boundary at either side counts as soft. */
static void compare_intervals(const Truth *truth, const Reading *reading, Split *split) {
  const GArray *wanted = truth->boundaries, *got = reading->boundaries;
  double end = (double)reading->end_ms + 1000 / truth->fps;
  for (guint i = 0; i <= wanted->len; i++) {
    double from, to, best = 0;
    interval(wanted, i, end, &from, &to);
    for (guint k = 0; k <= got->len; k++) {
      double begin, stop;
      interval(got, k, end, &begin, &stop);
      double common = MIN(to, stop) - MAX(from, begin);
      best = MAX(best, common / (MAX(to, stop) - MIN(from, begin)));
    }
    gboolean soft = (i > 0 && at(wanted, i - 1)->kind == MNK_CUT_SOFT) ||
                    (i < wanted->len && at(wanted, i)->kind == MNK_CUT_SOFT);
    Tally *tally = &split->kinds[soft ? MNK_CUT_SOFT : MNK_CUT_HARD];
    tally->iou += best;
    tally->intervals++;
  }
}

/* ---- Report ---- */

static void write_kind(MnkJsonWriter *w, const char *name, const Tally *tally) {
  gboolean hard = g_str_equal(name, "hard");
  mnk_json_begin_object(w, name);
  mnk_json_add_int(w, "true", tally->true_n);
  mnk_json_add_int(w, "found", tally->found);
  mnk_json_add_double(w, "recall", (double)tally->found / MAX(tally->true_n, 1), 3);
  mnk_json_add_int(w, "found_as_other_kind", tally->as_other_kind);
  const char *mean = hard ? "mean_error_frames" : "mean_error_of_middle_ms";
  mnk_json_add_double(w, mean, tally->error / MAX(tally->found, 1), 2);
  mnk_json_add_double(w, hard ? "max_error_frames" : "max_error_of_middle_ms", tally->error_max, 1);
  if (hard)
    mnk_json_add_int(w, "off_by_more_than_one_frame", tally->off_by_more);
  mnk_json_add_double(w, "mean_iou", tally->iou / MAX(tally->intervals, 1), 4);
  mnk_json_end_object(w);
}

static void print_split(const char *name, const Split *split) {
  g_autoptr(GString) out = g_string_new(NULL);
  MnkJsonWriter w;
  guint right = split->reported - split->false_alarms;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "bench", "shots");
  mnk_json_add_string(&w, "split", name);
  mnk_json_add_int(&w, "every", every);
  mnk_json_add_int(&w, "clips", split->clips);
  mnk_json_add_double(&w, "precision", (double)right / MAX(split->reported, 1), 3);
  write_kind(&w, "hard", &split->kinds[MNK_CUT_HARD]);
  write_kind(&w, "soft", &split->kinds[MNK_CUT_SOFT]);
  mnk_json_add_int(&w, "calm_clips", split->calm_clips);
  mnk_json_add_double(&w, "calm_minutes", split->calm_minutes, 2);
  mnk_json_add_int(&w, "calm_false_alarms", split->calm_false_alarms);
  mnk_json_add_int(&w, "max_latency_ms", split->latency_max_ms);
  mnk_json_add_double(&w, "shots_us_per_frame", split->shots_us / (double)MAX(split->frames, 1), 1);
  mnk_json_add_double(&w, "motion_us_per_pair", split->motion_us / (double)MAX(split->pairs, 1), 1);
  mnk_json_end_object(&w);
  g_print("%s\n", out->str);
}

static int compare_names(gconstpointer a, gconstpointer b) {
  return g_strcmp0(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *list_truths(const char *folder, GError **error) {
  g_autoptr(GDir) dir = g_dir_open(folder, 0, error);
  if (!dir)
    return NULL;
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir))
    if (g_str_has_suffix(name, ".json"))
      g_ptr_array_add(names, g_strdup(name));
  g_ptr_array_sort(names, compare_names);
  return names;
}

static gboolean bench_clip(const char *folder, const char *name, Split splits[2], GError **error) {
  g_autoptr(Truth) truth = truth_load(folder, name, error);
  if (!truth)
    return FALSE;
  g_autoptr(GArray) boundaries = g_array_new(FALSE, FALSE, sizeof(MnkShotBoundary));
  Reading reading = {.boundaries = boundaries};
  Split *split = &splits[truth->held_out ? 1 : 0];
  if (!read_clip(truth->clip, &reading, split, error))
    return FALSE;
  match(truth, &reading, split);
  if (truth->calm) {
    split->calm_clips++;
    split->calm_minutes += (double)reading.end_ms / 60000;
  } else {
    split->clips++;
    compare_intervals(truth, &reading, split);
  }
  return TRUE;
}

int main(int argc, char **argv) {
  char **folders = NULL;
  const GOptionEntry entries[] = {
      {"every", 'e', 0, G_OPTION_ARG_INT, &every, "Hand on every N-th frame", "N"},
      {"verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose, "Name what was missed or false", NULL},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &folders, NULL, "FOLDER"},
      {0}};
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_autoptr(GError) error = NULL;
  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error) || !folders || every < 1) {
    g_printerr("shots_bench: %s\n", error ? error->message : "which folder?");
    return 2;
  }
  g_autoptr(GPtrArray) names = list_truths(folders[0], &error);
  Split splits[2] = {0};
  for (guint i = 0; names && i < names->len; i++)
    if (!bench_clip(folders[0], names->pdata[i], splits, &error))
      break;
  g_strfreev(folders);
  if (error) {
    g_printerr("shots_bench: %s\n", error->message);
    return 1;
  }
  print_split("choosing", &splits[0]);
  print_split("held-out", &splits[1]);
  return 0;
}
