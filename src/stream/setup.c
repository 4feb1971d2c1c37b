#include "models/models.h"
#include "stream/stream_priv.h"

#include <math.h>

enum { PREVIEW_SIZE = 640, FPS_MAX = 1000 };
static const gint64 LONGEST_MS = 8640000000000;

/* ---- the worker ---- */

static guint wanted_parts(const MnkSettings *settings) {
  static const struct {
    MnkOptionId option;
    MnkPart part;
  } PARTS[] = {{MNK_OPT_SCENES, MNK_PART_SCENES},
               {MNK_OPT_OBJECTS, MNK_PART_OBJECTS},
               {MNK_OPT_FACES, MNK_PART_FACES},
               {MNK_OPT_POSE, MNK_PART_POSE},
               {MNK_OPT_TEXT, MNK_PART_TEXT}};
  guint parts = 0;
  for (guint i = 0; i < G_N_ELEMENTS(PARTS); i++)
    if (mnk_settings_bool(settings, PARTS[i].option))
      parts |= PARTS[i].part;
  return parts;
}

void mnk_worker_setup_init(MnkWorkerSetup *setup, const MnkSettings *settings,
                           const MnkSourceName *source) {
  g_autofree char *cache = mnk_path_cache();
  *setup = (MnkWorkerSetup){
      .models_dir = mnk_models_dir(mnk_settings_string(settings, MNK_OPT_MODELS_DIR)),
      .cache_dir = g_build_filename(cache, "compiled", NULL),
      .device = g_strdup(source->kind == MNK_SOURCE_CAMERA ? source->address : ""),
      .threads = (int)mnk_settings_int(settings, MNK_OPT_THREADS),
      .parts = MNK_PART_ALL, /* a stream may want any of them, now or later */
      .stub = mnk_settings_bool(settings, MNK_OPT_STUB_MODEL),
      .sandbox = mnk_settings_bool(settings, MNK_OPT_SANDBOX),
      .network = source->network,
      .max_memory = (guint64)mnk_settings_int(settings, MNK_OPT_WORKER_MEMORY),
      .log_level = (MnkLogLevel)mnk_settings_int(settings, MNK_OPT_LOG_LEVEL),
  };
}

void mnk_worker_setup_clear(MnkWorkerSetup *setup) {
  g_clear_pointer(&setup->models_dir, g_free);
  g_clear_pointer(&setup->cache_dir, g_free);
  g_clear_pointer(&setup->device, g_free);
}

void mnk_worker_setup_write(const MnkWorkerSetup *setup, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "models_dir", setup->models_dir);
  mnk_json_add_string(&w, "cache_dir", setup->cache_dir);
  mnk_json_add_string(&w, "device", setup->device);
  mnk_json_add_int(&w, "threads", setup->threads);
  mnk_json_add_int(&w, "parts", setup->parts);
  mnk_json_add_bool(&w, "stub", setup->stub);
  mnk_json_add_bool(&w, "sandbox", setup->sandbox);
  mnk_json_add_bool(&w, "network", setup->network);
  mnk_json_add_int(&w, "max_memory", (gint64)setup->max_memory);
  mnk_json_add_int(&w, "log_level", setup->log_level);
  mnk_json_end_object(&w);
}

static gboolean read_string(const MnkJsonValue *value, const char *key, char **out,
                            GError **error) {
  const char *text = NULL;
  if (!mnk_json_get_string(value, key, MNK_JSON_REQUIRED, 4096, &text, error))
    return FALSE;
  *out = g_strdup(text);
  return TRUE;
}

static gboolean read_int(const MnkJsonValue *value, const char *key, gint64 min, gint64 max,
                         gint64 *out, GError **error) {
  return mnk_json_get_int(value, key, MNK_JSON_REQUIRED, min, max, out, error);
}

static gboolean read_bool(const MnkJsonValue *value, const char *key, gboolean *out,
                          GError **error) {
  return mnk_json_get_bool(value, key, MNK_JSON_REQUIRED, out, error);
}

gboolean mnk_worker_setup_read(const MnkJsonValue *value, MnkWorkerSetup *out, GError **error) {
  gint64 threads, parts, memory, level;
  *out = (MnkWorkerSetup){0};
  if (!read_string(value, "models_dir", &out->models_dir, error) ||
      !read_string(value, "cache_dir", &out->cache_dir, error) ||
      !read_string(value, "device", &out->device, error) ||
      !read_int(value, "threads", 1, 64, &threads, error) ||
      !read_int(value, "parts", 0, MNK_PART_ALL, &parts, error) ||
      !read_bool(value, "stub", &out->stub, error) ||
      !read_bool(value, "sandbox", &out->sandbox, error) ||
      !read_bool(value, "network", &out->network, error) ||
      !read_int(value, "max_memory", 0, G_MAXINT64, &memory, error) ||
      !read_int(value, "log_level", MNK_LOG_ERROR, MNK_LOG_DEBUG, &level, error)) {
    mnk_worker_setup_clear(out);
    return FALSE;
  }
  out->threads = (int)threads;
  out->parts = (guint)parts;
  out->max_memory = (guint64)memory;
  out->log_level = (MnkLogLevel)level;
  return TRUE;
}

