/* Videos that are asked about by their address: opened as streams, watched to their end, and known
 * by their address for further questions. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <string.h>

enum { VIDEOS_MAX = 64 };

typedef struct _Idle Idle;

typedef struct {
  MnkApi *api;
  char *key;       /* who asked, and for which source */
  char *id;        /* of the stream */
  MnkEntry *entry; /* while it runs, owned; NULL: over */
  Idle *idle;      /* the last frames are waited for; NULL: they are not */
  GQueue waits;    /* of MnkVideoWait */
  guint limit_timer, tell_timer;
} Video;

/* The local model's word outlives the video that it is for. */
struct _Idle {
  Video *video;
};

struct _MnkVideoWait {
  Video *video;
  MnkVideoWatched done;
  gpointer user;
};

struct _MnkVideos {
  GQueue list; /* of Video; the one that rested longest first */
};

/* ---- the list ---- */

static void video_free(gpointer data) {
  Video *video = data;
  if (video->entry != NULL)
    mnk_entry_forget_when_ended(video->entry, video);
  if (video->idle != NULL)
    video->idle->video = NULL;
  g_clear_handle_id(&video->limit_timer, g_source_remove);
  g_clear_handle_id(&video->tell_timer, g_source_remove);
  g_queue_clear_full(&video->waits, g_free);
  mnk_entry_unref(video->entry);
  g_free(video->key);
  g_free(video->id);
  g_free(video);
}

void mnk_videos_free(MnkVideos *videos) {
  if (videos == NULL)
    return;
  g_queue_clear_full(&videos->list, video_free);
  g_free(videos);
}

static MnkVideos *videos_of(MnkApi *api) {
  if (api->videos == NULL)
    api->videos = g_new0(MnkVideos, 1);
  return api->videos;
}

static void forget(Video *video) {
  g_queue_remove(&video->api->videos->list, video);
  video_free(video);
}

static gboolean is_busy(const Video *video) {
  return video->entry != NULL || video->idle != NULL || video->waits.length > 0;
}

static Video *find_video(MnkApi *api, const char *key) {
  for (GList *l = videos_of(api)->list.head; l != NULL; l = l->next)
    if (g_str_equal(((const Video *)l->data)->key, key))
      return l->data;
  return NULL;
}

void mnk_videos_forget(MnkApi *api, const char *stream) {
  for (GList *l = videos_of(api)->list.head; l != NULL; l = l->next) {
    Video *video = l->data;
    if (!g_str_equal(video->id, stream) || is_busy(video))
      continue;
    forget(video);
    return;
  }
}

static gboolean make_room(MnkApi *api, GError **error) {
  GQueue *list = &videos_of(api)->list;
  for (GList *l = list->head; l != NULL && list->length >= VIDEOS_MAX; l = l->next)
    if (!is_busy(l->data)) {
      forget(l->data);
      return TRUE;
    }
  if (list->length < VIDEOS_MAX)
    return TRUE;
  g_set_error(error, MNK_STATUS_ERROR, 503, "%d videos are being watched already", VIDEOS_MAX);
  return FALSE;
}

/* ---- watched ---- */

/* Whoever waits is told. */
static void tell(Video *video, const GError *error) {
  GQueue waits = video->waits;
  g_autofree char *id = g_strdup(video->id);
  MnkVideoWait *wait;
  g_queue_init(&video->waits);
  g_clear_handle_id(&video->limit_timer, g_source_remove);
  g_clear_handle_id(&video->tell_timer, g_source_remove);
  if (error != NULL)
    forget(video);
  while ((wait = g_queue_pop_head(&waits)) != NULL) {
    wait->done(error == NULL ? id : NULL, error, wait->user);
    g_free(wait);
  }
}

static void on_idle(gpointer user) {
  g_autofree Idle *idle = user;
  Video *video = idle->video;
  if (video == NULL)
    return;
  video->idle = NULL;
  tell(video, NULL);
}

/* Then the answer is from what was seen so far. */
static gboolean on_limit(gpointer user) {
  Video *video = user;
  video->limit_timer = 0;
  if (video->entry != NULL)
    mnk_entry_stop(video->entry);
  else
    tell(video, NULL);
  return G_SOURCE_REMOVE;
}

static void set_limit(Video *video) {
  gint64 limit_ms = mnk_settings_int(video->api->settings, MNK_OPT_VIDEO_WAIT);
  video->limit_timer = g_timeout_add((guint)limit_ms, on_limit, video);
}

/* The model looks at the last frames after the stream itself has ended. */
static void wait_for_model(Video *video) {
  MnkLocalStream *memory = mnk_memories_find(video->api->memories, video->id);
  if (memory == NULL) {
    tell(video, NULL);
    return;
  }
  if (video->limit_timer == 0) /* for this, too */
    set_limit(video);
  video->idle = g_new0(Idle, 1);
  video->idle->video = video;
  mnk_local_when_idle(memory, on_idle, video->idle);
}

