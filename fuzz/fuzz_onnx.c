#include "fuzz.h"

#include "wire/probe.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  MnkOnnxInfo info;
  g_autoptr(GError) error = NULL;
  gboolean ok = mnk_onnx_probe(data, size, &info, &error);
  g_assert(ok == (error == NULL));
  g_assert(memchr(info.producer, '\0', sizeof info.producer) != NULL);
  /* Each counted field has two bytes at least. */
  g_assert((gsize)info.nodes + info.initializers + info.inputs + info.outputs <= size / 2);
  return 0;
}
