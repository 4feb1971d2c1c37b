#include "scenes.h"

#include <stdio.h>
#include <string.h>

static MnkFactKind kind_of(const char *word) {
  for (guint i = 0; i < MNK_FACT_N; i++)
    if (g_str_equal(mnk_fact_kind_name((MnkFactKind)i), word))
      return (MnkFactKind)i;
  g_error("unknown fact kind '%s'", word);
}

static void parse_word(MnkFact *fact, GString *name, const char *word) {
  if (word[0] == '@') {
    if (sscanf(word, "@%f,%f,%f,%f", &fact->box.x, &fact->box.y, &fact->box.w, &fact->box.h) != 4)
      g_error("bad box '%s'", word);
  } else if (word[0] == '*' && g_ascii_isdigit(word[1])) {
    fact->count = (guint)g_ascii_strtoull(word + 1, NULL, 10);
  } else if (word[0] == '.' && g_ascii_isdigit(word[1])) {
    fact->score = (float)g_ascii_strtod(word, NULL);
  } else if (g_str_has_suffix(word, ":") && fact->kind == MNK_FACT_ACTION) {
    g_string_append_len(name, word, (gssize)strlen(word) - 1);
    fact->of = g_strdup(name->str);
    g_string_truncate(name, 0);
  } else {
    g_string_append_printf(name, "%s ", word);
  }
}

static MnkFact *parse_fact(const char *text, const MnkScene *scene) {
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  MnkFact *fact = mnk_fact_new(kind_of(words[0]), "");
  g_autoptr(GString) name = g_string_new(NULL);
  fact->count = 1;
  fact->score = .9f;
  fact->start_ms = scene->start_ms;
  fact->end_ms = scene->end_ms;
  for (guint i = 1; words[i] != NULL; i++)
    parse_word(fact, name, words[i]);
  g_free(fact->name);
  fact->name = g_strdup(g_strchomp(name->str));
  return fact;
}

MnkScene *scene_parse(const char *line, guint64 number) {
  MnkScene *scene = g_new0(MnkScene, 1);
  double start, end;
  int used = 0;
  if (sscanf(line, "%lf-%lf%n", &start, &end, &used) != 2)
    g_error("no times in '%s'", line);
  scene->number = number;
  scene->start_ms = (gint64)(start * 1000);
  scene->end_ms = (gint64)(end * 1000);
  scene->final = TRUE;
  scene->frames = 5;
  scene->luma = .45f;
  scene->contrast = .2f;
  scene->facts = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_fact_free);
  g_auto(GStrv) parts = g_strsplit(line + used, ";", -1);
  for (guint i = 0; parts[i] != NULL; i++) {
    const char *part = g_strstrip(parts[i]);
    if (g_str_equal(part, "cut") || g_str_equal(part, "dissolve")) {
      scene->starts_at_cut = TRUE;
      scene->cut = part[0] == 'c' ? MNK_CUT_HARD : MNK_CUT_SOFT;
    } else if (sscanf(part, "light %f %f", &scene->luma, &scene->contrast) != 2 && *part != '\0') {
      g_ptr_array_add(scene->facts, parse_fact(part, scene));
    }
  }
  return scene;
}
