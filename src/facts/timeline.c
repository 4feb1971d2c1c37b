#include "facts/facts_priv.h"

/* The running scene keeps its observations, and its facts are computed from them anew when they are
 * needed: a boundary that turns out later to lie further back then needs no undoing. */

enum {
  MAX_SEEN = 720,      /* observations of one scene; beyond that every second one is let go */
  MAX_CLOSINGS = 1000, /* scenes that one pause may be cut into */
};

struct _MnkTimeline {
  MnkTimelineConfig config;
  MnkSceneFunc func;
  gpointer user;
  gboolean running;
  guint64 number;
  guint32 epoch;
  gint64 start_ms, last_ms; /* of the running scene: its start, its newest observation */
  gint64 told_ms;           /* what lies before has been told */
  MnkCut cut;               /* the boundary at its start */
  GPtrArray *seen;          /* of MnkObservation, owned: fused, in time order, start_ms <= pts */
  MnkObservation *held; /* what was seen last in this shot: holds on until something else is seen */
  MnkScene *closed;     /* the scene before, when only its length ended it; else NULL */
};

MnkTimeline *mnk_timeline_new(const MnkTimelineConfig *config, MnkSceneFunc func, gpointer user) {
  MnkTimeline *timeline = g_new0(MnkTimeline, 1);
  timeline->config = *config;
  timeline->func = func;
  timeline->user = user;
  timeline->seen = g_ptr_array_new_with_free_func(g_free);
  timeline->told_ms = G_MININT64;
  return timeline;
}

void mnk_timeline_go_on(MnkTimeline *timeline, gint64 told_ms) {
  timeline->told_ms = told_ms;
}

void mnk_timeline_free(MnkTimeline *timeline) {
  if (timeline == NULL)
    return;
  g_ptr_array_unref(timeline->seen);
  g_free(timeline->held);
  mnk_scene_free(timeline->closed);
  g_free(timeline);
}

void mnk_timeline_set_config(MnkTimeline *timeline, const MnkTimelineConfig *config) {
  timeline->config = *config;
}

static MnkObservation *copy_of(const MnkObservation *obs) {
  return g_memdup2(obs, sizeof *obs);
}

static void tell(MnkTimeline *timeline, gint64 end_ms, gboolean final, MnkCut end_cut,
                 guint n_seen) {
  MnkScene scene = {
      .number = timeline->number,
      .start_ms = timeline->start_ms,
      .end_ms = end_ms,
      .final = final,
      .starts_at_cut = timeline->cut != MNK_CUT_NONE,
      .ends_at_cut = end_cut != MNK_CUT_NONE,
      .cut = timeline->cut,
      .facts = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_fact_free),
  };
  mnk_scene_summarise(&scene, (MnkObservation *const *)timeline->seen->pdata, n_seen);
  timeline->func(&scene, timeline->user);
  if (final) {
    timeline->told_ms = MAX(timeline->told_ms, end_ms);
    mnk_scene_free(timeline->closed);
    timeline->closed = mnk_scene_copy(&scene);
  }
  g_ptr_array_unref(scene.facts);
}

static void begin(MnkTimeline *timeline, gint64 start_ms, MnkCut cut) {
  timeline->running = TRUE;
  timeline->start_ms = start_ms;
  timeline->cut = cut;
}

/* Ends the running scene at end_ms and starts the next one there; observations from first_kept on
 * go over to it. */
static void close_scene(MnkTimeline *timeline, gint64 end_ms, MnkCut cut, guint first_kept) {
  if (end_ms > timeline->start_ms) {
    tell(timeline, end_ms, TRUE, cut, first_kept);
    timeline->number++;
  }
  g_ptr_array_remove_range(timeline->seen, 0, first_kept);
  begin(timeline, end_ms, cut);
}

/* What was last seen goes on being seen from start_ms: the new scene starts with it. */
static void carry_over(MnkTimeline *timeline, gint64 start_ms) {
  if (timeline->held == NULL || timeline->seen->len > 0)
    return;
  MnkObservation *obs = copy_of(timeline->held);
  obs->type = MNK_OBS_DUPLICATE;
  obs->pts_ms = start_ms;
  obs->motion.valid = FALSE;
  g_ptr_array_add(timeline->seen, obs);
}

