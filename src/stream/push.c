/* Frames that are handed in: their clock, their way to the worker, and the batches that they come
 * in. A batch ends with a mark that the worker answers once everything before it has been told. */
#include "stream/server_priv.h"

#include <math.h>
#include <string.h>

enum { MAX_ITEMS = 1024, MAX_MARKS = 64 };

static const double LATEST = 1e11; /* seconds: the year 5138 */

/* A frame of the batch that is being built, for its memory summary. */
typedef struct {
  gint64 pts_ms, index;
  float importance;
  guint n;
  float vector[MNK_OBS_MAX_SUMMARY];
} Item;

struct _MnkPusher {
  MnkStream *stream;
  double time_zero, last_timestamp;
  gint64 start_ms;    /* of the stream's clock at time_zero */
  gint64 interval_ms; /* between the last two frames; 0: not known yet */
  gboolean has_zero, has_last;
  guint buffered; /* since the last mark */
  guint64 received, refused, room;
  guint64 marks_sent, marks_met;
  GQueue *sent;     /* of Item *: frames that the worker has not told about; bounded */
  GPtrArray *items; /* of Item: told about, of the running batch, looked at */
};

MnkPusher *mnk_pusher_new(MnkStream *stream, gint64 next_ms, double time_zero) {
  MnkPusher *pusher = g_new0(MnkPusher, 1);
  pusher->stream = stream;
  pusher->has_zero = time_zero > 0;
  pusher->time_zero = time_zero;
  pusher->start_ms = pusher->has_zero ? 0 : next_ms;
  pusher->sent = g_queue_new();
  pusher->items = g_ptr_array_new_with_free_func(g_free);
  return pusher;
}

void mnk_pusher_free(MnkPusher *pusher) {
  if (pusher == NULL)
    return;
  g_queue_free_full(pusher->sent, g_free);
  g_ptr_array_unref(pusher->items);
  g_free(pusher);
}

double mnk_pusher_time_zero(const MnkPusher *pusher) {
  /* what lies before the first frame belongs to the clock, too */
  return pusher->has_zero ? pusher->time_zero - (double)pusher->start_ms / 1000 : 0;
}

gint64 mnk_pusher_interval_ms(const MnkPusher *pusher) {
  return pusher->interval_ms;
}

/* ---- the memory summary ---- */

static gint by_importance(gconstpointer a, gconstpointer b) {
  const Item *x = *(Item *const *)a, *y = *(Item *const *)b;
  if (x->importance != y->importance)
    return x->importance < y->importance ? 1 : -1;
  return (x->pts_ms > y->pts_ms) - (x->pts_ms < y->pts_ms);
}

static void write_item(MnkJsonWriter *w, const Item *item) {
  mnk_json_begin_object(w, NULL);
  mnk_json_add_int(w, "frame_index", item->index);
  mnk_json_add_double(w, "importance", (double)item->importance, 4);
  mnk_json_begin_array(w, "vector");
  for (guint i = 0; i < item->n; i++)
    mnk_json_add_double(w, NULL, (double)item->vector[i], 4);
  mnk_json_end_array(w);
  mnk_json_end_object(w);
}

static char *summary_of(MnkPusher *pusher) {
  guint top = (guint)mnk_settings_int(pusher->stream->settings, MNK_OPT_SEGMENT_TOP_K);
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  g_ptr_array_sort(pusher->items, by_importance);
  mnk_json_begin_array(&w, NULL);
  for (guint i = 0; i < MIN(top, pusher->items->len); i++)
    write_item(&w, pusher->items->pdata[i]);
  mnk_json_end_array(&w);
  return g_strdup(text->str);
}

static gint find_sent(MnkPusher *pusher, gint64 pts_ms) {
  gint place = 0;
  for (GList *link = pusher->sent->head; link != NULL; link = link->next, place++)
    if (((Item *)link->data)->pts_ms == pts_ms)
      return place;
  return -1;
}

void mnk_pusher_observe(MnkPusher *pusher, const MnkObservation *obs) {
  if (obs->type == MNK_OBS_CUT || find_sent(pusher, obs->pts_ms) < 0)
    return;
  Item *item;
  /* those before it were dropped */
  while ((item = g_queue_pop_head(pusher->sent))->pts_ms != obs->pts_ms)
    g_free(item);
  if (obs->type != MNK_OBS_FRAME || pusher->items->len >= MAX_ITEMS) {
    g_free(item);
    return;
  }
  item->importance = MIN(0.2f + obs->change * 12 + (float)obs->n_objects / 16, 1.0f);
  item->n = obs->n_summary;
  memcpy(item->vector, obs->summary, obs->n_summary * sizeof obs->summary[0]);
  g_ptr_array_add(pusher->items, item);
}

/* ---- batches ---- */

static void end_batch(MnkPusher *pusher) {
  MnkStream *stream = pusher->stream;
  if (stream->events.batch != NULL) {
    g_autofree char *summary = summary_of(pusher);
    stream->events.batch(summary, stream->user);
  }
  g_ptr_array_set_size(pusher->items, 0);
  mnk_stream_decode(stream);
}

