/* Frames that are handed in. They wait as JPEGs; the pool's turns decode each to a grey picture of
 * reduced size for the gate, and those that pass go on to the looker as the JPEGs that they are.
 *
 * Neither cuts nor camera motion are looked for: pushed frames come a few a second, and cuts are
 * told from one picture to the next, by colours, which would have to be decoded in full. */
#include "stream/watch_priv.h"

#include <string.h>
#include <time.h>

enum { MAX_MARKS = 64, FIRST_STEP_MS = 1000, LONGEST_STEP_MS = 4000 };

/* A JPEG as it came, or a mark. */
typedef struct {
  GBytes *jpeg; /* NULL: a mark */
  gint64 pts_ms, arrival_us;
  gint64 number;
} Item;

struct _MnkPushing {
  GMutex lock; /* of what follows */
  GQueue items;
  guint jpegs, marks;
  gboolean closed;

  /* Of the pool's turn. */
  gboolean opened, has_last, has_kept;
  gint64 last_ms, kept_ms;
  double due_ms;                                /* when the rate allows the next frame */
  guint8 before[MNK_GATE_SIDE * MNK_GATE_SIDE]; /* the thumbnail of the last kept frame */
};

MnkPushing *mnk_pushing_new(void) {
  MnkPushing *pushing = g_new0(MnkPushing, 1);
  g_mutex_init(&pushing->lock);
  g_queue_init(&pushing->items);
  return pushing;
}

static void item_free(gpointer data) {
  Item *item = data;
  g_clear_pointer(&item->jpeg, g_bytes_unref);
  g_free(item);
}

void mnk_pushing_free(MnkPushing *pushing) {
  if (pushing == NULL)
    return;
  g_queue_clear_full(&pushing->items, item_free);
  g_mutex_clear(&pushing->lock);
  g_free(pushing);
}

guint mnk_pushing_waiting(MnkPushing *pushing) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pushing->lock);
  return pushing->jpegs;
}

/* ---- bytes, under the budget of all watches ---- */

typedef struct {
  MnkBudget *budget;
  gint kib;
  guint8 bytes[];
} Held;

static void held_free(gpointer data) {
  Held *held = data;
  g_atomic_int_add(&held->budget->kib, -held->kib);
  g_free(held);
}

static gint kib_of(gsize length) {
  return (gint)(length / 1024) + 1;
}

static gboolean fits(const MnkBudget *budget, gsize length) {
  return g_atomic_int_get(&budget->kib) + kib_of(length) <= MNK_BUDGET_KIB;
}

gboolean mnk_budget_is_tight(const MnkBudget *budget) {
  return g_atomic_int_get(&budget->kib) > MNK_BUDGET_KIB / 16;
}

/* NULL: there is no room. Main thread only, so that what fits goes on fitting. */
static GBytes *hold(MnkBudget *budget, const guint8 *bytes, gsize length) {
  Held *held = fits(budget, length) ? g_try_malloc(sizeof *held + length) : NULL;
  if (held == NULL)
    return NULL;
  held->budget = budget;
  held->kib = kib_of(length);
  g_atomic_int_add(&budget->kib, held->kib);
  memcpy(held->bytes, bytes, length);
  return g_bytes_new_with_free_func(held->bytes, length, held_free, held);
}

/* ---- the main thread ---- */

static void wake_pool(MnkWatch *watch) {
  mnk_turns_wake(watch->place->pool, &watch->pool_turn, FALSE);
}

/* Called with the lock held. */
static Item *take_oldest_jpeg(MnkPushing *pushing) {
  for (GList *link = pushing->items.head; link != NULL; link = link->next) {
    Item *item = link->data;
    if (item->jpeg == NULL)
      continue;
    g_queue_delete_link(&pushing->items, link);
    pushing->jpegs--;
    return item;
  }
  return NULL;
}

