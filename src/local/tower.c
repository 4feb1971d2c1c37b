/* Tower: which frames are looked at, and when.
 *
 * Each stream has a bounded queue; when it is full the least telling frame is left out and counted.
 * A stream is due when it has a whole clip, when its oldest frame has waited long enough, or when
 * somebody waits for it; of those that are due the one that was served longest ago comes first.
 * After each clip the tower rests as long as the budget asks for. */
#include "local/client_priv.h"

enum {
  DEATHS_MAX = 2,        /* workers that may die with a frame in hand; then it is left out */
  CLIPS_MAX = 2,         /* on their way, so that the tower need not wait for us */
  SINCE_MAX = 64,        /* frames of a stream that are kept until a snapshot holds them */
  CLIP_BYTES = 8 << 20,  /* of a clip, unless one frame is larger */
  ALL_BYTES = 256 << 20, /* of all frames that are held */
};

typedef struct {
  guint number;
  MnkLocalStream *stream; /* NULL: gone */
  GPtrArray *frames;      /* of MnkWaiting, owned */
} Clip;

struct _MnkTower {
  MnkLocal *local;
  GQueue clips; /* of Clip: on their way, oldest first */
  guint next_number;
  gint64 rest_until_us, busy_since_us;
  gsize bytes; /* of all frames that are held */
  GSource *timer;
};

static void waiting_free(gpointer data) {
  MnkWaiting *waiting = data;
  *waiting->held -= g_bytes_get_size(waiting->jpeg);
  g_bytes_unref(waiting->jpeg);
  g_free(waiting);
}

static void clip_free(gpointer data) {
  Clip *clip = data;
  g_ptr_array_unref(clip->frames);
  g_free(clip);
}

static guint option(const MnkLocalStream *stream, MnkOptionId id) {
  return (guint)mnk_settings_int(stream->settings, id);
}

/* ---- A stream's queue ---- */

void mnk_tower_stream_init(MnkTowerStream *part) {
  *part = (MnkTowerStream){.recent = g_array_new(FALSE, FALSE, sizeof(gint64))};
  g_queue_init(&part->waiting);
  g_queue_init(&part->again);
  g_queue_init(&part->since);
}

void mnk_tower_stream_clear(MnkTowerStream *part) {
  part->left_out += part->waiting.length;
  g_queue_clear_full(&part->waiting, waiting_free);
  g_queue_clear_full(&part->again, waiting_free);
  g_queue_clear_full(&part->since, waiting_free);
  g_array_set_size(part->recent, 0);
}

guint mnk_tower_waiting(const MnkTowerStream *part) {
  return part->waiting.length + part->in_hand;
}

GList *mnk_tower_least(const GQueue *waiting) {
  GList *least = NULL;
  float lowest = G_MAXFLOAT;
  for (GList *link = waiting->head; link != NULL; link = link->next) {
    const MnkWaiting *frame = link->data;
    float worth = frame->importance + (frame->cut ? 1.0F : 0.0F);
    if (worth < lowest) {
      least = link;
      lowest = worth;
    }
  }
  return least;
}

static void leave_out(MnkTowerStream *part, GList *link) {
  waiting_free(link->data);
  g_queue_delete_link(&part->waiting, link);
  part->left_out++;
}

static void trim(MnkLocalStream *stream) {
  MnkTowerStream *part = &stream->tower;
  guint max = stream->local->state == MNK_LOCAL_FAILED ? 0 : option(stream, MNK_OPT_VISION_QUEUE);
  while (part->waiting.length > max)
    leave_out(part, mnk_tower_least(&part->waiting));
}

static gint compare_times(gconstpointer a, gconstpointer b, gpointer user) {
  const MnkWaiting *left = a, *right = b;
  return (left->pts_ms > right->pts_ms) - (left->pts_ms < right->pts_ms);
}

static MnkWaiting *waiting_new(MnkTower *tower, GBytes *jpeg, gint64 pts_ms, float importance,
                               gboolean cut) {
  MnkWaiting *frame = g_new0(MnkWaiting, 1);
  frame->pts_ms = pts_ms;
  frame->jpeg = g_bytes_ref(jpeg);
  frame->importance = importance >= 0 ? MIN(importance, 1.0F) : 0; /* also when it is no number */
  frame->cut = cut;
  frame->given_us = g_get_monotonic_time();
  frame->held = &tower->bytes;
  tower->bytes += g_bytes_get_size(jpeg);
  return frame;
}

