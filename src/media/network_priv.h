/* Network: sources behind an address, RTSP and HTTP, under the policy for connecting out. */
#ifndef MNK_MEDIA_NETWORK_PRIV_H
#define MNK_MEDIA_NETWORK_PRIV_H

#include "media/source_priv.h"

/* Reads the address and the list; nothing is connected to. From the first one on only sources
 * connect out in this process. */
gboolean mnk_network_prepare(MnkSource *source, GError **error);
/* Opens demuxer and decoders. */
gboolean mnk_network_open(MnkSource *source, GError **error);

/* Whether a length, and with it an end, is known. */
gboolean mnk_network_is_finite(const MnkSource *source);
/* How long a running source may be silent; HLS gives its pictures a segment at a time. */
gint64 mnk_network_patience_ms(const MnkSource *source);
/* Reading ended with this code: whether that is the end of all, rather than a loss. */
gboolean mnk_network_is_over(const MnkSource *source, int code);
/* The server has sent the demuxer elsewhere, and it went. */
gboolean mnk_network_has_moved(const MnkSource *source);
/* "refused the connection"; for what an address may not be reached, the policy's words. */
const char *mnk_network_reason(const MnkSource *source, int code, char *buffer, gsize size);

#endif
