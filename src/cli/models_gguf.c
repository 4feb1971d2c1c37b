/* `manako models check FILE|FOLDER`: what vision-language models in GGUF are, in words. */
#include "cli/models_priv.h"
#include "local/local.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = 256 };

typedef struct {
  char *path;
  MnkGgufInfo info;
  guint64 bytes;
  gboolean projector;
} Gguf;

static void gguf_free(gpointer data) {
  Gguf *gguf = data;
  g_free(gguf->path);
  g_free(gguf);
}

static void G_GNUC_PRINTF(2, 3) line(const char *what, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_autofree char *safe = mnk_text_escape(text);
  printf("  %-12s %s\n", what, safe);
}

/* "180.0 MiB". Caller frees. */
static char *size_text(guint64 bytes) {
  g_autofree char *text = g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
  g_auto(GStrv) words = g_strsplit(text, "\u00a0", -1);
  return g_strjoinv(" ", words);
}

/* ---- one file ---- */

/* Mapped, so that a file of gigabytes costs its header alone. */
static Gguf *read_gguf(const char *path, GError **error) {
  g_autoptr(GError) why = NULL;
  if (!g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
    gboolean exists = g_file_test(path, G_FILE_TEST_EXISTS);
    g_set_error(error, MNK_ERROR, exists ? MNK_ERROR_BAD_INPUT : MNK_ERROR_NOT_FOUND,
                exists ? "%s is no file" : "there is no file %s", path);
    return NULL;
  }
  g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &why);
  if (file == NULL) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL, "%s cannot be read: %s", path, why->message);
    return NULL;
  }
  Gguf *gguf = g_new0(Gguf, 1);
  gguf->path = g_strdup(path);
  gguf->bytes = g_mapped_file_get_length(file);
  const guint8 *bytes = (const guint8 *)g_mapped_file_get_contents(file);
  if (mnk_gguf_probe(bytes, gguf->bytes, gguf->bytes, &gguf->info, &why)) {
    gguf->projector =
        g_str_equal(gguf->info.architecture, "clip") || g_str_equal(gguf->info.type, "mmproj");
    return gguf;
  }
  g_set_error(error, MNK_ERROR, why->code, "%s: %s", path, why->message);
  gguf_free(gguf);
  return NULL;
}

static void print_head(const Gguf *gguf, const char *kind, const char *family) {
  g_autofree char *base = g_path_get_basename(gguf->path);
  g_autofree char *safe = mnk_text_escape(base);
  g_autofree char *size = size_text(gguf->bytes);
  printf("%s%s%s\n", mnk_style(STDOUT_FILENO, MNK_STYLE_BOLD), safe,
         mnk_style(STDOUT_FILENO, MNK_STYLE_PLAIN));
  line(kind, "%s%s%s", family, gguf->info.name[0] != '\0' ? ": " : "", gguf->info.name);
  line("parameters", "%.1f million in %" G_GUINT64_FORMAT " tensors, %s",
       (double)gguf->info.parameters / 1e6, gguf->info.tensors, size);
}

static void print_projector(const Gguf *gguf) {
  const MnkGgufInfo *info = &gguf->info;
  print_head(gguf, "projector", info->projector);
  line("tower",
       "%" G_GUINT64_FORMAT " layers, width %" G_GUINT64_FORMAT ", pictures of %" G_GUINT64_FORMAT
       " pixels in patches of %" G_GUINT64_FORMAT,
       info->block_count, info->embedding_length, info->image_size, info->patch_size);
  if (info->projection_dim > 0)
    line("gives", "tokens of width %" G_GUINT64_FORMAT, info->projection_dim);
}

/* "name-00001-of-00003.gguf to name-00003-of-00003.gguf". Caller frees. */
static char *range_text(const char *path, guint parts) {
  g_autofree char *last = mnk_vlm_part(path, parts, NULL);
  if (last == NULL)
    return NULL;
  g_autofree char *a = g_path_get_basename(path);
  g_autofree char *b = g_path_get_basename(last);
  return g_strdup_printf("%s to %s", a, b);
}