static guint held(const MnkTowerStream *part) {
  return part->waiting.length + part->since.length + part->again.length;
}

/* Gives up a frame: first one that only a restart would need. */
static void shed(MnkTowerStream *part) {
  if (part->since.length > 0)
    waiting_free(g_queue_pop_head(&part->since));
  else if (part->waiting.length > 0)
    leave_out(part, mnk_tower_least(&part->waiting));
  else
    waiting_free(g_queue_pop_head(&part->again));
}

/* The stream that holds most gives up most. */
static void make_room(MnkTower *tower) {
  while (tower->bytes > ALL_BYTES) {
    MnkTowerStream *most = NULL;
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, tower->local->by_number);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
      MnkTowerStream *part = &((MnkLocalStream *)value)->tower;
      if (held(part) > 0 && (most == NULL || held(part) > held(most)))
        most = part;
    }
    if (most == NULL)
      return; /* all of it is on its way */
    shed(most);
  }
}

void mnk_tower_give(MnkTower *tower, MnkLocalStream *stream, GBytes *jpeg, gint64 pts_ms,
                    float importance, gboolean cut) {
  MnkTowerStream *part = &stream->tower;
  part->frames++;
  if (g_bytes_get_size(jpeg) == 0 || g_bytes_get_size(jpeg) > MNK_CLIP_BYTES_MAX) {
    part->left_out++;
    return;
  }
  g_queue_insert_sorted(&part->waiting, waiting_new(tower, jpeg, pts_ms, importance, cut),
                        compare_times, NULL);
  trim(stream);
  make_room(tower);
  mnk_tower_kick(tower);
}

/* ---- Clips ---- */

static void count_in_hand(const Clip *clip, int sign) {
  for (guint i = 0; clip->stream != NULL && i < clip->frames->len; i++) {
    const MnkWaiting *frame = clip->frames->pdata[i];
    if (!frame->again)
      clip->stream->tower.in_hand += (guint)sign;
  }
}

static int write_pictures(const Clip *clip, MnkModelClip *told, GError **error) {
  int fd = mnk_memfd_new("manako-clip", error);
  for (guint i = 0; fd >= 0 && i < clip->frames->len; i++) {
    const MnkWaiting *frame = clip->frames->pdata[i];
    gsize length = 0;
    gconstpointer bytes = g_bytes_get_data(frame->jpeg, &length);
    MnkModelFrame one = {frame->pts_ms, length, frame->cut};
    g_array_append_val(told->frames, one);
    mnk_memfd_write(&fd, bytes, length, error);
  }
  return fd;
}

/* What cannot even be written stays in hand until the worker dies of it: memory is at its end. */
static void send_clip(MnkTower *tower, Clip *clip) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GString) text = g_string_new(NULL);
  MnkModelClip told = {.number = clip->number,
                       .frames = g_array_new(FALSE, TRUE, sizeof(MnkModelFrame))};
  int fd = write_pictures(clip, &told, &error);
  mnk_model_clip_write(&told, text);
  mnk_model_clip_clear(&told);
  if (tower->clips.length == 0)
    tower->busy_since_us = g_get_monotonic_time();
  g_queue_push_tail(&tower->clips, clip);
  count_in_hand(clip, 1);
  if (fd >= 0)
    mnk_local_post(tower->local, MNK_MSG_CLIP, clip->stream->number, text, fd);
  else
    mnk_local_kill(tower->local, error->message);
}

static Clip *clip_new(MnkTower *tower, MnkLocalStream *stream) {
  Clip *clip = g_new0(Clip, 1);
  clip->number = ++tower->next_number;
  clip->stream = stream;
  clip->frames = g_ptr_array_new_with_free_func(waiting_free);
  return clip;
}

/* Takes from the queue what makes a clip. Frames that a worker died of go alone: of several one may
 * be to blame. */
