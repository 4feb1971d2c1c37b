/* The story: from a plan, and the plan before, to clauses. */
#include "language/story_priv.h"

#include <math.h>
#include <string.h>

static const float MOVED = 0.25f; /* of the picture's width: a thing is elsewhere */

gboolean mnk_topic_is_person(const MnkTopic *topic) {
  return topic->concept->kind == MNK_CONCEPT_PERSON;
}

gboolean mnk_topic_is_living(const MnkTopic *topic) {
  return mnk_topic_is_person(topic) || topic->concept->kind == MNK_CONCEPT_ANIMAL;
}

guint mnk_topic_count_class(const MnkTopic *topic) {
  if (topic->count <= 3)
    return MAX(topic->count, 1);
  return mnk_topic_is_person(topic) && topic->count >= 5 ? 5 : 4;
}

/* ---- building blocks ---- */

static void add_to(MnkTopics *topics, const MnkTopic *topic) {
  if (topics->n < MNK_PLAN_SAID)
    topics->at[topics->n++] = topic;
}

static MnkTopics only(const MnkTopic *topic) {
  return (MnkTopics){.n = 1, .at = {topic}};
}

static MnkClause *add_clause(MnkStory *story, MnkSay say, const MnkTelling *plan) {
  if (story->n[0] == MNK_STORY_CLAUSES)
    return NULL;
  MnkClause *clause = &story->clauses[0][story->n[0]++];
  *clause = (MnkClause){.say = say, .plan = plan};
  return clause;
}

/* A clause about known things, another about new ones: most of what there is to say. */
static void say_of_olds(MnkStory *story, MnkSay say, const MnkTelling *plan, MnkTopics olds) {
  MnkClause *clause = add_clause(story, say, plan);
  if (clause != NULL)
    clause->olds = olds;
}

static void say_of_news(MnkStory *story, MnkSay say, const MnkTelling *plan, MnkTopics news) {
  MnkClause *clause = add_clause(story, say, plan);
  if (clause != NULL)
    clause->news = news;
}

static void split_by_band(const MnkTelling *plan, MnkTopics *sure, MnkTopics *maybe) {
  for (guint i = 0; i < plan->n_said; i++) {
    const MnkTopic *topic = &plan->topics[i];
    add_to(topic->band == MNK_BAND_PROBABLE ? maybe : sure, topic);
  }
}

static gboolean was_said(const MnkTelling *plan, const MnkTopic *topic) {
  const MnkTopic *found = mnk_telling_find(plan, topic);
  return found != NULL && (guint)(found - plan->topics) < plan->n_said;
}

static gboolean same_topics(const MnkTelling *plan, const MnkTelling *before) {
  if (plan->n_said != before->n_said)
    return FALSE;
  for (guint i = 0; i < plan->n_said; i++) {
    const MnkTopic *topic = &plan->topics[i], *then = mnk_telling_find(before, topic);
    if (!was_said(before, topic) || then->concept != topic->concept ||
        mnk_topic_count_class(then) != mnk_topic_count_class(topic) ||
        then->posture != topic->posture || then->worn != topic->worn)
      return FALSE;
  }
  return TRUE;
}

/* ---- camera and text: the same way in every story ---- */

static void tell_camera(MnkStory *story, const MnkTelling *plan, const MnkTelling *before) {
  MnkCamera then = before != NULL ? before->camera : MNK_CAMERA_STILL;
  if (plan->camera == MNK_CAMERA_STILL && then == MNK_CAMERA_STILL)
    return;
  MnkSay say = before == NULL                     ? MNK_SAY_CAMERA
               : plan->camera == then             ? MNK_SAY_CAMERA_STILL
               : plan->camera == MNK_CAMERA_STILL ? MNK_SAY_CAMERA_STOPPED
                                                  : MNK_SAY_CAMERA_NOW;
  MnkClause *clause = add_clause(story, say, plan);
  if (clause != NULL)
    clause->camera = plan->camera;
}

static void tell_text(MnkStory *story, const MnkTelling *plan, const MnkTelling *before) {
  enum { MANY_LINES = 5 };
  MnkSay say = plan->n_lines >= MANY_LINES ? MNK_SAY_TEXT_MUCH : MNK_SAY_TEXT;
  if (before != NULL && mnk_telling_same_text(plan, before))
    return;
  if (plan->n_texts == 0) {
    if (before == NULL || before->n_texts == 0 || story->n[0] > 1)
      return;
    say = MNK_SAY_TEXT_GONE;
  } else if (before != NULL && before->n_texts > 0) {
    say = MNK_SAY_TEXT_NOW;
  }
  story->clauses[1][0] = (MnkClause){.say = say, .plan = plan};
  story->n[1] = 1;
}

