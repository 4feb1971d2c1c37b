/* What holds for the captions of any scenes at all, hostile ones too. */
#include "language/language.h"

#include <math.h>
#include <string.h>

enum { SEQUENCES = 200, SCENES = 12, MAX_CHARS = 200 };

static const char *const HOSTILE[] = {
    "",
    " ",
    "{N}",
    "[x] {S:に} ]",
    "a\nb\r\n\nc",
    "\x1b[31mred\x1b[0m",
    "\xff\xfe broken \xc3",
    "\xe2\x80\xae esrever",
    "“quoted” \"twice\" 「三度」",
    "<b>&amp;</b> --> 00:01",
    "%s%n%d",
    "長い文字列長い文字列長い文字列長い文字列長い文字列長い文字列長い文字列長い文字列",
    "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789",
    "🦆🦆🦆 ducks",
};

/* ---- random scenes ---- */

static const char *pick(GRand *rand, const char *const *words, guint n) {
  return words[g_rand_int_range(rand, 0, (gint)n)];
}

/* A small cast, so that scenes have something in common; now and then anything. */
static const char *pick_concept(GRand *rand) {
  static const char *const CAST[] = {"person", "person", "dog",   "cat",     "car",
                                     "coffee", "church", "sheep", "scissors"};
  if (g_rand_boolean(rand))
    return pick(rand, CAST, G_N_ELEMENTS(CAST));
  return mnk_vocabulary_at((guint)g_rand_int_range(rand, 0, (gint)mnk_vocabulary_size()))->name;
}

static const char *pick_name(GRand *rand, MnkFactKind kind) {
  static const char *const POSTURES[] = {"standing", "sitting", "lying", "arms raised", "dancing"};
  static const char *const CAMERA[] = {"pan left", "pan right", "tilt up",  "tilt down", "zoom in",
                                       "zoom out", "still",     "unsteady", "spin"};
  static const char *const ACTIONS[] = {"enters",       "leaves",    "moves left",
                                        "moves right",  "moves up",  "moves down",
                                        "comes closer", "goes away", "sings"};
  if (g_rand_int_range(rand, 0, 40) == 0 || kind == MNK_FACT_TEXT)
    return pick(rand, HOSTILE, G_N_ELEMENTS(HOSTILE));
  switch (kind) {
  case MNK_FACT_FACE:
    return "face";
  case MNK_FACT_POSE:
    return pick(rand, POSTURES, G_N_ELEMENTS(POSTURES));
  case MNK_FACT_CAMERA:
    return pick(rand, CAMERA, G_N_ELEMENTS(CAMERA));
  case MNK_FACT_ACTION:
    return pick(rand, ACTIONS, G_N_ELEMENTS(ACTIONS));
  default:
    return pick_concept(rand);
  }
}

static float random_float(GRand *rand) {
  static const float ODD[] = {NAN, INFINITY, -INFINITY, -1, 2, 0, 1};
  if (g_rand_int_range(rand, 0, 50) == 0)
    return ODD[g_rand_int_range(rand, 0, G_N_ELEMENTS(ODD))];
  return (float)g_rand_double(rand);
}

static MnkFact *random_fact(GRand *rand) {
  MnkFactKind kind = (MnkFactKind)g_rand_int_range(rand, 0, MNK_FACT_GAP);
  MnkFact *fact = mnk_fact_new(kind, pick_name(rand, kind));
  fact->score = random_float(rand);
  fact->count = (guint)g_rand_int_range(rand, 0, 4);
  if (g_rand_int_range(rand, 0, 6) == 0)
    fact->count = g_rand_boolean(rand) ? G_MAXUINT : (guint)g_rand_int_range(rand, 0, 30);
  fact->box =
      (MnkBox){random_float(rand), random_float(rand), random_float(rand), random_float(rand)};
  if (kind == MNK_FACT_ACTION && g_rand_int_range(rand, 0, 20) > 0)
    fact->of = g_strdup(pick_concept(rand));
  return fact;
}

static MnkScene *random_scene(GRand *rand, guint64 number) {
  MnkScene *scene = g_new0(MnkScene, 1);
  scene->number = number;
  scene->start_ms = (gint64)number * 5000;
  scene->end_ms = scene->start_ms + 5000;
  scene->final = TRUE;
  scene->starts_at_cut = g_rand_int_range(rand, 0, 3) == 0;
  scene->luma = random_float(rand);
  scene->contrast = random_float(rand) * (g_rand_boolean(rand) ? 1.0f : 0.05f);
  scene->facts = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_fact_free);
  if (g_rand_int_range(rand, 0, 25) == 0) {
    g_ptr_array_add(scene->facts, mnk_fact_new(MNK_FACT_GAP, pick_name(rand, MNK_FACT_TEXT)));
    return scene;
  }
  for (gint n = g_rand_int_range(rand, 0, 9); n > 0; n--)
    g_ptr_array_add(scene->facts, random_fact(rand));
  return scene;
}

