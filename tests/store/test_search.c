#include "base/base.h"
#include "support.h"

#include <string.h>

static MnkStore *library(const Place *place) {
  static const struct {
    const char *stream, *id, *text;
    const char *object;
  } rows[] = {
      {"cam", "red", "A red car is parked in front of a house.", "car"},
      {"cam", "cars", "Two blue cars pass; a man is running.", "person"},
      {"cam", "cat", "A cat sleeps on a \"mat\".", "cat"},
      {"tv", "neko", "猫が畳の上で寝ています。", "cat"},
      {"tv", "kuruma", "赤い車が止まっています。文字は「Tシャツ」です。", "car"},
      {"tv", "akai", "赤い花と青い車。", "flower"},
      {"tv", "cafe", "A sign reads Café OR NOT.", "sign"},
  };
  MnkStore *store = open_store(place, MNK_STORE_WRITE);
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MnkCaption) caption =
        make_caption(rows[i].stream, rows[i].id, 1000 * i, 1000 * (i + 1), rows[i].text);
    add_fact(caption, MNK_FACT_OBJECT, rows[i].object);
    put(store, caption);
  }
  flush(store);
  return store;
}

static int compare_ids(gconstpointer a, gconstpointer b) {
  return strcmp((*(MnkSearchHit *const *)a)->caption->id, (*(MnkSearchHit *const *)b)->caption->id);
}

static char *hit_ids(GPtrArray *hits) {
  g_autoptr(GString) out = g_string_new(NULL);
  for (guint i = 0; i < hits->len; i++)
    g_string_append_printf(out, "%s%s", i > 0 ? " " : "",
                           ((MnkSearchHit *)hits->pdata[i])->caption->id);
  return g_strdup(out->str);
}

static void test_words(void) {
  static const struct {
    const char *query, *ids; /* sorted */
  } cases[] = {
      {"red", "red"},
      {"RED", "red"},
      {"car", "cars kuruma red"}, /* stemmed, and by the facts' names */
      {"cars", "cars kuruma red"},
      {"run", "cars"},
      {"red car", "red"},
      {"car red", "red"},
      {"red cat", ""},
      {"\"red car\"", "red"},
      {"\"car red\"", ""},
      {"cat", "cat neko"},
      {"cafe", "cafe"},
      {"猫", "neko"},
      {"車", "akai kuruma"},
      {"赤い車", "kuruma"},
      {"\"赤い車\"", "kuruma"},
      {"赤い 車", "akai kuruma"},
      {"い車", "akai kuruma"},
      {"Tシャツ", "kuruma"},
      {"Ｔシャツ", "kuruma"},
      {"猫 cat", "neko"},
      {"赤い犬", ""},
      {"flower", "akai"},
  };
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = library(&place);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) hits = mnk_store_search(store, cases[i].query, NULL, 0, -1, 10, &error);
    g_assert_no_error(error);
    g_ptr_array_sort(hits, compare_ids);
    g_autofree char *ids = hit_ids(hits);
    if (strcmp(ids, cases[i].ids) != 0)
      g_error("%s: %s, not %s", cases[i].query, ids, cases[i].ids);
  }
}

/* What FTS5 would take for operators, columns, prefixes or mistakes is a word or nothing. */
static void test_operators(void) {
  static const struct {
    const char *query, *ids;
  } cases[] = {
      {"cat OR red", ""},
      {"cat AND mat", ""},
      {"cat NOT mat", ""},
      {"NOT", "cafe"},
      {"OR", "cafe"},
      {"text:cat", ""},
      {"names : cat", ""},
      {"ca*", ""},
      {"^A", "cafe cars cat red"},
      {"NEAR(red car)", ""},
      {"cat)", "cat neko"},
      {"((cat", "cat neko"},
      {"-cat", "cat neko"},
      {"cat + mat", "cat"},
      {"{cat}", "cat neko"},
      {"cat'; DROP TABLE captions; --", ""},
      {"\"\"\"cat", "cat neko"},
      {"ma\"t", ""},
      {"\\cat\\", "cat neko"},
  };
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = library(&place);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) hits = mnk_store_search(store, cases[i].query, NULL, 0, -1, 10, &error);
    g_assert_no_error(error);
    g_ptr_array_sort(hits, compare_ids);
    g_autofree char *ids = hit_ids(hits);
    if (strcmp(ids, cases[i].ids) != 0)
      g_error("%s: %s, not %s", cases[i].query, ids, cases[i].ids);
  }
}

static void test_any_bytes(void) {
  static const char alphabet[] = "abcat \"'*^:(){}+-,;\\%_\n\xff\xe3\x81\x82\xe2\x80\x8b";
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = library(&place);
  for (guint round = 0; round < 3000; round++) {
    char query[41] = {0};
    for (gint i = g_test_rand_int_range(0, 40); i > 0; i--)
      query[i - 1] = alphabet[g_test_rand_int_range(0, sizeof alphabet - 1)];
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) hits = mnk_store_search(store, query, NULL, 0, -1, 10, &error);
    if (hits == NULL)
      g_assert_error(error, MNK_ERROR, MNK_ERROR_USAGE);
  }
}