/* ---- a picture told from nothing ---- */

static gboolean acts_alone(const MnkTelling *plan) {
  return plan->n_said == 1 && plan->n_actions > 0 && plan->topics[0].band == MNK_BAND_SURE &&
         plan->actions[0].times >= plan->topics[0].count;
}

static void tell_actions(MnkStory *story, const MnkTelling *plan, const MnkTelling *before) {
  for (guint i = 0; i < plan->n_actions && story->n[0] < MNK_STORY_CLAUSES - 1; i++) {
    const MnkTellingAction *action = &plan->actions[i];
    const MnkTopic *who = &plan->topics[action->topic];
    MnkSay say = action->times < who->count ? MNK_SAY_ONE_ACTS : MNK_SAY_ACTS;
    for (guint k = 0; before != NULL && k < before->n_actions; k++) {
      const MnkTopic *then = &before->topics[before->actions[k].topic];
      if (say == MNK_SAY_ACTS && before->actions[k].action == action->action &&
          mnk_telling_find(plan, then) == who && action->action > MNK_ACTION_LEAVES)
        say = MNK_SAY_KEEPS_ACTING;
    }
    MnkClause *clause = add_clause(story, say, plan);
    if (clause == NULL)
      return;
    clause->olds = only(who);
    clause->pronoun = before == NULL && plan->n_said == 1;
    clause->action = action->action;
  }
}

static void tell_one_posture(MnkStory *story, const MnkTelling *plan) {
  for (guint i = 0; i < plan->n_said; i++)
    if (mnk_topic_is_person(&plan->topics[i]) && plan->one_posture != MNK_POSTURE_NONE) {
      MnkClause *clause = add_clause(story, MNK_SAY_ONE_POSTURE, plan);
      if (clause == NULL)
        return;
      clause->olds = only(&plan->topics[i]);
      clause->pronoun = plan->n_said == 1;
      clause->posture = plan->one_posture;
    }
}

static void tell_emptiness(MnkStory *story, const MnkTelling *plan) {
  if (plan->n_texts > 0)
    return;
  MnkSay say = plan->light >= MNK_LIGHT_BLACK || plan->light == MNK_LIGHT_DARK ? MNK_SAY_BLANK
               : plan->light != MNK_LIGHT_USUAL                                ? MNK_SAY_NOTHING_LIT
                                                                               : MNK_SAY_NOTHING;
  add_clause(story, say, plan);
}

static MnkSay how_to_show(const MnkTelling *plan, const MnkTopics *sure, const MnkTopics *maybe) {
  const MnkTopic *first = &plan->topics[0];
  if (acts_alone(plan))
    return MNK_SAY_SHOW_ACTING;
  if (first->concept->kind == MNK_CONCEPT_PLACE)
    return sure->n > 0 ? MNK_SAY_SHOW_PLACE : MNK_SAY_SHOW_PLACE_MAYBE;
  if (plan->n_said == 1 && sure->n == 1 && first->posture != MNK_POSTURE_NONE)
    return MNK_SAY_SHOW_POSED;
  if (plan->n_said == 1 && sure->n == 1 && first->spot == MNK_SPOT_FILLS)
    return MNK_SAY_SHOW_LARGE;
  if (maybe->n == 0)
    return MNK_SAY_SHOW;
  return sure->n == 0 ? MNK_SAY_SHOW_MAYBE : MNK_SAY_SHOW_AND_MAYBE;
}

static void tell_picture(MnkStory *story, const MnkTelling *plan, MnkOpener opener, guint turn) {
  MnkTopics sure = {0}, maybe = {0};
  split_by_band(plan, &sure, &maybe);
  story->from_nothing = TRUE;
  if (plan->n_said == 0) {
    tell_emptiness(story, plan);
    return;
  }
  MnkClause *clause = add_clause(story, how_to_show(plan, &sure, &maybe), plan);
  clause->opener = opener;
  clause->turn = turn;
  clause->news = sure;
  clause->maybes = maybe;
  clause->posture = plan->topics[0].posture;
  if (clause->say == MNK_SAY_SHOW_ACTING)
    clause->action = plan->actions[0].action;
  else
    tell_actions(story, plan, NULL);
  if (story->n[0] == 1)
    tell_one_posture(story, plan);
  if (plan->light == MNK_LIGHT_DARK && story->n[0] == 1)
    add_clause(story, MNK_SAY_DARK, plan);
}

