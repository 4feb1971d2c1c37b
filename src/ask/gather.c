/* What the store knows that may matter to a question: captions that have its words, the best first;
 * the newest captions; some of all times when it asks for the whole; and the pictures beside them.
 */
#include "ask/ask_priv.h"

#include <math.h>
#include <string.h>

enum {
  HITS_OF_A_WORD = 64, /* looked at */
  LINE_BYTES = 300,
  ENOUGH_HITS = 4,     /* with so many, no overview is needed */
  OVERVIEW_TRIES = 4,  /* captions looked at for one that tells something */
  PICTURES_NEAR = 256, /* looked at in one stretch */
};
/* How far back the newest pictures are looked for, step by step; at last everywhere. */
static const gint64 BACK_MS[] = {15000, 60000, 600000, 86400000};

void mnk_gather_wish_clear(MnkGatherWish *wish) {
  g_free(wish->stream);
  g_free(wish->question);
  *wish = (MnkGatherWish){0};
}

static void frame_free(gpointer data) {
  mnk_batch_frame_free(data);
}

static void caption_free(gpointer data) {
  MnkGatheredCaption *gathered = data;
  mnk_caption_free(gathered->caption);
  g_free(gathered);
}

MnkGathered *mnk_gathered_new(void) {
  MnkGathered *gathered = g_new0(MnkGathered, 1);
  gathered->captions = g_ptr_array_new_with_free_func(caption_free);
  gathered->frames = g_ptr_array_new_with_free_func(frame_free);
  return gathered;
}

void mnk_gathered_free(MnkGathered *gathered) {
  if (!gathered)
    return;
  g_ptr_array_unref(gathered->captions);
  g_ptr_array_unref(gathered->frames);
  g_free(gathered);
}

/* ---- Captions ---- */

typedef struct {
  MnkStore *store;
  const MnkGatherWish *wish;
  MnkGathered *out;
  gint64 start_ms, end_ms; /* of the stream's captions */
  guint64 last_seq;
} Gathering;

static MnkGatheredCaption *find(const GPtrArray *captions, const char *id) {
  for (guint i = 0; i < captions->len; i++) {
    MnkGatheredCaption *gathered = captions->pdata[i];
    if (g_str_equal(gathered->caption->id, id))
      return gathered;
  }
  return NULL;
}

static gboolean is_told(const Gathering *gathering, const MnkCaption *caption) {
  gint64 now_ms = gathering->wish->now_ms;
  return !mnk_caption_is_gap(caption) && !mnk_ask_is_blank(caption->text) &&
         (now_ms < 0 || caption->start_ms <= now_ms);
}

/* The caption, new or known; NULL: it is not to be told. */
static MnkGatheredCaption *add(const Gathering *gathering, GPtrArray *captions,
                               const MnkCaption *caption) {
  MnkGatheredCaption *known = find(captions, caption->id);
  if (known || !is_told(gathering, caption))
    return known;
  MnkGatheredCaption *gathered = g_new0(MnkGatheredCaption, 1);
  gathered->caption = mnk_caption_copy(caption);
  gathered->score = NAN;
  g_ptr_array_add(captions, gathered);
  return gathered;
}

static gboolean add_recent(Gathering *gathering, GError **error) {
  guint n = gathering->wish->limits.recent;
  guint64 seq = gathering->last_seq > n ? gathering->last_seq - n : 0;
  g_autoptr(GPtrArray) captions =
      mnk_store_captions_since(gathering->store, gathering->wish->stream, seq, n, error);
  for (guint i = 0; captions && i < captions->len; i++) {
    MnkGatheredCaption *gathered = add(gathering, gathering->out->captions, captions->pdata[i]);
    if (gathered)
      gathered->recent = TRUE;
  }
  return captions != NULL;
}

static int by_score(gconstpointer a, gconstpointer b) {
  double left = (*(MnkGatheredCaption *const *)a)->score;
  double right = (*(MnkGatheredCaption *const *)b)->score;
  return (left < right) - (left > right);
}

