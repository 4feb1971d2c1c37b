/* The vocabulary: look-ups, class tables, the chain of broader concepts, and what sentences need
 * of every row. */
#include "facts/facts.h"

#include <string.h>

static void test_find_every_row(void) {
  g_assert_cmpuint(mnk_vocabulary_size(), >, 500);
  for (guint i = 0; i < mnk_vocabulary_size(); i++) {
    const MnkConcept *concept = mnk_vocabulary_at(i);
    g_assert_true(mnk_vocabulary_find(concept->name) == concept);
    if (i > 0)
      g_assert_cmpint(strcmp(mnk_vocabulary_at(i - 1)->name, concept->name), <, 0);
  }
  g_assert_null(mnk_vocabulary_at(mnk_vocabulary_size()));
  g_assert_null(mnk_vocabulary_at(G_MAXUINT));
}

static void test_find_nothing(void) {
  static const char *const unknown[] = {"", "unicorn", "Cat", "cat ", "ca", "zzz", " "};
  g_assert_null(mnk_vocabulary_find(NULL));
  for (guint i = 0; i < G_N_ELEMENTS(unknown); i++)
    g_assert_null(mnk_vocabulary_find(unknown[i]));
}

static void test_rows_are_sayable(void) {
  for (guint i = 0; i < mnk_vocabulary_size(); i++) {
    const MnkConcept *c = mnk_vocabulary_at(i);
    g_assert_true(g_utf8_validate(c->name, -1, NULL));
    g_assert_nonnull(c->ja);
    g_assert_true(g_utf8_validate(c->ja, -1, NULL));
    g_assert_nonnull(c->counter_ja);
    g_assert_cmpint(g_utf8_strlen(c->counter_ja, -1), ==, 1);
    g_assert_cmpint(c->kind, <=, MNK_CONCEPT_CLOTHING);
    if (c->broader != NULL)
      g_assert_nonnull(mnk_vocabulary_find(c->broader));
  }
}

typedef struct {
  guint index;
  const char *name; /* NULL: not worth naming */
} Class;

static void check_classes(const MnkConcept *(*look)(guint), const Class *classes, guint n) {
  for (guint i = 0; i < n; i++) {
    const MnkConcept *concept = look(classes[i].index);
    g_assert_cmpstr(concept != NULL ? concept->name : NULL, ==, classes[i].name);
  }
}

static void test_imagenet(void) {
  static const Class classes[] = {
      {0, "fish"},           {24, "owl"},
      {145, "penguin"},      {151, "dog"},
      {207, "dog"},          {268, "dog"},
      {281, "cat"},          {285, "cat"},
      {286, "cougar"},       {340, "zebra"},
      {404, "airplane"},     {497, "church"},
      {511, "car"},          {657, "rocket"},
      {665, "motorcycle"},   {670, "motorcycle"},
      {817, "car"},          {872, "tripod"},
      {916, NULL},           {917, NULL},
      {967, "coffee"},       {968, "cup"},
      {970, "mountain"},     {978, "seashore"},
      {980, "volcano"},      {984, "rapeseed field"},
      {999, "toilet paper"}, {1000, NULL},
      {G_MAXUINT, NULL},
  };
  check_classes(mnk_vocabulary_imagenet, classes, G_N_ELEMENTS(classes));
  guint dogs = 0, named = 0;
  for (guint i = 0; i < 1000; i++) {
    const MnkConcept *concept = mnk_vocabulary_imagenet(i);
    named += concept != NULL;
    dogs += concept != NULL && strcmp(concept->name, "dog") == 0;
  }
  g_assert_cmpuint(dogs, ==, 119); /* 118 breeds and the dingo */
  g_assert_cmpuint(named, >, 900);
}

static void test_coco(void) {
  static const Class classes[] = {{0, "person"},
                                  {3, "motorcycle"},
                                  {9, "traffic light"},
                                  {15, "cat"},
                                  {16, "dog"},
                                  {32, "ball"},
                                  {41, "cup"},
                                  {57, "sofa"},
                                  {60, "dining table"},
                                  {62, "television"},
                                  {64, "computer mouse"},
                                  {79, "toothbrush"},
                                  {80, NULL}};
  check_classes(mnk_vocabulary_coco, classes, G_N_ELEMENTS(classes));
  for (guint i = 0; i < 80; i++)
    g_assert_nonnull(mnk_vocabulary_coco(i));
}

static void test_is_a(void) {
  g_assert_true(mnk_concept_is_a("cat", "cat"));
  g_assert_true(mnk_concept_is_a("cat", "animal"));
  g_assert_true(mnk_concept_is_a("owl", "bird"));
  g_assert_true(mnk_concept_is_a("owl", "animal"));
  g_assert_true(mnk_concept_is_a("police car", "vehicle"));
  g_assert_true(mnk_concept_is_a("school bus", "vehicle"));
  g_assert_false(mnk_concept_is_a("animal", "cat"));
  g_assert_false(mnk_concept_is_a("cat", "dog"));
  g_assert_false(mnk_concept_is_a("cat", NULL));
  g_assert_false(mnk_concept_is_a(NULL, "cat"));
  g_assert_false(mnk_concept_is_a("unicorn", "unicorn"));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/vocabulary/find/every-row", test_find_every_row);
  g_test_add_func("/vocabulary/find/nothing", test_find_nothing);
  g_test_add_func("/vocabulary/rows-are-sayable", test_rows_are_sayable);
  g_test_add_func("/vocabulary/imagenet", test_imagenet);
  g_test_add_func("/vocabulary/coco", test_coco);
  g_test_add_func("/vocabulary/is-a", test_is_a);
  return g_test_run();
}