/* ---- what has changed ---- */

typedef struct {
  MnkTopics joined, joined_maybe; /* of the plan */
  MnkTopics stayed, stayed_maybe; /* of the plan */
  MnkTopics gone;                 /* of the plan before */
} Change;

static void find_change(Change *change, const MnkTelling *plan, const MnkTelling *before) {
  memset(change, 0, sizeof *change);
  for (guint i = 0; i < plan->n_said; i++) {
    const MnkTopic *topic = &plan->topics[i];
    gboolean maybe = topic->band == MNK_BAND_PROBABLE;
    if (mnk_telling_find(before, topic) != NULL)
      add_to(maybe ? &change->stayed_maybe : &change->stayed, topic);
    else
      add_to(maybe ? &change->joined_maybe : &change->joined, topic);
  }
  for (guint i = 0; i < before->n_said; i++) {
    const MnkTopic *topic = &before->topics[i];
    if (topic->band == MNK_BAND_SURE && mnk_telling_find(plan, topic) == NULL &&
        (plan->setting == NULL || !mnk_concept_is_a(plan->setting->name, topic->exact->name)))
      add_to(&change->gone, topic);
  }
}

static MnkTopics living(const MnkTopics *topics) {
  MnkTopics out = {0};
  for (guint i = 0; i < topics->n; i++)
    if (mnk_topic_is_living(topics->at[i]))
      add_to(&out, topics->at[i]);
  return out;
}

static const MnkTellingAction *action_of(const MnkTelling *plan, const MnkTopic *topic) {
  for (guint i = 0; i < plan->n_actions; i++)
    if (&plan->topics[plan->actions[i].topic] == topic)
      return &plan->actions[i];
  return NULL;
}

static void tell_joined(MnkStory *story, const Change *change, const MnkTelling *plan) {
  if (change->joined.n == 0)
    return;
  const MnkTellingAction *action = action_of(plan, change->joined.at[0]);
  if (change->joined.n == 1 && action != NULL && action->times >= change->joined.at[0]->count) {
    MnkClause *clause = add_clause(story, MNK_SAY_SHOW_ACTING, plan);
    clause->news = change->joined;
    clause->action = action->action;
    return;
  }
  MnkTopics company = living(&change->stayed), guests = living(&change->joined);
  if (company.n > 0 && guests.n == change->joined.n) {
    MnkClause *clause = add_clause(story, MNK_SAY_JOINED, plan);
    clause->news = change->joined;
    clause->olds = company;
  } else {
    say_of_news(story, MNK_SAY_CAME, plan, change->joined);
  }
}

static void tell_gone(MnkStory *story, const Change *change, const MnkTelling *plan) {
  if (change->gone.n == 0)
    return;
  say_of_olds(story, MNK_SAY_GONE, plan, change->gone);
  if (change->joined.n == 0 && change->stayed.n > 0)
    say_of_olds(story, MNK_SAY_REMAINS, plan, change->stayed);
}

static float shift(const MnkBox *a, const MnkBox *b) {
  return fabsf(a->x + a->w / 2 - b->x - b->w / 2);
}

/* What is new about one thing that stayed; FALSE: nothing. */
static gboolean tell_stayed(MnkStory *story, const MnkTopic *topic, const MnkTopic *then,
                            const MnkTelling *plan) {
  MnkClause *clause = NULL;
  if (then->concept != topic->concept && then->band == MNK_BAND_VAGUE &&
      mnk_concept_is_a(topic->concept->name, then->concept->name)) {
    clause = add_clause(story, MNK_SAY_CLEARER, plan);
    clause->olds = only(then);
    clause->news = only(topic);
  } else if (topic->counted && then->counted && topic->concept->plural != NULL &&
             MIN(topic->count, 4) != MIN(then->count, 4)) {
    clause = add_clause(story, topic->count > then->count ? MNK_SAY_MORE : MNK_SAY_FEWER, plan);
    clause->news = only(topic);
  } else if (topic->posture != then->posture && topic->posture != MNK_POSTURE_NONE) {
    clause = add_clause(story, MNK_SAY_POSTURE, plan);
    clause->olds = only(topic);
    clause->posture = topic->posture;
  } else if (topic->spot != then->spot && topic->spot != MNK_SPOT_NONE &&
             topic->spot != MNK_SPOT_FILLS && then->spot != MNK_SPOT_NONE &&
             shift(&topic->box, &then->box) >= MOVED) {
    clause = add_clause(story, MNK_SAY_MOVED, plan);
    clause->olds = only(topic);
  }
  return clause != NULL;
}

