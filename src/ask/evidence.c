/* Evidence: the stretches that an answer rests on, with what the store has of each. */
#include "ask/ask_priv.h"

#include <math.h>

/* A stretch of one frame may have its picture kept from so long before or after. */
enum { STRETCH_CAPTIONS = 16, STRETCH_PICTURES = 64, PICTURE_REACH_MS = 2000 };

MnkAnswerEvidence *mnk_evidence_new(gint64 start_ms, gint64 end_ms, double score, const char *why) {
  MnkAnswerEvidence *evidence = g_new0(MnkAnswerEvidence, 1);
  evidence->start_ms = start_ms;
  evidence->end_ms = MAX(start_ms, end_ms);
  evidence->score = score;
  evidence->why = g_strdup(why);
  evidence->picture_ms = -1;
  return evidence;
}

void mnk_evidence_free(MnkAnswerEvidence *evidence) {
  g_free(evidence->why);
  g_free(evidence->caption);
  g_free(evidence->text);
  g_free(evidence);
}

static void take_caption(MnkAnswerEvidence *evidence, const MnkCaption *caption) {
  evidence->caption = g_strdup(caption->id);
  evidence->text = g_strdup(caption->text);
}

MnkAnswerEvidence *mnk_evidence_of_caption(const MnkGatheredCaption *gathered) {
  const MnkCaption *caption = gathered->caption;
  MnkAnswerEvidence *evidence =
      mnk_evidence_new(caption->start_ms, caption->end_ms, gathered->score,
                       isnan(gathered->score) && gathered->recent ? "recent" : "caption");
  evidence->picture_ms = caption->picture_ms;
  take_caption(evidence, caption);
  return evidence;
}

static int by_time(gconstpointer a, gconstpointer b) {
  const MnkAnswerEvidence *left = *(MnkAnswerEvidence *const *)a;
  const MnkAnswerEvidence *right = *(MnkAnswerEvidence *const *)b;
  if (left->start_ms != right->start_ms)
    return left->start_ms < right->start_ms ? -1 : 1;
  return (left->end_ms > right->end_ms) - (left->end_ms < right->end_ms);
}

void mnk_evidence_sort(GPtrArray *evidence) {
  g_ptr_array_sort(evidence, by_time);
}

/* ---- What a model was shown ---- */

static gboolean has_caption(const GPtrArray *evidence, const char *id) {
  for (guint i = 0; i < evidence->len; i++) {
    const MnkAnswerEvidence *one = evidence->pdata[i];
    if (one->caption && g_str_equal(one->caption, id))
      return TRUE;
  }
  return FALSE;
}

static int by_score(gconstpointer a, gconstpointer b) {
  double left = (*(MnkGatheredCaption *const *)a)->score;
  double right = (*(MnkGatheredCaption *const *)b)->score;
  return (left < right) - (left > right);
}

void mnk_evidence_add_hits(GPtrArray *evidence, const MnkGathered *gathered, guint max) {
  g_autoptr(GPtrArray) hits = g_ptr_array_new();
  for (guint i = 0; i < gathered->captions->len; i++) {
    const MnkGatheredCaption *caption = gathered->captions->pdata[i];
    if (!isnan(caption->score))
      g_ptr_array_add(hits, (gpointer)caption);
  }
  g_ptr_array_sort(hits, by_score);
  for (guint i = 0; i < MIN(hits->len, max) && evidence->len < MNK_EVIDENCE_MAX; i++) {
    const MnkGatheredCaption *hit = hits->pdata[i];
    if (!has_caption(evidence, hit->caption->id))
      g_ptr_array_add(evidence, mnk_evidence_of_caption(hit));
  }
}

