/* I/O: how a demuxer reads, and what may stop it. */
#ifndef MNK_MEDIA_IO_PRIV_H
#define MNK_MEDIA_IO_PRIV_H

#include <libavformat/avformat.h>

#include "media/media.h"

/* Asked by whoever waits. *stopped is set from any thread, the deadline by the reading thread. */
typedef struct {
  gint *stopped;
  gint64 deadline_us; /* g_get_monotonic_time(); 0: none */
} MnkInterrupt;
/* In the form of AVIOInterruptCB, of an MnkInterrupt: 1 to stop. */
int mnk_interrupt_asked(void *opaque);
void mnk_interrupt_arm(MnkInterrupt *interrupt, gint64 timeout_ms); /* <= 0: no deadline */

/* Reads a file descriptor, from its start where it can seek. Never moves the descriptor's own
 * position, which another process may share. */
typedef struct _MnkFdIo MnkFdIo;
/* Takes fd over, also on failure: a folder, an empty file, no memory. name is for messages. */
MnkFdIo *mnk_fd_io_new(int fd, const char *name, MnkInterrupt *interrupt, GError **error);
void mnk_fd_io_free(MnkFdIo *io);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkFdIo, mnk_fd_io_free)
/* Borrowed; a fresh one that starts at the beginning after each call. may_seek FALSE: demuxers
 * shall take the file for a pipe. */
AVIOContext *mnk_fd_io_rewind(MnkFdIo *io, gboolean may_seek);
gboolean mnk_fd_io_can_seek(const MnkFdIo *io);
/* Nothing at all came out of it. */
gboolean mnk_fd_io_was_empty(const MnkFdIo *io);
/* errno of a failed read, or 0. */
int mnk_fd_io_errno(const MnkFdIo *io);

#endif
