/* Faces: MediaPipe's full-range detector (BlazeFace, Bazarevsky et al., 2019), each hit checked by
 * the face mesh model (Kartynnik et al., 2019), which tells whether what it sees is a face. */
#include "vision/perception_priv.h"

#include <math.h>

#include "vision/boxes_priv.h"
#include "vision/ssd_priv.h"

enum { MESH_SIDE = 192, RIGHT_EYE = 0, LEFT_EYE = 1, MAX_CHECKED = 8, MAX_CLOSER = 2 };

static const MnkSsd detector = {
    .side = 192,
    .n_layers = 1,
    .layers = {{48, 1}},
    .n_points = 6,
    .score = 0.50f,
    .overlap = 0.30f,
};
static const float MESH_SCORE = 0.5f; /* least probability of a face in the crop */
static const float MESH_MARGIN = 1.5f;
static const float SMALLEST = 14; /* pixels; below, neither model can tell */
/* A person so tall, in pixels, without a face found is looked at from nearer. */
static const float CLOSER_HEIGHT = 110;

static const MnkNetSpec detector_spec = {"faces", MNK_ELEMENT_F32, {4, {1, 192, 192, 3}}, 2};
static const MnkNetSpec mesh_spec = {
    "face-landmarks", MNK_ELEMENT_F32, {4, {1, MESH_SIDE, MESH_SIDE, 3}}, 2};
static const MnkInputFormat detector_format = {
    .width = 192,
    .height = 192,
    .scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f},
    .bias = {-1, -1, -1},
};
static const MnkInputFormat mesh_format = {
    .width = MESH_SIDE,
    .height = MESH_SIDE,
    .scale = {1 / 255.0f, 1 / 255.0f, 1 / 255.0f},
};

typedef struct {
  MnkNet *detector, *mesh;
} Faces;

static void faces_close(gpointer state) {
  Faces *faces = state;

  mnk_net_free(faces->detector);
  mnk_net_free(faces->mesh);
  g_free(faces);
}

static gpointer faces_open(MnkRuntime *runtime, const char *models_dir, GError **error) {
  Faces *faces = g_new0(Faces, 1);

  faces->detector = mnk_net_load(runtime, models_dir, &detector_spec, error);
  if (faces->detector)
    faces->mesh = mnk_net_load(runtime, models_dir, &mesh_spec, error);
  if (!faces->mesh)
    g_clear_pointer(&faces, faces_close);
  return faces;
}

/* Hits in picture pixels; FALSE on failure. */
static gboolean detect(Faces *faces, const MnkPicture *picture, const MnkRect *part,
                       MnkSsdHit *hits, guint *n, GError **error) {
  MnkPicture size = {.width = part->w, .height = part->h};
  MnkRect place = mnk_letterbox(&size, &detector_format);
  guint anchors = mnk_ssd_anchors(&detector), values = 4 + 2 * detector.n_points;
  void *input = mnk_net_input(faces->detector, &detector_spec.input, error);
  const float *boxes, *logits;

  *n = 0;
  if (!input)
    return FALSE;
  mnk_resample(picture, part, &detector_format, &place, input);
  if (!mnk_net_run(faces->detector, error) ||
      !(boxes = mnk_net_output_of(faces->detector, 0, (gsize)anchors * values, error)) ||
      !(logits = mnk_net_output_of(faces->detector, 1, anchors, error)))
    return FALSE;
  *n = mnk_ssd_decode(&detector, boxes, logits, hits);
  for (guint i = 0; i < *n; i++)
    mnk_ssd_to_picture(&detector, &hits[i], &place, part);
  return TRUE;
}