/* Lets the oldest go until there is room. How many went. */
static guint make_room(MnkWatch *watch, gsize length) {
  MnkPushing *pushing = watch->pushing;
  guint gone = 0, most = mnk_budget_is_tight(watch->place->budget) ? 1 : MNK_WATCH_JPEGS;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pushing->lock);
  while (pushing->jpegs > 0 && (pushing->jpegs >= most || !fits(watch->place->budget, length))) {
    item_free(take_oldest_jpeg(pushing));
    gone++;
  }
  return gone;
}

/* Called with the lock held, when there are too many: the one that comes says what the newest says.
 */
static void drop_newest_mark(MnkPushing *pushing) {
  GList *link = pushing->items.tail;
  while (((Item *)link->data)->jpeg != NULL)
    link = link->prev;
  item_free(link->data);
  g_queue_delete_link(&pushing->items, link);
  pushing->marks--;
}

/* FALSE: the watch is closed. */
static gboolean add(MnkPushing *pushing, Item *item) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pushing->lock);
  if (pushing->closed)
    return FALSE;
  if (item->jpeg == NULL && pushing->marks >= MAX_MARKS)
    drop_newest_mark(pushing);
  g_queue_push_tail(&pushing->items, item);
  pushing->jpegs += item->jpeg != NULL;
  pushing->marks += item->jpeg == NULL;
  return TRUE;
}

void mnk_watch_push(MnkWatch *watch, const guint8 *jpeg, gsize length, gint64 pts_ms,
                    gint64 arrival_us) {
  if (watch->pushing == NULL)
    return;
  guint dropped = make_room(watch, length);
  Item *item = g_new0(Item, 1);
  *item = (Item){hold(watch->place->budget, jpeg, length), pts_ms, arrival_us, 0};
  if (item->jpeg == NULL || !add(watch->pushing, item)) {
    item_free(item);
    dropped++;
  }
  g_mutex_lock(&watch->lock);
  watch->counters.received++;
  watch->counters.dropped += dropped;
  watch->counters.dropped_behind += dropped;
  g_mutex_unlock(&watch->lock);
  wake_pool(watch);
}

void mnk_pushing_mark(MnkWatch *watch, gint64 number) {
  Item *item = g_new0(Item, 1);
  item->number = number;
  if (!add(watch->pushing, item))
    item_free(item);
  wake_pool(watch);
}

void mnk_pushing_close(MnkWatch *watch) {
  g_mutex_lock(&watch->pushing->lock);
  watch->pushing->closed = TRUE;
  g_mutex_unlock(&watch->pushing->lock);
  wake_pool(watch);
}

/* ---- the pool's turn ---- */

static Item *next_item(MnkPushing *pushing, gboolean *closed) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pushing->lock);
  Item *item = g_queue_pop_head(&pushing->items);
  *closed = pushing->closed && item == NULL;
  if (item != NULL && item->jpeg != NULL)
    pushing->jpegs--;
  else if (item != NULL)
    pushing->marks--;
  return item;
}

/* Whether the rate allows it. The rate holds over time: a frame may come a quarter of a step early,
 * which then counts against the next. */
static gboolean is_due(MnkPushing *pushing, double fps, gint64 pts_ms) {
  double step_ms = fps > 0 ? 1000 / fps : 0, at_ms = (double)pts_ms;
  if (fps <= 0 || !pushing->has_kept) {
    pushing->due_ms = at_ms + step_ms;
    return TRUE;
  }
  if (at_ms < pushing->due_ms - step_ms / 4)
    return FALSE;
  pushing->due_ms += step_ms;
  if (pushing->due_ms <= at_ms)
    pushing->due_ms = at_ms + step_ms;
  return TRUE;
}

static gint64 step_since_kept(const MnkPushing *pushing, gint64 pts_ms) {
  return pushing->has_kept ? CLAMP(pts_ms - pushing->kept_ms, 1, LONGEST_STEP_MS) : FIRST_STEP_MS;
}

static void count(MnkWatch *watch, guint64 *counter) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  (*counter)++;
}

