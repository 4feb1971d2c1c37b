/* One event of a stream in its three forms. */
#include "api/hub_priv.h"

#include <string.h>

static const char *kind_name(MnkEventKind kind) {
  return kind == MNK_EVENT_CAPTION   ? "caption"
         : kind == MNK_EVENT_RUNNING ? "running"
         : kind == MNK_EVENT_SEEN    ? "seen"
         : kind == MNK_EVENT_STATE   ? "state"
         : kind == MNK_EVENT_WATCH   ? "watch"
                                     : "bye";
}

MnkEvent *mnk_event_new(MnkEventKind kind, GString *data) {
  MnkEvent *event = g_new0(MnkEvent, 1);
  event->refs = 1;
  event->kind = kind;
  event->data = data;
  event->durable = TRUE;
  return event;
}

/* One more member at the end of an object's text. */
static void add_member(GString *object, const char *member) {
  g_string_truncate(object, object->len - 1);
  g_string_append_printf(object, ",%s}", member);
}

MnkEvent *mnk_event_new_caption(const MnkCaption *caption, gboolean durable, const char *summary) {
  GString *data = g_string_new(NULL);
  mnk_caption_write_json(caption, data);
  if (caption->final && !durable)
    add_member(data, "\"durable\":false");
  MnkEvent *event = mnk_event_new(caption->final ? MNK_EVENT_CAPTION : MNK_EVENT_RUNNING, data);
  event->seq = caption->seq;
  event->start_ms = caption->start_ms;
  event->end_ms = caption->end_ms;
  event->caption_id = g_strdup(caption->id);
  event->summary = g_strdup(summary);
  event->durable = durable;
  return event;
}

MnkEvent *mnk_event_ref(MnkEvent *event) {
  event->refs++;
  return event;
}

void mnk_event_unref(MnkEvent *event) {
  if (event == NULL || --event->refs > 0)
    return;
  for (guint i = 0; i < G_N_ELEMENTS(event->forms); i++)
    g_clear_pointer(&event->forms[i], g_bytes_unref);
  g_string_free(event->data, TRUE);
  g_free(event->caption_id);
  g_free(event->summary);
  g_free(event);
}

/* Only captions have an id: it is what a reader comes back with. */
static gint64 event_id(const MnkEvent *event) {
  return event->kind == MNK_EVENT_CAPTION ? (gint64)event->seq : -1;
}

static void write_text(const MnkEvent *event, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "event", kind_name(event->kind));
  if (event_id(event) >= 0)
    mnk_json_add_int(&w, "id", event_id(event));
  mnk_json_add_raw(&w, "data", event->data->str, event->data->len);
  mnk_json_end_object(&w);
}

/* {"type":"watch", and the members of its data} */
static void write_push_watch(const MnkEvent *event, GString *out) {
  g_string_append_printf(out, "{\"type\":\"watch\",%s", event->data->str + 1);
}

static void write_push_caption(const MnkEvent *event, GString *out) {
  const char *summary = event->summary != NULL ? event->summary : "[]";
  g_autoptr(GString) data = g_string_new_len(event->data->str, (gssize)event->data->len);
  g_autofree char *member = g_strdup_printf("\"memory_summary\":%s", summary);
  add_member(data, member);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", "caption");
  mnk_json_add_raw(&w, "data", data->str, data->len);
  mnk_json_add_string(&w, "id", event->caption_id);
  mnk_json_add_int(&w, "seq", (gint64)event->seq);
  mnk_json_add_int(&w, "start_ms", event->start_ms);
  mnk_json_add_int(&w, "end_ms", event->end_ms);
  mnk_json_add_bool(&w, "final", event->kind == MNK_EVENT_CAPTION);
  mnk_json_end_object(&w);
}

GBytes *mnk_event_bytes(MnkEvent *event, MnkEventForm form) {
  if (event->forms[form] != NULL)
    return event->forms[form];
  GString *out = g_string_sized_new(event->data->len + 128);
  if (form == MNK_FORM_SSE)
    mnk_sse_write(out, event_id(event), kind_name(event->kind), event->data->str);
  else if (form == MNK_FORM_TEXT)
    write_text(event, out);
  else if (event->kind == MNK_EVENT_WATCH)
    write_push_watch(event, out);
  else
    write_push_caption(event, out);
  event->forms[form] = g_string_free_to_bytes(out);
  return event->forms[form];
}
