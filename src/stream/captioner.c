/* From scenes and models' events to captions: numbers, sequence, merging, the way through the
 * store. */
#include "stream/stream_priv.h"

/* A caption like the one before, with no cut between, only lengthens that one. */
static const gint64 MERGE_GAP_MS = 1500;
static const float MERGE_LIKENESS = 0.6f;

struct _MnkCaptioner {
  char *stream;
  MnkTemplate *tmpl;
  MnkLang lang;
  MnkStore *store;
  MnkCaptionerEvents events;
  gpointer user;
  MnkCaption *last; /* the newest final caption */
  guint64 next_number, next_seq, count;
  GQueue *waiting; /* of Delivery: captions on their way through the store */
};

/* A caption that waits for its commit. It outlives the captioner if it must. */
typedef struct {
  MnkCaptioner *captioner; /* NULL: gone */
  MnkCaption *caption;
} Delivery;

/* ---- delivery ---- */

static void delivered(const GError *error, gpointer user) {
  Delivery *delivery = user;
  MnkCaptioner *captioner = delivery->captioner;
  if (captioner != NULL) {
    g_queue_remove(captioner->waiting, delivery);
    if (error != NULL)
      mnk_error("store", captioner->stream, "event=caption-not-kept reason=\"%s\"", error->message);
    captioner->events.caption(delivery->caption, error == NULL, captioner->user);
  }
  mnk_caption_free(delivery->caption);
  g_free(delivery);
}

static void deliver(MnkCaptioner *captioner, MnkCaption *caption) {
  gint64 pts_ms = 0;
  GBytes *picture = captioner->events.picture(caption, &pts_ms, captioner->user);
  if (picture != NULL)
    caption->picture_ms = pts_ms;
  if (captioner->store == NULL) {
    captioner->events.caption(caption, FALSE, captioner->user);
    return;
  }
  Delivery *delivery = g_new0(Delivery, 1);
  delivery->captioner = captioner;
  delivery->caption = mnk_caption_copy(caption);
  g_queue_push_tail(captioner->waiting, delivery);
  if (picture != NULL)
    mnk_store_put_picture(captioner->store, captioner->stream, pts_ms, picture);
  mnk_store_put_caption(captioner->store, caption, delivered, delivery);
}

static gboolean continues_last(const MnkCaptioner *captioner, const MnkCaption *caption) {
  const MnkCaption *last = captioner->last;
  if (last == NULL || mnk_caption_is_gap(caption) || mnk_caption_is_gap(last) ||
      caption->start_ms < last->start_ms || caption->start_ms - last->end_ms > MERGE_GAP_MS ||
      !g_str_equal(last->backend, caption->backend))
    return FALSE;
  if (g_str_equal(last->text, caption->text))
    return TRUE;
  return !g_str_equal(caption->backend, "template") &&
         mnk_text_jaccard(last->text, caption->text) >= MERGE_LIKENESS;
}

static void set_id(MnkCaption *caption, guint64 number) {
  g_free(caption->id);
  caption->id = g_strdup_printf("%" G_GUINT64_FORMAT, number);
}

static void keep_last(MnkCaptioner *captioner, MnkCaption *caption) {
  mnk_caption_free(captioner->last);
  captioner->last = caption;
}

void mnk_captioner_tell(MnkCaptioner *captioner, MnkCaption *caption, gboolean after_cut) {
  if (!after_cut && continues_last(captioner, caption)) {
    g_free(caption->id);
    caption->id = g_strdup(captioner->last->id);
    caption->start_ms = captioner->last->start_ms;
    caption->end_ms = MAX(caption->end_ms, captioner->last->end_ms);
    caption->picture_ms = captioner->last->picture_ms;
  } else {
    set_id(caption, captioner->next_number++);
    captioner->count++;
  }
  caption->seq = captioner->next_seq++;
  caption->final = TRUE;
  deliver(captioner, caption);
  keep_last(captioner, caption);
}

void mnk_captioner_lengthen(MnkCaptioner *captioner, gint64 end_ms) {
  if (captioner->last == NULL || captioner->last->end_ms >= end_ms)
    return;
  captioner->last->end_ms = end_ms;
  captioner->last->seq = captioner->next_seq++;
  deliver(captioner, captioner->last);
}

void mnk_captioner_show(MnkCaptioner *captioner, MnkCaption *caption, gboolean after_cut) {
  if (!after_cut && continues_last(captioner, caption)) {
    g_free(caption->id);
    caption->id = g_strdup(captioner->last->id);
    caption->start_ms = captioner->last->start_ms;
  } else {
    set_id(caption, captioner->next_number);
  }
  caption->final = FALSE;
  captioner->events.caption(caption, FALSE, captioner->user);
  mnk_caption_free(caption);
}

/* ---- captions from scenes ---- */

MnkCaption *mnk_captioner_caption_of(MnkCaptioner *captioner, const MnkScene *scene) {
  MnkCaption *caption = mnk_caption_new();
  g_autoptr(MnkScene) copy = mnk_scene_copy(scene);
  caption->stream = g_strdup(captioner->stream);
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

/* ---- life ---- */

void mnk_captioner_set_lang(MnkCaptioner *captioner, MnkLang lang) {
  captioner->lang = lang;
  mnk_template_set_lang(captioner->tmpl, lang);
}

MnkCaptioner *mnk_captioner_new(const char *stream, MnkLang lang, MnkStore *store,
                                const MnkCaptionerEvents *events, gpointer user) {
  MnkCaptioner *captioner = g_new0(MnkCaptioner, 1);
  captioner->stream = g_strdup(stream);
  captioner->lang = lang;
  captioner->tmpl = mnk_template_new(lang);
  captioner->store = store;
  captioner->events = *events;
  captioner->user = user;
  captioner->next_seq = 1;
  captioner->waiting = g_queue_new();
  return captioner;
}

void mnk_captioner_go_on(MnkCaptioner *captioner, guint64 next_number, guint64 next_seq) {
  captioner->next_number = next_number;
  captioner->next_seq = MAX(next_seq, 1);
}

static void forget_captioner(gpointer delivery, gpointer user) {
  ((Delivery *)delivery)->captioner = NULL;
}

void mnk_captioner_free(MnkCaptioner *captioner) {
  if (captioner == NULL)
    return;
  g_queue_foreach(captioner->waiting, forget_captioner, NULL);
  g_queue_free(captioner->waiting);
  mnk_template_free(captioner->tmpl);
  mnk_caption_free(captioner->last);
  g_free(captioner->stream);
  g_free(captioner);
}

guint64 mnk_captioner_count(const MnkCaptioner *captioner) {
  return captioner->count;
}

guint mnk_captioner_waiting(const MnkCaptioner *captioner) {
  return captioner->waiting->length;
}
