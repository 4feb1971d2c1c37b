/* The story: from what is worth saying now, and what was before, to clauses. */
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
  if (topics->n < MNK_CONTENT_SAID)
    topics->at[topics->n++] = topic;
}

static MnkTopics only(const MnkTopic *topic) {
  return (MnkTopics){.n = 1, .at = {topic}};
}

static MnkClause *add_clause(MnkStory *story, MnkSay say, const MnkContent *content) {
  if (story->n[0] == MNK_STORY_CLAUSES)
    return NULL;
  MnkClause *clause = &story->clauses[0][story->n[0]++];
  *clause = (MnkClause){.say = say, .content = content};
  return clause;
}

/* A clause about known things, another about new ones: most of what there is to say. */
static void say_of_olds(MnkStory *story, MnkSay say, const MnkContent *content, MnkTopics olds) {
  MnkClause *clause = add_clause(story, say, content);
  if (clause != NULL)
    clause->olds = olds;
}

static void say_of_news(MnkStory *story, MnkSay say, const MnkContent *content, MnkTopics news) {
  MnkClause *clause = add_clause(story, say, content);
  if (clause != NULL)
    clause->news = news;
}

static void split_by_band(const MnkContent *content, MnkTopics *sure, MnkTopics *maybe) {
  for (guint i = 0; i < content->n_said; i++) {
    const MnkTopic *topic = &content->topics[i];
    add_to(topic->band == MNK_BAND_PROBABLE ? maybe : sure, topic);
  }
}

static gboolean was_said(const MnkContent *content, const MnkTopic *topic) {
  const MnkTopic *found = mnk_content_find(content, topic);
  return found != NULL && (guint)(found - content->topics) < content->n_said;
}

static gboolean same_topics(const MnkContent *content, const MnkContent *before) {
  if (content->n_said != before->n_said)
    return FALSE;
  for (guint i = 0; i < content->n_said; i++) {
    const MnkTopic *topic = &content->topics[i], *then = mnk_content_find(before, topic);
    if (!was_said(before, topic) || then->concept != topic->concept ||
        mnk_topic_count_class(then) != mnk_topic_count_class(topic) ||
        then->posture != topic->posture || then->worn != topic->worn)
      return FALSE;
  }
  return TRUE;
}

/* ---- camera and text: the same way in every story ---- */

static void tell_camera(MnkStory *story, const MnkContent *content, const MnkContent *before) {
  MnkCamera then = before != NULL ? before->camera : MNK_CAMERA_STILL;
  if (content->camera == MNK_CAMERA_STILL && then == MNK_CAMERA_STILL)
    return;
  MnkSay say = before == NULL                        ? MNK_SAY_CAMERA
               : content->camera == then             ? MNK_SAY_CAMERA_STILL
               : content->camera == MNK_CAMERA_STILL ? MNK_SAY_CAMERA_STOPPED
                                                     : MNK_SAY_CAMERA_NOW;
  MnkClause *clause = add_clause(story, say, content);
  if (clause != NULL)
    clause->camera = content->camera;
}

static void tell_text(MnkStory *story, const MnkContent *content, const MnkContent *before) {
  enum { MANY_LINES = 5 };
  MnkSay say = content->n_lines >= MANY_LINES ? MNK_SAY_TEXT_MUCH : MNK_SAY_TEXT;
  if (before != NULL && mnk_content_same_text(content, before))
    return;
  if (content->n_texts == 0) {
    if (before == NULL || before->n_texts == 0 || story->n[0] > 1)
      return;
    say = MNK_SAY_TEXT_GONE;
  } else if (before != NULL && before->n_texts > 0) {
    say = MNK_SAY_TEXT_NOW;
  }
  guint sentence = 1;
  if (story->n[0] == 1 && content->n_said == 0 && say < MNK_SAY_TEXT_SAME &&
      story->clauses[0][0].say >= MNK_SAY_CAMERA) {
    /* Words before the camera that films them. */
    story->clauses[1][0] = story->clauses[0][0];
    story->n[1] = 1;
    sentence = 0;
  }
  story->clauses[sentence][0] = (MnkClause){.say = say, .content = content};
  story->n[sentence] = 1;
}

