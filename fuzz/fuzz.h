/* What every target has: the entry point that libFuzzer calls, with any bytes. A target aborts
 * (g_assert) when a property that must hold for all bytes does not. */
#ifndef MNK_FUZZ_H
#define MNK_FUZZ_H

#include <glib.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

#endif
