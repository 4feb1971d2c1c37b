/* Paths: where things lie on this machine. Returned strings are the caller's. */
#ifndef MNK_BASE_PATHS_H
#define MNK_BASE_PATHS_H

#include <glib.h>

/* $MANAKO_CACHE, else $XDG_CACHE_HOME/manako, else ~/.cache/manako: downloads, converted models,
 * runtime libraries. Made on demand by who writes there. */
char *mnk_path_cache(void);
/* $MANAKO_DATA, else $XDG_DATA_HOME/manako, else ~/.local/share/manako: the timeline. */
char *mnk_path_data(void);
/* The running program's own file, for starting workers. */
char *mnk_path_self(GError **error);

#endif
