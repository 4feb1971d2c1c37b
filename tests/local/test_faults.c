/* Deaths, overload, files that are no good, and streams that must know nothing of each other. */
#include "bench.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

static void ask_red(MnkLocalStream *stream, const char *colour) {
  g_autofree char *text = g_strdup_printf("Was it %s?", colour);
  g_autofree char *expected = g_strdup_printf("the scene is %s", colour);
  Answer answer;
  MnkLocalQuestion question;
  bench_question_init(&question, text);
  bench_ask(stream, &question, &answer);
  g_assert_no_error(answer.error);
  g_assert_cmpstr(answer.text, ==, expected);
  bench_answer_clear(&answer);
}

/* ---- Isolation ---- */

/* What a stream has not seen it cannot name: without red tokens the nearest colour is told. */
static void assert_never(MnkLocalStream *stream, const char *colour) {
  g_autofree char *text = g_strdup_printf("Was it %s?", colour);
  g_autofree char *other = g_strdup_printf("the scene is %s", colour);
  Answer answer;
  MnkLocalQuestion question;
  bench_question_init(&question, text);
  question.topk = 64;
  bench_ask(stream, &question, &answer);
  g_assert_no_error(answer.error);
  g_assert_cmpstr(answer.text, !=, other);
  bench_answer_clear(&answer);
}

/* Shown nothing, the model has the words of the question alone. */
static void assert_empty(MnkLocalStream *stream) {
  Answer answer;
  MnkLocalQuestion question;
  bench_question_init(&question, "Was it red?");
  bench_ask(stream, &question, &answer);
  g_assert_no_error(answer.error);
  g_assert_cmpuint(answer.visual_tokens, ==, 0);
  g_assert_cmpuint(answer.evidence->len, ==, 0);
  bench_answer_clear(&answer);
}