static void fill(Clip *clip, GQueue *queue, guint max) {
  gsize bytes = 0;
  while (clip->frames->len < max && queue->length > 0) {
    const MnkWaiting *next = queue->head->data;
    gsize size = g_bytes_get_size(next->jpeg);
    if (clip->frames->len > 0 && (bytes + size > CLIP_BYTES || next->deaths > 0))
      break;
    bytes += size;
    g_ptr_array_add(clip->frames, g_queue_pop_head(queue));
    if (((MnkWaiting *)clip->frames->pdata[0])->deaths > 0)
      break;
  }
}

/* ---- Who is next ---- */

static guint clip_length(const MnkLocalStream *stream) {
  guint length = MIN(option(stream, MNK_OPT_CLIP_LEN), option(stream, MNK_OPT_VISION_QUEUE));
  return CLAMP(length, 1, MNK_CLIP_FRAMES_MAX);
}

/* When the stream's next clip is due; G_MAXINT64: it has none. */
static gint64 due_us(const MnkLocalStream *stream) {
  const MnkTowerStream *part = &stream->tower;
  if (!stream->opened || (part->again.length == 0 && part->waiting.length == 0))
    return G_MAXINT64;
  if (part->again.length > 0 || part->hurry || part->waiting.length >= clip_length(stream))
    return 0;
  const MnkWaiting *oldest = part->waiting.head->data;
  return oldest->given_us + mnk_settings_int(stream->settings, MNK_OPT_CLIP_TIMEOUT) * 1000;
}

static MnkLocalStream *choose(const MnkTower *tower, gint64 now_us, gint64 *next_us) {
  MnkLocalStream *best = NULL;
  GHashTableIter iter;
  gpointer value;
  *next_us = G_MAXINT64;
  g_hash_table_iter_init(&iter, tower->local->by_number);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    MnkLocalStream *stream = value;
    gint64 due = due_us(stream);
    if (due > now_us)
      *next_us = MIN(*next_us, due);
    else if (best == NULL || stream->tower.hurry > best->tower.hurry ||
             (stream->tower.hurry == best->tower.hurry &&
              stream->tower.served_us < best->tower.served_us))
      best = stream;
  }
  return best;
}

static double budget(const MnkTower *tower) {
  return mnk_settings_double(tower->local->settings, MNK_OPT_VISION_BUDGET);
}

/* The rest is for answers: where nobody asks and somebody waits for the frames, there is none. */
static gboolean may_skip_rest(const MnkTower *tower, const MnkLocalStream *next) {
  return next->tower.hurry && !mnk_calls_need_words(tower->local);
}

static gboolean on_timer(gpointer user) {
  MnkTower *tower = user;
  mnk_local_drop_source(&tower->timer);
  mnk_tower_kick(tower);
  return G_SOURCE_REMOVE;
}

static void wake_at(MnkTower *tower, gint64 at_us, gint64 now_us) {
  mnk_local_drop_source(&tower->timer);
  if (at_us < G_MAXINT64)
    tower->timer =
        mnk_local_timer(tower->local->context, (at_us - now_us + 999) / 1000, on_timer, tower);
}

void mnk_tower_kick(MnkTower *tower) {
  if (tower->local->state != MNK_LOCAL_READY)
    return;
  while (tower->clips.length < CLIPS_MAX) {
    gint64 now_us = g_get_monotonic_time(), next_us;
    MnkLocalStream *stream = choose(tower, now_us, &next_us);
    if (stream == NULL) {
      wake_at(tower, next_us, now_us);
      return;
    }
    gboolean eager = budget(tower) >= 1 || may_skip_rest(tower, stream);
    if (!eager && tower->clips.length > 0)
      return;
    if (!eager && now_us < tower->rest_until_us) {
      wake_at(tower, tower->rest_until_us, now_us);
      return;
    }
    Clip *clip = clip_new(tower, stream);
    MnkTowerStream *part = &stream->tower;
    fill(clip, part->again.length > 0 ? &part->again : &part->waiting, clip_length(stream));
    part->served_us = now_us;
    send_clip(tower, clip);
  }
}

/* ---- What a call needs ---- */

