/* Which tokens a question is answered from. */
#include "memory/keyframes_priv.h"

#include <math.h>
#include <stdlib.h>

static void free_recalled(gpointer data) {
  MnkRecalled *recalled = data;
  mnk_tokens_unref(recalled->tokens);
  g_free(recalled);
}

/* A cluster that is wanted: how many of its members fit, or whether its merged tokens do. */
typedef struct {
  MnkClusterState *cluster;
  float score;
  guint order; /* among all clusters */
  int why;
  GPtrArray *members; /* of MnkTokens, borrowed: those that are not recent */
  guint shown;        /* of them */
  gboolean merged;
} Wanted;

static void clear_wanted(gpointer data) {
  Wanted *wanted = data;
  g_ptr_array_unref(wanted->members);
}

static gboolean is_recent(const GPtrArray *recent, const MnkTokens *tokens) {
  return g_ptr_array_find((GPtrArray *)recent, tokens, NULL);
}

/* ---- Which clusters ---- */

static void want(GArray *all, MnkKeyframes *keyframes, const GPtrArray *recent, guint index,
                 float score, int why) {
  Wanted wanted = {.cluster = mnk_keyframes_cluster(keyframes, index),
                   .score = score,
                   .order = index,
                   .why = why,
                   .members = g_ptr_array_new()};
  const GPtrArray *members = wanted.cluster->members;
  for (guint i = 0; i < members->len && why != MNK_RECALL_NEIGHBOUR; i++)
    if (!is_recent(recent, members->pdata[i]))
      g_ptr_array_add(wanted.members, members->pdata[i]);
  g_array_append_val(all, wanted);
}

static gboolean all_recent(const MnkKeyframes *keyframes, const GPtrArray *recent, guint index) {
  const MnkClusterState *cluster = mnk_keyframes_cluster(keyframes, index);
  guint shown = 0;
  for (guint i = 0; i < recent->len; i++)
    for (guint j = 0; j < keyframes->recent->len; j++)
      shown += keyframes->recent->pdata[j] == recent->pdata[i] &&
               g_array_index(keyframes->recent_ids, guint64, j) == cluster->id;
  return shown >= cluster->frames;
}

static int better_first(const void *a, const void *b) {
  const Wanted *x = a, *y = b;
  if (x->score != y->score)
    return x->score > y->score ? -1 : 1;
  return x->order > y->order ? -1 : 1;
}

/* The chosen of the long memory, their neighbours, and the buffer; best first. */
static GArray *choose(MnkKeyframes *keyframes, const MnkRecallConfig *config,
                      const GPtrArray *recent, const float *scores) {
  GArray *all = g_array_new(FALSE, FALSE, sizeof(Wanted));
  g_array_set_clear_func(all, clear_wanted);
  guint past = keyframes->past->len, count = mnk_keyframes_count(keyframes);
  g_autofree guint *best = g_new(guint, MIN(config->topk, past) + 1);
  g_autofree guint8 *role = g_new0(guint8, (gsize)past + 1);
  enum { NONE, NEIGHBOUR, CHOSEN };
  guint chosen = mnk_rank_top(scores, past, MIN(config->topk, past), best);
  keyframes->recalls++;
  for (guint i = 0; i < chosen; i++) {
    guint first = best[i] - MIN(best[i], config->neighbours);
    for (guint j = first; j < past && j - first <= best[i] - first + config->neighbours; j++)
      role[j] = MAX(role[j], (guint8)NEIGHBOUR);
  }
  for (guint i = 0; i < chosen; i++) {
    role[best[i]] = CHOSEN;
    ((MnkClusterState *)keyframes->past->pdata[best[i]])->used = keyframes->recalls;
  }
  for (guint i = 0; i < count; i++) {
    int why = i >= past           ? MNK_RECALL_BUFFER
              : role[i] == CHOSEN ? MNK_RECALL_CHOSEN
                                  : MNK_RECALL_NEIGHBOUR;
    if ((i >= past || role[i] != NONE) && !all_recent(keyframes, recent, i))
      want(all, keyframes, recent, i, scores[i], why);
  }
  if (all->len > 0)
    qsort(all->data, all->len, sizeof(Wanted), better_first);
  return all;
}

/* ---- How much of each ---- */

/* Each cluster first gets one frame's worth, best scores first; what then is left lets them show
 * further members, best first again. One very good cluster does not push out all others. */
static void share_out(GArray *all, guint64 left) {
  for (guint i = 0; i < all->len; i++) {
    Wanted *wanted = &g_array_index(all, Wanted, i);
    if (wanted->cluster->n > left)
      continue;
    left -= wanted->cluster->n;
    wanted->merged = wanted->members->len == 0;
    wanted->shown = !wanted->merged;
  }
  for (guint i = 0; i < all->len; i++) {
    Wanted *wanted = &g_array_index(all, Wanted, i);
    if (wanted->shown == 0)
      continue;
    guint more = (guint)MIN(wanted->members->len - 1, left / wanted->cluster->n);
    wanted->shown += more;
    left -= (guint64)more * wanted->cluster->n;
  }
}

