/* Events of one stream to its readers, and the seam between what is replayed and what is live. */
#include "api/hub_priv.h"

enum {
  PAGE = 64,      /* captions of one read */
  KEPT_MAX = 256, /* captions that wait for readers that are behind */
  LOST_MAX = 32,  /* of these, ones that the store could not keep */
  WATCH_MAX = 32, /* watches that are kept */
  RETRY_MS = 100, /* when the store has too many readers */
};

struct _MnkHub {
  gint refs;
  MnkStore *store;
  char *stream;
  GQueue readers;  /* of MnkReader */
  GQueue kept;     /* of MnkEvent, by rising seq: all captions above floor, and below it those that
                      the store could not keep */
  GQueue watches;  /* of MnkEvent: the newest */
  guint64 watched; /* how many there were */
  guint64 floor;   /* captions up to here are in the store, if anywhere */
  guint64 last_seq;
  gboolean open;
  MnkEvent *bye;
};

struct _MnkReader {
  gint refs; /* the owner's and that of a read under way */
  MnkHub *hub;
  guint kinds;
  MnkReaderEvents events;
  gpointer user;
  GList link;

  gint64 since;    /* where it wants to begin */
  guint64 first;   /* where it began */
  guint64 seq;     /* it has everything up to here */
  guint64 watched; /* of hub->watches it has so many */
  guint64 covered; /* the store has nothing more for it up to here but what is in page */
  GPtrArray *page; /* of MnkCaption, from the store */
  guint page_next;
  guint retry_timer;
  gboolean placed, live, reading, blocked, gone;
};

static void advance(MnkReader *reader);

/* ---- what is kept ---- */

static gboolean anyone_behind(const MnkHub *hub) {
  for (const GList *l = hub->readers.head; l != NULL; l = l->next)
    if (!((const MnkReader *)l->data)->live)
      return TRUE;
  return FALSE;
}

static void drop_kept(MnkHub *hub, GList *link) {
  MnkEvent *event = link->data;
  hub->floor = MAX(hub->floor, event->seq);
  g_queue_delete_link(&hub->kept, link);
  mnk_event_unref(event);
}

/* Captions that the store has are kept only while somebody is behind. */
static void prune(MnkHub *hub) {
  gboolean behind = anyone_behind(hub);
  guint lost = 0;
  for (GList *l = hub->kept.head, *next; l != NULL; l = next) {
    next = l->next;
    const MnkEvent *event = l->data;
    if (!behind && event->durable)
      drop_kept(hub, l);
    else if (!event->durable)
      lost++;
  }
  for (GList *l = hub->kept.head, *next; l != NULL && lost > LOST_MAX; l = next) {
    next = l->next;
    if (((const MnkEvent *)l->data)->durable)
      continue;
    drop_kept(hub, l);
    lost--;
  }
  while (hub->kept.head != NULL && hub->kept.length > KEPT_MAX)
    drop_kept(hub, hub->kept.head);
}

/* A caption that is told again takes the place of what was told before, as in the store. */
static void forget(MnkHub *hub, const char *caption_id) {
  for (GList *l = hub->kept.head, *next; l != NULL; l = next) {
    next = l->next;
    if (!g_str_equal(((const MnkEvent *)l->data)->caption_id, caption_id))
      continue;
    mnk_event_unref(l->data);
    g_queue_delete_link(&hub->kept, l);
  }
}

static MnkEvent *kept_after(const MnkHub *hub, guint64 seq) {
  for (GList *l = hub->kept.head; l != NULL; l = l->next)
    if (((const MnkEvent *)l->data)->seq > seq)
      return l->data;
  return NULL;
}

/* ---- readers ---- */

static void reader_unref(MnkReader *reader) {
  if (--reader->refs > 0)
    return;
  g_clear_pointer(&reader->page, g_ptr_array_unref);
  mnk_hub_unref(reader->hub);
  g_free(reader);
}

void mnk_reader_free(MnkReader *reader) {
  if (reader == NULL || reader->gone)
    return;
  reader->gone = TRUE;
  g_clear_handle_id(&reader->retry_timer, g_source_remove);
  g_queue_unlink(&reader->hub->readers, &reader->link);
  if (!reader->live)
    prune(reader->hub);
  reader_unref(reader);
}

static void cut(MnkReader *reader) {
  void (*func)(gpointer) = reader->events.cut;
  gpointer user = reader->user;
  mnk_reader_free(reader);
  func(user);
}

static void finish(MnkReader *reader) {
  void (*func)(gpointer) = reader->events.end;
  gpointer user = reader->user;
  mnk_reader_free(reader);
  func(user);
}

/* FALSE: the reader is gone. */
static gboolean send_live(MnkReader *reader, MnkEvent *event) {
  if ((reader->kinds & event->kind) == 0 || reader->events.send(event, reader->user))
    return TRUE;
  cut(reader);
  return FALSE;
}

gboolean mnk_reader_is_live(const MnkReader *reader) {
  return reader->live;
}

/* ---- the way from behind ---- */

typedef struct {
  MnkReader *reader;
  char *stream;
  guint64 seq, floor;
} Read;

