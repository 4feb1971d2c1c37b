#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

static const gint64 REDRAW_US = G_USEC_PER_SEC / 10;

struct _MnkProgress {
  gint64 drawn_us;
  gboolean shown;
};

static void log_line(const char *line, gpointer user) {
  mnk_progress_hide(user);
  fputs(line, stderr);
}

MnkProgress *mnk_progress_new(gboolean wanted) {
  if (!wanted || !isatty(STDERR_FILENO) || g_strcmp0(g_getenv("TERM"), "dumb") == 0)
    return NULL;
  MnkProgress *progress = g_new0(MnkProgress, 1);
  mnk_log_set_sink(log_line, progress);
  return progress;
}

void mnk_progress_free(MnkProgress *progress) {
  if (progress == NULL)
    return;
  mnk_log_set_sink(NULL, NULL);
  mnk_progress_hide(progress);
  g_free(progress);
}

void mnk_progress_show(MnkProgress *progress, const char *format, ...) {
  gint64 now_us = mnk_clock_mono_us(mnk_clock_system());
  if (progress == NULL || now_us - progress->drawn_us < REDRAW_US)
    return;
  progress->drawn_us = now_us;
  progress->shown = TRUE;
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  fprintf(stderr, "\r\033[K%s%.*s%s", mnk_style(STDERR_FILENO, MNK_STYLE_DIM),
          (int)mnk_terminal_width(STDERR_FILENO) - 1, text,
          mnk_style(STDERR_FILENO, MNK_STYLE_PLAIN));
  fflush(stderr);
}

void mnk_progress_hide(MnkProgress *progress) {
  if (progress == NULL || !progress->shown)
    return;
  progress->shown = FALSE;
  progress->drawn_us = 0;
  fputs("\r\033[K", stderr);
  fflush(stderr);
}
