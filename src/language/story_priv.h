/* Story: the clauses of one caption, in no language: what is told of a scene, given the one
 * before. */
#ifndef MNK_LANGUAGE_STORY_PRIV_H
#define MNK_LANGUAGE_STORY_PRIV_H

#include "language/content_priv.h"

/* What a clause says. Each grammar has its wording for each. */
typedef enum {
  MNK_SAY_GAP,              /* nothing was seen, and why */
  MNK_SAY_SHOW,             /* what the picture shows */
  MNK_SAY_SHOW_AND_MAYBE,   /* ... and what it probably shows */
  MNK_SAY_SHOW_MAYBE,       /* what it probably shows */
  MNK_SAY_SHOW_LARGE,       /* the one thing that it shows fills it */
  MNK_SAY_SHOW_POSED,       /* the one person that it shows stands, sits or lies */
  MNK_SAY_SHOW_PLACE,       /* nothing but a place */
  MNK_SAY_SHOW_PLACE_MAYBE, /* probably */
  MNK_SAY_SHOW_ACTING,      /* the one thing that it shows does something */
  MNK_SAY_ACTS,             /* something known does something */
  MNK_SAY_ONE_ACTS,         /* one of several does */
  MNK_SAY_KEEPS_ACTING,     /* it still does */
  MNK_SAY_POSTURE,          /* a person has changed posture */
  MNK_SAY_ONE_POSTURE,      /* one of several people sits, stands ... */
  MNK_SAY_JOINED,           /* a living thing has come to others */
  MNK_SAY_CAME,             /* something is in view that was not */
  MNK_SAY_CAME_MAYBE,       /* probably */
  MNK_SAY_GONE,             /* something is no longer in view */
  MNK_SAY_REMAINS,          /* and this is left */
  MNK_SAY_MORE,             /* there are more of them */
  MNK_SAY_FEWER,            /* there are fewer */
  MNK_SAY_MOVED,            /* it is elsewhere in the picture */
  MNK_SAY_CLEARER,          /* "the animal" turns out to be a cat */
  MNK_SAY_SAME,             /* nothing that is named has changed; several kinds of things */
  MNK_SAY_SAME_ONE,         /* one kind */
  MNK_SAY_SAME_MAYBE,       /* only probable things */
  MNK_SAY_DARK,             /* the picture is dark (beside what it shows) */
  MNK_SAY_BLANK,            /* the picture is blank or dark, and shows nothing else */
  MNK_SAY_BLANK_STILL,      /* and was so before */
  MNK_SAY_NOTHING,          /* nothing can be named */
  MNK_SAY_NOTHING_LIT,      /* in a dim or bright picture */
  MNK_SAY_NOTHING_STILL,    /* as before */
  MNK_SAY_CAMERA,           /* how the camera moves */
  MNK_SAY_CAMERA_NOW,       /* now, other than before */
  MNK_SAY_CAMERA_STILL,     /* as before */
  MNK_SAY_CAMERA_STOPPED,   /* no longer */
  MNK_SAY_TEXT,             /* what is written */
  MNK_SAY_TEXT_MUCH,        /* the largest of many lines */
  MNK_SAY_TEXT_NOW,         /* other than before */
  MNK_SAY_TEXT_SAME,        /* as before, and nothing else is known */
  MNK_SAY_TEXT_GONE,        /* no longer */
  MNK_SAY_N,
} MnkSay;

/* How a description of a whole picture begins. */
typedef enum {
  MNK_OPENER_NONE,
  MNK_OPENER_NOW,   /* other things than before in the same shot */
  MNK_OPENER_CUT,   /* after a cut */
  MNK_OPENER_AGAIN, /* after a cut, the same kinds of things */
  MNK_OPENER_N,
} MnkOpener;

/* Topics, borrowed. */
typedef struct {
  guint n;
  const MnkTopic *at[MNK_CONTENT_SAID];
} MnkTopics;

/* One clause: what it says, and all that its words can refer to. */
typedef struct {
  MnkSay say;
  MnkOpener opener;
  guint turn;       /* counts openers up, so that they vary */
  gboolean pronoun; /* the olds were named just now, and nothing else was */
  MnkTopics news;   /* said as new: "a cat" */
  MnkTopics maybes; /* said as new and probable */
  MnkTopics olds;   /* said as known: "the cat" */
  MnkAction action;
  MnkPosture posture;
  MnkCamera camera;
  const MnkContent *content;
  gint64 lasting_ms; /* how long nothing has changed */
} MnkClause;

enum { MNK_STORY_CLAUSES = 3, MNK_STORY_SENTENCES = 2 };

typedef struct {
  guint n[MNK_STORY_SENTENCES];
  MnkClause clauses[MNK_STORY_SENTENCES][MNK_STORY_CLAUSES];
  gboolean unchanged;    /* it tells that nothing has changed */
  gboolean from_nothing; /* it tells the picture anew */
} MnkStory;

/* What the story needs to know of those before it. */
typedef struct {
  const MnkContent *before; /* the scene before, or NULL */
  gint64 since_ms;          /* from when on nothing has changed */
  guint shots;              /* how many were told from nothing */
} MnkEarlier;

/* The story borrows from both contents. */
void mnk_story_tell(MnkStory *story, const MnkContent *content, const MnkEarlier *earlier);

/* TRUE when the content goes on in the shot of the scene before. */
gboolean mnk_content_continues(const MnkContent *content, const MnkContent *before);

/* Counts that are told apart: 1, 2, 3, several, and for people a group. */
guint mnk_topic_count_class(const MnkTopic *topic);
gboolean mnk_topic_is_person(const MnkTopic *topic);
/* A person or an animal. */
gboolean mnk_topic_is_living(const MnkTopic *topic);

#endif
