/* Pictures become memory, questions become answers: the whole chain, with a model that sees colours
 * and names them. */
#include "bench.h"

#include <math.h>
#include <string.h>

/* Each moment that was chosen lies within the stretch, and there is one. */
static void assert_chosen(const Answer *answer, gint64 from_ms, gint64 to_ms) {
  guint chosen = 0;
  for (guint i = 0; i < answer->evidence->len; i++) {
    const MnkEvidence *one = &g_array_index(answer->evidence, MnkEvidence, i);
    if (!g_str_equal(one->why, "chosen"))
      continue;
    chosen++;
    g_assert_false(isnan(one->score));
    g_assert_cmpint(one->start_ms, >=, from_ms);
    g_assert_cmpint(one->end_ms, <=, to_ms);
  }
  g_assert_cmpuint(chosen, >, 0);
}

/* Green, then red, then blue for long enough that red is far behind; last black. */
static void show_colours(MnkLocalStream *stream) {
  bench_show(stream, "green", 0, 8);
  bench_show(stream, "red", 8, 8);
  bench_show(stream, "blue", 16, 8);
  bench_show(stream, "yellow", 24, 8);
  bench_show(stream, "black", 32, 8);
}

static void test_answer(void) {
  Bench bench;
  if (!bench_begin(&bench, "colour"))
    return;
  bench_set(&bench, MNK_OPT_KEY_FRAME_BUFFER_SIZE, "1");
  bench_start_ready(&bench);
  g_autoptr(MnkLocalStream) stream = bench_open(&bench, "walk", NULL);
  show_colours(stream);
  bench_wait_idle(stream);
  bench_check_counts(&bench, stream);
  MnkLocalMemory memory;
  mnk_local_memory(stream, &memory);
  g_assert_cmpuint(memory.encoded, ==, 40);
  g_assert_cmpint(memory.first_ms, ==, 0);
  g_assert_cmpint(memory.last_ms, ==, 39000);
  g_assert_cmpuint(memory.long_clusters, ==, 4);

  Answer answer;
  MnkLocalQuestion question;
  bench_question_init(&question, "Was the scene red before?");
  bench_ask(stream, &question, &answer);
  g_assert_no_error(answer.error);
  g_assert_cmpstr(answer.text, ==, "the scene is red");
  g_assert_cmpstr(answer.finish, ==, "stop");
  g_assert_true(answer.history);
  assert_chosen(&answer, 8000, 16000);
  bench_answer_clear(&answer);

  bench_question_init(&question, "What colour is it now");
  question.history = MNK_HISTORY_NEVER;
  bench_ask(stream, &question, &answer);
  g_assert_no_error(answer.error);
  g_assert_cmpstr(answer.text, ==, "the scene is black");
  g_assert_false(answer.history);
  g_assert_cmpuint(answer.cached_tokens, >, 0); /* the instructions, from before */
  for (guint i = 0; i < answer.evidence->len; i++)
    g_assert_cmpstr(g_array_index(answer.evidence, MnkEvidence, i).why, ==, "recent");
  bench_answer_clear(&answer);
  g_clear_pointer(&stream, mnk_local_close);
  bench_end(&bench);
}

static void add_tests(void) {
  g_test_add_func("/local/answer", test_answer);
}

int main(int argc, char **argv) {
  return bench_main(argc, argv, add_tests);
}