/* Any of the words: the scores of a caption for each add up. */
static GPtrArray *search(Gathering *gathering, GError **error) {
  g_auto(GStrv) words = mnk_ask_words(gathering->wish->question);
  g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(caption_free);
  for (guint i = 0; words[i]; i++) {
    g_autoptr(GPtrArray) hits = mnk_store_search(
        gathering->store, words[i], gathering->wish->stream, 0, -1, HITS_OF_A_WORD, error);
    if (!hits)
      return NULL;
    for (guint k = 0; k < hits->len; k++) {
      const MnkSearchHit *hit = hits->pdata[k];
      MnkGatheredCaption *gathered = add(gathering, found, hit->caption);
      if (gathered)
        gathered->score = hit->score + (isnan(gathered->score) ? 0 : gathered->score);
    }
  }
  g_ptr_array_sort(found, by_score);
  return g_steal_pointer(&found);
}

static gboolean add_hits(Gathering *gathering, guint *n_hits, GError **error) {
  g_autoptr(GPtrArray) found = search(gathering, error);
  if (!found)
    return FALSE;
  *n_hits = MIN(found->len, gathering->wish->limits.hits);
  for (guint i = 0; i < *n_hits; i++) {
    const MnkGatheredCaption *hit = found->pdata[i];
    MnkGatheredCaption *gathered = add(gathering, gathering->out->captions, hit->caption);
    gathered->score = hit->score;
    gathering->out->past |= !gathered->recent;
  }
  return TRUE;
}

/* Spread evenly over all that was told: of each part the first that tells something. */
static gboolean add_overview(Gathering *gathering, GError **error) {
  guint n = gathering->wish->limits.overview;
  gint64 span_ms = gathering->end_ms - gathering->start_ms;
  for (guint i = 0; i < n; i++) {
    gint64 at_ms = gathering->start_ms + span_ms / n * i;
    g_autoptr(GPtrArray) captions = mnk_store_captions(gathering->store, gathering->wish->stream,
                                                       at_ms, -1, OVERVIEW_TRIES, error);
    if (!captions)
      return FALSE;
    MnkGatheredCaption *gathered = NULL;
    for (guint k = 0; k < captions->len && !gathered; k++)
      gathered = add(gathering, gathering->out->captions, captions->pdata[k]);
    gathering->out->past |= gathered && !gathered->recent;
  }
  return TRUE;
}

static gboolean add_captions(Gathering *gathering, GError **error) {
  const MnkGatherWish *wish = gathering->wish;
  guint n_hits = 0;
  if (!add_recent(gathering, error))
    return FALSE;
  if (wish->history == MNK_HISTORY_NEVER)
    return TRUE;
  gboolean past =
      wish->history == MNK_HISTORY_ALWAYS || mnk_question_is_of_the_past(wish->question);
  return add_hits(gathering, &n_hits, error) &&
         (!past || n_hits >= ENOUGH_HITS || add_overview(gathering, error));
}

/* ---- Pictures ---- */

static int by_time(gconstpointer a, gconstpointer b) {
  gint64 left = *(const gint64 *)a, right = *(const gint64 *)b;
  return (left > right) - (left < right);
}

static void add_time(GArray *times, gint64 pts_ms) {
  for (guint i = 0; i < times->len; i++)
    if (g_array_index(times, gint64, i) == pts_ms)
      return;
  g_array_append_val(times, pts_ms);
}

/* The picture that is kept beside it, else the one in its middle; < 0: none. */
static gint64 picture_of(const Gathering *gathering, const MnkCaption *caption) {
  if (caption->picture_ms >= 0)
    return caption->picture_ms;
  g_autoptr(GArray) times = mnk_store_pictures(gathering->store, caption->stream, caption->start_ms,
                                               caption->end_ms + 1, PICTURES_NEAR, NULL);
  return times && times->len > 0 ? g_array_index(times, gint64, times->len / 2) : -1;
}

static void add_times_of_hits(Gathering *gathering, GArray *times, guint max) {
  g_autoptr(GPtrArray) hits = g_ptr_array_new();
  for (guint i = 0; i < gathering->out->captions->len; i++) {
    const MnkGatheredCaption *gathered = gathering->out->captions->pdata[i];
    if (!isnan(gathered->score))
      g_ptr_array_add(hits, (gpointer)gathered);
  }
  g_ptr_array_sort(hits, by_score);
  for (guint i = 0; i < hits->len && times->len < max; i++) {
    gint64 pts_ms = picture_of(gathering, ((MnkGatheredCaption *)hits->pdata[i])->caption);
    if (pts_ms >= 0)
      add_time(times, pts_ms);
  }
}

