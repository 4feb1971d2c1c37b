/* Gemini by an API key: https://ai.google.dev/api. */
#include "language/service_priv.h"

#include <string.h>

static gboolean is_configured(const MnkSettings *settings) {
  return mnk_settings_string(settings, MNK_OPT_GEMINI_API_KEY) != NULL;
}

static gboolean take_model(MnkRemoteBackend *service, const MnkSettings *settings, GError **error) {
  const char *model = mnk_settings_string(settings, MNK_OPT_MODEL);
  service->model = g_strdup(model ? model : MNK_GEMINI_MODEL);
  if (mnk_service_name_is_valid(service->model, TRUE))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
              "--model: a Gemini model's name has letters, digits and -._ alone");
  return FALSE;
}

static gboolean configure(MnkRemoteBackend *service, const MnkSettings *settings, GError **error) {
  const char *key = mnk_settings_string(settings, MNK_OPT_GEMINI_API_KEY);
  if (!key) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "gemini needs a key: set GEMINI_API_KEY in the environment");
    return FALSE;
  }
  g_autofree char *base = mnk_remote_base_url(mnk_settings_string(settings, MNK_OPT_GEMINI_URL),
                                              MNK_OPT_GEMINI_URL, error);
  if (!base || !take_model(service, settings, error))
    return FALSE;
  service->auth = mnk_oauth_new_fixed("x-goog-api-key: ", key, error);
  if (!service->auth) {
    g_prefix_error(error, "--gemini-api-key: ");
    return FALSE;
  }
  /* "models/" may be part of the name, as the service itself lists them. */
  const char *folder = strchr(service->model, '/') ? "" : "models/";
  service->caption_url =
      g_strdup_printf("%s/v1beta/%s%s:generateContent", base, folder, service->model);
  service->stream_url =
      g_strdup_printf("%s/v1beta/%s%s:streamGenerateContent?alt=sse", base, folder, service->model);
  service->check_method = "GET";
  service->check_url = g_strdup_printf("%s/v1beta/%s%s", base, folder, service->model);
  return TRUE;
}

static gboolean judge(const MnkRemoteBackend *service, const MnkJsonValue *root, GError **error) {
  const MnkJsonValue *methods = mnk_json_get(root, "supportedGenerationMethods");
  if (mnk_json_type(methods) != MNK_JSON_ARRAY)
    return TRUE;
  for (guint i = 0; i < mnk_json_size(methods); i++)
    if (g_str_equal(mnk_json_string(mnk_json_at(methods, i), ""), "generateContent"))
      return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
              "gemini: the model \"%s\" does not support generateContent; set --model to one that "
              "does",
              service->model);
  return FALSE;
}

const MnkDialect mnk_dialect_gemini = {
    .name = "gemini",
    .is_configured = is_configured,
    .configure = configure,
    .write = mnk_google_write,
    .read = mnk_google_read,
    .read_part = mnk_google_read_part,
    .weaken = mnk_google_weaken,
    .judge = judge,
    .key_hint = "set GEMINI_API_KEY to a key that may use it",
    .model_hint = "it may be retired or misspelt; set --model (GEMINI_MODEL) to a current one",
};
