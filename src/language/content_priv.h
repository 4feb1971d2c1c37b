/* Content: what is worth saying about one scene, in no language. Plain data. */
#ifndef MNK_LANGUAGE_CONTENT_PRIV_H
#define MNK_LANGUAGE_CONTENT_PRIV_H

#include "facts/facts.h"

enum {
  MNK_CONTENT_TOPICS = 12, /* things kept of a scene, said or not */
  MNK_CONTENT_SAID = 3,    /* of these, how many a sentence names */
  MNK_CONTENT_ACTIONS = 2,
  MNK_CONTENT_TEXTS = 2,
  MNK_CONTENT_TEXT_CHARS = 60,
  MNK_CAPTION_CHARS = 200,
};

/* How sure a caption is of a name. */
typedef enum {
  MNK_BAND_SURE,     /* "a cat" */
  MNK_BAND_PROBABLE, /* "probably a cat" */
  MNK_BAND_VAGUE,    /* "some kind of animal": the topic's concept is the broader one */
  MNK_BAND_UNSAID,
} MnkBand;

/* Where in the picture. */
typedef enum {
  MNK_SPOT_NONE,
  MNK_SPOT_LEFT,
  MNK_SPOT_RIGHT,
  MNK_SPOT_MIDDLE,
  MNK_SPOT_TOP,
  MNK_SPOT_BOTTOM,
  MNK_SPOT_FRONT,
  MNK_SPOT_BACK,
  MNK_SPOT_FILLS, /* nowhere else: it fills most of it */
  MNK_SPOT_N,
} MnkSpot;

typedef enum {
  MNK_POSTURE_NONE,
  MNK_POSTURE_STANDING,
  MNK_POSTURE_SITTING,
  MNK_POSTURE_LYING,
  MNK_POSTURE_ARMS_RAISED,
  MNK_POSTURE_N,
} MnkPosture;

typedef enum {
  MNK_ACTION_ENTERS,
  MNK_ACTION_LEAVES,
  MNK_ACTION_LEFT,
  MNK_ACTION_RIGHT,
  MNK_ACTION_UP,
  MNK_ACTION_DOWN,
  MNK_ACTION_CLOSER,
  MNK_ACTION_AWAY,
  MNK_ACTION_N,
} MnkAction;

typedef enum {
  MNK_CAMERA_STILL, /* or not known to move */
  MNK_CAMERA_PAN_LEFT,
  MNK_CAMERA_PAN_RIGHT,
  MNK_CAMERA_TILT_UP,
  MNK_CAMERA_TILT_DOWN,
  MNK_CAMERA_ZOOM_IN,
  MNK_CAMERA_ZOOM_OUT,
  MNK_CAMERA_UNSTEADY,
  MNK_CAMERA_N,
} MnkCamera;

/* How bright the picture is, as far as it is worth a word. */
typedef enum {
  MNK_LIGHT_USUAL,
  MNK_LIGHT_DARK,
  MNK_LIGHT_DIM,
  MNK_LIGHT_BRIGHT,
  MNK_LIGHT_BLACK, /* from here on: hardly any detail at all */
  MNK_LIGHT_WHITE,
  MNK_LIGHT_UNIFORM,
  MNK_LIGHT_N,
} MnkLight;

/* One kind of thing in the scene. */
typedef struct {
  const MnkConcept *concept; /* as it is said */
  const MnkConcept *exact;   /* as it was recognised; differs from concept when vague */
  guint count;
  gboolean counted; /* from boxes; else one name for the whole picture */
  MnkBand band;
  float score;
  MnkBox box; /* all 0: unknown */
  MnkSpot spot;
  MnkPosture posture;     /* of a single person */
  gboolean close_up;      /* a single person's face fills the picture */
  const MnkConcept *worn; /* by a single person */
} MnkTopic;

typedef struct {
  guint topic; /* index of who */
  MnkAction action;
  guint times; /* by how many of them */
} MnkContentAction;

typedef struct {
  guint n_topics, n_said; /* what is said comes first */
  MnkTopic topics[MNK_CONTENT_TOPICS];
  MnkPosture one_posture; /* of one of several people; NONE */
  const MnkConcept *setting;
  MnkBand setting_band;
  guint n_actions;
  MnkContentAction actions[MNK_CONTENT_ACTIONS];
  MnkCamera camera;
  guint n_lines;  /* of text in the picture */
  guint n_texts;  /* of these, kept in texts */
  guint n_quoted; /* and of these, told: fewer where a caption grows too long */
  char *texts[MNK_CONTENT_TEXTS];
  MnkLight light;
  char *gap; /* why nothing was seen; NULL: it was seen */
  gboolean after_cut;
  gint64 start_ms, end_ms;
} MnkContent;

/* before: the content of the scene before in the same shot, or NULL: what was sure there needs less
 * evidence here. */
MnkContent *mnk_content_new(const MnkScene *scene, const MnkContent *before);
void mnk_content_free(MnkContent *content);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkContent, mnk_content_free)

/* The topic of content that is the same kind of thing, narrower or broader; NULL: none. */
const MnkTopic *mnk_content_find(const MnkContent *content, const MnkTopic *topic);

/* Fills the content's texts from the scene's facts. */
void mnk_content_add_texts(MnkContent *content, const MnkScene *scene);
/* TRUE when both show the same text, or none; readings may differ a little. */
gboolean mnk_content_same_text(const MnkContent *a, const MnkContent *b);
/* Text from a picture made fit for a sentence: printable characters only, single spaces, at most
 * MNK_CONTENT_TEXT_CHARS characters. Caller frees; NULL when nothing readable is left. */
char *mnk_content_clean_text(const char *text);

#endif