static void tell_all_stayed(MnkStory *story, const Change *change, const MnkTelling *plan,
                            const MnkTelling *before) {
  for (guint i = 0; i < change->stayed.n && story->n[0] < MNK_STORY_CLAUSES - 1; i++) {
    const MnkTopic *topic = change->stayed.at[i];
    tell_stayed(story, topic, mnk_telling_find(before, topic), plan);
  }
}

static void tell_same(MnkStory *story, const Change *change, const MnkTelling *plan,
                      gint64 lasting_ms) {
  MnkSay say = change->stayed.n > 1    ? MNK_SAY_SAME
               : change->stayed.n == 1 ? MNK_SAY_SAME_ONE
                                       : MNK_SAY_SAME_MAYBE;
  MnkClause *clause = add_clause(story, say, plan);
  clause->olds = change->stayed.n > 0 ? change->stayed : change->stayed_maybe;
  clause->lasting_ms = lasting_ms;
}

static void tell_still_empty(MnkStory *story, const MnkTelling *plan, const MnkTelling *before,
                             gint64 lasting_ms) {
  gboolean same_text = mnk_telling_same_text(plan, before);
  if (plan->n_texts > 0 && !same_text)
    return;
  gboolean blank = plan->light >= MNK_LIGHT_BLACK || plan->light == MNK_LIGHT_DARK;
  MnkSay say = plan->n_texts > 0 ? MNK_SAY_TEXT_SAME
               : blank           ? MNK_SAY_BLANK_STILL
                                 : MNK_SAY_NOTHING_STILL;
  if (blank && plan->n_texts == 0 && plan->light != before->light) {
    tell_emptiness(story, plan);
    return;
  }
  MnkClause *clause = add_clause(story, say, plan);
  clause->lasting_ms = lasting_ms;
  story->unchanged = TRUE;
}

static void tell_change(MnkStory *story, const MnkTelling *plan, const MnkTelling *before,
                        gint64 lasting_ms) {
  Change change;
  find_change(&change, plan, before);
  tell_gone(story, &change, plan);
  tell_joined(story, &change, plan);
  if (story->n[0] == 0) {
    tell_actions(story, plan, before);
    tell_all_stayed(story, &change, plan, before);
  }
  if (story->n[0] == 0 && change.joined_maybe.n > 0) {
    MnkClause *clause = add_clause(story, MNK_SAY_CAME_MAYBE, plan);
    clause->maybes = change.joined_maybe;
  }
  if (story->n[0] == 0 && plan->n_said == 0) {
    tell_still_empty(story, plan, before, lasting_ms);
  } else if (story->n[0] == 0) {
    tell_same(story, &change, plan, lasting_ms);
    story->unchanged = plan->camera == before->camera && mnk_telling_same_text(plan, before);
  }
}

/* ---- the whole ---- */

gboolean mnk_telling_continues(const MnkTelling *plan, const MnkTelling *before) {
  if (before == NULL || before->gap != NULL || plan->gap != NULL || plan->after_cut)
    return FALSE;
  if (plan->n_said == 0)
    return TRUE;
  for (guint i = 0; i < plan->n_said; i++)
    if (mnk_telling_find(before, &plan->topics[i]) != NULL)
      return TRUE;
  return FALSE;
}

static MnkOpener opener_for(const MnkTelling *plan, const MnkTelling *before) {
  if (before == NULL || before->gap != NULL)
    return MNK_OPENER_NONE;
  if (!plan->after_cut)
    return MNK_OPENER_NOW;
  return same_topics(plan, before) ? MNK_OPENER_AGAIN : MNK_OPENER_CUT;
}

void mnk_story_tell(MnkStory *story, const MnkTelling *plan, const MnkContext *context) {
  const MnkTelling *before = context->before;
  memset(story, 0, sizeof *story);
  if (plan->gap != NULL) {
    add_clause(story, MNK_SAY_GAP, plan);
    return;
  }
  gboolean goes_on = mnk_telling_continues(plan, before);
  if (!goes_on)
    tell_picture(story, plan, opener_for(plan, before), context->shots);
  else
    tell_change(story, plan, before, plan->end_ms - context->since_ms);
  tell_camera(story, plan, goes_on ? before : NULL);
  tell_text(story, plan, goes_on ? before : NULL);
}
