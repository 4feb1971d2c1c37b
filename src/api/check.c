/* `serve --check`: what a start would find, without starting. */
#include "api/core_priv.h"

#include "models/models.h"

#include <unistd.h>

typedef struct {
  GString *out;
  guint problems;
} Report;

static void tell(Report *report, gboolean fine, const char *what, const char *text) {
  g_string_append_printf(report->out, "%-8s %-8s %s\n", fine ? "ok" : "problem", what, text);
  report->problems += !fine;
}

static void check_keys(Report *report, const MnkSettings *settings) {
  g_autoptr(GError) error = NULL;
  const char *path = mnk_settings_string(settings, MNK_OPT_KEYS);
  const char *host = mnk_settings_string(settings, MNK_OPT_HOST);
  if (!mnk_bind_is_safe(settings, &error)) {
    tell(report, FALSE, "keys", error->message);
  } else if (path == NULL) {
    g_autofree char *text =
        g_strdup_printf("none; whoever reaches %s port %" G_GINT64_FORMAT " may do everything",
                        host, mnk_settings_int(settings, MNK_OPT_PORT));
    tell(report, TRUE, "keys", text);
  } else {
    g_autoptr(GPtrArray) keys = mnk_keys_read(path, &error);
    g_autofree char *text =
        keys != NULL ? g_strdup_printf("%u in %s", keys->len, path) : g_strdup(error->message);
    tell(report, keys != NULL, "keys", text);
  }
}

/* The nearest folder above that exists decides whether the rest can be made. */
static gboolean can_write(const char *folder) {
  if (g_file_test(folder, G_FILE_TEST_EXISTS))
    return g_file_test(folder, G_FILE_TEST_IS_DIR) && access(folder, W_OK | X_OK) == 0;
  g_autofree char *above = g_path_get_dirname(folder);
  return g_strcmp0(above, folder) != 0 && can_write(above);
}

static void check_data(Report *report, const MnkSettings *settings) {
  g_autoptr(GError) error = NULL;
  g_autofree char *folder = mnk_api_data_dir(settings);
  g_autofree char *db = mnk_api_db_path(settings);
  tell(report, can_write(folder), "data", folder);
  if (!g_file_test(db, G_FILE_TEST_EXISTS)) {
    g_autofree char *home = g_path_get_dirname(db);
    g_autofree char *text = g_strdup_printf("%s will be made", db);
    tell(report, can_write(home), "timeline", text);
    return;
  }
  g_autoptr(MnkStore) store = mnk_store_open(db, MNK_STORE_READ, &error);
  tell(report, store != NULL, "timeline", store != NULL ? db : error->message);
}

static void check_files(Report *report, const MnkSettings *settings) {
  const char *root = mnk_settings_string(settings, MNK_OPT_FILES_ROOT);
  if (root != NULL)
    tell(report, g_file_test(root, G_FILE_TEST_IS_DIR) && access(root, R_OK | X_OK) == 0, "files",
         root);
}

static void check_models(Report *report, const MnkSettings *settings) {
  g_autofree char *folder = mnk_models_dir(mnk_settings_string(settings, MNK_OPT_MODELS_DIR));
  const MnkModelEntry *entry;
  gboolean whole = TRUE;
  if (mnk_settings_bool(settings, MNK_OPT_STUB_MODEL))
    return;
  for (guint i = 0; (entry = mnk_models_at(i)) != NULL; i++) {
    g_autofree char *why = NULL;
    if (mnk_models_check(folder, entry, FALSE, &why) == MNK_MODEL_OK)
      continue;
    whole = FALSE;
    tell(report, FALSE, "models", why);
  }
  if (whole)
    tell(report, TRUE, "models", folder);
}

/* ---- the language model ---- */

typedef struct {
  gboolean done;
  GError *error;
} Asked;

static void on_asked(const GError *error, gpointer user) {
  Asked *asked = user;
  asked->done = TRUE;
  if (error != NULL)
    asked->error = g_error_copy(error);
}

static void ask_backend(Report *report, MnkBackend *backend) {
  Asked asked = {0};
  mnk_backend_check(backend, on_asked, &asked);
  while (!asked.done)
    g_main_context_iteration(NULL, TRUE);
  g_autofree char *text =
      asked.error != NULL
          ? g_strdup_printf("%s: %s", mnk_backend_name(backend), asked.error->message)
          : g_strdup_printf("%s knows %s", mnk_backend_name(backend), mnk_backend_model(backend));
  tell(report, asked.error == NULL, "backend", text);
  g_clear_error(&asked.error);
}

static void check_language(Report *report, const MnkSettings *settings) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkHttpClient) client = mnk_http_client_new(1);
  g_autoptr(MnkBackend) backend = NULL;
  g_autoptr(MnkEmbedder) embedder = NULL;
  MnkAddressPolicy *policy =
      mnk_address_policy_new(mnk_settings_string(settings, MNK_OPT_OUTBOUND_ALLOW), &error);
  if (policy == NULL) {
    tell(report, FALSE, "outbound", error->message);
    return;
  }
  mnk_address_policy_unref(policy);
  if (!mnk_backend_new(settings, client, &backend, &error) ||
      !mnk_embedder_new(settings, client, &embedder, &error))
    tell(report, FALSE, "backend", error->message);
  else if (backend == NULL)
    tell(report, TRUE, "backend", "the embedded template");
  else
    ask_backend(report, backend);
}

gboolean mnk_api_check(const MnkSettings *settings, GString *out, GError **error) {
  Report report = {.out = out};
  check_keys(&report, settings);
  check_data(&report, settings);
  check_files(&report, settings);
  check_models(&report, settings);
  check_language(&report, settings);
  if (report.problems == 0)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "the check found %u problem%s", report.problems,
              report.problems == 1 ? "" : "s");
  return FALSE;
}
