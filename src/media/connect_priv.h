/* Connect: the policy for connecting out holds for whatever connection a library of this process
 * makes, however it came by the address: by name, by redirect, out of a playlist. */
#ifndef MNK_MEDIA_CONNECT_PRIV_H
#define MNK_MEDIA_CONNECT_PRIV_H

#include "wire/wire.h"

typedef struct {
  const MnkAddressPolicy *policy; /* NULL: no address at all */
  guint allowed;                  /* addresses that were let through */
  GError *refused;                /* the first one that was not */
} MnkOutbound;

/* From now on a thread for which nothing was set connects to no IPv4 or IPv6 address. Any thread;
 * for good. */
void mnk_outbound_arm(void);
/* Sets what holds for this thread (NULL: nothing) and gives what held before. */
MnkOutbound *mnk_outbound_set(MnkOutbound *outbound);

#endif
