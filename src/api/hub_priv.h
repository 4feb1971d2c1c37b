/* The readers of one stream. An event is formatted once in each form that somebody wants; its bytes
 * are shared.
 *
 * A reader has a position: it has every caption up to a seq. It is either live, and gets events as
 * they come, or behind: then captions come from the store, page by page as fast as it reads, and
 * those that are committed meanwhile wait in the hub, bounded, for all readers together. It becomes
 * live at the moment when nothing is left for it in either place, so that between the two nothing
 * is missing and nothing comes twice. Watches have no seq: the newest of them are kept, and a
 * reader gets those that came since the newest caption that it has, before it becomes live; one
 * that came with that very caption may come twice. Control context only. */
#ifndef MNK_API_HUB_PRIV_H
#define MNK_API_HUB_PRIV_H

#include "api/api_priv.h"

/* ---- event.c ---- */

typedef enum {
  MNK_EVENT_CAPTION = 1 << 0,
  MNK_EVENT_RUNNING = 1 << 1,
  MNK_EVENT_SEEN = 1 << 2,
  MNK_EVENT_STATE = 1 << 3,
  MNK_EVENT_BYE = 1 << 4,
  MNK_EVENT_WATCH = 1 << 5, /* a standing question has come true */
  MNK_EVENT_ALL = (1 << 6) - 1,
} MnkEventKind;

typedef struct {
  gint refs;
  MnkEventKind kind;
  GString *data; /* JSON */
  /* of a caption */
  guint64 seq; /* of a watch: the newest caption's when it came */
  gint64 start_ms, end_ms;
  char *caption_id;
  char *summary; /* JSON array: memory_summary */
  gboolean durable;
  GBytes *forms[3];
} MnkEvent;

typedef enum {
  MNK_FORM_SSE,
  MNK_FORM_TEXT, /* of /ws/events */
  MNK_FORM_PUSH, /* of /ws/stream; captions and watches only */
} MnkEventForm;

/* Takes data. */
MnkEvent *mnk_event_new(MnkEventKind kind, GString *data);
/* summary: memory_summary as JSON, or NULL. */
MnkEvent *mnk_event_new_caption(const MnkCaption *caption, gboolean durable, const char *summary);
MnkEvent *mnk_event_ref(MnkEvent *event);
void mnk_event_unref(MnkEvent *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkEvent, mnk_event_unref)
/* Borrowed; made when first asked for. */
GBytes *mnk_event_bytes(MnkEvent *event, MnkEventForm form);

/* ---- hub.c ---- */

typedef struct _MnkHub MnkHub;
typedef struct _MnkReader MnkReader;

MnkHub *mnk_hub_new(MnkStore *store, const char *stream);
/* What the store has is known: readers are served from now on. last_seq: the highest seq that the
 * store has of this stream, 0: none. */
void mnk_hub_open(MnkHub *hub, guint64 last_seq);
MnkHub *mnk_hub_ref(MnkHub *hub);
void mnk_hub_unref(MnkHub *hub);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkHub, mnk_hub_unref)
guint64 mnk_hub_last_seq(const MnkHub *hub);
/* Readers that want any of these kinds. */
guint mnk_hub_readers(const MnkHub *hub, guint kinds);
/* A final caption, in the order of seq, after its commit (or its failure: durable FALSE). */
void mnk_hub_caption(MnkHub *hub, const MnkCaption *caption, gboolean durable, const char *summary);
/* Another event; takes data. One of MNK_EVENT_WATCH is kept for readers that come later. */
void mnk_hub_event(MnkHub *hub, MnkEventKind kind, GString *data);
/* Nothing more comes: readers get what is left, then bye, then their end. */
void mnk_hub_end(MnkHub *hub, const char *reason);

typedef struct {
  /* FALSE: no room now. A live reader is cut then; one that is behind waits until
   * mnk_reader_continue. */
  gboolean (*send)(MnkEvent *event, gpointer user);
  /* It does not read, or cannot be served; the reader is gone. */
  void (*cut)(gpointer user);
  /* It has everything, bye included; the reader is gone. */
  void (*end)(gpointer user);
} MnkReaderEvents;

/* Where a reader begins when it does not say. */
enum { MNK_READER_NEWEST = 50 };

/* since: it has everything up to this seq; < 0: the newest MNK_READER_NEWEST captions come. Calls
 * of events come from within too. */
MnkReader *mnk_reader_new(MnkHub *hub, guint kinds, gint64 since, const MnkReaderEvents *events,
                          gpointer user);
/* Begins; the reader may be gone when this returns. */
void mnk_reader_start(MnkReader *reader);
/* There is room again. The reader may be gone when this returns. */
void mnk_reader_continue(MnkReader *reader);
/* No more calls come. */
void mnk_reader_free(MnkReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkReader, mnk_reader_free)
gboolean mnk_reader_is_live(const MnkReader *reader);

#endif