/* The mesh model's opinion on a hit: the probability that it shows a face, negative on failure. */
static float check(Faces *faces, const MnkPicture *picture, const MnkSsdHit *hit, GError **error) {
  const MnkPoint *right = &hit->points[RIGHT_EYE], *left = &hit->points[LEFT_EYE];
  float angle = atan2f(left->y - right->y, left->x - right->x);
  float side = MESH_MARGIN * MAX(hit->box.w, hit->box.h);
  MnkAffine affine = mnk_affine_for(hit->box.x + hit->box.w / 2, hit->box.y + hit->box.h / 2, side,
                                    side, angle, MESH_SIDE, MESH_SIDE);
  void *input = mnk_net_input(faces->mesh, &mesh_spec.input, error);
  const float *logit;

  if (!input)
    return -1;
  mnk_warp(picture, &affine, &mesh_format, MESH_SIDE, input);
  if (!mnk_net_run(faces->mesh, error) || !(logit = mnk_net_output_of(faces->mesh, 1, 1, error)))
    return -1;
  return mnk_sigmoid(*logit);
}

static gboolean known(const MnkObservation *obs, const MnkBox *box) {
  for (guint i = 0; i < obs->n_faces; i++)
    if (mnk_box_iou(&obs->faces[i].box, box) > detector.overlap)
      return TRUE;
  return FALSE;
}

static gboolean add_faces(Faces *faces, MnkLook *look, const MnkSsdHit *hits, guint n,
                          GError **error) {
  MnkObservation *obs = look->obs;
  float width = (float)look->picture.width, height = (float)look->picture.height;

  for (guint i = 0; i < MIN(n, MAX_CHECKED) && obs->n_faces < MNK_OBS_MAX_FACES; i++) {
    const MnkSsdHit *hit = &hits[i];
    MnkBox part = {hit->box.x / width, hit->box.y / height, hit->box.w / width,
                   hit->box.h / height};
    if (MIN(hit->box.w, hit->box.h) < SMALLEST || known(obs, &part))
      continue;
    float face = check(faces, &look->picture, hit, error);
    if (face < 0)
      return FALSE;
    if (!(face >= MESH_SCORE))
      continue;
    MnkDetection *found = &obs->faces[obs->n_faces++];
    g_strlcpy(found->name, "face", sizeof found->name);
    found->score = sqrtf(hit->score * face);
    found->box = mnk_box_clip(&part);
  }
  return TRUE;
}

/* The upper part of a person as a square of the picture; an empty one when it needs no closer look.
 */
static MnkRect upper_part(const MnkLook *look, const MnkDetection *object) {
  const MnkPicture *p = &look->picture;
  float x = object->box.x * p->width, w = object->box.w * p->width;
  float y = object->box.y * p->height, h = object->box.h * p->height;
  MnkRect r = {0};

  if (!g_str_equal(object->name, "person") || h < CLOSER_HEIGHT || h > 0.9f * p->height)
    return r;
  for (guint i = 0; i < look->obs->n_faces; i++) {
    const MnkBox *face = &look->obs->faces[i].box;
    float cx = (face->x + face->w / 2) * p->width, cy = (face->y + face->h / 2) * p->height;
    if (cx >= x && cx < x + w && cy >= y && cy < y + h)
      return r;
  }
  float side = MAX(w, 0.45f * h);
  r.x = CLAMP((int)(x + w / 2 - side / 2), 0, p->width - 1);
  r.y = CLAMP((int)(y - 0.08f * h), 0, p->height - 1);
  r.w = CLAMP((int)side, 1, p->width - r.x);
  r.h = CLAMP((int)side, 1, p->height - r.y);
  return r;
}

static gboolean faces_look(gpointer state, MnkLook *look, GError **error) {
  Faces *faces = state;
  MnkSsdHit hits[MNK_SSD_MAX_HITS];
  MnkRect whole = {0, 0, look->picture.width, look->picture.height};
  guint n, closer = 0;

  if (!detect(faces, &look->picture, &whole, hits, &n, error) ||
      !add_faces(faces, look, hits, n, error))
    return FALSE;
  for (guint i = 0; i < look->obs->n_objects && closer < MAX_CLOSER; i++) {
    MnkRect part = upper_part(look, &look->obs->objects[i]);
    if (part.w == 0)
      continue;
    closer++;
    if (!detect(faces, &look->picture, &part, hits, &n, error) ||
        !add_faces(faces, look, hits, n, error))
      return FALSE;
  }
  return TRUE;
}

const MnkPartOps mnk_part_faces = {
    MNK_PART_FACES, "faces", {"faces", "face-landmarks"}, faces_open, faces_close, faces_look,
};
