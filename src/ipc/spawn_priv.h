/* Spawn: one worker process with a socket to it. */
#ifndef MNK_IPC_SPAWN_PRIV_H
#define MNK_IPC_SPAWN_PRIV_H

#include <glib.h>

/* The process's id and in *socket this side's end, close-on-exec; the caller reaps the process. 0
 * with MNK_ERROR_WORKER when the command cannot be run. What the child gets: see ipc.h. */
GPid mnk_spawn_worker(const char *const *argv, int *socket, GError **error);

#endif
