/* Who answers questions: the local model, a remote service, or the search of the timeline. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <string.h>

static const char TIMELINE[] = "timeline";

/* The backend of captions may be the local model itself. */
static gboolean is_remote(const MnkBackend *backend) {
  return backend != NULL && strcmp(mnk_backend_name(backend), "local") != 0;
}

static const char *local_name(const MnkLocal *local) {
  const MnkVlmFiles *files = mnk_local_files(local);
  return files != NULL && files->name[0] != '\0' ? files->name : "local";
}

static const char *remote_name(const MnkBackend *backend) {
  const char *model = mnk_backend_model(backend);
  return model != NULL && *model != '\0' ? model : mnk_backend_name(backend);
}

const char *mnk_asked_name(MnkApi *api, MnkAsked asked) {
  if (api->local != NULL && (asked == MNK_ASKED_BEST || asked == MNK_ASKED_LOCAL))
    return local_name(api->local);
  if (is_remote(api->backend) && (asked == MNK_ASKED_BEST || asked == MNK_ASKED_REMOTE))
    return remote_name(api->backend);
  return TIMELINE;
}

gboolean mnk_asked_find(MnkApi *api, const char *name, MnkAsked *out, GError **error) {
  gboolean best = name == NULL || *name == '\0' || strcmp(name, "auto") == 0;
  gboolean local = !best && api->local != NULL &&
                   (strcmp(name, "local") == 0 || strcmp(name, local_name(api->local)) == 0);
  gboolean remote = !best && is_remote(api->backend) &&
                    (strcmp(name, mnk_backend_name(api->backend)) == 0 ||
                     strcmp(name, remote_name(api->backend)) == 0);
  if (best || local || remote || strcmp(name, TIMELINE) == 0) {
    *out = best     ? MNK_ASKED_BEST
           : local  ? MNK_ASKED_LOCAL
           : remote ? MNK_ASKED_REMOTE
                    : MNK_ASKED_TIMELINE;
    return TRUE;
  }
  g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND,
              "model \"%.128s\" is none of those here, which GET /v1/models lists", name);
  return FALSE;
}

/* A stream whose captions are to be the template's shows its pictures to no service. */
static gboolean may_leave(const MnkSettings *settings) {
  return g_strcmp0(mnk_settings_string(settings, MNK_OPT_BACKEND), "template") != 0;
}

void mnk_asked_choose(MnkApi *api, MnkAsked asked, MnkAskRequest *request) {
  gboolean local = asked == MNK_ASKED_BEST || asked == MNK_ASKED_LOCAL;
  gboolean remote = asked == MNK_ASKED_BEST || asked == MNK_ASKED_REMOTE;
  request->memory = local ? mnk_memories_find(api->memories, request->stream) : NULL;
  request->model = request->memory != NULL ? local_name(api->local) : NULL;
  request->has_model = api->local != NULL || is_remote(api->backend);
  request->backend =
      remote && is_remote(api->backend) && may_leave(request->settings) ? api->backend : NULL;
}

/* ---- GET /v1/models ---- */

typedef struct {
  const char *id, *owner, *state, *detail;
} Model;

static void write_model(MnkJsonWriter *w, const Model *model) {
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "id", model->id);
  mnk_json_add_string(w, "object", "model");
  mnk_json_add_int(w, "created", 0);
  mnk_json_add_string(w, "owned_by", model->owner);
  mnk_json_begin_object(w, "manako");
  mnk_json_add_string(w, "state", model->state);
  mnk_json_add_string(w, "detail", model->detail);
  mnk_json_end_object(w);
  mnk_json_end_object(w);
}

static void write_models(MnkApi *api, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "object", "list");
  mnk_json_begin_array(&w, "data");
  if (api->local != NULL)
    write_model(&w, &(Model){local_name(api->local), "local",
                             mnk_local_state_name(mnk_local_state(api->local)),
                             mnk_local_detail(api->local)});
  if (is_remote(api->backend))
    write_model(&w, &(Model){remote_name(api->backend), mnk_backend_name(api->backend),
                             mnk_backend_state_name(mnk_backend_state(api->backend)),
                             mnk_backend_detail(api->backend)});
  write_model(&w, &(Model){TIMELINE, TIMELINE, "ready", ""});
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
}

void mnk_handle_models(MnkCall *call) {
  g_autoptr(GString) json = g_string_new(NULL);
  write_models(call->api, json);
  mnk_answer_json(call->request, 200, json);
}