static void tell_opened(MnkWatch *watch, const guint8 *bytes, gsize length) {
  MnkJpegInfo jpeg;
  if (!mnk_jpeg_probe(bytes, length, &jpeg, NULL))
    return;
  gboolean turned = jpeg.exif_orientation > 4;
  MnkSourceInfo info = {
      .width = (int)(turned ? jpeg.height : jpeg.width),
      .height = (int)(turned ? jpeg.width : jpeg.height),
      .duration_ms = -1,
      .live = TRUE,
      .codec = "mjpeg",
      .container = MNK_SOURCE_PUSH,
  };
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_source_info_write(&info, text);
  mnk_watch_send(watch, MNK_MSG_OPENED, text);
}

static double thread_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static gboolean thumbnail(MnkWatch *watch, MnkJpegReader *reader, const Item *item, guint8 *thumb) {
  gsize length;
  const guint8 *bytes = g_bytes_get_data(item->jpeg, &length);
  g_autoptr(GError) error = NULL;
  double start_ms = thread_ms();
  if (!mnk_jpeg_reader_thumbnail(reader, bytes, length, watch->setup.max_pixels, thumb,
                                 MNK_GATE_SIDE, &error)) {
    mnk_watch_damaged(watch, error);
    return FALSE;
  }
  if (!watch->pushing->opened)
    tell_opened(watch, bytes, length);
  watch->pushing->opened = TRUE;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  watch->counters.decoded++;
  watch->counters.decode_ms += thread_ms() - start_ms;
  return TRUE;
}

static void take_over(MnkWatch *watch, const MnkWatchLive *live) {
  gint number = g_atomic_int_get(&watch->live_number);
  if (number != watch->live_seen)
    mnk_gate_set(watch->gate, live->gate_mse, live->gate_max_gap_ms);
  watch->live_seen = number;
}

static void offer(MnkWatch *watch, MnkJpegReader *reader, Item *item) {
  MnkPushing *pushing = watch->pushing;
  guint8 thumb[MNK_GATE_SIDE * MNK_GATE_SIDE];
  MnkWatchLive live = mnk_watch_live(watch);
  take_over(watch, &live);
  if (pushing->has_last && item->pts_ms <= pushing->last_ms) {
    count(watch, &watch->counters.late);
    return;
  }
  pushing->has_last = TRUE;
  pushing->last_ms = item->pts_ms;
  if (!is_due(pushing, live.fps, item->pts_ms)) {
    count(watch, &watch->counters.gated);
    return;
  }
  if (!thumbnail(watch, reader, item, thumb))
    return;
  MnkSample *sample = g_new0(MnkSample, 1);
  sample->pts_ms = item->pts_ms;
  sample->arrival_us = item->arrival_us;
  sample->step_ms = step_since_kept(pushing, item->pts_ms);
  if (watch->setup.cuts && pushing->has_kept && sample->step_ms <= MNK_SHOTS_APART_MS)
    sample->cut = mnk_shots_apart(pushing->before, thumb, &sample->cut_score);
  memcpy(pushing->before, thumb, sizeof thumb);
  pushing->has_kept = TRUE;
  pushing->kept_ms = item->pts_ms;
  watch->end_ms = item->pts_ms + sample->step_ms;
  if (mnk_watch_judge(watch, thumb, sample) == MNK_GATE_ACCEPTED)
    sample->jpeg = g_steal_pointer(&item->jpeg);
  mnk_watch_queue(watch, sample);
}

gboolean mnk_pushing_decode(MnkWatch *watch, MnkJpegReader *reader) {
  gboolean closed = FALSE;
  Item *item = next_item(watch->pushing, &closed);
  if (closed)
    mnk_watch_no_more(watch);
  if (item == NULL)
    return FALSE;
  if (item->jpeg != NULL) {
    offer(watch, reader, item);
  } else {
    MnkSample *mark = g_new0(MnkSample, 1);
    mark->kind = MNK_SAMPLE_MARK;
    mark->number = item->number;
    mnk_watch_queue(watch, mark);
  }
  item_free(item);
  return TRUE;
}