/* Often the scene before with a fact more or fewer. */
static MnkScene *next_scene(GRand *rand, const MnkScene *before, guint64 number) {
  if (before == NULL || g_rand_int_range(rand, 0, 3) == 0)
    return random_scene(rand, number);
  MnkScene *scene = mnk_scene_copy(before);
  scene->number = number;
  scene->start_ms = before->end_ms;
  scene->end_ms = before->end_ms + 5000;
  scene->starts_at_cut = g_rand_int_range(rand, 0, 4) == 0;
  gint change = g_rand_int_range(rand, 0, 3);
  if (change == 1)
    g_ptr_array_add(scene->facts, random_fact(rand));
  else if (change == 2 && scene->facts->len > 0)
    g_ptr_array_remove_index(scene->facts,
                             (guint)g_rand_int_range(rand, 0, (gint)scene->facts->len));
  return scene;
}

/* ---- properties of one text ---- */

/* The text with "Q" for each quotation from the picture. */
static char *without_quotes(const char *text, MnkLang lang) {
  const char *open = lang == MNK_LANG_EN ? "“" : "「", *close = lang == MNK_LANG_EN ? "”" : "」";
  g_autoptr(GString) out = g_string_new(NULL);
  for (const char *at = text; *at != '\0';) {
    const char *end = g_str_has_prefix(at, open) ? strstr(at, close) : NULL;
    g_string_append_c(out, end != NULL ? 'Q' : *at);
    at = end != NULL ? end + strlen(close) : at + 1;
  }
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static void check_form(const char *text, MnkLang lang) {
  g_assert_true(g_utf8_validate(text, -1, NULL));
  g_assert_cmpint(g_utf8_strlen(text, -1), <=, MAX_CHARS);
  g_assert_cmpint(g_utf8_strlen(text, -1), >=, 4);
  g_assert_null(strstr(text, "  "));
  g_assert_false(g_ascii_isspace(text[0]));
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p))
    g_assert_true(g_unichar_isprint(g_utf8_get_char(p)));
  g_autofree char *own = without_quotes(text, lang);
  if (strstr(text, "was seen") == NULL)
    g_assert_cmpuint(strcspn(own, "{}[]|"), ==, strlen(own));
  g_assert_true(g_str_has_suffix(text, lang == MNK_LANG_EN ? "." : "。"));
  if (lang == MNK_LANG_EN) {
    g_assert_true(g_ascii_isupper(text[0]));
    g_assert_null(strstr(own, " ,"));
    g_assert_null(strstr(own, " ."));
    g_assert_null(strstr(own, ".."));
  } else {
    g_assert_null(strstr(own, "。。"));
    g_assert_null(strstr(own, "、。"));
    g_assert_null(strstr(own, "、、"));
  }
}

/* ---- no thing is named that no fact names ---- */

/* The longest concept that text begins with as whole words, and how many bytes it takes. */
static const MnkConcept *english_at(const char *text, gsize *length) {
  const MnkConcept *best = NULL;
  *length = 0;
  for (guint i = 0; i < mnk_vocabulary_size(); i++) {
    const MnkConcept *concept = mnk_vocabulary_at(i);
    const char *forms[] = {concept->name, concept->plural};
    for (guint k = 0; k < 2; k++) {
      gsize n = forms[k] != NULL ? strlen(forms[k]) : 0;
      if (n > *length && g_ascii_strncasecmp(text, forms[k], n) == 0 && !g_ascii_isalnum(text[n])) {
        best = concept;
        *length = n;
      }
    }
  }
  return best;
}

static const MnkConcept *japanese_at(const char *text, gsize *length) {
  const MnkConcept *best = NULL;
  *length = 0;
  for (guint i = 0; i < mnk_vocabulary_size(); i++) {
    const MnkConcept *concept = mnk_vocabulary_at(i);
    gsize n = strlen(concept->ja);
    if (n > *length && g_utf8_strlen(concept->ja, -1) > 1 && g_str_has_prefix(text, concept->ja)) {
      best = concept;
      *length = n;
    }
  }
  return best;
}

/* Words of the sentences' own that happen to be concepts, too: the camera that films, the screen
 * that is dark, to pan. */
