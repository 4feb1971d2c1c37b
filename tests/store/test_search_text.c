/* Folding and queries, without a database. */
#include "base/base.h"
#include "store/store_priv.h"

/* In the tables '|' stands for the invisible separator. */
static char *shown(const char *text) {
  g_auto(GStrv) parts = g_strsplit(text, "\xe2\x80\x8b", -1);
  return g_strjoinv("|", parts);
}

static void test_fold(void) {
  static const struct {
    const char *text, *folded, *unfolded;
  } cases[] = {
      {"", "", ""},
      {"A red car.", "A red car.", "A red car."},
      {"赤い車", "赤|い|車", "赤い車"},
      {"赤い 車", "赤|い 車", "赤い 車"},
      {"Tシャツを着た人", "T|シ|ャ|ツ|を|着|た|人", "Tシャツを着た人"},
      {"ラーメン、人々", "ラ|ー|メ|ン|、|人|々", "ラーメン、人々"},
      {"ｶﾞﾗｽ ＣＡＴ", "ガ|ラ|ス CAT", "ガラス CAT"},
      {"Café", "Café", "Café"},
      {"자동차 car", "자동차 car", "자동차 car"},
      {"𠮷野家", "𠮷|野|家", "𠮷野家"},
      {"a\xe2\x80\x8b\xe2\x81\xa8"
       "b\xe2\x81\xa9",
       "ab", "ab"},
      {"bad \xff", "bad \xef\xbf\xbd", "bad \xef\xbf\xbd"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *folded = mnk_search_fold(cases[i].text);
    g_autofree char *visible = shown(folded);
    g_autofree char *unfolded = mnk_search_unfold(folded);
    g_assert_cmpstr(visible, ==, cases[i].folded);
    g_assert_cmpstr(unfolded, ==, cases[i].unfolded);
  }
}

static void test_expression(void) {
  static const struct {
    const char *query, *expression; /* NULL: there is no word in it */
  } cases[] = {
      {"cat", "\"cat\""},
      {"red car", "\"red\" \"car\""},
      {"  red\t\ncar ", "\"red\" \"car\""},
      {"\"red car\" dog", "\"red car\" \"dog\""},
      {"\"red car", "\"red car\""},
      {"red\"blue sky\"green", "\"red\" \"blue sky\" \"green\""},
      {"赤い車", "\"赤|い|車\""},
      {"赤い　車", "\"赤|い\" \"車\""},
      {"＂赤い　車＂", "\"赤|い 車\""},
      {"a OR b", "\"a\" \"OR\" \"b\""},
      {"text:cat NEAR(a b) -c ^d e* (f)",
       "\"text:cat\" \"NEAR(a\" \"b)\" \"-c\" \"^d\" \"e*\" \"(f)\""},
      {"cat -- !!! 🐱", "\"cat\""},
      {"", NULL},
      {" \" \" ", NULL},
      {"!!! \"--\" *", NULL},
      {"🐱", NULL},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *expression = mnk_search_expression(cases[i].query, &error);
    g_autofree char *visible = expression != NULL ? shown(expression) : NULL;
    g_assert_cmpstr(visible, ==, cases[i].expression);
    if (expression == NULL)
      g_assert_error(error, MNK_ERROR, MNK_ERROR_USAGE);
  }
}

static void test_length(void) {
  g_autofree char *longest = g_strnfill(1024, 'x'), *longer = g_strnfill(1025, 'x');
  g_autoptr(GError) error = NULL;
  g_autofree char *accepted = mnk_search_expression(longest, NULL);
  g_assert_nonnull(accepted);
  g_assert_null(mnk_search_expression(longer, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  g_assert_cmpstr(error->message, ==, "the search text is longer than 1024 bytes");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/search-text/fold", test_fold);
  g_test_add_func("/search-text/expression", test_expression);
  g_test_add_func("/search-text/length", test_length);
  return g_test_run();
}
