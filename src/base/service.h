/* Service: what a service manager (systemd, or one that speaks its protocol) is told. Any thread.
 */
#ifndef MNK_BASE_SERVICE_H
#define MNK_BASE_SERVICE_H

#include <glib.h>

/* Sends lines such as "READY=1\nSTATUS=..." to $NOTIFY_SOCKET, a path or "@name" of the abstract
 * namespace; never blocks. FALSE when there is none or it takes nothing: a service goes on. */
gboolean mnk_notify_service(const char *state);
/* After how long without "WATCHDOG=1" the manager takes this process for hung ($WATCHDOG_USEC, if
 * it is meant for this process); to be told twice in that time. 0: it does not watch. */
gint64 mnk_service_watchdog_us(void);

#endif