static gpointer read_page(MnkStore *store, gpointer data, GError **error) {
  const Read *read = data;
  return mnk_store_captions_since(store, read->stream, read->seq, PAGE, error);
}

static gboolean retry_read(gpointer user) {
  MnkReader *reader = user;
  reader->retry_timer = 0;
  advance(reader);
  return G_SOURCE_REMOVE;
}

static void take_page(MnkReader *reader, const Read *read, GPtrArray *page, const GError *error) {
  if (page == NULL && g_error_matches(error, MNK_ERROR, MNK_ERROR_LIMIT)) {
    reader->retry_timer = g_timeout_add(RETRY_MS, retry_read, reader);
    return;
  }
  if (page == NULL && !g_error_matches(error, MNK_ERROR, MNK_ERROR_NOT_FOUND)) {
    mnk_warning("api", reader->hub->stream, "event=replay-failed reason=\"%s\"",
                error != NULL ? error->message : "");
    cut(reader);
    return;
  }
  g_clear_pointer(&reader->page, g_ptr_array_unref);
  reader->page = page != NULL ? g_ptr_array_ref(page) : NULL;
  reader->page_next = 0;
  if (page == NULL || page->len < PAGE)
    reader->covered = MAX(reader->covered, read->floor);
  advance(reader);
}

static void page_read(gpointer result, const GError *error, gpointer data) {
  Read *read = data;
  MnkReader *reader = read->reader;
  reader->reading = FALSE;
  if (!reader->gone)
    take_page(reader, read, result, error);
  g_clear_pointer((GPtrArray **)&result, g_ptr_array_unref);
  reader_unref(reader);
  g_free(read->stream);
  g_free(read);
}

static void start_read(MnkReader *reader) {
  Read *read = g_new0(Read, 1);
  read->reader = reader;
  read->stream = g_strdup(reader->hub->stream);
  read->seq = reader->seq;
  read->floor = reader->hub->floor;
  reader->refs++;
  reader->reading = TRUE;
  mnk_store_run(reader->hub->store, read_page, page_read, read);
}

static const MnkCaption *page_head(const MnkReader *reader) {
  if (reader->page == NULL || reader->page_next >= reader->page->len)
    return NULL;
  return g_ptr_array_index(reader->page, reader->page_next);
}

/* The next caption for a reader that is behind; NULL: nothing here, or not until the store was
 * read. Owned by the caller. */
static MnkEvent *next_event(MnkReader *reader) {
  const MnkCaption *row = NULL;
  while ((row = page_head(reader)) != NULL && row->seq <= reader->seq)
    reader->page_next++;
  MnkEvent *kept = kept_after(reader->hub, reader->seq);
  if (row != NULL && (kept == NULL || row->seq <= kept->seq))
    return mnk_event_new_caption(row, TRUE, NULL);
  if (row == NULL && reader->seq < reader->hub->floor &&
      (kept == NULL || kept->seq > reader->covered)) {
    reader->seq = MAX(reader->seq, reader->covered);
    if (reader->seq < reader->hub->floor) {
      start_read(reader);
      return NULL;
    }
    kept = kept_after(reader->hub, reader->seq);
  }
  return kept != NULL ? mnk_event_ref(kept) : NULL;
}

/* A watch that a reader still lacks which has every caption; NULL: none. Owned by the caller. */
static MnkEvent *next_watch(MnkReader *reader) {
  const MnkHub *hub = reader->hub;
  guint64 number = hub->watched - hub->watches.length;
  for (GList *l = hub->watches.head; l != NULL; l = l->next, number++) {
    MnkEvent *event = l->data;
    if ((reader->kinds & MNK_EVENT_WATCH) == 0 || number < reader->watched ||
        event->seq < reader->first)
      continue;
    reader->watched = number;
    return mnk_event_ref(event);
  }
  return NULL;
}

static void become_live(MnkReader *reader) {
  reader->live = TRUE;
  g_clear_pointer(&reader->page, g_ptr_array_unref);
  prune(reader->hub);
}

/* Where it begins. A position beyond the end is one of another timeline. */
static void place(MnkReader *reader) {
  guint64 last = reader->hub->last_seq;
  guint64 newest = last > MNK_READER_NEWEST ? last - MNK_READER_NEWEST : 0;
  gboolean unknown = reader->since < 0 || (guint64)reader->since > last;
  reader->seq = reader->first = unknown ? newest : (guint64)reader->since;
  reader->placed = TRUE;
}

static void advance(MnkReader *reader) {
  if (!reader->hub->open)
    return;
  if (!reader->placed)
    place(reader);
  while (!reader->live && !reader->reading && !reader->blocked && reader->retry_timer == 0) {
    g_autoptr(MnkEvent) event = next_event(reader);
    if (event == NULL && reader->reading)
      return;
    if (event == NULL)
      event = next_watch(reader);
    if (event == NULL) {
      become_live(reader);
      break;
    }
    if (!reader->events.send(event, reader->user)) {
      reader->blocked = TRUE;
      return;
    }
    if (event->kind == MNK_EVENT_WATCH)
      reader->watched++;
    else
      reader->seq = event->seq;
  }
  MnkEvent *bye = reader->hub->bye;
  if (!reader->live || bye == NULL)
    return;
  if ((reader->kinds & bye->kind) != 0)
    reader->events.send(bye, reader->user);
  finish(reader);
}

