/* The template: a script of scenes with the captions that they must give, read by an editor of each
 * language, and properties that hold for any scenes at all.
 *
 * test_language --transcript FILE prints the script with the captions as they are now. */
#include "language/language.h"
#include "scenes.h"

#include <stdio.h>
#include <string.h>

typedef struct {
  char *name;
  GPtrArray *lines; /* of the script: scenes, "en ..." and "ja ..." */
} Script;

static void script_free(gpointer data) {
  Script *script = data;
  g_free(script->name);
  g_ptr_array_unref(script->lines);
  g_free(script);
}

static GPtrArray *read_scripts(const char *path) {
  GPtrArray *scripts = g_ptr_array_new_with_free_func(script_free);
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;
  if (!g_file_get_contents(path, &text, NULL, &error))
    g_error("%s", error->message);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++) {
    if (g_str_has_prefix(lines[i], "== ")) {
      Script *script = g_new0(Script, 1);
      script->name = g_strdup(lines[i] + 3);
      script->lines = g_ptr_array_new_with_free_func(g_free);
      g_ptr_array_add(scripts, script);
    } else if (lines[i][0] != '\0' && lines[i][0] != '#') {
      Script *script = scripts->pdata[scripts->len - 1];
      g_ptr_array_add(script->lines, g_strdup(lines[i]));
    }
  }
  return scripts;
}

static int print_transcript(const char *path) {
  g_autoptr(GPtrArray) scripts = read_scripts(path);
  for (guint s = 0; s < scripts->len; s++) {
    const Script *script = scripts->pdata[s];
    g_autoptr(MnkTemplate) en = mnk_template_new(MNK_LANG_EN);
    g_autoptr(MnkTemplate) ja = mnk_template_new(MNK_LANG_JA);
    printf("%s== %s\n", s > 0 ? "\n" : "", script->name);
    for (guint i = 0; i < script->lines->len; i++) {
      const char *line = script->lines->pdata[i];
      if (!g_ascii_isdigit(line[0]))
        continue;
      g_autoptr(MnkScene) scene = scene_parse(line, i);
      g_autofree char *english = mnk_template_tell(en, scene);
      g_autofree char *japanese = mnk_template_tell(ja, scene);
      printf("%s\nen %s\nja %s\n", line, english, japanese);
    }
  }
  return 0;
}

/* ---- the script ---- */

static void test_script(gconstpointer data) {
  const Script *script = data;
  g_autoptr(MnkTemplate) en = mnk_template_new(MNK_LANG_EN);
  g_autoptr(MnkTemplate) ja = mnk_template_new(MNK_LANG_JA);
  g_autoptr(MnkScene) scene = NULL;
  guint told = 0, scenes = 0;
  for (guint i = 0; i < script->lines->len; i++) {
    const char *line = script->lines->pdata[i];
    if (g_ascii_isdigit(line[0])) {
      mnk_scene_free(scene);
      scene = scene_parse(line, scenes++);
      continue;
    }
    g_autofree char *text = mnk_template_tell(line[0] == 'e' ? en : ja, scene);
    g_assert_cmpstr(text, ==, line + 3);
    told++;
  }
  g_assert_cmpuint(told, ==, scenes * MNK_LANG_N);
}

int main(int argc, char **argv) {
  if (argc == 3 && g_str_equal(argv[1], "--transcript"))
    return print_transcript(argv[2]);
  g_test_init(&argc, &argv, NULL);
  g_autofree char *path = g_test_build_filename(G_TEST_DIST, "captions.txt", NULL);
  g_autoptr(GPtrArray) scripts = read_scripts(path);
  for (guint i = 0; i < scripts->len; i++) {
    const Script *script = scripts->pdata[i];
    g_autofree char *name = g_strdelimit(g_strdup_printf("/script/%s", script->name), " ", '-');
    g_test_add_data_func(name, script, test_script);
  }
  return g_test_run();
}
