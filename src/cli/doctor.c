#include "cli/cli.h"
#include "models/models.h"
#include "store/store.h"
#include "vision/vision.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Each check prints its line; a fault that keeps captions from being written counts. */
typedef struct {
  const MnkSettings *settings;
  guint faults;
} Doctor;

static void report(Doctor *doctor, gboolean good, gboolean needed, const char *what,
                   const char *detail) {
  MnkStyle style = good ? MNK_STYLE_GOOD : needed ? MNK_STYLE_BAD : MNK_STYLE_DIM;
  g_autofree char *safe = mnk_text_escape(detail);
  printf("%s%-7s%s %-12s %s\n", mnk_style(STDOUT_FILENO, style),
         good     ? "ok"
         : needed ? "FAULT"
                  : "none",
         mnk_style(STDOUT_FILENO, MNK_STYLE_PLAIN), what, safe);
  doctor->faults += !good && needed;
}

static void check_runtime(Doctor *doctor) {
  g_autoptr(GError) error = NULL;
  g_autofree char *version = mnk_perception_runtime_version(&error);
  report(doctor, version != NULL, TRUE, "runtime", version != NULL ? version : error->message);
}

static void check_models(Doctor *doctor) {
  g_autofree char *dir = mnk_models_dir(mnk_settings_string(doctor->settings, MNK_OPT_MODELS_DIR));
  const MnkModelEntry *entry;
  for (guint i = 0; (entry = mnk_models_at(i)) != NULL; i++) {
    g_autofree char *why = NULL;
    MnkModelState state = mnk_models_check(dir, entry, TRUE, &why);
    report(doctor, state == MNK_MODEL_OK, TRUE, entry->name,
           state == MNK_MODEL_OK ? entry->purpose : why);
  }
}

static void check_parts(Doctor *doctor) {
  g_autofree char *dir = mnk_models_dir(mnk_settings_string(doctor->settings, MNK_OPT_MODELS_DIR));
  g_autofree char *cache = mnk_path_cache();
  g_autofree char *compiled = g_build_filename(cache, "compiled", NULL);
  g_autoptr(GError) error = NULL;
  g_mkdir_with_parents(compiled, 0700);
  MnkPerceptionConfig config = {
      .models_dir = dir, .cache_dir = compiled, .threads = 1, .parts = MNK_PART_ALL};
  g_autoptr(MnkPerception) perception = mnk_perception_new(&config, &error);
  if (perception == NULL) {
    report(doctor, FALSE, TRUE, "perception", error->message);
    return;
  }
  mnk_perception_warm(perception, MNK_PART_ALL, NULL);
  for (guint bit = 1; bit <= MNK_PART_TEXT; bit <<= 1) {
    const char *fault = mnk_perception_fault(perception, (MnkPart)bit);
    report(doctor, fault == NULL, TRUE, mnk_part_name((MnkPart)bit),
           fault != NULL ? fault : "works");
  }
}

static void check_timeline(Doctor *doctor) {
  g_autofree char *path = mnk_cli_db_path(doctor->settings);
  g_autoptr(GError) error = NULL;
  if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
    g_autofree char *detail = g_strdup_printf("%s will be made by the first caption", path);
    report(doctor, FALSE, FALSE, "timeline", detail);
    return;
  }
  g_autoptr(MnkStore) store = mnk_store_open(path, MNK_STORE_READ, &error);
  g_autoptr(GPtrArray) streams = store != NULL ? mnk_store_streams(store, &error) : NULL;
  g_autofree char *detail = streams != NULL ? g_strdup_printf("%s, %u streams", path, streams->len)
                                            : g_strdup(error->message);
  report(doctor, streams != NULL, TRUE, "timeline", detail);
}

static void check_cameras(Doctor *doctor) {
  g_autoptr(GString) found = g_string_new(NULL);
  for (guint i = 0; i < 64; i++) {
    g_autofree char *path = g_strdup_printf("/dev/video%u", i);
    if (access(path, F_OK) == 0)
      g_string_append_printf(found, "%s%s%s", found->len > 0 ? ", " : "", path,
                             access(path, R_OK | W_OK) == 0 ? "" : " (no permission)");
  }
  report(doctor, found->len > 0, FALSE, "cameras",
         found->len > 0 ? found->str : "no /dev/video* here");
}

static gboolean run(const MnkSettings *settings, char **rest, GError **error) {
  Doctor doctor = {.settings = settings};
  puts("manako " MNK_VERSION);
  check_runtime(&doctor);
  check_models(&doctor);
  check_parts(&doctor);
  check_timeline(&doctor);
  check_cameras(&doctor);
  if (doctor.faults == 0)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL, "%u faults; the lines above say what helps",
              doctor.faults);
  return FALSE;
}

const MnkCommand mnk_command_doctor = {
    .name = "doctor",
    .set = MNK_COMMAND_DOCTOR,
    .arguments = "",
    .summary = "Tell which parts work here and what is missing",
    .min_rest = 0,
    .max_rest = 0,
    .run = run,
};