static gboolean is_known(const MnkTower *tower, const MnkLocalStream *stream, gint64 pts_ms) {
  const GArray *recent = stream->tower.recent;
  for (guint i = 0; i < recent->len; i++)
    if (g_array_index(recent, gint64, i) == pts_ms)
      return TRUE;
  for (GList *link = tower->clips.head; link != NULL; link = link->next) {
    const Clip *clip = link->data;
    for (guint i = 0; clip->stream == stream && i < clip->frames->len; i++)
      if (((const MnkWaiting *)clip->frames->pdata[i])->pts_ms == pts_ms)
        return TRUE;
  }
  return FALSE;
}

static GList *find_waiting(const MnkTowerStream *part, gint64 pts_ms) {
  for (GList *link = part->waiting.head; link != NULL; link = link->next)
    if (((const MnkWaiting *)link->data)->pts_ms == pts_ms)
      return link;
  return NULL;
}

/* Moves what is demanded to wanted, by time. Returns the time of the newest. */
static gint64 gather(MnkTower *tower, MnkLocalStream *stream, const GPtrArray *frames,
                     GQueue *wanted) {
  MnkTowerStream *part = &stream->tower;
  gint64 newest_ms = G_MININT64;
  for (guint i = 0; i < frames->len; i++) {
    const MnkBatchFrame *frame = frames->pdata[i];
    newest_ms = MAX(newest_ms, frame->pts_ms);
    if (is_known(tower, stream, frame->pts_ms)) {
      tower->local->before.cached++;
      continue;
    }
    GList *link = find_waiting(part, frame->pts_ms);
    if (link != NULL) {
      g_queue_unlink(&part->waiting, link);
      g_queue_insert_sorted(wanted, link->data, compare_times, NULL);
      g_list_free_1(link);
    } else {
      part->frames++;
      g_queue_insert_sorted(
          wanted, waiting_new(tower, frame->jpeg, frame->pts_ms, frame->importance, FALSE),
          compare_times, NULL);
    }
  }
  return newest_ms;
}

/* Memory goes forward in time: what waits from before the newest goes along, or, where much
 * waits, is left out. */
static void settle_older(MnkLocalStream *stream, gint64 newest_ms, GQueue *wanted) {
  MnkTowerStream *part = &stream->tower;
  gboolean behind = 2 * part->waiting.length > option(stream, MNK_OPT_VISION_QUEUE);
  for (GList *link = part->waiting.head, *next; link != NULL; link = next) {
    next = link->next;
    if (((const MnkWaiting *)link->data)->pts_ms >= newest_ms)
      break;
    if (behind) {
      leave_out(part, link);
    } else {
      g_queue_insert_sorted(wanted, link->data, compare_times, NULL);
      g_queue_delete_link(&part->waiting, link);
    }
  }
}

void mnk_tower_demand(MnkTower *tower, MnkLocalStream *stream, const GPtrArray *frames) {
  GQueue wanted = G_QUEUE_INIT;
  MnkTowerStream *part = &stream->tower;
  gint64 newest_ms = gather(tower, stream, frames, &wanted);
  settle_older(stream, newest_ms, &wanted);
  while (part->again.length > 0 || wanted.length > 0) {
    Clip *clip = clip_new(tower, stream);
    fill(clip, part->again.length > 0 ? &part->again : &wanted, clip_length(stream));
    send_clip(tower, clip);
  }
}

/* ---- What has become of them ---- */

static void note_recent(MnkTowerStream *part, gint64 pts_ms) {
  if (part->recent->len >= MNK_CLIP_CACHE)
    g_array_remove_index(part->recent, 0);
  g_array_append_val(part->recent, pts_ms);
}

/* Takes the frame. */
static void keep_since(MnkTowerStream *part, MnkWaiting *frame, guint64 order) {
  frame->order = order;
  frame->again = TRUE;
  frame->deaths = 0;
  g_queue_push_tail(&part->since, frame);
  if (part->since.length > SINCE_MAX)
    waiting_free(g_queue_pop_head(&part->since));
}

void mnk_tower_saved(MnkTowerStream *part, guint64 order) {
  while (part->since.length > 0 && ((MnkWaiting *)part->since.head->data)->order <= order)
    waiting_free(g_queue_pop_head(&part->since));
}