/* A frame like the one before shows what that one showed; text that was not looked for stays. */
static MnkObservation *completed(const MnkTimeline *timeline, const MnkObservation *obs) {
  MnkObservation *own;
  const MnkObservation *held = timeline->held;
  if (obs->type == MNK_OBS_DUPLICATE && held != NULL) {
    own = copy_of(held);
    own->type = MNK_OBS_DUPLICATE;
    own->seq = obs->seq, own->pts_ms = obs->pts_ms, own->step_ms = obs->step_ms;
    own->arrival_us = obs->arrival_us, own->motion = obs->motion, own->change = obs->change;
    own->text_ran = FALSE;
    return own;
  }
  own = copy_of(obs);
  mnk_fuse(own);
  if (!own->text_ran && held != NULL) {
    own->n_texts = held->n_texts;
    for (guint i = 0; i < held->n_texts; i++)
      own->texts[i] = held->texts[i];
  }
  return own;
}

static void thin_out(GPtrArray *seen) {
  for (guint i = seen->len - 2; i >= 1 && i < seen->len; i -= 2) {
    g_ptr_array_remove_index(seen, i);
    if (i < 2)
      break;
  }
}

static void close_by_length(MnkTimeline *timeline, gint64 pts_ms) {
  for (guint i = 0; i < MAX_CLOSINGS; i++) {
    gint64 end_ms = timeline->start_ms + timeline->config.caption_max_ms;
    if (pts_ms < end_ms)
      return;
    carry_over(timeline, timeline->start_ms); /* nothing has come since the last end */
    close_scene(timeline, end_ms, MNK_CUT_NONE, timeline->seen->len);
    if (pts_ms > end_ms)
      carry_over(timeline, end_ms);
  }
}

static void begin_epoch(MnkTimeline *timeline, guint32 epoch) {
  mnk_timeline_finish(timeline, timeline->last_ms);
  timeline->epoch = epoch;
  timeline->told_ms = G_MININT64;
}

static void add_frame(MnkTimeline *timeline, const MnkObservation *obs) {
  if (obs->epoch != timeline->epoch)
    begin_epoch(timeline, obs->epoch);
  /* where the picture before would end was a guess, and the scene may have been told up to there */
  gint64 pts_ms = MAX(obs->pts_ms, timeline->told_ms);
  if (!timeline->running) {
    g_clear_pointer(&timeline->held, g_free);
    begin(timeline, pts_ms, MNK_CUT_NONE);
  }
  close_by_length(timeline, pts_ms);
  MnkObservation *own = completed(timeline, obs);
  own->pts_ms = pts_ms;
  g_ptr_array_add(timeline->seen, own);
  g_free(timeline->held);
  timeline->held = copy_of(own);
  timeline->last_ms = MAX(obs->pts_ms + obs->step_ms, pts_ms);
  if (timeline->seen->len > MAX_SEEN)
    thin_out(timeline->seen);
  guint split =
      mnk_change_point((MnkObservation *const *)timeline->seen->pdata, timeline->seen->len,
                       timeline->start_ms, timeline->config.caption_min_ms);
  if (split > 0) {
    const MnkObservation *first = timeline->seen->pdata[split];
    close_scene(timeline, first->pts_ms, MNK_CUT_NONE, split);
  }
}

/* Mixed pictures of a dissolve tell nothing of either shot. */
static void drop_mixed(MnkTimeline *timeline, gint64 from_ms, gint64 to_ms) {
  for (guint i = timeline->seen->len; i > 0; i--) {
    const MnkObservation *obs = timeline->seen->pdata[i - 1];
    if (obs->pts_ms >= from_ms && obs->pts_ms < to_ms && timeline->seen->len > 1)
      g_ptr_array_remove_index(timeline->seen, i - 1);
  }
}

