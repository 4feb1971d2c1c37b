#include "base/dotenv.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_BYTES = 65536 };

typedef struct {
  const char *at;   /* what is left; ends with a NUL */
  const char *name; /* of the file */
  guint line;
} Reader;

static gboolean fail(const Reader *reader, GError **error, const char *what) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "%s:%u: %s", reader->name, reader->line, what);
  return FALSE;
}

static gboolean is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static gboolean is_end(char c) {
  return c == '\n' || c == '\0';
}

static void skip_spaces(Reader *reader) {
  while (is_space(*reader->at))
    reader->at++;
}

static void skip_line(Reader *reader) {
  while (!is_end(*reader->at))
    reader->at++;
  if (*reader->at == '\n') {
    reader->at++;
    reader->line++;
  }
}

/* ---- Values ---- */

/* What stands behind a backslash, or 0 where the backslash stands for itself. */
static char unescape(char quote, char c) {
  static const char letters[] = "abfnrtv", meanings[] = "\a\b\f\n\r\t\v";
  if (c == '\\' || c == quote || (c == '\'' && quote == '"'))
    return c;
  const char *found = quote == '"' && c != '\0' ? strchr(letters, c) : NULL;
  return found != NULL ? meanings[found - letters] : '\0';
}

static gboolean read_quoted(Reader *reader, GString *value, GError **error) {
  guint first_line = reader->line;
  char quote = *reader->at++;
  while (*reader->at != quote) {
    if (*reader->at == '\0') {
      reader->line = first_line;
      return fail(reader, error, "the quoted value has no end");
    }
    char meant = *reader->at == '\\' ? unescape(quote, reader->at[1]) : '\0';
    if (meant != '\0')
      reader->at++;
    else if (*reader->at == '\n')
      reader->line++;
    g_string_append_c(value, meant != '\0' ? meant : *reader->at);
    reader->at++;
  }
  reader->at++;
  skip_spaces(reader);
  if (!is_end(*reader->at) && *reader->at != '#')
    return fail(reader, error, "there is something behind the quoted value");
  return TRUE;
}

static void read_plain(Reader *reader, GString *value) {
  const char *start = reader->at;
  while (!is_end(*reader->at) &&
         !(*reader->at == '#' && (reader->at == start || is_space(reader->at[-1]))))
    reader->at++;
  const char *end = reader->at;
  while (end > start && is_space(end[-1]))
    end--;
  g_string_append_len(value, start, end - start);
}

/* ---- Lines ---- */

static char *read_name(Reader *reader, GError **error) {
  const char *start = reader->at;
  while (g_ascii_isalnum(*reader->at) || *reader->at == '_')
    reader->at++;
  if (reader->at == start || g_ascii_isdigit(*start)) {
    fail(reader, error, "a line must be NAME=VALUE, with a name of letters, digits and _");
    return NULL;
  }
  return g_strndup(start, (gsize)(reader->at - start));
}

static void skip_export(Reader *reader) {
  if (!g_str_has_prefix(reader->at, "export") || !is_space(reader->at[6]))
    return;
  reader->at += 6;
  skip_spaces(reader);
}

static gboolean read_pair(Reader *reader, char ***pairs, GError **error) {
  skip_export(reader);
  g_autofree char *name = read_name(reader, error);
  if (name == NULL)
    return FALSE;
  skip_spaces(reader);
  if (*reader->at != '=')
    return fail(reader, error, "a line must be NAME=VALUE, and there is no = behind the name");
  reader->at++;
  skip_spaces(reader);
  g_autoptr(GString) value = g_string_new(NULL);
  if (*reader->at != '\'' && *reader->at != '"')
    read_plain(reader, value);
  else if (!read_quoted(reader, value, error))
    return FALSE;
  *pairs = g_environ_setenv(*pairs, name, value->str, TRUE);
  return TRUE;
}

char **mnk_dotenv_parse(const char *text, gsize length, const char *name, GError **error) {
  static const char mark[] = "\xef\xbb\xbf";
  g_autofree char *copy = g_strndup(text, length);
  Reader reader = {.at = copy, .name = name, .line = 1};
  const char *bad;
  if (!g_utf8_validate_len(text, length, &bad)) {
    for (const char *p = text; p < bad; p++)
      reader.line += *p == '\n' ? 1 : 0;
    fail(&reader, error, "the line is not UTF-8 text");
    return NULL;
  }
  if (g_str_has_prefix(copy, mark))
    reader.at += strlen(mark);
  g_auto(GStrv) pairs = g_new0(char *, 1);
  while (*reader.at != '\0') {
    skip_spaces(&reader);
    if (!is_end(*reader.at) && *reader.at != '#' && !read_pair(&reader, &pairs, error))
      return NULL;
    skip_line(&reader);
  }
  return g_steal_pointer(&pairs);
}

/* ---- Files ---- */

static gboolean fail_file(const char *path, const char *why, GError **error) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "%s cannot be read: %s", path, why);
  return FALSE;
}

/* Up to one byte more than there may be. */
static gboolean read_whole(int fd, const char *path, GString *out, GError **error) {
  char piece[4096];
  ssize_t n = 1;
  while (out->len <= MAX_BYTES && (n = read(fd, piece, sizeof piece)) != 0) {
    if (n > 0)
      g_string_append_len(out, piece, n);
    else if (errno != EINTR)
      return fail_file(path, g_strerror(errno), error);
  }
  if (out->len <= MAX_BYTES)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "%s is larger than 64 KiB", path);
  return FALSE;
}

/* A pipe in the file's place is not waited for. */
static gboolean read_file(const char *path, GString *out, GError **error) {
  int fd = g_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
  if (fd < 0)
    return errno == ENOENT || fail_file(path, g_strerror(errno), error);
  struct stat info;
  gboolean ok = fstat(fd, &info) == 0 && S_ISREG(info.st_mode)
                    ? read_whole(fd, path, out, error)
                    : fail_file(path, "it is not a file", error);
  close(fd);
  return ok;
}

char **mnk_dotenv_merge(char **environ_pairs, const char *path, GError **error) {
  g_autoptr(GString) text = g_string_new(NULL);
  if (!read_file(path, text, error))
    return NULL;
  g_auto(GStrv) found = mnk_dotenv_parse(text->str, text->len, path, error);
  if (found == NULL)
    return NULL;
  char **merged = g_strdupv(environ_pairs);
  for (guint i = 0; found[i] != NULL; i++) {
    char *value = strchr(found[i], '=');
    *value++ = '\0';
    merged = g_environ_setenv(merged, found[i], value, FALSE);
  }
  return merged;
}
