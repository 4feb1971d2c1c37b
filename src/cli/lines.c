#include "cli/ask_priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

struct _MnkLines {
  int fd;
  gsize max; /* longer lines are cut into pieces */
  GString *text;
  gboolean over;
  guint source; /* 0: nothing is wanted */
  MnkLinesGot got;
  gpointer user;
};

/* Takes the next line out of what was read; NULL: there is none yet. Caller frees. */
static char *take_line(MnkLines *lines) {
  const char *end = memchr(lines->text->str, '\n', lines->text->len);
  gsize length = end != NULL ? (gsize)(end - lines->text->str) : lines->text->len;
  if (end == NULL && length <= lines->max && !(lines->over && length > 0))
    return NULL;
  char *line = g_strndup(lines->text->str, length);
  g_string_erase(lines->text, 0, (gssize)(length + (end != NULL)));
  return line;
}

static gboolean read_more(MnkLines *lines) {
  char bytes[4096];
  ssize_t n = read(lines->fd, bytes, sizeof bytes);
  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return TRUE;
  if (n > 0)
    g_string_append_len(lines->text, bytes, n);
  lines->over = n <= 0;
  return n > 0;
}

static void tell(MnkLines *lines, char *line) {
  lines->source = 0;
  lines->got(line, lines->user);
  g_free(line);
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer user) {
  MnkLines *lines = user;
  read_more(lines);
  char *line = take_line(lines);
  if (line == NULL && !lines->over)
    return G_SOURCE_CONTINUE;
  tell(lines, line);
  return G_SOURCE_REMOVE;
}

static gboolean on_idle(gpointer user) {
  MnkLines *lines = user;
  tell(lines, take_line(lines));
  return G_SOURCE_REMOVE;
}

MnkLines *mnk_lines_new(int fd, gsize max, MnkLinesGot got, gpointer user) {
  MnkLines *lines = g_new0(MnkLines, 1);
  *lines = (MnkLines){.fd = fd, .max = max, .text = g_string_new(NULL), .got = got, .user = user};
  return lines;
}

void mnk_lines_free(MnkLines *lines) {
  if (lines == NULL)
    return;
  if (lines->source != 0)
    g_source_remove(lines->source);
  g_string_free(lines->text, TRUE);
  g_free(lines);
}

void mnk_lines_want(MnkLines *lines) {
  g_return_if_fail(lines->source == 0);
  gboolean ready = lines->over || memchr(lines->text->str, '\n', lines->text->len) != NULL;
  lines->source = ready
                      ? g_idle_add(on_idle, lines)
                      : g_unix_fd_add(lines->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, lines);
}
