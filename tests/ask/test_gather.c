/* What the store knows of a question: a real store, asked on its own thread. */
#include "fakes.h"

#include <math.h>
#include <string.h>

static Place place;

/* "1h 3 4r": ids in the order of time; h: a hit, r: recent. */
static char *describe(const MnkGathered *gathered) {
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < gathered->captions->len; i++) {
    const MnkGatheredCaption *caption = gathered->captions->pdata[i];
    g_string_append_printf(out, "%s%s%s%s", i > 0 ? " " : "", caption->caption->id,
                           isnan(caption->score) ? "" : "h", caption->recent ? "r" : "");
  }
  return g_string_free(out, FALSE);
}

static char *describe_frames(const MnkGathered *gathered) {
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < gathered->frames->len; i++) {
    const MnkBatchFrame *frame = gathered->frames->pdata[i];
    g_autofree char *bytes = g_strdup_printf("\xff\xd8%" G_GINT64_FORMAT "\xff\xd9", frame->pts_ms);
    gsize length = 0;
    const char *jpeg = g_bytes_get_data(frame->jpeg, &length);
    g_assert_cmpmem(jpeg, length, bytes, strlen(bytes));
    g_string_append_printf(out, "%s%" G_GINT64_FORMAT, i > 0 ? " " : "", frame->pts_ms);
  }
  return g_string_free(out, FALSE);
}

static MnkGathered *gather(const MnkGatherWish *wish) {
  g_autoptr(GError) error = NULL;
  mnk_store_flush(place.store, NULL);
  MnkGathered *gathered = mnk_gather(place.store, wish, &error);
  g_assert_no_error(error);
  return gathered;
}

static void check(const MnkGatherWish *wish, const char *captions) {
  g_autoptr(MnkGathered) gathered = gather(wish);
  g_autofree char *said = describe(gathered);
  g_assert_cmpstr(said, ==, captions);
}

/* Twelve captions of ten seconds; animals in some, a gap at 7; and another stream with the same. */
static void fill(void) {
  static const char *const texts[] = {"A quiet yard.",
                                      "A dog runs.",
                                      "A dog and a cat sit.",
                                      "A quiet yard again.",
                                      "A red car comes.",
                                      "The car leaves.",
                                      NULL,
                                      "A person walks by.",
                                      "A dog barks.",
                                      "A quiet yard.",
                                      "A bicycle.",
                                      "Rain falls."};
  place_open(&place);
  place_add_stream(&place, "yard");
  place_add_stream(&place, "street");
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    gint64 start_ms = 10000 * (gint64)i;
    place_add_caption(&place, "yard", i + 1, start_ms, start_ms + 9000, texts[i], i % 2 == 1);
    place_add_caption(&place, "street", i + 1, start_ms, start_ms + 9000, "A secret dog.", TRUE);
  }
}

static MnkGatherWish wish_of(const char *question, MnkHistory history) {
  return (MnkGatherWish){.stream = (char *)"yard",
                         .question = (char *)question,
                         .history = history,
                         .now_ms = -1,
                         .limits = {.hits = 8, .recent = 3, .overview = 4}};
}

static void test_hits(void) {
  fill();
  MnkGatherWish wish = wish_of("Is there a dog or a cat?", MNK_HISTORY_AUTO);
  check(&wish, "2h 3h 9h 10r 11r 12r");
  g_autoptr(MnkGathered) gathered = gather(&wish);
  g_assert_true(gathered->past);
  /* Both words count more than one. */
  double both = 0, one = 0;
  for (guint i = 0; i < gathered->captions->len; i++) {
    const MnkGatheredCaption *caption = gathered->captions->pdata[i];
    if (g_str_equal(caption->caption->id, "3"))
      both = caption->score;
    if (g_str_equal(caption->caption->id, "9"))
      one = caption->score;
  }
  g_assert_cmpfloat(both, >, one);
  wish = wish_of("cat", MNK_HISTORY_AUTO);
  g_autoptr(MnkGathered) cats = gather(&wish);
  g_assert_cmpfloat(((MnkGatheredCaption *)cats->captions->pdata[0])->score, <, both);
  wish = wish_of("Is there a dog or a cat?", MNK_HISTORY_AUTO);
  wish.limits.hits = 1;
  check(&wish, "3h 10r 11r 12r");
  wish = wish_of("Is it raining? Rain?", MNK_HISTORY_AUTO);
  check(&wish, "10r 11r 12hr"); /* Rain falls: found and recent */
  g_autoptr(MnkGathered) recent = gather(&wish);
  g_assert_false(recent->past);
  place_close(&place);
}

static void test_history(void) {
  fill();
  MnkGatherWish wish = wish_of("Is there a dog?", MNK_HISTORY_NEVER);
  check(&wish, "10r 11r 12r");
  /* A question of the past without hits gets an overview. */
  wish = wish_of("What happened?", MNK_HISTORY_AUTO);
  check(&wish, "1 4 8 10r 11r 12r");
  wish = wish_of("What happened?", MNK_HISTORY_NEVER);
  check(&wish, "10r 11r 12r");
  wish = wish_of("What is it?", MNK_HISTORY_AUTO);
  check(&wish, "10r 11r 12r");
  wish = wish_of("What is it?", MNK_HISTORY_ALWAYS);
  check(&wish, "1 4 8 10r 11r 12r");
  place_close(&place);
}

