/* The parts of perception and what they share. A part loads its models when it is opened and fills
 * its own fields of an observation; it may read the fields of the parts before it (the order is
 * that of mnk_part_table). */
#ifndef MNK_VISION_PERCEPTION_PRIV_H
#define MNK_VISION_PERCEPTION_PRIV_H

#include "vision/openvino_priv.h"
#include "vision/resample_priv.h"
#include "vision/vision.h"

/* One frame on its way through the parts. */
typedef struct {
  const MnkFrame *frame;
  MnkPicture picture; /* its pixels */
  gboolean new_shot;
  MnkObservation *obs;
} MnkLook;

enum { MNK_PART_MAX_MODELS = 2, MNK_PARTS = 5, MNK_SCENE_FEATURES = 1280 };

typedef struct {
  MnkPart part;
  const char *name;
  const char *models[MNK_PART_MAX_MODELS]; /* names in the manifest; NULL after the last */
  gpointer (*open)(MnkRuntime *runtime, const char *models_dir, GError **error);
  void (*close)(gpointer state);
  gboolean (*look)(gpointer state, MnkLook *look, GError **error);
} MnkPartOps;

extern const MnkPartOps mnk_part_scenes, mnk_part_objects, mnk_part_faces, mnk_part_pose,
    mnk_part_text;

/* Pooled features of the last picture, 1280 floats. */
const float *mnk_scenes_features(gconstpointer scenes);

/* ---- Pure steps, tested by themselves ---- */

/* The concepts that a probability over the ImageNet classes speaks for, by falling score. A concept
 * gets the sum over its classes and over all that is narrower; it is named unless a narrower one
 * holds most of its sum. Returns their number. */
guint mnk_scenes_labels(const float *probability, MnkLabel *labels, guint max);

/* CenterNet ("Objects as Points", Zhou et al. 2019): peaks of the heat map, 80 x side x side, and
 * sides, 4 x side x side: distances to the left, top, right and bottom edge in input pixels, of
 * which one cell has `stride`. place: where the picture lies in the input. */
typedef struct {
  const float *heat, *sides;
  int side, stride;
  MnkRect place;
} MnkObjectMap;
guint mnk_objects_decode(const MnkObjectMap *map, MnkDetection *objects, guint max);

/* For the dominant colour a thing of the vocabulary that has it (red: strawberry, green: broccoli,
 * blue: seashore, yellow: banana, white: polar bear, black: gorilla, grey: elephant), and the
 * colour's share. */
const char *mnk_colour_thing(const MnkPicture *picture, float *share);
/* Mean colours (0..1) of the cells of a grid of 4 x 4: the stub's features. */
enum { MNK_STUB_FEATURES = 48 };
void mnk_colour_features(const MnkPicture *picture, float features[MNK_STUB_FEATURES]);

#endif