static void test_isolation(void) {
  Bench bench;
  g_autoptr(GError) error = NULL;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_start_ready(&bench);
  MnkLocalStream *one = bench_open(&bench, "one", NULL), *two = bench_open(&bench, "two", NULL);
  g_assert_null(mnk_local_open(bench.local, "one", bench.settings, NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  bench_show(one, "red", 0, 6);
  bench_show(two, "blue", 0, 6);
  bench_wait_idle(one);
  bench_wait_idle(two);
  ask_red(one, "red");
  ask_red(two, "blue");
  assert_never(one, "blue");
  assert_never(two, "red");

  /* a new file starts empty, and so does an id that is used again */
  mnk_local_forget(one);
  MnkLocalMemory memory;
  mnk_local_memory(one, &memory);
  g_assert_cmpuint(memory.clusters, ==, 0);
  g_assert_cmpint(memory.last_ms, <, memory.first_ms);
  assert_empty(one);
  bench_show(one, "green", 0, 6);
  bench_wait_idle(one);
  ask_red(one, "green");
  assert_never(one, "red");
  mnk_local_close(two);
  two = bench_open(&bench, "two", NULL);
  bench_show(two, "yellow", 0, 6);
  bench_wait_idle(two);
  assert_never(two, "blue");
  bench_check_counts(&bench, one);
  bench_check_counts(&bench, two);
  mnk_local_close(one);
  mnk_local_close(two);
  bench_end(&bench);
}

/* Forgotten while clips are on their way: they are not of the new video. */
static void test_forget_in_between(void) {
  Bench bench;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_start_ready(&bench);
  MnkLocalStream *stream = bench_open(&bench, "one", NULL);
  bench_show(stream, "red", 0, 40);
  mnk_local_forget(stream);
  bench_show(stream, "blue", 0, 6);
  bench_wait_idle(stream);
  assert_never(stream, "red");
  ask_red(stream, "blue");
  bench_check_counts(&bench, stream);
  mnk_local_close(stream);
  bench_end(&bench);
}

/* ---- Snapshots ---- */

static void test_snapshot(void) {
  Bench bench;
  g_autoptr(GError) error = NULL;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_start_ready(&bench);
  MnkLocalStream *stream = bench_open(&bench, "one", NULL);
  bench_show(stream, "red", 0, 8);
  bench_show(stream, "blue", 8, 8);
  bench_wait_idle(stream);
  g_autoptr(GBytes) snapshot = bench_save(stream, &error);
  g_assert_no_error(error);
  Answer before, after;
  MnkLocalQuestion question;
  bench_question_init(&question, "Was it red?");
  bench_ask(stream, &question, &before);
  mnk_local_close(stream);

  stream = bench_open(&bench, "other", snapshot);
  g_autoptr(GBytes) again = bench_save(stream, &error);
  g_assert_no_error(error);
  g_assert_true(g_bytes_equal(snapshot, again));
  bench_question_init(&question, "Was it red?");
  bench_ask(stream, &question, &after);
  g_assert_no_error(after.error);
  g_assert_cmpstr(before.text, ==, after.text);
  g_assert_cmpuint(before.visual_tokens, ==, after.visual_tokens);
  g_assert_cmpuint(before.evidence->len, ==, after.evidence->len);
  for (guint i = 0; i < before.evidence->len; i++) {
    const MnkEvidence *a = &g_array_index(before.evidence, MnkEvidence, i);
    const MnkEvidence *b = &g_array_index(after.evidence, MnkEvidence, i);
    g_assert_cmpint(a->start_ms, ==, b->start_ms);
    g_assert_true(memcmp(&a->score, &b->score, sizeof a->score) == 0);
  }
  bench_answer_clear(&before);
  bench_answer_clear(&after);
  mnk_local_close(stream);

  /* damaged: left out, the stream begins empty */
  for (gsize cut = 0; cut < 4; cut++) {
    gsize length = 0;
    const guint8 *bytes = g_bytes_get_data(snapshot, &length);
    g_autofree guint8 *bad = g_memdup2(bytes, length);
    bad[cut == 3 ? length - 1 : cut * 40] ^= 0x55;
    g_autoptr(GBytes) damaged = g_bytes_new(bad, cut == 2 ? length / 2 : length);
    stream = bench_open(&bench, "damaged", damaged);
    assert_empty(stream);
    mnk_local_close(stream);
  }
  g_assert_cmpint(mnk_local_state(bench.local), ==, MNK_LOCAL_READY);
  bench_end(&bench);
}

/* ---- Deaths ---- */

static void kill_worker(Bench *bench) {
  GPid pid = mnk_local_pid(bench->local);
  g_assert_cmpint(pid, >, 0);
  kill(pid, SIGKILL);
}

/* It stands still while it is asked, so that it cannot be quicker than its end. */
static gboolean failed_with_worker(Bench *bench, MnkLocalStream *stream) {
  Answer answer;
  MnkLocalQuestion question;
  bench_question_init(&question, "Was it red?");
  kill(mnk_local_pid(bench->local), SIGSTOP);
  bench_ask_later(stream, &question, &answer);
  kill_worker(bench);
  bench_wait(&answer.done);
  gboolean failed = g_error_matches(answer.error, MNK_ERROR, MNK_ERROR_WORKER);
  bench_answer_clear(&answer);
  return failed;
}

/* In the middle of a question, with the memory of a snapshot and of frames that came after it. */
static void test_death_asking(void) {
  Bench bench;
  g_autoptr(GError) error = NULL;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_start_ready(&bench);
  MnkLocalStream *stream = bench_open(&bench, "one", NULL),
                 *empty = bench_open(&bench, "two", NULL);
  bench_show(stream, "red", 0, 8);
  bench_wait_idle(stream);
  g_autoptr(GBytes) snapshot = bench_save(stream, &error);
  g_assert_no_error(error);
  bench_show(stream, "blue", 8, 8);
  bench_wait_idle(stream);

  g_assert_true(failed_with_worker(&bench, stream));
  g_assert_cmpint(mnk_local_state(bench.local), ==, MNK_LOCAL_AWAY);
  g_assert_cmpstr(mnk_local_detail(bench.local), !=, "");
  bench_wait_state(&bench, MNK_LOCAL_READY);
  bench_wait_idle(stream);
  ask_red(stream, "red");
  ask_red(stream, "blue");
  assert_empty(empty);
  MnkLocalCounters counters;
  mnk_local_counters(bench.local, &counters);
  g_assert_cmpuint(counters.deaths, ==, 1);
  g_assert_cmpuint(counters.encoded, ==, 16); /* those of again are not counted again */
  bench_check_counts(&bench, stream);
  mnk_local_close(stream);
  mnk_local_close(empty);
  bench_end(&bench);
}

/* In the middle of encoding: what was on its way is encoded by the next worker. Asked while it is
 * away, a question waits. */
static void test_death_encoding(void) {
  Bench bench;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_start_ready(&bench);
  MnkLocalStream *stream = bench_open(&bench, "one", NULL);
  bench_show(stream, "red", 0, 60);
  kill_worker(&bench);
  bench_wait_state(&bench, MNK_LOCAL_AWAY);
  bench_show(stream, "blue", 60, 8);
  ask_red(stream, "red");
  bench_wait_idle(stream);
  ask_red(stream, "blue");
  MnkLocalMemory memory;
  mnk_local_memory(stream, &memory);
  g_assert_cmpuint(memory.encoded, ==, 68);
  g_assert_cmpuint(memory.left_out, ==, 0);
  bench_check_counts(&bench, stream);
  mnk_local_close(stream);
  bench_end(&bench);
}

/* Dead so often that it is given up: whoever waits is told, and so is whoever comes later. */
static void test_given_up(void) {
  Bench bench;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_set(&bench, MNK_OPT_WORKER_DEATHS, "1");
  bench_start_ready(&bench);
  MnkLocalStream *stream = bench_open(&bench, "one", NULL);
  while (mnk_local_state(bench.local) != MNK_LOCAL_FAILED) {
    if (mnk_local_state(bench.local) == MNK_LOCAL_READY) {
      bench_show(stream, "red", 0, 60);
      kill_worker(&bench);
      while (mnk_local_state(bench.local) == MNK_LOCAL_READY)
        g_main_context_iteration(NULL, TRUE);
    }
    g_main_context_iteration(NULL, TRUE);
  }
  bench_show(stream, "red", 100, 4);
  bench_wait_idle(stream);
  bench_check_counts(&bench, stream);
  Answer answer;
  MnkLocalQuestion question;
  bench_question_init(&question, "Was it red?");
  bench_ask(stream, &question, &answer);
  g_assert_error(answer.error, MNK_ERROR, MNK_ERROR_MODEL);
  bench_answer_clear(&answer);
  mnk_local_close(stream);
  bench_end(&bench);
}

/* A worker that stands still is killed, and the next one goes on. */
static void test_hang(void) {
  Bench bench;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_set(&bench, MNK_OPT_WORKER_HANG, "5"); /* longer than any start takes */
  bench_start_ready(&bench);
  MnkLocalStream *stream = bench_open(&bench, "one", NULL);
  bench_show(stream, "red", 0, 8);
  bench_wait_idle(stream);
  kill(mnk_local_pid(bench.local), SIGSTOP);
  bench_wait_state(&bench, MNK_LOCAL_AWAY);
  bench_wait_state(&bench, MNK_LOCAL_READY);
  bench_wait_idle(stream);
  ask_red(stream, "red");
  mnk_local_close(stream);
  bench_end(&bench);
}

/* Everything is freed with calls, clips and snapshots under way. */
static void test_sudden_end(void) {
  for (guint round = 0; round < 4; round++) {
    Bench bench;
    g_autoptr(GError) error = NULL;
    if (!bench_begin(&bench, "colour"))
      return;
    bench_start(&bench);
    MnkLocalStream *stream = bench_open(&bench, "one", NULL);
    bench_show(stream, "red", 0, 40);
    if (round > 0)
      bench_wait_state(&bench, MNK_LOCAL_READY);
    Answer answer, cancelled;
    MnkLocalQuestion question;
    bench_question_init(&question, "Was it red?");
    mnk_local_cancel(bench_ask_later(stream, &question, &cancelled));
    bench_ask_later(stream, &question, &answer);
    if (round > 1)
      bench_pass(5 * round);
    mnk_local_close(stream);
    if (round > 2 && !answer.done) {
      bench_wait(&answer.done);
      g_assert_error(answer.error, MNK_ERROR, MNK_ERROR_CANCELLED);
    }
    bench_end(&bench);
    g_assert_false(cancelled.done);
    bench_answer_clear(&answer);
    bench_answer_clear(&cancelled);
  }
}

/* ---- Overload ---- */

static void test_overload(void) {
  Bench bench;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_set(&bench, MNK_OPT_VISION_QUEUE, "8");
  bench_set(&bench, MNK_OPT_VISION_BUDGET, "0.01");
  bench_start_ready(&bench);
  MnkLocalStream *busy = bench_open(&bench, "busy", NULL), *calm = bench_open(&bench, "calm", NULL);
  g_autoptr(GBytes) grey = bench_picture("white"), red = bench_picture("red");
  for (guint i = 0; i < 400; i++) {
    gboolean telling = i == 395;
    mnk_local_frame(busy, telling ? red : grey, i * 1000, telling ? 1 : 0.1F, FALSE);
  }
  bench_show(calm, "blue", 0, 4);
  MnkLocalCounters counters;
  mnk_local_counters(bench.local, &counters);
  g_assert_cmpuint(counters.frames, ==, 404);
  g_assert_cmpuint(counters.pressure, ==, 100);
  bench_check_counts(&bench, busy);
  bench_wait_idle(busy);
  bench_wait_idle(calm);
  MnkLocalMemory memory;
  mnk_local_memory(busy, &memory);
  g_assert_cmpuint(memory.left_out, >, 300);
  g_assert_cmpuint(memory.encoded + memory.left_out, ==, 400);
  mnk_local_memory(calm, &memory);
  g_assert_cmpuint(memory.encoded, ==, 4); /* another's load is not its own */
  ask_red(busy, "red");                    /* what tells most was kept */
  mnk_local_counters(bench.local, &counters);
  g_assert_cmpuint(counters.pressure, ==, 0);
  mnk_local_close(busy);
  mnk_local_close(calm);
  mnk_local_counters(bench.local, &counters);
  g_assert_cmpuint(counters.frames, ==, 404); /* also of streams that are gone */
  bench_check_counts(&bench, NULL);
  bench_end(&bench);
}

/* No pictures, or pictures that nobody would draw. */
static void test_bad_pictures(void) {
  Bench bench;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_start_ready(&bench);
  MnkLocalStream *stream = bench_open(&bench, "one", NULL);
  g_autoptr(GBytes) nothing = g_bytes_new(NULL, 0), noise = g_bytes_new("no picture", 10);
  g_autoptr(GBytes) good = bench_picture("red");
  g_autoptr(GBytes) cut = g_bytes_new_from_bytes(good, 0, g_bytes_get_size(good) / 2);
  static const int SIZES[][2] = {{1, 1}, {8000, 10}, {3, 700}};
  gint64 pts_ms = 0;
  mnk_local_frame(stream, nothing, pts_ms += 1000, 1, FALSE);
  mnk_local_frame(stream, noise, pts_ms += 1000, 1, FALSE);
  mnk_local_frame(stream, cut, pts_ms += 1000, 1, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS(SIZES); i++) {
    gsize n = (gsize)SIZES[i][0] * (gsize)SIZES[i][1] * 3;
    g_autofree guint8 *rgb = g_malloc0(n);
    g_autoptr(MnkFrame) frame =
        mnk_frame_new_rgb(rgb, SIZES[i][0], SIZES[i][1], SIZES[i][0] * 3, 0);
    g_autoptr(GBytes) jpeg = mnk_frame_to_jpeg(frame, 90, NULL);
    mnk_local_frame(stream, jpeg, pts_ms += 1000, 1, FALSE);
  }
  bench_show(stream, "red", 10, 4);
  bench_wait_idle(stream);
  ask_red(stream, "red");
  bench_check_counts(&bench, stream);
  MnkLocalMemory memory;
  mnk_local_memory(stream, &memory);
  g_assert_cmpuint(memory.left_out, >=, 3);
  MnkLocalCounters counters;
  mnk_local_counters(bench.local, &counters);
  g_assert_cmpuint(counters.deaths, ==, 0);
  mnk_local_close(stream);
  bench_end(&bench);
}

/* ---- Files ---- */

static char *refusal(const MnkSettings *settings) {
  g_autoptr(GError) error = NULL;
  MnkLocal *local = NULL;
  gboolean ok = mnk_local_new(settings, NULL, NULL, &local, &error);
  if (!ok) {
    g_assert_null(local);
    return g_strdup(error->message);
  }
  while (mnk_local_state(local) != MNK_LOCAL_FAILED && mnk_local_state(local) != MNK_LOCAL_READY)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpint(mnk_local_state(local), ==, MNK_LOCAL_FAILED);
  char *detail = g_strdup(mnk_local_detail(local));
  mnk_local_free(local);
  return detail;
}

static void assert_refused(Bench *bench, const char *model, const char *mmproj, const char *says) {
  bench_set(bench, MNK_OPT_MODEL_PATH, model);
  if (mmproj != NULL)
    bench_set(bench, MNK_OPT_MMPROJ, mmproj);
  g_autofree char *why = refusal(bench->settings);
  g_test_message("%s", why);
  g_assert_nonnull(strstr(why, says));
  g_assert_cmpint(why[strlen(why) - 1], !=, '.');
}

static void test_bad_files(void) {
  Bench bench;
  if (!bench_begin(&bench, "colour"))
    return;
  g_autofree char *folder = g_dir_make_tmp("manako-local-XXXXXX", NULL);
  g_autofree char *models = g_strdup(g_getenv("MANAKO_TINY_MODELS"));
  g_autofree char *model = g_build_filename(models, "colour", "model.gguf", NULL);
  g_autofree char *mmproj = g_build_filename(models, "colour", "mmproj.gguf", NULL);
  g_autofree char *other = g_build_filename(models, "smolvlm", "mmproj.gguf", NULL);
  g_autofree char *cut = g_build_filename(folder, "cut.gguf", NULL), *bytes = NULL;
  gsize length = 0;
  assert_refused(&bench, "/nowhere/at/all.gguf", NULL, "no model");
  assert_refused(&bench, folder, NULL, "no model");
  assert_refused(&bench, "/etc/passwd", NULL, "not a GGUF file");
  g_assert_true(g_file_get_contents(model, &bytes, &length, NULL));
  g_assert_true(g_file_set_contents(cut, bytes, (gssize)length / 2, NULL));
  assert_refused(&bench, cut, NULL, "no projector");
  assert_refused(&bench, cut, mmproj, "cut.gguf");
  assert_refused(&bench, model, other, "mmproj.gguf");
  assert_refused(&bench, mmproj, mmproj, "mmproj.gguf");
  assert_refused(&bench, model, model, "model.gguf");
  bench_set(&bench, MNK_OPT_MODEL_CONTEXT, "262144");
  bench_set(&bench, MNK_OPT_MODEL_MEMORY, "256MiB");
  assert_refused(&bench, model, mmproj, "MiB");
  g_unlink(cut);
  g_rmdir(folder);
  bench_end(&bench);
}

static char *copy_to(const char *folder, const char *name, const char *from) {
  g_autofree char *bytes = NULL;
  gsize length = 0;
  char *path = g_build_filename(folder, name, NULL);
  g_assert_true(g_file_get_contents(from, &bytes, &length, NULL));
  g_assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
  return path;
}

/* Files that pass for good until the library has them: the trial alone is hurt. */
static void test_bad_trial(void) {
  Bench bench;
  if (!bench_begin(&bench, "colour"))
    return;
  g_autofree char *folder = g_dir_make_tmp("manako-local-XXXXXX", NULL);
  g_autofree char *models = g_strdup(g_getenv("MANAKO_TINY_MODELS"));
  g_autofree char *model = g_build_filename(models, "colour", "model.gguf", NULL);
  g_autofree char *mmproj = g_build_filename(models, "colour", "mmproj.gguf", NULL);
  g_autofree char *hangs = copy_to(folder, "hang.gguf", model);
  g_autofree char *aborts = copy_to(folder, "abort.gguf", model);
  assert_refused(&bench, aborts, mmproj, "crash the library (signal 6)");
  bench_set(&bench, MNK_OPT_MODEL_PROBE, "1");
  assert_refused(&bench, hangs, mmproj, "took longer than 1 s");
  /* freed while it is tried */
  bench_start(&bench);
  g_assert_cmpint(mnk_local_state(bench.local), ==, MNK_LOCAL_TRYING);
  g_unlink(hangs);
  g_unlink(aborts);
  g_rmdir(folder);
  bench_end(&bench);
}

static void set_clip_length(Bench *bench, MnkLocalStream *stream, const char *length) {
  bench_set(bench, MNK_OPT_CLIP_LEN, length);
  mnk_local_set(stream, bench->settings);
}

/* A frame that no worker survives is left out, and those that were with it are not. They are due
 * only while the worker stands still, so that it cannot be quicker than its end. */
static void test_deadly_frame(void) {
  Bench bench;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_set(&bench, MNK_OPT_CLIP_TIMEOUT, "600");
  bench_start_ready(&bench);
  MnkLocalStream *stream = bench_open(&bench, "one", NULL);
  set_clip_length(&bench, stream, "64");
  bench_show(stream, "red", 0, 12);
  for (guint deaths = 0; deaths < 2; deaths++) {
    bench_wait_state(&bench, MNK_LOCAL_READY);
    kill(mnk_local_pid(bench.local), SIGSTOP);
    set_clip_length(&bench, stream, "4");
    kill_worker(&bench);
    bench_wait_state(&bench, MNK_LOCAL_AWAY);
    set_clip_length(&bench, stream, "64");
  }
  bench_wait_state(&bench, MNK_LOCAL_READY);
  bench_wait_idle(stream);
  MnkLocalMemory memory;
  mnk_local_memory(stream, &memory);
  g_assert_cmpuint(memory.left_out, ==, 1);
  g_assert_cmpuint(memory.encoded, ==, 11);
  g_assert_cmpint(memory.first_ms, >, 0);
  bench_check_counts(&bench, stream);
  mnk_local_close(stream);
  bench_end(&bench);
}

static void test_none_configured(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GError) error = NULL;
  MnkLocal *local = NULL;
  g_assert_true(mnk_local_new(settings, NULL, NULL, &local, &error));
  g_assert_no_error(error);
  g_assert_null(local);
  if (mnk_vlm_is_built())
    return;
  g_assert_true(mnk_settings_set(settings, MNK_OPT_MODEL_PATH, "model.gguf", &error));
  g_assert_false(mnk_local_new(settings, NULL, NULL, &local, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED);
  g_test_message("%s", error->message);
}

static void add_tests(void) {
  g_test_add_func("/local/isolation", test_isolation);
  g_test_add_func("/local/forget in between", test_forget_in_between);
  g_test_add_func("/local/snapshot", test_snapshot);
  g_test_add_func("/local/death/asking", test_death_asking);
  g_test_add_func("/local/death/encoding", test_death_encoding);
  g_test_add_func("/local/death/given up", test_given_up);
  g_test_add_func("/local/death/hang", test_hang);
  g_test_add_func("/local/death/sudden end", test_sudden_end);
  g_test_add_func("/local/overload", test_overload);
  g_test_add_func("/local/bad/pictures", test_bad_pictures);
  g_test_add_func("/local/bad/files", test_bad_files);
  g_test_add_func("/local/bad/trial", test_bad_trial);
  g_test_add_func("/local/death/frame", test_deadly_frame);
  g_test_add_func("/local/bad/none", test_none_configured);
}

int main(int argc, char **argv) {
  return bench_main(argc, argv, add_tests);
}
