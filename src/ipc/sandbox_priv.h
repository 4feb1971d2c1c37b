/* The sandbox's two mechanisms; sandbox.c puts them together. */
#ifndef MNK_IPC_SANDBOX_PRIV_H
#define MNK_IPC_SANDBOX_PRIV_H

#include "ipc/ipc.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MNK_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MNK_SANITIZED 1
#endif
#endif
#ifndef MNK_SANITIZED
#define MNK_SANITIZED 0
#endif

/* Makes all files read-only to this thread and those it starts, except the given ones. A kernel
 * without Landlock is no error. */
gboolean mnk_landlock_enter(const char *const *writable, GError **error);
/* Lets only the listed system calls through, in all threads. */
gboolean mnk_seccomp_enter(gboolean network, gboolean writing, GError **error);

#endif