/* The newest pictures until now, of a stretch that may have too many to be listed at once. */
static GArray *newest_times(const Gathering *gathering, guint n) {
  const MnkGatherWish *wish = gathering->wish;
  gint64 to_ms = wish->now_ms >= 0 ? wish->now_ms + 1 : -1;
  gint64 last_ms = wish->now_ms >= 0 ? wish->now_ms : gathering->end_ms;
  GArray *times = NULL;
  for (guint i = 0; i < G_N_ELEMENTS(BACK_MS) && (!times || times->len < n); i++) {
    g_clear_pointer(&times, g_array_unref);
    gint64 from_ms = MAX(last_ms - BACK_MS[i], 0);
    times = mnk_store_pictures(gathering->store, wish->stream, from_ms, to_ms, PICTURES_NEAR, NULL);
    if (from_ms == 0 || (times && times->len == PICTURES_NEAR))
      break;
  }
  return times ? times : g_array_new(FALSE, FALSE, sizeof(gint64));
}

static void add_frames(Gathering *gathering) {
  guint max = gathering->wish->limits.pictures;
  g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(gint64));
  if (max == 0)
    return;
  add_times_of_hits(gathering, times, MAX(max / 2, 1));
  guint n_hits = times->len;
  g_autoptr(GArray) newest = newest_times(gathering, max - n_hits);
  for (guint i = newest->len; i > 0 && times->len < max; i--)
    add_time(times, g_array_index(newest, gint64, i - 1));
  g_array_sort(times, by_time);
  for (guint i = 0; i < times->len; i++) {
    gint64 pts_ms = g_array_index(times, gint64, i);
    g_autoptr(GBytes) jpeg =
        mnk_store_picture(gathering->store, gathering->wish->stream, pts_ms, NULL);
    if (!jpeg)
      continue;
    MnkBatchFrame *frame = g_new0(MnkBatchFrame, 1);
    frame->index = gathering->out->frames->len;
    frame->pts_ms = pts_ms;
    frame->importance = (float)(i + 1) / (float)times->len; /* the newest last to be left out */
    frame->jpeg = g_steal_pointer(&jpeg);
    g_ptr_array_add(gathering->out->frames, frame);
  }
}

/* ---- All of it ---- */

static int by_start(gconstpointer a, gconstpointer b) {
  const MnkCaption *left = (*(MnkGatheredCaption *const *)a)->caption;
  const MnkCaption *right = (*(MnkGatheredCaption *const *)b)->caption;
  return left->start_ms != right->start_ms
             ? (left->start_ms > right->start_ms) - (left->start_ms < right->start_ms)
             : (left->seq > right->seq) - (left->seq < right->seq);
}

MnkGathered *mnk_gather(MnkStore *store, const MnkGatherWish *wish, GError **error) {
  g_autoptr(MnkGathered) gathered = mnk_gathered_new();
  g_autoptr(GError) cause = NULL;
  gint64 start_us = g_get_monotonic_time();
  MnkStreamRow *row = mnk_store_stream(store, wish->stream, &cause);
  if (!row && !g_error_matches(cause, MNK_ERROR, MNK_ERROR_NOT_FOUND)) {
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
  }
  if (row) {
    Gathering gathering = {store, wish, gathered, row->start_ms, row->end_ms, row->last_seq};
    mnk_stream_row_free(row);
    if (!add_captions(&gathering, error))
      return NULL;
    add_frames(&gathering);
  }
  g_ptr_array_sort(gathered->captions, by_start);
  gathered->ms = (double)(g_get_monotonic_time() - start_us) / 1000;
  return g_steal_pointer(&gathered);
}

char *mnk_gathered_log(const MnkGathered *gathered) {
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < gathered->captions->len; i++) {
    const MnkCaption *caption = ((MnkGatheredCaption *)gathered->captions->pdata[i])->caption;
    g_autofree char *interval = mnk_interval_text(caption->start_ms, caption->end_ms);
    g_autofree char *line = mnk_ask_line(caption->text, LINE_BYTES);
    g_string_append_printf(out, "%s%s %s", i > 0 ? "\n" : "", interval, line);
  }
  return g_string_free(out, FALSE);
}
