/* tokens: a frame's tokens inside a snapshot, and as they are stored. */
#ifndef MNK_TOKENS_PRIV_H
#define MNK_TOKENS_PRIV_H

#include "memory/bytes_priv.h"
#include "memory/memory.h"

void mnk_tokens_put(const MnkTokens *tokens, MnkBytesWriter *writer);
/* NULL: the reader has failed. */
MnkTokens *mnk_tokens_get(MnkBytesReader *reader);
/* n x dim float16, borrowed. */
const guint16 *mnk_tokens_rows(const MnkTokens *tokens);

#endif