static gboolean is_own_word(const char *text, MnkLang lang) {
  static const char *const OWN[MNK_LANG_N][4] = {{"camera"}, {"カメラ", "画面", "パン"}};
  for (guint i = 0; i < 4 && OWN[lang][i] != NULL; i++)
    if (g_str_has_prefix(text, OWN[lang][i]))
      return TRUE;
  return FALSE;
}

static gboolean is_licensed(const MnkConcept *concept, GPtrArray *const *facts, guint n) {
  for (guint s = 0; s < n; s++)
    for (guint i = 0; facts[s] != NULL && i < facts[s]->len; i++) {
      const MnkFact *fact = facts[s]->pdata[i];
      gboolean names = fact->kind == MNK_FACT_OBJECT || fact->kind == MNK_FACT_SCENE;
      if (names && mnk_concept_is_a(fact->name, concept->name))
        return TRUE;
      if (fact->kind == MNK_FACT_POSE && g_str_equal(concept->name, "person"))
        return TRUE;
      if (fact->kind == MNK_FACT_GAP)
        return TRUE;
    }
  return FALSE;
}

static void check_licence(const char *text, MnkLang lang, const MnkScene *scene,
                          const MnkScene *before) {
  GPtrArray *facts[] = {scene->facts, before != NULL ? before->facts : NULL};
  g_autofree char *own = without_quotes(text, lang);
  for (const char *p = own; *p != '\0';) {
    gsize length;
    const MnkConcept *concept =
        lang == MNK_LANG_EN ? english_at(p, &length) : japanese_at(p, &length);
    if (concept != NULL && !is_own_word(p, lang) && !is_licensed(concept, facts, 2))
      g_error("'%s' is not licensed in: %s", concept->name, text);
    if (concept != NULL)
      p += length;
    else if (lang == MNK_LANG_EN)
      p += MAX(strcspn(p, " "), 1);
    else
      p = g_utf8_next_char(p);
    while (*p == ' ')
      p++;
  }
}

/* ---- the tests ---- */

static void run_sequences(MnkLang lang, guint32 seed) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  for (guint s = 0; s < SEQUENCES; s++) {
    g_autoptr(MnkTemplate) tmpl = mnk_template_new(lang);
    g_autoptr(MnkScene) before = NULL;
    g_autofree char *last = NULL;
    for (guint i = 0; i < SCENES; i++) {
      MnkScene *scene = next_scene(rand, before, i);
      char *text = mnk_template_tell(tmpl, scene);
      check_form(text, lang);
      check_licence(text, lang, scene, before);
      g_assert_cmpstr(text, !=, last);
      g_free(last);
      last = text;
      mnk_scene_free(before);
      before = scene;
    }
  }
}

static void test_any_english(void) {
  run_sequences(MNK_LANG_EN, 20240611);
}

static void test_any_japanese(void) {
  run_sequences(MNK_LANG_JA, 20240612);
}

/* The same scenes give the same text, and telling a running scene changes nothing. */
static void test_deterministic(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(7);
  g_autoptr(MnkTemplate) once = mnk_template_new(MNK_LANG_EN);
  g_autoptr(MnkTemplate) often = mnk_template_new(MNK_LANG_EN);
  g_autoptr(MnkScene) before = NULL;
  for (guint i = 0; i < 200; i++) {
    MnkScene *scene = next_scene(rand, before, i);
    scene->final = FALSE;
    g_autofree char *running = mnk_template_tell(often, scene);
    g_autofree char *still_running = mnk_template_tell(often, scene);
    g_assert_cmpstr(running, ==, still_running);
    scene->final = TRUE;
    g_autofree char *a = mnk_template_tell(often, scene);
    g_autofree char *b = mnk_template_tell(once, scene);
    g_assert_cmpstr(a, ==, b);
    g_assert_cmpstr(a, ==, running);
    mnk_scene_free(before);
    before = scene;
  }
}

static void test_nothing_for_long(void) {
  for (guint lang = 0; lang < MNK_LANG_N; lang++) {
    g_autoptr(MnkTemplate) tmpl = mnk_template_new((MnkLang)lang);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    MnkScene scene = {.end_ms = 10000, .final = TRUE, .luma = .5f, .contrast = .2f};
    g_autoptr(GPtrArray) facts = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_fact_free);
    MnkFact *cat = mnk_fact_new(MNK_FACT_OBJECT, "cat");
    cat->score = .9f;
    cat->count = 1;
    g_ptr_array_add(facts, cat);
    scene.facts = facts;
    g_autofree char *last = NULL;
    for (guint i = 0; i < 60; i++) {
      char *text = mnk_template_tell(tmpl, &scene);
      g_assert_cmpstr(text, !=, last);
      g_free(last);
      last = text;
      g_hash_table_add(seen, g_strdup(text));
      scene.number++;
      scene.start_ms = scene.end_ms;
      scene.end_ms += 10000;
    }
    g_assert_cmpuint(g_hash_table_size(seen), >, 10);
  }
}