MnkReader *mnk_reader_new(MnkHub *hub, guint kinds, gint64 since, const MnkReaderEvents *events,
                          gpointer user) {
  MnkReader *reader = g_new0(MnkReader, 1);
  reader->refs = 1;
  reader->hub = mnk_hub_ref(hub);
  reader->kinds = kinds;
  reader->events = *events;
  reader->user = user;
  reader->link.data = reader;
  reader->since = since;
  g_queue_push_tail_link(&hub->readers, &reader->link);
  return reader;
}

void mnk_reader_start(MnkReader *reader) {
  advance(reader);
}

void mnk_reader_continue(MnkReader *reader) {
  reader->blocked = FALSE;
  advance(reader);
}

/* ---- the hub ---- */

MnkHub *mnk_hub_new(MnkStore *store, const char *stream) {
  MnkHub *hub = g_new0(MnkHub, 1);
  hub->refs = 1;
  hub->store = store;
  hub->stream = g_strdup(stream);
  return hub;
}

void mnk_hub_open(MnkHub *hub, guint64 last_seq) {
  g_autoptr(MnkHub) held = mnk_hub_ref(hub);
  hub->open = TRUE;
  hub->floor = hub->last_seq = last_seq;
  for (GList *l = hub->readers.head, *next; l != NULL; l = next) {
    next = l->next;
    advance(l->data);
  }
}

MnkHub *mnk_hub_ref(MnkHub *hub) {
  hub->refs++;
  return hub;
}

void mnk_hub_unref(MnkHub *hub) {
  if (hub == NULL || --hub->refs > 0)
    return;
  g_queue_clear_full(&hub->kept, (GDestroyNotify)mnk_event_unref);
  g_queue_clear_full(&hub->watches, (GDestroyNotify)mnk_event_unref);
  g_clear_pointer(&hub->bye, mnk_event_unref);
  g_free(hub->stream);
  g_free(hub);
}

guint64 mnk_hub_last_seq(const MnkHub *hub) {
  return hub->last_seq;
}

guint mnk_hub_readers(const MnkHub *hub, guint kinds) {
  guint n = 0;
  for (const GList *l = hub->readers.head; l != NULL; l = l->next)
    n += (((const MnkReader *)l->data)->kinds & kinds) != 0;
  return n;
}

/* To all that are live. A reader may go while it is served, never another one. What is in the store
 * before it is told may have been read there. */
static void publish(MnkHub *hub, MnkEvent *event) {
  gboolean caption = event->kind == MNK_EVENT_CAPTION;
  for (GList *l = hub->readers.head, *next; l != NULL; l = next) {
    next = l->next;
    MnkReader *reader = l->data;
    if (!reader->live || (caption && event->seq <= reader->seq))
      continue;
    if (send_live(reader, event) && caption)
      reader->seq = event->seq;
  }
}

void mnk_hub_caption(MnkHub *hub, const MnkCaption *caption, gboolean durable,
                     const char *summary) {
  hub->last_seq = MAX(hub->last_seq, caption->seq);
  forget(hub, caption->id);
  if (durable && g_queue_is_empty(&hub->readers)) {
    hub->floor = MAX(hub->floor, caption->seq);
    return;
  }
  g_autoptr(MnkHub) held = mnk_hub_ref(hub);
  g_autoptr(MnkEvent) event = mnk_event_new_caption(caption, durable, summary);
  g_queue_push_tail(&hub->kept, mnk_event_ref(event));
  publish(hub, event);
  prune(hub);
}

static void keep_watch(MnkHub *hub, MnkEvent *event) {
  event->seq = hub->last_seq;
  g_queue_push_tail(&hub->watches, mnk_event_ref(event));
  hub->watched++;
  if (hub->watches.length > WATCH_MAX)
    mnk_event_unref(g_queue_pop_head(&hub->watches));
}

void mnk_hub_event(MnkHub *hub, MnkEventKind kind, GString *data) {
  g_autoptr(MnkHub) held = mnk_hub_ref(hub);
  g_autoptr(MnkEvent) event = mnk_event_new(kind, data);
  if (kind == MNK_EVENT_WATCH)
    keep_watch(hub, event);
  publish(hub, event);
}

void mnk_hub_end(MnkHub *hub, const char *reason) {
  if (hub->bye != NULL)
    return;
  g_autoptr(MnkHub) held = mnk_hub_ref(hub);
  GString *data = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, data);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "reason", reason);
  mnk_json_end_object(&w);
  hub->bye = mnk_event_new(MNK_EVENT_BYE, data);
  /* one that is behind gets it when it has caught up */
  for (GList *l = hub->readers.head, *next; l != NULL; l = next) {
    next = l->next;
    if (((const MnkReader *)l->data)->live)
      advance(l->data);
  }
}