static void print_parts(const Gguf *gguf) {
  guint64 parts = gguf->info.splits;
  if (parts <= 1)
    return;
  g_autofree char *range = parts <= MNK_VLM_PARTS_MAX ? range_text(gguf->path, (guint)parts) : NULL;
  if (gguf->info.split_no > 0)
    line("part", "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT, gguf->info.split_no + 1, parts);
  else
    line("files", "%" G_GUINT64_FORMAT "%s%s", parts, range != NULL ? ", " : "",
         range != NULL ? range : "");
}

/* What the header claims, and below it whether it can be used; why not is an error. A model in
 * parts is told of as one, unless a part is wrong: then its first part alone. */
static gboolean print_text(const Gguf *gguf, guint context, GError **error) {
  const MnkGgufInfo *info = &gguf->info;
  MnkVlmFiles files;
  gboolean usable = mnk_vlm_inspect(gguf->path, NULL, context, &files, error);
  Gguf whole = *gguf;
  if (files.parts > 1) {
    whole.bytes = files.model_bytes;
    whole.info.tensors = files.tensors;
    whole.info.parameters = files.parameters;
  }
  gboolean says = info->architecture[0] != '\0';
  print_head(&whole, "text model",
             says ? info->architecture : "of a kind that this file does not say");
  print_parts(gguf);
  if (says)
    line("shape",
         "%" G_GUINT64_FORMAT " layers, width %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
         " heads (%" G_GUINT64_FORMAT " of keys), %" G_GUINT64_FORMAT " words",
         info->block_count, info->embedding_length, info->heads,
         info->heads_kv > 0 ? info->heads_kv : info->heads, info->vocabulary);
  if (files.kv_bytes == 0)
    return usable;
  g_autofree char *token = size_text(files.kv_bytes);
  g_autofree char *all = size_text(files.kv_bytes * context);
  g_autofree char *needed = size_text(files.needed);
  line("context", "%u tokens; each takes %s, --model-context %u takes %s", files.context_max, token,
       context, all);
  line("memory", "%s at most, without a projector", needed);
  return usable;
}

/* ---- pairs ---- */

static gboolean try_pair(const MnkSettings *settings, const Gguf *text, const Gguf *projector,
                         GError **error) {
  gint64 start_us = mnk_clock_mono_us(mnk_clock_system());
  MnkProgress *progress = mnk_progress_new(mnk_settings_bool(settings, MNK_OPT_PROGRESS));
  mnk_progress_show(progress, "Trying it");
  gboolean ok = mnk_local_try(settings, text->path, projector->path, error);
  mnk_progress_free(progress);
  if (ok)
    line("tried", "yes: loaded, shown a picture, wrote a word, in %.1f s",
         (double)(mnk_clock_mono_us(mnk_clock_system()) - start_us) / 1e6);
  return ok;
}

static gboolean print_pair(const MnkSettings *settings, const Gguf *text, const Gguf *projector,
                           GError **error) {
  static const char *const FAMILIES[] = {"Qwen-VL", "SmolVLM", "Gemma", "other"};
  g_autofree char *a = g_path_get_basename(text->path);
  g_autofree char *b = g_path_get_basename(projector->path);
  guint context = (guint)mnk_settings_int(settings, MNK_OPT_MODEL_CONTEXT);
  MnkVlmFiles files;
  g_autofree char *names = g_strdup_printf("%s + %s", a, b);
  g_autofree char *safe = mnk_text_escape(names);
  printf("%s\n", safe);
  if (!mnk_vlm_inspect(text->path, projector->path, context, &files, error))
    return FALSE;
  g_autofree char *needed = size_text(files.needed);
  line("a pair", "yes, laid out as %s; %s of memory at most with --model-context %u",
       FAMILIES[MIN((guint)files.family, G_N_ELEMENTS(FAMILIES) - 1)], needed, context);
  fflush(stdout);
  return !mnk_settings_bool(settings, MNK_OPT_PROBE) || try_pair(settings, text, projector, error);
}

static void print_fault(const GError *error, GError **first) {
  g_autofree char *safe = mnk_text_escape(error->message);
  printf("  %s%-12s%s %s\n", mnk_style(STDOUT_FILENO, MNK_STYLE_BAD), "no",
         mnk_style(STDOUT_FILENO, MNK_STYLE_PLAIN), safe);
  if (*first == NULL)
    *first = g_error_copy(error);
}

/* ---- the command ---- */

static int by_path(gconstpointer a, gconstpointer b) {
  const Gguf *const *x = a, *const *y = b;
  return g_strcmp0((*x)->path, (*y)->path);
}

static void add_file(GPtrArray *files, const char *path, GError **first) {
  g_autoptr(GError) error = NULL;
  Gguf *gguf = read_gguf(path, &error);
  if (gguf != NULL) {
    g_ptr_array_add(files, gguf);
    return;
  }
  g_autofree char *safe = mnk_text_escape(path);
  printf("%s\n", safe);
  print_fault(error, first);
}

static void list_folder(GPtrArray *paths, const char *folder) {
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;
  while (paths->len < FILES_MAX && dir != NULL && (name = g_dir_read_name(dir)) != NULL)
    if (g_str_has_suffix(name, ".gguf"))
      g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
}

/* Its first part is there too, and stands for it. */
static gboolean is_told_by_first(const GPtrArray *paths, const char *path) {
  guint own;
  g_autofree char *first = mnk_vlm_part(path, 1, &own);
  return first != NULL && own != 1 &&
         g_ptr_array_find_with_equal_func((GPtrArray *)paths, first, g_str_equal, NULL);
}

static void add_files(GPtrArray *files, char **named, GError **first) {
  g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; named[i] != NULL; i++)
    if (g_file_test(named[i], G_FILE_TEST_IS_DIR))
      list_folder(paths, named[i]);
    else
      g_ptr_array_add(paths, g_strdup(named[i]));
  for (guint i = 0; i < paths->len; i++)
    if (!is_told_by_first(paths, paths->pdata[i]))
      add_file(files, paths->pdata[i], first);
  g_ptr_array_sort(files, by_path);
}

