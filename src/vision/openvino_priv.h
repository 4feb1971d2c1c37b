/* The OpenVINO runtime, as far as perception needs it: one core, models with one input and a few
 * float outputs, one inference at a time. The library is opened when it is first asked for, so that
 * the program starts without it. One thread per object. */
#ifndef MNK_VISION_OPENVINO_PRIV_H
#define MNK_VISION_OPENVINO_PRIV_H

#include <glib.h>

typedef struct _MnkRuntime MnkRuntime;

/* cache_dir: where compiled models are kept, made when missing; NULL: nowhere. MNK_ERROR_MODEL when
 * the library is missing, too old or lacks a function; the message names it and the command that
 * gets it. */
MnkRuntime *mnk_runtime_new(const char *cache_dir, int threads, GError **error);
/* After the last net. */
void mnk_runtime_free(MnkRuntime *runtime);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkRuntime, mnk_runtime_free)
const char *mnk_runtime_version(const MnkRuntime *runtime);

enum { MNK_NET_MAX_RANK = 4 };

typedef enum { MNK_ELEMENT_U8 = 1, MNK_ELEMENT_F32 = 4 } MnkElement; /* value: bytes */

typedef struct {
  guint rank;
  gsize dims[MNK_NET_MAX_RANK];
} MnkShape;

typedef struct _MnkNet MnkNet;

/* What a caller expects of a model with one input. */
typedef struct {
  const char *model; /* its name in the manifest */
  MnkElement element;
  MnkShape input; /* the size first fed, which must fit the model */
  guint outputs;  /* how many it must have at least */
} MnkNetSpec;

/* Compiles the model in the folder dir. The runtime outlives the net. MNK_ERROR_MODEL names the
 * file. */
MnkNet *mnk_net_load(MnkRuntime *runtime, const char *dir, const MnkNetSpec *spec, GError **error);
void mnk_net_free(MnkNet *net);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkNet, mnk_net_free)

/* The input tensor's own memory, dense, of the spec's elements in this shape; valid until the next
 * call with another shape. A model with dynamic sizes takes any. */
void *mnk_net_input(MnkNet *net, const MnkShape *shape, GError **error);
gboolean mnk_net_run(MnkNet *net, GError **error);
/* An output's own memory, dense floats, valid until the next run; shape may be NULL. Shapes of more
 * than MNK_NET_MAX_RANK dimensions are refused. */
const float *mnk_net_output(MnkNet *net, guint index, MnkShape *shape, GError **error);
/* The same, but it must hold exactly n floats. */
const float *mnk_net_output_of(MnkNet *net, guint index, gsize n, GError **error);

#endif