/* ---- a picture told from nothing ---- */

static gboolean acts_alone(const MnkContent *content) {
  return content->n_said == 1 && content->n_actions > 0 &&
         content->topics[0].band == MNK_BAND_SURE &&
         content->actions[0].times >= content->topics[0].count;
}

static void tell_actions(MnkStory *story, const MnkContent *content, const MnkContent *before) {
  for (guint i = 0; i < content->n_actions && story->n[0] < MNK_STORY_CLAUSES - 1; i++) {
    const MnkContentAction *action = &content->actions[i];
    const MnkTopic *who = &content->topics[action->topic];
    MnkSay say = action->times < who->count ? MNK_SAY_ONE_ACTS : MNK_SAY_ACTS;
    for (guint k = 0; before != NULL && k < before->n_actions; k++) {
      const MnkTopic *then = &before->topics[before->actions[k].topic];
      if (say == MNK_SAY_ACTS && before->actions[k].action == action->action &&
          mnk_content_find(content, then) == who && action->action > MNK_ACTION_LEAVES)
        say = MNK_SAY_KEEPS_ACTING;
    }
    MnkClause *clause = add_clause(story, say, content);
    if (clause == NULL)
      return;
    clause->olds = only(who);
    clause->pronoun = before == NULL && content->n_said == 1;
    clause->action = action->action;
  }
}

static void tell_one_posture(MnkStory *story, const MnkContent *content) {
  for (guint i = 0; i < content->n_said; i++)
    if (mnk_topic_is_person(&content->topics[i]) && content->one_posture != MNK_POSTURE_NONE) {
      MnkClause *clause = add_clause(story, MNK_SAY_ONE_POSTURE, content);
      if (clause == NULL)
        return;
      clause->olds = only(&content->topics[i]);
      clause->pronoun = content->n_said == 1;
      clause->posture = content->one_posture;
    }
}

static void tell_emptiness(MnkStory *story, const MnkContent *content) {
  if (content->n_texts > 0)
    return;
  MnkSay say = content->light >= MNK_LIGHT_BLACK || content->light == MNK_LIGHT_DARK ? MNK_SAY_BLANK
               : content->light != MNK_LIGHT_USUAL ? MNK_SAY_NOTHING_LIT
                                                   : MNK_SAY_NOTHING;
  add_clause(story, say, content);
}

static MnkSay how_to_show(const MnkContent *content, const MnkTopics *sure,
                          const MnkTopics *maybe) {
  const MnkTopic *first = &content->topics[0];
  if (acts_alone(content))
    return MNK_SAY_SHOW_ACTING;
  if (first->concept->kind == MNK_CONCEPT_PLACE)
    return sure->n > 0 ? MNK_SAY_SHOW_PLACE : MNK_SAY_SHOW_PLACE_MAYBE;
  if (content->n_said == 1 && sure->n == 1 && first->posture != MNK_POSTURE_NONE)
    return MNK_SAY_SHOW_POSED;
  if (content->n_said == 1 && sure->n == 1 && first->spot == MNK_SPOT_FILLS)
    return MNK_SAY_SHOW_LARGE;
  if (maybe->n == 0)
    return MNK_SAY_SHOW;
  return sure->n == 0 ? MNK_SAY_SHOW_MAYBE : MNK_SAY_SHOW_AND_MAYBE;
}

static void tell_picture(MnkStory *story, const MnkContent *content, MnkOpener opener, guint turn) {
  MnkTopics sure = {0}, maybe = {0};
  split_by_band(content, &sure, &maybe);
  story->from_nothing = TRUE;
  if (content->n_said == 0) {
    tell_emptiness(story, content);
    return;
  }
  MnkClause *clause = add_clause(story, how_to_show(content, &sure, &maybe), content);
  clause->opener = opener;
  clause->turn = turn;
  clause->news = sure;
  clause->maybes = maybe;
  clause->posture = content->topics[0].posture;
  if (clause->say == MNK_SAY_SHOW_ACTING)
    clause->action = content->actions[0].action;
  else
    tell_actions(story, content, NULL);
  if (story->n[0] == 1)
    tell_one_posture(story, content);
  if (content->light == MNK_LIGHT_DARK && story->n[0] == 1)
    add_clause(story, MNK_SAY_DARK, content);
}