/* ---- what may change ---- */

void mnk_watch_live_init(MnkWatchLive *live, const MnkSettings *settings) {
  *live = (MnkWatchLive){
      .fps = mnk_settings_double(settings, MNK_OPT_FPS),
      .gate_mse = mnk_settings_double(settings, MNK_OPT_GATE_MSE),
      .gate_max_gap_ms = mnk_settings_int(settings, MNK_OPT_GATE_MAX_GAP),
      .parts = wanted_parts(settings),
      .pictures = mnk_settings_is_set(settings, MNK_OPT_KEYFRAMES),
      .picture_size = (int)mnk_settings_int(settings, MNK_OPT_PICTURE_SIZE),
      .preview_size = PREVIEW_SIZE,
  };
}

static void add_live(MnkJsonWriter *w, const char *key, const MnkWatchLive *live) {
  mnk_json_begin_object(w, key);
  mnk_json_add_double(w, "fps", live->fps, 17);
  mnk_json_add_double(w, "gate_mse", live->gate_mse, 17);
  mnk_json_add_int(w, "gate_max_gap_ms", live->gate_max_gap_ms);
  mnk_json_add_int(w, "parts", live->parts);
  mnk_json_add_bool(w, "pictures", live->pictures);
  mnk_json_add_int(w, "picture_size", live->picture_size);
  mnk_json_add_int(w, "summary_dim", live->summary_dim);
  mnk_json_add_double(w, "preview_fps", live->preview_fps, 17);
  mnk_json_add_int(w, "preview_size", live->preview_size);
  mnk_json_add_bool(w, "paused", live->paused);
  mnk_json_end_object(w);
}

void mnk_watch_live_write(const MnkWatchLive *live, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  add_live(&w, NULL, live);
}

static gboolean read_double(const MnkJsonValue *value, const char *key, double max, double *out,
                            GError **error) {
  return mnk_json_get_double(value, key, MNK_JSON_REQUIRED, 0, max, out, error);
}

gboolean mnk_watch_live_read(const MnkJsonValue *value, MnkWatchLive *out, GError **error) {
  gint64 parts, picture_size, summary_dim, preview_size;
  *out = (MnkWatchLive){0};
  if (!read_double(value, "fps", FPS_MAX, &out->fps, error) ||
      !read_double(value, "gate_mse", 1, &out->gate_mse, error) ||
      !read_int(value, "gate_max_gap_ms", 0, LONGEST_MS, &out->gate_max_gap_ms, error) ||
      !read_int(value, "parts", 0, MNK_PART_ALL, &parts, error) ||
      !read_bool(value, "pictures", &out->pictures, error) ||
      !read_int(value, "picture_size", 64, 2048, &picture_size, error) ||
      !read_int(value, "summary_dim", 0, MNK_OBS_MAX_SUMMARY, &summary_dim, error) ||
      !read_double(value, "preview_fps", FPS_MAX, &out->preview_fps, error) ||
      !read_int(value, "preview_size", 16, 4096, &preview_size, error) ||
      !read_bool(value, "paused", &out->paused, error))
    return FALSE;
  out->parts = (guint)parts;
  out->picture_size = (int)picture_size;
  out->summary_dim = (guint)summary_dim;
  out->preview_size = (int)preview_size;
  return TRUE;
}

/* ---- one source ---- */

void mnk_watch_setup_init(MnkWatchSetup *setup, const MnkSettings *settings) {
  gboolean cuts = mnk_settings_bool(settings, MNK_OPT_CUTS);
  gboolean motion = mnk_settings_bool(settings, MNK_OPT_CAMERA_MOTION);
  *setup = (MnkWatchSetup){
      .from_ms = mnk_settings_is_set(settings, MNK_OPT_FROM)
                     ? mnk_settings_int(settings, MNK_OPT_FROM)
                     : 0,
      .to_ms =
          mnk_settings_is_set(settings, MNK_OPT_TO) ? mnk_settings_int(settings, MNK_OPT_TO) : -1,
      .resume_ms = -1,
      .loop = mnk_settings_bool(settings, MNK_OPT_LOOP),
      .realtime = mnk_settings_bool(settings, MNK_OPT_REALTIME),
      .every_frame = cuts || motion,
      .rtsp_udp = g_str_equal(mnk_settings_string(settings, MNK_OPT_RTSP_TRANSPORT), "udp"),
      .timeout_ms = mnk_settings_int(settings, MNK_OPT_SOURCE_TIMEOUT),
      .reconnect_max = (guint)mnk_settings_int(settings, MNK_OPT_RECONNECT_MAX),
      .outbound_allow = g_strdup(mnk_settings_string(settings, MNK_OPT_OUTBOUND_ALLOW)),
      .max_pixels = (guint64)mnk_settings_int(settings, MNK_OPT_MAX_PIXELS),
      .cuts = cuts,
      .camera_motion = motion,
      .fault = g_strdup(mnk_settings_string(settings, MNK_OPT_WORKER_FAULT)),
  };
  mnk_watch_live_init(&setup->live, settings);
}

