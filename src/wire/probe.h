/* Header probes: what a file claims to be, from its first bytes, before any library opens it. Pure.
 */
#ifndef MNK_WIRE_PROBE_H
#define MNK_WIRE_PROBE_H

#include <glib.h>

typedef struct {
  guint width, height; /* as coded; EXIF rotation not applied */
  guint components;    /* 1, 3 or 4 */
  guint precision;     /* bits */
  gboolean progressive;
  guint exif_orientation; /* 1..8; 1 when absent */
} MnkJpegInfo;
/* Walks the markers up to the frame header; limits: 64 KiB per segment by format, 4,096 segments.
 */
gboolean mnk_jpeg_probe(const guint8 *bytes, gsize length, MnkJpegInfo *info, GError **error);

typedef struct {
  guint32 version;
  guint64 tensors, keys;
  guint64 parameters;    /* elements of all tensors that were read; at most G_MAXUINT64 */
  char architecture[64]; /* general.architecture, "" when absent */
  char name[128];        /* general.name */
  char type[32];         /* general.type: "model", "mmproj", ... */
  char projector[64];    /* clip.projector_type */
  /* Of the architecture, or of clip.vision; 0 when absent. */
  guint64 context_length, embedding_length, block_count, projection_dim;
  guint64 heads, heads_kv;          /* where each layer has its own: the most */
  guint64 key_length, value_length; /* of a head */
  guint64 patch_size, image_size;   /* clip.vision */
  guint64 window;                   /* tokens that a layer sees, of layers that see a part */
  guint64 window_pattern;           /* clip.vision: every so many layers one sees all */
  guint64 vocabulary;               /* tokens */
  guint64 splits;                   /* files that the model is in */
  guint64 split_no, split_tensors;  /* which of them, from 0; tensors of all */
  gboolean vision;                  /* clip.has_vision_encoder */
  gsize data_offset;                /* where tensor data starts, 0 when beyond the bytes given */
  /* token_embd.weight: ggml's type, place in the file (0: not read), columns x rows */
  guint32 embedding_type;
  guint64 embedding_offset, embedding_columns, embedding_rows;
  guint64 patch_columns; /* of v.patch_embd.weight, where it is one of pictures; 0: it is not */
  guint64 patch_places;  /* rows of v.position_embd.weight; 0: there is none */
} MnkGgufInfo;
/* Reads the key-value section and the tensor table as far as the bytes reach; every count, length
 * and tensor is checked against file_size. FALSE: not a GGUF, or damaged or cut off, with what is
 * wrong. */
gboolean mnk_gguf_probe(const guint8 *bytes, gsize length, guint64 file_size, MnkGgufInfo *info,
                        GError **error);

typedef struct {
  gint64 ir_version, opset;
  char producer[64];
  guint nodes, initializers, inputs, outputs;
} MnkOnnxInfo;
/* Walks the protobuf's outer fields; nothing is unpacked. The whole file must be given. */
gboolean mnk_onnx_probe(const guint8 *bytes, gsize length, MnkOnnxInfo *info, GError **error);

#endif