static void add_block(GPtrArray *out, MnkTokens *tokens, const Wanted *wanted, gboolean merged) {
  MnkRecalled *recalled = g_new0(MnkRecalled, 1);
  recalled->tokens = mnk_tokens_ref(tokens);
  recalled->cluster = wanted->cluster->id;
  recalled->first_ms = merged ? wanted->cluster->first_ms : mnk_tokens_pts_ms(tokens);
  recalled->last_ms = merged ? wanted->cluster->last_ms : mnk_tokens_pts_ms(tokens);
  recalled->score = wanted->score;
  recalled->why = wanted->why;
  recalled->merged = merged;
  g_ptr_array_add(out, recalled);
}

static void add_wanted(GPtrArray *out, const Wanted *wanted) {
  if (wanted->merged) {
    mnk_cluster_keys(wanted->cluster);
    add_block(out, wanted->cluster->merged, wanted, TRUE);
    return;
  }
  /* evenly spread, from the first to the last; one: from the middle */
  guint n = wanted->members->len, shown = wanted->shown;
  for (guint i = 0; i < shown; i++) {
    guint at = shown > 1 ? (guint)((guint64)i * (n - 1) / (shown - 1)) : (n - 1) / 2;
    add_block(out, wanted->members->pdata[at], wanted, FALSE);
  }
}

/* ---- Recent frames ---- */

static GPtrArray *newest(const MnkKeyframes *keyframes, guint n) {
  GPtrArray *recent = g_ptr_array_new();
  for (guint i = keyframes->recent->len - MIN(n, keyframes->recent->len);
       i < keyframes->recent->len; i++)
    g_ptr_array_add(recent, keyframes->recent->pdata[i]);
  return recent;
}

static float score_of(const MnkKeyframes *keyframes, const float *scores, guint64 id) {
  for (guint i = 0; scores != NULL && i < mnk_keyframes_count(keyframes); i++)
    if (mnk_keyframes_cluster(keyframes, i)->id == id)
      return scores[i];
  return NAN;
}

static void add_recent(GPtrArray *out, const MnkKeyframes *keyframes, guint n,
                       const float *scores) {
  guint first = keyframes->recent->len - n;
  for (guint i = first; i < keyframes->recent->len; i++) {
    guint64 id = g_array_index(keyframes->recent_ids, guint64, i);
    MnkRecalled *recalled = g_new0(MnkRecalled, 1);
    recalled->tokens = mnk_tokens_ref(keyframes->recent->pdata[i]);
    recalled->cluster = mnk_keyframes_find(keyframes, id) != NULL ? id : 0;
    recalled->first_ms = recalled->last_ms = mnk_tokens_pts_ms(recalled->tokens);
    recalled->score = score_of(keyframes, scores, id);
    recalled->why = MNK_RECALL_RECENT;
    g_ptr_array_add(out, recalled);
  }
}

static int by_time(gconstpointer a, gconstpointer b) {
  const MnkRecalled *x = *(const MnkRecalled *const *)a, *y = *(const MnkRecalled *const *)b;
  if (x->first_ms != y->first_ms)
    return x->first_ms < y->first_ms ? -1 : 1;
  if (x->cluster != y->cluster)
    return x->cluster < y->cluster ? -1 : 1;
  return 0;
}

GPtrArray *mnk_recall(MnkKeyframes *keyframes, const MnkRecallConfig *config, const float *scores) {
  GPtrArray *out = g_ptr_array_new_with_free_func(free_recalled);
  g_autoptr(GPtrArray) recent = newest(keyframes, config->recent);
  guint64 left = config->tokens_max > 0 ? config->tokens_max : G_MAXUINT64;
  for (guint i = 0; i < recent->len; i++)
    left -= MIN(left, mnk_tokens_count(recent->pdata[i]));
  if (config->history && scores != NULL) {
    g_autoptr(GArray) all = choose(keyframes, config, recent, scores);
    share_out(all, left);
    for (guint i = 0; i < all->len; i++)
      add_wanted(out, &g_array_index(all, Wanted, i));
  }
  add_recent(out, keyframes, recent->len, scores);
  g_ptr_array_sort(out, by_time);
  return out;
}

gboolean mnk_recall_needs_history(const MnkKeyframes *keyframes, const float *scores,
                                  float margin) {
  float past = -INFINITY, now = -INFINITY;
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++) {
    float *most = i < keyframes->past->len ? &past : &now;
    *most = MAX(*most, scores[i]);
  }
  return past > now + margin;
}