static void settle(Clip *clip, const MnkModelClipped *clipped) {
  MnkTowerStream *part = &clip->stream->tower;
  for (guint i = 0; clip->frames->len > 0; i++) {
    MnkWaiting *frame = g_ptr_array_steal_index(clip->frames, 0);
    gboolean encoded = g_array_index(clipped->encoded, gboolean, i);
    if (!frame->again && encoded)
      part->encoded++;
    else if (!frame->again)
      part->left_out++;
    if (encoded) {
      note_recent(part, frame->pts_ms);
      keep_since(part, frame, clipped->order);
    } else {
      waiting_free(frame);
    }
  }
}

void mnk_tower_clipped(MnkTower *tower, MnkLocalStream *stream, const MnkModelClipped *clipped) {
  Clip *clip = g_queue_peek_head(&tower->clips);
  if (clip == NULL || clip->number != clipped->number ||
      clipped->encoded->len != clip->frames->len) {
    mnk_local_kill(tower->local, "it answered for a clip that it was not given");
    return;
  }
  gint64 now_us = g_get_monotonic_time();
  double rest = CLAMP(clipped->ms, 0, 3600e3) * (1 / budget(tower) - 1);
  g_queue_pop_head(&tower->clips);
  tower->busy_since_us = now_us;
  tower->rest_until_us = now_us + (gint64)(rest * 1000);
  count_in_hand(clip, -1);
  if (clip->stream != NULL)
    settle(clip, clipped);
  clip_free(clip);
  mnk_tower_kick(tower);
}

/* Back to where it came from, or left out when it has been in hand too often. */
static void take_back(MnkLocalStream *stream, MnkWaiting *frame, gboolean to_blame) {
  MnkTowerStream *part = &stream->tower;
  frame->deaths += to_blame;
  if (frame->deaths < DEATHS_MAX) {
    g_queue_push_head(frame->again ? &part->again : &part->waiting, frame);
    return;
  }
  mnk_warning("local", stream->id,
              "event=frame-left-out pts_ms=%" G_GINT64_FORMAT " reason=\"the worker dies of it\"",
              frame->pts_ms);
  part->left_out += !frame->again;
  waiting_free(frame);
}

/* Only the first clip on its way can have been looked at. */
void mnk_tower_lost(MnkTower *tower) {
  Clip *clip;
  mnk_local_drop_source(&tower->timer);
  tower->rest_until_us = 0;
  while ((clip = g_queue_pop_tail(&tower->clips)) != NULL) {
    count_in_hand(clip, -1);
    while (clip->stream != NULL && clip->frames->len > 0)
      take_back(clip->stream, g_ptr_array_steal_index(clip->frames, clip->frames->len - 1),
                tower->clips.length == 0);
    clip_free(clip);
  }
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, tower->local->by_number);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    MnkTowerStream *part = &((MnkLocalStream *)value)->tower;
    MnkWaiting *frame;
    while ((frame = g_queue_pop_tail(&part->since)) != NULL)
      g_queue_push_head(&part->again, frame);
    g_array_set_size(part->recent, 0);
    trim(value);
  }
}

void mnk_tower_forget(MnkTower *tower, MnkLocalStream *stream) {
  for (GList *link = tower->clips.head; link != NULL; link = link->next) {
    Clip *clip = link->data;
    if (clip->stream != stream)
      continue;
    count_in_hand(clip, -1);
    for (guint i = 0; i < clip->frames->len; i++)
      stream->tower.left_out += !((const MnkWaiting *)clip->frames->pdata[i])->again;
    clip->stream = NULL;
  }
  mnk_tower_stream_clear(&stream->tower);
}

gboolean mnk_tower_is_overdue(const MnkTower *tower, gint64 now_us) {
  const Clip *clip = g_queue_peek_head((GQueue *)&tower->clips);
  gint64 limit_us = mnk_settings_int(tower->local->settings, MNK_OPT_MODEL_PROBE) * 1000;
  return clip != NULL && now_us - tower->busy_since_us > limit_us * (1 + clip->frames->len);
}

MnkTower *mnk_tower_new(MnkLocal *local) {
  MnkTower *tower = g_new0(MnkTower, 1);
  tower->local = local;
  g_queue_init(&tower->clips);
  return tower;
}

void mnk_tower_free(MnkTower *tower) {
  if (tower == NULL)
    return;
  mnk_local_drop_source(&tower->timer);
  g_queue_clear_full(&tower->clips, clip_free);
  g_free(tower);
}
