#include "stream/stream_priv.h"

/* A caption like the one before, with no cut between, only lengthens that one. */
static const gint64 MERGE_GAP_MS = 1500;

struct _MnkCaptioner {
  char *stream;
  MnkTemplate *tmpl;
  MnkLang lang;
  MnkTimeline *timeline;
  MnkStore *store;
  MnkCaptionFunc func;
  gpointer user;
  MnkCaption *last;    /* the newest final caption */
  guint64 last_number; /* of the scene it tells */
  guint64 count;
  GQueue *waiting; /* of Delivery: captions on their way through the store */
};

/* A caption that waits for its commit. It outlives the captioner if it must. */
typedef struct {
  MnkCaptioner *captioner; /* NULL: gone */
  MnkCaption *caption;
} Delivery;

static void delivered(const GError *error, gpointer user) {
  Delivery *delivery = user;
  MnkCaptioner *captioner = delivery->captioner;
  if (captioner != NULL) {
    g_queue_remove(captioner->waiting, delivery);
    if (error != NULL)
      mnk_error("store", captioner->stream, "event=caption-not-kept reason=\"%s\"", error->message);
    captioner->func(delivery->caption, error == NULL, captioner->user);
  }
  mnk_caption_free(delivery->caption);
  g_free(delivery);
}

static void deliver(MnkCaptioner *captioner, const MnkCaption *caption) {
  if (captioner->store == NULL) {
    captioner->func(caption, FALSE, captioner->user);
    return;
  }
  Delivery *delivery = g_new0(Delivery, 1);
  delivery->captioner = captioner;
  delivery->caption = mnk_caption_copy(caption);
  g_queue_push_tail(captioner->waiting, delivery);
  mnk_store_put_caption(captioner->store, caption, delivered, delivery);
}

static MnkCaption *caption_of(MnkCaptioner *captioner, const MnkScene *scene) {
  MnkCaption *caption = mnk_caption_new();
  g_autoptr(MnkScene) copy = mnk_scene_copy(scene);
  caption->stream = g_strdup(captioner->stream);
  caption->id = g_strdup_printf("%" G_GUINT64_FORMAT, scene->number);
  caption->start_ms = scene->start_ms;
  caption->end_ms = scene->end_ms;
  caption->final = scene->final;
  caption->lang = g_strdup(mnk_lang_code(captioner->lang));
  caption->text = mnk_template_tell(captioner->tmpl, scene);
  g_clear_pointer(&caption->facts, g_ptr_array_unref);
  caption->facts = g_ptr_array_ref(copy->facts);
  caption->backend = g_strdup(mnk_caption_is_gap(caption) ? "none" : "template");
  return caption;
}

static gboolean same_as_last(const MnkCaptioner *captioner, const MnkCaption *caption,
                             const MnkScene *scene) {
  const MnkCaption *last = captioner->last;
  return last != NULL && !scene->starts_at_cut && !mnk_caption_is_gap(caption) &&
         !mnk_caption_is_gap(last) && g_str_equal(last->text, caption->text) &&
         caption->start_ms - last->end_ms <= MERGE_GAP_MS;
}

/* The newest caption again, with a later end. */
static MnkCaption *lengthened(const MnkCaptioner *captioner, gint64 end_ms) {
  MnkCaption *caption = mnk_caption_copy(captioner->last);
  caption->end_ms = end_ms;
  return caption;
}

static void on_scene(const MnkScene *scene, gpointer user) {
  MnkCaptioner *captioner = user;
  if (!scene->final)
    return;
  gboolean again = captioner->last != NULL && captioner->last_number == scene->number;
  g_autoptr(MnkCaption) caption =
      again ? lengthened(captioner, scene->end_ms) : caption_of(captioner, scene);
  if (!again && same_as_last(captioner, caption, scene)) {
    g_free(caption->id);
    caption->id = g_strdup(captioner->last->id);
    caption->start_ms = captioner->last->start_ms;
  } else if (!again) {
    captioner->count++;
  }
  deliver(captioner, caption);
  mnk_caption_free(captioner->last);
  captioner->last = g_steal_pointer(&caption);
  captioner->last_number = scene->number;
}

MnkCaptioner *mnk_captioner_new(const char *stream, const MnkSettings *settings, MnkStore *store,
                                MnkCaptionFunc func, gpointer user) {
  MnkCaptioner *captioner = g_new0(MnkCaptioner, 1);
  captioner->stream = g_strdup(stream);
  captioner->lang = (MnkLang)mnk_settings_int(settings, MNK_OPT_LANG);
  captioner->tmpl = mnk_template_new(captioner->lang);
  MnkTimelineConfig config = {
      .caption_max_ms = mnk_settings_int(settings, MNK_OPT_CAPTION_MAX),
      .caption_min_ms = mnk_settings_int(settings, MNK_OPT_CAPTION_MIN),
  };
  captioner->timeline = mnk_timeline_new(&config, on_scene, captioner);
  captioner->store = store;
  captioner->func = func;
  captioner->user = user;
  captioner->waiting = g_queue_new();
  return captioner;
}

static void forget_captioner(gpointer delivery, gpointer user) {
  ((Delivery *)delivery)->captioner = NULL;
}

void mnk_captioner_free(MnkCaptioner *captioner) {
  if (captioner == NULL)
    return;
  g_queue_foreach(captioner->waiting, forget_captioner, NULL);
  g_queue_free(captioner->waiting);
  mnk_timeline_free(captioner->timeline);
  mnk_template_free(captioner->tmpl);
  mnk_caption_free(captioner->last);
  g_free(captioner->stream);
  g_free(captioner);
}

MnkTimeline *mnk_captioner_timeline(MnkCaptioner *captioner) {
  return captioner->timeline;
}

guint64 mnk_captioner_count(const MnkCaptioner *captioner) {
  return captioner->count;
}

guint mnk_captioner_waiting(const MnkCaptioner *captioner) {
  return captioner->waiting->length;
}