void mnk_watch_setup_clear(MnkWatchSetup *setup) {
  g_clear_pointer(&setup->stream, g_free);
  g_clear_pointer(&setup->address, g_free);
  g_clear_pointer(&setup->outbound_allow, g_free);
  g_clear_pointer(&setup->fault, g_free);
}

void mnk_watch_setup_write(const MnkWatchSetup *setup, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "stream", setup->stream);
  mnk_json_add_string(&w, "address", setup->address);
  mnk_json_add_int(&w, "kind", setup->kind);
  add_live(&w, "live", &setup->live);
  mnk_json_add_int(&w, "from_ms", setup->from_ms);
  mnk_json_add_int(&w, "to_ms", setup->to_ms);
  mnk_json_add_int(&w, "resume_ms", setup->resume_ms);
  mnk_json_add_int(&w, "offset_ms", setup->offset_ms);
  mnk_json_add_bool(&w, "loop", setup->loop);
  mnk_json_add_bool(&w, "realtime", setup->realtime);
  mnk_json_add_bool(&w, "every_frame", setup->every_frame);
  mnk_json_add_bool(&w, "rtsp_udp", setup->rtsp_udp);
  mnk_json_add_int(&w, "timeout_ms", setup->timeout_ms);
  mnk_json_add_int(&w, "reconnect_max", setup->reconnect_max);
  mnk_json_add_int(&w, "max_pixels", (gint64)setup->max_pixels);
  mnk_json_add_string(&w, "outbound_allow", setup->outbound_allow ? setup->outbound_allow : "");
  mnk_json_add_bool(&w, "cuts", setup->cuts);
  mnk_json_add_bool(&w, "camera_motion", setup->camera_motion);
  mnk_json_add_string(&w, "fault", setup->fault != NULL ? setup->fault : "");
  mnk_json_end_object(&w);
}

static gboolean read_flags(const MnkJsonValue *value, MnkWatchSetup *out, GError **error) {
  return read_bool(value, "loop", &out->loop, error) &&
         read_bool(value, "realtime", &out->realtime, error) &&
         read_bool(value, "every_frame", &out->every_frame, error) &&
         read_bool(value, "rtsp_udp", &out->rtsp_udp, error) &&
         read_bool(value, "cuts", &out->cuts, error) &&
         read_bool(value, "camera_motion", &out->camera_motion, error);
}

static gboolean read_numbers(const MnkJsonValue *value, MnkWatchSetup *out, GError **error) {
  gint64 kind, reconnect, pixels;
  if (!read_int(value, "kind", MNK_SOURCE_FILE, MNK_SOURCE_PUSHED, &kind, error) ||
      !read_int(value, "from_ms", 0, LONGEST_MS, &out->from_ms, error) ||
      !read_int(value, "to_ms", -1, LONGEST_MS, &out->to_ms, error) ||
      !read_int(value, "resume_ms", -1, LONGEST_MS, &out->resume_ms, error) ||
      !read_int(value, "offset_ms", 0, LONGEST_MS, &out->offset_ms, error) ||
      !read_int(value, "timeout_ms", 0, LONGEST_MS, &out->timeout_ms, error) ||
      !read_int(value, "reconnect_max", 0, G_MAXUINT, &reconnect, error) ||
      !read_int(value, "max_pixels", 1, G_MAXINT32, &pixels, error))
    return FALSE;
  out->kind = (MnkSourceKind)kind;
  out->reconnect_max = (guint)reconnect;
  out->max_pixels = (guint64)pixels;
  return TRUE;
}

static gboolean read_live(const MnkJsonValue *value, MnkWatchSetup *out, GError **error) {
  const MnkJsonValue *live = NULL;
  if (!mnk_json_get_object(value, "live", MNK_JSON_REQUIRED, &live, error) ||
      !mnk_watch_live_read(live, &out->live, error))
    return FALSE;
  if (out->live.fps > 0 || out->kind == MNK_SOURCE_PUSHED)
    return TRUE;
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                      "\"live.fps\" must be over 0 for a source that is read");
  return FALSE;
}

gboolean mnk_watch_setup_read(const MnkJsonValue *value, MnkWatchSetup *out, GError **error) {
  *out = (MnkWatchSetup){0};
  if (read_string(value, "stream", &out->stream, error) &&
      read_string(value, "address", &out->address, error) &&
      read_string(value, "outbound_allow", &out->outbound_allow, error) &&
      read_string(value, "fault", &out->fault, error) && read_numbers(value, out, error) &&
      read_live(value, out, error) && read_flags(value, out, error))
    return TRUE;
  mnk_watch_setup_clear(out);
  return FALSE;
}
