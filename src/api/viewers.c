/* Live pictures of one stream, as multipart/x-mixed-replace. A picture is wrapped once and shared;
 * a viewer that still has one on its way gets the next one instead. The stream makes pictures only
 * while somebody watches. */
#include "api/streams_priv.h"

typedef struct {
  MnkViewers *viewers;
  MnkWriter *writer;
  double fps;
  int size;
  gint64 shown_us;
} Viewer;

struct _MnkViewers {
  MnkEntry *entry;
  GQueue list; /* of Viewer */
  GBytes *latest;
  gint64 latest_ms;
};

static const char BOUNDARY[] = "manako-picture";

MnkViewers *mnk_viewers_new(MnkEntry *entry) {
  MnkViewers *viewers = g_new0(MnkViewers, 1);
  viewers->entry = entry;
  return viewers;
}

guint mnk_viewers_count(const MnkViewers *viewers) {
  return viewers->list.length;
}

/* What the most demanding viewer wants. A pushed stream shows what its client sends. */
static void ask_for_pictures(MnkViewers *viewers) {
  MnkEntry *entry = viewers->entry;
  double fps = 0;
  int size = 0;
  for (const GList *l = viewers->list.head; l != NULL; l = l->next) {
    const Viewer *viewer = l->data;
    fps = MAX(fps, viewer->fps);
    size = MAX(size, viewer->size);
  }
  if (entry->stream != NULL && entry->spec.kind != MNK_SPEC_PUSH)
    mnk_stream_set_preview(entry->stream, fps, size);
}

static void on_closed(gpointer user) {
  Viewer *viewer = user;
  MnkViewers *viewers = viewer->viewers;
  g_queue_remove(&viewers->list, viewer);
  g_free(viewer);
  ask_for_pictures(viewers);
}

void mnk_viewers_end(MnkViewers *viewers) {
  Viewer *viewer;
  while ((viewer = g_queue_pop_head(&viewers->list)) != NULL) {
    mnk_writer_end(viewer->writer);
    g_free(viewer);
  }
}

void mnk_viewers_free(MnkViewers *viewers) {
  if (viewers == NULL)
    return;
  mnk_viewers_end(viewers);
  g_clear_pointer(&viewers->latest, g_bytes_unref);
  g_free(viewers);
}

GBytes *mnk_viewers_latest(const MnkViewers *viewers) {
  return viewers->latest;
}

void mnk_viewers_keep(MnkViewers *viewers, gint64 pts_ms, GBytes *jpeg) {
  g_bytes_ref(jpeg);
  g_clear_pointer(&viewers->latest, g_bytes_unref);
  viewers->latest = jpeg;
  viewers->latest_ms = pts_ms;
}

static GBytes *wrap(gint64 pts_ms, GBytes *jpeg) {
  gsize length = 0;
  const guint8 *bytes = g_bytes_get_data(jpeg, &length);
  GString *part = g_string_sized_new(length + 160);
  g_string_append_printf(part,
                         "--%s\r\nContent-Type: image/jpeg\r\nX-Pts-Ms: %" G_GINT64_FORMAT
                         "\r\nContent-Length: %" G_GSIZE_FORMAT "\r\n\r\n",
                         BOUNDARY, pts_ms, length);
  g_string_append_len(part, (const char *)bytes, (gssize)length);
  g_string_append(part, "\r\n");
  return g_string_free_to_bytes(part);
}

static gboolean is_due(const Viewer *viewer, gint64 now_us) {
  /* a little early is on time: pictures come by another clock */
  gint64 step_us = (gint64)(0.9 * G_USEC_PER_SEC / viewer->fps);
  return mnk_writer_backlog(viewer->writer) == 0 && now_us - viewer->shown_us >= step_us;
}

void mnk_viewers_show(MnkViewers *viewers, gint64 pts_ms, GBytes *jpeg) {
  gint64 now_us = mnk_clock_mono_us(mnk_clock_system());
  g_autoptr(GBytes) part = NULL;
  mnk_viewers_keep(viewers, pts_ms, jpeg);
  for (GList *l = viewers->list.head, *next; l != NULL; l = next) {
    next = l->next;
    Viewer *viewer = l->data;
    if (!is_due(viewer, now_us))
      continue;
    if (part == NULL)
      part = wrap(pts_ms, jpeg);
    viewer->shown_us = now_us;
    mnk_writer_write(viewer->writer, part);
  }
}

void mnk_viewers_add(MnkViewers *viewers, MnkRequest *request, double fps, int size) {
  static const MnkWriterEvents EVENTS = {.closed = on_closed};
  gsize room = (gsize)mnk_settings_int(viewers->entry->api->settings, MNK_OPT_FRAME_MAX) + 1024;
  g_autofree char *type = g_strconcat("multipart/x-mixed-replace; boundary=", BOUNDARY, NULL);
  Viewer *viewer = g_new0(Viewer, 1);
  viewer->viewers = viewers;
  viewer->fps = fps;
  viewer->size = size;
  mnk_request_set_answer_header(request, "Cache-Control", "no-store");
  viewer->writer = mnk_request_answer_stream(request, 200, type, room, &EVENTS, viewer);
  g_queue_push_tail(&viewers->list, viewer);
  ask_for_pictures(viewers);
  if (viewers->latest == NULL)
    return;
  g_autoptr(GBytes) part = wrap(viewers->latest_ms, viewers->latest);
  mnk_writer_write(viewer->writer, part);
}