/* The caption that tells of this moment, a hit before others. */
static const MnkGatheredCaption *caption_at(const MnkGathered *gathered, gint64 pts_ms) {
  const MnkGatheredCaption *best = NULL;
  for (guint i = 0; i < gathered->captions->len; i++) {
    const MnkGatheredCaption *caption = gathered->captions->pdata[i];
    gboolean covers = caption->caption->picture_ms == pts_ms ||
                      (caption->caption->start_ms <= pts_ms && pts_ms <= caption->caption->end_ms);
    if (covers && (!best || (isnan(best->score) && !isnan(caption->score))))
      best = caption;
  }
  return best;
}

void mnk_evidence_add_shown(GPtrArray *evidence, const MnkGathered *gathered) {
  for (guint i = 0; i < gathered->frames->len && evidence->len < MNK_EVIDENCE_MAX; i++) {
    gint64 pts_ms = ((MnkBatchFrame *)gathered->frames->pdata[i])->pts_ms;
    const MnkGatheredCaption *caption = caption_at(gathered, pts_ms);
    gboolean told = caption && !has_caption(evidence, caption->caption->id);
    MnkAnswerEvidence *one =
        told ? mnk_evidence_of_caption(caption) : mnk_evidence_new(pts_ms, pts_ms, NAN, "recent");
    one->picture_ms = pts_ms;
    g_ptr_array_add(evidence, one);
  }
  mnk_evidence_add_hits(evidence, gathered, MNK_EVIDENCE_CAPTIONS);
}

/* ---- What the store has of a stretch ---- */

static gint64 overlap_ms(const MnkAnswerEvidence *evidence, const MnkCaption *caption) {
  return MIN(evidence->end_ms, caption->end_ms) - MAX(evidence->start_ms, caption->start_ms);
}

static void join_caption(MnkAnswerEvidence *evidence, MnkStore *store, const char *stream) {
  g_autoptr(GPtrArray) captions = mnk_store_captions(store, stream, evidence->start_ms,
                                                     evidence->end_ms + 1, STRETCH_CAPTIONS, NULL);
  const MnkCaption *best = NULL;
  for (guint i = 0; captions && i < captions->len; i++) {
    const MnkCaption *caption = captions->pdata[i];
    if (!mnk_caption_is_gap(caption) && !mnk_ask_is_blank(caption->text) &&
        (!best || overlap_ms(evidence, caption) > overlap_ms(evidence, best)))
      best = caption;
  }
  if (best)
    take_caption(evidence, best);
}

/* The one nearest to the middle. */
static void join_picture(MnkAnswerEvidence *evidence, MnkStore *store, const char *stream) {
  g_autoptr(GArray) times =
      mnk_store_pictures(store, stream, MAX(evidence->start_ms - PICTURE_REACH_MS, 0),
                         evidence->end_ms + PICTURE_REACH_MS + 1, STRETCH_PICTURES, NULL);
  gint64 middle_ms = evidence->start_ms + (evidence->end_ms - evidence->start_ms) / 2;
  for (guint i = 0; times && i < times->len; i++) {
    gint64 pts_ms = g_array_index(times, gint64, i);
    if (evidence->picture_ms < 0 || ABS(pts_ms - middle_ms) < ABS(evidence->picture_ms - middle_ms))
      evidence->picture_ms = pts_ms;
  }
}

void mnk_evidence_join(GPtrArray *evidence, MnkStore *store, const char *stream) {
  for (guint i = 0; i < evidence->len; i++) {
    MnkAnswerEvidence *one = evidence->pdata[i];
    if (!one->caption)
      join_caption(one, store, stream);
    if (one->picture_ms < 0)
      join_picture(one, store, stream);
  }
}

char *mnk_interval_text(gint64 start_ms, gint64 end_ms) {
  gint64 start_s = MAX(start_ms, 0) / 1000, end_s = MAX(end_ms, 0) / 1000;
  g_autofree char *start = mnk_format_time_ms(start_s * 1000);
  g_autofree char *end = mnk_format_time_ms(MAX(end_s, start_s) * 1000);
  return end_s > start_s ? g_strdup_printf("%s-%s", start, end) : g_steal_pointer(&start);
}
