/* Observation: what perception says about one frame. It travels from the worker to the server,
 * which builds facts and captions from it; it holds no pixels. Plain data with fixed maxima. Pure.
 */
#ifndef MNK_WIRE_OBSERVATION_H
#define MNK_WIRE_OBSERVATION_H

#include "wire/caption.h"

enum {
  MNK_OBS_MAX_LABELS = 8,
  MNK_OBS_MAX_OBJECTS = 32,
  MNK_OBS_MAX_FACES = 16,
  MNK_OBS_MAX_POSES = 4,
  MNK_OBS_MAX_TEXTS = 24,
  MNK_OBS_MAX_SUMMARY = 256,
  MNK_OBS_NAME = 64,  /* bytes of a name with its NUL */
  MNK_OBS_TEXT = 256, /* bytes of a line of text with its NUL */
};

typedef struct {
  char name[MNK_OBS_NAME]; /* a concept of data/vocabulary.tsv */
  float score;             /* 0..1 */
} MnkLabel;

typedef struct {
  char name[MNK_OBS_NAME];
  float score;
  MnkBox box;
} MnkDetection;

typedef struct {
  char text[MNK_OBS_TEXT]; /* UTF-8, control characters removed */
  float score;
  MnkBox box;
} MnkTextLine;

/* Camera motion since the frame before, a similarity fitted on tracked blocks: per second, in
 * parts of the picture's width. */
typedef struct {
  gboolean valid; /* FALSE: not enough texture, cut between, or no common motion */
  float dx, dy;   /* shift of the content to the right and down per second */
  float zoom;     /* log scale per second, > 0: the camera zooms in */
  float rotation; /* radians per second */
  float inliers;  /* 0..1, share of blocks that move with the fit */
} MnkCameraMotion;

typedef enum {
  MNK_CUT_NONE,
  MNK_CUT_HARD,
  MNK_CUT_SOFT, /* dissolve or fade */
} MnkCut;

typedef enum {
  MNK_OBS_FRAME,     /* a sampled frame that the gate let through: all fields */
  MNK_OBS_DUPLICATE, /* a sampled frame like the last accepted one: pts, change and motion only */
  MNK_OBS_CUT,       /* a shot boundary between sampled frames: cut, cut_ms, pts */
} MnkObservationType;

typedef struct {
  MnkObservationType type;
  guint64 seq;          /* number of the sampled frame in this run of the source, from 0 */
  guint32 epoch;        /* counts up when the source's clock jumps */
  gint64 pts_ms;        /* stream clock */
  gint64 arrival_us;    /* wall time */
  gint64 step_ms;       /* the sampling interval: how far this frame's validity reaches at most */
  float change;         /* the gate's distance to the last accepted frame */
  float luma, contrast; /* mean and standard deviation of luma, 0..1: dark, blank pictures */

  MnkCut cut; /* MNK_OBS_CUT: its kind */
  gint64 cut_ms,
      cut_end_ms; /* pts of the first frame of the new shot; of a dissolve, begin and end */
  float cut_score;

  MnkCameraMotion motion;

  guint n_labels;
  MnkLabel labels[MNK_OBS_MAX_LABELS]; /* by falling score */
  guint n_objects;
  MnkDetection objects[MNK_OBS_MAX_OBJECTS];
  guint n_faces;
  MnkDetection faces[MNK_OBS_MAX_FACES]; /* name "face" */
  guint n_poses;
  MnkDetection poses[MNK_OBS_MAX_POSES]; /* name: posture, or "" when only the body was found */
  gboolean text_ran; /* FALSE: text was not looked for on this frame; what was there holds on */
  guint n_texts;
  MnkTextLine texts[MNK_OBS_MAX_TEXTS];
  /* The scene model's features, pooled to as many numbers as the stream wants; 0: none. */
  guint n_summary;
  float summary[MNK_OBS_MAX_SUMMARY];
} MnkObservation;

void mnk_observation_write_json(const MnkObservation *obs, GString *out);
/* FALSE with an error on anything out of range; *out is then undefined. */
gboolean mnk_observation_read_json(const MnkJsonValue *value, MnkObservation *out, GError **error);

#endif
