/* vision: which frames are looked at (gate), where shots begin (shots), how the camera moves
 * (motion), and what is seen (perception). Worker only; one thread each object. */
#ifndef MNK_VISION_H
#define MNK_VISION_H

#include "media/media.h"
#include "wire/wire.h"

/* ---- Gate: notes 6.1. 64x64 luma, mean squared difference to the last accepted frame ---- */

enum { MNK_GATE_SIDE = 64 };

typedef struct _MnkGate MnkGate;
typedef enum { MNK_GATE_ACCEPTED, MNK_GATE_DUPLICATE, MNK_GATE_LATE } MnkGateVerdict;
typedef struct {
  guint64 accepted, duplicate, late;
} MnkGateCounters;

MnkGate *mnk_gate_new(double mse, gint64 max_gap_ms);
void mnk_gate_free(MnkGate *gate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkGate, mnk_gate_free)
void mnk_gate_set(MnkGate *gate, double mse, gint64 max_gap_ms);
/* thumb: MNK_GATE_SIDE squared bytes. asked: accept in any case. *change: the distance, 0..1. A
 * frame whose pts is not after the last one of the same epoch is late. */
MnkGateVerdict mnk_gate_offer(MnkGate *gate, const guint8 *thumb, gint64 pts_ms, guint32 epoch,
                              gboolean asked, float *change);
void mnk_gate_counters(const MnkGate *gate, MnkGateCounters *out);

/* ---- Shots: hard cuts and dissolves on every decoded frame ---- */

typedef struct {
  MnkCut kind;
  gint64 start_ms,
      end_ms; /* hard: both the first frame of the new shot; soft: first and last mixed frame */
  float score;
} MnkShotBoundary;

typedef struct _MnkShots MnkShots;
MnkShots *mnk_shots_new(void);
void mnk_shots_free(MnkShots *shots);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkShots, mnk_shots_free)
/* Every decoded frame in order. TRUE when a boundary has become certain (it may lie up to 2 s
 * back). */
gboolean mnk_shots_push(MnkShots *shots, const MnkFrame *frame, MnkShotBoundary *boundary);
/* At the end: the boundaries still undecided, one a call, until FALSE. */
gboolean mnk_shots_flush(MnkShots *shots, MnkShotBoundary *boundary);

/* Whether a cut lies between two thumbnails (MNK_GATE_SIDE squared) of frames at most
 * MNK_SHOTS_APART_MS apart: their layouts have nothing in common (correlation of luma). For frames
 * that come too seldom for MnkShots. */
enum { MNK_SHOTS_APART_MS = 700 };
gboolean mnk_shots_apart(const guint8 *before, const guint8 *now, float *score);

/* ---- Camera motion: similarity fitted on tracked blocks of small luma pictures ---- */

typedef struct _MnkMotion MnkMotion;
MnkMotion *mnk_motion_new(void);
void mnk_motion_free(MnkMotion *motion);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkMotion, mnk_motion_free)
/* Every decoded frame in order (it takes about 6 a second and leaves the rest). */
void mnk_motion_push(MnkMotion *motion, const MnkFrame *frame);
/* Forget the last frame: a cut. */
void mnk_motion_cut(MnkMotion *motion);
/* The median motion since the last call. */
void mnk_motion_take(MnkMotion *motion, MnkCameraMotion *out);

/* ---- Perception: what is seen in one frame ---- */

typedef enum {
  MNK_PART_SCENES = 1 << 0,
  MNK_PART_OBJECTS = 1 << 1,
  MNK_PART_FACES = 1 << 2,
  MNK_PART_POSE = 1 << 3,
  MNK_PART_TEXT = 1 << 4,
  MNK_PART_ALL = 31,
} MnkPart;
const char *mnk_part_name(MnkPart part); /* "scenes", ... */

typedef struct {
  const char *models_dir;
  const char *cache_dir; /* compiled models; NULL: none */
  int threads;
  guint parts;   /* MnkPart bits wanted */
  gboolean stub; /* tests: no model; the label is a thing of the picture's dominant colour */
} MnkPerceptionConfig;

typedef struct _MnkPerception MnkPerception;
/* Loads the runtime; models are loaded when a frame first needs them, or all by
 * mnk_perception_warm. Fails only when no wanted part can work; the message names the file and the
 * command that gets it. */
MnkPerception *mnk_perception_new(const MnkPerceptionConfig *config, GError **error);
void mnk_perception_free(MnkPerception *perception);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkPerception, mnk_perception_free)
gboolean mnk_perception_warm(MnkPerception *perception, guint parts, GError **error);
void mnk_perception_set_parts(MnkPerception *perception, guint parts);
/* Parts that work, and for each that does not why (borrowed, NULL when it works). */
guint mnk_perception_parts(const MnkPerception *perception);
const char *mnk_perception_fault(const MnkPerception *perception, MnkPart part);
/* Looks at an RGB frame of at most 2048 pixels a side; fills the fields of *obs that are
 * perception's (luma, contrast, labels, objects, faces, poses, texts). new_shot: nothing is known
 * of what is in the picture. A part that fails is logged once, switched off and leaves its fields
 * empty; other parts go on. */
gboolean mnk_perception_look(MnkPerception *perception, const MnkFrame *frame, gboolean new_shot,
                             MnkObservation *obs, GError **error);
/* The scene model's feature map, pooled: 1280 floats of the last frame looked at; NULL: the model
 * did not see it. The stub's are mean colours: 48 floats. */
const float *mnk_perception_features(const MnkPerception *perception, guint *n);
/* Wall time and runs of each part since the start, microseconds. */
void mnk_perception_times(const MnkPerception *perception, MnkPart part, gint64 *us, guint64 *runs);
/* Versions of the runtime, "" when it is not there; for doctor. Caller frees. */
char *mnk_perception_runtime_version(GError **error);

#endif
