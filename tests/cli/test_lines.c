/* Lines of a pipe, one for each time that one is wanted. */
#include "cli/ask_priv.h"

#include <unistd.h>

typedef struct {
  GMainLoop *loop;
  GPtrArray *lines;
  gboolean over;
  guint wanted; /* at most so many more */
  MnkLines *reader;
} Listener;

static void on_line(const char *line, gpointer user) {
  Listener *listener = user;
  if (line == NULL)
    listener->over = TRUE;
  else
    g_ptr_array_add(listener->lines, g_strdup(line));
  if (listener->over || --listener->wanted == 0)
    g_main_loop_quit(listener->loop);
  else
    mnk_lines_want(listener->reader);
}

/* Reads at most wanted lines of what is written; the pipe is closed then, or stays open. */
static GPtrArray *lines_of(const char *text, gsize length, guint wanted, gboolean closed,
                           gboolean *over) {
  int ends[2];
  g_assert_cmpint(pipe(ends), ==, 0);
  g_assert_cmpint(write(ends[1], text, length), ==, (gssize)length);
  if (closed)
    close(ends[1]);
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  Listener listener = {
      .loop = loop, .lines = g_ptr_array_new_with_free_func(g_free), .wanted = wanted};
  listener.reader = mnk_lines_new(ends[0], 1000, on_line, &listener);
  mnk_lines_want(listener.reader);
  g_main_loop_run(loop);
  mnk_lines_free(listener.reader);
  close(ends[0]);
  if (!closed)
    close(ends[1]);
  *over = listener.over;
  return listener.lines;
}

static void check(const char *text, gboolean closed, const char *expected, gboolean ends) {
  gboolean over;
  g_autoptr(GPtrArray) lines = lines_of(text, strlen(text), closed ? 100 : 2, closed, &over);
  g_autoptr(GString) joined = g_string_new(NULL);
  for (guint i = 0; i < lines->len; i++)
    g_string_append_printf(joined, "[%s]", (char *)lines->pdata[i]);
  g_assert_cmpstr(joined->str, ==, expected);
  g_assert_cmpint(over, ==, ends);
}

static void test_lines(void) {
  check("one\ntwo\n", TRUE, "[one][two]", TRUE);
  check("one\ntwo", TRUE, "[one][two]", TRUE); /* the last one without its end */
  check("\n\nx\n", TRUE, "[][][x]", TRUE);
  check("", TRUE, "", TRUE);
}

/* An open pipe: what is there is told without waiting for more. */
static void test_open_pipe(void) {
  check("one\ntwo\nthr", FALSE, "[one][two]", FALSE);
}

static void test_long_line_is_cut(void) {
  gboolean over;
  g_autofree char *text = g_strnfill(20000, 'x');
  g_autoptr(GPtrArray) lines = lines_of(text, 20000, 100, TRUE, &over);
  gsize sum = 0;
  g_assert_cmpuint(lines->len, >, 1);
  for (guint i = 0; i < lines->len; i++) {
    g_assert_cmpuint(strlen(lines->pdata[i]), <=, 1000 + 4096);
    sum += strlen(lines->pdata[i]);
  }
  g_assert_cmpuint(sum, ==, 20000);
  g_assert_true(over);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cli/lines/lines", test_lines);
  g_test_add_func("/cli/lines/open pipe", test_open_pipe);
  g_test_add_func("/cli/lines/long line", test_long_line_is_cut);
  return g_test_run();
}