static gboolean starts_with_vowel_sound(const char *word) {
  static const char *const SILENT[] = {"hourglass"}, *const YOU[] = {"unicycle"};
  for (guint i = 0; i < G_N_ELEMENTS(SILENT); i++)
    if (g_str_has_prefix(word, SILENT[i]))
      return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS(YOU); i++)
    if (g_str_has_prefix(word, YOU[i]))
      return FALSE;
  return strchr("aeiou", word[0]) != NULL;
}

/* Every concept of the vocabulary, one and several: article, number and verb agree. */
static void test_agreement(void) {
  for (guint i = 0; i < mnk_vocabulary_size(); i++) {
    const MnkConcept *concept = mnk_vocabulary_at(i);
    if (concept->kind == MNK_CONCEPT_PLACE)
      continue;
    for (guint count = 1; count <= 5; count += 2) {
      g_autoptr(MnkTemplate) tmpl = mnk_template_new(MNK_LANG_EN);
      MnkScene scene = {.end_ms = 5000, .final = TRUE, .luma = .5f, .contrast = .2f};
      g_autoptr(GPtrArray) facts = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_fact_free);
      MnkFact *fact = mnk_fact_new(MNK_FACT_OBJECT, concept->name);
      fact->score = .9f;
      fact->count = count;
      g_ptr_array_add(facts, fact);
      scene.facts = facts;
      g_autofree char *first = mnk_template_tell(tmpl, &scene);
      g_autofree char *again = mnk_template_tell(tmpl, &scene);
      gboolean mass = concept->plural == NULL;
      gboolean pair = !mass && g_str_equal(concept->name, concept->plural) &&
                      g_str_has_suffix(concept->name, "s");
      gboolean group = concept->kind == MNK_CONCEPT_PERSON && count == 5;
      gboolean plural = pair || (!mass && !group && count > 1);
      g_assert_nonnull(strstr(again, plural ? " are " : " is "));
      if (count == 1 && !mass && !pair) {
        const char *article = starts_with_vowel_sound(concept->name) ? "An " : "A ";
        g_autofree char *expected = g_strdup_printf("%s%s.", article, concept->name);
        g_assert_cmpstr(first, ==, expected);
      } else if (!mass && !pair) {
        g_assert_nonnull(strstr(first, concept->plural));
      }
    }
  }
}

static void test_set_lang(void) {
  g_autoptr(MnkTemplate) tmpl = mnk_template_new(MNK_LANG_EN);
  MnkScene scene = {.end_ms = 10000, .final = TRUE, .luma = .5f, .contrast = .2f};
  g_autoptr(GPtrArray) facts = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_fact_free);
  scene.facts = facts;
  g_autofree char *english = mnk_template_tell(tmpl, &scene);
  mnk_template_set_lang(tmpl, MNK_LANG_JA);
  g_autofree char *japanese = mnk_template_tell(tmpl, &scene);
  g_assert_true(g_ascii_isalpha(english[0]));
  g_assert_false(g_ascii_isalpha(japanese[0]));
}

static void test_codes(void) {
  MnkLang lang = MNK_LANG_N;
  g_assert_cmpstr(mnk_lang_code(MNK_LANG_EN), ==, "en");
  g_assert_cmpstr(mnk_lang_code(MNK_LANG_JA), ==, "ja");
  g_assert_true(mnk_lang_from_code("ja", &lang));
  g_assert_cmpint(lang, ==, MNK_LANG_JA);
  g_assert_false(mnk_lang_from_code("xx", &lang));
  g_assert_false(mnk_lang_from_code(NULL, &lang));
  g_assert_cmpint(lang, ==, MNK_LANG_JA);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/any/english", test_any_english);
  g_test_add_func("/any/japanese", test_any_japanese);
  g_test_add_func("/deterministic", test_deterministic);
  g_test_add_func("/nothing-for-long", test_nothing_for_long);
  g_test_add_func("/agreement", test_agreement);
  g_test_add_func("/set-lang", test_set_lang);
  g_test_add_func("/codes", test_codes);
  return g_test_run();
}