static void send_mark(MnkPusher *pusher) {
  char text[48];
  pusher->buffered = 0;
  pusher->marks_sent++;
  int length =
      g_snprintf(text, sizeof text, "{\"number\":%" G_GUINT64_FORMAT "}", pusher->marks_sent);
  mnk_link_send(pusher->stream->link, MNK_MSG_MARK, text, (gsize)length, -1);
}

void mnk_pusher_marked(MnkPusher *pusher, guint64 number) {
  if (number <= pusher->marks_met || number > pusher->marks_sent)
    return;
  pusher->marks_met = number;
  end_batch(pusher);
}

void mnk_pusher_died(MnkPusher *pusher) {
  g_queue_clear_full(pusher->sent, g_free);
  if (pusher->marks_met < pusher->marks_sent) {
    pusher->marks_met = pusher->marks_sent;
    end_batch(pusher);
  }
}

void mnk_stream_flush(MnkStream *stream) {
  if (stream->pusher == NULL || stream->source_over)
    mnk_stream_decode(stream);
  else if (stream->pusher->marks_sent - stream->pusher->marks_met < MAX_MARKS)
    send_mark(stream->pusher);
}

/* ---- frames ---- */

static gboolean check_time(const MnkPusher *pusher, double timestamp, GError **error) {
  if (!(timestamp >= 0 && timestamp <= LATEST)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                        "timestamp must be seconds from 0 to 1e11");
    return FALSE;
  }
  if (!pusher->has_last || timestamp > pusher->last_timestamp)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
              "timestamp %.3f is not later than the one before, %.3f", timestamp,
              pusher->last_timestamp);
  return FALSE;
}

static gboolean check_picture(const MnkStream *stream, const MnkPushFrame *frame, GError **error) {
  gint64 most =
      MIN(mnk_settings_int(stream->settings, MNK_OPT_FRAME_MAX), (gint64)MNK_INBOX_SLOT_SIZE);
  if (frame->length > (guint64)most) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "the JPEG has %" G_GSIZE_FORMAT " bytes; frame_max is %" G_GINT64_FORMAT,
                frame->length, most);
    return FALSE;
  }
  MnkJpegInfo info;
  if (!mnk_jpeg_probe(frame->jpeg, frame->length, &info, error))
    return FALSE;
  guint64 pixels = (guint64)info.width * info.height;
  if (pixels <= stream->setup.max_pixels)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
              "the JPEG has %u x %u pixels; max_pixels is %" G_GUINT64_FORMAT, info.width,
              info.height, stream->setup.max_pixels);
  return FALSE;
}

static gint64 clock_of(MnkPusher *pusher, double timestamp) {
  if (!pusher->has_zero) {
    pusher->has_zero = TRUE;
    pusher->time_zero = timestamp;
  }
  gint64 pts_ms = pusher->start_ms + llround((timestamp - pusher->time_zero) * 1000);
  return MAX(pts_ms, 0);
}

static void note_sent(MnkPusher *pusher, gint64 pts_ms, gint64 index) {
  if (pusher->sent->length >= MAX_ITEMS)
    g_free(g_queue_pop_head(pusher->sent));
  Item *item = g_new0(Item, 1);
  item->pts_ms = pts_ms;
  item->index = index >= 0 ? index : (gint64)pusher->received - 1;
  g_queue_push_tail(pusher->sent, item);
}

gboolean mnk_stream_push(MnkStream *stream, const MnkPushFrame *frame, guint *buffered,
                         GError **error) {
  MnkPusher *pusher = stream->pusher;
  if (pusher == NULL || stream->source_over || stream->stopping) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "the stream %s takes no frames", stream->id);
    return FALSE;
  }
  if (!check_time(pusher, frame->timestamp, error) || !check_picture(stream, frame, error)) {
    pusher->refused++;
    return FALSE;
  }
  if (pusher->has_last)
    pusher->interval_ms = llround((frame->timestamp - pusher->last_timestamp) * 1000);
  pusher->last_timestamp = frame->timestamp;
  pusher->has_last = TRUE;
  pusher->received++;
  gint64 pts_ms = clock_of(pusher, frame->timestamp);
  if (mnk_link_push(stream->link, frame->jpeg, frame->length, pts_ms, frame->arrival_us))
    note_sent(pusher, pts_ms, frame->index);
  else
    pusher->room++;
  *buffered = ++pusher->buffered;
  if (pusher->buffered >= (guint)mnk_settings_int(stream->settings, MNK_OPT_FRAME_BATCH_SIZE))
    send_mark(pusher);
  return TRUE;
}

void mnk_pusher_count(const MnkPusher *pusher, MnkStreamCounters *out) {
  out->received = pusher->received;
  out->refused = pusher->refused;
  out->dropped_room = pusher->room;
  out->dropped += pusher->room;
  out->queued = out->received - out->encoded - out->gated - out->late - out->dropped;
}