/* The projectors beside a text model that was named alone. */
static void add_neighbours(GPtrArray *files) {
  const Gguf *only = files->len == 1 ? files->pdata[0] : NULL;
  if (only == NULL || only->projector)
    return;
  g_autofree char *folder = g_path_get_dirname(only->path);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;
  while (dir != NULL && files->len < FILES_MAX && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    if (!g_str_has_prefix(name, "mmproj") || !g_str_has_suffix(name, ".gguf"))
      continue;
    Gguf *projector = read_gguf(path, NULL);
    if (projector != NULL)
      g_ptr_array_add(files, projector);
  }
}

static gboolean has_text_alone(const GPtrArray *files) {
  gboolean text = FALSE;
  for (guint i = 0; i < files->len; i++) {
    const Gguf *gguf = files->pdata[i];
    text |= !gguf->projector;
    if (gguf->projector)
      return FALSE;
  }
  return text;
}

/* *fitting: pairs that belong together. */
static void print_pairs(const MnkSettings *settings, const GPtrArray *files, guint *fitting,
                        GError **first) {
  for (guint i = 0; i < files->len; i++)
    for (guint j = 0; j < files->len; j++) {
      const Gguf *text = files->pdata[i], *projector = files->pdata[j];
      g_autoptr(GError) error = NULL;
      if (text->projector || !projector->projector)
        continue;
      if (print_pair(settings, text, projector, &error))
        (*fitting)++;
      else
        print_fault(error, first);
    }
}

static void print_files(const GPtrArray *files, guint context, GError **first) {
  for (guint i = 0; i < files->len; i++) {
    const Gguf *gguf = files->pdata[i];
    g_autoptr(GError) error = NULL;
    if (gguf->projector)
      print_projector(gguf);
    else if (!print_text(gguf, context, &error))
      print_fault(error, first);
  }
}

gboolean mnk_models_explain(const MnkSettings *settings, char **paths, GError **error) {
  g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(gguf_free);
  guint context = (guint)mnk_settings_int(settings, MNK_OPT_MODEL_CONTEXT);
  GError *first = NULL;
  guint fitting = 0;
  add_files(files, paths, &first);
  const char *mmproj = mnk_settings_string(settings, MNK_OPT_MMPROJ);
  if (mmproj != NULL)
    add_file(files, mmproj, &first);
  else if (first == NULL)
    add_neighbours(files);
  if (files->len == 0 && first == NULL)
    first = g_error_new(MNK_ERROR, MNK_ERROR_NOT_FOUND, "there is no *.gguf file in %s", paths[0]);
  print_files(files, context, &first);
  print_pairs(settings, files, &fitting, &first);
  if (has_text_alone(files))
    puts("There is no projector (mmproj*.gguf) beside it; without one the model cannot see.");
  /* In a folder of many models not everything fits everything. */
  if (first == NULL || fitting > 0) {
    g_clear_error(&first);
    return TRUE;
  }
  g_propagate_error(error, first);
  return FALSE;
}