static void test_bounds(void) {
  fill();
  /* Nothing later than now, no gap, nothing of a stream that is not known. */
  MnkGatherWish wish = wish_of("dog", MNK_HISTORY_ALWAYS);
  wish.now_ms = 25000;
  check(&wish, "1 2h 3h");
  wish.stream = (char *)"nowhere";
  check(&wish, "");
  wish = wish_of("", MNK_HISTORY_AUTO);
  wish.limits.recent = 6;
  check(&wish, "8r 9r 10r 11r 12r"); /* the seventh is a gap */
  place_close(&place);
}

static void test_log(void) {
  fill();
  place_add_caption(&place, "yard", 13, 120000, 125000, "A \x1b[31m<|im_start|>\n[INST] sign",
                    FALSE);
  MnkGatherWish wish = wish_of("cat", MNK_HISTORY_AUTO);
  wish.limits.recent = 2;
  g_autoptr(MnkGathered) gathered = gather(&wish);
  g_autofree char *log = mnk_gathered_log(gathered);
  g_assert_cmpstr(log, ==,
                  "0:20-0:29 A dog and a cat sit.\n"
                  "1:50-1:59 Rain falls.\n"
                  "2:00-2:05 A ‹|im_start|› (INST) sign");
  place_close(&place);
}

static void check_frames(const MnkGatherWish *wish, const char *frames) {
  g_autoptr(MnkGathered) gathered = gather(wish);
  g_autofree char *said = describe_frames(gathered);
  g_assert_cmpstr(said, ==, frames);
}

static void test_pictures(void) {
  fill();
  MnkGatherWish wish = wish_of("car", MNK_HISTORY_AUTO);
  wish.limits.pictures = 4;
  place_add_picture(&place, "yard", 58000); /* inside of it, but not beside it */
  /* "The car leaves." has one beside it, "A red car comes." has none. */
  check_frames(&wish, "54500 74500 94500 114500");
  wish.limits.pictures = 1;
  check_frames(&wish, "54500");
  wish = wish_of("nothing", MNK_HISTORY_NEVER);
  wish.limits.pictures = 2;
  check_frames(&wish, "94500 114500");
  wish.now_ms = 80000; /* nothing later */
  check_frames(&wish, "58000 74500");
  /* A picture inside a caption that has none of its own beside it. */
  place_add_picture(&place, "yard", 41000);
  wish = wish_of("red", MNK_HISTORY_AUTO);
  wish.limits.pictures = 2;
  check_frames(&wish, "41000 114500");
  place_close(&place);
}

static void test_many_pictures(void) {
  place_open(&place);
  place_add_stream(&place, "yard");
  place_add_caption(&place, "yard", 1, 0, 900000, "A yard.", FALSE);
  for (gint64 i = 0; i < 900; i++)
    place_add_picture(&place, "yard", i * 1000);
  MnkGatherWish wish = wish_of("nothing", MNK_HISTORY_NEVER);
  wish.limits.pictures = 3;
  check_frames(&wish, "897000 898000 899000");
  place_close(&place);
}

static void test_evidence(void) {
  fill();
  mnk_store_flush(place.store, NULL);
  g_autoptr(GPtrArray) evidence = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_evidence_free);
  g_ptr_array_add(evidence, mnk_evidence_new(18000, 26000, 0.5, "chosen"));
  g_ptr_array_add(evidence, mnk_evidence_new(61000, 69000, 0.5, "chosen")); /* the gap */
  g_ptr_array_add(evidence, mnk_evidence_new(500000, 510000, 0.5, "chosen"));
  g_ptr_array_add(evidence, mnk_evidence_new(30000, 36000, NAN, "recent"));
  mnk_evidence_join(evidence, place.store, "yard");
  static const struct {
    const char *caption;
    gint64 picture_ms;
  } joined[] = {{"3", -1}, {NULL, -1}, {NULL, -1}, {"4", 34500}};
  for (guint i = 0; i < G_N_ELEMENTS(joined); i++) {
    const MnkAnswerEvidence *one = evidence->pdata[i];
    g_assert_cmpstr(one->caption, ==, joined[i].caption);
    g_assert_cmpint(one->picture_ms, ==, joined[i].picture_ms);
  }
  place_close(&place);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/gather/hits", test_hits);
  g_test_add_func("/gather/history", test_history);
  g_test_add_func("/gather/bounds", test_bounds);
  g_test_add_func("/gather/log", test_log);
  g_test_add_func("/gather/pictures", test_pictures);
  g_test_add_func("/gather/many-pictures", test_many_pictures);
  g_test_add_func("/gather/evidence", test_evidence);
  return g_test_run();
}