/* ---- what has changed ---- */

typedef struct {
  MnkTopics joined, joined_maybe; /* of now */
  MnkTopics stayed, stayed_maybe; /* of now */
  MnkTopics gone;                 /* of before */
} Change;

static void find_change(Change *change, const MnkContent *content, const MnkContent *before) {
  memset(change, 0, sizeof *change);
  for (guint i = 0; i < content->n_said; i++) {
    const MnkTopic *topic = &content->topics[i];
    gboolean maybe = topic->band == MNK_BAND_PROBABLE;
    if (mnk_content_find(before, topic) != NULL)
      add_to(maybe ? &change->stayed_maybe : &change->stayed, topic);
    else
      add_to(maybe ? &change->joined_maybe : &change->joined, topic);
  }
  for (guint i = 0; i < before->n_said; i++) {
    const MnkTopic *topic = &before->topics[i];
    if (topic->band == MNK_BAND_SURE && mnk_content_find(content, topic) == NULL &&
        (content->setting == NULL || !mnk_concept_is_a(content->setting->name, topic->exact->name)))
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

static const MnkContentAction *action_of(const MnkContent *content, const MnkTopic *topic) {
  for (guint i = 0; i < content->n_actions; i++)
    if (&content->topics[content->actions[i].topic] == topic)
      return &content->actions[i];
  return NULL;
}

static void tell_joined(MnkStory *story, const Change *change, const MnkContent *content) {
  if (change->joined.n == 0)
    return;
  const MnkContentAction *action = action_of(content, change->joined.at[0]);
  if (change->joined.n == 1 && action != NULL && action->times >= change->joined.at[0]->count) {
    MnkClause *clause = add_clause(story, MNK_SAY_SHOW_ACTING, content);
    clause->news = change->joined;
    clause->action = action->action;
    return;
  }
  MnkTopics company = living(&change->stayed), guests = living(&change->joined);
  if (company.n > 0 && guests.n == change->joined.n) {
    MnkClause *clause = add_clause(story, MNK_SAY_JOINED, content);
    clause->news = change->joined;
    clause->olds = company;
  } else {
    say_of_news(story, MNK_SAY_CAME, content, change->joined);
  }
}

static void tell_gone(MnkStory *story, const Change *change, const MnkContent *content) {
  if (change->gone.n == 0)
    return;
  say_of_olds(story, MNK_SAY_GONE, content, change->gone);
  if (change->joined.n == 0 && change->stayed.n > 0)
    say_of_olds(story, MNK_SAY_REMAINS, content, change->stayed);
}

static float shift(const MnkBox *a, const MnkBox *b) {
  return fabsf(a->x + a->w / 2 - b->x - b->w / 2);
}

/* What is new about one thing that stayed; FALSE: nothing. */
static gboolean tell_stayed(MnkStory *story, const MnkTopic *topic, const MnkTopic *then,
                            const MnkContent *content) {
  MnkClause *clause = NULL;
  if (then->concept != topic->concept && then->band == MNK_BAND_VAGUE &&
      mnk_concept_is_a(topic->concept->name, then->concept->name)) {
    clause = add_clause(story, MNK_SAY_CLEARER, content);
    clause->olds = only(then);
    clause->news = only(topic);
  } else if (topic->counted && then->counted && topic->concept->plural != NULL &&
             MIN(topic->count, 4) != MIN(then->count, 4)) {
    clause = add_clause(story, topic->count > then->count ? MNK_SAY_MORE : MNK_SAY_FEWER, content);
    clause->news = only(topic);
  } else if (topic->posture != then->posture && topic->posture != MNK_POSTURE_NONE) {
    clause = add_clause(story, MNK_SAY_POSTURE, content);
    clause->olds = only(topic);
    clause->posture = topic->posture;
  } else if (topic->spot != then->spot && topic->spot != MNK_SPOT_NONE &&
             topic->spot != MNK_SPOT_FILLS && then->spot != MNK_SPOT_NONE &&
             shift(&topic->box, &then->box) >= MOVED) {
    clause = add_clause(story, MNK_SAY_MOVED, content);
    clause->olds = only(topic);
  }
  return clause != NULL;
}

static void tell_all_stayed(MnkStory *story, const Change *change, const MnkContent *content,
                            const MnkContent *before) {
  for (guint i = 0; i < change->stayed.n && story->n[0] < MNK_STORY_CLAUSES - 1; i++) {
    const MnkTopic *topic = change->stayed.at[i];
    tell_stayed(story, topic, mnk_content_find(before, topic), content);
  }
}

static void tell_same(MnkStory *story, const Change *change, const MnkContent *content,
                      gint64 lasting_ms) {
  MnkSay say = change->stayed.n > 1    ? MNK_SAY_SAME
               : change->stayed.n == 1 ? MNK_SAY_SAME_ONE
                                       : MNK_SAY_SAME_MAYBE;
  MnkClause *clause = add_clause(story, say, content);
  clause->olds = change->stayed.n > 0 ? change->stayed : change->stayed_maybe;
  clause->lasting_ms = lasting_ms;
}

static void tell_still_empty(MnkStory *story, const MnkContent *content, const MnkContent *before,
                             gint64 lasting_ms) {
  gboolean same_text = mnk_content_same_text(content, before);
  if (content->n_texts > 0 && !same_text)
    return;
  gboolean blank = content->light >= MNK_LIGHT_BLACK || content->light == MNK_LIGHT_DARK;
  MnkSay say = content->n_texts > 0 ? MNK_SAY_TEXT_SAME
               : blank              ? MNK_SAY_BLANK_STILL
                                    : MNK_SAY_NOTHING_STILL;
  if (blank && content->n_texts == 0 && content->light != before->light) {
    tell_emptiness(story, content);
    return;
  }
  MnkClause *clause = add_clause(story, say, content);
  clause->lasting_ms = lasting_ms;
  story->unchanged = TRUE;
}

static void tell_change(MnkStory *story, const MnkContent *content, const MnkContent *before,
                        gint64 lasting_ms) {
  Change change;
  find_change(&change, content, before);
  tell_gone(story, &change, content);
  tell_joined(story, &change, content);
  if (story->n[0] == 0) {
    tell_actions(story, content, before);
    tell_all_stayed(story, &change, content, before);
  }
  if (story->n[0] == 0 && change.joined_maybe.n > 0) {
    MnkClause *clause = add_clause(story, MNK_SAY_CAME_MAYBE, content);
    clause->maybes = change.joined_maybe;
  }
  if (story->n[0] == 0 && content->n_said == 0) {
    tell_still_empty(story, content, before, lasting_ms);
  } else if (story->n[0] == 0) {
    tell_same(story, &change, content, lasting_ms);
    story->unchanged = content->camera == before->camera && mnk_content_same_text(content, before);
  }
}

/* ---- the whole ---- */

gboolean mnk_content_continues(const MnkContent *content, const MnkContent *before) {
  if (before == NULL || before->gap != NULL || content->gap != NULL || content->after_cut)
    return FALSE;
  if (content->n_said == 0)
    return TRUE;
  for (guint i = 0; i < content->n_said; i++)
    if (mnk_content_find(before, &content->topics[i]) != NULL)
      return TRUE;
  return FALSE;
}

static MnkOpener opener_for(const MnkContent *content, const MnkContent *before) {
  if (before == NULL || before->gap != NULL)
    return MNK_OPENER_NONE;
  if (!content->after_cut)
    return MNK_OPENER_NOW;
  return same_topics(content, before) ? MNK_OPENER_AGAIN : MNK_OPENER_CUT;
}

void mnk_story_tell(MnkStory *story, const MnkContent *content, const MnkEarlier *earlier) {
  const MnkContent *before = earlier->before;
  memset(story, 0, sizeof *story);
  if (content->gap != NULL) {
    add_clause(story, MNK_SAY_GAP, content);
    return;
  }
  gboolean goes_on = mnk_content_continues(content, before);
  if (!goes_on)
    tell_picture(story, content, opener_for(content, before), earlier->shots);
  else
    tell_change(story, content, before, content->end_ms - earlier->since_ms);
  tell_camera(story, content, goes_on ? before : NULL);
  tell_text(story, content, goes_on ? before : NULL);
}
