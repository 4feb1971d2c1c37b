/* Which files are meant: the model's and its projector's. */
#include "local/local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static gboolean is_gguf(const char *name) {
  g_autofree char *lower = g_ascii_strdown(name, -1);
  return g_str_has_suffix(lower, ".gguf");
}

static gboolean is_projector(const char *name) {
  g_autofree char *lower = g_ascii_strdown(name, -1);
  return strstr(lower, "mmproj") != NULL;
}

/* Of a model in several files the first alone is named. */
static gboolean is_later_part(const char *name) {
  const char *of = g_strrstr(name, "-of-");
  return of != NULL && of - name >= 6 && strncmp(of - 6, "-00001", 6) != 0 && of[-6] == '-';
}

static int compare_names(gconstpointer a, gconstpointer b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The folder's GGUF files of one kind, sorted. Caller unrefs. */
static GPtrArray *list(const char *folder, gboolean projectors, GError **error) {
  g_autoptr(GError) fault = NULL;
  g_autoptr(GDir) dir = g_dir_open(folder, 0, &fault);
  const char *name;
  if (dir == NULL) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "the model's folder cannot be read: %s",
                fault->message);
    return NULL;
  }
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  while ((name = g_dir_read_name(dir)) != NULL)
    if (is_gguf(name) && is_projector(name) == projectors && !is_later_part(name))
      g_ptr_array_add(names, g_build_filename(folder, name, NULL));
  g_ptr_array_sort(names, compare_names);
  return names;
}

static char *join(const GPtrArray *names) {
  g_autoptr(GString) out = g_string_new(NULL);
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *base = g_path_get_basename(names->pdata[i]);
    g_string_append_printf(out, "%s%s", i > 0 ? ", " : "", base);
  }
  return g_strdup(out->str);
}

static char *the_model(const char *folder, GError **error) {
  g_autoptr(GPtrArray) names = list(folder, FALSE, error);
  if (names == NULL)
    return NULL;
  if (names->len == 1)
    return g_strdup(names->pdata[0]);
  g_autofree char *all = join(names);
  if (names->len == 0)
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "there is no model (*.gguf) in %s", folder);
  else
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "there are several models in %s, name one of them: %s", folder, all);
  return NULL;
}

/* How many characters two names begin with in common. */
static gsize common(const char *a, const char *b) {
  gsize n = 0;
  while (a[n] != '\0' && g_ascii_tolower(a[n]) == g_ascii_tolower(b[n]))
    n++;
  return n;
}

/* "mmproj-NAME-f16.gguf" and "NAME-mmproj.gguf" by NAME. Caller frees. */
static char *stem(const char *path) {
  g_autofree char *base = g_path_get_basename(path);
  g_autofree char *lower = g_ascii_strdown(base, -1);
  const char *start = lower;
  if (g_str_has_prefix(start, "mmproj"))
    start += strlen("mmproj");
  while (*start == '-' || *start == '_' || *start == '.')
    start++;
  return g_strdup(start);
}

/* Of several the one whose name is most like the model's, unless two are equally like it. */
static char *the_projector(const char *model, GError **error) {
  g_autofree char *folder = g_path_get_dirname(model);
  g_autofree char *name = stem(model);
  g_autoptr(GPtrArray) names = list(folder, TRUE, error);
  gsize best = 0, second = 0;
  guint chosen = 0;
  if (names == NULL)
    return NULL;
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *other = stem(names->pdata[i]);
    gsize alike = 1 + common(name, other);
    if (alike > best) {
      second = best;
      best = alike;
      chosen = i;
    } else {
      second = MAX(second, alike);
    }
  }
  if (best > second)
    return g_strdup(names->pdata[chosen]);
  g_autofree char *all = join(names);
  if (names->len == 0)
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND,
                "the model %s has no projector (mmproj*.gguf) beside it; name it with --mmproj",
                model);
  else
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "there are several projectors beside %s, name one with --mmproj: %s", model, all);
  return NULL;
}

/* Told before a projector is looked for, which other files do not have. */
static gboolean check_magic(const char *path, GError **error) {
  char magic[4] = "";
  FILE *file = fopen(path, "rbe");
  if (file == NULL) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "the model %s cannot be read: %s", path,
                g_strerror(errno));
    return FALSE;
  }
  gsize n = fread(magic, 1, sizeof magic, file);
  fclose(file);
  if (n == sizeof magic && memcmp(magic, "GGUF", n) == 0)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the model %s is not a GGUF file", path);
  return FALSE;
}

gboolean mnk_local_find(const char *path, const char *mmproj, char **model, char **projector,
                        GError **error) {
  gboolean folder = g_file_test(path, G_FILE_TEST_IS_DIR);
  if (!folder && !g_file_test(path, G_FILE_TEST_EXISTS)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "there is no model %s", path);
    return FALSE;
  }
  if (!folder && !check_magic(path, error))
    return FALSE;
  g_autofree char *found = folder ? the_model(path, error) : g_strdup(path);
  if (found == NULL)
    return FALSE;
  char *other = mmproj != NULL ? g_strdup(mmproj) : the_projector(found, error);
  if (other == NULL)
    return FALSE;
  *model = g_steal_pointer(&found);
  *projector = other;
  return TRUE;
}
