/* Who was in hand when the worker crashed.
 *
 * Each thread notes which stream it works for. When it crashes, a signal handler writes that down
 * in memory that the server shares, and lets the crash go on. So the server knows which stream to
 * suspect, however many others the worker served. */
#include "stream/worker_priv.h"

#include <signal.h>

static const int CRASHES[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP};

static _Thread_local guint32 in_hand;
static guint32 *page; /* NULL: nobody wants to know */
static struct sigaction before[G_N_ELEMENTS(CRASHES)];

static void on_crash(int number, siginfo_t *info, void *context) {
  if (page != NULL)
    *page = in_hand;
  for (guint i = 0; i < G_N_ELEMENTS(CRASHES); i++)
    if (CRASHES[i] == number)
      sigaction(number, &before[i], NULL);
  /* a fault comes again when this returns; what was sent has to be sent again */
  if (info->si_code <= 0)
    raise(number);
}

void mnk_blackbox_install(guint8 *shared) {
  struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO};
  page = (guint32 *)(gpointer)shared;
  for (guint i = 0; i < G_N_ELEMENTS(CRASHES); i++)
    sigaction(CRASHES[i], &action, &before[i]);
}

void mnk_blackbox_remove(void) {
  if (page == NULL)
    return;
  for (guint i = 0; i < G_N_ELEMENTS(CRASHES); i++)
    sigaction(CRASHES[i], &before[i], NULL);
  page = NULL;
}

void mnk_blackbox_hold(guint32 stream) {
  in_hand = stream;
}
