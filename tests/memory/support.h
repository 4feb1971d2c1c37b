/* Made-up tokens, and damage to snapshots. */
#ifndef MNK_TESTS_MEMORY_SUPPORT_H
#define MNK_TESTS_MEMORY_SUPPORT_H

#include "memory/memory.h"

/* n values, each even in -1 to 1. */
float *random_floats(GRand *rand, gsize n);
MnkTokens *random_tokens(GRand *rand, guint n, guint dim, guint columns, gint64 pts_ms);
/* Changes four bytes of a snapshot, and makes its checksum right again. */
void patch_u32(GByteArray *bytes, gsize at, guint32 value);
void mend_checksum(GByteArray *bytes);

/* FALSE: refused, with error set. */
typedef gboolean (*SnapshotReader)(const guint8 *bytes, gsize length, GError **error);
/* That a snapshot cut off anywhere, longer, or with any byte changed is refused as bad input; and
 * that with bytes changed under a right checksum it is refused so, or read. */
void check_damage(const GByteArray *bytes, SnapshotReader read, guint mutations);

#endif