static void test_many_words(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = library(&place);
  g_autoptr(GString) query = g_string_new(NULL);
  while (query->len + 2 <= 1024)
    g_string_append(query, "a ");
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) hits = mnk_store_search(store, query->str, NULL, 0, -1, 10, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(hits->len, ==, 4);
}

static void test_filters(void) {
  static const struct {
    const char *stream;
    gint64 from_ms, to_ms;
    guint limit, hits;
  } cases[] = {
      {NULL, 0, -1, 10, 3},    {NULL, 0, -1, 2, 2},      {"cam", 0, -1, 10, 2},
      {"tv", 0, -1, 10, 1},    {"x", 0, -1, 10, 0},      {NULL, 0, 1000, 10, 1},
      {NULL, 1000, -1, 10, 2}, {"cam", 4000, -1, 10, 0},
  };
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = library(&place);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GPtrArray) hits = mnk_store_search(store, "car", cases[i].stream, cases[i].from_ms,
                                                 cases[i].to_ms, cases[i].limit, NULL);
    g_assert_cmpuint(hits->len, ==, cases[i].hits);
  }
}

static void test_snippets(void) {
  static const struct {
    const char *query, *id, *snippet; /* matches in brackets */
  } cases[] = {
      {"running car", "cars", "Two blue [cars] pass; a man is [running]."},
      {"\"red car\"", "red", "A [red car] is parked in front of a house."},
      {"赤い車", "kuruma", "[赤い車]が止まっています。文字は「Tシャツ」です。"},
      {"猫", "neko", "[猫]が畳の上で寝ています。"},
      {"flower", "akai", "赤い花と青い車。"},
  };
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = library(&place);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GPtrArray) hits = mnk_store_search(store, cases[i].query, NULL, 0, -1, 1, NULL);
    g_assert_cmpuint(hits->len, ==, 1);
    const MnkSearchHit *hit = hits->pdata[0];
    g_assert_cmpstr(hit->caption->id, ==, cases[i].id);
    g_autoptr(GString) snippet = g_string_new(hit->snippet);
    g_string_replace(snippet, "\xe2\x81\xa8", "[", 0);
    g_string_replace(snippet, "\xe2\x81\xa9", "]", 0);
    g_assert_cmpstr(snippet->str, ==, cases[i].snippet);
  }
}

/* A match in the sentence counts for more than one in the facts' names. */
static void test_ranking(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  g_autoptr(MnkCaption) by_fact = make_caption("s", "fact", 0, 1, "Something is there.");
  add_fact(by_fact, MNK_FACT_SCENE, "harbour");
  g_autoptr(MnkCaption) by_text = make_caption("s", "text", 2, 3, "A harbour is there.");
  add_fact(by_text, MNK_FACT_SCENE, "something");
  put(store, by_fact);
  put(store, by_text);
  for (guint i = 0; i < 20; i++) {
    g_autofree char *id = g_strdup_printf("%u", i);
    put_text(store, "s", id, "Nothing of the kind.");
  }
  flush(store);
  g_autoptr(GPtrArray) hits = mnk_store_search(store, "harbours", NULL, 0, -1, 10, NULL);
  g_autofree char *ids = hit_ids(hits);
  g_assert_cmpstr(ids, ==, "text fact");
  g_assert_cmpfloat(((MnkSearchHit *)hits->pdata[0])->score, >,
                    ((MnkSearchHit *)hits->pdata[1])->score);
}

static void test_fact_kinds(void) {
  static const struct {
    MnkFactKind kind;
    gboolean found;
  } cases[] = {
      {MNK_FACT_OBJECT, TRUE}, {MNK_FACT_SCENE, TRUE},   {MNK_FACT_TEXT, TRUE},
      {MNK_FACT_ACTION, TRUE}, {MNK_FACT_CAMERA, FALSE}, {MNK_FACT_GAP, FALSE},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Place) place = {0};
    place_init(&place);
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
    g_autoptr(MnkCaption) caption = make_caption("s", "1", 0, 1, "Nothing.");
    add_fact(caption, cases[i].kind, "lighthouse 出口");
    put(store, caption);
    flush(store);
    g_autoptr(GPtrArray) word = mnk_store_search(store, "lighthouses", NULL, 0, -1, 10, NULL);
    g_autoptr(GPtrArray) sign = mnk_store_search(store, "出口", NULL, 0, -1, 10, NULL);
    g_assert_cmpuint(word->len, ==, cases[i].found ? 1 : 0);
    g_assert_cmpuint(sign->len, ==, cases[i].found ? 1 : 0);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/search/words", test_words);
  g_test_add_func("/search/operators", test_operators);
  g_test_add_func("/search/any-bytes", test_any_bytes);
  g_test_add_func("/search/many-words", test_many_words);
  g_test_add_func("/search/filters", test_filters);
  g_test_add_func("/search/snippets", test_snippets);
  g_test_add_func("/search/ranking", test_ranking);
  g_test_add_func("/search/fact-kinds", test_fact_kinds);
  return g_test_run();
}
