#include "cli/cli.h"

#include <sys/ioctl.h>
#include <unistd.h>

guint mnk_terminal_width(int fd) {
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
    return MIN(size.ws_col, 120u);
  return 80;
}

const char *mnk_style(int fd, MnkStyle style) {
  static const char *const CODES[] = {"\033[0m", "\033[1m", "\033[2m", "\033[32m", "\033[31m"};
  if (!isatty(fd) || g_getenv("NO_COLOR") != NULL)
    return "";
  return CODES[style];
}

char *mnk_cli_db_path(const MnkSettings *settings) {
  const char *option = mnk_settings_string(settings, MNK_OPT_DB);
  if (option != NULL)
    return g_strdup(option);
  g_autofree char *folder = mnk_path_data();
  return g_build_filename(folder, "timeline.db", NULL);
}