static void add_cut(MnkTimeline *timeline, const MnkObservation *obs) {
  gint64 at_ms = obs->cut_ms;
  if (!timeline->running || obs->epoch != timeline->epoch)
    return;
  if (obs->cut == MNK_CUT_SOFT) {
    at_ms = obs->cut_ms + (obs->cut_end_ms - obs->cut_ms) / 2;
    drop_mixed(timeline, obs->cut_ms, obs->cut_end_ms);
  }
  if (at_ms <= timeline->start_ms) {
    /* The scene has just been closed by its length: its boundary is the nearest one to be had. */
    timeline->cut = obs->cut;
    return;
  }
  close_by_length(timeline, at_ms - 1);
  guint split = 0;
  while (split < timeline->seen->len &&
         ((MnkObservation *)timeline->seen->pdata[split])->pts_ms < at_ms)
    split++;
  close_scene(timeline, at_ms, obs->cut, split);
  if (timeline->seen->len == 0)
    g_clear_pointer(&timeline->held, g_free);
}

void mnk_timeline_observe(MnkTimeline *timeline, const MnkObservation *obs) {
  if (obs->type == MNK_OBS_CUT)
    add_cut(timeline, obs);
  else
    add_frame(timeline, obs);
}

void mnk_timeline_gap(MnkTimeline *timeline, gint64 start_ms, gint64 end_ms, const char *why) {
  if (timeline->running)
    mnk_timeline_finish(timeline, MAX(start_ms, timeline->start_ms));
  MnkScene scene = {
      .number = timeline->number++,
      .start_ms = start_ms,
      .end_ms = MAX(end_ms, start_ms),
      .final = TRUE,
      .facts = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_fact_free),
  };
  MnkFact *fact = mnk_fact_new(MNK_FACT_GAP, why);
  fact->score = 1;
  fact->start_ms = scene.start_ms;
  fact->end_ms = scene.end_ms;
  g_ptr_array_add(scene.facts, fact);
  timeline->func(&scene, timeline->user);
  timeline->told_ms = MAX(timeline->told_ms, scene.end_ms);
  g_ptr_array_unref(scene.facts);
}

/* Too short to tell anything of its own, and no cut before it: the scene before lasts a little
 * longer. */
static gboolean join_tail(MnkTimeline *timeline, gint64 end_ms) {
  MnkScene *closed = timeline->closed;
  if (closed == NULL || timeline->cut != MNK_CUT_NONE || closed->end_ms != timeline->start_ms ||
      end_ms - timeline->start_ms >= timeline->config.caption_min_ms)
    return FALSE;
  closed->end_ms = end_ms;
  timeline->told_ms = MAX(timeline->told_ms, end_ms);
  timeline->func(closed, timeline->user);
  return TRUE;
}

void mnk_timeline_finish(MnkTimeline *timeline, gint64 end_ms) {
  if (!timeline->running)
    return;
  close_by_length(timeline, end_ms - 1);
  end_ms = MAX(end_ms, timeline->start_ms + 1);
  if (timeline->seen->len > 0 && !join_tail(timeline, end_ms))
    close_scene(timeline, end_ms, MNK_CUT_NONE, timeline->seen->len);
  g_ptr_array_set_size(timeline->seen, 0);
  timeline->running = FALSE;
  timeline->told_ms = G_MININT64;
  g_clear_pointer(&timeline->held, g_free);
  g_clear_pointer(&timeline->closed, mnk_scene_free);
}

void mnk_timeline_close(MnkTimeline *timeline, gint64 end_ms) {
  if (!timeline->running || timeline->seen->len == 0)
    return;
  close_by_length(timeline, end_ms - 1);
  if (timeline->seen->len > 0)
    close_scene(timeline, MAX(end_ms, timeline->start_ms + 1), MNK_CUT_NONE, timeline->seen->len);
}

void mnk_timeline_peek(MnkTimeline *timeline) {
  if (timeline->running && timeline->seen->len > 0)
    tell(timeline, MAX(timeline->last_ms, timeline->start_ms + 1), FALSE, MNK_CUT_NONE,
         timeline->seen->len);
}