static void on_ended(MnkEntry *entry, gpointer user) {
  Video *video = user;
  g_autoptr(MnkEntry) held = g_steal_pointer(&video->entry);
  if (entry->failure == NULL) {
    wait_for_model(video);
    return;
  }
  g_autofree char *message = mnk_spec_shown(&entry->spec, entry->failure->message);
  g_autoptr(GError) error =
      g_error_new_literal(entry->failure->domain, entry->failure->code, message);
  tell(video, error);
}

static gboolean on_tell(gpointer user) {
  Video *video = user;
  video->tell_timer = 0;
  tell(video, NULL);
  return G_SOURCE_REMOVE;
}

/* ---- opening ---- */

/* What POST /v1/streams calls the source. Caller frees. */
static char *source_of(const char *url, GError **error) {
  static const char *const SCHEMES[] = {"http://", "https://", "rtsp://", "rtsps://", "upload:"};
  for (guint i = 0; i < G_N_ELEMENTS(SCHEMES); i++)
    if (g_ascii_strncasecmp(url, SCHEMES[i], strlen(SCHEMES[i])) == 0)
      return g_strdup(url);
  if (g_ascii_strncasecmp(url, "file:", strlen("file:")) == 0) {
    const char *place = url + strlen("file:");
    char *path = g_uri_unescape_string(place + (g_str_has_prefix(place, "//") ? 2 : 0), NULL);
    if (path != NULL && g_utf8_validate(path, -1, NULL))
      return path;
    g_free(path);
  }
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                      "video_url.url must be stream:ID, upload:NAME, or an address of http, https, "
                      "rtsp, rtsps or file");
  return NULL;
}

static MnkEntry *open_source(MnkCall *call, const char *source, GError **error) {
  MnkRegistry *registry = call->api->registry;
  g_autoptr(MnkSettings) settings = mnk_settings_copy(mnk_registry_base(registry));
  g_auto(MnkSpec) spec = {0};
  if (!mnk_settings_set(settings, MNK_OPT_LOOP, "false", error) ||
      !mnk_settings_set(settings, MNK_OPT_REALTIME, "false", error) ||
      !mnk_registry_has_room(registry, error) ||
      !mnk_spec_resolve(call->api, source, FALSE, &spec, error))
    return NULL;
  g_autofree char *stem = mnk_registry_stem(registry, &spec, settings, error);
  if (stem == NULL)
    return NULL;
  g_autofree char *id = mnk_random_id(stem);
  MnkBegin begin = {.id = id, .spec = &spec, .settings = settings, .key = call->key};
  return mnk_registry_begin(registry, &begin, error);
}

static Video *open_video(MnkCall *call, const char *key, const char *source, GError **error) {
  MnkApi *api = call->api;
  MnkEntry *entry = make_room(api, error) ? open_source(call, source, error) : NULL;
  if (entry == NULL)
    return NULL;
  Video *video = g_new0(Video, 1);
  video->api = api;
  video->key = g_strdup(key);
  video->id = g_strdup(entry->id);
  video->entry = mnk_entry_ref(entry);
  set_limit(video);
  g_queue_push_tail(&videos_of(api)->list, video);
  mnk_entry_when_ended(entry, on_ended, video);
  return video;
}

/* One whose memory had to give way is watched anew. */
static gboolean is_good(const Video *video) {
  MnkMemories *memories = video->api->memories;
  return is_busy(video) || memories == NULL || mnk_memories_find(memories, video->id) != NULL;
}

static Video *find_or_open(MnkCall *call, const char *source, GError **error) {
  g_autofree char *key = g_strdup_printf("%s\n%s", call->key->name, source);
  Video *video = find_video(call->api, key);
  if (video != NULL && !is_good(video)) {
    forget(video);
    video = NULL;
  }
  if (video == NULL)
    return open_video(call, key, source, error);
  g_queue_remove(&call->api->videos->list, video);
  g_queue_push_tail(&call->api->videos->list, video);
  if (!is_busy(video) && video->tell_timer == 0)
    video->tell_timer = g_idle_add(on_tell, video);
  return video;
}

MnkVideoWait *mnk_video_watch(MnkCall *call, const char *url, MnkVideoWatched done, gpointer user,
                              GError **error) {
  g_autofree char *source = source_of(url, error);
  if (source == NULL)
    return NULL;
  if (!mnk_scopes_include(call->key->scopes, MNK_SCOPE_INGEST)) {
    g_set_error_literal(error, MNK_STATUS_ERROR, 403,
                        "the scope ingest is needed to have a video opened");
    return NULL;
  }
  Video *video = find_or_open(call, source, error);
  if (video == NULL)
    return NULL;
  MnkVideoWait *wait = g_new0(MnkVideoWait, 1);
  *wait = (MnkVideoWait){video, done, user};
  g_queue_push_tail(&video->waits, wait);
  return wait;
}

/* A video that nobody waits for any more is not watched on. */
void mnk_video_cancel(MnkVideoWait *wait) {
  Video *video = wait->video;
  g_queue_remove(&video->waits, wait);
  g_free(wait);
  if (!g_queue_is_empty(&video->waits) || (video->entry == NULL && video->idle == NULL))
    return;
  g_autoptr(MnkEntry) entry = video->entry != NULL ? mnk_entry_ref(video->entry) : NULL;
  forget(video);
  if (entry != NULL)
    mnk_entry_stop(entry);
}
