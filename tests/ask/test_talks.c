/* Conversations: bounded, each its owner's, with ids that nobody guesses. */
#include "fakes.h"

#include <string.h>

static guint count_turns(MnkTalks *talks, const char *id, const char *owner, const char *stream) {
  g_autoptr(GArray) turns = mnk_talks_turns(talks, id, owner, stream, NULL);
  return turns ? turns->len : 0;
}

static MnkTalks *talks_of(guint talks_max, guint turns_max) {
  MnkTalks *talks = mnk_talks_new();
  mnk_talks_set_limits(talks, talks_max, turns_max);
  return talks;
}

static void test_turns(void) {
  MnkTalks *talks = talks_of(10, 3);
  g_autofree char *id = mnk_talks_add(talks, NULL, "ann", "yard", "q0", "a0");
  for (guint i = 1; i < 5; i++) {
    g_autofree char *question = g_strdup_printf("q%u", i);
    g_autofree char *same = mnk_talks_add(talks, id, "ann", "yard", question, "a");
    g_assert_cmpstr(same, ==, id);
  }
  g_autoptr(GArray) turns = mnk_talks_turns(talks, id, "ann", "yard", NULL);
  g_assert_cmpuint(turns->len, ==, 3); /* the newest */
  g_assert_cmpstr(g_array_index(turns, MnkTurnOfTalk, 0).question, ==, "q2");
  g_assert_cmpstr(g_array_index(turns, MnkTurnOfTalk, 2).question, ==, "q4");
  mnk_talks_free(talks);
}

static void test_owners(void) {
  MnkTalks *talks = talks_of(10, 3);
  g_autofree char *id = mnk_talks_add(talks, NULL, "ann", "yard", "q", "a");
  static const char *const others[][2] = {
      {"bob", "yard"}, {"", "yard"}, {"ann", "street"}, {"ann ", "yard"}};
  for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(mnk_talks_turns(talks, id, others[i][0], others[i][1], &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND);
  }
  g_assert_cmpuint(count_turns(talks, id, "ann", "yard"), ==, 1);
  g_assert_null(mnk_talks_turns(talks, "c-unknown", "ann", "yard", NULL));
  mnk_talks_free(talks);
}

static void test_least_used(void) {
  MnkTalks *talks = talks_of(3, 2);
  g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < 3; i++)
    g_ptr_array_add(ids, mnk_talks_add(talks, NULL, "ann", "yard", "q", "a"));
  g_assert_cmpuint(count_turns(talks, ids->pdata[0], "ann", "yard"), ==, 1); /* used */
  g_ptr_array_add(ids, mnk_talks_add(talks, NULL, "ann", "yard", "q", "a"));
  static const guint left[] = {1, 0, 1, 1};
  for (guint i = 0; i < G_N_ELEMENTS(left); i++)
    g_assert_cmpuint(count_turns(talks, ids->pdata[i], "ann", "yard"), ==, left[i]);
  g_assert_cmpuint(mnk_talks_count(talks), ==, 3);
  /* One that was forgotten while its question was answered goes on under its name. */
  g_autofree char *again = mnk_talks_add(talks, ids->pdata[1], "ann", "yard", "q", "a");
  g_assert_cmpstr(again, ==, ids->pdata[1]);
  g_assert_cmpuint(mnk_talks_count(talks), ==, 3);
  mnk_talks_set_limits(talks, 1, 2);
  g_assert_cmpuint(mnk_talks_count(talks), ==, 1);
  g_assert_cmpuint(count_turns(talks, ids->pdata[1], "ann", "yard"), ==, 1);
  mnk_talks_free(talks);
}

static void test_none(void) {
  MnkTalks *talks = talks_of(10, 0);
  g_assert_null(mnk_talks_add(talks, NULL, "ann", "yard", "q", "a"));
  g_assert_cmpuint(mnk_talks_count(talks), ==, 0);
  mnk_talks_free(talks);
}

static void test_long(void) {
  MnkTalks *talks = talks_of(10, 1);
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < 5000; i++)
    g_string_append(text, "犬");
  g_autofree char *id = mnk_talks_add(talks, NULL, "ann", "yard", text->str, text->str);
  g_autoptr(GArray) turns = mnk_talks_turns(talks, id, "ann", "yard", NULL);
  const MnkTurnOfTalk *turn = &g_array_index(turns, MnkTurnOfTalk, 0);
  g_assert_cmpuint(strlen(turn->question), ==, 4095); /* whole characters */
  g_assert_true(g_utf8_validate(turn->answer, -1, NULL));
  mnk_talks_free(talks);
}

static void test_ids(void) {
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < 1000; i++) {
    char *id = mnk_ask_new_id("c-");
    g_assert_cmpuint(strlen(id), ==, 2 + 22);
    g_assert_cmpuint(strspn(id + 2, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_"), ==, 22);
    g_assert_true(g_hash_table_add(seen, id));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/talks/turns", test_turns);
  g_test_add_func("/talks/owners", test_owners);
  g_test_add_func("/talks/least-used", test_least_used);
  g_test_add_func("/talks/none", test_none);
  g_test_add_func("/talks/long", test_long);
  g_test_add_func("/talks/ids", test_ids);
  return g_test_run();
}
