/* Gemini on Vertex AI: the same requests, another address, and OAuth instead of a key. */
#include "language/service_priv.h"

#include <string.h>

gboolean mnk_service_name_is_valid(const char *name, gboolean paths) {
  gsize length = strlen(name);
  if (length == 0 || length > 256 || strstr(name, "..") || strstr(name, "//") || name[0] == '/' ||
      name[length - 1] == '/')
    return FALSE;
  for (const char *p = name; *p; p++)
    if (!g_ascii_isalnum(*p) && !strchr("-._:@", *p) && !(paths && *p == '/'))
      return FALSE;
  return TRUE;
}

char *mnk_vertex_base_url(const MnkSettings *settings, const char *location, GError **error) {
  const char *named = mnk_settings_string(settings, MNK_OPT_VERTEX_URL);
  if (named)
    return mnk_remote_base_url(named, MNK_OPT_VERTEX_URL, error);
  if (!mnk_service_name_is_valid(location, FALSE) || strpbrk(location, "._:@")) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "--vertex-location: a location is like us-central1, or global");
    return NULL;
  }
  if (g_str_equal(location, "global"))
    return g_strdup("https://aiplatform.googleapis.com");
  if (g_str_equal(location, "us") || g_str_equal(location, "eu"))
    return g_strdup_printf("https://aiplatform.%s.rep.googleapis.com", location);
  return g_strdup_printf("https://%s-aiplatform.googleapis.com", location);
}

MnkOauth *mnk_vertex_auth(const MnkSettings *settings, const MnkReach *reach, char **project,
                          GError **error) {
  const char *token = mnk_settings_string(settings, MNK_OPT_VERTEX_TOKEN);
  const char *account = mnk_settings_string(settings, MNK_OPT_VERTEX_CREDENTIALS);
  MnkOauth *auth = NULL;
  if (token) {
    auth = mnk_oauth_new_fixed("Authorization: Bearer ", token, error);
    if (!auth)
      g_prefix_error(error, "--vertex-token: ");
  } else if (account) {
    auth = mnk_oauth_new_account(account, mnk_settings_string(settings, MNK_OPT_VERTEX_TOKEN_URL),
                                 reach, project, error);
    if (!auth)
      g_prefix_error(error, "--vertex-credentials: ");
  } else {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "vertex needs a service account's key file (GOOGLE_APPLICATION_CREDENTIALS) or a "
                "token (VERTEX_ACCESS_TOKEN)");
  }
  return auth;
}

/* A service account alone may be there for other programs. */
static gboolean is_configured(const MnkSettings *settings) {
  return mnk_settings_string(settings, MNK_OPT_VERTEX_PROJECT) &&
         (mnk_settings_string(settings, MNK_OPT_VERTEX_TOKEN) ||
          mnk_settings_string(settings, MNK_OPT_VERTEX_CREDENTIALS));
}

static gboolean take_project(const MnkSettings *settings, char **project, GError **error) {
  const char *named = mnk_settings_string(settings, MNK_OPT_VERTEX_PROJECT);
  if (named) {
    g_free(*project);
    *project = g_strdup(named);
  }
  if (*project && mnk_service_name_is_valid(*project, FALSE))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "%s",
              *project ? "--vertex-project: this is no project's id"
                       : "vertex needs a project: set --vertex-project (GOOGLE_CLOUD_PROJECT)");
  return FALSE;
}

/* A plain name is one of Google's models; a path is a model or endpoint of one's own. */
static char *model_path(const char *model, const char *project, const char *location) {
  if (g_str_has_prefix(model, "projects/"))
    return g_strdup(model);
  return g_strdup_printf("projects/%s/locations/%s/%s%s", project, location,
                         strchr(model, '/') ? "" : "publishers/google/models/", model);
}

static gboolean configure(MnkRemoteBackend *service, const MnkSettings *settings, GError **error) {
  const char *location = mnk_settings_string(settings, MNK_OPT_VERTEX_LOCATION);
  const char *model = mnk_settings_string(settings, MNK_OPT_MODEL);
  g_autofree char *project = NULL;
  g_autofree char *base = mnk_vertex_base_url(settings, location, error);
  if (!base)
    return FALSE;
  service->auth = mnk_vertex_auth(settings, &service->reach, &project, error);
  if (!service->auth || !take_project(settings, &project, error))
    return FALSE;
  service->model = g_strdup(model ? model : MNK_GEMINI_MODEL);
  if (!mnk_service_name_is_valid(service->model, TRUE)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "--model: a Vertex model's name has letters, digits and -._:@/ alone");
    return FALSE;
  }
  g_autofree char *path = model_path(service->model, project, location);
  service->caption_url = g_strdup_printf("%s/v1/%s:generateContent", base, path);
  service->stream_url = g_strdup_printf("%s/v1/%s:streamGenerateContent?alt=sse", base, path);
  /* Counting tokens asks for the same project, place, model and permission, and costs nothing. */
  service->check_method = "POST";
  service->check_url = g_strdup_printf("%s/v1/%s:countTokens", base, path);
  service->check_body =
      g_strdup("{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]}]}");
  return TRUE;
}

const MnkDialect mnk_dialect_vertex = {
    .name = "vertex",
    .is_configured = is_configured,
    .configure = configure,
    .write = mnk_google_write,
    .read = mnk_google_read,
    .read_part = mnk_google_read_part,
    .weaken = mnk_google_weaken,
    .key_hint =
        "the service account needs the role Vertex AI User in the project, and a token must "
        "not have expired",
    .model_hint = "it may be retired, misspelt or absent from this location; set --model "
                  "(GEMINI_MODEL) to a current one, or --vertex-location",
};
